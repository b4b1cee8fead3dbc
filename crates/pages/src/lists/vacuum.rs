//! Vacuum: lanes of dead rows become free. Only their tids are written; pages stay where they are until REINDEX.

use ann::codec::LANES;

use crate::error::Error;
use crate::lists::InvertedLists;
use crate::lists::directory;
use crate::lists::extent::{Extent, ExtentPages};
use crate::lists::lanes::{Tally, pass_over};
use crate::lists::overflow::Overflow;
use crate::lists::walk::Extents;
use crate::page::Blkno;
use crate::store::Pages;
use crate::tid::Tid;
use crate::vacuum::VacuumStats;

/// Asks `is_dead` about every row, once each and with no lock held, and frees the lanes of those that are. Writes nothing
/// where nothing died. Only one vacuum may run on an index at a time.
pub fn bulk_delete<P: Pages>(
    pages: &P,
    lists: &InvertedLists,
    mut is_dead: impl FnMut(Tid) -> bool,
) -> Result<VacuumStats, Error> {
    let mut stats = VacuumStats::default();
    for list_no in 0..lists.nlist as u32 {
        let mut room = Room::default();
        let mut removed = 0;
        for_each_extent(pages, lists, list_no, |extent| {
            removed += pass_over(pages, lists, extent, &mut is_dead, |block| {
                count(&mut stats, block);
                room.note(extent, block);
            })?;
            Ok(())
        })?;
        stats.removed += removed;
        if removed > 0 {
            room.hint(pages, lists, list_no)?;
        }
        pages.check_interrupts();
    }
    stats.pages = pages.n_blocks()?;
    Ok(stats)
}

/// Counts rows and free lanes, changing nothing.
pub fn stats<P: Pages>(pages: &P, lists: &InvertedLists) -> Result<VacuumStats, Error> {
    let mut stats = VacuumStats::default();
    for list_no in 0..lists.nlist as u32 {
        for_each_extent(pages, lists, list_no, |extent| {
            pass_over(pages, lists, extent, &mut |_| false, |block| count(&mut stats, block))
                .map(drop)
        })?;
        pages.check_interrupts();
    }
    stats.pages = pages.n_blocks()?;
    Ok(stats)
}

/// Calls `each` with the list and the tid of every row, list by list, with no lock held.
pub fn for_each_tid<P: Pages>(
    pages: &P,
    lists: &InvertedLists,
    mut each: impl FnMut(u32, Tid),
) -> Result<(), Error> {
    for list_no in 0..lists.nlist as u32 {
        for_each_extent(pages, lists, list_no, |extent| {
            let mut show = |tid| {
                each(list_no, tid);
                false
            };
            pass_over(pages, lists, extent, &mut show, |_| {}).map(drop)
        })?;
        pages.check_interrupts();
    }
    Ok(())
}

fn count(stats: &mut VacuumStats, block: &Tally) {
    stats.live += block.live;
    stats.free_slots += block.free;
}

/// Calls `each` for every extent of a list; no lock held.
pub(super) fn for_each_extent<P: Pages>(
    pages: &P,
    lists: &InvertedLists,
    list_no: u32,
    mut each: impl FnMut(&Extent<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut overflow = Overflow::default();
    let mut extents = Extents::open(pages, lists, list_no)?;
    while let Some(extent) = extents.next(&mut overflow)? {
        each(&extent)?;
    }
    Ok(())
}

/// The first places with room that a pass over a list has met.
#[derive(Default)]
struct Room {
    slot: Option<u64>,
    overflow: Option<Blkno>,
}

impl Room {
    fn note(&mut self, extent: &Extent<'_>, block: &Tally) {
        if block.free == 0 {
            return;
        }
        match extent.pages {
            ExtentPages::Packed(_) => {
                let slot = block.number * LANES as u64 + u64::from(block.first_free);
                self.slot = self.slot.or(Some(slot));
            }
            ExtentPages::Overflow(pages) => {
                self.overflow = self.overflow.or(pages.first().copied());
            }
        }
    }

    /// Points the list's hints at them.
    fn hint<P: Pages>(&self, pages: &P, lists: &InvertedLists, list_no: u32) -> Result<(), Error> {
        directory::change(pages, lists, list_no, |found| {
            let mut entry = found;
            if let Some(slot) = self.slot {
                entry.insert_slot = found.n_slots.min((slot.saturating_sub(found.first)) as u32);
            }
            if let Some(overflow) = self.overflow {
                entry.insert_overflow = overflow;
            }
            (entry != found).then_some(entry)
        })
    }
}
