//! The only mapping from errors of the lower rooms to `ereport`: SQLSTATE, message, detail, hint.

use std::fmt::Display;

use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};

use super::rel;

/// What a user reads when something fails.
pub struct Report {
    code: PgSqlErrorCode,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
}

impl Report {
    /// A report with its primary message (lower case, no final period).
    pub fn new(code: PgSqlErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: None, hint: None }
    }

    /// The numbers behind the message, as a sentence.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// What the user can do, as a sentence.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn send(self, level: PgLogLevel) {
        let mut report = ErrorReport::new(self.code, self.message, "pgfaiss");
        if let Some(detail) = self.detail {
            report = report.set_detail(detail);
        }
        if let Some(hint) = self.hint {
            report = report.set_hint(hint);
        }
        report.report(level);
    }

    /// Raises an ERROR: the transaction aborts.
    pub fn error(self) -> ! {
        self.send(PgLogLevel::ERROR);
        unreachable!("ERROR does not return")
    }

    /// Tells the client without stopping.
    pub fn warning(self) {
        self.send(PgLogLevel::WARNING);
    }

    /// Tells the client without stopping, whatever `client_min_messages` says.
    pub fn info(self) {
        self.send(PgLogLevel::INFO);
    }

    /// Tells whoever asked for the first level of debugging messages.
    pub fn debug(self) {
        self.send(PgLogLevel::DEBUG1);
    }

    /// Tells the client without stopping, one level below a warning.
    pub fn notice(self) {
        self.send(PgLogLevel::NOTICE);
    }
}

/// Unwraps a result of the page room, or raises it as an ERROR that names the index.
pub fn checked<T>(index: pg_sys::Relation, result: Result<T, pages::Error>) -> T {
    result.unwrap_or_else(|e| page_error(&rel::name(index), e).error())
}

fn page_error(index: &str, e: pages::Error) -> Report {
    match e {
        pages::Error::Corrupted { blkno, what } => Report::new(
            PgSqlErrorCode::ERRCODE_INDEX_CORRUPTED,
            format!("index \"{index}\" contains a damaged page at block {blkno}"),
        )
        .detail(format!("{}.", sentence(&what)))
        .hint("Please REINDEX it."),
        pages::Error::Version { found, expected } => Report::new(
            PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
            format!("index \"{index}\" has format version {found}, which is not supported"),
        )
        .detail(format!("This version of pgfaiss reads format version {expected}."))
        .hint("Please REINDEX it."),
        pages::Error::Full { n_blocks } => Report::new(
            PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            format!("index \"{index}\" cannot grow beyond {n_blocks} blocks"),
        ),
        pages::Error::Spill(what) => Report::new(
            PgSqlErrorCode::ERRCODE_IO_ERROR,
            format!("could not use a temporary file for index \"{index}\": {what}"),
        ),
        pages::Error::Internal(what) => Report::new(
            PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
            format!("could not build index \"{index}\": {what}"),
        ),
        pages::Error::Workers(what) => {
            Report::new(PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES, what)
        }
    }
}

/// An argument of a function is outside its range: 22023.
pub fn argument_out_of_range(argument: &str, given: impl Display, valid: &str) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        format!("argument \"{argument}\" is out of range: {given}"),
    )
    .detail(format!("Valid values are {valid}."))
    .error()
}

/// An argument that must have a value is null: 22004.
pub fn argument_is_null(argument: &str) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
        format!("argument \"{argument}\" must not be null"),
    )
    .error()
}

/// The operand's dimension differs from the index's: 22000.
pub fn wrong_dimensions(expected: usize, found: usize) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_DATA_EXCEPTION,
        format!("expected {expected} dimensions, not {found}"),
    )
    .error()
}

fn sentence(what: &str) -> String {
    let mut chars = what.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().collect::<String>() + chars.as_str())
}
