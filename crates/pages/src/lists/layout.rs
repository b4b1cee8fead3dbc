//! What a block of 32 entries looks like: units of 32 bytes for tids, attributes, factors and codes. The byte picture is in
//! `README.md`.

use ann::codec::{CodeKind, LANES, UNIT};

use crate::geometry::Geometry;
use crate::page::BODY_SIZE;
use crate::search::attributes::{AttributeBytes, Attributes};

/// Body offset of the first unit: page offset 64, a cache line.
pub const UNITS_START: usize = 40;
/// Units of a page.
pub const PAGE_UNITS: usize = (BODY_SIZE - UNITS_START) / UNIT;
/// Units of a block's tids.
pub const TID_UNITS: usize = 6;
/// Units of one factor of a block.
const FACTOR_UNITS: usize = LANES * size_of::<f32>() / UNIT;
/// Body offset of an overflow extent's page numbers, on its first page.
const OVERFLOW_NAMES: usize = UNITS_START;
/// Where the offsets start among a block's tids: the 32 heap blocks come first.
const OFFSETS: usize = LANES * 4;

/// Shape of a block and of an overflow extent: a function of the code, the dimension, the attributes and the exact vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockLayout {
    /// Attributes of an entry.
    pub attributes: Attributes,
    /// Floats of an entry beside the code.
    pub n_factors: usize,
    /// Whether there is a code. Without one a list begins at any lane of a block, else at its first.
    pub has_code: bool,
    /// U: units of a block, with everything that precedes the code.
    pub block_units: usize,
    /// How exact vectors are cut over DATA pages, if the index stores them.
    pub vectors: Option<Geometry>,
    /// Pages of an overflow extent.
    pub overflow_pages: usize,
    /// Blocks of an overflow extent.
    pub overflow_blocks: usize,
    /// Units of an overflow extent before its first block.
    pub overflow_header: usize,
}

impl BlockLayout {
    /// The layout for vectors of `dims` components. `kind`: their code, None for vectors as the column has them; `has_norms`:
    /// whether these come with a norm; `vectors`: the shape of the vectors in the index.
    pub fn new(
        kind: Option<CodeKind>,
        has_norms: bool,
        dims: usize,
        vectors: Option<Geometry>,
        attributes: Attributes,
    ) -> Self {
        let n_factors = kind.map_or(usize::from(has_norms), CodeKind::n_factors);
        let code_units = kind.map_or(0, |kind| kind.units(dims));
        let mut layout = Self {
            attributes,
            n_factors,
            has_code: kind.is_some(),
            block_units: TID_UNITS + attributes.units() + FACTOR_UNITS * n_factors + code_units,
            vectors,
            overflow_pages: 1,
            overflow_blocks: 0,
            overflow_header: 0,
        };
        layout.overflow_blocks = (PAGE_UNITS / layout.block_units).max(1);
        loop {
            layout.overflow_header = layout.name_units();
            let units = layout.overflow_header + layout.overflow_blocks * layout.block_units;
            if units <= layout.overflow_pages * PAGE_UNITS {
                return layout;
            }
            if layout.overflow_blocks > 1 {
                layout.overflow_blocks -= 1;
            } else {
                layout.overflow_pages += 1;
            }
        }
    }

    /// Units that the page numbers of an overflow extent take: its other pages, and the DATA pages of its vectors.
    fn name_units(&self) -> usize {
        (4 * (self.overflow_pages - 1 + self.overflow_vector_pages())).div_ceil(UNIT)
    }

    /// Slots of an overflow extent.
    pub fn overflow_slots(&self) -> usize {
        LANES * self.overflow_blocks
    }

    /// DATA pages of a full overflow extent.
    pub fn overflow_vector_pages(&self) -> usize {
        self.vectors.map_or(0, |g| self.overflow_slots().div_ceil(g.block_vectors) * g.block_pages)
    }

    /// Body offset, on an overflow extent's first page, of the number of its page `i` ≥ 1.
    pub fn overflow_page_at(&self, i: usize) -> usize {
        OVERFLOW_NAMES + 4 * i.saturating_sub(1)
    }

    /// Body offset, on an overflow extent's first page, of the number of its `i`-th DATA page.
    pub fn overflow_vector_at(&self, i: usize) -> usize {
        OVERFLOW_NAMES + 4 * (self.overflow_pages - 1 + i)
    }

    /// Units before the factors.
    fn factors_unit(&self) -> usize {
        TID_UNITS + self.attributes.units()
    }

    /// The units of the factors.
    pub fn factor_units(&self) -> std::ops::Range<usize> {
        self.factors_unit()..self.first_code_unit()
    }

    /// The first code unit of a block.
    pub fn first_code_unit(&self) -> usize {
        self.factors_unit() + FACTOR_UNITS * self.n_factors
    }

    /// Where a lane's factor `f` lies among the bytes of its block.
    pub fn factor_place(&self, lane: usize, f: usize) -> usize {
        self.factors_unit() * UNIT + f * LANES * size_of::<f32>() + 4 * lane
    }

    /// The first slot at or behind `slot` at which a list may begin.
    pub fn next_start(&self, slot: u64) -> u64 {
        if self.has_code { slot.next_multiple_of(LANES as u64) } else { slot }
    }

    /// Pages that `n_slots` slots of the packed area take.
    pub fn packed_pages(&self, n_slots: u64) -> u64 {
        (n_slots.div_ceil(LANES as u64) * self.block_units as u64).div_ceil(PAGE_UNITS as u64)
    }

    /// DATA pages for the vectors of `n_slots` slots of the packed area.
    pub fn packed_vector_pages(&self, n_slots: u64) -> u64 {
        self.vectors.map_or(0, |g| n_slots.div_ceil(g.block_vectors as u64) * g.block_pages as u64)
    }

    /// Calls `put` with each piece of an entry's attributes and where it lies among the bytes of its block.
    pub fn place_attributes(
        &self,
        lane: usize,
        entry: &[u8],
        mut put: impl FnMut(usize, AttributeBytes<'_>),
    ) {
        self.attributes.place(lane, entry, |at, piece| put(TID_UNITS * UNIT + at, piece));
    }
}

/// Where a lane's tid lies among the bytes of its block: the heap block, and the offset whose zero means free.
pub fn tid_places(lane: usize) -> (usize, usize) {
    (4 * lane, OFFSETS + 2 * lane)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_an_overflow_extent() {
        let mut kinds = vec![CodeKind::SqFp16, CodeKind::Sq8, CodeKind::Sq4];
        kinds.extend((1..=8).map(|nbits| CodeKind::RaBitQ { nbits }));
        let kinds: Vec<_> = kinds.into_iter().map(Some).chain([None]).collect();
        for dims in [1, 2, 3, 64, 128, 384, 768, 1536, 4096, 16_000] {
            for &kind in &kinds {
                for element in [None, Some(2), Some(4)] {
                    let vectors = element.and_then(|size| Geometry::new(dims, size));
                    for widths in [&[][..], &[4], &[16; 8], &[1, 2, 4, 8, 16]] {
                        let attributes = Attributes::new(widths).unwrap();
                        let l = BlockLayout::new(kind, true, dims, vectors, attributes);
                        let units = l.overflow_header + l.overflow_blocks * l.block_units;
                        assert!(l.overflow_blocks > 0 && units <= l.overflow_pages * PAGE_UNITS);
                        assert!(l.overflow_pages == 1 || l.overflow_blocks == 1);
                        // The page numbers lie on the first page.
                        assert!(l.overflow_header < PAGE_UNITS);
                        // A slot's number has 16 bits in a place.
                        assert!(l.overflow_slots() <= 1 << 16);
                    }
                }
            }
        }
    }

    #[test]
    fn attributes_have_places_of_their_own() {
        let attributes = Attributes::new(&[4, 1, 16, 8]).unwrap();
        let layout = BlockLayout::new(Some(CodeKind::Sq8), false, 8, None, attributes);
        let mut taken = vec![0u8; layout.block_units * UNIT];
        for lane in 0..LANES {
            let (heap_block, offset) = tid_places(lane);
            taken[heap_block..heap_block + 4].fill(1);
            taken[offset..offset + 2].fill(1);
        }
        let entry = [0xFF; 30];
        for lane in 0..LANES {
            layout.place_attributes(
                lane,
                &entry[..attributes.entry_size()],
                |at, piece| match piece {
                    AttributeBytes::Null { bit, is_null } => {
                        assert!(is_null && taken[at] & bit == 0);
                        taken[at] |= bit;
                    }
                    AttributeBytes::Value(value) => {
                        let place = &mut taken[at..at + value.len()];
                        assert!(place.iter().all(|byte| *byte == 0));
                        place.fill(1);
                    }
                },
            );
        }
        let end = layout.first_code_unit() * UNIT;
        let n_bitmaps = attributes.widths().count() * 4;
        let bitmaps = TID_UNITS * UNIT..(TID_UNITS + 1) * UNIT;
        assert!(taken[bitmaps.start..bitmaps.start + n_bitmaps].iter().all(|b| *b == 0xFF));
        assert!(taken[bitmaps.end..end].iter().all(|byte| *byte == 1));
        assert!(Attributes::new(&[3]).is_none() && Attributes::new(&[1; 9]).is_none());
        assert!(Attributes::from_bytes([4, 0, 4, 0, 0, 0, 0, 0]).is_none());
    }
}
