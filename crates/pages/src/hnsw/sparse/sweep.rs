//! Rows of nobody leave: those of nodes that are gone, and those that an insert wrote whose node never came.

use super::RowAt;
use super::page::{SparsePage, free};
use crate::chain::Chain;
use crate::error::Error;
use crate::hnsw::View;
use crate::hnsw::entry::Entry;
use crate::hnsw::nodes::{Nodes, State};
use crate::page::{Blkno, INVALID_BLKNO};
use crate::store::Pages;

/// Goes over all SPARSE pages and frees the rows that no node refers to, a record for each page. Lanes of nodes that are gone
/// must be free.
///
/// An insert holds its NODES page from before it writes the row until the lane refers to it. So whoever has read a row, and
/// its node's lane after it, knows: what the lane does not refer to then, it never will.
pub(in crate::hnsw) fn sweep<P: Pages>(pages: &P, view: &View<'_>) -> Result<(), Error> {
    let mut freed_any = false;
    for blkno in sparse_pages(pages, view)? {
        let rows = rows_of(pages, blkno)?;
        let mut gone = Vec::new();
        for (slot, node) in rows {
            if !refers_to(pages, view, node, RowAt { blkno, slot })? {
                gone.push((slot, node));
            }
        }
        freed_any |= free_rows(pages, blkno, &gone)?;
        pages.check_interrupts();
    }
    if freed_any {
        Entry::change(pages, view.meta, |now| Entry { sparse_room: now.sparse_last, ..now })?;
    }
    Ok(())
}

/// All SPARSE pages, the newest first.
pub(in crate::hnsw) fn sparse_pages<P: Pages>(
    pages: &P,
    view: &View<'_>,
) -> Result<Vec<Blkno>, Error> {
    let mut blkno = Entry::read(pages, view.meta)?.sparse_last;
    let (mut found, mut chain) = (Vec::new(), Chain::new(blkno));
    while blkno != INVALID_BLKNO {
        found.push(blkno);
        let prev = SparsePage::new(&*pages.read(blkno)?, blkno)?.prev;
        if prev != INVALID_BLKNO {
            chain.advance(blkno, prev)?;
        }
        blkno = prev;
        pages.check_interrupts();
    }
    Ok(found)
}

/// The slots in use of a page, and whose they are.
fn rows_of<P: Pages>(pages: &P, blkno: Blkno) -> Result<Vec<(u16, u32)>, Error> {
    let page = pages.read(blkno)?;
    let found = SparsePage::new(&page, blkno)?;
    let mut rows = Vec::with_capacity(found.n_slots);
    for slot in 0..found.n_slots {
        if let Some(row) = found.row(slot)? {
            rows.push((slot as u16, row.node));
        }
    }
    Ok(rows)
}

/// Whether the lane of a node is in use and refers to the row.
fn refers_to<P: Pages>(pages: &P, view: &View<'_>, node: u32, at: RowAt) -> Result<bool, Error> {
    let shape = &view.meta.shape;
    let (chunk, lane) = shape.place(node);
    if chunk >= view.map.n_chunks() {
        view.map.refresh(pages)?;
    }
    if chunk >= view.map.n_chunks() {
        return Ok(false);
    }
    let (part, place) = shape.nodes_place(lane);
    let blkno = view.map.block(pages, chunk, part)?;
    if blkno == INVALID_BLKNO {
        return Ok(false);
    }
    let page = pages.read(blkno)?;
    let nodes = Nodes::new(&page, blkno, shape, chunk, part)?;
    let is_node = nodes.lane(blkno, place)?.state == State::Node;
    Ok(is_node && RowAt::of_code(nodes.code(place)) == at)
}

/// Frees slots of one page that still have these nodes' rows. Whether there were any.
fn free_rows<P: Pages>(pages: &P, blkno: Blkno, gone: &[(u16, u32)]) -> Result<bool, Error> {
    if gone.is_empty() {
        return Ok(false);
    }
    let mut page = pages.lock(blkno)?;
    let found = SparsePage::new(&page, blkno)?;
    let mut slots = Vec::with_capacity(gone.len());
    for (slot, node) in gone {
        let row = match usize::from(*slot) < found.n_slots {
            true => found.row(usize::from(*slot))?,
            false => None,
        };
        if row.is_some_and(|row| row.node == *node) {
            slots.push(*slot);
        }
    }
    pages.edit(&mut [&mut page], |images| {
        images.iter_mut().for_each(|page| free(page, &slots));
        Ok(())
    })?;
    Ok(!slots.is_empty())
}
