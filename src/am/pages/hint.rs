//! Hints: bits that are set in shared buffers under a share lock and without a WAL record.

use std::sync::atomic::{AtomicU8, Ordering};

use pages::page::{BODY_SIZE, BODY_START};
use pages::tid::HINTED;
use pgrx::pg_sys;

/// Sets the bit of hints in these bytes of the body of a page.
///
/// # Safety
/// `buffer` must be pinned and share-locked.
pub unsafe fn set(buffer: pg_sys::Buffer, places: &[usize]) {
    // SAFETY: nobody replaces bytes under the caller's lock; others may set bits of the same bytes at the same time, which
    // the atomic operation allows. Places beyond the body are passed over. The server asks for no more than the share lock;
    // it logs the page if checksums or wal_log_hints want it, and does nothing during recovery.
    unsafe {
        let body = pg_sys::BufferGetPage(buffer).cast::<u8>().add(BODY_START);
        for at in places.iter().filter(|at| **at < BODY_SIZE) {
            AtomicU8::from_ptr(body.add(*at)).fetch_or(HINTED, Ordering::Relaxed);
        }
        pg_sys::MarkBufferDirtyHint(buffer, true);
    }
}
