//! Pins of a table's pages for the server's own fetches by tid. A fetch looks its page up in the buffer table, unless it has
//! the page pinned already: so the page is pinned for it where this backend found it last.

use std::cell::Cell;
use std::rc::Rc;

use pages::page::{Blkno, INVALID_BLKNO};
use pages::tid::Tid;
use pgrx::pg_sys;

use super::ahead::PageHint;
use crate::am::recent::RecentBuffers;
use crate::am::rel;

/// How many pages are read without a miss until asking the disk for pages is thought useless.
const WARM_AFTER: u32 = 64;

/// What is known of the pages that the fetches of one scan read.
pub struct HeapPins {
    /// Where the blocks of a heap were last found. None for a table of another kind.
    recent: Option<Rc<RecentBuffers>>,
    /// The page that the fetch has pinned; INVALID_BLKNO for none.
    pinned: Cell<Blkno>,
    /// Counts down from WARM_AFTER after each buffer miss.
    cold: Cell<u32>,
}

impl HeapPins {
    /// Of a fetch that has nothing pinned.
    ///
    /// # Safety
    /// `table` must be open.
    pub unsafe fn new(table: pg_sys::Relation, recent: Option<Rc<RecentBuffers>>) -> Self {
        // SAFETY: the caller's promise.
        let is_heap = unsafe { (*table).rd_tableam == pg_sys::GetHeapamTableAmRoutine() };
        let (pinned, cold) = (Cell::new(INVALID_BLKNO), Cell::new(0));
        Self { recent: recent.filter(|_| is_heap), pinned, cold }
    }

    /// Asks disk and memory for the page of a row that is fetched soon.
    ///
    /// # Safety
    /// `table` must be that of `new`, open.
    pub unsafe fn hint(&self, table: pg_sys::Relation, tid: Tid) -> PageHint {
        let recent = self.recent.as_ref().filter(|_| self.cold.get() == 0);
        match recent.and_then(|recent| recent.peek(tid.blkno)) {
            Some(buffer) => PageHint::in_buffer(buffer, tid),
            // SAFETY: the caller's promise.
            None => unsafe { PageHint::new(table, tid) },
        }
    }

    /// Runs `look`, which fetches a row of block `blkno`, with that page pinned already if it is where it was last.
    ///
    /// # Safety
    /// `table` must be that of `new`, open, and `fetch` a fetch of its rows with no other pins than those it got here.
    pub unsafe fn fetch<R>(
        &self,
        table: pg_sys::Relation,
        fetch: *mut pg_sys::IndexFetchTableData,
        blkno: Blkno,
        look: impl FnOnce() -> R,
    ) -> R {
        if self.pinned.get() == blkno {
            return look();
        }
        // SAFETY: the caller's promise; a plain counter of the server.
        let (is_found, misses) =
            unsafe { (self.pin(table, fetch, blkno), pg_sys::pgBufferUsage.shared_blks_read) };
        let result = look();
        if let Some(recent) = self.recent.as_ref().filter(|_| !is_found) {
            // SAFETY: there are places of heaps only, so this is a fetch from a heap; a plain counter.
            let (buffer, is_miss) = unsafe {
                let fetch: *const pg_sys::IndexFetchHeapData = fetch.cast();
                ((*fetch).xs_cbuf, pg_sys::pgBufferUsage.shared_blks_read != misses)
            };
            recent.set(blkno, buffer);
            self.cold.set(if is_miss { WARM_AFTER } else { self.cold.get() });
        }
        self.cold.set(self.cold.get().saturating_sub(1));
        self.pinned.set(blkno);
        result
    }

    /// Pins the page for the fetch where it was last. Not always: to be looked up raises a buffer's usage count, and lets
    /// the server prune the page.
    ///
    /// # Safety
    /// As [`HeapPins::fetch`].
    unsafe fn pin(
        &self,
        table: pg_sys::Relation,
        fetch: *mut pg_sys::IndexFetchTableData,
        blkno: Blkno,
    ) -> bool {
        let Some(buffer) = self.recent.as_ref().and_then(|recent| recent.get(blkno)) else {
            return false;
        };
        let (fork, none) = (pg_sys::ForkNumber::MAIN_FORKNUM, pg_sys::InvalidBuffer as i32);
        let fetch: *mut pg_sys::IndexFetchHeapData = fetch.cast();
        // SAFETY: there are places of heaps only, so this is a fetch from a heap: the pin of `xs_cbuf` is its own, and it
        // releases the one put there. The server checks that the buffer exists and still holds this block before it pins it.
        unsafe {
            let is_found = pg_sys::ReadRecentBuffer(rel::locator(table), fork, blkno, buffer);
            if is_found {
                let before = std::mem::replace(&mut (*fetch).xs_cbuf, buffer);
                if before != none {
                    pg_sys::ReleaseBuffer(before);
                }
            }
            is_found
        }
    }

    /// The fetch let go of its pin.
    pub fn forget(&self) {
        self.pinned.set(INVALID_BLKNO);
    }
}
