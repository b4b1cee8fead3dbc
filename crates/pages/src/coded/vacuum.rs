//! Vacuum: lanes of dead rows become free. Only their tids are written; pages stay where they are until REINDEX.

use ann::codec::{LANES, UNIT};

use crate::bytes::{put_u16, u16_at};
use crate::coded::directory::{self, Entry};
use crate::coded::layout::{PAGE_UNITS, Part, Run, TID_UNITS, UNITS_START, tid_places};
use crate::coded::probe::{copy_units, tid_of};
use crate::coded::shelf::Shelf;
use crate::coded::walk::{Piece, Shelves, packed_run};
use crate::error::Error;
use crate::ivf::vacuum::VacuumStats;
use crate::meta::{Coded, META_BLKNO, Meta};
use crate::page::{Blkno, Page};
use crate::store::Pages;
use crate::tid::Tid;

/// Asks `is_dead` about every row, once each and with no lock held, and frees the lanes of those that are. Writes nothing
/// where nothing died. Only one vacuum may run on an index at a time.
pub fn bulk_delete<P: Pages>(
    pages: &P,
    meta: &Meta,
    mut is_dead: impl FnMut(Tid) -> bool,
) -> Result<VacuumStats, Error> {
    let mut stats = VacuumStats::default();
    for_each_run(pages, meta, |list_no, runs| {
        let mut room = Room::default();
        let removed = stats.removed;
        runs.each(|run, which| {
            run_of(pages, run, &mut is_dead, |live, free, block| {
                stats.live += live;
                stats.free_slots += free;
                if free > 0 {
                    room.note(which, block);
                }
            })
            .map(|n| stats.removed += n)
        })?;
        if stats.removed > removed { room.hint(pages, meta, list_no) } else { Ok(()) }
    })?;
    stats.pages = pages.n_blocks()?;
    Ok(stats)
}

/// Counts rows and free lanes, changing nothing.
pub fn stats<P: Pages>(pages: &P, meta: &Meta) -> Result<VacuumStats, Error> {
    let mut stats = VacuumStats::default();
    for_each_run(pages, meta, |_, runs| {
        runs.each(|run, _| {
            run_of(pages, run, &mut |_| false, |live, free, _| {
                stats.live += live;
                stats.free_slots += free;
            })
            .map(drop)
        })
    })?;
    stats.pages = pages.n_blocks()?;
    Ok(stats)
}

/// Which run of a list: the packed blocks, or the shelf that begins at this page.
#[derive(Clone, Copy)]
pub(super) enum Which {
    Packed,
    Shelf(Blkno),
}

/// The runs of one list.
pub(super) struct Runs<'p, P: Pages> {
    pages: &'p P,
    coded: Coded,
    list_no: u32,
    /// Its directory entry.
    pub entry: Entry,
}

impl<P: Pages> Runs<'_, P> {
    /// Calls `each` for the packed blocks, then for every shelf; no lock held.
    pub(super) fn each(
        &self,
        mut each: impl FnMut(&Run<'_>, Which) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let layout = &self.coded.layout;
        if self.entry.n_blocks > 0 {
            let run = packed_run(&self.entry, self.list_no, layout, self.coded.codes_first);
            each(&run, Which::Packed)?;
        }
        let mut shelf = Shelf::default();
        let mut shelves = Shelves::new(self.pages, layout, self.list_no, self.entry.shelf_first);
        while let Some(blkno) = shelves.next(&mut shelf)? {
            each(&shelf.run(self.list_no, layout), Which::Shelf(blkno))?;
        }
        Ok(())
    }
}

/// Calls `each` for every list.
pub(super) fn for_each_run<P: Pages>(
    pages: &P,
    meta: &Meta,
    mut each: impl FnMut(u32, &Runs<'_, P>) -> Result<(), Error>,
) -> Result<(), Error> {
    let Some(coded) = meta.coded else {
        return Err(Error::corrupted(META_BLKNO, "index has no codes"));
    };
    for list_no in 0..meta.nlist as u32 {
        let entry = directory::read(pages, meta, list_no)?;
        each(list_no, &Runs { pages, coded, list_no, entry })?;
        pages.breathe();
    }
    Ok(())
}

/// The first places with room that a pass over a list has met.
#[derive(Default)]
struct Room {
    block: Option<u32>,
    shelf: Option<Blkno>,
}

impl Room {
    fn note(&mut self, which: Which, block: usize) {
        match which {
            Which::Packed => self.block = self.block.or(Some(block as u32)),
            Which::Shelf(blkno) => self.shelf = self.shelf.or(Some(blkno)),
        }
    }

    /// Points the list's hints at them.
    fn hint<P: Pages>(&self, pages: &P, meta: &Meta, list_no: u32) -> Result<(), Error> {
        directory::change(pages, meta, list_no, |found| {
            let mut entry = found;
            if let Some(block) = self.block {
                entry.insert_block = block.min(found.n_blocks);
            }
            if let Some(shelf) = self.shelf {
                entry.insert_shelf = shelf;
            }
            (entry != found).then_some(entry)
        })
    }
}

/// A row on the page being read, and where its offset lies.
struct Slot {
    tid: Tid,
    blkno: Blkno,
    at: usize,
}

/// One pass over a run, page by page: frees what is dead, and tells rows and free lanes of every block afterwards.
/// Returns how many were freed.
pub(super) fn run_of<P: Pages>(
    pages: &P,
    run: &Run<'_>,
    is_dead: &mut impl FnMut(Tid) -> bool,
    mut each: impl FnMut(u64, u64, usize),
) -> Result<u64, Error> {
    let (mut slots, mut blocks) = (Vec::new(), Vec::new());
    let mut removed = 0;
    for i in run.page_range() {
        slots.clear();
        blocks.clear();
        read_slots(pages, run, i, &mut slots, &mut blocks)?;
        let mut dead = 0;
        for (block, live) in &mut blocks {
            let before = dead;
            for slot in slots.iter_mut().filter(|(number, _): &&mut (usize, Slot)| number == block)
            {
                if is_dead(slot.1.tid) {
                    dead += 1;
                } else {
                    slot.1.tid = Tid::FREE;
                }
            }
            *live -= dead - before;
            each(*live, LANES as u64 - *live, *block);
        }
        if dead > 0 {
            slots.retain(|(_, slot)| !slot.tid.is_free());
            free(pages, run, &slots)?;
            removed += dead;
        }
        pages.breathe();
    }
    Ok(removed)
}

/// The rows of all blocks that begin on page `i` of a run, and how many each block has. Where the page ends amid the tids
/// of a block it stays locked until the next one is: halves of two tids that a lane had one after the other would make a
/// third, and vacuum would free the wrong row.
fn read_slots<P: Pages>(
    pages: &P,
    run: &Run<'_>,
    i: usize,
    slots: &mut Vec<(usize, Slot)>,
    blocks: &mut Vec<(usize, u64)>,
) -> Result<(), Error> {
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
        let before = slots.len();
        for lane in 0..LANES {
            let tid = tid_of(&tids, lane);
            if !tid.is_free() {
                let (page, at) = offset_place(run, block, lane);
                slots.push((block, Slot { tid, blkno: blkno_of(run, page)?, at }));
            }
        }
        blocks.push((block, (slots.len() - before) as u64));
    }
    Ok(())
}

/// Page `i` of a run, share-locked.
fn read_page<'p, P: Pages>(pages: &'p P, run: &Run<'_>, i: usize) -> Result<P::Read<'p>, Error> {
    let blkno = blkno_of(run, i)?;
    let page = pages.read(blkno)?;
    let (kind, owner) = run.identity(i);
    page.check(blkno, kind, owner)?;
    Ok(page)
}

/// What a part has of its block's tids.
fn copy_part(page: &Page, block: usize, part: Part, tids: &mut [u8]) {
    let units = page.body().get(part.range()).unwrap_or_default();
    copy_units(tids, 0, &Piece { block, part, units });
}

fn blkno_of(run: &Run<'_>, i: usize) -> Result<Blkno, Error> {
    run.blkno(i).ok_or_else(|| Error::corrupted(META_BLKNO, "shelf ends before its blocks"))
}

/// The page (its place in the run) and the body offset of the offset in a lane's tid.
fn offset_place(run: &Run<'_>, block: usize, lane: usize) -> (usize, usize) {
    let (_, byte) = tid_places(lane);
    let unit = run.base + (block * run.block_units + byte / UNIT) as u64;
    let (page, at) = (unit / PAGE_UNITS as u64, unit % PAGE_UNITS as u64);
    (page as usize, UNITS_START + at as usize * UNIT + byte % UNIT)
}

/// Frees these slots: a record for each page they lie on. Between reading and this only inserts came, and they take
/// free lanes alone.
fn free<P: Pages>(pages: &P, run: &Run<'_>, slots: &[(usize, Slot)]) -> Result<(), Error> {
    for group in slots.chunk_by(|(_, a), (_, b)| a.blkno == b.blkno) {
        let Some((_, first)) = group.first() else { continue };
        let mut page = pages.lock(first.blkno)?;
        let is_ours = run.page_range().any(|i| {
            let (kind, owner) = run.identity(i);
            run.blkno(i) == Some(first.blkno) && page.is(kind, owner)
        });
        if !is_ours {
            return Err(Error::corrupted(first.blkno, "page of codes has become another"));
        }
        pages.edit(&mut [&mut page], |images| {
            for image in images {
                let body = image.body_mut();
                for (_, slot) in group {
                    if u16_at(body, slot.at) == slot.tid.offset {
                        put_u16(body, slot.at, 0);
                    }
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}
