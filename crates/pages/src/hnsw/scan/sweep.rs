//! The part of a scan that follows no links: nodes in the order of their numbers. Those that no link has led to come last; where
//! few rows pass a filter, all of them come this way, and none is compared that does not pass.

use ann::hnsw::{Graph, Near, NodeQuery};

use super::HnswScan;
use crate::error::Error;
use crate::hnsw::View;
use crate::hnsw::attributes::Passing;
use crate::hnsw::duplicates::{read_lane, read_slot};
use crate::hnsw::nodes::{Nodes, State};
use crate::hnsw::walk::Walk;
use crate::page::{Blkno, INVALID_BLKNO};
use crate::search::filter::Filter;
use crate::store::Pages;

/// Chunks by which it is estimated how many rows pass.
const CHUNKS_ASKED: u32 = 16;
/// Nodes that are compared at once, so that pages are on their way before they are read.
const TOGETHER: usize = 256;
/// What the parts of a search take, in nanoseconds, about: to read a page; to compare a node, and each 16 bytes of it; to go to
/// a node of the walk; to ask whether a row is in a set.
const PAGE: f64 = 120.0;
const NODE: f64 = 80.0;
const BYTES_16: f64 = 1.0;
const STEP: f64 = 4000.0;
const ROW: f64 = 10.0;

/// How far a sweep is.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// Where it goes on; None while links lead on.
    next: Option<u32>,
    /// What it has found, nearest first, and how many of it were given.
    found: Vec<Near>,
    given: usize,
    passing: Passing,
    /// What is to be compared, its keys, and what has none.
    unseen: Vec<u32>,
    keys: Vec<f32>,
    odd: Vec<u32>,
}

impl Sweep {
    /// Not begun.
    pub(super) fn reset(&mut self) {
        self.next = None;
        self.found.clear();
        self.given = 0;
    }

    /// Links lead no further.
    pub(super) fn begin(&mut self) {
        self.next = Some(0);
    }

    pub(super) fn has_begun(&self) -> bool {
        self.next.is_some()
    }
}

impl HnswScan {
    /// How many nodes a walk towards rows that pass the filter may visit before to look at all nodes would have cost less; 0 where it
    /// costs less from the first on.
    pub(super) fn visits_max<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
    ) -> Result<u64, Error> {
        let Some(filter) = view.filter else { return Ok(u64::MAX) };
        let (asked, passing) = self.ask_some(pages, view, filter)?;
        let shape = &view.meta.shape;
        let (chunks, nodes) = (f64::from(view.map.n_chunks()), f64::from(view.map.n_nodes()));
        let share = passing as f64 / asked.max(1) as f64;
        let stored = shape.vectors.filter(|_| view.by_vectors).map(|g| g.vector_size());
        let bytes = stored.unwrap_or(shape.code_bytes);
        let node = NODE + BYTES_16 * (bytes / 16) as f64;
        // As many rows pass as there are among the nearest of those that would be wanted without a filter.
        let (ef, tenfold) = (self.params.ef as f64, self.params.ef_of_tenfold as f64);
        let decades = -share.max(1.0 / nodes.max(1.0)).log10();
        let found = (ef * (tenfold / ef).max(1.0).powf(decades)).min(nodes);
        self.width = (found as usize).max(self.params.ef);
        let step = STEP + shape.m as f64 * node;
        let pages_read = match filter.has_rows() {
            true => shape.attribute_pages + shape.nodes_pages,
            false => shape.attribute_pages,
        };
        let rows = if filter.has_rows() { ROW * nodes } else { 0.0 };
        let sweep = chunks * pages_read as f64 * PAGE + rows + share * nodes * (PAGE + node);
        let visits = (sweep / step * shape.m as f64) as u64;
        Ok(if sweep < found * step { 0 } else { visits })
    }

    /// Asks the filter about the rows of some chunks: how many there are, and how many of them pass.
    fn ask_some<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        filter: &Filter,
    ) -> Result<(usize, usize), Error> {
        let (shape, n) = (&view.meta.shape, view.map.n_chunks());
        let (mut asked, mut passing) = (0, 0);
        for i in 0..n.min(CHUNKS_ASKED) {
            let chunk = (u64::from(i) * u64::from(n) / u64::from(n.min(CHUNKS_ASKED))) as u32;
            self.sweep.passing.read(pages, view, filter, chunk)?;
            if !filter.has_rows() {
                let lanes = shape.chunk_nodes() as usize;
                (asked, passing) = (asked + lanes, passing + self.sweep.passing.count(lanes));
                continue;
            }
            let blkno = view.map.block(pages, chunk, 0)?;
            if blkno == INVALID_BLKNO {
                continue;
            }
            let page = pages.read(blkno)?;
            let nodes = Nodes::new(&page, blkno, shape, chunk, 0)?;
            for place in 0..nodes.n_used {
                let tid = nodes.lane(blkno, place)?.tid;
                let passes = self.sweep.passing.has(place) && filter.allows(tid);
                (asked, passing) = (asked + 1, passing + usize::from(passes));
            }
        }
        Ok((asked, passing))
    }

    /// Appends up to `wanted` nodes to the nearest ones. All within the bounds of the scan are found at once, so that they come
    /// in order; as many as wanted where there is no order.
    pub(super) fn sweep<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        wanted: usize,
    ) -> Result<(), Error> {
        if self.sweep.given == self.sweep.found.len() {
            self.sweep.found.clear();
            self.sweep.given = 0;
            self.sweep.found.append(&mut self.near);
            self.look_on(pages, view, wanted)?;
        }
        let left = self.sweep.found.get(self.sweep.given..).unwrap_or_default();
        let more = left.get(..wanted.saturating_sub(self.near.len())).unwrap_or(left);
        self.near.extend_from_slice(more);
        self.sweep.given += more.len();
        Ok(())
    }

    fn look_on<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        wanted: usize,
    ) -> Result<(), Error> {
        let most = match self.has_direction {
            true => usize::try_from(self.params.max_scan_tuples).unwrap_or(usize::MAX).max(wanted),
            false => wanted,
        };
        let shape = view.meta.shape;
        while let Some(next) = self.sweep.next.filter(|next| *next < view.map.n_nodes()) {
            if self.sweep.found.len() + self.sweep.unseen.len() >= most {
                break;
            }
            let (chunk, _) = shape.place(next);
            self.look_at(pages, view, chunk)?;
            self.sweep.next = Some(next.saturating_add(shape.chunk_nodes()));
            pages.check_interrupts();
        }
        self.compare(pages, view)?;
        if self.has_direction {
            let order = |a: &Near, b: &Near| a.key.total_cmp(&b.key).then(a.node.cmp(&b.node));
            self.sweep.found.sort_unstable_by(order);
        }
        Ok(())
    }

    /// Looks for the nodes of a chunk that the scan has not come upon and that have a row that passes.
    fn look_at<P: Pages>(&mut self, pages: &P, view: &View<'_>, chunk: u32) -> Result<(), Error> {
        let shape = &view.meta.shape;
        if let Some(filter) = view.filter {
            self.sweep.passing.read(pages, view, filter, chunk)?;
            if !self.sweep.passing.any() {
                return Ok(());
            }
        }
        let knows_by_keys = self.knows_by_keys(view);
        for part in 0..shape.nodes_pages {
            let mut lanes = shape.lanes_of_nodes(part);
            let may_pass = view.filter.is_none() || lanes.any(|lane| self.sweep.passing.has(lane));
            let blkno = if may_pass { view.map.block(pages, chunk, part)? } else { INVALID_BLKNO };
            if blkno == INVALID_BLKNO {
                continue;
            }
            if !knows_by_keys {
                self.look_at_page(pages, view, (chunk, part, blkno))?;
                continue;
            }
            for lane in shape.lanes_of_nodes(part) {
                if self.sweep.passing.has(lane) {
                    self.see(shape.node(chunk, lane));
                }
            }
        }
        if self.sweep.unseen.len() >= TOGETHER { self.compare(pages, view) } else { Ok(()) }
    }

    /// Whether lanes that pass need not be looked at before they are compared: codes of what is no node have an infinite key.
    fn knows_by_keys(&self, view: &View<'_>) -> bool {
        let has_codes = matches!(self.coded, Some(NodeQuery::Code(_)));
        has_codes && view.filter.is_some_and(|filter| !filter.has_rows())
    }

    /// Compares what was looked for.
    fn compare<P: Pages>(&mut self, pages: &P, view: &View<'_>) -> Result<(), Error> {
        let knows_by_keys = self.knows_by_keys(view);
        while !self.sweep.unseen.is_empty() {
            let Some(query) = &self.coded else { break };
            let Sweep { unseen, keys, found, odd, .. } = &mut self.sweep;
            keys.clear();
            Walk::new(pages, *view, query, &mut self.buffers).keys(unseen, keys)?;
            for (&node, &key) in unseen.iter().zip(keys.iter()) {
                match key.is_finite() || !knows_by_keys {
                    true => found.push(Near { key, node }),
                    false => odd.push(node),
                }
            }
            unseen.clear();
            for id in std::mem::take(&mut self.sweep.odd) {
                match read_lane(pages, view, id)?.1.state {
                    State::Node => self.sweep.found.push(Near { key: f32::INFINITY, node: id }),
                    State::Duplicate => self.see_primary(pages, view, id)?,
                    State::Free => {}
                }
            }
        }
        Ok(())
    }

    fn look_at_page<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        (chunk, part, blkno): (u32, usize, Blkno),
    ) -> Result<(), Error> {
        let shape = &view.meta.shape;
        let mut duplicates = Vec::new();
        {
            let page = pages.read(blkno)?;
            let nodes = Nodes::new(&page, blkno, shape, chunk, part)?;
            for (place, lane) in shape.lanes_of_nodes(part).enumerate().take(nodes.n_used) {
                let (id, held) = (shape.node(chunk, lane), nodes.lane(blkno, place)?);
                let passes = |filter: &Filter| {
                    !held.tid.is_free() && self.sweep.passing.has(lane) && filter.allows(held.tid)
                };
                if !view.filter.is_none_or(passes) {
                    continue;
                }
                match held.state {
                    State::Node => self.see(id),
                    State::Duplicate if view.filter.is_some() => duplicates.push(id),
                    State::Duplicate | State::Free => {}
                }
            }
        }
        duplicates.into_iter().try_for_each(|id| self.see_primary(pages, view, id))
    }

    /// A duplicate passes: its node is found by its own row alone, which may not.
    fn see_primary<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        duplicate: u32,
    ) -> Result<(), Error> {
        let (_, slot) = read_slot(pages, view, duplicate)?;
        if slot.primary < view.map.n_nodes() {
            self.see(slot.primary);
        }
        Ok(())
    }

    fn see(&mut self, node: u32) {
        if !self.beam.is_visited(node) {
            self.beam.mark(node);
            self.sweep.unseen.push(node);
        }
    }
}
