//! Insert one row: into a lane that the build left or vacuum freed, else onto a shelf. Locks and WAL atoms are in
//! `README.md`.

use ann::codec::{Codec, Coding, LANES, UNIT};

use crate::ahead::Ahead;
use crate::bytes::put;
use crate::coded::directory::{self, Entry};
use crate::coded::layout::{
    CodeLayout, PAGE_UNITS, Part, Run, RunPages, TID_UNITS, factor_place, tid_places,
};
use crate::coded::marks::settle;
use crate::coded::probe::{Rows, copy_units, tid_of};
use crate::coded::shelf::{self, Shelf};
use crate::coded::walk::{Shelves, packed_run, pieces};
use crate::error::Error;
use crate::meta::{Coded, META_BLKNO, Meta};
use crate::page::{Blkno, INVALID_BLKNO, Page};
use crate::store::{EDIT_PAGES_MAX, Pages};
use crate::tid::Tid;

mod shelves;
mod vectors;

use vectors::Vectors;

/// A row to insert.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The inverted list it was assigned to.
    pub list_no: u32,
    /// Its heap tuple.
    pub tid: Tid,
    /// The distance to the list's centroid as the coarse quantizer gives it.
    pub coarse_distance: f32,
    /// Its bare code.
    pub code: &'a [u8],
    /// The factors of its code.
    pub factors: &'a [f32],
    /// Its vector as stored for `refine`; empty if the index stores none.
    pub vector: &'a [u8],
}

/// Adds a row. When it returns, the row is in the index; if it fails or the server dies on the way, it is not, and no
/// page is worse than leaked.
pub fn insert<P: Pages>(pages: &P, meta: &Meta, codec: &Codec, row: &Row<'_>) -> Result<(), Error> {
    let coded = meta.coded.filter(|c| {
        let vector = c.layout.vectors.map_or(0, |g| g.vector_size());
        !row.tid.is_free() && row.vector.len() == vector && row.factors.len() == c.layout.n_factors
    });
    let Some(coded) = coded else {
        return Err(Error::corrupted(META_BLKNO, "row does not fit the metapage"));
    };
    let insertion = Insertion { pages, meta, coded, codec, row };
    let entry = directory::read(pages, meta, row.list_no)?;
    let mut now = entry;
    now.insert_block = insertion.fill_packed(&entry)?;
    if now.insert_block == entry.n_blocks {
        now.insert_shelf = insertion.onto_shelf(&entry)?;
    }
    if row.coarse_distance > entry.radius {
        now.radius = row.coarse_distance;
    }
    if now != entry {
        insertion.note(&entry, &now)?;
    }
    Ok(())
}

struct Insertion<'a, P: Pages> {
    pages: &'a P,
    meta: &'a Meta,
    coded: Coded,
    codec: &'a Codec,
    row: &'a Row<'a>,
}

impl<'a, P: Pages> Insertion<'a, P> {
    fn layout(&self) -> &CodeLayout {
        &self.coded.layout
    }

    /// Moves the hints that have not been moved by somebody else, and widens the radius.
    fn note(&self, from: &Entry, to: &Entry) -> Result<(), Error> {
        directory::change(self.pages, self.meta, self.row.list_no, |found| {
            let mut entry = found;
            if found.insert_block == from.insert_block {
                entry.insert_block = to.insert_block;
            }
            if found.insert_shelf == from.insert_shelf && found.shelf_first != INVALID_BLKNO {
                entry.insert_shelf = to.insert_shelf;
            }
            entry.radius = entry.radius.max(to.radius);
            (entry != found).then_some(entry)
        })
    }

    /// Tries the packed blocks from the hint on; returns the block the row went to, `n_blocks` if there was no room.
    fn fill_packed(&self, entry: &Entry) -> Result<u32, Error> {
        let run = packed_run(entry, self.row.list_no, self.layout(), self.coded.codes_first);
        let first_slot = u64::from(entry.start) * LANES as u64;
        let slots = Slots::Packed(first_slot);
        let block = self.fill_run(&run, entry.insert_block as usize, slots)?;
        Ok(block.map_or(entry.n_blocks, |block| block as u32))
    }

    /// Tries the shelves from the hint on, and adds one if all are full; returns the shelf the row went to.
    fn onto_shelf(&self, entry: &Entry) -> Result<Blkno, Error> {
        let mut first = entry.insert_shelf;
        if first == INVALID_BLKNO {
            first = self.first_shelf()?;
        }
        let list_no = self.row.list_no;
        let mut shelf = Shelf::default();
        loop {
            let mut last = first;
            let mut shelves = Shelves::new(self.pages, self.layout(), list_no, first);
            while let Some(blkno) = shelves.next(&mut shelf)? {
                let run = shelf.run(list_no, self.layout());
                if self.fill_run(&run, 0, Slots::Shelf)?.is_some() {
                    return Ok(blkno);
                }
                last = blkno;
            }
            self.extend(last)?;
            first = last;
        }
    }

    /// Puts the row into the first block with room from `from` on.
    fn fill_run(&self, run: &Run<'_>, from: usize, slots: Slots) -> Result<Option<usize>, Error> {
        let mut from = from;
        while let Some(block) = self.block_with_room(run, from)? {
            if self.fill_block(run, block, slots)? {
                return Ok(Some(block));
            }
            // Somebody else took the last lane between the two locks.
            from = block;
        }
        Ok(None)
    }

    /// Share locks only: walking over full blocks must not hold up their readers.
    fn block_with_room(&self, run: &Run<'_>, from: usize) -> Result<Option<usize>, Error> {
        let rest = Run {
            base: run.base + (from * run.block_units) as u64,
            n_blocks: run.n_blocks.saturating_sub(from),
            ..*run
        };
        let mut tids = [0; TID_UNITS * UNIT];
        let mut found = None;
        pieces(&mut Ahead::new(self.pages), &rest, |piece| {
            copy_units(&mut tids, 0, &piece);
            let is_read = (piece.part.first_unit..piece.part.first_unit + piece.part.len)
                .contains(&(TID_UNITS - 1));
            if is_read && Rows::of(&tids, false).count() < LANES as u64 {
                found = Some(from + piece.block);
            }
            found.is_none()
        })?;
        Ok(found)
    }

    /// Puts the row into a free lane of a block; false if there is none. The pages with the tids stay locked from the
    /// choice of the lane to the end; the record that names the tid is the last one.
    fn fill_block(&self, run: &Run<'_>, block: usize, slots: Slots) -> Result<bool, Error> {
        let parts: Vec<Part> = run.block_parts(block).collect();
        let n_head = parts.iter().filter(|part| part.first_unit < TID_UNITS).count();
        let vectors = self.layout().vectors.map_or(0, |g| g.block_pages);
        let at_once = parts.len() + vectors <= EDIT_PAGES_MAX;
        let n_held = if at_once { parts.len() } else { n_head };
        let (held_parts, other_parts) = parts.split_at(n_held);
        let mut held = Vec::with_capacity(EDIT_PAGES_MAX);
        for part in held_parts {
            held.push(self.lock_part(run, part)?);
        }
        let Some(lane) = free_lane(&held, held_parts) else { return Ok(false) };
        // Locked one at a time: nobody but the holder of the tids writes these lanes. Before DATA pages: who holds one of
        // these must not wait for a page of codes, whose holder may wait for it.
        for part in other_parts {
            let mut page = self.lock_part(run, part)?;
            self.pages.edit(&mut [&mut page], |images| {
                images.iter_mut().for_each(|image| self.write_part(image, run, part, lane));
                Ok(())
            })?;
        }
        let slot = block * LANES + lane;
        let mut vectors = match slots {
            Slots::Shelf => self.shelf_vectors(&held, slot)?,
            Slots::Packed(first) => self.packed_vectors(&held, first + slot as u64)?,
        };
        if !at_once {
            for j in 0..vectors.pages.len() {
                self.write_vector_alone(&mut vectors, j)?;
            }
        }
        let Vectors { pages: mut data, blknos, lane: vector_lane, owner, new_at } = vectors;
        let mut refs: Vec<_> = held.iter_mut().collect();
        if at_once {
            refs.extend(data.iter_mut());
        }
        self.pages.edit(&mut refs, |images| {
            let (held, data) = images.split_at_mut(n_held.min(images.len()));
            for (j, image) in data.iter_mut().enumerate() {
                self.write_vector(image, j, vector_lane, new_at.map(|_| owner));
            }
            for (image, part) in held.iter_mut().zip(held_parts) {
                self.write_part(image, run, part, lane);
            }
            if let (Some(first), Some(head)) = (new_at, held.first_mut()) {
                for (j, blkno) in blknos.iter().enumerate() {
                    shelf::put_vector_page(head, self.layout(), first + j, *blkno);
                }
            }
            Ok(())
        })?;
        Ok(true)
    }

    fn lock_part(&self, run: &Run<'_>, part: &Part) -> Result<P::Write<'a>, Error> {
        let Some(blkno) = run.blkno(part.page) else {
            return Err(Error::corrupted(INVALID_BLKNO, "shelf ends before its blocks"));
        };
        if let RunPages::Shelf(pages) = run.pages
            && pages.iter().take(part.page).any(|other| *other == blkno)
        {
            return Err(Error::corrupted(blkno, "shelf names a page twice"));
        }
        let page = self.pages.lock(blkno)?;
        let (kind, owner) = run.identity(part.page);
        page.check(blkno, kind, owner)?;
        Ok(page)
    }

    /// Writes what the row has in these units: tid, factors, code. Hints on the page are settled.
    fn write_part(&self, image: &mut Page, run: &Run<'_>, part: &Part, lane: usize) {
        settle(image, &self.coded, run, part.page);
        let Some(units) = image.body_mut().get_mut(part.range()) else { return };
        let start = part.first_unit * UNIT;
        let mut put_at = |at: usize, bytes: &[u8]| {
            if let Some(at) = at.checked_sub(start) {
                put(units, at, bytes);
            }
        };
        let (heap_block, offset) = tid_places(lane);
        put_at(heap_block, &self.row.tid.blkno.to_le_bytes());
        put_at(offset, &self.row.tid.offset.to_le_bytes());
        for (f, factor) in self.row.factors.iter().enumerate() {
            put_at(factor_place(lane, f), &factor.to_le_bytes());
        }
        let first_code = self.layout().first_code_unit();
        let from = part.first_unit.max(first_code);
        if let Some(codes) = units.get_mut((from - part.first_unit) * UNIT..) {
            self.codec.pack(self.row.code, lane, from - first_code, codes);
        }
    }
}

/// How the slots of a run are counted.
#[derive(Clone, Copy)]
enum Slots {
    /// From this one on.
    Packed(u64),
    Shelf,
}

/// The first lane without a row, by the offsets on the locked pages.
fn free_lane<W: std::ops::Deref<Target = Page>>(held: &[W], parts: &[Part]) -> Option<usize> {
    let mut tids = [0xFF; TID_UNITS * UNIT];
    for (page, part) in held.iter().zip(parts) {
        let units = page.body().get(part.range()).unwrap_or_default();
        let n = TID_UNITS.saturating_sub(part.first_unit).min(part.len);
        put(&mut tids, part.first_unit * UNIT, units.get(..n * UNIT).unwrap_or_default());
    }
    (0..LANES).find(|lane| tid_of(&tids, *lane).is_free())
}

const _: () = assert!(PAGE_UNITS > TID_UNITS);
