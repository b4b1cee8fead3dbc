//! The graph in pages as a search walks over it. A hop reads one page of links, and the NODES pages of the neighbours not
//! met before: each once, one share lock at a time, all on their way into the caches before the first is read.

use std::collections::VecDeque;

use ann::hnsw::{Graph, GridQuery, NodeQuery, SparseQuery, VectorQuery};
use ann::kernels::prefetch_at;

use crate::error::Error;
use crate::hnsw::duplicates::{read_lane, read_slot};
use crate::hnsw::nodes::State;
use crate::hnsw::rows::visit;
use crate::hnsw::sparse::read::{self, ReadBuffers};
use crate::hnsw::upper::Upper;
use crate::hnsw::{View, links, nodes};
use crate::page::{BODY_START, Blkno, INVALID_BLKNO, Page, PageKind};
use crate::store::Pages;

/// Pages pinned before they are read: about as many cache misses as a core can wait for at a time, and as many pins as
/// the server keeps track of without a hash table.
const AHEAD: usize = 6;

/// Memory of a walk that outlives it.
#[derive(Debug, Default)]
pub struct WalkBuffers {
    /// Nodes by the page they are on: its block number, then the node's place in what was asked.
    order: Vec<u64>,
    /// Of sparse vectors.
    sparse: ReadBuffers,
}

/// A graph and a query. Keeps pins, so that it must not outlive a call of the executor.
pub struct Walk<'s, 'p, P: Pages> {
    pages: &'p P,
    view: View<'s>,
    query: &'s NodeQuery,
    buffers: &'s mut WalkBuffers,
    ring: VecDeque<P::Pin<'p>>,
    /// The LINKS page that will probably be read next.
    hinted: Option<(Blkno, P::Pin<'p>)>,
    /// The node that is treated as stale, and its links of level 0.
    without: Option<(u32, Vec<u32>)>,
}

impl<'s, 'p, P: Pages> Walk<'s, 'p, P> {
    /// A walk over `pages` towards `query`.
    pub fn new(
        pages: &'p P,
        view: View<'s>,
        query: &'s NodeQuery,
        buffers: &'s mut WalkBuffers,
    ) -> Self {
        let ring = VecDeque::with_capacity(AHEAD);
        Self { pages, view, query, buffers, ring, hinted: None, without: None }
    }

    /// The same walk as if the graph had been built without that node: it is neither found nor passed through. Whoever has
    /// a link to it would have had another one instead, and has one of the node's own here.
    pub fn without(mut self, node: Option<u32>) -> Result<Self, Error> {
        if let Some(node) = node {
            let mut links = Vec::new();
            self.links(node, 0, &mut links)?;
            self.without = Some((node, links));
        }
        Ok(self)
    }

    /// The links of level 0.
    fn base_links(&mut self, node: u32, out: &mut Vec<u32>) -> Result<Blkno, Error> {
        let shape = &self.view.meta.shape;
        let (chunk, lane) = shape.place(node);
        let (part, slot) = shape.links_place(lane);
        let blkno = existing(self.pages, &self.view, chunk, part)?;
        let page = match self.hinted.take() {
            Some((hinted, pin)) if hinted == blkno => self.pages.share(pin)?,
            _ => self.pages.read(blkno)?,
        };
        links::check(&page, blkno, chunk, part)?;
        let found = links::slot(&page, blkno, shape, slot)?;
        out.extend_from_slice(links::links(&page, shape, slot, found.n));
        Ok(blkno)
    }

    fn keys_of_codes(
        &mut self,
        query: &GridQuery,
        asked: &[u32],
        keys: &mut [f32],
    ) -> Result<(), Error> {
        let Self { pages, view, buffers, ring, .. } = self;
        let shape = &view.meta.shape;
        by_page(*pages, view, asked, &mut buffers.order)?;
        let place_of = |entry: u64| {
            let node = asked.get(entry as u32 as usize).copied().unwrap_or_default();
            let (chunk, lane) = shape.place(node);
            (chunk, shape.nodes_place(lane).1)
        };
        let ask = |page: *const u8, entry: u64| {
            for range in nodes::read_for_key(shape, place_of(entry).1) {
                let start = page.wrapping_add(BODY_START + range.start);
                prefetch_at(start..start.wrapping_add(range.len()));
            }
        };
        each_page(*pages, ring, &buffers.order, ask, |page, blkno, group| {
            for entry in group {
                let (chunk, place) = place_of(*entry);
                if !page.is(PageKind::Nodes, chunk) {
                    page.check(blkno, PageKind::Nodes, chunk)?;
                }
                let coded = nodes::coded(page, shape, place);
                if let (Some(key), Some((code, factors))) =
                    (keys.get_mut(*entry as u32 as usize), coded)
                {
                    *key = query.key(code, factors);
                }
            }
            Ok(())
        })
    }

    /// What is free by now has the key of the vector that was there last: its links are empty, and whoever returns nodes
    /// looks at their lanes.
    fn keys_of_vectors(
        &mut self,
        query: &VectorQuery,
        asked: &[u32],
        keys: &mut [f32],
    ) -> Result<(), Error> {
        visit(self.pages, &self.view, asked, &mut self.buffers.order, |i, row| {
            if let Some(key) = keys.get_mut(i) {
                *key = row.key(query);
            }
        })
    }

    /// As `keys_of_vectors`, for sparse vectors. What is free by now, or another node's, has the key of nothing.
    fn keys_of_sparse(
        &mut self,
        query: &SparseQuery,
        asked: &[u32],
        keys: &mut [f32],
    ) -> Result<(), Error> {
        read::visit(self.pages, &self.view, asked, &mut self.buffers.sparse, |i, row| {
            if let Some(key) = keys.get_mut(i) {
                *key = query.key(row);
            }
        })
    }
}

impl<P: Pages> Graph for Walk<'_, '_, P> {
    type Error = Error;

    fn links(&mut self, node: u32, level: usize, out: &mut Vec<u32>) -> Result<(), Error> {
        self.pages.check_interrupts();
        let start = out.len();
        let by = match level {
            0 => self.base_links(node, out)?,
            _ => upper_links(self.pages, &self.view, node, level, out)?,
        };
        if let (0, Some((without, links))) = (level, &self.without) {
            let own = out.iter_mut().skip(start).find(|link| **link == *without);
            let other = links.get(node as usize % links.len().max(1));
            if let (Some(own), Some(other)) = (own, other) {
                *own = *other;
            }
        }
        let most = out.get(start..).unwrap_or_default().iter().copied().max();
        check_ids(self.pages, &self.view, most, by)
    }

    fn keys(&mut self, asked: &[u32], out: &mut Vec<f32>) -> Result<(), Error> {
        let start = out.len();
        out.resize(start + asked.len(), f32::INFINITY);
        let keys = out.get_mut(start..).unwrap_or_default();
        match self.query {
            NodeQuery::Code(query) => self.keys_of_codes(query, asked, keys)?,
            NodeQuery::Vector(query) => self.keys_of_vectors(query, asked, keys)?,
            NodeQuery::Sparse(query) => self.keys_of_sparse(query, asked, keys)?,
        }
        if let Some((without, _)) = &self.without {
            let same = asked.iter().zip(keys).filter(|(node, _)| *node == without);
            same.for_each(|(_, key)| *key = f32::INFINITY);
        }
        Ok(())
    }

    fn hint(&mut self, node: u32, level: usize) {
        let shape = &self.view.meta.shape;
        let (chunk, lane) = shape.place(node);
        let (part, slot) = shape.links_place(lane);
        let blkno = self.view.map.cached(chunk, part);
        if level > 0 || blkno == INVALID_BLKNO {
            return;
        }
        // Whatever is wrong with the page is said when it is read.
        if let Ok(pin) = self.pages.pin(blkno) {
            let page = self.pages.address(&pin);
            let at = page.start.wrapping_add(BODY_START + shape.slot_at(slot));
            prefetch_at(at..at.wrapping_add(shape.slot_at(slot + 1) - shape.slot_at(slot)));
            ask_for_head_and_tail(page);
            self.hinted = Some((blkno, pin));
        }
    }
}

/// Whether a search may begin at a node that ENTRY named: VACUUM may have freed it since. By codes its key says so.
pub(super) fn is_begun<P: Pages>(pages: &P, view: &View<'_>, node: u32) -> Result<bool, Error> {
    Ok(!view.by_vectors || read_lane(pages, view, node)?.1.state == State::Node)
}

/// Appends the links of a node on a level; none if it has been freed meanwhile. Ids beyond the map are damage.
pub(super) fn links_at<P: Pages>(
    pages: &P,
    view: &View<'_>,
    node: u32,
    level: usize,
    out: &mut Vec<u32>,
) -> Result<(), Error> {
    let start = out.len();
    let by = match level {
        0 => {
            let shape = &view.meta.shape;
            let (chunk, lane) = shape.place(node);
            let (part, slot) = shape.links_place(lane);
            let blkno = existing(pages, view, chunk, part)?;
            let page = pages.read(blkno)?;
            links::check(&page, blkno, chunk, part)?;
            let found = links::slot(&page, blkno, shape, slot)?;
            out.extend_from_slice(links::links(&page, shape, slot, found.n));
            blkno
        }
        _ => upper_links(pages, view, node, level, out)?,
    };
    check_ids(pages, view, out.get(start..).unwrap_or_default().iter().copied().max(), by)
}

/// The links of a level above 0; none if the node has been freed meanwhile. Returns the page that was read last.
fn upper_links<P: Pages>(
    pages: &P,
    view: &View<'_>,
    node: u32,
    level: usize,
    out: &mut Vec<u32>,
) -> Result<Blkno, Error> {
    let shape = &view.meta.shape;
    let (mut by, slot) = read_slot(pages, view, node)?;
    let mut at = slot.upper;
    for l in 1..=level {
        if at.is_none() {
            break;
        }
        by = at.blkno;
        let page = pages.read(by)?;
        let upper = Upper::new(&page, by, shape)?;
        let record = upper.record(usize::from(at.slot))?;
        if record.node != node || usize::from(record.level) != l {
            break;
        }
        if l == level {
            out.extend_from_slice(upper.links(usize::from(at.slot), record.n));
        }
        at = record.next;
    }
    Ok(by)
}

fn existing<P: Pages>(pages: &P, view: &View<'_>, chunk: u32, part: usize) -> Result<Blkno, Error> {
    view.map.existing(pages, chunk, part, view.map.place(chunk).0)
}

/// What `Page::check` looks at.
fn ask_for_head_and_tail(page: std::ops::Range<*const u8>) {
    prefetch_at(page.start..page.start.wrapping_add(1));
    prefetch_at(page.end.wrapping_sub(1)..page.end);
}

/// [`Error::Corrupted`] on block `by` if the largest id it names is beyond the map.
pub(super) fn check_ids<P: Pages>(
    pages: &P,
    view: &View<'_>,
    most: Option<u32>,
    by: Blkno,
) -> Result<(), Error> {
    let Some(most) = most.filter(|most| *most >= view.map.n_nodes()) else { return Ok(()) };
    view.map.refresh(pages)?;
    if most < view.map.n_nodes() {
        return Ok(());
    }
    Err(Error::corrupted(by, format!("names node {most}, which there is not")))
}

/// Sorts nodes by the NODES page they are on.
pub(super) fn by_page<P: Pages>(
    pages: &P,
    view: &View<'_>,
    asked: &[u32],
    order: &mut Vec<u64>,
) -> Result<(), Error> {
    let (shape, map) = (&view.meta.shape, view.map);
    order.clear();
    {
        let blocks = map.blocks();
        order.extend(asked.iter().zip(0u64..).map(|(node, i)| {
            let (chunk, lane) = shape.place(*node);
            u64::from(blocks.get(chunk, shape.nodes_place(lane).0)) << 32 | i
        }));
    }
    order.sort_unstable();
    if order.last().is_none_or(|last| (last >> 32) as Blkno != INVALID_BLKNO) {
        return Ok(());
    }
    for entry in order.iter_mut().rev() {
        let Some(node) = asked.get(*entry as u32 as usize) else { continue };
        let (chunk, lane) = shape.place(*node);
        let by = map.place(chunk).0;
        let blkno = map.existing(pages, chunk, shape.nodes_place(lane).0, by)?;
        *entry = u64::from(blkno) << 32 | *entry & u64::from(u32::MAX);
    }
    order.sort_unstable();
    Ok(())
}

/// Visits the pages of `order` (block number in the upper half) under one share lock after the other, each once with all
/// its entries. `ask` gets where a page is when it is pinned, and each of its entries.
pub(super) fn each_page<'p, P: Pages>(
    pages: &'p P,
    ring: &mut VecDeque<P::Pin<'p>>,
    order: &[u64],
    ask: impl Fn(*const u8, u64),
    mut visit: impl FnMut(&Page, Blkno, &[u64]) -> Result<(), Error>,
) -> Result<(), Error> {
    let same_page = |a: &u64, b: &u64| a >> 32 == b >> 32;
    let blkno_of = |group: &[u64]| group.first().map_or(INVALID_BLKNO, |e| (e >> 32) as Blkno);
    let mut coming = order.chunk_by(same_page);
    ring.clear();
    order.chunk_by(same_page).for_each(|group| pages.prefetch(blkno_of(group)));
    for group in order.chunk_by(same_page) {
        while ring.len() < AHEAD {
            let Some(next) = coming.next() else { break };
            let pin = pages.pin(blkno_of(next))?;
            let page = pages.address(&pin);
            next.iter().for_each(|entry| ask(page.start, *entry));
            prefetch_at(page.end.wrapping_sub(1)..page.end);
            ring.push_back(pin);
        }
        let Some(pin) = ring.pop_front() else { break };
        let page = pages.share(pin)?;
        visit(&page, blkno_of(group), group)?;
    }
    Ok(())
}
