//! The server's bitmaps of rows as sets that a scan looks among.

use pages::search::row_set::RowSet;
use pages::tid::Tid;
use pgrx::pg_sys;

use crate::am::interrupts::check_for_interrupts;

/// Rows of a page of a table at most: each takes a header of 23 bytes, aligned, and a line pointer.
pub const HEAP_ROWS_MAX: u16 = (pg_sys::BLCKSZ / (24 + 4)) as u16;

/// Pages between two looks for an interrupt.
const PAGES_AT_ONCE: usize = 1 << 14;

/// Puts all rows of a bitmap into a set.
///
/// # Safety
/// `bitmap` is one that a node of the executor made, and nobody goes over it.
pub unsafe fn copy(bitmap: *mut pg_sys::TIDBitmap, rows: &mut RowSet) {
    let mut n = 0usize;
    let mut each = |page: Page<'_>| {
        match page {
            Page::Whole(blkno) => rows.insert_page(blkno),
            Page::Rows(blkno, offsets) => {
                offsets.iter().for_each(|offset| rows.insert(Tid::new(blkno, *offset)));
            }
        }
        n += 1;
        if n.is_multiple_of(PAGES_AT_ONCE) {
            check_for_interrupts();
        }
    };
    // SAFETY: the caller's promise.
    unsafe { for_each(bitmap, &mut each) }
}

/// A page of a bitmap: its rows, or that it may have any.
enum Page<'a> {
    Whole(u32),
    Rows(u32, &'a [u16]),
}

/// # Safety
/// As [`copy`].
#[cfg(not(feature = "pg18"))]
unsafe fn for_each(bitmap: *mut pg_sys::TIDBitmap, each: &mut dyn FnMut(Page<'_>)) {
    // SAFETY: the caller's promise; a result is valid until the next is asked for, and has as many offsets as it says, or is
    // lossy.
    unsafe {
        let iterator = pg_sys::tbm_begin_iterate(bitmap);
        loop {
            let page = pg_sys::tbm_iterate(iterator);
            if page.is_null() {
                break;
            }
            let blkno = (*page).blockno;
            match usize::try_from((*page).ntuples) {
                Ok(n) => each(Page::Rows(blkno, (*page).offsets.as_slice(n))),
                Err(_) => each(Page::Whole(blkno)),
            }
        }
        pg_sys::tbm_end_iterate(iterator);
    }
}

/// # Safety
/// As [`copy`].
#[cfg(feature = "pg18")]
unsafe fn for_each(bitmap: *mut pg_sys::TIDBitmap, each: &mut dyn FnMut(Page<'_>)) {
    let mut offsets = [0; HEAP_ROWS_MAX as usize];
    let most = offsets.len();
    // SAFETY: the caller's promise; at most `most` offsets are written, and the number of all is returned.
    unsafe {
        let iterator = pg_sys::tbm_begin_private_iterate(bitmap);
        let mut page = std::mem::zeroed::<pg_sys::TBMIterateResult>();
        while pg_sys::tbm_private_iterate(iterator, &mut page) {
            if page.lossy {
                each(Page::Whole(page.blockno));
                continue;
            }
            let n = pg_sys::tbm_extract_page_tuple(&mut page, offsets.as_mut_ptr(), most as u32);
            match offsets.get(..usize::try_from(n).unwrap_or(0)) {
                Some(offsets) => each(Page::Rows(page.blockno, offsets)),
                None => each(Page::Whole(page.blockno)),
            }
        }
        pg_sys::tbm_end_private_iterate(iterator);
    }
}
