//! The DATA pages of a stretch of a list, block after block.

use std::ops::Range;

use ann::element::Element;
use ann::kernels::{Lanes, RowKernel, append_ahead, prefetch_at};

use crate::ahead::Ahead;
use crate::error::Error;
use crate::geometry::Geometry;
use crate::lists::BlockLayout;
use crate::lists::extent::Extent;
use crate::lists::heads::Heads;
use crate::lists::overflow::vector_page;
use crate::page::{Blkno, INVALID_BLKNO, PageKind};
use crate::store::Pages;

/// DATA blocks between two looks for interrupts.
const BLOCKS_AT_ONCE: u32 = 16;

/// The slots of a stretch whose vectors lie in one DATA block.
#[derive(Debug, Clone, Copy)]
pub struct VectorBlock {
    /// The DATA block, counted from the extent's first.
    number: u64,
    /// The first of the slots, counted from the first of the stretch.
    pub first: usize,
    /// Its lane in the DATA block, and the lane behind the last.
    lane: usize,
    end: usize,
}

impl VectorBlock {
    /// How many slots.
    pub fn n(&self) -> usize {
        self.end - self.lane
    }

    /// The slots.
    pub fn slots(&self) -> Range<usize> {
        self.first..self.first + self.n()
    }
}

/// The DATA blocks of a stretch that have rows, each page under a share lock of its own, the next one pinned before.
pub struct VectorBlocks<'a, 'p, P: Pages> {
    ahead: Ahead<'p, P>,
    layout: &'a BlockLayout,
    geometry: &'a Geometry,
    stretch: &'a Extent<'a>,
    heads: &'a Heads,
    /// The slot, counted in the extent, that the next block begins with.
    slot: u64,
    n_read: u32,
}

impl<'a, 'p, P: Pages> VectorBlocks<'a, 'p, P> {
    /// All of them; asks for their pages ahead.
    pub fn new(
        pages: &'p P,
        layout: &'a BlockLayout,
        geometry: &'a Geometry,
        stretch: &'a Extent<'a>,
        heads: &'a Heads,
    ) -> Self {
        let (ahead, slot) = (Ahead::new(pages), stretch.first);
        let blocks = Self { ahead, layout, geometry, stretch, heads, slot, n_read: 0 };
        let mut slot = stretch.first;
        while let Some((block, end)) = blocks.at(slot) {
            for j in 0..geometry.block_pages {
                if let Some(blkno) = blocks.blkno(block.number, j) {
                    pages.prefetch(blkno);
                }
            }
            slot = end;
        }
        blocks
    }

    /// The block that begins at a slot, and the slot behind it.
    fn at(&self, slot: u64) -> Option<(VectorBlock, u64)> {
        if slot >= self.stretch.end {
            return None;
        }
        let v = self.geometry.block_vectors as u64;
        let number = slot / v;
        let end = ((number + 1) * v).min(self.stretch.end);
        let lane = |slot: u64| (slot - number * v) as usize;
        let first = (slot - self.stretch.first) as usize;
        Some((VectorBlock { number, first, lane: lane(slot), end: lane(end) }, end))
    }

    /// The next block with a row.
    pub fn next(&mut self) -> Option<VectorBlock> {
        loop {
            let (block, end) = self.at(self.slot)?;
            self.slot = end;
            // Versions that nobody sees any more fill whole blocks, until VACUUM.
            if self.heads.live(block.slots()) > 0 {
                return Some(block);
            }
        }
    }

    /// The number of page `j` of a block; None if it had none when the extent was read.
    fn blkno(&self, number: u64, j: usize) -> Option<Blkno> {
        let page = number as usize * self.geometry.block_pages + j;
        self.stretch.vectors.blkno(page).filter(|blkno| *blkno != INVALID_BLKNO)
    }

    /// As `blkno`, for a block whose first row came after the extent was read: its overflow extent names the page by now. No lock is held.
    fn blkno_now(&self, number: u64, j: usize) -> Result<Blkno, Error> {
        let missing = || Error::corrupted(INVALID_BLKNO, "a row has no vector");
        let first = self.stretch.blkno(0).ok_or_else(missing)?;
        let head = self.ahead.pages.read(first)?;
        head.check(first, PageKind::Overflow, self.stretch.list_no)?;
        let page = number as usize * self.geometry.block_pages + j;
        let blkno = vector_page(&head, self.layout, page);
        Some(blkno).filter(|blkno| *blkno != INVALID_BLKNO).ok_or_else(missing)
    }

    /// Page `j` of a block under a share lock; also says where the page to be read after it is.
    fn read(
        &mut self,
        block: &VectorBlock,
        j: usize,
    ) -> Result<(P::Read<'p>, Range<*const u8>, Blkno), Error> {
        let blkno = match self.blkno(block.number, j) {
            Some(blkno) => blkno,
            None => self.blkno_now(block.number, j)?,
        };
        let next = match j + 1 < self.geometry.block_pages {
            true => self.blkno(block.number, j + 1),
            false => self.at(self.slot).and_then(|(next, _)| self.blkno(next.number, 0)),
        };
        let (page, place) = self.ahead.read(blkno, next)?;
        let owner = self.stretch.vectors_owner();
        if !page.is(PageKind::Data, owner) {
            page.check(blkno, PageKind::Data, owner)?;
        }
        Ok((page, place, blkno))
    }

    /// The rows of a block on its page `j`, in place.
    fn rows<'r, E: Element>(
        &self,
        page: &'r crate::page::Page,
        blkno: Blkno,
        block: &VectorBlock,
        j: usize,
    ) -> Result<&'r [E], Error> {
        let len = self.geometry.slice(j).len();
        let rows = self.geometry.rows::<E>(page, j, block.end);
        let rows = rows.and_then(|rows| rows.get(block.lane * len..));
        rows.ok_or_else(|| Error::corrupted(blkno, "DATA page has no room for its rows"))
    }

    /// Puts the kernel's values of a block's rows into `out`. False if every value is beyond `limit` (NaN: no limit), of which
    /// the sums of the first pages may be proof enough.
    pub fn distances<E: Element>(
        &mut self,
        kernel: RowKernel<E>,
        query: &[E::Operand],
        block: &VectorBlock,
        limit: f32,
        lanes: &mut Vec<Lanes>,
        out: &mut [f32],
    ) -> Result<bool, Error> {
        let is_whole = self.geometry.block_pages == 1;
        lanes.clear();
        lanes.resize(if is_whole { 0 } else { block.n() }, Lanes::default());
        for j in 0..self.geometry.block_pages {
            let (page, next, blkno) = self.read(block, j)?;
            let rows = self.rows::<E>(&page, blkno, block, j)?;
            if is_whole {
                kernel.distances_ahead(query, rows, out, next);
                break;
            }
            let slice = query.get(self.geometry.slice(j)).unwrap_or_default();
            kernel.accumulate_ahead(slice, rows, lanes, next);
            drop(page);
            if j + 1 < self.geometry.block_pages && limit < f32::INFINITY {
                RowKernel::<E>::reduce(lanes, out);
                if out.iter().all(|sum| *sum > limit) {
                    return Ok(false);
                }
            }
        }
        if !is_whole {
            RowKernel::<E>::reduce(lanes, out);
        }
        self.has_read();
        Ok(true)
    }

    /// Appends the rows of a block, each whole.
    pub fn append<E: Element>(
        &mut self,
        block: &VectorBlock,
        out: &mut Vec<E>,
    ) -> Result<(), Error> {
        let (start, dims) = (out.len(), self.geometry.dims.max(1));
        for j in 0..self.geometry.block_pages {
            let (page, next, blkno) = self.read(block, j)?;
            let slices = self.rows::<E>(&page, blkno, block, j)?;
            if self.geometry.block_pages == 1 {
                append_ahead(out, slices, next);
                break;
            }
            prefetch_at(next);
            if j == 0 {
                out.resize(start + block.n() * dims, E::zeroed());
            }
            let place = self.geometry.slice(j);
            let whole = out.get_mut(start..).unwrap_or_default().chunks_exact_mut(dims);
            for (row, slice) in whole.zip(slices.chunks_exact(place.len().max(1))) {
                if let Some(to) = row.get_mut(place.clone()) {
                    to.copy_from_slice(slice);
                }
            }
        }
        self.has_read();
        Ok(())
    }

    fn has_read(&mut self) {
        self.n_read += 1;
        if self.n_read.is_multiple_of(BLOCKS_AT_ONCE) {
            self.ahead.pages.check_interrupts();
        }
    }
}
