//! Marks entries that are dead to all; see the section on marks in `README.md`.

use ann::codec::{LANES, UNIT};
use ann::topk::Hit;

use crate::error::Error;
use crate::lists::InvertedLists;
use crate::lists::directory::Entry;
use crate::lists::extent::{Extent, ExtentPages, Place};
use crate::lists::lanes::{TID_BYTES, tid_of};
use crate::lists::layout::{TID_UNITS, UNITS_START, tid_places};
use crate::lists::overflow::{Overflow, extent_on};
use crate::lists::walk::{blkno_of, piece_of, read_page};
use crate::page::{Blkno, INVALID_BLKNO, NO_OWNER, Page, PageKind};
use crate::store::Pages;
use crate::tid::{self, MARK_BYTE_OF_OFFSET, Tid, is_mark};

/// Marks those of `hits`, candidates that a scan of this index has met, that are still where they were and whose rows are
/// dead to all. `is_dead` is asked with one share lock held, or two. Returns how many were marked.
pub fn mark<P: Pages>(
    pages: &P,
    lists: &InvertedLists,
    hits: &mut [Hit],
    is_dead: &mut dyn FnMut(Tid) -> bool,
) -> Result<u64, Error> {
    hits.sort_unstable_by_key(|hit| hit.at);
    let (mut overflow, mut read_at, mut list_no) = (Overflow::default(), INVALID_BLKNO, NO_OWNER);
    let whole = packed(lists);
    let mut marked = 0;
    // Places of the lanes of a block differ in their lowest bits only.
    for group in hits.chunk_by(|a, b| a.at / LANES as u64 == b.at / LANES as u64) {
        let Some(first) = group.first() else { continue };
        marked += match Place::of(first.at) {
            Place::Packed(slot) => mark_block(pages, &whole, slot / LANES as u64, group, is_dead)?,
            Place::Overflow(blkno, slot) => {
                if read_at != blkno {
                    list_no = read_overflow(pages, lists, blkno, &mut overflow)?;
                    read_at = blkno;
                }
                let extent = overflow.extent(list_no, &lists.layout);
                mark_block(pages, &extent, slot / LANES as u64, group, is_dead)?
            }
        };
        pages.check_interrupts();
    }
    Ok(marked)
}

/// Reads the OVERFLOW page at `blkno` and says which list has it.
fn read_overflow<P: Pages>(
    pages: &P,
    lists: &InvertedLists,
    blkno: Blkno,
    overflow: &mut Overflow,
) -> Result<u32, Error> {
    let page = pages.read(blkno)?;
    page.check(blkno, PageKind::Overflow, page.owner())?;
    overflow.decode(&page, blkno, page.owner(), &lists.layout)?;
    Ok(page.owner())
}

/// The candidates in one block. Where a page ends amid its tids both pages are locked, as for a scan: an insert
/// that gives the lane another heap block must lock both exclusively.
fn mark_block<P: Pages>(
    pages: &P,
    extent: &Extent<'_>,
    block: u64,
    hits: &[Hit],
    is_dead: &mut dyn FnMut(Tid) -> bool,
) -> Result<u64, Error> {
    let mut tids = [0; TID_BYTES];
    let mut held = Vec::with_capacity(2);
    for part in extent.block_parts(block).filter(|part| part.first_unit < TID_UNITS) {
        let blkno = blkno_of(extent, part.page)?;
        if held.iter().any(|(page, _)| blkno_of(extent, *page).is_ok_and(|other| other == blkno)) {
            return Err(Error::corrupted(blkno, "OVERFLOW page names a page twice"));
        }
        let page = read_page(pages, extent, part.page)?;
        piece_of(&page, block, part).copy_to(&mut tids, 0);
        held.push((part.page, page));
    }
    let mut found = Vec::with_capacity(hits.len());
    for hit in hits {
        let (lane, row) = (hit.at as usize % LANES, Tid::from_u64(hit.id));
        let marks = tids.get(tid_places(lane).1 + MARK_BYTE_OF_OFFSET);
        let is_marked = marks.is_none_or(|byte| is_mark(*byte));
        if tid_of(&tids, lane) == row && !is_marked && is_dead(row) {
            found.push(extent.offset_place(block, lane));
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
fn packed(lists: &InvertedLists) -> Extent<'static> {
    Extent { end: lists.n_slots, ..Entry::EMPTY.packed(lists, NO_OWNER) }
}

/// Settles the hints on page `i` of an extent, those of other lists too, inside an edit.
pub(super) fn settle(image: &mut Page, lists: &InvertedLists, extent: &Extent<'_>, i: usize) {
    match extent.pages {
        ExtentPages::Packed(_) => settle_page(image, &packed(lists), i),
        // Which blocks are on it depends on its place in the extent only.
        ExtentPages::Overflow(_) => {
            settle_page(image, &extent_on(&[], extent.list_no, &lists.layout), i);
        }
    }
}

/// As `settle`, for an OVERFLOW page.
pub(super) fn settle_first(image: &mut Page, lists: &InvertedLists, list_no: u32) {
    settle_page(image, &extent_on(&[], list_no, &lists.layout), 0);
}

fn settle_page(image: &mut Page, whole: &Extent<'_>, i: usize) {
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
