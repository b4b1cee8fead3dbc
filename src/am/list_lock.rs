//! Who writes to inverted lists, and who puts another build in their place or makes a graph of them, keep out of each other's
//! way.

use pages::META_BLKNO;
use pgrx::pg_sys;

/// The server's lock on the metapage of lists: inserts and VACUUM share it while they work on them, who replaces them holds it
/// alone. Scans do not need it: the pages stay as long as a scan can stand on them.
pub struct ListLock {
    index: pg_sys::Relation,
    mode: pg_sys::LOCKMODE,
}

impl ListLock {
    /// Waits until nobody replaces the lists of the open index.
    pub fn shared(index: pg_sys::Relation) -> Self {
        let mode = pg_sys::ShareLock as pg_sys::LOCKMODE;
        // SAFETY: an open index; the lock is given back on drop, or when the transaction aborts.
        unsafe { pg_sys::LockPage(index, META_BLKNO, mode) };
        Self { index, mode }
    }

    /// Waits until nobody else is at work on the lists.
    pub fn alone_at_last(index: pg_sys::Relation) -> Self {
        let mode = pg_sys::ExclusiveLock as pg_sys::LOCKMODE;
        // SAFETY: as above.
        unsafe { pg_sys::LockPage(index, META_BLKNO, mode) };
        Self { index, mode }
    }

    /// None if somebody else is at work: a later insert will try again.
    pub fn alone(index: pg_sys::Relation) -> Option<Self> {
        let mode = pg_sys::ExclusiveLock as pg_sys::LOCKMODE;
        // SAFETY: as above.
        let locked = unsafe { pg_sys::ConditionalLockPage(index, META_BLKNO, mode) };
        // Only where it was taken: a value that is dropped gives the lock back.
        locked.then(|| Self { index, mode })
    }
}

impl Drop for ListLock {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: taken in the constructor, and no transaction is being aborted.
            unsafe { pg_sys::UnlockPage(self.index, META_BLKNO, self.mode) };
        }
    }
}
