//! One inverted list against one query: the inner loop of a scan.
//!
//! Per vector there is the kernel and one compare with the threshold. What passes (few, once the
//! threshold is tight) gets its tid decoded and its exact key.

use ann::element::{Element, Query};
use ann::kernels::jaccard_from;
use ann::kernels::{Lanes, RowKernel, cosine_from};
use ann::metric::Metric;
use ann::topk::{Hit, TopK};

use crate::ahead::Ahead;
use crate::error::Error;
use crate::ivf::list::{ListCopy, ListHeader, ListPages, Slots};
use crate::ivf::lists::{Lists, Probed, Seen, View, Visitor, Window, offer};
use crate::ivf::part::{self, Rows};
use crate::meta::Meta;
use crate::page::{Blkno, PageKind};
use crate::store::Pages;

/// The f32 estimate of a cosine, or of a Jaccard distance, is off by less than this (a handful of roundings of 2⁻²⁴ each).
const SLACK: f64 = 1e-5;
/// How often a block that changed under the scan is looked up again before it counts as damage.
pub(super) const LOOKUPS: usize = 4;
/// Copied rows compared before the nearest are picked out: their distances stay in the first-level cache.
const PART_ROWS: usize = 64;

/// A query made ready for its lists, with the buffers of the inner loop.
pub struct Probe<E: Element> {
    metric: Metric,
    query: Query,
    /// Whether distances to the query mean anything; without, rows come in order of tid.
    has_direction: bool,
    kernel: RowKernel<E>,
    list: ListCopy,
    /// 1 / (|q| · |x|) of each slot, cosine only.
    inverse_norms: Vec<f32>,
    out: Vec<f32>,
    lanes: Vec<Lanes>,
}

impl<E: Element> Lists for Probe<E> {
    type Part = Rows<E>;
    const TOGETHER: usize = 4;

    fn new() -> Self {
        Self {
            metric: Metric::L2,
            query: Query::default(),
            has_direction: true,
            kernel: E::kernel(Metric::L2),
            list: ListCopy::default(),
            inverse_norms: Vec::new(),
            out: Vec::new(),
            lanes: Vec::new(),
        }
    }

    fn set_query(&mut self, query: &[f32]) {
        self.query.set(query);
    }

    fn query(&self) -> &[f32] {
        self.query.point()
    }

    fn prepare(&mut self, view: &View<'_>) -> bool {
        let meta = view.meta;
        self.metric = meta.metric;
        self.has_direction =
            meta.metric.has_origin() || self.query.point().iter().any(|x| *x != 0.0);
        self.query.prepare(meta.metric);
        self.kernel = E::kernel(meta.metric);
        self.query.point().len() == meta.dims && E::TAG == meta.element
    }

    fn has_direction(&self) -> bool {
        self.has_direction
    }

    fn distance_of(&self, key: f64) -> f64 {
        match self.metric {
            Metric::L2 => key.sqrt(),
            _ if !self.has_direction => f64::NAN,
            _ => key,
        }
    }

    fn scan_list<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        list: Probed,
        window: &Window,
        top: &mut TopK,
    ) -> Result<Seen, Error> {
        let (meta, list_no) = (view.meta, list.list_no);
        let mut seen = Seen::default();
        let mut list_pages = ListPages::new(pages, meta, list_no)?;
        while list_pages.next(&mut self.list)? {
            let header = self.list.header;
            seen.tuples += (header.n_slots - header.n_free) as u64;
            if view.trusts_marks {
                let marked = self.list.slots.leave_out_marked() as u64;
                seen.tuples = seen.tuples.saturating_sub(marked);
            }
            if self.has_direction {
                self.scan_blocks(pages, meta, list_no, window, top, &mut seen)?;
            } else {
                all_rows(&self.list.slots, window, top, &mut seen);
            }
            pages.breathe();
        }
        Ok(seen)
    }

    fn copy_list<P: Pages>(
        pages: &P,
        view: &View<'_>,
        list_no: u32,
        room: usize,
        part: &mut Rows<E>,
        give: &mut dyn FnMut(&mut Rows<E>),
    ) -> Result<(), Error> {
        part::copy_list(pages, view, list_no, room, part, give)
    }

    fn part_bytes(part: &Rows<E>) -> usize {
        size_of_val(part.rows.as_slice())
    }

    fn scan_part(_view: &View<'_>, part: &Rows<E>, visitors: &mut [Visitor<'_, Self>]) {
        let mut compared = Vec::with_capacity(visitors.len());
        for visitor in visitors {
            *visitor.visited += part.live;
            if visitor.probe.has_direction {
                visitor.probe.invert_norms(&part.slots.norms);
                compared.push(visitor);
            } else {
                all_rows(&part.slots, &Window::ALL, visitor.top, &mut Seen::default());
            }
        }
        let (fours, others) = compared.as_chunks_mut::<4>();
        fours.iter_mut().for_each(|four| show_four(part, four));
        others.iter_mut().for_each(|visitor| show(part, visitor));
    }
}

/// Some rows of a part and the number of the first, time and again.
fn portions<E>(part: &Rows<E>, elements: usize) -> impl Iterator<Item = (usize, &[E])> {
    let firsts = (0..part.slots.len()).step_by(PART_ROWS);
    firsts.zip(part.rows.chunks(PART_ROWS * elements.max(1)))
}

/// Offers the rows of a part to a query.
fn show<E: Element>(part: &Rows<E>, visitor: &mut Visitor<'_, Probe<E>>) {
    let mut values = std::mem::take(&mut visitor.probe.out);
    let probe = &*visitor.probe;
    for (first, rows) in portions(part, E::operand(&probe.query).len()) {
        values.resize((part.slots.len() - first).min(PART_ROWS), 0.0);
        probe.kernel.distances(E::operand(&probe.query), rows, &mut values);
        probe.sift(&part.slots, first, &values, &Window::ALL, visitor.top, &mut Seen::default());
    }
    visitor.probe.out = values;
}

/// The same to four queries, each row loaded once for all of them.
fn show_four<E: Element>(part: &Rows<E>, four: &mut [&mut Visitor<'_, Probe<E>>; 4]) {
    let mut values = four.each_mut().map(|visitor| std::mem::take(&mut visitor.probe.out));
    let Probe { kernel, query, .. } = &*four[0].probe;
    let (kernel, elements) = (*kernel, E::operand(query).len());
    for (first, rows) in portions(part, elements) {
        let n = (part.slots.len() - first).min(PART_ROWS);
        values.iter_mut().for_each(|values| values.resize(n, 0.0));
        let queries = four.each_ref().map(|visitor| E::operand(&visitor.probe.query));
        kernel.distances_of_four(queries, rows, values.each_mut().map(Vec::as_mut_slice));
        for (visitor, values) in four.iter_mut().zip(&values) {
            let (probe, top) = (&*visitor.probe, &mut *visitor.top);
            probe.sift(&part.slots, first, values, &Window::ALL, top, &mut Seen::default());
        }
    }
    for (visitor, values) in four.iter_mut().zip(values) {
        visitor.probe.out = values;
    }
}

/// Every row, as near as any other.
fn all_rows(slots: &Slots, window: &Window, top: &mut TopK, seen: &mut Seen) {
    for (slot, tid) in slots.tids().enumerate().filter(|(_, tid)| !tid.is_free()) {
        let hit = Hit { key: 0.0, id: tid.to_u64(), at: slots.place(slot) };
        offer(hit, window, top, seen);
    }
}

impl<E: Element> Probe<E> {
    /// Readies the norms of slots to be scanned.
    fn invert_norms(&mut self, norms: &[f32]) {
        if self.metric == Metric::Cosine {
            let inverse = 1.0 / self.query.norm_sqr().sqrt();
            self.inverse_norms.clear();
            self.inverse_norms.extend(norms.iter().map(|n| inverse / n.sqrt()));
        }
    }

    /// The vectors of the LIST page copied to `self.list`.
    fn scan_blocks<P: Pages>(
        &mut self,
        pages: &P,
        meta: &Meta,
        list_no: u32,
        window: &Window,
        top: &mut TopK,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        for blkno in &self.list.blocks {
            pages.prefetch(*blkno);
        }
        let list = std::mem::take(&mut self.list);
        self.invert_norms(&list.slots.norms);
        self.list = list;
        let v = meta.layout.block_vectors;
        self.out.resize(v, 0.0);
        let mut ahead = Ahead::new(pages);
        for block in 0..self.list.header.n_blocks {
            let first = block * v;
            let n = (self.list.header.n_slots - first).min(v);
            // Versions that nobody sees any more fill whole blocks, until VACUUM.
            if !self.list.slots.has_row(first..first + n) {
                continue;
            }
            if self.block_distances(&mut ahead, meta, list_no, block, n, top.threshold())? {
                let values = self.out.get(..n).unwrap_or_default();
                self.sift(&self.list.slots, first, values, window, top, seen);
            }
            if block % 16 == 15 {
                pages.breathe();
            }
        }
        Ok(())
    }

    /// Puts the kernel's values of a block's first `n` vectors into `out`. False if none can pass
    /// `threshold`, or if vacuum took the block away since the LIST page was copied.
    fn block_distances<P: Pages>(
        &mut self,
        ahead: &mut Ahead<'_, P>,
        meta: &Meta,
        list_no: u32,
        block: usize,
        n: usize,
        threshold: f64,
    ) -> Result<bool, Error> {
        let p = meta.layout.block_pages;
        let Some(blknos) = self.list.blocks.get(block * p..(block + 1) * p) else {
            return Ok(false);
        };
        let Some(out) = self.out.get_mut(..n) else { return Ok(false) };
        // The page after this block: of the next block, or nowhere.
        let after = self.list.blocks.get((block + 1) * p).copied();
        for _ in 0..LOOKUPS {
            let mut scan = BlockScan { ahead, meta, list_no, kernel: self.kernel, after };
            let done = match blknos {
                [blkno] => scan.whole(E::operand(&self.query), *blkno, out)?,
                _ => {
                    self.lanes.clear();
                    self.lanes.resize(n, Lanes::default());
                    let grows = !self.metric.is_spherical() && self.metric != Metric::Jaccard;
                    let limit = if grows { threshold as f32 } else { f32::NAN };
                    {
                        let query = E::operand(&self.query);
                        scan.slices(query, blknos, limit, &mut self.lanes, out)?
                    }
                }
            };
            match done {
                Outcome::Computed => return Ok(true),
                Outcome::Pruned => return Ok(false),
                Outcome::Changed => {}
            }
            if !is_listed(ahead.pages, meta, list_no, self.list.blkno, blknos)? {
                return Ok(false);
            }
        }
        Err(no_data(self.list.blkno, blknos, list_no))
    }

    /// Offers what passes the threshold among the values of slots `first .. first + n`.
    fn sift(
        &self,
        slots: &Slots,
        first: usize,
        values: &[f32],
        window: &Window,
        top: &mut TopK,
        seen: &mut Seen,
    ) {
        match self.metric {
            Metric::L2 | Metric::L1 | Metric::Hamming => {
                self.sift_by(slots, first, values, window, top, seen, |_, value| value);
            }
            Metric::InnerProduct => {
                self.sift_by(slots, first, values, window, top, seen, |_, dot| -dot);
            }
            Metric::Cosine => {
                let inverse = self.inverse_norms.get(first..).unwrap_or_default();
                // Without a norm the estimate is NaN, which passes on to the exact key.
                self.sift_by(slots, first, values, window, top, seen, |lane, dot| {
                    -dot * inverse.get(lane).copied().unwrap_or(f32::NAN)
                });
            }
            Metric::Jaccard => {
                let (own, norms) = (self.query.norm_sqr(), slots.norms.get(first..));
                let norms = norms.unwrap_or_default();
                self.sift_by(slots, first, values, window, top, seen, |lane, common| {
                    let either = own + norms.get(lane).copied().unwrap_or(f32::NAN) - common;
                    // Nothing in common with nothing: NaN, which passes.
                    -common / either
                });
            }
        }
    }

    #[inline]
    #[expect(clippy::too_many_arguments, reason = "inlined into its callers above")]
    fn sift_by(
        &self,
        slots: &Slots,
        first: usize,
        values: &[f32],
        window: &Window,
        top: &mut TopK,
        seen: &mut Seen,
        estimate: impl Fn(usize, f32) -> f32,
    ) {
        let mut limit = self.limit(top.threshold());
        for (lane, value) in values.iter().enumerate() {
            // NaN passes: its row must come back too, if last.
            if estimate(lane, *value) > limit {
                continue;
            }
            let slot = first + lane;
            let tid = slots.tid(slot);
            if tid.is_free() {
                continue;
            }
            let (key, at) = (self.key(slots, slot, *value), slots.place(slot));
            let hit = Hit { key, id: tid.to_u64(), at };
            offer(hit, window, top, seen);
            limit = self.limit(top.threshold());
        }
    }

    /// The largest estimate that may belong to a key within `threshold`. Keys other than cosine's
    /// are widened f32, so that narrowing one is exact.
    fn limit(&self, threshold: f64) -> f32 {
        match self.metric {
            Metric::L2 | Metric::InnerProduct | Metric::L1 | Metric::Hamming => threshold as f32,
            Metric::Cosine | Metric::Jaccard => (threshold - 1.0 + SLACK) as f32,
        }
    }

    /// The exact key of a slot: orders as the operator does.
    fn key(&self, slots: &Slots, slot: usize, value: f32) -> f64 {
        match self.metric {
            Metric::L2 | Metric::L1 | Metric::Hamming => f64::from(value),
            Metric::InnerProduct => -f64::from(value),
            Metric::Cosine => {
                let norm = slots.norms.get(slot).copied().unwrap_or(f32::NAN);
                cosine_from(value, self.query.norm_sqr(), norm)
            }
            Metric::Jaccard => {
                let norm = slots.norms.get(slot).copied().unwrap_or(f32::NAN);
                jaccard_from(value, self.query.norm_sqr(), norm)
            }
        }
    }
}

/// A LIST page names a block of other pages, time and again.
pub(super) fn no_data(list: Blkno, blknos: &[Blkno], list_no: u32) -> Error {
    let what =
        format!("LIST page names blocks {blknos:?}, which are no DATA pages of list {list_no}");
    Error::corrupted(list, what)
}

/// Whether a LIST page still names this block (under a share lock).
pub(super) fn is_listed<P: Pages>(
    pages: &P,
    meta: &Meta,
    list_no: u32,
    list: Blkno,
    blknos: &[Blkno],
) -> Result<bool, Error> {
    let page = pages.read(list)?;
    let header = ListHeader::read(&page, list, list_no, &meta.layout)?;
    Ok((0..header.n_blocks).any(|block| {
        blknos.iter().enumerate().all(|(j, b)| meta.layout.page_of(&page, block, j) == *b)
    }))
}

enum Outcome {
    Computed,
    /// Every vector is beyond the limit.
    Pruned,
    /// A page is not a DATA page of this list (any more).
    Changed,
}

/// Reading the DATA pages of one block, each under its own share lock.
struct BlockScan<'a, 'p, P: Pages, E: Element> {
    ahead: &'a mut Ahead<'p, P>,
    meta: &'a Meta,
    list_no: u32,
    kernel: RowKernel<E>,
    /// The page to be read after the block.
    after: Option<Blkno>,
}

impl<P: Pages, E: Element> BlockScan<'_, '_, P, E> {
    /// A block of one page.
    fn whole(
        &mut self,
        query: &[E::Operand],
        blkno: Blkno,
        out: &mut [f32],
    ) -> Result<Outcome, Error> {
        let (page, next) = self.ahead.read(blkno, self.after)?;
        if !page.is(PageKind::Data, self.list_no) {
            return Ok(Outcome::Changed);
        }
        match self.meta.geometry.rows::<E>(&page, 0, out.len()) {
            Some(rows) => self.kernel.distances_ahead(query, rows, out, next),
            None => return Err(Error::corrupted(blkno, "DATA page has no room for its rows")),
        }
        Ok(Outcome::Computed)
    }

    /// A block of several pages: the lanes carry the sums from page to page. Under L2 and L1 sums
    /// only grow, and the rest of the block is skipped once all exceed `limit` (NaN: no limit).
    fn slices(
        &mut self,
        query: &[E::Operand],
        blknos: &[Blkno],
        limit: f32,
        lanes: &mut [Lanes],
        out: &mut [f32],
    ) -> Result<Outcome, Error> {
        for (j, blkno) in blknos.iter().enumerate() {
            let following = blknos.get(j + 1).copied().or(self.after);
            let (page, next) = self.ahead.read(*blkno, following)?;
            if !page.is(PageKind::Data, self.list_no) {
                return Ok(Outcome::Changed);
            }
            let slice = query.get(self.meta.geometry.slice(j)).unwrap_or_default();
            match self.meta.geometry.rows::<E>(&page, j, out.len()) {
                Some(rows) => self.kernel.accumulate_ahead(slice, rows, lanes, next),
                None => return Err(Error::corrupted(*blkno, "DATA page has no room for its rows")),
            }
            drop(page);
            if j + 1 < blknos.len() && limit < f32::INFINITY {
                RowKernel::<E>::reduce(lanes, out);
                if out.iter().all(|sum| *sum > limit) {
                    return Ok(Outcome::Pruned);
                }
            }
        }
        RowKernel::<E>::reduce(lanes, out);
        Ok(Outcome::Computed)
    }
}
