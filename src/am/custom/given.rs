//! What a scan of an index is given by the node above it, and how it finds the node.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use pages::search::row_set::RowSet;
use pgrx::{PgMemoryContexts, pg_sys};

use super::exec::{self, FilteredScan};

/// Tells scans apart, as for the LIMITs above them: the place of their ORDER BY keys.
type Key = pg_sys::ScanKey;

/// What a scan is given.
#[derive(Default)]
pub struct Given {
    /// The rows to look among.
    pub rows: Option<Arc<RowSet>>,
    /// The largest distance that is wanted; `Some(None)` if no distance is.
    pub bound: Option<Option<f64>>,
}

/// A scan with a node above it. Dropped with the memory context of the query, however it ends.
struct Noted(Key);

impl Drop for Noted {
    fn drop(&mut self) {
        // The table is gone when the process ends before the context does.
        let _ = NODES.try_with(|nodes| nodes.borrow_mut().remove(&self.0));
    }
}

thread_local! {
    static NODES: RefCell<HashMap<Key, *mut FilteredScan>> = RefCell::default();
}

/// Makes a node known as that above the scan with these ORDER BY keys.
///
/// # Safety
/// Node and keys live as long as `context`.
pub unsafe fn note(context: pg_sys::MemoryContext, key: Key, node: *mut FilteredScan) {
    PgMemoryContexts::For(context).leak_and_drop_on_delete(Noted(key));
    NODES.with_borrow_mut(|nodes| nodes.insert(key, node));
}

/// What the scan with these ORDER BY keys is given. To be asked when its first row is due.
pub fn given(key: Key) -> Given {
    let node = NODES.with_borrow(|nodes| nodes.get(&key).copied());
    // SAFETY: a node is forgotten before it goes; its scan is asked for a row, so the node runs.
    node.map(|node| unsafe { exec::give(node) }).unwrap_or_default()
}
