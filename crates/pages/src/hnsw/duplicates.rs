//! From nodes to rows: the row of a node, and those of its duplicates.

use std::collections::{HashSet, VecDeque};

use ann::hnsw::Near;
use ann::kernels::prefetch_at;
use ann::topk::Hit;

use crate::chain::Chain;
use crate::error::Error;
use crate::hnsw::attributes::passes;
use crate::hnsw::links::{self, Slot};
use crate::hnsw::marks::mark_ends;
use crate::hnsw::nodes::{Lane, Nodes, State};
use crate::hnsw::walk::{by_page, check_ids, each_page};
use crate::hnsw::{INVALID_NODE, View};
use crate::page::{BODY_START, Blkno};
use crate::store::Pages;
use crate::tid::Tid;

/// A chain that changes each time it is walked is damaged.
const ROUNDS_MAX: usize = 100;

/// Buffers, and the rows that were found.
#[derive(Debug, Default)]
pub struct Duplicates {
    nodes: Vec<u32>,
    order: Vec<u64>,
    tids: Vec<Tid>,
    /// At the end of a chain: what names a row that is dead to all, and that row; in their order.
    dead: Vec<(u32, u32)>,
    /// The rows of a chain, each with its duplicate.
    chained: Vec<(Tid, u32)>,
}

impl Duplicates {
    /// Appends the rows of nodes that pass the filter, in their order, those of duplicates after that of their node.
    pub fn rows<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        near: &[Near],
        out: &mut Vec<Hit>,
    ) -> Result<(), Error> {
        self.read_tids(pages, view, near)?;
        for (near, tid) in near.iter().zip(&self.tids) {
            let key = f64::from(near.key);
            if !tid.is_free() && passes(pages, view, near.node, *tid)? {
                out.push(Hit { key, id: tid.to_u64(), at: place_of(near.node, near.node) });
            }
            let (_, slot) = read_slot(pages, view, near.node)?;
            // Not so of a lane that has been freed and taken by a duplicate meanwhile.
            if has_next(view, &slot) && slot.primary == INVALID_NODE {
                self.chained.clear();
                let give = |tid: Tid, duplicate: u32| self.chained.push((tid, duplicate));
                chain(pages, view, near.node, &mut self.dead, give)?;
                for &(tid, duplicate) in &self.chained {
                    if passes(pages, view, duplicate, tid)? {
                        out.push(Hit { key, id: tid.to_u64(), at: place_of(near.node, duplicate) });
                    }
                }
                mark_ends(pages, view, near.node, &self.dead)?;
            }
        }
        Ok(())
    }

    /// The tids of nodes; free for what is no node by now.
    fn read_tids<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        near: &[Near],
    ) -> Result<(), Error> {
        let shape = &view.meta.shape;
        self.nodes.clear();
        self.nodes.extend(near.iter().map(|near| near.node));
        by_page(pages, view, &self.nodes, &mut self.order)?;
        self.tids.clear();
        self.tids.resize(near.len(), Tid::FREE);
        let (nodes, tids) = (&self.nodes, &mut self.tids);
        let place_of = |entry: u64| {
            let node = nodes.get(entry as u32 as usize).copied().unwrap_or_default();
            let (chunk, lane) = shape.place(node);
            (chunk, shape.nodes_place(lane))
        };
        let ask = |page: *const u8, entry: u64| {
            let place = place_of(entry).1.1;
            for at in [shape.tid_at(place), shape.state_at(place)] {
                let start = page.wrapping_add(BODY_START + at);
                prefetch_at(start..start.wrapping_add(1));
            }
        };
        each_page(pages, &mut VecDeque::new(), &self.order, ask, |page, blkno, group| {
            for entry in group {
                let (chunk, (part, place)) = place_of(*entry);
                let found = Nodes::new(page, blkno, shape, chunk, part)?;
                if let Some(tid) = tids.get_mut(*entry as u32 as usize)
                    && found.lane(blkno, place)?.state == State::Node
                {
                    *tid = found.row(place, view.trusts_marks);
                }
            }
            Ok(())
        })
    }
}

/// Where a row is found: its vector at the node, its tid in a lane of its own.
fn place_of(node: u32, own: u32) -> u64 {
    u64::from(own) << 32 | u64::from(node)
}

/// The node at which the vector of a candidate of a graph is, by its [`Hit::at`].
pub fn node_of(at: u64) -> u32 {
    at as u32
}

/// In whose lane its tid is.
pub fn lane_of(at: u64) -> u32 {
    (at >> 32) as u32
}

/// The slot of a node or duplicate, and the block it is on.
pub(super) fn read_slot<P: Pages>(
    pages: &P,
    view: &View<'_>,
    node: u32,
) -> Result<(Blkno, Slot), Error> {
    let shape = &view.meta.shape;
    let (chunk, lane) = shape.place(node);
    let (part, slot) = shape.links_place(lane);
    let blkno = view.map.existing(pages, chunk, part, view.map.place(chunk).0)?;
    let page = pages.read(blkno)?;
    links::check(&page, blkno, chunk, part)?;
    Ok((blkno, links::slot(&page, blkno, shape, slot)?))
}

/// The lane of a node or duplicate.
pub(super) fn read_lane<P: Pages>(
    pages: &P,
    view: &View<'_>,
    node: u32,
) -> Result<(Blkno, Lane), Error> {
    let shape = &view.meta.shape;
    let (chunk, lane) = shape.place(node);
    let (part, place) = shape.nodes_place(lane);
    let blkno = view.map.existing(pages, chunk, part, view.map.place(chunk).0)?;
    let page = pages.read(blkno)?;
    let lane = Nodes::new(&page, blkno, shape, chunk, part)?.lane(blkno, place)?;
    Ok((blkno, lane))
}

/// As `read_lane`, for a scan: without the row if it is marked and marks are trusted.
fn read_row<P: Pages>(pages: &P, view: &View<'_>, node: u32) -> Result<Lane, Error> {
    let shape = &view.meta.shape;
    let (chunk, lane) = shape.place(node);
    let (part, place) = shape.nodes_place(lane);
    let blkno = view.map.existing(pages, chunk, part, view.map.place(chunk).0)?;
    let page = pages.read(blkno)?;
    let nodes = Nodes::new(&page, blkno, shape, chunk, part)?;
    Ok(Lane { tid: nodes.row(place, view.trusts_marks), ..nodes.lane(blkno, place)? })
}

/// Whether a scan has to look at the next row of the chain.
fn has_next(view: &View<'_>, slot: &Slot) -> bool {
    slot.duplicate != INVALID_NODE && !(view.trusts_marks && slot.is_end)
}

/// Calls `give` with the row of every duplicate of a node, and the duplicate, each once. One share lock at a time, so that the chain
/// may change meanwhile: a duplicate that is another node's by now leads nowhere, and the walk starts again. `dead`: see [`Duplicates`].
fn chain<P: Pages>(
    pages: &P,
    view: &View<'_>,
    primary: u32,
    dead: &mut Vec<(u32, u32)>,
    mut give: impl FnMut(Tid, u32),
) -> Result<(), Error> {
    let mut given = HashSet::new();
    let mut blkno = view.meta.entry_blkno;
    for _ in 0..ROUNDS_MAX {
        let head;
        (blkno, head) = read_slot(pages, view, primary)?;
        dead.clear();
        if head.primary != INVALID_NODE {
            return Ok(());
        }
        let next_of =
            |slot: &Slot| if has_next(view, slot) { slot.duplicate } else { INVALID_NODE };
        let (mut before, mut next) = (primary, next_of(&head));
        let mut steps = Chain::new(next);
        while next != INVALID_NODE {
            check_ids(pages, view, Some(next), blkno)?;
            // The lane first: if the slot still says whose duplicate it is then, the row was one of this chain, or of none that
            // this scan can see.
            let lane = read_row(pages, view, next)?;
            let slot;
            (blkno, slot) = read_slot(pages, view, next)?;
            if slot.primary != primary || lane.state != State::Duplicate {
                break;
            }
            if lane.tid.is_free() {
                dead.push((before, next));
            } else {
                dead.clear();
            }
            if !lane.tid.is_free() && given.insert(lane.tid.to_u64()) {
                give(lane.tid, next);
            }
            (before, next) = (next, next_of(&slot));
            if next != INVALID_NODE && steps.advance(blkno, next).is_err() {
                break;
            }
            pages.check_interrupts();
        }
        if next == INVALID_NODE {
            return Ok(());
        }
    }
    Err(Error::corrupted(blkno, format!("the chain of duplicates of node {primary} has no end")))
}
