//! What precedes the codes of blocks, outside of their pages: tids, attributes and factors of a stretch of a list.

use std::ops::Range;

use ann::codec::{LANES, UNIT};

use crate::ahead::Ahead;
use crate::error::Error;
use crate::lists::extent::Extent;
use crate::lists::lanes::{Rows, TID_BYTES, passing, tid_of};
use crate::lists::layout::BlockLayout;
use crate::lists::walk::pieces;
use crate::search::attributes::Attributes;
use crate::search::filter::Filter;
use crate::store::Pages;
use crate::tid::Tid;

/// A unit, aligned for the factors in it.
pub type Unit = [u64; UNIT / size_of::<u64>()];

/// The heads of a stretch of slots. Slots are counted from the first of the stretch.
#[derive(Default)]
pub struct Heads {
    units: Vec<Unit>,
    /// Of each block, which lanes have a row that belongs to the stretch.
    live: Vec<u32>,
    /// Units of a head, and the first of its factors.
    head_units: usize,
    factors_unit: usize,
    /// The lane of the first slot in its block.
    lead: usize,
    n: usize,
    /// Slots with a row, whether it passes the filter or not.
    examined: u64,
    /// The place of the first slot.
    place: u64,
}

impl Heads {
    /// Takes over the heads of `extent`, all of whose pages are read under share locks, one at a time. Marked entries count as
    /// free if marks are trusted, and so do those that a filter stops.
    pub fn read<'p, P: Pages>(
        &mut self,
        ahead: &mut Ahead<'p, P>,
        extent: &Extent<'_>,
        layout: &BlockLayout,
        trusts_marks: bool,
        filter: Option<&Filter>,
    ) -> Result<(), Error> {
        let blocks = extent.blocks();
        self.head_units = layout.first_code_unit();
        self.factors_unit = layout.factor_units().start;
        self.lead = (extent.first % LANES as u64) as usize;
        self.n = extent.n_slots();
        self.place = extent.place(extent.first);
        let n_blocks = (blocks.end - blocks.start) as usize;
        self.units.clear();
        self.units.resize(n_blocks * self.head_units, Unit::default());
        let size = self.head_units * UNIT;
        let units: &mut [u8] = bytemuck::cast_slice_mut(&mut self.units);
        pieces(ahead, extent, |piece| {
            let at = (piece.block - blocks.start) as usize * size;
            if let Some(head) = units.get_mut(at..at + size) {
                piece.copy_to(head, 0);
            }
            true
        })?;
        self.live.clear();
        let heads = units.chunks_exact(size);
        let live = |(block, head)| Rows::of(head, trusts_marks).lanes() & extent.lanes(block);
        self.live.extend(blocks.zip(heads.clone()).map(live));
        self.examined = self.live.iter().map(|live| u64::from(live.count_ones())).sum();
        if let Some(filter) = filter {
            for (live, head) in self.live.iter_mut().zip(heads).filter(|(live, _)| **live != 0) {
                *live &= passing(filter, head);
            }
        }
        Ok(())
    }

    /// How many slots have a row, those that the filter stops among them.
    pub fn examined(&self) -> u64 {
        self.examined
    }

    /// How many slots.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether there is no slot.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The place of a slot.
    pub fn place(&self, slot: usize) -> u64 {
        self.place + slot as u64
    }

    /// The row in a slot; None if it is free.
    #[inline]
    pub fn tid(&self, slot: usize) -> Option<Tid> {
        let (block, lane) = ((self.lead + slot) / LANES, (self.lead + slot) % LANES);
        let is_live = self.live.get(block).is_some_and(|live| live & 1 << lane != 0);
        let at = block * self.head_units;
        let head = self.units.get(at..at + self.head_units).filter(|_| is_live)?;
        Some(tid_of(bytemuck::cast_slice(head), lane))
    }

    /// Appends the attributes of a slot, as an insert takes them.
    pub fn append_attributes(&self, slot: usize, attributes: &Attributes, out: &mut Vec<u8>) {
        let (block, lane) = ((self.lead + slot) / LANES, (self.lead + slot) % LANES);
        let at = block * self.head_units;
        let head: &[u8] =
            bytemuck::cast_slice(self.units.get(at..at + self.head_units).unwrap_or_default());
        attributes.append_entry(head.get(TID_BYTES..).unwrap_or_default(), lane, out);
    }

    /// How many of some slots have a row.
    pub fn live(&self, slots: Range<usize>) -> u64 {
        let (first, end) = (self.lead + slots.start, self.lead + slots.end);
        let below = |n: usize| if n >= LANES { u32::MAX } else { (1u32 << n) - 1 };
        let count = |block: usize| {
            let start = block * LANES;
            let own = below(end.saturating_sub(start)) & !below(first.saturating_sub(start));
            self.live.get(block).map_or(0, |live| (live & own).count_ones())
        };
        (first / LANES..end.div_ceil(LANES)).map(|block| u64::from(count(block))).sum()
    }

    /// The norm of the vector in a slot, where entries have one: it is their only factor.
    pub fn norm(&self, slot: usize) -> f32 {
        self.factor(slot, 0)
    }

    /// A factor of a slot; NaN if there is none of this number.
    pub fn factor(&self, slot: usize, f: usize) -> f32 {
        let lane = self.lead + slot;
        let factors = self.factors(lane / LANES);
        factors.get(f * LANES + lane % LANES).copied().unwrap_or(f32::NAN)
    }

    /// The factors of a block, 32 of each.
    fn factors(&self, block: usize) -> &[f32] {
        let at = block * self.head_units;
        let units = self.units.get(at + self.factors_unit..at + self.head_units);
        bytemuck::cast_slice(units.unwrap_or_default())
    }

    /// Calls `each` with the norms of all slots, some at a time and in order.
    pub fn norms(&self, mut each: impl FnMut(&[f32])) {
        let end = self.lead + self.n;
        for block in 0..end.div_ceil(LANES) {
            let lanes = if block == 0 { self.lead } else { 0 }..(end - block * LANES).min(LANES);
            each(self.factors(block).get(lanes).unwrap_or_default());
        }
    }
}
