//! Rows of a table as bits, as many for each of its pages.

use crate::tid::Tid;

/// Bits of a word, as a power of two.
const WORD: u32 = u64::BITS.trailing_zeros();
/// Bits that a page has at first, as a power of two: for rows that are large, as those with vectors are.
const SHIFT_MIN: u32 = 3;

/// The bits of all pages.
#[derive(Debug)]
pub struct Dense {
    bits: Vec<u64>,
    n_blocks: u32,
    /// Bits of a page, as a power of two.
    shift: u32,
}

/// Words for the bits of some pages.
fn words(n_blocks: u32, shift: u32) -> usize {
    ((u64::from(n_blocks) << shift) >> WORD) as usize + 1
}

impl Dense {
    /// No rows of a table of `n_blocks` pages; None if `memory` has no room for its bits.
    pub fn new(n_blocks: u32, memory: usize) -> Option<Self> {
        let words = words(n_blocks, SHIFT_MIN);
        let fits = words <= memory / size_of::<u64>();
        fits.then(|| Self { bits: vec![0; words], n_blocks, shift: SHIFT_MIN })
    }

    /// Adds a row; false if `memory` has no room for it.
    pub fn insert(&mut self, tid: Tid, memory: usize) -> bool {
        let (mut shift, n_blocks) = (self.shift, self.n_blocks.max(tid.blkno.saturating_add(1)));
        while u32::from(tid.offset) >> shift > 0 {
            shift += 1;
        }
        if (shift, n_blocks) != (self.shift, self.n_blocks) {
            // The table may have grown since it was measured; then it will go on to do so.
            let n_blocks =
                if n_blocks > self.n_blocks { n_blocks + n_blocks / 8 } else { n_blocks };
            if words(n_blocks, shift) > memory / size_of::<u64>() {
                return false;
            }
            let rows: Vec<Tid> = self.rows().collect();
            (self.shift, self.n_blocks) = (shift, n_blocks);
            self.bits.clear();
            self.bits.resize(words(n_blocks, shift), 0);
            rows.into_iter().for_each(|tid| self.set(tid));
        }
        self.set(tid);
        true
    }

    fn set(&mut self, tid: Tid) {
        let (word, bit) = self.place(tid);
        if let Some(word) = self.bits.get_mut(word) {
            *word |= bit;
        }
    }

    /// The word of a row, and its bit.
    #[inline]
    fn place(&self, tid: Tid) -> (usize, u64) {
        let at = (u64::from(tid.blkno) << self.shift) + u64::from(tid.offset);
        ((at >> WORD) as usize, 1 << (at % u64::from(u64::BITS)))
    }

    /// Whether a row is in the set.
    #[inline]
    pub fn contains(&self, tid: Tid) -> bool {
        let (word, bit) = self.place(tid);
        u32::from(tid.offset) >> self.shift == 0
            && self.bits.get(word).is_some_and(|word| word & bit != 0)
    }

    /// The rows.
    pub fn rows(&self) -> impl Iterator<Item = Tid> {
        let bits = |(word, bits): (usize, &u64)| {
            let (word, bits) = (word as u64, *bits);
            (0..u64::BITS)
                .filter(move |bit| bits >> bit & 1 != 0)
                .map(move |bit| (word << WORD) + u64::from(bit))
        };
        let tid =
            |at: u64| Tid::new((at >> self.shift) as u32, (at & ((1 << self.shift) - 1)) as u16);
        self.bits.iter().enumerate().filter(|(_, bits)| **bits != 0).flat_map(bits).map(tid)
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        size_of_val(self.bits.as_slice())
    }
}
