//! What can be wrong with a `sparsevec` and with no other value. Messages are those that clients of pgvector know.

use std::fmt::{self, Display, Formatter};

use super::STORED_MAX;
use crate::error::ValueError;

/// Something that is no `sparsevec`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SparseError {
    /// A count below 0; only the binary form can have one.
    NegativeStored,
    TooManyStored,
    MoreThanDims,
    IndexOutOfBounds,
    NotAscending,
    Repeated,
    /// A zero among the stored elements of a binary value.
    ZeroStored,
}

impl Display for SparseError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::NegativeStored => {
                f.write_str("sparsevec cannot have negative number of elements")
            }
            Self::TooManyStored => {
                write!(f, "sparsevec cannot have more than {STORED_MAX} non-zero elements")
            }
            Self::MoreThanDims => {
                f.write_str("sparsevec cannot have more elements than dimensions")
            }
            Self::IndexOutOfBounds => f.write_str("sparsevec index out of bounds"),
            Self::NotAscending => f.write_str("sparsevec indices must be in ascending order"),
            Self::Repeated => f.write_str("sparsevec indices must not contain duplicates"),
            Self::ZeroStored => {
                f.write_str("binary representation of sparsevec cannot contain zero values")
            }
        }
    }
}

impl From<SparseError> for ValueError {
    fn from(error: SparseError) -> Self {
        Self::Sparse(error)
    }
}
