//! Vacuum: lanes of dead rows become free. Only their tids are written; pages stay where they are until REINDEX.

use crate::coded::directory::{self, Entry};
use crate::coded::layout::Run;
use crate::coded::shelf::Shelf;
use crate::coded::slots::run_of;
use crate::coded::walk::{Shelves, packed_run};
use crate::error::Error;
use crate::ivf::vacuum::VacuumStats;
use crate::meta::{Coded, META_BLKNO, Meta};
use crate::page::Blkno;
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
            run_of(pages, &runs.coded, run, &mut is_dead, |block| {
                stats.live += block.live;
                stats.free_slots += block.free;
                if block.free > 0 {
                    room.note(which, block.number);
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
            run_of(pages, &runs.coded, run, &mut |_| false, |block| {
                stats.live += block.live;
                stats.free_slots += block.free;
            })
            .map(drop)
        })
    })?;
    stats.pages = pages.n_blocks()?;
    Ok(stats)
}

/// Calls `each` with the list and the tid of every row, list by list, with no lock held.
pub fn for_each_row<P: Pages>(
    pages: &P,
    meta: &Meta,
    mut each: impl FnMut(u32, Tid),
) -> Result<(), Error> {
    for_each_run(pages, meta, |list_no, runs| {
        runs.each(|run, _| {
            let mut show = |tid| {
                each(list_no, tid);
                false
            };
            run_of(pages, &runs.coded, run, &mut show, |_| {}).map(drop)
        })
    })
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
    /// The code.
    pub coded: Coded,
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
    for list_no in 0..meta.nlist as u32 {
        each(list_no, &runs_of(pages, meta, list_no)?)?;
        pages.breathe();
    }
    Ok(())
}

/// The runs of one list.
pub(super) fn runs_of<'p, P: Pages>(
    pages: &'p P,
    meta: &Meta,
    list_no: u32,
) -> Result<Runs<'p, P>, Error> {
    let Some(coded) = meta.coded else {
        return Err(Error::corrupted(META_BLKNO, "index has no codes"));
    };
    let entry = directory::read(pages, meta, list_no)?;
    Ok(Runs { pages, coded, list_no, entry })
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
