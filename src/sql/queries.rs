//! Queries given as an array of the index's own type, whichever extension defines that.

use std::ffi::CStr;

use pgrx::{PgSqlErrorCode, pg_sys};

use super::array::FlatArray;
use super::error::SqlError;
use super::open_index::OpenIndex;
use crate::am::rel;
use crate::am::report::Report;

/// The elements of an `anyarray` argument, values of the type that the operator class of `index` is for.
///
/// Errors: 42804 for another type, 22000 for more than one dimension, 22004 for NULL.
///
/// # Safety
/// `queries` is a non-null array; the result lives as long as it and the current memory context.
pub unsafe fn queries_of(
    index: &OpenIndex,
    queries: pg_sys::Datum,
) -> Result<Vec<pg_sys::Datum>, SqlError> {
    // SAFETY: the caller's promise.
    let array = unsafe { FlatArray::from_datum(queries)? };
    // SAFETY: an open index has the type of its key column's operator class; the rest looks up catalogs.
    let (indexed, given) =
        unsafe { (*(*index.rel).rd_opcintype, pg_sys::getBaseType(array.element_type())) };
    if indexed != given {
        other_type(index, indexed, given);
    }
    Ok(array.datums())
}

fn other_type(index: &OpenIndex, indexed: pg_sys::Oid, given: pg_sys::Oid) -> ! {
    // SAFETY: answers with a NUL-terminated copy for every OID.
    let name = |oid| unsafe { CStr::from_ptr(pg_sys::format_type_be(oid)).to_string_lossy() };
    let (index, indexed, given) = (rel::name(index.rel), name(indexed), name(given));
    Report::new(
        PgSqlErrorCode::ERRCODE_DATATYPE_MISMATCH,
        format!("index \"{index}\" is over {indexed}, the queries are of type {given}"),
    )
    .hint(format!("Cast the queries to {indexed}[]."))
    .error()
}
