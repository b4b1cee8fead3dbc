//! The schema `faiss`: a rule of thumb and conversions of distances.

use super::error::SqlError;
use super::fmgr::{Arguments, export};

export! {
    "optimal_nlist" => optimal_nlist;
    "similarity" => similarity;
    "l2_to_cosine" => l2_to_cosine;
}

/// `faiss.optimal_nlist(bigint)`: the number of inverted lists that suits a number of rows.
///
/// Errors: 22023 for a negative number.
fn optimal_nlist(args: &Arguments) -> Result<i32, SqlError> {
    let rows = args.int64(0);
    let Ok(rows) = u64::try_from(rows) else {
        return Err(SqlError::Argument {
            message: "number of rows must not be negative",
            detail: format!("The number given is {rows}."),
            hint: "Pass the number of rows that the index will hold.",
        });
    };
    Ok(ann::optimal_nlist(rows) as i32)
}

/// `faiss.similarity(double precision)`: 1 / (1 + d), in 0..=1; NaN stays NaN.
///
/// Errors: 22023 for a negative distance.
fn similarity(args: &Arguments) -> Result<f64, SqlError> {
    let distance = args.float8(0);
    if distance < 0.0 {
        return Err(SqlError::Argument {
            message: "distance must not be negative",
            detail: format!("The distance given is {distance}."),
            hint: "Pass an L2, L1 or cosine distance; a negative inner product is none.",
        });
    }
    Ok(1.0 / (1.0 + distance))
}

/// How far beyond 2 the distance of two normalised vectors can come out by rounding, half
/// precision included.
const ROUNDING: f64 = 0.01;

/// `faiss.l2_to_cosine(double precision)`: the cosine 1 - d²/2 of two vectors of norm 1 whose
/// Euclidean distance is d; NaN stays NaN.
///
/// Errors: 22023 for a distance that vectors of norm 1 cannot have.
fn l2_to_cosine(args: &Arguments) -> Result<f64, SqlError> {
    let distance = args.float8(0);
    let possible = 0.0..=2.0 + ROUNDING;
    if !distance.is_nan() && !possible.contains(&distance) {
        return Err(SqlError::Argument {
            message: "distance must be between 0 and 2",
            detail: format!(
                "The distance given is {distance}; vectors of norm 1 are at most 2 apart."
            ),
            hint: "Normalize both vectors with l2_normalize before taking the distance.",
        });
    }
    Ok((1.0 - distance * distance / 2.0).clamp(-1.0, 1.0))
}
