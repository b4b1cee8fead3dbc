//! Every mistake a user of the types can make, with its SQLSTATE and words.
//!
//! SQLSTATEs and primary messages are those that clients of pgvector know.

use pgrx::PgSqlErrorCode as Code;

use super::element::SqlElement;
use crate::am::datum::MAX_DIMS;
use crate::am::report::Report;

/// Why a function on `vector` or `halfvec`, or one of the schema `faiss`, cannot answer.
pub enum SqlError {
    DimsDiffer { type_name: &'static str, left: usize, right: usize },
    DimsExpected { expected: usize, dims: usize },
    NoDims { type_name: &'static str },
    TooManyDims { type_name: &'static str, dims: usize },
    NotANumber { type_name: &'static str },
    Infinite { type_name: &'static str },
    Syntax { type_name: &'static str, text: String, detail: Option<&'static str> },
    OutOfRange { type_name: &'static str, text: String },
    Binary { type_name: &'static str, detail: String },
    Overflow,
    Underflow,
    Typmod { message: String },
    ArrayNotFlat { ndim: i32 },
    ArrayHasNulls,
    ArrayType,
    State,
    Argument { message: &'static str, detail: String, hint: &'static str },
}

impl SqlError {
    /// A number, as text, that the element cannot hold.
    pub fn out_of_range<E: SqlElement>(text: &str) -> Self {
        SqlError::OutOfRange { type_name: E::TYPE_NAME, text: text.to_owned() }
    }

    fn code(&self) -> Code {
        match self {
            Self::DimsDiffer { .. }
            | Self::DimsExpected { .. }
            | Self::NoDims { .. }
            | Self::NotANumber { .. }
            | Self::Infinite { .. }
            | Self::ArrayNotFlat { .. }
            | Self::ArrayType => Code::ERRCODE_DATA_EXCEPTION,
            Self::TooManyDims { .. } => Code::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            Self::Syntax { .. } => Code::ERRCODE_INVALID_TEXT_REPRESENTATION,
            Self::OutOfRange { .. } | Self::Overflow | Self::Underflow => {
                Code::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE
            }
            Self::Binary { .. } => Code::ERRCODE_INVALID_BINARY_REPRESENTATION,
            Self::ArrayHasNulls => Code::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            Self::Typmod { .. } | Self::State | Self::Argument { .. } => {
                Code::ERRCODE_INVALID_PARAMETER_VALUE
            }
        }
    }

    fn message(&self) -> String {
        match self {
            Self::DimsDiffer { type_name, left, right } => {
                format!("different {type_name} dimensions {left} and {right}")
            }
            Self::DimsExpected { expected, dims } => {
                format!("expected {expected} dimensions, not {dims}")
            }
            Self::NoDims { type_name } => format!("{type_name} must have at least 1 dimension"),
            Self::TooManyDims { type_name, .. } => {
                format!("{type_name} cannot have more than {MAX_DIMS} dimensions")
            }
            Self::NotANumber { type_name } => format!("NaN not allowed in {type_name}"),
            Self::Infinite { type_name } => format!("infinite value not allowed in {type_name}"),
            Self::Syntax { type_name, text, .. } => {
                format!("invalid input syntax for type {type_name}: \"{text}\"")
            }
            Self::OutOfRange { type_name, text } => {
                format!("\"{text}\" is out of range for type {type_name}")
            }
            Self::Binary { type_name, .. } => {
                format!("invalid binary representation of type {type_name}")
            }
            Self::Overflow => "value out of range: overflow".to_owned(),
            Self::Underflow => "value out of range: underflow".to_owned(),
            Self::Typmod { message } => message.clone(),
            Self::ArrayNotFlat { .. } => "array must be 1-D".to_owned(),
            Self::ArrayHasNulls => "array must not contain nulls".to_owned(),
            Self::ArrayType => "unsupported array type".to_owned(),
            Self::State => "invalid state of aggregate avg".to_owned(),
            Self::Argument { message, .. } => (*message).to_owned(),
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::TooManyDims { dims, .. } => Some(format!("The value has {dims} dimensions.")),
            Self::Syntax { detail, .. } => detail.map(str::to_owned),
            Self::Binary { detail, .. } | Self::Argument { detail, .. } => Some(detail.clone()),
            Self::ArrayNotFlat { ndim } => Some(format!("The array has {ndim} dimensions.")),
            Self::State => {
                Some("The state is a count followed by one sum per dimension.".to_owned())
            }
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
