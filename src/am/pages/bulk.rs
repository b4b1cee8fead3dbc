//! Pages of a new index, written once.

use std::ffi::c_int;

use pages::Error;
use pages::page::{Blkno, INVALID_BLKNO, Page};
use pages::store::BulkPages;
use pgrx::pg_sys;
use pgrx::pg_sys::ForkNumber::Type as Fork;

use super::logged::needs_wal;
use super::{LockBuffer, UnlockReleaseBuffer};
use crate::am::interrupts::check_for_interrupts;

/// Pages of an index that nobody else can see yet (CREATE INDEX, REINDEX, init fork): appended
/// once, each logged whole as it is written.
pub struct PgBulk {
    rel: pg_sys::Relation,
    fork: Fork,
    strategy: pg_sys::BufferAccessStrategy,
    logged: bool,
}

impl PgBulk {
    /// # Safety
    /// `rel` must be an open index without pages in `fork`, locked against everybody else, and
    /// outlive the result.
    pub unsafe fn new(rel: pg_sys::Relation, fork: Fork) -> Self {
        let init = fork == pg_sys::ForkNumber::INIT_FORKNUM;
        let kind = pg_sys::BufferAccessStrategyType::BAS_BULKWRITE;
        // SAFETY: an open relation; the init fork of an unlogged one is logged always.
        let (strategy, logged) =
            unsafe { (pg_sys::GetAccessStrategy(kind), init || needs_wal(rel)) };
        Self { rel, fork, strategy, logged }
    }

    fn put(&self, blkno: Blkno, page: &Page) -> Blkno {
        // SAFETY: the relation is open and ours alone; the buffer is pinned and locked while its
        // BLCKSZ bytes are overwritten, marked and logged in one critical section.
        unsafe {
            let mode = pg_sys::ReadBufferMode::RBM_NORMAL;
            let buffer =
                pg_sys::ReadBufferExtended(self.rel, self.fork, blkno, mode, self.strategy);
            LockBuffer(buffer, pg_sys::BUFFER_LOCK_EXCLUSIVE as c_int);
            pg_sys::CritSectionCount += 1;
            let to = pg_sys::BufferGetPage(buffer).cast::<Page>();
            std::ptr::copy_nonoverlapping(page, to, 1);
            pg_sys::MarkBufferDirty(buffer);
            if self.logged {
                pg_sys::log_newpage_buffer(buffer, true);
            }
            pg_sys::CritSectionCount -= 1;
            let blkno = pg_sys::BufferGetBlockNumber(buffer);
            UnlockReleaseBuffer(buffer);
            blkno
        }
    }
}

impl BulkPages for PgBulk {
    fn append(&mut self, page: &Page) -> Result<Blkno, Error> {
        check_for_interrupts();
        Ok(self.put(INVALID_BLKNO, page))
    }

    fn replace(&mut self, blkno: Blkno, page: &Page) -> Result<(), Error> {
        self.put(blkno, page);
        Ok(())
    }
}
