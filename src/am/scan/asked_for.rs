//! What a program asks of a scan that it begins itself, without a plan above it.

use std::cell::RefCell;
use std::sync::Arc;

use pages::search::row_set::RowSet;
use pgrx::pg_sys;

/// What one scan is asked for. Another that begins meanwhile, in a function that an index expression calls, is not meant.
struct Asked {
    scan: pg_sys::IndexScanDesc,
    rows: u64,
    among: Option<Arc<RowSet>>,
}

thread_local! {
    static ASKED: RefCell<Option<Asked>> = const { RefCell::new(None) };
}

/// While it lives, a scan is asked for this many rows, and no plan stands above it.
pub struct AskedFor(());

impl AskedFor {
    /// The scan is asked for `rows`, of those in a set if there is one.
    pub fn new(scan: pg_sys::IndexScanDesc, rows: u64, among: Option<Arc<RowSet>>) -> Self {
        ASKED.set(Some(Asked { scan, rows, among }));
        Self(())
    }
}

impl Drop for AskedFor {
    fn drop(&mut self) {
        ASKED.set(None);
    }
}

/// How many rows a scan is asked for.
pub fn rows(scan: pg_sys::IndexScanDesc) -> Option<u64> {
    let is_meant = |asked: &&Asked| asked.scan == scan;
    ASKED.with_borrow(|asked| asked.as_ref().filter(is_meant).map(|asked| asked.rows))
}

/// The rows that a scan is to look among.
pub fn among(scan: pg_sys::IndexScanDesc) -> Option<Arc<RowSet>> {
    let is_meant = |asked: &&Asked| asked.scan == scan;
    ASKED.with_borrow(|asked| asked.as_ref().filter(is_meant).and_then(|asked| asked.among.clone()))
}
