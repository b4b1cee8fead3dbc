//! Marks rows that are dead to all; see the section on marks in `README.md`.

use ann::topk::Hit;

use crate::error::Error;
use crate::hnsw::duplicates::lane_of;
use crate::hnsw::links::{self, Slot};
use crate::hnsw::nodes::{self, Nodes, State};
use crate::hnsw::{INVALID_NODE, View};
use crate::page::{INVALID_BLKNO, Page};
use crate::store::Pages;
use crate::tid::Tid;

/// Marks those of `hits`, candidates that a scan of this graph has met, that are still where they were and whose rows are
/// dead to all. `is_dead` is asked with a share lock held. Returns how many were marked.
pub fn mark<P: Pages>(
    pages: &P,
    view: &View<'_>,
    hits: &mut [Hit],
    is_dead: &mut dyn FnMut(Tid) -> bool,
) -> Result<u64, Error> {
    let shape = &view.meta.shape;
    let page_of = |hit: &Hit| {
        let (chunk, lane) = shape.place(lane_of(hit.at));
        (chunk, shape.nodes_place(lane).0)
    };
    hits.sort_unstable_by_key(|hit| lane_of(hit.at));
    let mut marked = 0;
    let mut places = Vec::new();
    for group in hits.chunk_by(|a, b| page_of(a) == page_of(b)) {
        let Some((chunk, part)) = group.first().map(page_of) else { continue };
        let blkno = view.map.block(pages, chunk, part)?;
        if blkno == INVALID_BLKNO {
            continue;
        }
        let page = pages.read(blkno)?;
        let found = Nodes::new(&page, blkno, shape, chunk, part)?;
        places.clear();
        for hit in group {
            let place = shape.nodes_place(shape.place(lane_of(hit.at)).1).1;
            let lane = found.lane(blkno, place)?;
            let is_there = lane.state != State::Free && lane.tid.to_u64() == hit.id;
            if is_there && !found.is_marked(place) && is_dead(lane.tid) {
                places.push(nodes::mark_at(shape, place));
            }
        }
        if !places.is_empty() {
            pages.hint(&page, &places);
        }
        marked += places.len() as u64;
        drop(page);
        pages.check_interrupts();
    }
    Ok(marked)
}

/// Marks the end of a chain of equal rows, from the last one on: each `(before, next)` of `dead`, which follow each other and end the
/// chain, as far as they are still so.
pub(super) fn mark_ends<P: Pages>(
    pages: &P,
    view: &View<'_>,
    primary: u32,
    dead: &[(u32, u32)],
) -> Result<(), Error> {
    for (before, next) in dead.iter().rev().filter(|_| view.trusts_marks) {
        if !mark_end(pages, view, primary, *before, *next)? {
            break;
        }
        pages.check_interrupts();
    }
    Ok(())
}

/// Marks `before` if it names `next`, whose row is marked or gone, and behind which no row is left. Locks: the NODES page of
/// `next`, then the LINKS pages of both in the order of their numbers, all shared: while they are held none of this changes.
fn mark_end<P: Pages>(
    pages: &P,
    view: &View<'_>,
    primary: u32,
    before: u32,
    next: u32,
) -> Result<bool, Error> {
    let (shape, map) = (&view.meta.shape, view.map);
    let ((chunk, lane), (before_chunk, before_lane)) = (shape.place(next), shape.place(before));
    let (part, place) = shape.nodes_place(lane);
    let by = map.place(chunk).0;
    let nodes_at = map.existing(pages, chunk, part, by)?;
    let (next_part, next_slot) = shape.links_place(lane);
    let (before_part, before_slot) = shape.links_place(before_lane);
    let next_at = map.existing(pages, chunk, next_part, by)?;
    let before_at = map.existing(pages, before_chunk, before_part, by)?;
    let page = pages.read(nodes_at)?;
    let nodes = Nodes::new(&page, nodes_at, shape, chunk, part)?;
    let is_dead =
        nodes.lane(nodes_at, place)?.state == State::Duplicate && nodes.row(place, true).is_free();
    if !is_dead {
        return Ok(false);
    }
    let low = pages.read(next_at.min(before_at))?;
    let high = if next_at == before_at { None } else { Some(pages.read(next_at.max(before_at))?) };
    let (of_next, of_before) = match &high {
        Some(high) if next_at > before_at => (high, &low),
        Some(high) => (&low, high),
        None => (&low, &low),
    };
    let slot = |page: &Page, at, chunk, part, slot| -> Result<Slot, Error> {
        links::check(page, at, chunk, part)?;
        links::slot(page, at, shape, slot)
    };
    let behind = slot(of_next, next_at, chunk, next_part, next_slot)?;
    let held = slot(of_before, before_at, before_chunk, before_part, before_slot)?;
    let is_member = if before == primary { INVALID_NODE } else { primary };
    let is_end = behind.primary == primary && (behind.duplicate == INVALID_NODE || behind.is_end);
    let is_before = held.primary == is_member && held.duplicate == next;
    if is_end && is_before && !held.is_end {
        pages.hint(of_before, &[links::end_at(shape, before_slot)]);
    }
    Ok(is_end && is_before)
}
