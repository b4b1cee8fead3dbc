//! LIST pages: the TIDs, norms and block numbers of one inverted list, and their copy outside the
//! lock.

use std::ops::Range;

use crate::bytes::{f32_at, put, put_u16, put_u32, u16_at, u32_at};
use crate::error::Error;
use crate::geometry::Geometry;
use crate::ivf::directory;
use crate::meta::Meta;
use crate::page::{BODY_SIZE, Blkno, INVALID_BLKNO, Page, PageKind};
use crate::store::Pages;
use crate::tid::{MARK_BYTE, TID_SIZE, Tid, settle};

const NEXT: usize = 0;
const N_SLOTS: usize = 4;
const N_FREE: usize = 6;
const N_BLOCKS: usize = 8;
const RADIUS: usize = 12;
/// Where the arrays start.
const ARRAYS: usize = 32;
/// Bits of a place that say which slot of its page it is.
const SLOT_BITS: u32 = 16;

/// Where the arrays of a LIST page are: a function of the block shape and of the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListLayout {
    /// P.
    pub block_pages: usize,
    /// V.
    pub block_vectors: usize,
    /// B: how many blocks a LIST page has room for.
    pub n_blocks_max: usize,
    /// Whether there is an array of squared norms.
    pub has_norms: bool,
    norms_at: usize,
    tids_at: usize,
}

impl ListLayout {
    /// The layout for blocks of this shape.
    pub fn new(geometry: &Geometry, has_norms: bool) -> Self {
        let (p, v) = (geometry.block_pages, geometry.block_vectors);
        let norm_size = if has_norms { size_of::<f32>() } else { 0 };
        let n_blocks_max = (BODY_SIZE - ARRAYS) / (4 * p + (norm_size + TID_SIZE) * v);
        let norms_at = ARRAYS + 4 * p * n_blocks_max;
        let tids_at = norms_at + norm_size * v * n_blocks_max;
        Self { block_pages: p, block_vectors: v, n_blocks_max, has_norms, norms_at, tids_at }
    }

    /// The most slots of a LIST page.
    pub fn n_slots_max(&self) -> usize {
        self.n_blocks_max * self.block_vectors
    }

    fn block_at(&self, block: usize) -> usize {
        ARRAYS + 4 * self.block_pages * block
    }

    fn norm_at(&self, slot: usize) -> usize {
        self.norms_at + size_of::<f32>() * slot
    }

    fn tid_at(&self, slot: usize) -> usize {
        self.tids_at + TID_SIZE * slot
    }

    /// Block number of page `j` of block `block`.
    pub fn page_of(&self, page: &Page, block: usize, j: usize) -> Blkno {
        u32_at(page.body(), self.block_at(block) + 4 * j)
    }

    /// The tid in a slot.
    pub fn tid_of(&self, page: &Page, slot: usize) -> Tid {
        Tid::from_bytes(self.stored_tid(page, slot))
    }

    /// The tid in a slot with its mark, as it is stored.
    pub(super) fn stored_tid(&self, page: &Page, slot: usize) -> [u8; TID_SIZE] {
        let bytes = page.body().get(self.tid_at(slot)..).and_then(|rest| rest.first_chunk());
        bytes.copied().unwrap_or_default()
    }

    /// Where the mark of a slot is in the body.
    pub(super) fn mark_at(&self, slot: usize) -> usize {
        self.tid_at(slot) + MARK_BYTE
    }

    /// Sets the block numbers of a block, inside an edit.
    pub fn put_block(&self, page: &mut Page, block: usize, blknos: &[Blkno]) {
        for (j, blkno) in blknos.iter().enumerate() {
            put_u32(page.body_mut(), self.block_at(block) + 4 * j, *blkno);
        }
    }

    /// Sets the tid and norm of a slot, inside an edit.
    pub fn put_slot(&self, page: &mut Page, slot: usize, tid: Tid, norm_sqr: f32) {
        if self.has_norms {
            put(page.body_mut(), self.norm_at(slot), &norm_sqr.to_le_bytes());
        }
        put(page.body_mut(), self.tid_at(slot), &tid.to_bytes());
    }

    /// Moves block `from` with its slots (norms and tids) to the place of block `to` < `from`.
    /// The vectors stay in their pages.
    pub fn move_block(&self, page: &mut Page, from: usize, to: usize) {
        let v = self.block_vectors;
        let body = page.body_mut();
        let mut shift = |src: usize, dst: usize, len: usize| {
            if src.max(dst) + len <= body.len() {
                body.copy_within(src..src + len, dst);
            }
        };
        shift(self.block_at(from), self.block_at(to), 4 * self.block_pages);
        if self.has_norms {
            shift(self.norm_at(from * v), self.norm_at(to * v), 4 * v);
        }
        // The last block may be shorter than V slots; the copy takes whole blocks and may end past
        // the used part, but never past the array.
        shift(self.tid_at(from * v), self.tid_at(to * v), TID_SIZE * v);
    }
}

/// The fixed fields of a LIST page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ListHeader {
    /// The next page of the chain.
    pub next: Blkno,
    /// Slots used so far.
    pub n_slots: usize,
    /// Slots among them whose tid is free.
    pub n_free: usize,
    /// Blocks in use: `n_slots` / V, rounded up.
    pub n_blocks: usize,
    /// Largest coarse distance of a member seen here.
    pub radius: f32,
}

impl Default for ListHeader {
    fn default() -> Self {
        Self { next: INVALID_BLKNO, n_slots: 0, n_free: 0, n_blocks: 0, radius: 0.0 }
    }
}

impl ListHeader {
    /// Reads the header of a page that must be a LIST page of `list_no`, with sane counts: whoever
    /// has a header may walk the arrays by it.
    pub fn read(
        page: &Page,
        blkno: Blkno,
        list_no: u32,
        layout: &ListLayout,
    ) -> Result<Self, Error> {
        page.check(blkno, PageKind::List, list_no)?;
        let body = page.body();
        let header = Self {
            next: u32_at(body, NEXT),
            n_slots: usize::from(u16_at(body, N_SLOTS)),
            n_free: usize::from(u16_at(body, N_FREE)),
            n_blocks: usize::from(u16_at(body, N_BLOCKS)),
            radius: f32_at(body, RADIUS),
        };
        if header.n_slots > layout.n_slots_max()
            || header.n_free > header.n_slots
            || header.n_blocks != header.n_slots.div_ceil(layout.block_vectors)
        {
            return Err(Error::corrupted(blkno, "LIST page has impossible counts"));
        }
        Ok(header)
    }

    /// Writes the header, ends the used part after the last slot and settles the hints before it, inside an edit.
    pub fn write(&self, page: &mut Page, layout: &ListLayout) {
        let body = page.body_mut();
        for slot in 0..self.n_slots {
            body.get_mut(layout.mark_at(slot)).into_iter().for_each(settle);
        }
        put_u32(body, NEXT, self.next);
        put_u16(body, N_SLOTS, self.n_slots as u16);
        put_u16(body, N_FREE, self.n_free as u16);
        put_u16(body, N_BLOCKS, self.n_blocks as u16);
        put(body, RADIUS, &self.radius.to_le_bytes());
        page.set_used(layout.tid_at(self.n_slots));
    }

    /// Whether another vector fits.
    pub fn has_room(&self, layout: &ListLayout) -> bool {
        self.n_free > 0 || self.n_slots < layout.n_slots_max()
    }

    /// Takes the coarse distance of a new member into the radius.
    pub fn widen(&mut self, coarse_distance: f32) {
        if self.n_slots == 0 || coarse_distance > self.radius {
            self.radius = coarse_distance;
        }
    }
}

/// Where a slot of a LIST page is.
pub(super) fn place_of(blkno: Blkno, slot: usize) -> u64 {
    u64::from(blkno) << SLOT_BITS | slot as u64
}

/// The page and the slot that a place stands for.
pub(super) fn slot_of(place: u64) -> (Blkno, usize) {
    ((place >> SLOT_BITS) as Blkno, (place & ((1 << SLOT_BITS) - 1)) as usize)
}

/// The used part of a LIST page, copied so that nobody is kept waiting while its vectors are read.
/// The buffers are reused.
#[derive(Debug, Default)]
pub struct ListCopy {
    /// Where it was copied from.
    pub blkno: Blkno,
    /// Its header.
    pub header: ListHeader,
    /// Block numbers, P of each block.
    pub blocks: Vec<Blkno>,
    /// Its slots.
    pub slots: Slots,
}

/// What a LIST page says of consecutive slots, outside the lock.
#[derive(Debug, Default)]
pub struct Slots {
    /// Squared norm of each slot; empty without norms.
    pub norms: Vec<f32>,
    tids: Vec<u8>,
    /// Where they are stored: the first of those that follow each other on a page, and its place.
    places: Vec<(usize, u64)>,
}

impl Slots {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.tids.len() / TID_SIZE
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tids.is_empty()
    }

    /// The tid of a slot; free past the end.
    #[inline]
    pub fn tid(&self, slot: usize) -> Tid {
        match self.tids.get(slot * TID_SIZE..).and_then(|rest| rest.first_chunk()) {
            Some(bytes) => Tid::from_bytes(*bytes),
            None => Tid::FREE,
        }
    }

    /// The tids of all slots, free ones included.
    pub fn tids(&self) -> impl Iterator<Item = Tid> + '_ {
        self.tids.as_chunks().0.iter().map(|bytes| Tid::from_bytes(*bytes))
    }

    /// Where a slot is stored: what [`ann::topk::Hit::at`] says of a row in a list.
    pub fn place(&self, slot: usize) -> u64 {
        let n = self.places.partition_point(|(first, _)| *first <= slot);
        let run = n.checked_sub(1).and_then(|i| self.places.get(i));
        run.map_or(0, |(first, place)| place + (slot - first) as u64)
    }

    /// Whether any of some slots has a row.
    pub fn has_row(&self, slots: Range<usize>) -> bool {
        slots.into_iter().any(|slot| !self.tid(slot).is_free())
    }

    /// Frees the slots with a mark; returns how many there were.
    pub fn leave_out_marked(&mut self) -> usize {
        let tids = self.tids.as_chunks_mut::<TID_SIZE>().0;
        let mut n = 0;
        for tid in tids.iter_mut().filter(|tid| Tid::is_marked(**tid)) {
            *tid = Tid::FREE.to_bytes();
            n += 1;
        }
        n
    }

    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        self.norms.clear();
        self.tids.clear();
        self.places.clear();
    }

    /// Appends some slots of others, which follow each other on a page.
    pub fn extend(&mut self, others: &Self, slots: Range<usize>) {
        self.places.push((self.len(), others.place(slots.start)));
        let tids = slots.start * TID_SIZE..slots.end * TID_SIZE;
        self.tids.extend_from_slice(others.tids.get(tids).unwrap_or_default());
        self.norms.extend_from_slice(others.norms.get(slots).unwrap_or_default());
    }
}

impl ListCopy {
    /// Copies a LIST page of `list_no` under a share lock, released on return.
    pub fn read<P: Pages>(
        &mut self,
        pages: &P,
        blkno: Blkno,
        list_no: u32,
        layout: &ListLayout,
    ) -> Result<(), Error> {
        let page = pages.read(blkno)?;
        self.header = ListHeader::read(&page, blkno, list_no, layout)?;
        self.blkno = blkno;
        self.blocks.clear();
        self.slots.clear();
        let (n_slots, n_blocks) = (self.header.n_slots, self.header.n_blocks);
        let body = page.body();
        let part = |at: usize, len: usize| body.get(at..at + len).unwrap_or_default();
        let blocks = part(layout.block_at(0), 4 * layout.block_pages * n_blocks);
        self.blocks.extend(blocks.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b)));
        if layout.has_norms {
            let norms = part(layout.norm_at(0), 4 * n_slots);
            self.slots.norms.extend(norms.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)));
        }
        self.slots.tids.extend_from_slice(part(layout.tid_at(0), TID_SIZE * n_slots));
        self.slots.places.push((0, place_of(blkno, 0)));
        Ok(())
    }
}

/// The LIST pages of a list, one after the other, each copied under its own share lock.
pub struct ListPages<'p, P: Pages> {
    pages: &'p P,
    layout: ListLayout,
    list_no: u32,
    next: Blkno,
    chain: Chain,
}

impl<'p, P: Pages> ListPages<'p, P> {
    /// Of list `list_no`, as the directory says now.
    pub fn new(pages: &'p P, meta: &Meta, list_no: u32) -> Result<Self, Error> {
        let next = directory::read(pages, meta, list_no)?.first;
        Ok(Self { pages, layout: meta.layout, list_no, next, chain: Chain::new(next) })
    }

    /// Copies the next page into `list`. False at the end of the chain.
    pub fn next(&mut self, list: &mut ListCopy) -> Result<bool, Error> {
        let blkno = self.next;
        if blkno == INVALID_BLKNO {
            return Ok(false);
        }
        list.read(self.pages, blkno, self.list_no, &self.layout)?;
        self.next = list.header.next;
        if self.next != INVALID_BLKNO {
            self.chain.advance(blkno, self.next)?;
        }
        Ok(true)
    }
}

/// Walks a chain of pages and notices a cycle (Brent's algorithm): LIST pages and shelves never leave
/// their chain, so that a page seen twice is damage.
#[derive(Debug)]
pub struct Chain {
    steps: u64,
    mark_at: u64,
    mark: Blkno,
}

impl Chain {
    /// A walk about to start at `first`.
    pub fn new(first: Blkno) -> Self {
        Self { steps: 0, mark_at: 1, mark: first }
    }

    /// Goes on to `next`, which page `from` names.
    pub fn advance(&mut self, from: Blkno, next: Blkno) -> Result<(), Error> {
        self.steps += 1;
        if next == self.mark {
            return Err(Error::corrupted(from, "chain of pages is a cycle"));
        }
        if self.steps == self.mark_at {
            self.mark = next;
            self.mark_at *= 2;
        }
        Ok(())
    }
}
