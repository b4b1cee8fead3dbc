//! Where a backend last found each block of an index in shared buffers. Looking a block up in the
//! buffer table costs a hash, a partition lock and several cache misses; trying the old place costs
//! one compare. A place that is no longer right is noticed by the server and looked up anew.

use std::cell::RefCell;

use pages::Blkno;
use pgrx::pg_sys;

/// Blocks remembered at most: 4 MB of memory for 8 GB of index.
const BLOCKS_MAX: usize = 1 << 20;

/// The buffer of each block, 0 = not seen yet.
#[derive(Default)]
pub struct RecentBuffers(RefCell<Vec<pg_sys::Buffer>>);

impl RecentBuffers {
    /// Where `blkno` was last, if it was seen.
    pub fn get(&self, blkno: Blkno) -> Option<pg_sys::Buffer> {
        self.0.borrow().get(blkno as usize).copied().filter(|&buffer| buffer != 0)
    }

    /// Remembers that `blkno` is in `buffer`.
    pub fn set(&self, blkno: Blkno, buffer: pg_sys::Buffer) {
        let at = blkno as usize;
        if at >= BLOCKS_MAX {
            return;
        }
        let mut buffers = self.0.borrow_mut();
        if at >= buffers.len() {
            buffers.resize(at + 1, 0);
        }
        if let Some(place) = buffers.get_mut(at) {
            *place = buffer;
        }
    }
}
