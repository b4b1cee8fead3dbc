//! Every mistake a user of the types can make, with its SQLSTATE and words.
//!
//! SQLSTATEs and primary messages are those that clients of pgvector know.

use grammar::ValueError;
use grammar::sparse::SparseError;
use pgrx::PgSqlErrorCode as Code;

use crate::am::report::Report;

/// Why a function on one of the types, or one of the schema `faiss`, cannot answer.
pub enum SqlError {
    DimsDiffer { type_name: &'static str, left: usize, right: usize },
    BitLengthsDiffer { left: usize, right: usize },
    Value(ValueError),
    Overflow,
    Underflow,
    ArrayNotFlat,
    ArrayHasNulls,
    ArrayType,
    State { type_name: &'static str, function: &'static str },
    Argument { message: &'static str, detail: String, hint: &'static str },
}

impl From<ValueError> for SqlError {
    fn from(error: ValueError) -> Self {
        Self::Value(error)
    }
}

impl SqlError {
    fn code(&self) -> Code {
        match self {
            Self::Value(error) => code_of(error),
            Self::DimsDiffer { .. }
            | Self::BitLengthsDiffer { .. }
            | Self::ArrayNotFlat
            | Self::ArrayType => Code::ERRCODE_DATA_EXCEPTION,
            Self::Overflow | Self::Underflow => Code::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
            Self::ArrayHasNulls => Code::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            Self::Argument { .. } => Code::ERRCODE_INVALID_PARAMETER_VALUE,
            Self::State { .. } => Code::ERRCODE_INTERNAL_ERROR,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::DimsDiffer { type_name, left, right } => {
                format!("different {type_name} dimensions {left} and {right}")
            }
            Self::BitLengthsDiffer { left, right } => {
                format!("different bit lengths {left} and {right}")
            }
            Self::Value(error) => error.to_string(),
            Self::Overflow => "value out of range: overflow".to_owned(),
            Self::Underflow => "value out of range: underflow".to_owned(),
            Self::ArrayNotFlat => "array must be 1-D".to_owned(),
            Self::ArrayHasNulls => "array must not contain nulls".to_owned(),
            Self::ArrayType => "unsupported array type".to_owned(),
            Self::State { type_name, function } => {
                format!("{type_name}_{function}: expected state array")
            }
            Self::Argument { message, .. } => (*message).to_owned(),
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::Value(error) => error.detail().map(str::to_owned),
            Self::Argument { detail, .. } => Some(detail.clone()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Argument { hint, .. } => Some(hint),
            _ => None,
        }
    }

    /// Raises the error; the transaction ends here.
    #[cold]
    #[inline(never)]
    pub fn report(self) -> ! {
        let mut report = Report::new(self.code(), self.message());
        if let Some(detail) = self.detail() {
            report = report.detail(detail);
        }
        if let Some(hint) = self.hint() {
            report = report.hint(hint);
        }
        report.error()
    }
}

fn code_of(error: &ValueError) -> Code {
    match error {
        ValueError::DimsExpected { .. }
        | ValueError::NoDims { .. }
        | ValueError::NotANumber { .. }
        | ValueError::Unused { .. }
        | ValueError::Infinite { .. } => Code::ERRCODE_DATA_EXCEPTION,
        ValueError::Sparse(error) => code_of_sparse(*error),
        ValueError::TooManyDims { .. } => Code::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        ValueError::Syntax { .. } => Code::ERRCODE_INVALID_TEXT_REPRESENTATION,
        ValueError::OutOfRange { .. } => Code::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
        ValueError::CutShort => Code::ERRCODE_PROTOCOL_VIOLATION,
        ValueError::Typmod { .. } => Code::ERRCODE_INVALID_PARAMETER_VALUE,
    }
}

fn code_of_sparse(error: SparseError) -> Code {
    match error {
        SparseError::TooManyStored | SparseError::MoreThanDims => {
            Code::ERRCODE_PROGRAM_LIMIT_EXCEEDED
        }
        SparseError::NegativeStored
        | SparseError::IndexOutOfBounds
        | SparseError::NotAscending
        | SparseError::Repeated
        | SparseError::ZeroStored => Code::ERRCODE_DATA_EXCEPTION,
    }
}
