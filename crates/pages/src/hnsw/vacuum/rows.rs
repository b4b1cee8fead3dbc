//! The first pass: rows of dead tuples are taken from their lanes.

use super::Found;
use crate::error::Error;
use crate::hnsw::View;
use crate::hnsw::nodes::{self, Lane, Nodes, State};
use crate::page::{Blkno, INVALID_BLKNO};
use crate::store::Pages;
use crate::tid::Tid;
use crate::vacuum::VacuumStats;

/// Asks about every row and takes away those that are dead; returns what is without a row then.
pub(super) fn remove<P: Pages>(
    pages: &P,
    view: &View<'_>,
    is_dead: &mut impl FnMut(Tid) -> bool,
    stats: &mut VacuumStats,
) -> Result<Found, Error> {
    let shape = &view.meta.shape;
    let mut found = Found::default();
    let mut lanes = Vec::new();
    let mut dead = Vec::new();
    for chunk in 0..view.map.n_chunks() {
        for part in 0..shape.nodes_pages {
            let blkno = view.map.block(pages, chunk, part)?;
            if blkno == INVALID_BLKNO {
                continue;
            }
            read(pages, view, (chunk, part, blkno), &mut lanes)?;
            dead.clear();
            for (place, lane) in lanes.iter_mut().enumerate() {
                if !lane.tid.is_free() && is_dead(lane.tid) {
                    dead.push((place, lane.tid));
                    lane.tid = Tid::FREE;
                }
            }
            if !dead.is_empty() {
                clear(pages, view, (chunk, part, blkno), &dead)?;
                stats.removed += dead.len() as u64;
            }
            for (at, lane) in shape.lanes_of_nodes(part).zip(&lanes) {
                let id = shape.node(chunk, at);
                match (lane.state, lane.tid.is_free()) {
                    (State::Free, _) => stats.free_slots += 1,
                    (_, false) => stats.live += 1,
                    (State::Node, true) => found.ghosts.push(id),
                    (State::Duplicate, true) => found.duplicates.push(id),
                }
                if lane.state == State::Node {
                    found.nodes.set(id);
                }
            }
            pages.check_interrupts();
        }
    }
    Ok(found)
}

/// The lanes used so far of a NODES page.
fn read<P: Pages>(
    pages: &P,
    view: &View<'_>,
    (chunk, part, blkno): (u32, usize, Blkno),
    lanes: &mut Vec<Lane>,
) -> Result<(), Error> {
    let page = pages.read(blkno)?;
    let nodes = Nodes::new(&page, blkno, &view.meta.shape, chunk, part)?;
    lanes.clear();
    for place in 0..nodes.n_used {
        lanes.push(nodes.lane(blkno, place)?);
    }
    Ok(())
}

/// Takes these rows away: exclusive lock, one record. Between reading and this only inserts came, and they take free
/// lanes alone.
fn clear<P: Pages>(
    pages: &P,
    view: &View<'_>,
    (chunk, part, blkno): (u32, usize, Blkno),
    dead: &[(usize, Tid)],
) -> Result<(), Error> {
    let shape = &view.meta.shape;
    let mut page = pages.lock(blkno)?;
    Nodes::new(&page, blkno, shape, chunk, part)?;
    pages.edit(&mut [&mut page], |images| {
        for image in images {
            nodes::settle_hints(image, shape);
            for (place, tid) in dead {
                if nodes::tid_of(image, shape, *place) == *tid {
                    nodes::clear_tid(image, shape, *place);
                }
            }
        }
        Ok(())
    })
}
