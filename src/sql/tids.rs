//! An array of tids as the set of rows that a search looks among.

use std::sync::Arc;

use pages::search::row_set::RowSet;
use pages::tid::Tid;
use pgrx::itemptr::item_pointer_get_both;
use pgrx::pg_sys;

use super::array::FlatArray;
use super::error::SqlError;
use crate::am::guc;
use crate::am::interrupts::check_for_interrupts;
use crate::am::pages::roots::roots_of;
use crate::am::rel;

/// The rows of `table` that a `tid[]` names. Indexes know a row by the first version of its chain on a page; a program knows it
/// by the one it saw. Tids of no row are left out, since whoever searches finds rows only.
///
/// Errors: as [`FlatArray::from_datum`].
///
/// # Safety
/// `tids` is a non-null value of type `tid[]`, and `table` is open and locked.
pub unsafe fn rows_of(
    table: pg_sys::Relation,
    tids: pg_sys::Datum,
) -> Result<Arc<RowSet>, SqlError> {
    // SAFETY: the caller's promise: the elements are pointers to item pointers.
    let mut all: Vec<Tid> = unsafe {
        let array = FlatArray::from_datum(tids)?;
        let both = |tid: pg_sys::Datum| item_pointer_get_both(*tid.cast_mut_ptr());
        let tids = array.datums().into_iter().map(both);
        tids.map(|(blkno, offset)| Tid::new(blkno, offset)).collect()
    };
    all.sort_unstable();
    let n_blocks = rel::n_blocks(table);
    let mut rows = RowSet::new(n_blocks, guc::work_mem());
    for page in all.chunk_by(|a, b| a.blkno == b.blkno) {
        let Some(blkno) = page.first().map(|tid| tid.blkno).filter(|blkno| *blkno < n_blocks)
        else {
            continue;
        };
        // SAFETY: a page of the open table.
        let roots = unsafe { roots_of(table, blkno) };
        for tid in page {
            let root = roots.get(usize::from(tid.offset).wrapping_sub(1)).copied().unwrap_or(0);
            if root != 0 {
                rows.insert(Tid::new(blkno, root));
            }
        }
        check_for_interrupts();
    }
    Ok(Arc::new(rows))
}
