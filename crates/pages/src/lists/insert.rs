//! Insert one row: into a lane that the build left or vacuum freed, else into an overflow extent. Locks and WAL atoms are in
//! `README.md`.

use ann::codec::{Codec, Coding, LANES, UNIT};

use crate::ahead::Ahead;
use crate::bytes::put;
use crate::error::Error;
use crate::lists::InvertedLists;
use crate::lists::directory::{self, Entry};
use crate::lists::extent::{Extent, ExtentPages, Part};
use crate::lists::lanes::{Rows, TID_BYTES, tid_of};
use crate::lists::layout::{BlockLayout, PAGE_UNITS, TID_UNITS, tid_places};
use crate::lists::marks::settle;
use crate::lists::overflow::{self, Overflow};
use crate::lists::walk::{Extents, blkno_of, piece_of, pieces};
use crate::page::{Blkno, INVALID_BLKNO, Page};
use crate::search::attributes::AttributeBytes;
use crate::store::{EDIT_PAGES_MAX, Pages};
use crate::tid::Tid;

mod chain;
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
    /// Its bare code; empty where vectors are stored as the column has them.
    pub code: &'a [u8],
    /// The factors of its code; without a code the squared norm of the vector, where the metric needs it.
    pub factors: &'a [f32],
    /// Its attributes: which are null, one bit each, then the values; empty without attributes.
    pub attributes: &'a [u8],
    /// Its vector as the index stores it; empty if it stores none.
    pub vector: &'a [u8],
}

/// Adds a row. When it returns, the row is in the index; if it fails or the server dies on the way, it is not, and no
/// page is worse than leaked.
pub fn insert<P: Pages>(
    pages: &P,
    lists: &InvertedLists,
    codec: Option<&Codec>,
    row: &Row<'_>,
) -> Result<(), Error> {
    let layout = &lists.layout;
    let fits = !row.tid.is_free()
        && codec.is_some() == layout.has_code
        && row.code.len() == codec.map_or(0, Coding::bare_size)
        && row.factors.len() == layout.n_factors
        && row.attributes.len() == layout.attributes.entry_size()
        && row.vector.len() == layout.vectors.map_or(0, |g| g.vector_size());
    if !fits {
        return Err(Error::Internal("row does not fit the index".into()));
    }
    let insertion = Insertion { pages, lists, codec, row };
    let entry = directory::read(pages, lists, row.list_no)?;
    if row.coarse_distance > entry.radius {
        insertion.widen()?;
    }
    let mut now = entry;
    now.insert_slot = insertion.fill_packed(&entry)?;
    if now.insert_slot == entry.n_slots {
        now.insert_overflow = insertion.fill_overflow(&entry)?;
    }
    if now != entry {
        insertion.note(&entry, &now)?;
    }
    Ok(())
}

struct Insertion<'a, P: Pages> {
    pages: &'a P,
    lists: &'a InvertedLists,
    codec: Option<&'a Codec>,
    row: &'a Row<'a>,
}

impl<'a, P: Pages> Insertion<'a, P> {
    fn layout(&self) -> &'a BlockLayout {
        &self.lists.layout
    }

    /// Widens the radius of the list: before the row is there, so that a crash leaves it too large at most.
    fn widen(&self) -> Result<(), Error> {
        directory::change(self.pages, self.lists, self.row.list_no, |found| {
            let radius = found.radius.max(self.row.coarse_distance);
            (radius > found.radius).then_some(Entry { radius, ..found })
        })
    }

    /// Moves the hints that have not been moved by somebody else.
    fn note(&self, from: &Entry, to: &Entry) -> Result<(), Error> {
        directory::change(self.pages, self.lists, self.row.list_no, |found| {
            let mut entry = found;
            if found.insert_slot == from.insert_slot {
                entry.insert_slot = to.insert_slot;
            }
            if found.insert_overflow == from.insert_overflow
                && found.overflow_first != INVALID_BLKNO
            {
                entry.insert_overflow = to.insert_overflow;
            }
            (entry != found).then_some(entry)
        })
    }

    /// Tries the packed slots from the hint on; returns where the next row is to try, `n_slots` if none was free.
    fn fill_packed(&self, entry: &Entry) -> Result<u32, Error> {
        let packed = entry.packed(self.lists, self.row.list_no);
        let first = entry.first + u64::from(entry.insert_slot);
        let lanes = LANES as u64;
        Ok(match self.fill(&packed.slots(first, packed.end))? {
            // While the block of the hint has room the hint stays, and the directory is not written.
            Some(slot) if slot / lanes == first / lanes => entry.insert_slot,
            Some(slot) => (slot - entry.first) as u32,
            None => entry.n_slots,
        })
    }

    /// Tries the overflow extents from the hint on, and adds one if all are full; returns the one the row went to.
    fn fill_overflow(&self, entry: &Entry) -> Result<Blkno, Error> {
        let mut first = entry.insert_overflow;
        if first == INVALID_BLKNO {
            first = self.first_extent()?;
        }
        let mut overflow = Overflow::default();
        loop {
            let mut last = first;
            let mut extents = Extents::overflow(self.pages, self.lists, self.row.list_no, first);
            while let Some(extent) = extents.next(&mut overflow)? {
                last = blkno_of(&extent, 0)?;
                if self.fill(&extent)?.is_some() {
                    return Ok(last);
                }
            }
            self.extend(last)?;
            first = last;
        }
    }

    /// Puts the row into the first free slot of an extent; returns it.
    fn fill(&self, extent: &Extent<'_>) -> Result<Option<u64>, Error> {
        let mut rest = *extent;
        while let Some(block) = self.block_with_room(&rest)? {
            if let Some(lane) = self.fill_block(&rest, block)? {
                return Ok(Some(block * LANES as u64 + lane as u64));
            }
            // Somebody else took the last lane between the two locks.
            rest = rest.slots(block * LANES as u64, rest.end);
        }
        Ok(None)
    }

    /// Share locks only: walking over full blocks must not hold up their readers.
    fn block_with_room(&self, extent: &Extent<'_>) -> Result<Option<u64>, Error> {
        let mut tids = [0; TID_BYTES];
        let mut found = None;
        pieces(&mut Ahead::new(self.pages), extent, |piece| {
            piece.copy_to(&mut tids, 0);
            let end = piece.part.first_unit + piece.part.len;
            let is_read = (piece.part.first_unit..end).contains(&(TID_UNITS - 1));
            if is_read && extent.lanes(piece.block) & !Rows::of(&tids, false).lanes() != 0 {
                found = Some(piece.block);
            }
            found.is_none()
        })?;
        Ok(found)
    }

    /// Puts the row into a free lane of a block, which it returns; None if there is none. The pages with the tids stay locked
    /// from the choice of the lane to the end; the record that names the tid is the last one.
    fn fill_block(&self, extent: &Extent<'_>, block: u64) -> Result<Option<usize>, Error> {
        let parts: Vec<Part> = extent.block_parts(block).collect();
        let n_head = parts.iter().filter(|part| part.first_unit < TID_UNITS).count();
        let vectors = self.layout().vectors.map_or(0, |g| g.block_pages);
        let at_once = parts.len() + vectors <= EDIT_PAGES_MAX;
        let n_held = if at_once { parts.len() } else { n_head };
        let (held_parts, other_parts) = parts.split_at(n_held);
        let mut held = Vec::with_capacity(EDIT_PAGES_MAX);
        for part in held_parts {
            held.push(self.lock_part(extent, part)?);
        }
        let Some(lane) = free_lane(&held, held_parts, extent.lanes(block)) else {
            return Ok(None);
        };
        // Locked one at a time: nobody but the holder of the tids writes these lanes. Before DATA pages: who holds one of
        // these must not wait for a page of codes, whose holder may wait for it.
        for part in other_parts {
            let mut page = self.lock_part(extent, part)?;
            self.pages.edit(&mut [&mut page], |images| {
                images.iter_mut().for_each(|image| self.write_part(image, extent, part, lane));
                Ok(())
            })?;
        }
        let mut vectors = self.vectors(extent, &held, block * LANES as u64 + lane as u64)?;
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
                self.write_part(image, extent, part, lane);
            }
            if let (Some(first), Some(head)) = (new_at, held.first_mut()) {
                for (j, blkno) in blknos.iter().enumerate() {
                    overflow::put_vector_page(head, self.layout(), first + j, *blkno);
                }
            }
            Ok(())
        })?;
        Ok(Some(lane))
    }

    fn lock_part(&self, extent: &Extent<'_>, part: &Part) -> Result<P::Write<'a>, Error> {
        let blkno = blkno_of(extent, part.page)?;
        if let ExtentPages::Overflow(pages) = extent.pages
            && pages.iter().take(part.page).any(|other| *other == blkno)
        {
            return Err(Error::corrupted(blkno, "overflow extent names a page twice"));
        }
        let page = self.pages.lock(blkno)?;
        let (kind, owner) = extent.identity(part.page);
        page.check(blkno, kind, owner)?;
        Ok(page)
    }

    /// Writes what the row has in these units: tid, attributes, factors, code. Hints on the page are settled.
    fn write_part(&self, image: &mut Page, extent: &Extent<'_>, part: &Part, lane: usize) {
        settle(image, self.lists, extent, part.page);
        let Some(units) = image.body_mut().get_mut(part.range()) else { return };
        let start = part.first_unit * UNIT;
        let (heap_block, offset) = tid_places(lane);
        put_from(units, start, heap_block, &self.row.tid.blkno.to_le_bytes());
        put_from(units, start, offset, &self.row.tid.offset.to_le_bytes());
        let layout = self.layout();
        for (f, factor) in self.row.factors.iter().enumerate() {
            put_from(units, start, layout.factor_place(lane, f), &factor.to_le_bytes());
        }
        layout.place_attributes(lane, self.row.attributes, |at, piece| match piece {
            AttributeBytes::Value(value) => put_from(units, start, at, value),
            AttributeBytes::Null { bit, is_null } => {
                let byte = at.checked_sub(start).and_then(|at| units.get_mut(at));
                if let Some(byte) = byte {
                    *byte = if is_null { *byte | bit } else { *byte & !bit };
                }
            }
        });
        let first_code = layout.first_code_unit();
        let from = part.first_unit.max(first_code);
        let codes = units.get_mut((from - part.first_unit) * UNIT..);
        if let (Some(codec), Some(codes)) = (self.codec, codes) {
            codec.pack(self.row.code, lane, from - first_code, codes);
        }
    }
}

/// Writes bytes that belong at `at` of a block, of which `units` are the bytes from `start` on; nothing if they lie elsewhere.
fn put_from(units: &mut [u8], start: usize, at: usize, bytes: &[u8]) {
    if let Some(at) = at.checked_sub(start) {
        put(units, at, bytes);
    }
}

/// The first lane without a row among those of `own`, by the offsets on the locked pages.
fn free_lane<W: std::ops::Deref<Target = Page>>(
    held: &[W],
    parts: &[Part],
    own: u32,
) -> Option<usize> {
    let mut tids = [0xFF; TID_BYTES];
    for (page, part) in held.iter().zip(parts) {
        piece_of(page, 0, *part).copy_to(&mut tids, 0);
    }
    (0..LANES).find(|lane| own & 1 << lane != 0 && tid_of(&tids, *lane).is_free())
}

const _: () = assert!(PAGE_UNITS > TID_UNITS);
