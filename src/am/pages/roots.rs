//! By which line pointer indexes know the rows of a table's page: that of the first version of each chain.

use std::ffi::c_int;

use pgrx::pg_sys;

use crate::am::custom::HEAP_ROWS_MAX;

/// Of each line pointer of a page the one by which indexes know its row; 0 where there is none.
///
/// # Safety
/// `table` is open and locked, and has the page.
pub unsafe fn roots_of(table: pg_sys::Relation, blkno: u32) -> [u16; HEAP_ROWS_MAX as usize] {
    let mut roots = [0; HEAP_ROWS_MAX as usize];
    // SAFETY: the caller's promise; the server writes a root for each line pointer that a page can have, under a share lock.
    unsafe {
        let buffer = pg_sys::ReadBuffer(table, blkno);
        pg_sys::LockBuffer(buffer, pg_sys::BUFFER_LOCK_SHARE as c_int);
        pg_sys::heap_get_root_tuples(pg_sys::BufferGetPage(buffer), roots.as_mut_ptr());
        pg_sys::UnlockReleaseBuffer(buffer);
    }
    roots
}
