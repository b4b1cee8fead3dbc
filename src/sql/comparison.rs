//! The btree order: by the first element that differs, then by length, as for arrays.

use std::cmp::Ordering;

use super::element::SqlElement;
use super::error::SqlError;
use super::fmgr::{Arguments, export_for_both_types};

export_for_both_types! {
    "lt" => less;
    "le" => less_or_equal;
    "eq" => equal;
    "ne" => not_equal;
    "ge" => greater_or_equal;
    "gt" => greater;
    "cmp" => compare;
}

fn order<E: SqlElement>(args: &Arguments) -> Ordering {
    let (a, b) = (args.vector::<E>(0), args.vector::<E>(1));
    // No element is NaN; 0 and -0 are equal.
    let by_elements = a
        .elements()
        .iter()
        .zip(b.elements())
        .find_map(|(x, y)| x.partial_cmp(y).filter(|order| order.is_ne()));
    by_elements.unwrap_or_else(|| a.dims().cmp(&b.dims()))
}

fn less<E: SqlElement>(args: &Arguments) -> Result<bool, SqlError> {
    Ok(order::<E>(args).is_lt())
}

fn less_or_equal<E: SqlElement>(args: &Arguments) -> Result<bool, SqlError> {
    Ok(order::<E>(args).is_le())
}

fn equal<E: SqlElement>(args: &Arguments) -> Result<bool, SqlError> {
    Ok(order::<E>(args).is_eq())
}

fn not_equal<E: SqlElement>(args: &Arguments) -> Result<bool, SqlError> {
    Ok(order::<E>(args).is_ne())
}

fn greater_or_equal<E: SqlElement>(args: &Arguments) -> Result<bool, SqlError> {
    Ok(order::<E>(args).is_ge())
}

fn greater<E: SqlElement>(args: &Arguments) -> Result<bool, SqlError> {
    Ok(order::<E>(args).is_gt())
}

/// The btree support function: -1, 0 or 1.
fn compare<E: SqlElement>(args: &Arguments) -> Result<i32, SqlError> {
    Ok(order::<E>(args) as i32)
}
