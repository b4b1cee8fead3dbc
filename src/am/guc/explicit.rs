//! Which settings of searches somebody has set for this session, and to what: what a search of other servers takes along.

use std::ffi::CStr;

use pgrx::pg_sys;

use super::{EF_SEARCH, ITERATIVE_SCAN, K_FACTOR, MAX_SCAN_TUPLES, NPROBE, RECALL_TARGET};

/// Name and value of every `faiss.*` setting of a scan that was set for the database, the role, the connection, the session
/// or the transaction. What the configuration file says holds for its own server only.
pub fn explicit_settings() -> Vec<(String, String)> {
    let all = [
        (c"faiss.recall_target", RECALL_TARGET.is_explicit()),
        (c"faiss.nprobe", NPROBE.is_explicit()),
        (c"faiss.efSearch", EF_SEARCH.is_explicit()),
        (c"faiss.k_factor", K_FACTOR.is_explicit()),
        (c"faiss.iterative_scan", ITERATIVE_SCAN.is_explicit()),
        (c"faiss.max_scan_tuples", MAX_SCAN_TUPLES.is_explicit()),
    ];
    let set = all.into_iter().filter(|(_, is_explicit)| *is_explicit);
    set.map(|(name, _)| (name.to_string_lossy().into_owned(), value_of(name))).collect()
}

/// The value as SHOW prints it.
fn value_of(name: &CStr) -> String {
    // SAFETY: a NUL-terminated name; with missing_ok the answer is null or a NUL-terminated string that is copied at once.
    unsafe {
        let value = pg_sys::GetConfigOption(name.as_ptr(), true, false);
        if value.is_null() {
            return String::new();
        }
        CStr::from_ptr(value).to_string_lossy().into_owned()
    }
}
