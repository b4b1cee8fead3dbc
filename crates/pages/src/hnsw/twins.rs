//! From nodes to rows: the row of a node, and those of its twins.

use std::collections::{HashSet, VecDeque};

use ann::hnsw::Near;
use ann::kernels::prefetch_at;
use ann::topk::Hit;

use crate::error::Error;
use crate::hnsw::links::{self, Slot};
use crate::hnsw::nodes::{Lane, Nodes, State};
use crate::hnsw::walk::{by_page, check_ids, each_page};
use crate::hnsw::{INVALID_NODE, View};
use crate::ivf::list::Chain;
use crate::page::{BODY_START, Blkno};
use crate::store::Pages;
use crate::tid::Tid;

/// A chain that changes each time it is walked is damaged.
const ROUNDS_MAX: usize = 100;

/// Buffers, and the rows that were found.
#[derive(Debug, Default)]
pub struct Twins {
    nodes: Vec<u32>,
    order: Vec<u64>,
    tids: Vec<Tid>,
}

impl Twins {
    /// Appends the rows of nodes in their order, those of twins after that of their node.
    pub fn rows<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        near: &[Near],
        out: &mut Vec<Hit>,
    ) -> Result<(), Error> {
        self.read_tids(pages, view, near)?;
        for (near, tid) in near.iter().zip(&self.tids) {
            let (key, at) = (f64::from(near.key), u64::from(near.node));
            if !tid.is_free() {
                out.push(Hit { key, id: tid.to_u64(), at });
            }
            let (_, slot) = read_slot(pages, view, near.node)?;
            // Not so of a lane that has been freed and taken by a twin meanwhile.
            if slot.twin != INVALID_NODE && slot.primary == INVALID_NODE {
                let give = |tid: Tid| out.push(Hit { key, id: tid.to_u64(), at });
                chain(pages, view, near.node, give)?;
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
                let lane = Nodes::new(page, blkno, shape, chunk, part)?.lane(blkno, place)?;
                if let Some(tid) = tids.get_mut(*entry as u32 as usize)
                    && lane.state == State::Node
                {
                    *tid = lane.tid;
                }
            }
            Ok(())
        })
    }
}

/// The slot of a node or twin, and the block it is on.
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

/// The lane of a node or twin.
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

/// Calls `give` with the row of every twin of a node, each once. One share lock at a time, so that the chain may change
/// meanwhile: a twin that is another node's by now leads nowhere, and the walk starts again.
fn chain<P: Pages>(
    pages: &P,
    view: &View<'_>,
    primary: u32,
    mut give: impl FnMut(Tid),
) -> Result<(), Error> {
    let mut given = HashSet::new();
    let mut blkno = view.meta.entry_blkno;
    for _ in 0..ROUNDS_MAX {
        let head;
        (blkno, head) = read_slot(pages, view, primary)?;
        if head.primary != INVALID_NODE {
            return Ok(());
        }
        let (mut next, mut steps) = (head.twin, Chain::new(head.twin));
        while next != INVALID_NODE {
            check_ids(pages, view, Some(next), blkno)?;
            // The lane first: if the slot still says whose twin it is then, the row was one of this chain, or of none that
            // this scan can see.
            let (_, lane) = read_lane(pages, view, next)?;
            let slot;
            (blkno, slot) = read_slot(pages, view, next)?;
            if slot.primary != primary || lane.state != State::Twin {
                break;
            }
            if !lane.tid.is_free() && given.insert(lane.tid.to_u64()) {
                give(lane.tid);
            }
            next = slot.twin;
            if next != INVALID_NODE && steps.advance(blkno, next).is_err() {
                break;
            }
            pages.breathe();
        }
        if next == INVALID_NODE {
            return Ok(());
        }
    }
    Err(Error::corrupted(blkno, format!("the chain of twins of node {primary} has no end")))
}
