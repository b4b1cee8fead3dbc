//! One inverted list of codes against one query: the inner loop of a scan. Per 32 vectors there are the codec's kernel and one
//! compare with the threshold; only what passes gets its tid decoded.

use ann::codec::{Codec, CodecQuery, Coding, LANES, Sums, UNIT};
use ann::kernels::at_most;
use ann::topk::{Hit, TopK};

use crate::ahead::Ahead;
use crate::error::Error;
use crate::lists::BlockLayout;
use crate::lists::extent::Extent;
use crate::lists::heads::Unit;
use crate::lists::lanes::{Rows, passing};
use crate::lists::layout::TID_UNITS;
use crate::lists::overflow::Overflow;
use crate::lists::scanner::{ListScanner, Probed, Seen, View, Visitor, Window, offer};
use crate::lists::walk::{Extents, Piece, pieces};
use crate::page::META_BLKNO;
use crate::search::filter::Filter;
use crate::store::Pages;

mod part;

use part::Blocks;

/// A query made ready for its lists, with the buffers of the inner loop.
pub struct CodedScanner {
    /// As vectors are coded: normalised and rotated if the index does so.
    query: Vec<f32>,
    has_direction: bool,
    codec_query: Option<CodecQuery>,
    /// The centroid of the list being scanned, where codes are of residuals.
    centroid: Vec<f32>,
    overflow: Overflow,
    block: Block,
}

/// The block being read.
struct Block {
    /// Its tids, and with a filter its attributes.
    head: Vec<Unit>,
    factors: Vec<f32>,
    /// Its rows that the filter lets pass, once the head is whole.
    wanted: u32,
    sums: Sums,
    out: [f32; LANES],
}

impl ListScanner for CodedScanner {
    type Part = Blocks;
    const TOGETHER: usize = 1;

    fn new() -> Self {
        let block = Block {
            head: Vec::new(),
            factors: Vec::new(),
            wanted: 0,
            sums: Sums::ZERO,
            out: [0.0; LANES],
        };
        Self {
            query: Vec::new(),
            has_direction: true,
            codec_query: None,
            centroid: Vec::new(),
            overflow: Overflow::default(),
            block,
        }
    }

    fn set_query(&mut self, query: &[f32]) {
        self.query.clear();
        self.query.extend_from_slice(query);
    }

    fn query(&self) -> &[f32] {
        &self.query
    }

    fn prepare(&mut self, view: &View<'_>) -> bool {
        let (Some(codec), params) = (view.codec, &view.lists.params) else { return false };
        if self.query.len() != params.dims || !view.lists.layout.has_code {
            return false;
        }
        self.has_direction = params.metric.has_origin() || self.query.iter().any(|x| *x != 0.0);
        self.block.factors.clear();
        self.block.factors.resize(view.lists.layout.n_factors * LANES, 0.0);
        let query = self.codec_query.get_or_insert_with(|| codec.query());
        codec.prepare(query, &self.query);
        true
    }

    fn has_direction(&self) -> bool {
        self.has_direction
    }

    fn distance_of(&self, key: f64) -> f64 {
        key
    }

    fn scan_list<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        list: Probed,
        window: &Window,
        top: &mut TopK,
    ) -> Result<Seen, Error> {
        self.centroid.clear();
        if let (Some(codec), Some(quantizer)) = (view.codec, view.quantizer)
            && codec.by_residual()
        {
            quantizer.centroid(pages, list.list_no, &mut self.centroid)?;
        }
        let mut extents = Extents::open(pages, view.lists, list.list_no)?;
        // These are read while the list is scanned.
        let mut overflow = std::mem::take(&mut self.overflow);
        let centroid = std::mem::take(&mut self.centroid);
        let mut list_scan = self.enter(view, list, &centroid, *window, top)?;
        let mut ahead = Ahead::new(pages);
        while let Some(extent) = extents.next(&mut overflow)? {
            list_scan.extent(&mut ahead, &extent)?;
        }
        let seen = list_scan.seen;
        (self.overflow, self.centroid) = (overflow, centroid);
        Ok(seen)
    }

    fn copy_list<P: Pages>(
        pages: &P,
        view: &View<'_>,
        list_no: u32,
        room: usize,
        part: &mut Blocks,
        give: &mut dyn FnMut(&mut Blocks),
    ) -> Result<(), Error> {
        part::copy_list(pages, view, list_no, room, part, give)
    }

    fn part_bytes(part: &Blocks) -> usize {
        part.bytes()
    }

    fn scan_part(view: &View<'_>, part: &Blocks, visitors: &mut [Visitor<'_, Self>]) {
        for Visitor { probe, list, top, visited } in visitors {
            let Ok(mut list_scan) = probe.enter(view, *list, part.centroid(), Window::ALL, top)
            else {
                continue;
            };
            for (units, at) in part.iter(&view.lists.layout) {
                let wanted = view.filter.map_or(u32::MAX, |filter| passing(filter, units));
                list_scan.whole(units, at, wanted);
            }
            **visited += part.live(view);
        }
    }
}

impl CodedScanner {
    /// A list about to be scanned. `centroid`: its own, where codes are of residuals.
    fn enter<'a>(
        &'a mut self,
        view: &View<'a>,
        list: Probed,
        centroid: &[f32],
        window: Window,
        top: &'a mut TopK,
    ) -> Result<ListScan<'a>, Error> {
        let (Some(codec), Some(query)) = (view.codec, &mut self.codec_query) else {
            return Err(Error::corrupted(META_BLKNO, "index has no codes"));
        };
        codec.enter_list(query, centroid, list.distance);
        Ok(ListScan {
            codec,
            query,
            layout: &view.lists.layout,
            filter: view.filter,
            has_direction: self.has_direction,
            trusts_marks: view.trusts_marks,
            block: &mut self.block,
            window,
            top,
            seen: Seen::default(),
        })
    }
}

/// A list on its way.
struct ListScan<'a> {
    codec: &'a Codec,
    query: &'a CodecQuery,
    layout: &'a BlockLayout,
    filter: Option<&'a Filter>,
    has_direction: bool,
    trusts_marks: bool,
    block: &'a mut Block,
    window: Window,
    top: &'a mut TopK,
    seen: Seen,
}

impl ListScan<'_> {
    /// The blocks of an extent.
    fn extent<'p, P: Pages>(
        &mut self,
        ahead: &mut Ahead<'p, P>,
        extent: &Extent<'_>,
    ) -> Result<(), Error> {
        pieces(ahead, extent, |piece| {
            let at = extent.place(piece.block * LANES as u64);
            if piece.part.len == self.layout.block_units {
                let wanted = self.wanted(piece.units);
                // Versions that nobody sees any more fill whole blocks, until VACUUM.
                if wanted != 0 {
                    self.whole(piece.units, at, wanted);
                }
            } else {
                self.part(&piece, at);
            }
            true
        })
    }

    /// Which lanes of a block have a row that passes the filter; counts them, and all rows. `head`: the block as far as its
    /// factors.
    fn wanted(&mut self, head: &[u8]) -> u32 {
        let rows = Rows::of(head, self.trusts_marks);
        let Some(filter) = self.filter else {
            let n = rows.count();
            self.seen.tuples += n;
            self.seen.examined += n;
            // Those without a row are found out when they are near enough.
            return if n > 0 { u32::MAX } else { 0 };
        };
        let live = rows.lanes();
        let wanted = if live == 0 { 0 } else { live & passing(filter, head) };
        self.seen.examined += u64::from(live.count_ones());
        self.seen.tuples += u64::from(wanted.count_ones());
        wanted
    }

    /// The rows in the lanes `wanted` of a block that lies whole in one place, read there.
    fn whole(&mut self, units: &[u8], at: u64, wanted: u32) {
        let first_code = self.layout.first_code_unit() * UNIT;
        let Some((head, codes)) = units.split_at_checked(first_code) else { return };
        let tids = head;
        let factors = head.get(self.layout.factor_units().start * UNIT..).unwrap_or_default();
        let factors = bytemuck::try_cast_slice(factors).unwrap_or_default();
        let block = &mut *self.block;
        let limit = limit(self.top);
        let mask = if self.has_direction {
            self.codec.block(self.query, codes, factors, limit, &mut block.out)
        } else {
            block.out.fill(0.0);
            at_most(&block.out, limit)
        };
        let rows = Rows::of(tids, self.trusts_marks);
        collect(rows, &block.out, mask & wanted, at, &self.window, self.top, &mut self.seen);
    }

    /// Units that are looked at before the code of a block.
    fn head_units(&self) -> usize {
        if self.filter.is_some() { self.layout.factor_units().start } else { TID_UNITS }
    }

    /// A part of a block that goes over several pages: what is not summed at once is kept until its end.
    fn part(&mut self, piece: &Piece<'_>, at: u64) {
        let part = piece.part;
        if part.first_unit == 0 {
            self.block.sums = Sums::ZERO;
        }
        let (end_of_head, first_code) = (self.head_units(), self.layout.first_code_unit());
        let end = part.first_unit + part.len;
        if part.first_unit < end_of_head {
            let mut head = std::mem::take(&mut self.block.head);
            head.resize(end_of_head, Unit::default());
            piece.copy_to(bytemuck::cast_slice_mut(&mut head), 0);
            if end >= end_of_head {
                self.block.wanted = self.wanted(bytemuck::cast_slice(&head));
            }
            self.block.head = head;
        }
        if end >= end_of_head && self.block.wanted == 0 {
            return;
        }
        let block = &mut *self.block;
        let factors = bytemuck::cast_slice_mut(&mut block.factors);
        piece.copy_to(factors, self.layout.factor_units().start);
        if end > first_code && self.has_direction {
            let from = part.first_unit.max(first_code);
            let codes = piece.units.get((from - part.first_unit) * UNIT..).unwrap_or_default();
            self.codec.accumulate(self.query, &mut block.sums, from - first_code, codes);
        }
        if end < self.layout.block_units {
            return;
        }
        if self.has_direction {
            self.codec.estimates(self.query, &block.sums, &block.factors, &mut block.out);
        } else {
            block.out.fill(0.0);
        }
        let rows = Rows::of(bytemuck::cast_slice(&block.head), self.trusts_marks);
        let mask = at_most(&block.out, limit(self.top)) & block.wanted;
        collect(rows, &block.out, mask, at, &self.window, self.top, &mut self.seen);
    }
}

/// The largest estimate that can still enter. Keys are widened f32: narrowing the threshold is exact.
fn limit(top: &TopK) -> f32 {
    top.threshold() as f32
}

/// Offers the rows in the lanes of `mask`, those that pass the threshold. `at`: the place of the block's first lane.
fn collect(
    rows: Rows<'_>,
    estimates: &[f32; LANES],
    mut mask: u32,
    at: u64,
    window: &Window,
    top: &mut TopK,
    seen: &mut Seen,
) {
    while mask != 0 {
        let lane = mask.trailing_zeros() as usize;
        mask &= mask - 1;
        if let Some(tid) = rows.get(lane) {
            let key = f64::from(estimates.get(lane).copied().unwrap_or(f32::NAN));
            offer(Hit { key, id: tid.to_u64(), at: at + lane as u64 }, window, top, seen);
        }
    }
}
