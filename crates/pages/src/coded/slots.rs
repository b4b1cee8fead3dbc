//! The rows of a run by the lanes they are in, page by page: what vacuum frees and what is counted.

use std::ops::Range;

use ann::codec::{LANES, UNIT};

use crate::bytes::{put_u16, u16_at};
use crate::coded::layout::{PAGE_UNITS, Part, Run, TID_UNITS, UNITS_START, tid_places};
use crate::coded::marks::settle;
use crate::coded::probe::{copy_units, tid_of};
use crate::coded::walk::Piece;
use crate::error::Error;
use crate::meta::Coded;
use crate::page::{Blkno, INVALID_BLKNO, Page};
use crate::store::Pages;
use crate::tid::{OFFSET_MAX, Tid};

/// What a pass leaves of a block.
pub(super) struct Tally {
    /// The block, counted from the start of the run.
    pub number: usize,
    /// Lanes with a row.
    pub live: u64,
    /// Lanes without.
    pub free: u64,
    /// Of these, those before the last row.
    pub holes: u64,
}

/// A row, and where its offset lies.
struct Slot {
    tid: Tid,
    lane: usize,
    /// The page's place in the run, and the place in its body.
    page: usize,
    at: usize,
    is_dead: bool,
}

/// The rows of the blocks that begin on a page. The buffers are reused.
#[derive(Default)]
struct Found {
    slots: Vec<Slot>,
    /// Each block with its slots.
    blocks: Vec<(usize, Range<usize>)>,
}

/// One pass over a run, page by page: asks about every row with no lock held, frees what is dead, and tells what is left
/// of every block. Returns how many rows were freed.
pub(super) fn run_of<P: Pages>(
    pages: &P,
    coded: &Coded,
    run: &Run<'_>,
    is_dead: &mut impl FnMut(Tid) -> bool,
    mut each: impl FnMut(&Tally),
) -> Result<u64, Error> {
    let mut found = Found::default();
    let mut removed = 0;
    for i in run.page_range() {
        found.read(pages, run, i)?;
        for (number, range) in found.blocks.drain(..) {
            let (mut live, mut end) = (0, 0);
            for slot in found.slots.get_mut(range).unwrap_or_default() {
                slot.is_dead = is_dead(slot.tid);
                if !slot.is_dead {
                    live += 1;
                    end = slot.lane as u64 + 1;
                }
            }
            each(&Tally { number, live, free: LANES as u64 - live, holes: end - live });
        }
        found.slots.retain(|slot| slot.is_dead);
        free(pages, coded, run, &found.slots)?;
        removed += found.slots.len() as u64;
        pages.breathe();
    }
    Ok(removed)
}

impl Found {
    /// The rows of all blocks that begin on page `i`. Where it ends amid the tids of a block it stays locked until the next
    /// one is: halves of two tids that a lane had one after the other would make a third, and vacuum would free the
    /// wrong row.
    fn read<P: Pages>(&mut self, pages: &P, run: &Run<'_>, i: usize) -> Result<(), Error> {
        self.slots.clear();
        self.blocks.clear();
        if !run.parts(i).any(|(_, part)| part.first_unit == 0) {
            return Ok(());
        }
        let mut tids = [0; TID_UNITS * UNIT];
        let page = read_page(pages, run, i)?;
        for (block, part) in run.parts(i).filter(|(_, part)| part.first_unit == 0) {
            copy_part(&page, block, part, &mut tids);
            if part.len < TID_UNITS {
                if blkno_of(run, i)? == blkno_of(run, i + 1)? {
                    return Err(Error::corrupted(blkno_of(run, i)?, "shelf names a page twice"));
                }
                let next = read_page(pages, run, i + 1)?;
                if let Some((block, part)) = run.parts(i + 1).next() {
                    copy_part(&next, block, part, &mut tids);
                }
            }
            let start = self.slots.len();
            for lane in 0..LANES {
                let tid = tid_of(&tids, lane);
                if !tid.is_free() {
                    let (page, at) = offset_place(run, block, lane);
                    self.slots.push(Slot { tid, lane, page, at, is_dead: false });
                }
            }
            self.blocks.push((block, start..self.slots.len()));
        }
        Ok(())
    }
}

/// Page `i` of a run, share-locked.
pub(super) fn read_page<'p, P: Pages>(
    pages: &'p P,
    run: &Run<'_>,
    i: usize,
) -> Result<P::Read<'p>, Error> {
    let blkno = blkno_of(run, i)?;
    let page = pages.read(blkno)?;
    let (kind, owner) = run.identity(i);
    page.check(blkno, kind, owner)?;
    Ok(page)
}

/// What a part has of its block's tids.
pub(super) fn copy_part(page: &Page, block: usize, part: Part, tids: &mut [u8]) {
    let units = page.body().get(part.range()).unwrap_or_default();
    copy_units(tids, 0, &Piece { block, part, units });
}

pub(super) fn blkno_of(run: &Run<'_>, i: usize) -> Result<Blkno, Error> {
    run.blkno(i).ok_or_else(|| Error::corrupted(INVALID_BLKNO, "shelf ends before its blocks"))
}

/// The page (its place in the run) and the body offset of the offset in a lane's tid.
pub(super) fn offset_place(run: &Run<'_>, block: usize, lane: usize) -> (usize, usize) {
    let (_, byte) = tid_places(lane);
    let unit = run.base + (block * run.block_units + byte / UNIT) as u64;
    let (page, at) = (unit / PAGE_UNITS as u64, unit % PAGE_UNITS as u64);
    (page as usize, UNITS_START + at as usize * UNIT + byte % UNIT)
}

/// Frees these slots: a record for each page they lie on. Between reading and this only inserts came, and they take
/// free lanes alone.
fn free<P: Pages>(pages: &P, coded: &Coded, run: &Run<'_>, slots: &[Slot]) -> Result<(), Error> {
    for group in slots.chunk_by(|a, b| a.page == b.page) {
        let Some(first) = group.first() else { continue };
        let blkno = blkno_of(run, first.page)?;
        let mut page = pages.lock(blkno)?;
        let (kind, owner) = run.identity(first.page);
        page.check(blkno, kind, owner)?;
        pages.edit(&mut [&mut page], |images| {
            for image in images {
                settle(image, coded, run, first.page);
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
