//! The rows of a set-returning function, collected in a tuplestore, which spills to disk beyond `work_mem`.

use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::{self, Datum, FunctionCallInfo};

use crate::am::report::Report;

/// Where rows go; the server takes them over when the function returns.
pub struct RowStore {
    store: *mut pg_sys::Tuplestorestate,
    descriptor: pg_sys::TupleDesc,
}

impl RowStore {
    /// Readies the call for rows. 0A000 where the query cannot take a set.
    ///
    /// # Safety
    /// `fcinfo` must be a call by the server of a function declared to return a table.
    pub unsafe fn new(fcinfo: FunctionCallInfo) -> Self {
        // SAFETY: resultinfo is null or a node; the server says in it whether and how it takes a set, and its
        // per-query memory lives until it has read the rows.
        unsafe {
            let info = (*fcinfo).resultinfo.cast::<pg_sys::ReturnSetInfo>();
            let materialize = pg_sys::SetFunctionReturnMode::SFRM_Materialize;
            let takes_a_set = !info.is_null()
                && (*info).type_ == pg_sys::NodeTag::T_ReturnSetInfo
                && (*info).allowedModes as u32 & materialize != 0;
            if !takes_a_set {
                Report::new(
                    PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
                    "set-valued function called in context that cannot accept a set",
                )
                .error();
            }
            let caller = pg_sys::MemoryContextSwitchTo((*(*info).econtext).ecxt_per_query_memory);
            let mut descriptor = std::ptr::null_mut();
            pg_sys::get_call_result_type(fcinfo, std::ptr::null_mut(), &mut descriptor);
            let again = pg_sys::SetFunctionReturnMode::SFRM_Materialize_Random;
            let random_access = (*info).allowedModes as u32 & again != 0;
            let store = pg_sys::tuplestore_begin_heap(random_access, false, pg_sys::work_mem);
            (*info).returnMode = materialize;
            (*info).setResult = store;
            (*info).setDesc = descriptor;
            pg_sys::MemoryContextSwitchTo(caller);
            Self { store, descriptor }
        }
    }

    /// Appends a row, copied. `values` are as many as the declared columns and of their types; None is NULL.
    pub fn put<const N: usize>(&mut self, values: [Option<Datum>; N]) {
        let mut nulls = values.map(|value| value.is_none());
        let mut values = values.map(|value| value.unwrap_or(Datum::null()));
        // SAFETY: both arrays are as long as the descriptor has columns.
        unsafe {
            pg_sys::tuplestore_putvalues(
                self.store,
                self.descriptor,
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
            );
        }
    }
}
