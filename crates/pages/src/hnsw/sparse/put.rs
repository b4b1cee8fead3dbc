//! A place for a new row. The row is written before its node: a crash between the two leaves a row of nobody, which VACUUM
//! finds.

use super::page::{SparsePage, fill, init};
use super::{RowAt, bytes_of};
use crate::error::Error;
use crate::hnsw::View;
use crate::hnsw::entry::Entry;
use crate::page::{Blkno, INVALID_BLKNO};
use crate::store::Pages;
use ann::kernels::sparse::Sparse;

/// How often an insert looks again where others have taken the room it saw. They have got on then.
const ROUNDS_MAX: usize = 1000;

/// Puts the row of a node where there is room: on pages that VACUUM freed rows of, on the newest page, on a new one. The
/// caller holds the node's NODES page; locks one SPARSE page, or ENTRY and a new page.
pub(in crate::hnsw) fn put<P: Pages>(
    pages: &P,
    view: &View<'_>,
    node: u32,
    row: Sparse<'_>,
) -> Result<RowAt, Error> {
    let mut stored = Vec::new();
    bytes_of(row, &mut stored);
    for _ in 0..ROUNDS_MAX {
        let entry = Entry::read(pages, view.meta)?;
        if entry.sparse_room != INVALID_BLKNO {
            let (at, prev) = put_on(pages, entry.sparse_room, node, &stored, row.indices.len())?;
            if let Some(at) = at {
                return Ok(at);
            }
            Entry::change(pages, view.meta, |now| match now.sparse_room == entry.sparse_room {
                true => Entry { sparse_room: prev, ..now },
                false => now,
            })?;
            continue;
        }
        if entry.sparse_last != INVALID_BLKNO
            && let (Some(at), _) =
                put_on(pages, entry.sparse_last, node, &stored, row.indices.len())?
        {
            return Ok(at);
        }
        if let Some(at) = put_on_new(pages, view, entry.sparse_last, node, &stored)? {
            return Ok(at);
        }
    }
    Err(Error::corrupted(view.meta.entry_blkno, "leads to SPARSE pages without room"))
}

/// None where the page has no room for the row; and the page before it.
fn put_on<P: Pages>(
    pages: &P,
    blkno: Blkno,
    node: u32,
    stored: &[u8],
    n: usize,
) -> Result<(Option<RowAt>, Blkno), Error> {
    let mut page = pages.lock(blkno)?;
    let found = SparsePage::new(&page, blkno)?;
    let (slot, prev) = (found.free_slot(n), found.prev);
    let Some(slot) = slot else { return Ok((None, prev)) };
    pages.edit(&mut [&mut page], |images| {
        images.iter_mut().for_each(|page| fill(page, slot, node, stored));
        Ok(())
    })?;
    Ok((Some(RowAt { blkno, slot: slot as u16 }), prev))
}

/// None where somebody else has made a page after `last`.
fn put_on_new<P: Pages>(
    pages: &P,
    view: &View<'_>,
    last: Blkno,
    node: u32,
    stored: &[u8],
) -> Result<Option<RowAt>, Error> {
    let blkno = view.meta.entry_blkno;
    let mut page = pages.lock(blkno)?;
    let entry = Entry::decode(&page, blkno)?;
    if entry.sparse_last != last {
        return Ok(None);
    }
    let mut new = pages.allocate()?;
    let sparse_last = pages.blkno(&new);
    pages.edit(&mut [&mut page, &mut new], |images| {
        if let [page, new] = images {
            init(new, last);
            fill(new, 0, node, stored);
            Entry { sparse_last, ..entry }.put(page);
        }
        Ok(())
    })?;
    Ok(Some(RowAt { blkno: sparse_last, slot: 0 }))
}
