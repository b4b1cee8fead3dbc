//! Distances, by the kernels that the indexes use too: the same bits in the same order.

use std::f64::consts::PI;

use ann::kernels;

use super::element::{SqlElement, check_same_dims};
use super::error::SqlError;
use super::fmgr::{Arguments, export_for_both_types};

export_for_both_types! {
    "l2_distance" => l2_distance;
    "l2_squared_distance" => l2_squared_distance;
    "inner_product" => inner_product;
    "negative_inner_product" => negative_inner_product;
    "cosine_distance" => cosine_distance;
    "l1_distance" => l1_distance;
    "spherical_distance" => spherical_distance;
}

/// Applies `distance` to two values of equal dimensions.
///
/// Errors: 22000 when the dimensions differ.
#[inline(always)]
fn of_two<E: SqlElement>(
    args: &Arguments,
    distance: impl FnOnce(&[E], &[E]) -> f64,
) -> Result<f64, SqlError> {
    let (a, b) = (args.vector::<E>(0), args.vector::<E>(1));
    check_same_dims::<E>(a.dims(), b.dims())?;
    Ok(distance(a.elements(), b.elements()))
}

/// `<->`: Euclidean distance; infinity when the sum of squares overflows.
fn l2_distance<E: SqlElement>(args: &Arguments) -> Result<f64, SqlError> {
    of_two::<E>(args, kernels::l2_distance)
}

/// Squared Euclidean distance.
fn l2_squared_distance<E: SqlElement>(args: &Arguments) -> Result<f64, SqlError> {
    of_two::<E>(args, |a, b| f64::from(kernels::l2_sqr(a, b)))
}

/// Inner product.
fn inner_product<E: SqlElement>(args: &Arguments) -> Result<f64, SqlError> {
    of_two::<E>(args, |a, b| f64::from(kernels::dot(a, b)))
}

/// `<#>`: negative inner product, so that smaller is nearer.
fn negative_inner_product<E: SqlElement>(args: &Arguments) -> Result<f64, SqlError> {
    of_two::<E>(args, kernels::negative_inner_product)
}

/// `<=>`: 1 - cosine, in 0..=2; NaN when a value is all zeros.
fn cosine_distance<E: SqlElement>(args: &Arguments) -> Result<f64, SqlError> {
    of_two::<E>(args, kernels::cosine_distance)
}

/// `<+>`: taxicab distance.
fn l1_distance<E: SqlElement>(args: &Arguments) -> Result<f64, SqlError> {
    of_two::<E>(args, |a, b| f64::from(kernels::l1(a, b)))
}

/// The angle between two values of norm 1, as a part of a half turn: 0..=1.
fn spherical_distance<E: SqlElement>(args: &Arguments) -> Result<f64, SqlError> {
    of_two::<E>(args, |a, b| f64::from(kernels::dot(a, b)).clamp(-1.0, 1.0).acos() / PI)
}
