//! Distances, by the kernels that an index uses too, and what a norm is good for.

use ann::kernels::sparse::{self, Sparse};
use grammar::sparse::TYPE_NAME;
use pgrx::pg_sys::Datum;

use crate::am::datum::sparse::new_sparse;
use crate::sql::error::SqlError;
use crate::sql::fmgr::{Arguments, export};

export! {
    "sparsevec_l2_distance" => |args| of_two(args, sparse::l2_distance);
    "sparsevec_l2_squared_distance" => |args| of_two(args, |a, b| f64::from(sparse::l2_sqr(a, b)));
    "sparsevec_inner_product" => |args| of_two(args, |a, b| f64::from(sparse::dot(a, b)));
    "sparsevec_negative_inner_product" => |args| of_two(args, |a, b| -f64::from(sparse::dot(a, b)));
    "sparsevec_cosine_distance" => |args| of_two(args, sparse::cosine_distance);
    "sparsevec_l1_distance" => |args| of_two(args, |a, b| f64::from(sparse::l1(a, b)));
    "sparsevec_l2_norm" => |args| Ok(norm(args.sparse(0).values()));
    "sparsevec_l2_normalize" => l2_normalize;
}

/// Applies `distance` to two values of equal dimensions.
///
/// Errors: 22000 when the dimensions differ.
fn of_two(
    args: &Arguments,
    distance: impl FnOnce(Sparse<'_>, Sparse<'_>) -> f64,
) -> Result<f64, SqlError> {
    let (a, b) = (args.sparse(0), args.sparse(1));
    let (left, right) = (a.dims(), b.dims());
    if left != right {
        return Err(SqlError::DimsDiffer { type_name: TYPE_NAME, left, right });
    }
    Ok(distance(a.elements(), b.elements()))
}

/// The Euclidean norm, summed in double precision so that no value of the type overflows.
fn norm(values: &[f32]) -> f64 {
    // A sum of nothing would be -0.
    values.iter().fold(0.0, |sum, x| sum + f64::from(*x).powi(2)).sqrt()
}

/// `l2_normalize`: the value divided by its norm; what becomes 0 is stored no more.
///
/// Errors: 22003 when a quotient overflows, which only a damaged value brings about.
fn l2_normalize(args: &Arguments) -> Result<Datum, SqlError> {
    let value = args.sparse(0);
    let norm = norm(value.values());
    let (mut indices, mut values) = (Vec::new(), Vec::new());
    for (index, element) in value.indices().iter().zip(value.values()) {
        let quotient = (f64::from(*element) / norm) as f32;
        if quotient.is_infinite() {
            return Err(SqlError::Overflow);
        }
        if norm > 0.0 && quotient != 0.0 {
            indices.push(*index);
            values.push(quotient);
        }
    }
    Ok(new_sparse(value.dims(), &indices, &values))
}
