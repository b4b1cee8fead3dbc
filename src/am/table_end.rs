//! Refuses tids beyond the end of the table: only damage leads there, and the table's own error would
//! not say that it is the index's.

use pages::tid::Tid;
use pgrx::{PgSqlErrorCode, pg_sys};

use super::rel;
use super::report::Report;

/// How far the table of a scan reaches, as far as was asked yet. While the scan holds its lock the
/// table can only grow.
#[derive(Default)]
pub struct TableEnd {
    n_blocks: u32,
}

impl TableEnd {
    /// Raises XX002 if no row can be at `tid`.
    ///
    /// # Safety
    /// `scan` must be a scan whose table, if it has one, is open.
    pub unsafe fn require(&mut self, scan: pg_sys::IndexScanDesc, tid: Tid) {
        if tid.blkno < self.n_blocks {
            return;
        }
        // SAFETY: the caller's promise.
        let (heap, index) = unsafe { ((*scan).heapRelation, (*scan).indexRelation) };
        if heap.is_null() {
            return;
        }
        // SAFETY: an open relation.
        self.n_blocks = unsafe {
            pg_sys::RelationGetNumberOfBlocksInFork(heap, pg_sys::ForkNumber::MAIN_FORKNUM)
        };
        if tid.blkno >= self.n_blocks {
            beyond(heap, index, tid, self.n_blocks);
        }
    }
}

fn beyond(heap: pg_sys::Relation, index: pg_sys::Relation, tid: Tid, n_blocks: u32) -> ! {
    let (table, name) = (rel::name(heap), rel::name(index));
    Report::new(
        PgSqlErrorCode::ERRCODE_INDEX_CORRUPTED,
        format!("index \"{name}\" points beyond the end of table \"{table}\""),
    )
    .detail(format!("The row would be at {tid}, and the table has {n_blocks} blocks."))
    .hint("Please REINDEX it.")
    .error()
}
