//! Extents: slots of one list that follow each other without a gap, over pages that the list shares with others or has for
//! itself. The byte picture is in `README.md`.

use ann::codec::{LANES, UNIT};

use crate::lists::layout::{PAGE_UNITS, UNITS_START};
use crate::page::{Blkno, NO_OWNER, PageKind};

/// Set in a place that is in an overflow extent.
const IN_OVERFLOW: u64 = 1 << 63;
/// Bits of a place in an overflow extent that say which slot of it.
const SLOT_BITS: u32 = 16;

/// Where a slot is, as one number: what a [`ann::topk::Hit::at`] of a list stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A slot of the packed area.
    Packed(u64),
    /// A slot of the overflow extent that begins at this page.
    Overflow(Blkno, u64),
}

impl Place {
    /// The place that a number stands for.
    pub fn of(at: u64) -> Self {
        match at & IN_OVERFLOW {
            0 => Self::Packed(at),
            _ => Self::Overflow((at >> SLOT_BITS) as Blkno, at & ((1 << SLOT_BITS) - 1)),
        }
    }

    /// The number; those of slots that follow each other do so, too.
    pub fn number(self) -> u64 {
        match self {
            Self::Packed(slot) => slot,
            Self::Overflow(blkno, slot) => IN_OVERFLOW | u64::from(blkno) << SLOT_BITS | slot,
        }
    }
}

/// The pages with the blocks of an extent, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtentPages<'a> {
    /// The packed area, shared by all lists: consecutive from this page.
    Packed(Blkno),
    /// Pages of one list, the first of which names the others.
    Overflow(&'a [Blkno]),
}

/// The DATA pages with the exact vectors of an extent, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VectorPages<'a> {
    /// The index stores none.
    None,
    /// Consecutive from this page, shared by all lists.
    Packed(Blkno),
    /// Pages of one list; INVALID where no row needed one yet.
    Overflow(&'a [Blkno]),
}

impl VectorPages<'_> {
    /// The number of page `i`; None where there is no such page.
    pub fn blkno(&self, i: usize) -> Option<Blkno> {
        match self {
            Self::None => None,
            Self::Packed(first) => Some(first.wrapping_add(i as Blkno)),
            Self::Overflow(blknos) => blknos.get(i).copied(),
        }
    }
}

/// Slots of one list. Slot s is lane s % 32 of block s / 32, counted from the start of the packed area or of the overflow extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent<'a> {
    /// Where its blocks lie.
    pub pages: ExtentPages<'a>,
    /// Where its exact vectors lie.
    pub vectors: VectorPages<'a>,
    /// The list it belongs to.
    pub list_no: u32,
    /// Units before block 0.
    pub header: usize,
    /// U.
    pub block_units: usize,
    /// Its first slot.
    pub first: u64,
    /// The slot behind its last.
    pub end: u64,
}

/// A part of a block on one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The page, counted from the extent's first.
    pub page: usize,
    /// The first unit of the block that lies there.
    pub first_unit: usize,
    /// Where on the page, in units.
    pub at: usize,
    /// How many units.
    pub len: usize,
}

impl Part {
    /// Where the units lie in the body of the page.
    pub fn range(&self) -> std::ops::Range<usize> {
        let start = UNITS_START + self.at * UNIT;
        start..start + self.len * UNIT
    }
}

impl<'a> Extent<'a> {
    /// Its blocks.
    pub fn blocks(&self) -> std::ops::Range<u64> {
        let lanes = LANES as u64;
        if self.first < self.end { self.first / lanes..self.end.div_ceil(lanes) } else { 0..0 }
    }

    /// How many slots it has.
    pub fn n_slots(&self) -> usize {
        self.end.saturating_sub(self.first) as usize
    }

    /// The part of it with these slots.
    pub fn slots(&self, first: u64, end: u64) -> Self {
        Self { first: first.max(self.first), end: end.min(self.end), ..*self }
    }

    /// Stretches of it with at most `blocks` blocks.
    pub fn stretches(self, blocks: usize) -> impl Iterator<Item = Self> + use<'a> {
        let step = blocks.max(1) as u64 * LANES as u64;
        let starts = (self.first / LANES as u64 * LANES as u64..self.end).step_by(step as usize);
        starts.map(move |start| self.slots(start, start + step))
    }

    /// Which lanes of a block are its own, lane 0 in the lowest bit.
    #[inline]
    pub fn lanes(&self, block: u64) -> u32 {
        let start = block * LANES as u64;
        let (from, to) = (self.first.saturating_sub(start), self.end.saturating_sub(start));
        let below = |n: u64| if n >= 32 { u32::MAX } else { (1u32 << n) - 1 };
        below(to) & !below(from)
    }

    /// The place of a slot.
    #[inline]
    pub fn place(&self, slot: u64) -> u64 {
        match self.pages {
            ExtentPages::Packed(_) => Place::Packed(slot).number(),
            ExtentPages::Overflow(pages) => {
                Place::Overflow(pages.first().copied().unwrap_or_default(), slot).number()
            }
        }
    }

    /// The number of page `i`; None past the end of an overflow extent.
    pub fn blkno(&self, i: usize) -> Option<Blkno> {
        match self.pages {
            ExtentPages::Packed(first) => Some(first.wrapping_add(i as Blkno)),
            ExtentPages::Overflow(blknos) => blknos.get(i).copied(),
        }
    }

    /// Kind and owner that page `i` must have.
    pub fn identity(&self, i: usize) -> (PageKind, u32) {
        match self.pages {
            ExtentPages::Packed(_) => (PageKind::Codes, NO_OWNER),
            ExtentPages::Overflow(_) if i == 0 => (PageKind::Overflow, self.list_no),
            ExtentPages::Overflow(_) => (PageKind::Codes, self.list_no),
        }
    }

    /// The owner that its DATA pages must have.
    pub fn vectors_owner(&self) -> u32 {
        match self.vectors {
            VectorPages::Overflow(_) => self.list_no,
            VectorPages::None | VectorPages::Packed(_) => NO_OWNER,
        }
    }

    /// Its units, counted from the first page's first.
    fn units(&self) -> std::ops::Range<u64> {
        let (blocks, u) = (self.blocks(), self.block_units as u64);
        let unit = |block: u64| self.header as u64 + block * u;
        unit(blocks.start)..unit(blocks.end)
    }

    /// The pages its blocks touch, counted from its first.
    pub fn page_range(&self) -> std::ops::Range<usize> {
        let (units, page) = (self.units(), PAGE_UNITS as u64);
        if units.is_empty() {
            return 0..0;
        }
        (units.start / page) as usize..units.end.div_ceil(page) as usize
    }

    /// The parts of its blocks on page `i`, in order, each with its block.
    pub fn parts(&self, i: usize) -> impl Iterator<Item = (u64, Part)> + use<> {
        let (u, header, units) = (self.block_units as u64, self.header as u64, self.units());
        let page = i as u64 * PAGE_UNITS as u64;
        let end = units.end.min(page + PAGE_UNITS as u64);
        let mut at = units.start.max(page);
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let (block, first_unit) = ((at - header) / u, (at - header) % u);
            let len = (u - first_unit).min(end - at);
            let part = Part {
                page: i,
                first_unit: first_unit as usize,
                at: (at - page) as usize,
                len: len as usize,
            };
            at += len;
            Some((block, part))
        })
    }

    /// The parts of one block, in order.
    pub fn block_parts(&self, block: u64) -> impl Iterator<Item = Part> + use<> {
        let first = block * LANES as u64;
        let one = Extent {
            pages: ExtentPages::Packed(0),
            vectors: VectorPages::None,
            first,
            end: first + 1,
            ..*self
        };
        one.page_range().flat_map(move |i| one.parts(i).map(|(_, part)| part))
    }

    /// The page (counted from its first) and the body offset of the offset in a lane's tid.
    pub fn offset_place(&self, block: u64, lane: usize) -> (usize, usize) {
        let (_, byte) = super::layout::tid_places(lane);
        let unit = self.header as u64 + block * self.block_units as u64 + (byte / UNIT) as u64;
        let (page, at) = (unit / PAGE_UNITS as u64, unit % PAGE_UNITS as u64);
        (page as usize, UNITS_START + at as usize * UNIT + byte % UNIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(header: usize, block_units: usize, first: u64, end: u64) -> Extent<'static> {
        let (pages, vectors) = (ExtentPages::Packed(9), VectorPages::None);
        Extent { pages, vectors, list_no: 0, header, block_units, first, end }
    }

    #[test]
    fn parts_cover_every_unit_once_and_in_order() {
        for (block_units, header, first, end) in
            [(22, 0, 7, 3200), (38, 7, 64, 50 * 32), (253, 100, 0, 96), (600, 5, 40, 128)]
        {
            let extent = extent(header, block_units, first, end);
            let start = header as u64 + first / 32 * block_units as u64;
            let mut at = start;
            for i in extent.page_range() {
                for (block, part) in extent.parts(i) {
                    assert_eq!((i * PAGE_UNITS + part.at) as u64, at);
                    let unit = block * block_units as u64 + part.first_unit as u64;
                    assert_eq!(unit + header as u64, at);
                    assert!(part.len > 0 && part.at + part.len <= PAGE_UNITS);
                    assert!(extent.block_parts(block).any(|p| p == part));
                    at += part.len as u64;
                }
            }
            assert_eq!(at, header as u64 + end.div_ceil(32) * block_units as u64);
        }
    }

    #[test]
    fn stretches_and_lanes_cover_every_slot_once() {
        for (first, end) in [(0, 0), (5, 6), (31, 33), (32, 64), (7, 1000), (64, 1024)] {
            let whole = extent(0, 6, first, end);
            for blocks in [1, 3, 1000] {
                let mut slots = Vec::new();
                for stretch in whole.stretches(blocks) {
                    for block in stretch.blocks() {
                        let lanes = stretch.lanes(block);
                        let own = (0..32u64).filter(|lane| lanes & 1 << lane != 0);
                        slots.extend(own.map(|lane| block * 32 + lane));
                    }
                }
                assert!(slots.into_iter().eq(first..end));
            }
        }
    }

    #[test]
    fn places_keep_what_they_say() {
        for place in
            [Place::Packed(0), Place::Packed(1 << 40), Place::Overflow(u32::MAX - 1, 65_535)]
        {
            assert_eq!(Place::of(place.number()), place);
        }
    }
}
