//! One inverted list of codes against one query: the inner loop of a scan. Per 32 vectors there are the codec's kernel and one
//! compare with the threshold; only what passes gets its tid decoded.

use ann::codec::{Codec, CodecQuery, Coding, LANES, Sums, UNIT};
use ann::kernels::at_most;
use ann::topk::{Hit, TopK};

use crate::ahead::Ahead;
use crate::bytes::{put, u16_at, u32_at};
use crate::coded::directory;
use crate::coded::layout::{CodeLayout, Run, RunPages, TID_UNITS, tid_places};
use crate::coded::part::{self, Blocks};
use crate::coded::shelf::Shelf;
use crate::coded::walk::{Piece, Shelves, packed_run, pieces};
use crate::error::Error;
use crate::ivf::lists::{Lists, Probed, Seen, View, Visitor, Window, offer};
use crate::meta::{Coded, META_BLKNO};
use crate::page::Blkno;
use crate::store::Pages;
use crate::tid::{OFFSET_MAX, Tid};

const TID_BYTES: usize = TID_UNITS * UNIT;

/// Set in a place that is on a shelf.
pub(super) const ON_SHELF: u64 = 1 << 63;

/// Where a candidate's slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Lane and block of the packed area, counted through.
    Packed(u64),
    /// A slot of the shelf that begins at this page.
    Shelf(Blkno, usize),
}

impl Place {
    /// The place that a [`Hit::at`] of a coded list stands for.
    pub(super) fn of(at: u64) -> Self {
        match at & ON_SHELF {
            0 => Self::Packed(at),
            _ => Self::Shelf((at >> 16) as Blkno, (at & 0xFFFF) as usize),
        }
    }
}

/// A query made ready for its lists, with the buffers of the inner loop.
pub struct CodedProbe {
    /// As vectors are coded: normalised and rotated if the index does so.
    query: Vec<f32>,
    has_direction: bool,
    codec_query: Option<CodecQuery>,
    shelf: Shelf,
    block: Block,
}

/// The block being read.
struct Block {
    tids: [u8; TID_BYTES],
    factors: Vec<f32>,
    sums: Sums,
    out: [f32; LANES],
}

impl Lists for CodedProbe {
    type Part = Blocks;
    const TOGETHER: usize = 1;

    fn new() -> Self {
        let block = Block {
            tids: [0; TID_BYTES],
            factors: Vec::new(),
            sums: Sums::ZERO,
            out: [0.0; LANES],
        };
        Self {
            query: Vec::new(),
            has_direction: true,
            codec_query: None,
            shelf: Shelf::default(),
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
        let (Some(codec), Some(coded)) = (view.codec, view.meta.coded) else { return false };
        if self.query.len() != view.meta.dims {
            return false;
        }
        self.has_direction = view.meta.metric.has_origin() || self.query.iter().any(|x| *x != 0.0);
        self.block.factors.clear();
        self.block.factors.resize(coded.layout.n_factors * LANES, 0.0);
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
        // The shelf is read while its list is scanned.
        let mut shelf = std::mem::take(&mut self.shelf);
        let (coded, mut list_scan) = self.enter(view, list, *window, top)?;
        let entry = directory::read(pages, view.meta, list.list_no)?;
        let mut ahead = Ahead::new(pages);
        if entry.n_blocks > 0 {
            let run = packed_run(&entry, list.list_no, &coded.layout, coded.codes_first);
            list_scan.run(&mut ahead, &run, u64::from(entry.start) * LANES as u64)?;
        }
        let mut shelves = Shelves::new(pages, &coded.layout, list.list_no, entry.shelf_first);
        while let Some(blkno) = shelves.next(&mut shelf)? {
            let run = shelf.run(list.list_no, &coded.layout);
            list_scan.run(&mut ahead, &run, ON_SHELF | u64::from(blkno) << 16)?;
        }
        let seen = list_scan.seen;
        self.shelf = shelf;
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
            let Ok((coded, mut list_scan)) = probe.enter(view, *list, Window::ALL, top) else {
                continue;
            };
            for (units, at) in part.iter(&coded.layout) {
                list_scan.whole(units, at);
            }
            **visited += part.live(&coded.layout, view.trusts_marks);
        }
    }
}

impl CodedProbe {
    /// A list about to be scanned.
    fn enter<'a>(
        &'a mut self,
        view: &View<'a>,
        list: Probed,
        window: Window,
        top: &'a mut TopK,
    ) -> Result<(&'a Coded, ListScan<'a>), Error> {
        let (Some(codec), Some(coded), Some(coarse), Some(query)) =
            (view.codec, &view.meta.coded, view.coarse, &mut self.codec_query)
        else {
            return Err(Error::corrupted(META_BLKNO, "index has no codes"));
        };
        codec.enter_list(query, coarse.centroid(list.list_no), list.distance);
        let list_scan = ListScan {
            codec,
            query,
            layout: &coded.layout,
            has_direction: self.has_direction,
            trusts_marks: view.trusts_marks,
            block: &mut self.block,
            window,
            top,
            seen: Seen::default(),
        };
        Ok((coded, list_scan))
    }
}

/// A list on its way.
struct ListScan<'a> {
    codec: &'a Codec,
    query: &'a CodecQuery,
    layout: &'a CodeLayout,
    has_direction: bool,
    trusts_marks: bool,
    block: &'a mut Block,
    window: Window,
    top: &'a mut TopK,
    seen: Seen,
}

impl ListScan<'_> {
    /// The blocks of a run; `first` is the place of its first slot.
    fn run<'p, P: Pages>(
        &mut self,
        ahead: &mut Ahead<'p, P>,
        run: &Run<'_>,
        first: u64,
    ) -> Result<(), Error> {
        debug_assert!(matches!(run.pages, RunPages::Packed(_)) == (first & ON_SHELF == 0));
        pieces(ahead, run, |piece| {
            let at = first + (piece.block * LANES) as u64;
            if piece.part.len == self.layout.block_units {
                let n = Rows::of(piece.units, self.trusts_marks).count();
                self.seen.tuples += n;
                // Versions that nobody sees any more fill whole blocks, until VACUUM.
                if n > 0 {
                    self.whole(piece.units, at);
                }
            } else {
                self.part(&piece, at);
            }
            true
        })
    }

    /// A block that lies whole in one place, read there. Its live rows are not counted.
    fn whole(&mut self, units: &[u8], at: u64) {
        let first_code = self.layout.first_code_unit() * UNIT;
        let Some((head, codes)) = units.split_at_checked(first_code) else { return };
        let Some((tids, factors)) = head.split_at_checked(TID_BYTES) else { return };
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
        sift(rows, &block.out, mask, at, &self.window, self.top, &mut self.seen);
    }

    /// A part of a block that goes over several pages: what is not summed at once is kept until its end.
    fn part(&mut self, piece: &Piece<'_>, at: u64) {
        let block = &mut *self.block;
        let part = piece.part;
        if part.first_unit == 0 {
            block.sums = Sums::ZERO;
        }
        let first_code = self.layout.first_code_unit();
        let end = part.first_unit + part.len;
        copy_units(&mut block.tids, 0, piece);
        copy_units(bytemuck::cast_slice_mut(&mut block.factors), TID_UNITS, piece);
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
        let rows = Rows::of(&block.tids, self.trusts_marks);
        self.seen.tuples += rows.count();
        let mask = at_most(&block.out, limit(self.top));
        sift(rows, &block.out, mask, at, &self.window, self.top, &mut self.seen);
    }
}

/// Copies those units of the piece that belong to `to`, whose first unit is unit `start` of the block.
pub(super) fn copy_units(to: &mut [u8], start: usize, piece: &Piece<'_>) {
    let end = start + to.len() / UNIT;
    let (first, last) = (piece.part.first_unit, piece.part.first_unit + piece.part.len);
    let (from, until) = (first.max(start), last.min(end));
    if from < until {
        let source = piece.units.get((from - first) * UNIT..(until - first) * UNIT);
        put(to, (from - start) * UNIT, source.unwrap_or_default());
    }
}

/// The tid of a lane, marked or not.
#[inline]
pub(super) fn tid_of(tids: &[u8], lane: usize) -> Tid {
    let (heap_block, offset) = tid_places(lane);
    Tid::from_parts(u32_at(tids, heap_block), u16_at(tids, offset))
}

/// The tids at the start of a block, and which of them are rows.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    tids: &'a [u8],
    /// The largest stored offset of a row: those with a mark are larger.
    most: u16,
}

impl<'a> Rows<'a> {
    /// Those of a block; marked ones are left out if marks are trusted.
    #[inline]
    pub(super) fn of(tids: &'a [u8], trusts_marks: bool) -> Self {
        Self { tids, most: if trusts_marks { OFFSET_MAX } else { u16::MAX } }
    }

    /// How many lanes have a row.
    #[inline]
    pub(super) fn count(self) -> u64 {
        let (_, offsets) = tid_places(0);
        let offsets = self.tids.get(offsets..TID_BYTES).unwrap_or_default().as_chunks().0;
        offsets.iter().filter(|offset| self.is_row(u16::from_le_bytes(**offset))).count() as u64
    }

    /// The row of a lane.
    #[inline]
    fn get(self, lane: usize) -> Option<Tid> {
        let tid = tid_of(self.tids, lane);
        let (_, offset) = tid_places(lane);
        (self.is_row(u16_at(self.tids, offset)) && !tid.is_free()).then_some(tid)
    }

    /// Whether a stored offset is that of a row: it is not 0, which wraps around.
    #[inline]
    fn is_row(self, offset: u16) -> bool {
        offset.wrapping_sub(1) < self.most
    }
}

/// The largest estimate that can still enter. Keys are widened f32: narrowing the threshold is exact.
fn limit(top: &TopK) -> f32 {
    top.threshold() as f32
}

/// Offers the rows in the lanes of `mask`, those that pass the threshold. `at`: the place of the block's first lane.
fn sift(
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
