//! SPARSE pages: every node has its row, and every row is a vector of the index.

use super::{Found, is_none, remark};
use crate::checker::{Checker, Severity};
use crate::error::Error;
use crate::hnsw::View;
use crate::hnsw::entry::Entry;
use crate::hnsw::nodes::State;
use crate::hnsw::sparse::RowAt;
use crate::hnsw::sparse::page::{SparsePage, problem_of};
use crate::page::{Blkno, INVALID_BLKNO};
use crate::store::Pages;

/// The chain of SPARSE pages, and the nodes whose rows are on none.
pub(super) fn rows<P: Pages>(
    checker: &mut Checker<'_, P>,
    view: &View<'_>,
    entry: &Entry,
    found: &Found,
) {
    let (mut by, mut blkno) = (view.meta.entry_blkno, entry.sparse_last);
    let mut has_room_page = entry.sparse_room == INVALID_BLKNO;
    let mut has_row = vec![false; found.ids.len()];
    // A cycle ends here: its first page was met before.
    while blkno != INVALID_BLKNO && checker.meet(blkno, by) {
        has_room_page |= blkno == entry.sparse_room;
        by = blkno;
        match rows_of_page(checker, view, blkno, found, &mut has_row) {
            Ok(prev) => blkno = prev,
            Err(error) => return checker.error(by, &error),
        }
        checker.pages.check_interrupts();
    }
    if !has_room_page {
        let what = format!("page {} is not in the chain of SPARSE pages", entry.sparse_room);
        checker.damage(view.meta.entry_blkno, what);
    }
    for (node, (id, has_row)) in (0u32..).zip(found.ids.iter().zip(&has_row)) {
        if id.state == State::Node && !has_row {
            let (shape, map) = (&view.meta.shape, view.map);
            let (chunk, lane) = shape.place(node);
            let blkno = map.cached(chunk, shape.nodes_place(lane).0);
            let RowAt { blkno: row, slot } = id.vector;
            checker
                .damage(blkno, format!("node {node} has no vector in slot {slot} of block {row}"));
        }
    }
}

fn rows_of_page<P: Pages>(
    checker: &mut Checker<'_, P>,
    view: &View<'_>,
    blkno: Blkno,
    found: &Found,
    has_row: &mut [bool],
) -> Result<Blkno, Error> {
    let page = checker.pages.read(blkno)?;
    let sparse = SparsePage::new(&page, blkno)?;
    let (mut wrong, mut leaked) = (Vec::new(), Vec::new());
    for slot in 0..sparse.n_slots {
        let Some(row) = sparse.row(slot)? else { continue };
        let node = row.node;
        let at = RowAt { blkno, slot: slot as u16 };
        let id = found.get(node).filter(|id| id.state == State::Node && id.vector == at);
        match (id, has_row.get_mut(node as usize)) {
            (Some(_), Some(has_row)) if !is_none(node) => *has_row = true,
            // An insert that did not end wrote it, or a VACUUM that did not end left it.
            _ => leaked.push(format!("vector in slot {slot} belongs to no node")),
        }
        wrong.extend(
            problem_of(row.vector, view.meta.params.dims)
                .map(|what| format!("vector of node {node} {what}")),
        );
    }
    let (prev, overlap) = (sparse.prev, sparse.overlap()?);
    drop(page);
    wrong.extend(overlap.map(|slot| format!("vector in slot {slot} lies in another one")));
    wrong.into_iter().for_each(|what| checker.damage(blkno, what));
    leaked.into_iter().for_each(|what| remark(checker, blkno, Severity::Leak, what));
    Ok(prev)
}
