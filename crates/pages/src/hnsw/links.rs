//! LINKS: the links of level 0, and the chains of duplicates.

use crate::bytes::{put_u16, put_u32, u16_at, u32_at};
use crate::error::Error;
use crate::hnsw::INVALID_NODE;
use crate::hnsw::shape::{SLOT_HEAD, Shape};
use crate::page::{Blkno, INVALID_BLKNO, Page, PageKind};
use crate::tid::{is_mark, settle};

const PART: usize = 0;

const N: usize = 0;
const UPPER_BLKNO: usize = 4;
const UPPER_SLOT: usize = 8;
const END: usize = 10;
const DUPLICATE: usize = 12;
const PRIMARY: usize = 16;

/// Where a record of the levels above 0 is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UpperAt {
    /// Its UPPER page; INVALID: there is no record.
    pub blkno: Blkno,
    /// Its place there.
    pub slot: u16,
}

impl UpperAt {
    /// No record.
    pub const NONE: Self = Self { blkno: INVALID_BLKNO, slot: 0 };

    /// Whether there is no record.
    pub fn is_none(self) -> bool {
        self.blkno == INVALID_BLKNO
    }
}

/// What a slot holds but for the links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Number of links.
    pub n: usize,
    /// Of a node: its record of level 1.
    pub upper: UpperAt,
    /// Of a node: its first duplicate; of a duplicate: the next one; INVALID: none.
    pub duplicate: u32,
    /// Of a duplicate: its node; else INVALID.
    pub primary: u32,
    /// A mark: all rows behind it in its chain are dead to all.
    pub is_end: bool,
}

impl Slot {
    /// An empty slot.
    pub const EMPTY: Self = Self {
        n: 0,
        upper: UpperAt::NONE,
        duplicate: INVALID_NODE,
        primary: INVALID_NODE,
        is_end: false,
    };
}

/// An empty LINKS page, the `part`-th of its chunk, counted within all pages of the chunk; inside an edit.
pub fn init(page: &mut Page, shape: &Shape, chunk: u32, part: usize) {
    page.init(PageKind::Links, chunk);
    put_u16(page.body_mut(), PART, part as u16);
    for slot in 0..shape.link_lanes {
        put(page, shape, slot, &Slot::EMPTY, &[]);
    }
    page.set_used(shape.links_used());
}

/// [`Error::Corrupted`] unless the page at `blkno` is LINKS page `part` of the chunk.
#[inline]
pub fn check(page: &Page, blkno: Blkno, chunk: u32, part: usize) -> Result<(), Error> {
    page.check(blkno, PageKind::Links, chunk)?;
    let found = usize::from(u16_at(page.body(), PART));
    if found != part {
        return Err(Error::corrupted(blkno, format!("is page {found} of its chunk, not {part}")));
    }
    Ok(())
}

/// A slot of a checked LINKS page. [`Error::Corrupted`] if it counts more links than there is room for.
#[inline]
pub fn slot(page: &Page, blkno: Blkno, shape: &Shape, slot: usize) -> Result<Slot, Error> {
    let (body, at) = (page.body(), shape.slot_at(slot));
    let n = usize::from(u16_at(body, at + N));
    if n > shape.links_max(0) {
        return Err(Error::corrupted(blkno, format!("slot {slot} counts {n} links")));
    }
    let upper =
        UpperAt { blkno: u32_at(body, at + UPPER_BLKNO), slot: u16_at(body, at + UPPER_SLOT) };
    let (duplicate, primary) = (u32_at(body, at + DUPLICATE), u32_at(body, at + PRIMARY));
    let is_end = body.get(at + END).is_some_and(|byte| is_mark(*byte));
    Ok(Slot { n, upper, duplicate, primary, is_end })
}

/// The links of a slot with `n` of them.
#[inline]
pub fn links<'p>(page: &'p Page, shape: &Shape, slot: usize, n: usize) -> &'p [u32] {
    let start = shape.slot_at(slot) + SLOT_HEAD;
    let bytes = page.body().get(start..start + 4 * n).unwrap_or_default();
    bytemuck::try_cast_slice(bytes).unwrap_or_default()
}

/// Where the mark [`Slot::is_end`] of a slot is in the body.
pub fn end_at(shape: &Shape, slot: usize) -> usize {
    shape.slot_at(slot) + END
}

/// Settles the hints of a LINKS page, inside an edit. All that writes slots does.
pub fn settle_hints(page: &mut Page, shape: &Shape) {
    for slot in 0..shape.link_lanes {
        page.body_mut().get_mut(end_at(shape, slot)).into_iter().for_each(settle);
    }
}

/// Writes a slot and its links without a mark, inside an edit. `found.n` is what `links` has.
pub fn put(page: &mut Page, shape: &Shape, slot: usize, found: &Slot, links: &[u32]) {
    let (body, at) = (page.body_mut(), shape.slot_at(slot));
    crate::bytes::put(body, at + END, &[0]);
    put_u32(body, at + UPPER_BLKNO, found.upper.blkno);
    put_u16(body, at + UPPER_SLOT, found.upper.slot);
    put_u32(body, at + DUPLICATE, found.duplicate);
    put_u32(body, at + PRIMARY, found.primary);
    put_links(page, shape, slot, links);
}

/// Writes the links of a slot and leaves the rest of it, inside an edit. No more than `links_max(0)` of them count.
pub fn put_links(page: &mut Page, shape: &Shape, slot: usize, links: &[u32]) {
    settle_hints(page, shape);
    let (body, at) = (page.body_mut(), shape.slot_at(slot));
    let links = links.get(..shape.links_max(0)).unwrap_or(links);
    put_u16(body, at + N, links.len() as u16);
    crate::bytes::put(body, at + SLOT_HEAD, bytemuck::cast_slice(links));
}

/// Lets the slot name a row further on in its chain and leaves the rest of it, inside an edit: a mark stays right.
pub fn put_duplicate(page: &mut Page, shape: &Shape, slot: usize, duplicate: u32) {
    settle_hints(page, shape);
    put_u32(page.body_mut(), shape.slot_at(slot) + DUPLICATE, duplicate);
}
