//! How many rows the plan above an index scan will ask for.

use pgrx::pg_sys;

/// The rows that the plan node above wants of a scan, if that is known; it may ask for more.
///
/// # Safety
/// `scan` must be a scan that the server has begun.
pub unsafe fn rows_wanted(_scan: pg_sys::IndexScanDesc) -> Option<u64> {
    None
}
