//! Rows of a large table: words for the pages that have some.

use std::collections::HashMap;

use crate::tid::Tid;

/// Bits of a word.
const BITS: usize = u64::BITS as usize;
/// Words of a page: those that the 291 rows take that a page of 8 kB has at most.
const PER_PAGE: usize = 5;

/// The pages that have rows.
#[derive(Debug)]
pub struct Sparse {
    /// Of each page its place among the words, in pages.
    directory: HashMap<u32, u32>,
    words: Vec<[u64; PER_PAGE]>,
    /// How many pages may have words.
    most: usize,
}

/// The word of an offset among those of its page, and its bit.
#[inline]
fn place(offset: u16) -> (usize, u64) {
    let offset = usize::from(offset);
    (offset / BITS, 1 << (offset % BITS))
}

impl Sparse {
    /// No rows; `memory` says how many pages may have words.
    pub fn new(memory: usize) -> Self {
        // A map has room for up to twice what is in it.
        let page = size_of::<[u64; PER_PAGE]>() + 4 * size_of::<(u32, u32)>();
        let most = (memory / page).min(u32::MAX as usize);
        Self { directory: HashMap::new(), words: Vec::new(), most }
    }

    /// Adds a row; false if there is no room for it.
    pub fn insert(&mut self, tid: Tid) -> bool {
        let (word, bit) = place(tid.offset);
        let known = self.directory.get(&tid.blkno).copied();
        if word >= PER_PAGE || known.is_none() && self.words.len() >= self.most {
            return false;
        }
        let page = known.unwrap_or(self.words.len() as u32);
        if known.is_none() {
            self.directory.insert(tid.blkno, page);
            self.words.push([0; PER_PAGE]);
        }
        let word = self.words.get_mut(page as usize).and_then(|page| page.get_mut(word));
        word.map(|word| *word |= bit).is_some()
    }

    /// Whether a row is in the set.
    #[inline]
    pub fn contains(&self, tid: Tid) -> bool {
        let (word, bit) = place(tid.offset);
        let page = self.directory.get(&tid.blkno).and_then(|page| self.words.get(*page as usize));
        page.and_then(|page| page.get(word)).is_some_and(|word| word & bit != 0)
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        let map = 2 * size_of::<(u32, u32)>() * self.directory.len();
        map + size_of_val(self.words.as_slice())
    }
}
