//! Where the blocks of coded vectors lie: runs of units over pages. The byte pictures are in `README.md`.

use ann::codec::{CodeKind, LANES, UNIT};

use crate::geometry::Geometry;
use crate::page::{BODY_SIZE, Blkno, NO_OWNER, PageKind};

/// Body offset of the first unit: page offset 64, a cache line.
pub const UNITS_START: usize = 40;
/// Units of a page.
pub const PAGE_UNITS: usize = (BODY_SIZE - UNITS_START) / UNIT;
/// Units of a block's tids.
pub const TID_UNITS: usize = 6;
/// Units of one factor of a block.
const FACTOR_UNITS: usize = LANES * size_of::<f32>() / UNIT;
/// Body offset of a shelf's header.
const SHELF_HEADER: usize = UNITS_START;
/// Bytes of the offsets' start among a block's tids: the 32 heap blocks come first.
const OFFSETS: usize = LANES * 4;

/// Shape of a block and of a shelf, a function of the code, the dimension and what `refine` stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeLayout {
    /// Floats per vector beside the code.
    pub n_factors: usize,
    /// U: units of a block, tids and factors included.
    pub block_units: usize,
    /// How exact vectors are cut over DATA pages, if the index stores them.
    pub vectors: Option<Geometry>,
    /// Pages of a shelf.
    pub shelf_pages: usize,
    /// Blocks of a shelf.
    pub shelf_blocks: usize,
    /// Units of a shelf before its first block.
    pub shelf_header: usize,
}

impl CodeLayout {
    /// The layout of a code for vectors of `dims` components; `vectors`: the shape of exact vectors in the index.
    pub fn new(kind: CodeKind, dims: usize, vectors: Option<Geometry>) -> Self {
        let n_factors = kind.n_factors();
        let block_units = TID_UNITS + FACTOR_UNITS * n_factors + kind.units(dims);
        let mut layout = Self {
            n_factors,
            block_units,
            vectors,
            shelf_pages: 1,
            shelf_blocks: (PAGE_UNITS / block_units).max(1),
            shelf_header: 0,
        };
        loop {
            layout.shelf_header = layout.header_units();
            let units = layout.shelf_header + layout.shelf_blocks * block_units;
            if units <= layout.shelf_pages * PAGE_UNITS {
                return layout;
            }
            if layout.shelf_blocks > 1 {
                layout.shelf_blocks -= 1;
            } else {
                layout.shelf_pages += 1;
            }
        }
    }

    /// Units that the arrays of a shelf take: its other pages, and the DATA pages of its vectors.
    fn header_units(&self) -> usize {
        (4 * (self.shelf_pages - 1 + self.shelf_vector_pages())).div_ceil(UNIT)
    }

    /// DATA pages of a full shelf.
    pub fn shelf_vector_pages(&self) -> usize {
        self.vectors
            .map_or(0, |g| (LANES * self.shelf_blocks).div_ceil(g.block_vectors) * g.block_pages)
    }

    /// Body offset, on a shelf's first page, of the number of its page `i` ≥ 1.
    pub fn shelf_page_at(&self, i: usize) -> usize {
        SHELF_HEADER + 4 * i.saturating_sub(1)
    }

    /// Body offset, on a shelf's first page, of the number of its `i`-th DATA page.
    pub fn shelf_vector_at(&self, i: usize) -> usize {
        SHELF_HEADER + 4 * (self.shelf_pages - 1 + i)
    }

    /// The first code unit of a block.
    pub fn first_code_unit(&self) -> usize {
        TID_UNITS + FACTOR_UNITS * self.n_factors
    }

    /// Pages that `n_blocks` blocks of the packed area take.
    pub fn packed_pages(&self, n_blocks: u64) -> u64 {
        (n_blocks * self.block_units as u64).div_ceil(PAGE_UNITS as u64)
    }

    /// DATA pages for the vectors of `n_blocks` blocks of the packed area.
    pub fn packed_vector_pages(&self, n_blocks: u64) -> u64 {
        self.vectors.map_or(0, |g| {
            (n_blocks * LANES as u64).div_ceil(g.block_vectors as u64) * g.block_pages as u64
        })
    }
}

/// Where a lane's tid lies among the bytes of its block: the heap block, and the offset whose zero means free.
pub fn tid_places(lane: usize) -> (usize, usize) {
    (4 * lane, OFFSETS + 2 * lane)
}

/// Where a lane's factor `f` lies among the bytes of its block.
pub fn factor_place(lane: usize, f: usize) -> usize {
    TID_UNITS * UNIT + f * LANES * size_of::<f32>() + 4 * lane
}

/// The pages of a run, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunPages<'a> {
    /// The packed area, shared by all lists: consecutive from this page.
    Packed(Blkno),
    /// A shelf of one list.
    Shelf(&'a [Blkno]),
}

/// Blocks one after the other, without a gap, over some pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run<'a> {
    /// Where it lies.
    pub pages: RunPages<'a>,
    /// The list it belongs to.
    pub list_no: u32,
    /// The unit at which its first block begins, counted from the first page's first.
    pub base: u64,
    /// Blocks.
    pub n_blocks: usize,
    /// U.
    pub block_units: usize,
}

/// The blocks of a SHELF page and of its further pages.
pub fn shelf_run<'a>(pages: &'a [Blkno], list_no: u32, layout: &CodeLayout) -> Run<'a> {
    Run {
        pages: RunPages::Shelf(pages),
        list_no,
        base: layout.shelf_header as u64,
        n_blocks: layout.shelf_blocks,
        block_units: layout.block_units,
    }
}

/// A part of a block on one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The page's place in the run.
    pub page: usize,
    /// The first unit of the block that lies there.
    pub first_unit: usize,
    /// Where on the page.
    pub at: usize,
    /// How many.
    pub len: usize,
}

impl Part {
    /// Where the units lie in the body of the page.
    pub fn range(&self) -> std::ops::Range<usize> {
        let start = UNITS_START + self.at * UNIT;
        start..start + self.len * UNIT
    }
}

impl Run<'_> {
    /// The number of page `i`; None past the end of a shelf.
    pub fn blkno(&self, i: usize) -> Option<Blkno> {
        match self.pages {
            RunPages::Packed(first) => Some(first.wrapping_add(i as Blkno)),
            RunPages::Shelf(blknos) => blknos.get(i).copied(),
        }
    }

    /// Kind and owner that page `i` must have.
    pub fn identity(&self, i: usize) -> (PageKind, u32) {
        match self.pages {
            RunPages::Packed(_) => (PageKind::Codes, NO_OWNER),
            RunPages::Shelf(_) if i == 0 => (PageKind::Shelf, self.list_no),
            RunPages::Shelf(_) => (PageKind::Codes, self.list_no),
        }
    }

    /// The pages its blocks touch, by their place.
    pub fn page_range(&self) -> std::ops::Range<usize> {
        if self.n_blocks == 0 {
            return 0..0;
        }
        let end = self.base + (self.n_blocks * self.block_units) as u64;
        (self.base / PAGE_UNITS as u64) as usize..end.div_ceil(PAGE_UNITS as u64) as usize
    }

    /// The parts of blocks on page `i`, in order, each with its block.
    pub fn parts(&self, i: usize) -> impl Iterator<Item = (usize, Part)> + use<> {
        let (u, base) = (self.block_units as u64, self.base);
        let page = i as u64 * PAGE_UNITS as u64;
        let end = (base + self.n_blocks as u64 * u).min(page + PAGE_UNITS as u64);
        let mut at = base.max(page);
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let (block, first_unit) = ((at - base) / u, (at - base) % u);
            let len = (u - first_unit).min(end - at);
            let part = Part {
                page: i,
                first_unit: first_unit as usize,
                at: (at - page) as usize,
                len: len as usize,
            };
            at += len;
            Some((block as usize, part))
        })
    }

    /// The parts of one block, in order.
    pub fn block_parts(&self, block: usize) -> impl Iterator<Item = Part> + use<> {
        let one = Run {
            pages: RunPages::Packed(0),
            base: self.base + (block * self.block_units) as u64,
            n_blocks: 1,
            ..*self
        };
        one.page_range().flat_map(move |i| one.parts(i).map(|(_, part)| part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_every_unit_once_and_in_order() {
        for (block_units, base, n_blocks) in [(22, 0, 100), (38, 7, 50), (253, 100, 3), (600, 5, 4)]
        {
            let pages = RunPages::Packed(9);
            let run = Run { pages, list_no: 0, base, n_blocks, block_units };
            let mut at = base;
            for i in run.page_range() {
                for (block, part) in run.parts(i) {
                    assert_eq!((i * PAGE_UNITS + part.at) as u64, at);
                    let unit = block * block_units + part.first_unit;
                    assert_eq!(unit as u64, at - base);
                    assert!(part.len > 0 && part.at + part.len <= PAGE_UNITS);
                    assert!(run.block_parts(block).any(|p| p == part));
                    at += part.len as u64;
                }
            }
            assert_eq!(at, base + (n_blocks * block_units) as u64);
        }
    }

    #[test]
    fn every_code_has_a_shelf() {
        let mut kinds = vec![CodeKind::SqFp16, CodeKind::Sq8, CodeKind::Sq4];
        kinds.extend((1..=8).map(|nbits| CodeKind::RaBitQ { nbits }));
        for dims in [1, 2, 3, 64, 128, 384, 768, 1536, 4096, 16_000] {
            for &kind in &kinds {
                for element in [None, Some(2), Some(4)] {
                    let vectors = element.and_then(|size| Geometry::new(dims, size));
                    let layout = CodeLayout::new(kind, dims, vectors);
                    let units = layout.shelf_header + layout.shelf_blocks * layout.block_units;
                    assert!(layout.shelf_blocks > 0 && units <= layout.shelf_pages * PAGE_UNITS);
                    assert!(layout.shelf_pages == 1 || layout.shelf_blocks == 1);
                    // The arrays lie on the first page.
                    assert!(layout.shelf_header < PAGE_UNITS);
                }
            }
        }
    }
}
