//! Every row of an untrained list with its vector: what a list becomes something else from.

use crate::ahead::Ahead;
use crate::error::Error;
use crate::lists::heads::Heads;
use crate::lists::locate::ListVectors;
use crate::lists::meta::Meta;
use crate::lists::overflow::Overflow;
use crate::lists::walk::Extents;
use crate::page::META_BLKNO;
use crate::search::exact::StoredRows;
use crate::store::Pages;
use crate::tid::Tid;

/// Blocks of entries that are looked at together.
const STRETCH: usize = 42;

/// Calls `each` with the tid and the stored bytes of every row of list 0. The caller keeps insert and vacuum out. Holds one
/// share lock while `each` runs: it must not touch pages.
pub fn for_each_row<P: Pages>(
    pages: &P,
    meta: &Meta,
    mut each: impl FnMut(Tid, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    if meta.is_trained() {
        return Err(Error::corrupted(META_BLKNO, "index is not a single list of vectors"));
    }
    let lists = &meta.lists;
    let mut heads = Heads::default();
    let mut overflow = Overflow::default();
    let mut extents = Extents::open(pages, lists, 0)?;
    while let Some(extent) = extents.next(&mut overflow)? {
        for stretch in extent.stretches(STRETCH) {
            heads.read(&mut Ahead::new(pages), &stretch, &lists.layout, false, None)?;
            let rows: Vec<(Tid, u64)> = (0..heads.len())
                .filter_map(|slot| Some((heads.tid(slot)?, heads.place(slot))))
                .collect();
            show(pages, meta, &rows, &mut each)?;
        }
    }
    Ok(())
}

/// Shows the vectors of some rows.
fn show<P: Pages>(
    pages: &P,
    meta: &Meta,
    rows: &[(Tid, u64)],
    each: &mut impl FnMut(Tid, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut result = Ok(());
    let mut look = |i: usize, vector: &[u8]| {
        if let Some((tid, _)) = rows.get(i).filter(|_| result.is_ok()) {
            result = each(*tid, vector);
        }
    };
    let places = ListVectors::of(&meta.lists);
    let at = |row: &(Tid, u64)| row.1;
    match meta.lists.layout.vectors.map(|g| g.element_size) {
        Some(4) => StoredRows::at(pages, places, ())?
            .visit(rows, at, |i, row: &[u32]| look(i, bytemuck::cast_slice(row)))?,
        Some(2) => StoredRows::at(pages, places, ())?
            .visit(rows, at, |i, row: &[u16]| look(i, bytemuck::cast_slice(row)))?,
        _ => StoredRows::at(pages, places, ())?.visit(rows, at, |i, row: &[u8]| look(i, row))?,
    }
    result
}
