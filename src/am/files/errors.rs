//! What a user reads of a file that gives no result.

use faissfile::Error;
use pgrx::PgSqlErrorCode;

use crate::am::report::Report;

/// Raises 22P03 for bytes that are no such file, 22023 for an index that has no counterpart here, 54000 for what is too large.
pub fn raise(error: Error) -> ! {
    file_error(error).error()
}

/// The report that `raise` raises.
pub fn file_error(error: Error) -> Report {
    match error {
        Error::Damaged { code, at, what } => Report::new(
            PgSqlErrorCode::ERRCODE_INVALID_BINARY_REPRESENTATION,
            format!("FAISS file is damaged at byte {at}, in \"{code}\""),
        )
        .detail(format!("{}.", sentence(&what)))
        .hint("Write it again with faiss.write_index, and copy all of it."),
        Error::Unsupported { code, at, what, hint } => Report::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("FAISS index \"{code}\" at byte {at} cannot be used"),
        )
        .detail(format!("{}.", sentence(&what)))
        .hint(hint),
        Error::TooLarge { what } => Report::new(
            PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            format!("FAISS file has more than is possible here: {what}"),
        )
        .detail("Vectors have at most 16000 dimensions, models at most 65536 lists and 480 MB."),
        Error::Source(what) => Report::new(
            PgSqlErrorCode::ERRCODE_IO_ERROR,
            format!("could not read FAISS file: {what}"),
        ),
    }
}

fn sentence(what: &str) -> String {
    let mut chars = what.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().collect::<String>() + chars.as_str())
}
