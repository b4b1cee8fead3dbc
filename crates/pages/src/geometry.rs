//! How vectors are cut over pages: blocks of V vectors over P pages.

use std::ops::Range;

use ann::element::{Bits, Element};
use ann::metric::Metric;
use half::f16;

use crate::page::{BODY_SIZE, Page};

/// The most elements of a vector that an index takes: its dimensions, or of bits the bytes they take.
pub const DIMS_MAX: usize = 16_000;
/// The most bits of a vector that an index without links takes.
pub const BITS_MAX: usize = DIMS_MAX * Bits::COMPONENTS;
/// Body offset of the first row: page offset 64, a cache line.
pub const ROWS_START: usize = 40;
/// Bytes of a DATA page for rows.
const ROWS_SIZE: usize = BODY_SIZE - ROWS_START;
/// The most pages of a block.
const BLOCK_PAGES_MAX: usize = 16;
/// The most vectors of a block: an overflow extent names the pages of them all on one page.
const BLOCK_VECTORS_MAX: usize = 400;
/// Slices start at multiples of the distance kernel's 16 accumulators.
const SLICE: usize = 16;

/// Shape of a block, a function of the dimension and the element size alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Elements of a vector.
    pub dims: usize,
    /// Bytes of an element.
    pub element_size: usize,
    /// P: pages of a block.
    pub block_pages: usize,
    /// V: vectors of a block.
    pub block_vectors: usize,
    /// Elements of every slice but the last.
    step: usize,
}

impl Geometry {
    /// The smallest P that uses 85 % of the space for elements, else the P that uses most.
    /// None if `dims` is not in 1..=16,000 or the element is none of ours.
    pub fn new(dims: usize, element_size: usize) -> Option<Self> {
        if !(1..=DIMS_MAX).contains(&dims) || !matches!(element_size, 1 | 2 | 4) {
            return None;
        }
        let mut best: Option<(usize, Self)> = None;
        for block_pages in 1..=BLOCK_PAGES_MAX {
            let Some(shape) = Self::with_pages(dims, element_size, block_pages) else { continue };
            let used = shape.block_vectors * dims * element_size * 1000 / (block_pages * ROWS_SIZE);
            if used >= 850 {
                return Some(shape);
            }
            if best.is_none_or(|(most, _)| used > most) {
                best = Some((used, shape));
            }
        }
        best.map(|(_, shape)| shape)
    }

    /// How an index stores vectors of `dims` dimensions as the column has them. `element`: the column's `Element::TAG`.
    pub fn of_column(dims: usize, element: u8) -> Option<Self> {
        match element {
            f32::TAG => Self::new(dims, size_of::<f32>()),
            f16::TAG => Self::new(dims, size_of::<f16>()),
            Bits::TAG => Self::new(Bits::count(dims), size_of::<Bits>()),
            _ => None,
        }
    }

    /// Rows of `size` bytes, all on one page of `lanes`.
    pub(crate) fn of_bytes(size: usize, lanes: usize) -> Self {
        Self { dims: size, element_size: 1, block_pages: 1, block_vectors: lanes, step: size }
    }

    fn with_pages(dims: usize, element_size: usize, block_pages: usize) -> Option<Self> {
        let step = match block_pages {
            1 => dims,
            _ => dims.div_ceil(block_pages).next_multiple_of(SLICE),
        };
        let every_page_has_a_slice = (block_pages - 1) * step < dims;
        let block_vectors = (ROWS_SIZE / (step * element_size)).min(BLOCK_VECTORS_MAX);
        (every_page_has_a_slice && block_vectors > 0).then_some(Self {
            dims,
            element_size,
            block_pages,
            block_vectors,
            step,
        })
    }

    /// The elements that page `j` of a block holds of each vector.
    #[inline]
    pub fn slice(&self, j: usize) -> Range<usize> {
        (j * self.step).min(self.dims)..((j + 1) * self.step).min(self.dims)
    }

    /// Bytes of one row of page `j`.
    pub fn row_size(&self, j: usize) -> usize {
        self.slice(j).len() * self.element_size
    }

    /// Bytes of a stored vector.
    pub fn vector_size(&self) -> usize {
        self.dims * self.element_size
    }

    /// Where the row of `lane` starts in the body of page `j`.
    pub fn row_start(&self, j: usize, lane: usize) -> usize {
        ROWS_START + lane * self.row_size(j)
    }

    /// The rows of the first `n` lanes of page `j`, in place. None if the bytes cannot be rows of
    /// `E` (n beyond the block, or an element of another size).
    #[inline]
    pub fn rows<'p, E: bytemuck::Pod>(
        &self,
        page: &'p Page,
        j: usize,
        n: usize,
    ) -> Option<&'p [E]> {
        let end = ROWS_START + n * self.slice(j).len() * self.element_size;
        bytemuck::try_cast_slice(page.body().get(ROWS_START..end)?).ok()
    }

    /// Writes the slice of `vector` (its stored bytes) that belongs on page `j` at `lane`, and
    /// counts the row as used.
    pub fn write_row(&self, page: &mut Page, j: usize, lane: usize, vector: &[u8]) {
        let slice = self.slice(j);
        let bytes = slice.start * self.element_size..slice.end * self.element_size;
        let Some(bytes) = vector.get(bytes) else { return };
        let start = self.row_start(j, lane);
        crate::bytes::put(page.body_mut(), start, bytes);
        page.set_used(page.used().max(start + bytes.len()));
    }
}

/// Whether the metric is one of vectors of these elements.
pub fn measures(metric: Metric, element: u8) -> bool {
    metric.is_of_bits() == (element == Bits::TAG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dimension_fits_and_slices_cover_it() {
        for element_size in [1, 2, 4] {
            for dims in 1..=DIMS_MAX {
                let g = Geometry::new(dims, element_size).unwrap();
                assert!((1..=BLOCK_PAGES_MAX).contains(&g.block_pages));
                let mut covered = 0;
                for j in 0..g.block_pages {
                    let slice = g.slice(j);
                    assert_eq!(slice.start, covered);
                    assert!(!slice.is_empty() && slice.start.is_multiple_of(SLICE));
                    assert!(g.row_start(j, g.block_vectors) <= BODY_SIZE);
                    covered = slice.end;
                }
                assert_eq!(covered, dims);
                let used = g.block_vectors * g.vector_size();
                if dims * element_size >= 20 {
                    assert!(used * 100 >= 85 * g.block_pages * ROWS_SIZE, "{g:?}");
                }
            }
        }
        assert!(Geometry::new(0, 4).is_none());
        assert!(Geometry::new(16_001, 4).is_none());
        assert!(Geometry::of_column(16_001, f16::TAG).is_none());
        assert!(Geometry::of_column(128_001, Bits::TAG).is_none());
        assert_eq!(Geometry::of_column(128_000, Bits::TAG).unwrap().dims, 16_000);
        assert_eq!(Geometry::of_column(9, Bits::TAG).unwrap().vector_size(), 2);
    }

    #[test]
    fn known_shapes() {
        let shape = |dims, size| {
            let g = Geometry::new(dims, size).unwrap();
            (g.block_pages, g.block_vectors)
        };
        assert_eq!(shape(128, 4), (1, 15));
        assert_eq!(shape(2028, 4), (1, 1));
        assert_eq!(shape(16_000, 4), (8, 1));
    }
}
