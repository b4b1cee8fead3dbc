//! How many rows a scan will be asked for: the LIMIT that stands above it.
//!
//! An access method is not told. The executor's nodes know, so a hook looks at them when a query starts and notes which
//! LIMITs stand above which scan; a scan asks when its first row is due, since by then the LIMIT has computed its numbers.
//! The number is advice: a scan that is asked for more rows has to go on.

mod path;
#[cfg(feature = "pg_test")]
mod tests;

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_int;
use std::sync::OnceLock;

use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use pgrx::{PgMemoryContexts, pg_guard, pg_sys};

use self::path::Above;

/// Tells scans apart: the place of the ORDER BY keys that the executor hands to each of its rescans.
type Key = pg_sys::ScanKey;

/// Scans of one query that stand below a LIMIT. Dropped with the memory context of the query's nodes, however the query
/// ends, so what the table below points to is always there.
struct Noted(Vec<Key>);

impl Drop for Noted {
    fn drop(&mut self) {
        // The table is gone when the process ends before the context does.
        let _ = SCANS.try_with(|scans| {
            let mut scans = scans.borrow_mut();
            for key in &self.0 {
                scans.remove(key);
            }
        });
    }
}

thread_local! {
    static SCANS: RefCell<HashMap<Key, Above>> = RefCell::default();
}

/// The hook of a library that was loaded before this one.
static PREVIOUS: OnceLock<pg_sys::ExecutorStart_hook_type> = OnceLock::new();

/// Sets the hook. To be called once, when the library is loaded.
pub fn register() {
    // SAFETY: the server's own thread; libraries are loaded one after the other.
    unsafe {
        if PREVIOUS.set(pg_sys::ExecutorStart_hook).is_ok() {
            pg_sys::ExecutorStart_hook = Some(executor_start);
        }
    }
}

/// The server's ExecutorStart, and a look at the nodes that it made.
///
/// # Safety
/// Called by the server with a query that is to be started.
#[pg_guard]
unsafe extern "C-unwind" fn executor_start(query: *mut pg_sys::QueryDesc, flags: c_int) {
    // SAFETY: the server's own arguments, passed on; a hook of C may raise an error, which must not jump over this frame.
    unsafe {
        match PREVIOUS.get().copied().flatten() {
            Some(previous) => pg_guard_ffi_boundary(|| previous(query, flags)),
            None => pg_sys::standard_ExecutorStart(query, flags),
        }
        if flags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY as c_int == 0 && !(*query).planstate.is_null() {
            note((*query).planstate, (*(*query).estate).es_query_cxt);
        }
    }
}

/// Notes the scans of a query that stand below a LIMIT.
///
/// # Safety
/// The nodes are of a query that was just started, and live in `context`.
unsafe fn note(top: *mut pg_sys::PlanState, context: pg_sys::MemoryContext) {
    // SAFETY: the caller's promise.
    let found = unsafe { path::scans_below_limits(top) };
    if found.is_empty() {
        return;
    }
    let keys = found.iter().map(|(key, _)| *key).collect();
    // From here on the scans are forgotten with the context, so they may become known now.
    PgMemoryContexts::For(context).leak_and_drop_on_delete(Noted(keys));
    SCANS.with_borrow_mut(|scans| scans.extend(found));
}

/// The rows that the LIMITs above a scan want of it, if there are any; where something on the way drops rows, the scan is
/// asked for more. `orderbys` is what the executor gave to the last `amrescan`; to be called when a row is due.
pub fn rows_wanted(orderbys: pg_sys::ScanKey) -> Option<u64> {
    let rows = SCANS.with_borrow(|scans| {
        // SAFETY: the nodes of a query are forgotten before they go.
        scans.get(&orderbys).and_then(|above| unsafe { above.rows_wanted() })
    });
    #[cfg(feature = "pg_test")]
    tests::told(rows);
    rows
}

/// Whether a scan for which [`rows_wanted`] is known will not be asked for more.
pub fn is_all(orderbys: pg_sys::ScanKey) -> bool {
    SCANS.with_borrow(|scans| scans.get(&orderbys).is_some_and(Above::is_all))
}
