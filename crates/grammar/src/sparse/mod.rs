//! `sparsevec`: a vector that names only its elements other than zero. The text form is `{1:1.5,3:2}/5`: positions
//! that count from 1, the elements there, and the number of dimensions.
//!
//! `text` reads the text form, `binary` the binary form; `error` says what can be wrong with either.

pub mod binary;
mod error;
pub mod text;

pub use error::SparseError;

use crate::error::ValueError;

/// The type's SQL name, as messages show it.
pub const TYPE_NAME: &str = "sparsevec";
/// The most dimensions that a value can have.
pub const DIMS_MAX: usize = 1_000_000_000;
/// The most elements other than zero that a value can have.
pub const STORED_MAX: usize = 16_000;

/// A value: positions that count from 0 and ascend, and an element for each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sparse {
    pub dims: usize,
    pub indices: Vec<i32>,
    pub values: Vec<f32>,
}

/// Checks a number of dimensions as it was written, which may be negative.
///
/// Errors: below 1, above [`DIMS_MAX`].
pub fn check_dims(dims: i64) -> Result<usize, ValueError> {
    match usize::try_from(dims) {
        Ok(0) | Err(_) => Err(ValueError::NoDims { type_name: TYPE_NAME }),
        Ok(dims) if dims > DIMS_MAX => {
            Err(ValueError::TooManyDims { type_name: TYPE_NAME, most: DIMS_MAX })
        }
        Ok(dims) => Ok(dims),
    }
}

/// Checks the number of stored elements of a value with `dims` dimensions.
///
/// Errors: negative, above [`STORED_MAX`], more than dimensions.
pub fn check_stored(stored: i64, dims: usize) -> Result<usize, ValueError> {
    let Ok(stored) = usize::try_from(stored) else {
        return Err(SparseError::NegativeStored.into());
    };
    if stored > STORED_MAX {
        return Err(SparseError::TooManyStored.into());
    }
    if stored > dims { Err(SparseError::MoreThanDims.into()) } else { Ok(stored) }
}

/// Checks a position that counts from 0, given the one before it.
///
/// Errors: outside the dimensions, not after the position before.
#[inline]
pub fn check_index(before: Option<i32>, index: i32, dims: usize) -> Result<(), ValueError> {
    if usize::try_from(index).map_or(true, |index| index >= dims) {
        return Err(SparseError::IndexOutOfBounds.into());
    }
    match before {
        Some(before) if index < before => Err(SparseError::NotAscending.into()),
        Some(before) if index == before => Err(SparseError::Repeated.into()),
        _ => Ok(()),
    }
}

/// Checks an element that is to be stored.
///
/// Errors: NaN and infinity.
pub fn check_finite(number: f32) -> Result<(), ValueError> {
    if number.is_nan() {
        return Err(ValueError::NotANumber { type_name: TYPE_NAME });
    }
    if number.is_infinite() { Err(ValueError::Infinite { type_name: TYPE_NAME }) } else { Ok(()) }
}

/// Are these the positions of a value: within the dimensions, each after the one before?
///
/// It is asked of every value that is read, so it looks at all of them without a branch for each.
#[inline]
pub fn are_indices(indices: &[i32], dims: usize) -> bool {
    let ascend = indices.iter().zip(indices.get(1..).unwrap_or_default());
    let ascend = ascend.fold(true, |all, (before, index)| all & (before < index));
    let starts = indices.first().is_none_or(|first| *first >= 0);
    let ends = indices.last().is_none_or(|last| i64::from(*last) < dims as i64);
    ascend & starts & ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_ascend_within_the_dimensions() {
        let cases: [(&[i32], bool); 8] = [
            (&[], true),
            (&[0], true),
            (&[0, 1, 4], true),
            (&[-1, 2], false),
            (&[5], false),
            (&[0, 0], false),
            (&[3, 2], false),
            (&[0, 1, 5], false),
        ];
        for (indices, sound) in cases {
            assert_eq!(are_indices(indices, 5), sound, "{indices:?}");
            let mut before = None;
            let one_by_one =
                indices.iter().all(|index| check_index(before.replace(*index), *index, 5).is_ok());
            assert_eq!(one_by_one, sound, "{indices:?}");
        }
    }

    #[test]
    fn counts_have_limits() {
        assert_eq!(check_dims(1_000_000_000), Ok(DIMS_MAX));
        assert_eq!(check_stored(16_000, DIMS_MAX), Ok(STORED_MAX));
        for dims in [i64::MIN, -1, 0, 1_000_000_001, i64::MAX] {
            assert!(check_dims(dims).is_err(), "{dims}");
        }
        for (stored, dims) in [(-1, 3), (4, 3), (16_001, DIMS_MAX)] {
            assert!(check_stored(stored, dims).is_err(), "{stored}");
        }
    }
}
