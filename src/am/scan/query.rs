//! What a scan looks for: the query's components.

use pages::search::params::{Iterative, SearchParams};
use pgrx::{PgSqlErrorCode, pg_sys};

use crate::am::report::Report;
use crate::am::value::{Column, Value};

/// How to search. Every distance to NULL is NULL: all rows are equally near, so none may be left out because it comes late.
pub fn params_of(value: Option<pg_sys::Datum>, params: SearchParams) -> SearchParams {
    match params.iterative {
        Iterative::Strict if value.is_none() => {
            SearchParams { iterative: Iterative::Relaxed, ..params }
        }
        _ => params,
    }
}

/// The query's components, and how to search: zeros for NULL.
///
/// # Safety
/// `value` must be a vector of element type `E`.
pub unsafe fn query_of<E: Column>(
    dims: usize,
    value: Option<pg_sys::Datum>,
    params: SearchParams,
) -> (Vec<f32>, SearchParams) {
    let params = params_of(value, params);
    let Some(value) = value else { return (vec![0.0; dims], params) };
    // SAFETY: the ordering operator's right argument has the type of the operator class.
    let vector = unsafe { E::read(value) };
    if vector.dims() != dims {
        different_dimensions::<E>(dims, vector.dims());
    }
    (E::widened(vector.elements(), dims), params)
}

/// The operator's own error: the index must not change what a query with a wrong operand says.
pub fn different_dimensions<E: Column>(index: usize, query: usize) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_DATA_EXCEPTION,
        format!("different {} {index} and {query}", E::DIFFER_IN),
    )
    .error()
}
