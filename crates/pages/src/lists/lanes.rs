//! The lanes of blocks: which have rows, and the pass over an extent that frees those of dead rows.

use std::ops::Range;

use ann::codec::{LANES, UNIT};

use crate::bytes::{put_u16, u16_at, u32_at};
use crate::error::Error;
use crate::lists::InvertedLists;
use crate::lists::extent::Extent;
use crate::lists::layout::{TID_UNITS, tid_places};
use crate::lists::marks::settle;
use crate::lists::walk::{blkno_of, piece_of, read_page, refuse_twice};
use crate::search::filter::Filter;
use crate::store::Pages;
use crate::tid::{OFFSET_MAX, Tid};

/// Bytes of the tids of a block.
pub const TID_BYTES: usize = TID_UNITS * UNIT;

/// The tid of a lane, marked or not.
#[inline]
pub fn tid_of(tids: &[u8], lane: usize) -> Tid {
    let (heap_block, offset) = tid_places(lane);
    Tid::from_parts(u32_at(tids, heap_block), u16_at(tids, offset))
}

/// Which lanes of a block pass a filter, the first in the lowest bit. `head`: the bytes of the block as far as its factors.
#[inline]
pub fn passing(filter: &Filter, head: &[u8]) -> u32 {
    let attributes = head.get(TID_BYTES..).unwrap_or_default();
    filter.lanes(attributes, |lane| tid_of(head, lane))
}

/// The tids at the start of a block, and which of them are rows.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    tids: &'a [u8],
    /// The largest stored offset of a row: those with a mark are larger.
    most: u16,
}

impl<'a> Rows<'a> {
    /// Those of a block; marked ones are left out if marks are trusted.
    #[inline]
    pub fn of(tids: &'a [u8], trusts_marks: bool) -> Self {
        Self { tids, most: if trusts_marks { OFFSET_MAX } else { u16::MAX } }
    }

    #[inline]
    fn offsets(self) -> &'a [[u8; 2]] {
        let (_, offsets) = tid_places(0);
        self.tids.get(offsets..TID_BYTES).unwrap_or_default().as_chunks().0
    }

    /// How many lanes have a row.
    #[inline]
    pub fn count(self) -> u64 {
        let offsets = self.offsets().iter();
        offsets.filter(|offset| self.is_row(u16::from_le_bytes(**offset))).count() as u64
    }

    /// Which lanes have a row, lane 0 in the lowest bit.
    #[inline]
    pub fn lanes(self) -> u32 {
        let offsets = self.offsets().iter().enumerate();
        let bit = |(lane, offset): (usize, &[u8; 2])| {
            u32::from(self.is_row(u16::from_le_bytes(*offset))) << (lane % LANES)
        };
        offsets.map(bit).fold(0, |lanes, bit| lanes | bit)
    }

    /// The row of a lane.
    #[inline]
    pub fn get(self, lane: usize) -> Option<Tid> {
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

/// What a pass leaves of a block.
pub struct Tally {
    /// The block.
    pub number: u64,
    /// Lanes with a row.
    pub live: u64,
    /// Lanes without, of those that are the extent's.
    pub free: u64,
    /// The first of them; 32 if there is none.
    pub first_free: u32,
    /// Of these, those before the last row.
    pub holes: u64,
}

/// A row, and where its offset lies.
struct Slot {
    tid: Tid,
    lane: usize,
    /// The page, counted from the extent's first, and the place in its body.
    page: usize,
    at: usize,
    is_dead: bool,
}

/// The rows of the blocks that begin on a page. The buffers are reused.
#[derive(Default)]
struct PageRows {
    slots: Vec<Slot>,
    /// Each block with its slots.
    blocks: Vec<(u64, Range<usize>)>,
}

/// One pass over an extent, page by page: asks about every row with no lock held, frees what is dead, and tells what is left
/// of every block. Returns how many rows were freed.
pub fn pass_over<P: Pages>(
    pages: &P,
    lists: &InvertedLists,
    extent: &Extent<'_>,
    is_dead: &mut impl FnMut(Tid) -> bool,
    mut each: impl FnMut(&Tally),
) -> Result<u64, Error> {
    let mut rows = PageRows::default();
    let mut removed = 0;
    for i in extent.page_range() {
        rows.read(pages, extent, i)?;
        for (number, range) in rows.blocks.drain(..) {
            let mut live = 0u32;
            for slot in rows.slots.get_mut(range).unwrap_or_default() {
                slot.is_dead = is_dead(slot.tid);
                live |= u32::from(!slot.is_dead) << (slot.lane % LANES);
            }
            each(&tally(number, live, extent.lanes(number)));
        }
        rows.slots.retain(|slot| slot.is_dead);
        free(pages, lists, extent, &rows.slots)?;
        removed += rows.slots.len() as u64;
        pages.check_interrupts();
    }
    Ok(removed)
}

/// What is left of a block in whose lanes `own` those of `live` have rows.
fn tally(number: u64, live: u32, own: u32) -> Tally {
    let free = own & !live;
    let before_last = u32::MAX.checked_shr(live.leading_zeros()).unwrap_or(0);
    Tally {
        number,
        live: live.count_ones().into(),
        free: free.count_ones().into(),
        first_free: free.trailing_zeros(),
        holes: (free & before_last).count_ones().into(),
    }
}

impl PageRows {
    /// The rows of all blocks that begin on page `i`. Where it ends amid the tids of a block it stays locked until the next
    /// one is: halves of two tids that a lane had one after the other would make a third, and vacuum would free the
    /// wrong row.
    fn read<P: Pages>(&mut self, pages: &P, extent: &Extent<'_>, i: usize) -> Result<(), Error> {
        self.slots.clear();
        self.blocks.clear();
        if !extent.parts(i).any(|(_, part)| part.first_unit == 0) {
            return Ok(());
        }
        let mut tids = [0; TID_BYTES];
        let page = read_page(pages, extent, i)?;
        for (block, part) in extent.parts(i).filter(|(_, part)| part.first_unit == 0) {
            piece_of(&page, block, part).copy_to(&mut tids, 0);
            if part.len < TID_UNITS {
                refuse_twice(extent, i + 1)?;
                let next = read_page(pages, extent, i + 1)?;
                if let Some((block, part)) = extent.parts(i + 1).next() {
                    piece_of(&next, block, part).copy_to(&mut tids, 0);
                }
            }
            let start = self.slots.len();
            let own = extent.lanes(block);
            for lane in (0..LANES).filter(|lane| own & 1 << lane != 0) {
                let tid = tid_of(&tids, lane);
                if !tid.is_free() {
                    let (page, at) = extent.offset_place(block, lane);
                    self.slots.push(Slot { tid, lane, page, at, is_dead: false });
                }
            }
            self.blocks.push((block, start..self.slots.len()));
        }
        Ok(())
    }
}

/// Frees these slots: a record for each page they lie on. Between reading and this only inserts came, and they take
/// free lanes alone.
fn free<P: Pages>(
    pages: &P,
    lists: &InvertedLists,
    extent: &Extent<'_>,
    slots: &[Slot],
) -> Result<(), Error> {
    for group in slots.chunk_by(|a, b| a.page == b.page) {
        let Some(first) = group.first() else { continue };
        let blkno = blkno_of(extent, first.page)?;
        let mut page = pages.lock(blkno)?;
        let (kind, owner) = extent.identity(first.page);
        page.check(blkno, kind, owner)?;
        pages.edit(&mut [&mut page], |images| {
            for image in images {
                settle(image, lists, extent, first.page);
                let body = image.body_mut();
                for slot in group {
                    if u16_at(body, slot.at) & OFFSET_MAX == slot.tid.offset {
                        put_u16(body, slot.at, 0);
                    }
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}
