//! A list of vectors as they are against a query: the inner loop of a scan.
//!
//! Per vector there is the kernel and one compare with the threshold. What passes (few, once the
//! threshold is tight) gets its tid decoded and its exact key.

use ann::element::{Element, Query};
use ann::kernels::{Lanes, RowKernel, cosine_from, jaccard_from};
use ann::metric::Metric;
use ann::topk::{Hit, TopK};

use crate::ahead::Ahead;
use crate::error::Error;
use crate::lists::extent::Extent;
use crate::lists::heads::Heads;
use crate::lists::overflow::Overflow;
use crate::lists::scanner::{ListScanner, Probed, Seen, View, Visitor, Window, offer};
use crate::lists::walk::Extents;
use crate::page::META_BLKNO;
use crate::store::Pages;

mod part;
mod vectors;

use part::Rows;
use vectors::VectorBlocks;

/// The f32 estimate of a cosine, or of a Jaccard distance, is off by less than this (a handful of roundings of 2⁻²⁴ each).
const SLACK: f64 = 1e-5;
/// Copied rows compared before the nearest are picked out: their distances stay in the first-level cache.
const PART_ROWS: usize = 64;
/// Blocks of entries that are looked at together: about as many as a page has.
const STRETCH: usize = 42;

/// A query made ready for lists of vectors as they are.
pub struct FlatScanner<E: Element> {
    metric: Metric,
    query: Query,
    /// Whether distances to the query mean anything; without, rows come in order of tid.
    has_direction: bool,
    kernel: RowKernel<E>,
    overflow: Overflow,
    heads: Heads,
    /// 1 / (|q| · |x|) of each slot, cosine only.
    inverse_norms: Vec<f32>,
    out: Vec<f32>,
    lanes: Vec<Lanes>,
}

impl<E: Element> ListScanner for FlatScanner<E> {
    type Part = Rows<E>;
    const TOGETHER: usize = 4;

    fn new() -> Self {
        Self {
            metric: Metric::L2,
            query: Query::default(),
            has_direction: true,
            kernel: E::kernel(Metric::L2),
            overflow: Overflow::default(),
            heads: Heads::default(),
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
        let params = &view.lists.params;
        self.metric = params.metric;
        self.has_direction =
            params.metric.has_origin() || self.query.point().iter().any(|x| *x != 0.0);
        self.query.prepare(params.metric);
        self.kernel = E::kernel(params.metric);
        self.query.point().len() == params.dims && E::TAG == params.element && params.code.is_none()
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
        let mut seen = Seen::default();
        let mut extents = Extents::open(pages, view.lists, list.list_no)?;
        // The extent is read while its overflow page's numbers are looked at.
        let mut overflow = std::mem::take(&mut self.overflow);
        while let Some(extent) = extents.next(&mut overflow)? {
            for stretch in extent.stretches(STRETCH) {
                self.scan_stretch(pages, view, &stretch, window, top, &mut seen)?;
                pages.check_interrupts();
            }
        }
        self.overflow = overflow;
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
                visitor.probe.invert_norms(&part.heads);
                compared.push(visitor);
            } else {
                all_rows(&part.heads, &Window::ALL, visitor.top, &mut Seen::default());
            }
        }
        let (fours, others) = compared.as_chunks_mut::<4>();
        fours.iter_mut().for_each(|four| show_four(part, four));
        others.iter_mut().for_each(|visitor| show(part, visitor));
    }
}

/// Some rows of a part and the number of the first, time and again.
fn portions<E>(part: &Rows<E>, elements: usize) -> impl Iterator<Item = (usize, &[E])> {
    let firsts = (0..part.heads.len()).step_by(PART_ROWS);
    firsts.zip(part.rows.chunks(PART_ROWS * elements.max(1)))
}

/// Offers the rows of a part to a query.
fn show<E: Element>(part: &Rows<E>, visitor: &mut Visitor<'_, FlatScanner<E>>) {
    let mut values = std::mem::take(&mut visitor.probe.out);
    let probe = &*visitor.probe;
    for (first, rows) in portions(part, E::operand(&probe.query).len()) {
        values.resize((part.heads.len() - first).min(PART_ROWS), 0.0);
        probe.kernel.distances(E::operand(&probe.query), rows, &mut values);
        let mut out =
            Collector { window: &Window::ALL, top: visitor.top, seen: &mut Seen::default() };
        probe.collect(&part.heads, first, &values, &mut out);
    }
    visitor.probe.out = values;
}

/// As `show`, to four queries, each row loaded once for all of them.
fn show_four<E: Element>(part: &Rows<E>, four: &mut [&mut Visitor<'_, FlatScanner<E>>; 4]) {
    let mut values = four.each_mut().map(|visitor| std::mem::take(&mut visitor.probe.out));
    let FlatScanner { kernel, query, .. } = &*four[0].probe;
    let (kernel, elements) = (*kernel, E::operand(query).len());
    for (first, rows) in portions(part, elements) {
        let n = (part.heads.len() - first).min(PART_ROWS);
        values.iter_mut().for_each(|values| values.resize(n, 0.0));
        let queries = four.each_ref().map(|visitor| E::operand(&visitor.probe.query));
        kernel.distances_of_four(queries, rows, values.each_mut().map(Vec::as_mut_slice));
        for (visitor, values) in four.iter_mut().zip(&values) {
            let (probe, top) = (&*visitor.probe, &mut *visitor.top);
            let mut out = Collector { window: &Window::ALL, top, seen: &mut Seen::default() };
            probe.collect(&part.heads, first, values, &mut out);
        }
    }
    for (visitor, values) in four.iter_mut().zip(values) {
        visitor.probe.out = values;
    }
}

/// Every row, as near as any other.
fn all_rows(heads: &Heads, window: &Window, top: &mut TopK, seen: &mut Seen) {
    for slot in 0..heads.len() {
        if let Some(tid) = heads.tid(slot) {
            let hit = Hit { key: 0.0, id: tid.to_u64(), at: heads.place(slot) };
            offer(hit, window, top, seen);
        }
    }
}

/// Where hits go.
struct Collector<'a> {
    window: &'a Window,
    top: &'a mut TopK,
    seen: &'a mut Seen,
}

impl<E: Element> FlatScanner<E> {
    /// Readies the norms of slots to be scanned.
    fn invert_norms(&mut self, heads: &Heads) {
        if self.metric == Metric::Cosine {
            let inverse = 1.0 / self.query.norm_sqr().sqrt();
            self.inverse_norms.clear();
            let all = &mut self.inverse_norms;
            heads.norms(|norms| all.extend(norms.iter().map(|n| inverse / n.sqrt())));
        }
    }

    /// Offers the rows of a stretch of a list.
    fn scan_stretch<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        stretch: &Extent<'_>,
        window: &Window,
        top: &mut TopK,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let layout = &view.lists.layout;
        let Some(geometry) = layout.vectors else {
            return Err(Error::corrupted(META_BLKNO, "index stores no vectors"));
        };
        let mut heads = std::mem::take(&mut self.heads);
        heads.read(&mut Ahead::new(pages), stretch, layout, view.trusts_marks, view.filter)?;
        seen.tuples += heads.live(0..heads.len());
        seen.examined += heads.examined();
        if !self.has_direction {
            all_rows(&heads, window, top, seen);
            self.heads = heads;
            return Ok(());
        }
        self.invert_norms(&heads);
        // Sums of slices only grow under these: the rest of a block may be passed over.
        let grows = !self.metric.is_spherical() && self.metric != Metric::Jaccard;
        let mut blocks = VectorBlocks::new(pages, layout, &geometry, stretch, &heads);
        while let Some(block) = blocks.next() {
            let n = block.n();
            self.out.resize(n, 0.0);
            let limit = if grows { top.threshold() as f32 } else { f32::NAN };
            let query = E::operand(&self.query);
            let out = self.out.get_mut(..n).unwrap_or_default();
            if blocks.distances(self.kernel, query, &block, limit, &mut self.lanes, out)? {
                let values = self.out.get(..n).unwrap_or_default();
                let mut out = Collector { window, top: &mut *top, seen: &mut *seen };
                self.collect(&heads, block.first, values, &mut out);
            }
        }
        self.heads = heads;
        Ok(())
    }

    /// Offers what passes the threshold among the values of the slots from `first` on.
    fn collect(&self, heads: &Heads, first: usize, values: &[f32], out: &mut Collector<'_>) {
        match self.metric {
            Metric::L2 | Metric::L1 | Metric::Hamming => {
                self.collect_by(heads, first, values, out, |_, value| value);
            }
            Metric::InnerProduct => self.collect_by(heads, first, values, out, |_, dot| -dot),
            Metric::Cosine => {
                let inverse = self.inverse_norms.get(first..).unwrap_or_default();
                // Without a norm the estimate is NaN, which passes on to the exact key.
                self.collect_by(heads, first, values, out, |i, dot| {
                    -dot * inverse.get(i).copied().unwrap_or(f32::NAN)
                });
            }
            Metric::Jaccard => {
                let own = self.query.norm_sqr();
                // Nothing in common with nothing: NaN, which passes.
                self.collect_by(heads, first, values, out, |i, common| {
                    -common / (own + heads.norm(first + i) - common)
                });
            }
        }
    }

    #[inline]
    fn collect_by(
        &self,
        heads: &Heads,
        first: usize,
        values: &[f32],
        out: &mut Collector<'_>,
        estimate: impl Fn(usize, f32) -> f32,
    ) {
        let mut limit = self.limit(out.top.threshold());
        for (i, value) in values.iter().enumerate() {
            // NaN passes: its row must come back too, if last.
            if estimate(i, *value) > limit {
                continue;
            }
            let slot = first + i;
            let Some(tid) = heads.tid(slot) else { continue };
            let (key, at) = (self.key(heads, slot, *value), heads.place(slot));
            offer(Hit { key, id: tid.to_u64(), at }, out.window, out.top, out.seen);
            limit = self.limit(out.top.threshold());
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
    fn key(&self, heads: &Heads, slot: usize, value: f32) -> f64 {
        match self.metric {
            Metric::L2 | Metric::L1 | Metric::Hamming => f64::from(value),
            Metric::InnerProduct => -f64::from(value),
            Metric::Cosine => cosine_from(value, self.query.norm_sqr(), heads.norm(slot)),
            Metric::Jaccard => jaccard_from(value, self.query.norm_sqr(), heads.norm(slot)),
        }
    }
}
