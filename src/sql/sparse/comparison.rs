//! The btree order: that of the values written out, by the first element that differs, then by length.

use std::cmp::Ordering;

use crate::sql::error::SqlError;
use crate::sql::fmgr::{Arguments, export};

export! {
    "sparsevec_lt" => |args| of_two(args, Ordering::is_lt);
    "sparsevec_le" => |args| of_two(args, Ordering::is_le);
    "sparsevec_eq" => |args| of_two(args, Ordering::is_eq);
    "sparsevec_ne" => |args| of_two(args, Ordering::is_ne);
    "sparsevec_ge" => |args| of_two(args, Ordering::is_ge);
    "sparsevec_gt" => |args| of_two(args, Ordering::is_gt);
    "sparsevec_cmp" => |args| of_two(args, |order| order as i32);
}

fn of_two<R>(args: &Arguments, answer: impl FnOnce(Ordering) -> R) -> Result<R, SqlError> {
    let (a, b) = (args.sparse(0), args.sparse(1));
    let pair = |indices: &[i32], values: &[f32], i: usize| {
        Some((usize::try_from(*indices.get(i)?).ok()?, *values.get(i)?))
    };
    let of_a = |i| pair(a.indices(), a.values(), i);
    let of_b = |i| pair(b.indices(), b.values(), i);
    // The first stored elements that are not the same on both sides; None is beyond the last.
    let most = a.indices().len().max(b.indices().len());
    let differing = (0..most).map(|i| (of_a(i), of_b(i))).find(|(x, y)| x != y);
    let (x, y) = differing.unwrap_or_default();
    // Written out, the values differ first at the first of these positions, where the other has a 0; unless the
    // shorter value ends before.
    let at = |element: Option<(usize, f32)>| element.map_or(usize::MAX, |(at, _)| at);
    let first = at(x).min(at(y));
    let element =
        |it: Option<(usize, f32)>| it.filter(|(at, _)| *at == first).map_or(0.0, |(_, x)| x);
    let by_length = a.dims().cmp(&b.dims());
    let order = match first < a.dims().min(b.dims()) {
        true => element(x).partial_cmp(&element(y)).unwrap_or(by_length),
        false => by_length,
    };
    Ok(answer(order))
}
