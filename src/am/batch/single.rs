//! One query after the other, each a scan of the index: for access methods that many queries cannot go over together, and for
//! searches among some rows, for which each query goes as far as it must.

use std::ffi::CString;

use pages::search::exact::ExactQuery;
use pages::search::params::Found;
use pgrx::pg_sys;

use super::{Emit, Wanted, elements_of};
use crate::am::opclass::{ORDER_STRATEGY, opclass_of};
use crate::am::refetch::HeapRows;
use crate::am::rel;
use crate::am::rights::{at_own_level, set_for_level};
use crate::am::scan::AskedFor;
use crate::am::value::Column;

/// Finds the k nearest visible rows of each query, with the settings that are wanted.
///
/// # Safety
/// `scan` must be a scan with one ordering key, and `queries` vectors of `E`, the indexed type.
pub unsafe fn search<E: Column>(
    scan: pg_sys::IndexScanDesc,
    queries: &[pg_sys::Datum],
    wanted: &Wanted,
    emit: Emit<'_>,
) {
    // SAFETY: the caller's promise.
    with_settings(wanted, || unsafe { each_alone::<E>(scan, queries, wanted, emit) });
}

/// Does `work` under the settings that are wanted.
pub fn with_settings(wanted: &Wanted, work: impl FnOnce()) {
    at_own_level(|| {
        for (name, value) in [
            (c"faiss.efSearch", wanted.ef_search),
            (c"faiss.nprobe", wanted.nprobe),
            (c"faiss.k_factor", wanted.k_factor),
        ] {
            if let Some(value) = value.and_then(|value| CString::new(value.to_string()).ok()) {
                set_for_level(name, &value);
            }
        }
        work();
    });
}

/// # Safety
/// As [`search`].
unsafe fn each_alone<E: Column>(
    scan: pg_sys::IndexScanDesc,
    queries: &[pg_sys::Datum],
    wanted: &Wanted,
    emit: Emit<'_>,
) {
    // SAFETY: the caller's promise: the scan outlives the rows.
    let (mut rows, index) = unsafe { (HeapRows::new(scan), (*scan).indexRelation) };
    let metric = opclass_of(index).metric;
    let dims = rel::declared_dims(index);
    rows.keep_moved();
    let _asked_for = AskedFor::new(scan, wanted.k as u64, wanted.among.clone());
    for (number, query) in queries.iter().enumerate() {
        // SAFETY: the caller's promise.
        let elements = unsafe { elements_of::<E>(*query, dims) };
        let exact = ExactQuery::new(metric, &elements);
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
            let distance =
                rows.fetch(tid, elements.len(), |row: &[E]| exact.distance_of(exact.key(row)));
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

/// `ORDER BY column operator query`.
pub fn order_key(query: pg_sys::Datum) -> pg_sys::ScanKeyData {
    pg_sys::ScanKeyData {
        sk_flags: pg_sys::SK_ORDER_BY as i32,
        sk_attno: 1,
        sk_strategy: ORDER_STRATEGY,
        sk_argument: query,
        ..pg_sys::ScanKeyData::default()
    }
}
