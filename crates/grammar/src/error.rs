//! Why something is no value of the types. Messages are those that clients of pgvector know; `src/sql/error.rs` gives each
//! its SQLSTATE.

use std::fmt::{self, Display, Formatter};

use crate::number::Number;
use crate::sparse::SparseError;

/// A value, or a type modifier, that there is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueError {
    DimsExpected {
        expected: i64,
        dims: usize,
    },
    NoDims {
        type_name: &'static str,
    },
    TooManyDims {
        type_name: &'static str,
        most: usize,
    },
    NotANumber {
        type_name: &'static str,
    },
    Infinite {
        type_name: &'static str,
    },
    Syntax {
        type_name: &'static str,
        text: String,
        detail: Option<&'static str>,
    },
    OutOfRange {
        type_name: &'static str,
        text: String,
    },
    /// A binary value that ends too early.
    CutShort,
    /// A binary value whose last number before the elements is not zero.
    Unused {
        found: i32,
    },
    Sparse(SparseError),
    Typmod {
        message: String,
    },
}

impl ValueError {
    /// A number, as text, that the element cannot hold.
    pub fn out_of_range<E: Number>(text: &str) -> Self {
        Self::OutOfRange { type_name: E::TYPE_NAME, text: text.to_owned() }
    }

    /// What else there is to say, as a sentence.
    pub fn detail(&self) -> Option<&'static str> {
        match self {
            Self::Syntax { detail, .. } => *detail,
            _ => None,
        }
    }
}

impl Display for ValueError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::DimsExpected { expected, dims } => {
                write!(f, "expected {expected} dimensions, not {dims}")
            }
            Self::NoDims { type_name } => write!(f, "{type_name} must have at least 1 dimension"),
            Self::TooManyDims { type_name, most } => {
                write!(f, "{type_name} cannot have more than {most} dimensions")
            }
            Self::NotANumber { type_name } => write!(f, "NaN not allowed in {type_name}"),
            Self::Infinite { type_name } => write!(f, "infinite value not allowed in {type_name}"),
            Self::Syntax { type_name, text, .. } => {
                write!(f, "invalid input syntax for type {type_name}: \"{text}\"")
            }
            Self::OutOfRange { type_name, text } => {
                write!(f, "\"{text}\" is out of range for type {type_name}")
            }
            Self::CutShort => f.write_str("insufficient data left in message"),
            Self::Unused { found } => write!(f, "expected unused to be 0, not {found}"),
            Self::Sparse(error) => error.fmt(f),
            Self::Typmod { message } => f.write_str(message),
        }
    }
}
