//! Every row of an untrained list with its vector: what a list becomes something else from.

use crate::error::Error;
use crate::ivf::directory;
use crate::ivf::list::{Chain, ListCopy};
use crate::meta::{META_BLKNO, Meta};
use crate::page::{INVALID_BLKNO, PageKind};
use crate::store::Pages;
use crate::tid::Tid;

/// Calls `each` with the tid and the stored bytes of every row of list 0. The caller keeps insert and vacuum out. Holds one
/// share lock at a time, and none while `each` runs.
pub fn for_each_row<P: Pages>(
    pages: &P,
    meta: &Meta,
    mut each: impl FnMut(Tid, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    if meta.coded.is_some() || meta.nlist != 1 {
        return Err(Error::corrupted(META_BLKNO, "index is not a single list of vectors"));
    }
    let mut list = ListCopy::default();
    let mut block = Vec::new();
    let mut blkno = directory::read(pages, meta, 0)?.first;
    let mut chain = Chain::new(blkno);
    while blkno != INVALID_BLKNO {
        list.read(pages, blkno, 0, &meta.layout)?;
        let v = meta.layout.block_vectors;
        for number in 0..list.header.n_blocks {
            let lanes = (list.header.n_slots - number * v).min(v);
            read_block(pages, meta, &list, number, lanes, &mut block)?;
            for (lane, vector) in block.chunks_exact(meta.geometry.vector_size()).enumerate() {
                let tid = list.slots.tid(number * v + lane);
                if !tid.is_free() {
                    each(tid, vector)?;
                }
            }
            pages.breathe();
        }
        if list.header.next != INVALID_BLKNO {
            chain.advance(blkno, list.header.next)?;
        }
        blkno = list.header.next;
    }
    Ok(())
}

/// The bytes of the first `lanes` vectors of a block, one after the other, into `out`.
fn read_block<P: Pages>(
    pages: &P,
    meta: &Meta,
    list: &ListCopy,
    number: usize,
    lanes: usize,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let geometry = &meta.geometry;
    let (size, p) = (geometry.element_size, geometry.block_pages);
    out.clear();
    out.resize(lanes * geometry.vector_size(), 0);
    let blknos = list.blocks.get(number * p..(number + 1) * p).unwrap_or_default();
    for (j, &blkno) in blknos.iter().enumerate() {
        let page = pages.read(blkno)?;
        page.check(blkno, PageKind::Data, 0)?;
        let slice = geometry.slice(j);
        for (lane, vector) in out.chunks_exact_mut(geometry.vector_size()).enumerate() {
            let start = geometry.row_start(j, lane);
            let row = page.body().get(start..start + geometry.row_size(j));
            let to = vector.get_mut(slice.start * size..slice.end * size);
            match (row, to) {
                (Some(row), Some(to)) => to.copy_from_slice(row),
                _ => return Err(Error::corrupted(blkno, "DATA page ends before its rows")),
            }
        }
    }
    Ok(())
}
