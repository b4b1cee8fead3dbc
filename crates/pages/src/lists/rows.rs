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

/// A row of a list.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Where it is in the table.
    pub tid: Tid,
    /// Its attributes, as an insert takes them.
    pub attributes: &'a [u8],
    /// Its vector as it is stored.
    pub vector: &'a [u8],
}

/// Calls `each` with every row of list 0. The caller keeps insert and vacuum out. Holds one share lock while `each` runs: it must
/// not touch pages.
pub fn for_each_row<P: Pages>(
    pages: &P,
    meta: &Meta,
    mut each: impl FnMut(Row<'_>) -> Result<(), Error>,
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
            let mut attributes = Vec::new();
            let mut row = |slot| {
                let tid = heads.tid(slot)?;
                heads.append_attributes(slot, &lists.params.attributes, &mut attributes);
                Some((tid, heads.place(slot)))
            };
            let rows: Vec<(Tid, u64)> = (0..heads.len()).filter_map(&mut row).collect();
            show(pages, meta, (&rows, &attributes), &mut each)?;
        }
    }
    Ok(())
}

/// Shows the vectors of some rows.
fn show<P: Pages>(
    pages: &P,
    meta: &Meta,
    (rows, attributes): (&[(Tid, u64)], &[u8]),
    each: &mut impl FnMut(Row<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut result = Ok(());
    let size = meta.lists.params.attributes.entry_size();
    let mut look = |i: usize, vector: &[u8]| {
        if let Some((tid, _)) = rows.get(i).filter(|_| result.is_ok()) {
            let attributes = attributes.get(i * size..(i + 1) * size).unwrap_or_default();
            result = each(Row { tid: *tid, attributes, vector });
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
