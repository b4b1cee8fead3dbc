//! UPPER: the links of the levels above 0, a record for each node and level.

use crate::bytes::{put, put_u16, put_u32, u16_at, u32_at};
use crate::error::Error;
use crate::hnsw::INVALID_NODE;
use crate::hnsw::links::UpperAt;
use crate::hnsw::shape::Shape;
use crate::page::{BODY_SIZE, Blkno, INVALID_BLKNO, NO_OWNER, Page, PageKind};

const PREV: usize = 0;
const N_USED: usize = 4;
const N_FREE: usize = 6;
const RECORDS: usize = 8;

const NODE: usize = 0;
const LEVEL: usize = 4;
const IS_USED: usize = 5;
const N: usize = 6;
const NEXT_BLKNO: usize = 8;
const NEXT_SLOT: usize = 12;
const RECORD_HEAD: usize = 16;

/// A record but for its links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Whose it is; INVALID: nobody's, an insert may take it.
    pub node: u32,
    /// Of which level, from 1.
    pub level: u8,
    /// Number of links.
    pub n: usize,
    /// The node's record of the level above.
    pub next: UpperAt,
}

impl Record {
    /// Whether nobody uses it.
    pub fn is_free(&self) -> bool {
        self.node == INVALID_NODE
    }
}

fn record_size(shape: &Shape) -> usize {
    RECORD_HEAD + 4 * shape.m
}

/// Records that an UPPER page has room for.
pub fn records_max(shape: &Shape) -> usize {
    (BODY_SIZE - RECORDS) / record_size(shape)
}

fn record_at(shape: &Shape, slot: usize) -> usize {
    RECORDS + record_size(shape) * slot
}

/// An empty UPPER page, inside an edit. `prev`: the newest one so far.
pub fn init(page: &mut Page, shape: &Shape, prev: Blkno) {
    page.init(PageKind::Upper, NO_OWNER);
    put_u32(page.body_mut(), PREV, prev);
    page.set_used(record_at(shape, records_max(shape)));
}

/// A locked UPPER page whose head was looked at.
#[derive(Clone, Copy)]
pub struct Upper<'p> {
    page: &'p Page,
    blkno: Blkno,
    shape: &'p Shape,
    /// Records used so far, counted from the first.
    pub n_used: usize,
    /// Of these, those that are free again.
    pub n_free: usize,
    /// The UPPER page made before this one.
    pub prev: Blkno,
}

impl<'p> Upper<'p> {
    /// The page at `blkno`.
    pub fn new(page: &'p Page, blkno: Blkno, shape: &'p Shape) -> Result<Self, Error> {
        page.check(blkno, PageKind::Upper, NO_OWNER)?;
        let number = |at: usize| usize::from(u16_at(page.body(), at));
        let (n_used, n_free) = (number(N_USED), number(N_FREE));
        if n_used > records_max(shape) || n_free > n_used {
            let what = format!("UPPER page has {n_used} records, {n_free} free");
            return Err(Error::corrupted(blkno, what));
        }
        Ok(Self { page, blkno, shape, n_used, n_free, prev: u32_at(page.body(), PREV) })
    }

    /// The record in a slot. [`Error::Corrupted`] if there is none, or if it counts more links than there is room for.
    pub fn record(&self, slot: usize) -> Result<Record, Error> {
        let (body, at) = (self.page.body(), record_at(self.shape, slot));
        let byte = |at: usize| u16_at(body, at) as u8;
        let n = usize::from(u16_at(body, at + N));
        let is_used = byte(at + IS_USED);
        if slot >= self.n_used || n > self.shape.m || is_used > 1 {
            let what = format!("record {slot} of {} counts {n} links", self.n_used);
            return Err(Error::corrupted(self.blkno, what));
        }
        let next =
            UpperAt { blkno: u32_at(body, at + NEXT_BLKNO), slot: u16_at(body, at + NEXT_SLOT) };
        let node = if is_used == 1 { u32_at(body, at + NODE) } else { INVALID_NODE };
        Ok(Record { node, level: byte(at + LEVEL), n, next })
    }

    /// The links of a record with `n` of them.
    pub fn links(&self, slot: usize, n: usize) -> &'p [u32] {
        let start = record_at(self.shape, slot) + RECORD_HEAD;
        let bytes = self.page.body().get(start..start + 4 * n).unwrap_or_default();
        bytemuck::try_cast_slice(bytes).unwrap_or_default()
    }

    /// The lowest slot whose record is nobody's. None if there is none.
    pub fn free_slot(&self) -> Option<usize> {
        let is_free = |slot: &usize| self.record(*slot).is_ok_and(|record| record.is_free());
        let used = (self.n_free > 0).then(|| (0..self.n_used).find(is_free)).flatten();
        used.or((self.n_used < records_max(self.shape)).then_some(self.n_used))
    }
}

/// Fills a free slot (one that [`Upper::free_slot`] gave), inside an edit.
pub fn fill(page: &mut Page, shape: &Shape, slot: usize, record: &Record, links: &[u32]) {
    let n_used = usize::from(u16_at(page.body(), N_USED));
    let n_free = u16_at(page.body(), N_FREE);
    let (body, at) = (page.body_mut(), record_at(shape, slot));
    if slot >= n_used {
        put_u16(body, N_USED, slot as u16 + 1);
    } else {
        put_u16(body, N_FREE, n_free.saturating_sub(1));
    }
    put_u32(body, at + NODE, record.node);
    put(body, at + LEVEL, &[record.level, 1]);
    put_u32(body, at + NEXT_BLKNO, record.next.blkno);
    put_u16(body, at + NEXT_SLOT, record.next.slot);
    put_links(page, shape, slot, links);
}

/// Writes the links of a record and leaves the rest of it, inside an edit. No more than m of them count.
pub fn put_links(page: &mut Page, shape: &Shape, slot: usize, links: &[u32]) {
    let (body, at) = (page.body_mut(), record_at(shape, slot));
    let links = links.get(..shape.m).unwrap_or(links);
    put_u16(body, at + N, links.len() as u16);
    put(body, at + RECORD_HEAD, bytemuck::cast_slice(links));
}

/// Frees a record in use, inside an edit.
pub fn free(page: &mut Page, shape: &Shape, slot: usize) {
    let n_free = u16_at(page.body(), N_FREE);
    let (body, at) = (page.body_mut(), record_at(shape, slot));
    put_u16(body, N_FREE, n_free.saturating_add(1));
    put(body, at + LEVEL, &[0, 0]);
    put_u16(body, at + N, 0);
    put_u32(body, at + NEXT_BLKNO, INVALID_BLKNO);
}
