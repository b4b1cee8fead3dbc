//! Pages that are in a set as a whole.

use std::collections::HashMap;

/// Pages that share an entry, and their words.
const TOGETHER: u32 = 512;
const WORDS: usize = (TOGETHER / u64::BITS) as usize;

/// Pages as bits, those near to each other together.
#[derive(Debug, Default)]
pub struct Whole {
    pages: HashMap<u32, [u64; WORDS]>,
    n: u64,
}

/// The entry of a page, its word there, and its bit.
#[inline]
fn place(blkno: u32) -> (u32, usize, u64) {
    let within = blkno % TOGETHER;
    (blkno / TOGETHER, (within / u64::BITS) as usize, 1 << (within % u64::BITS))
}

impl Whole {
    /// Adds a page.
    pub fn insert(&mut self, blkno: u32) {
        let (entry, word, bit) = place(blkno);
        let words = self.pages.entry(entry).or_default();
        if let Some(word) = words.get_mut(word).filter(|word| **word & bit == 0) {
            *word |= bit;
            self.n += 1;
        }
    }

    /// Whether a page is among them.
    #[inline]
    pub fn contains(&self, blkno: u32) -> bool {
        let (entry, word, bit) = place(blkno);
        self.n > 0
            && self
                .pages
                .get(&entry)
                .and_then(|words| words.get(word))
                .is_some_and(|word| word & bit != 0)
    }

    /// How many.
    pub fn len(&self) -> u64 {
        self.n
    }

    /// Bytes that they take, about.
    pub fn bytes(&self) -> usize {
        self.pages.len() * (size_of::<[u64; WORDS]>() + size_of::<u64>())
    }
}
