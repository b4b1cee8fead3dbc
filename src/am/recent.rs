//! Where a backend last found each block of an index, or of its table, in shared buffers. Looking a block up in the
//! buffer table costs a hash, a partition lock and several cache misses; trying the old place costs
//! one compare. A place that is no longer right is noticed by the server and looked up anew.

use std::cell::{Cell, RefCell};

use pages::Blkno;
use pgrx::pg_sys;

/// Blocks remembered at most: 4 MB of memory for 8 GB.
const BLOCKS_MAX: usize = 1 << 20;

/// One access in this many goes through the buffer table all the same: only that raises the buffer's
/// usage count, without which the clock sweep would take the busiest pages for idle ones.
const COUNTED_EVERY: u32 = 32;

/// The buffer of each block, 0 = not seen yet.
#[derive(Default)]
pub struct RecentBuffers {
    buffers: RefCell<Vec<pg_sys::Buffer>>,
    accesses: Cell<u32>,
}

impl RecentBuffers {
    /// Where `blkno` was last, if it was seen and this access need not be counted.
    pub fn get(&self, blkno: Blkno) -> Option<pg_sys::Buffer> {
        let n = self.accesses.get().wrapping_add(1);
        self.accesses.set(n);
        if n.is_multiple_of(COUNTED_EVERY) {
            return None;
        }
        self.buffers.borrow().get(blkno as usize).copied().filter(|&buffer| buffer != 0)
    }

    /// Where `blkno` was last, to be looked at and no more.
    pub fn peek(&self, blkno: Blkno) -> Option<pg_sys::Buffer> {
        self.buffers.borrow().get(blkno as usize).copied().filter(|&buffer| buffer != 0)
    }

    /// Remembers that `blkno` is in `buffer`.
    pub fn set(&self, blkno: Blkno, buffer: pg_sys::Buffer) {
        let at = blkno as usize;
        if at >= BLOCKS_MAX {
            return;
        }
        let mut buffers = self.buffers.borrow_mut();
        if at >= buffers.len() {
            buffers.resize(at + 1, 0);
        }
        if let Some(place) = buffers.get_mut(at) {
            *place = buffer;
        }
    }
}
