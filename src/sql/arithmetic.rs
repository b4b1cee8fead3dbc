//! `+ - *` by element and `||`. Results are rounded to the element type; a result that it cannot
//! hold is an error, as for the server's own floats.

use super::element::{SqlElement, check_same_dims};
use super::error::SqlError;
use super::fmgr::{Arguments, export_for_both_types};
use crate::am::datum::VarlenaBuf;

export_for_both_types! {
    "add" => add;
    "sub" => subtract;
    "mul" => multiply;
    "concat" => concatenate;
}

/// `+`, and the transition of `sum`.
///
/// Errors: 22000 dimensions differ, 22003 overflow.
fn add<E: SqlElement>(args: &Arguments) -> Result<VarlenaBuf<E>, SqlError> {
    by_element(args.vector::<E>(0).elements(), args.vector::<E>(1).elements(), |x, y| x + y)
}

/// `-`. Errors: as `+`.
fn subtract<E: SqlElement>(args: &Arguments) -> Result<VarlenaBuf<E>, SqlError> {
    by_element(args.vector::<E>(0).elements(), args.vector::<E>(1).elements(), |x, y| x - y)
}

/// `*`. Errors: as `+`, and 22003 when a product of two non-zero numbers becomes 0.
fn multiply<E: SqlElement>(args: &Arguments) -> Result<VarlenaBuf<E>, SqlError> {
    let (a, b) = (args.vector::<E>(0), args.vector::<E>(1));
    let mut products = by_element(a.elements(), b.elements(), |x, y| x * y)?;
    let zero = E::zeroed();
    let factors = a.elements().iter().zip(b.elements());
    let mut triples = products.elements_mut().iter().zip(factors);
    if triples.any(|(product, (x, y))| *product == zero && *x != zero && *y != zero) {
        return Err(SqlError::Underflow);
    }
    Ok(products)
}

/// Elements worked on at a time: few enough for the stack and the nearest cache.
const BLOCK: usize = 64;

/// Applies `operation` in single precision and rounds to the element.
#[inline(always)]
fn by_element<E: SqlElement>(
    a: &[E],
    b: &[E],
    operation: impl Fn(f32, f32) -> f32,
) -> Result<VarlenaBuf<E>, SqlError> {
    check_same_dims::<E>(a.len(), b.len())?;
    let mut result = VarlenaBuf::<E>::zeroed(a.len());
    let (mut x, mut y) = ([0.0; BLOCK], [0.0; BLOCK]);
    let blocks = a.chunks(BLOCK).zip(b.chunks(BLOCK));
    for (to, (a, b)) in result.elements_mut().chunks_mut(BLOCK).zip(blocks) {
        E::widen_all(a, &mut x);
        E::widen_all(b, &mut y);
        for (x, y) in x.iter_mut().zip(&y) {
            *x = operation(*x, *y);
        }
        E::round_all(&x, to);
    }
    if E::all_finite(result.elements_mut()) { Ok(result) } else { Err(SqlError::Overflow) }
}

/// `||`: the elements of the left value, then those of the right.
///
/// Errors: 54000 when both together have more than 16,000 dimensions.
fn concatenate<E: SqlElement>(args: &Arguments) -> Result<VarlenaBuf<E>, SqlError> {
    let (a, b) = (args.vector::<E>(0), args.vector::<E>(1));
    E::check_dims(a.dims() + b.dims())?;
    let mut result = VarlenaBuf::<E>::zeroed(a.dims() + b.dims());
    let (left, right) = result.elements_mut().split_at_mut(a.dims());
    left.copy_from_slice(a.elements());
    right.copy_from_slice(b.elements());
    Ok(result)
}
