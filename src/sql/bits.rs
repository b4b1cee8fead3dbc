//! Distances of the server's bit strings.

use ann::kernels;

use super::error::SqlError;
use super::fmgr::{Arguments, export};

export! {
    "hamming_distance" => |args| of_two(args, kernels::hamming_distance);
    "jaccard_distance" => |args| of_two(args, kernels::jaccard_distance);
}

/// Applies `distance` to two strings of equal length.
///
/// Errors: 22000 when the lengths differ.
fn of_two(args: &Arguments, distance: fn(&[u8], &[u8]) -> f64) -> Result<f64, SqlError> {
    let (a, b) = (args.bits(0), args.bits(1));
    let (left, right) = (a.length(), b.length());
    if left != right {
        return Err(SqlError::BitLengthsDiffer { left, right });
    }
    Ok(distance(a.bytes(), b.bytes()))
}
