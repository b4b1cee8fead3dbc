//! Queries of sparse vectors, one after the other: their indexes are graphs.

use pages::search::params::Found;
use pgrx::pg_sys;

use super::single::{order_key, with_settings};
use super::{Emit, Wanted, check_usable, check_wanted, with_scan};
use crate::am::datum::sparse::SparseVarlena;
use crate::am::graph::sparse::query_of;
use crate::am::opclass::opclass_of;
use crate::am::refetch::HeapRows;
use crate::am::rel;
use crate::am::report::wrong_dimensions;
use crate::am::rights;
use crate::am::scan::AskedFor;

/// As [`super::search`], of an index over sparse vectors.
///
/// # Safety
/// As there.
pub unsafe fn search_sparse(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    queries: &[pg_sys::Datum],
    wanted: Wanted,
    emit: Emit<'_>,
) {
    check_wanted(index, &wanted);
    check_usable(index);
    let mut find = || {
        // SAFETY: the caller's promise.
        unsafe {
            with_scan(table, index, |scan| {
                with_settings(&wanted, || each_alone(scan, queries, &wanted, emit));
            });
        }
    };
    if rel::key_column(index).is_none() { rights::as_owner(table, find) } else { find() }
}

/// # Safety
/// `scan` must be a scan with one ordering key, and `queries` values of the indexed type.
unsafe fn each_alone(
    scan: pg_sys::IndexScanDesc,
    queries: &[pg_sys::Datum],
    wanted: &Wanted,
    emit: Emit<'_>,
) {
    // SAFETY: the caller's promise: the scan outlives the rows.
    let (mut rows, index) = unsafe { (HeapRows::new(scan), (*scan).indexRelation) };
    let of = (opclass_of(index).metric, rel::declared_dims(index).unwrap_or(0));
    rows.keep_moved();
    let _asked_for = AskedFor::new(scan, wanted.k as u64, wanted.among.clone());
    for (number, query) in queries.iter().enumerate() {
        // SAFETY: the caller's promise.
        let exact = unsafe { query_of(of, Some(*query)) };
        let mut key = order_key(*query);
        // SAFETY: one ordering key, as the scan was begun with; it is copied.
        unsafe { pg_sys::index_rescan(scan, std::ptr::null_mut(), 0, &mut key, 1) };
        let mut n_left = wanted.k;
        while n_left > 0 {
            // SAFETY: a scan that was started; the tid is copied before the next call.
            let tid = unsafe {
                let forward = pg_sys::ScanDirection::ForwardScanDirection;
                let tid = pg_sys::index_getnext_tid(scan, forward);
                if tid.is_null() {
                    break;
                }
                rel::tid_of(tid)
            };
            let distance = rows.value(tid, |value, memory| {
                // SAFETY: a value of the indexed type, alive during the call; what has to be expanded goes with the row.
                let row = unsafe {
                    let caller = pg_sys::MemoryContextSwitchTo(memory);
                    let row = SparseVarlena::from_datum(value);
                    pg_sys::MemoryContextSwitchTo(caller);
                    row
                };
                if row.dims() != of.1 {
                    wrong_dimensions(of.1, row.dims());
                }
                exact.distance_of(exact.exact(row.elements()))
            });
            // What the executor would say of it. The next call of the access method asks.
            // SAFETY: the caller's scan.
            unsafe { (*scan).kill_prior_tuple = rows.was_dead() };
            if let Some(distance) = distance {
                emit(number, Found { tid: rows.version_of(tid), distance });
                n_left -= 1;
            }
        }
        rows.rest();
    }
    rows.end();
}
