//! Random filters, and the rows that pass them.

use std::sync::Arc;

use ann::rng::Rng;

use crate::damage::rows::attributes_of;
use crate::search::attributes::Attributes;
use crate::search::filter::{Condition, Intervals};
use crate::search::row_set::RowSet;
use crate::tid::Tid;

/// An attribute as a number, null as None.
pub type Values = Vec<Option<u128>>;

/// The attributes of a row, as it was inserted.
pub fn values(tid: Tid, attributes: &Attributes) -> Values {
    let entry = attributes_of(tid, attributes);
    let (nulls, mut rest) = entry.split_first().unwrap();
    let one = |(i, width): (usize, usize)| {
        let (value, after) = rest.split_at(width);
        rest = after;
        let number = value.iter().rev().fold(0u128, |number, byte| number << 8 | u128::from(*byte));
        (nulls >> i & 1 == 0).then_some(number)
    };
    attributes.widths().enumerate().map(one).collect()
}

/// Whether a row passes all conditions.
pub fn passes(values: &Values, conditions: &[(usize, Condition)]) -> bool {
    conditions.iter().all(|(attribute, condition)| match (values[*attribute], condition) {
        (None, condition) => *condition == Condition::Null,
        (Some(_), Condition::Null) => false,
        (Some(_), Condition::NotNull) => true,
        (Some(value), Condition::Within(intervals)) => {
            intervals.bounds().iter().any(|(low, high)| (*low..=*high).contains(&value))
        }
        (Some(value), Condition::AnyOf(bits)) => value & u128::from(*bits) != 0,
        (Some(value), Condition::AllOf(bits)) => value & u128::from(*bits) == u128::from(*bits),
    })
}

/// A condition on an attribute of `width` bytes that some rows pass; `known` are values that rows have.
fn condition(rng: &mut Rng, width: usize, known: &[u128]) -> Condition {
    let mut any = || known.get(rng.below(known.len().max(1) as u32) as usize).copied();
    let (a, b) = (any().unwrap_or(1), any().unwrap_or(2));
    let values: Vec<u128> = (0..30).filter_map(|_| any()).collect();
    let single = |value: &u128| Intervals::from_to(*value, *value);
    match rng.below(if width == 8 { 9 } else { 7 }) {
        0 => Condition::Null,
        1 => Condition::NotNull,
        2 => Condition::Within(Intervals::from_to(a, a)),
        3 => Condition::Within(Intervals::union(values.iter().take(4).map(single))),
        4 => Condition::Within(Intervals::union(values.iter().map(single))),
        5 | 6 => Condition::Within(Intervals::from_to(a.min(b), a.max(b))),
        7 => Condition::AnyOf(1 << rng.below(64) | 1 << rng.below(64)),
        _ => Condition::AllOf(1 << rng.below(64) | 1 << rng.below(64)),
    }
}

/// One to three conditions, which some of the rows pass.
pub fn conditions(tids: &[Tid], attributes: &Attributes, rng: &mut Rng) -> Vec<(usize, Condition)> {
    let rows: Vec<Values> = tids.iter().map(|tid| values(*tid, attributes)).collect();
    let widths: Vec<usize> = attributes.widths().collect();
    let n = rng.below(3) + 1;
    let one = |_| {
        let attribute = rng.below(widths.len() as u32) as usize;
        let known: Vec<u128> = rows.iter().filter_map(|row| row[attribute]).collect();
        (attribute, condition(rng, widths[attribute], &known))
    };
    (0..n).map(one).collect()
}

/// A set of some of the rows, and of rows that are not there.
pub fn some_rows(tids: &[Tid], rng: &mut Rng) -> Arc<RowSet> {
    let most = tids.iter().map(|tid| tid.blkno).max().unwrap_or(0);
    // Without room, pages are in the set as a whole.
    let memory = if rng.below(2) == 0 { 0 } else { 1 << 20 };
    let mut rows = RowSet::new(most / 2, memory);
    let part = rng.below(20) + 1;
    let dead = std::iter::once(Tid::new(most + 7, 3));
    for tid in tids.iter().copied().chain(dead) {
        if rng.below(part) == 0 {
            rows.insert(tid);
        }
    }
    if rng.below(3) == 0 {
        rows.insert_page(most / 3);
    }
    Arc::new(rows)
}
