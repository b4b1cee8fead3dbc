//! Marks entries that are dead to all; see the section on marks in `README.md`.

use ann::codec::{LANES, UNIT};
use ann::topk::Hit;

use crate::coded::layout::{Run, RunPages, TID_UNITS, UNITS_START, shelf_run, tid_places};
use crate::coded::probe::{Place, tid_of};
use crate::coded::shelf::Shelf;
use crate::coded::slots::{blkno_of, copy_part, offset_place, read_page};
use crate::error::Error;
use crate::meta::{Coded, META_BLKNO, Meta};
use crate::page::{Blkno, INVALID_BLKNO, NO_OWNER, Page, PageKind};
use crate::store::Pages;
use crate::tid::{self, MARK_BYTE_OF_OFFSET, Tid, is_mark};

/// Marks those of `hits`, candidates that a scan of this index has met, that are still where they were and whose rows are
/// dead to all. `is_dead` is asked with one share lock held, or two. Returns how many were marked.
pub fn mark<P: Pages>(
    pages: &P,
    meta: &Meta,
    hits: &mut [Hit],
    is_dead: &mut dyn FnMut(Tid) -> bool,
) -> Result<u64, Error> {
    let Some(coded) = &meta.coded else {
        return Err(Error::corrupted(META_BLKNO, "index has no codes"));
    };
    hits.sort_unstable_by_key(|hit| hit.at);
    let (mut shelf, mut shelf_at, mut list_no) = (Shelf::default(), INVALID_BLKNO, NO_OWNER);
    let mut marked = 0;
    // Places of the lanes of a block differ in their lowest bits only.
    for group in hits.chunk_by(|a, b| a.at / LANES as u64 == b.at / LANES as u64) {
        let Some(first) = group.first() else { continue };
        marked += match Place::of(first.at) {
            Place::Packed(slot) => {
                let block = slot as usize / LANES;
                mark_block(pages, &packed(coded), block, group, is_dead)?
            }
            Place::Shelf(blkno, slot) => {
                if shelf_at != blkno {
                    list_no = read_shelf(pages, coded, blkno, &mut shelf)?;
                    shelf_at = blkno;
                }
                let run = shelf.run(list_no, &coded.layout);
                mark_block(pages, &run, slot / LANES, group, is_dead)?
            }
        };
        pages.breathe();
    }
    Ok(marked)
}

/// Reads the SHELF page at `blkno` and says which list has it.
fn read_shelf<P: Pages>(
    pages: &P,
    coded: &Coded,
    blkno: Blkno,
    shelf: &mut Shelf,
) -> Result<u32, Error> {
    let page = pages.read(blkno)?;
    page.check(blkno, PageKind::Shelf, page.owner())?;
    shelf.decode(&page, blkno, page.owner(), &coded.layout)?;
    Ok(page.owner())
}

/// The candidates in one block of a run. Where a page ends amid its tids both pages are locked, as for a scan: an insert
/// that gives the lane another heap block must lock both exclusively.
fn mark_block<P: Pages>(
    pages: &P,
    run: &Run<'_>,
    block: usize,
    hits: &[Hit],
    is_dead: &mut dyn FnMut(Tid) -> bool,
) -> Result<u64, Error> {
    let mut tids = [0; TID_UNITS * UNIT];
    let mut held = Vec::with_capacity(2);
    for part in run.block_parts(block).filter(|part| part.first_unit < TID_UNITS) {
        let blkno = blkno_of(run, part.page)?;
        if held.iter().any(|(page, _)| blkno_of(run, *page).is_ok_and(|other| other == blkno)) {
            return Err(Error::corrupted(blkno, "SHELF page names a page twice"));
        }
        let page = read_page(pages, run, part.page)?;
        copy_part(&page, block, part, &mut tids);
        held.push((part.page, page));
    }
    let mut found = Vec::with_capacity(hits.len());
    for hit in hits {
        let (lane, row) = (hit.at as usize % LANES, Tid::from_u64(hit.id));
        let marks = tids.get(tid_places(lane).1 + MARK_BYTE_OF_OFFSET);
        let is_marked = marks.is_none_or(|byte| is_mark(*byte));
        if tid_of(&tids, lane) == row && !is_marked && is_dead(row) {
            found.push(offset_place(run, block, lane));
        }
    }
    for (i, page) in &held {
        let here = found.iter().filter(|(page, _)| page == i);
        let places: Vec<usize> = here.map(|(_, at)| at + MARK_BYTE_OF_OFFSET).collect();
        if !places.is_empty() {
            pages.hint(page, &places);
        }
    }
    Ok(found.len() as u64)
}

/// The packed area of all lists.
fn packed(coded: &Coded) -> Run<'static> {
    Run {
        pages: RunPages::Packed(coded.codes_first),
        list_no: 0,
        base: 0,
        n_blocks: coded.n_code_blocks as usize,
        block_units: coded.layout.block_units,
    }
}

/// Settles the hints on page `i` of a run, those of other lists too, inside an edit.
pub(super) fn settle(image: &mut Page, coded: &Coded, run: &Run<'_>, i: usize) {
    match run.pages {
        RunPages::Packed(_) => settle_page(image, &packed(coded), i),
        // Which blocks are on it depends on its place in the run only.
        RunPages::Shelf(_) => settle_page(image, &shelf_run(&[], run.list_no, &coded.layout), i),
    }
}

/// The same of a SHELF page.
pub(super) fn settle_first(image: &mut Page, coded: &Coded, list_no: u32) {
    settle_page(image, &shelf_run(&[], list_no, &coded.layout), 0);
}

fn settle_page(image: &mut Page, whole: &Run<'_>, i: usize) {
    let (_, offsets) = tid_places(0);
    let offset_units = offsets / UNIT..TID_UNITS;
    for (_, part) in whole.parts(i) {
        let first = part.first_unit.max(offset_units.start);
        let end = (part.first_unit + part.len).min(offset_units.end);
        if first >= end {
            continue;
        }
        let start = UNITS_START + (part.at + first - part.first_unit) * UNIT;
        let units = image.body_mut().get_mut(start..start + (end - first) * UNIT);
        for [_, byte] in units.unwrap_or_default().as_chunks_mut().0 {
            tid::settle(byte);
        }
    }
}
