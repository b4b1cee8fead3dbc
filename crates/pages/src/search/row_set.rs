//! A set of rows that a scan is to look among: the bitmap of another index, or tids that a program names.
//!
//! A page of the table can be in the set as a whole: then whoever asked for the rows has to look at each. So the set never takes
//! more memory than it may.
//!
//! Each page has as many bits as its rows take, one behind the other ([`dense`]): a look is one shift and one load. A table that
//! is too large for that has words for those pages alone that have rows in the set ([`sparse`]).

mod dense;
mod sparse;
mod whole;

use crate::tid::Tid;
use dense::Dense;
use sparse::Sparse;
use whole::Whole;

/// A set of rows.
#[derive(Debug)]
pub struct RowSet {
    pages: Pages,
    /// Pages that are in the set as a whole.
    whole: Whole,
    /// Bytes that the rows of others may take.
    memory: usize,
}

#[derive(Debug)]
enum Pages {
    Dense(Dense),
    Sparse(Sparse),
}

impl RowSet {
    /// The empty set of rows of a table of `n_blocks` pages. It takes about `memory` bytes at most; a few for each page in it
    /// as a whole are the least.
    pub fn new(n_blocks: u32, memory: usize) -> Self {
        let pages = match Dense::new(n_blocks, memory) {
            Some(dense) => Pages::Dense(dense),
            None => Pages::Sparse(Sparse::new(memory)),
        };
        Self { pages, whole: Whole::default(), memory }
    }

    /// Adds a row; its whole page, where there is no more room.
    pub fn insert(&mut self, tid: Tid) {
        loop {
            match &mut self.pages {
                Pages::Sparse(pages) => {
                    if !pages.insert(tid) {
                        self.whole.insert(tid.blkno);
                    }
                    return;
                }
                Pages::Dense(pages) => {
                    if pages.insert(tid, self.memory) {
                        return;
                    }
                    let mut sparse = Sparse::new(self.memory);
                    for tid in pages.rows().filter(|tid| !sparse.insert(*tid)) {
                        self.whole.insert(tid.blkno);
                    }
                    self.pages = Pages::Sparse(sparse);
                }
            }
        }
    }

    /// Adds all rows of a page.
    pub fn insert_page(&mut self, blkno: u32) {
        self.whole.insert(blkno);
    }

    /// Whether a row is in the set, as far as is known.
    #[inline]
    pub fn contains(&self, tid: Tid) -> bool {
        let is_in = match &self.pages {
            Pages::Dense(pages) => pages.contains(tid),
            Pages::Sparse(pages) => pages.contains(tid),
        };
        is_in || self.whole.contains(tid.blkno)
    }

    /// How many pages are in the set as a whole.
    pub fn whole_pages(&self) -> u64 {
        self.whole.len()
    }

    /// Bytes that the set takes, about.
    pub fn bytes(&self) -> usize {
        let rows = match &self.pages {
            Pages::Dense(pages) => pages.bytes(),
            Pages::Sparse(pages) => pages.bytes(),
        };
        rows + self.whole.bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::tid::OFFSET_MAX;

    /// Pseudo-random numbers below `n`.
    fn numbers(n: u64) -> impl Iterator<Item = u64> {
        std::iter::successors(Some(1u64), |x| Some(x.wrapping_mul(6_364_136_223_846_793_005) + 1))
            .map(move |x| (x >> 33) % n)
    }

    #[test]
    fn holds_what_was_put_in_and_nothing_else() {
        for (n_blocks, memory) in [(0, 1 << 20), (1000, 1 << 20), (1000, 1 << 12), (2000, 1 << 16)]
        {
            for most_offset in [1, 63, 64, 291, OFFSET_MAX] {
                let mut set = RowSet::new(n_blocks, memory);
                let mut model = BTreeSet::new();
                let mut any = numbers(1000).zip(numbers(most_offset.into()).skip(7));
                for (blkno, offset) in any.by_ref().take(500) {
                    let tid = Tid::new(blkno as u32, offset as u16 + 1);
                    set.insert(tid);
                    model.insert(tid);
                }
                assert!(model.iter().all(|tid| set.contains(*tid)));
                let others = any.take(5000).map(|(b, o)| Tid::new(b as u32, o as u16 + 1));
                let wrong = others.filter(|tid| set.contains(*tid) != model.contains(tid)).count();
                assert!(wrong == 0 || set.whole_pages() > 0, "{n_blocks} {memory} {most_offset}");
            }
        }
    }

    #[test]
    fn what_has_no_room_is_in_as_whole_pages() {
        let mut set = RowSet::new(1 << 20, 4096);
        for blkno in 0..100 {
            set.insert(Tid::new(blkno, 7));
        }
        assert!(set.whole_pages() > 0 && set.whole_pages() < 100);
        assert!((0..100).all(|blkno| set.contains(Tid::new(blkno, 7))));
        assert!(set.bytes() <= 4096, "{}", set.bytes());
        assert!(!set.contains(Tid::new(0, 8)) && set.contains(Tid::new(99, 8)));
        assert!(!set.contains(Tid::new(100, 7)));
    }

    #[test]
    fn a_larger_offset_than_before_is_not_lost() {
        let mut set = RowSet::new(10, 1 << 16);
        set.insert(Tid::new(3, 1));
        set.insert(Tid::new(3, 100));
        assert!(set.contains(Tid::new(3, 100)) && set.contains(Tid::new(3, 1)));
        set.insert(Tid::new(4, 1));
        set.insert(Tid::new(5, 20));
        assert!(!set.contains(Tid::new(4, 84)), "a row of another page");
        set.insert_page(7);
        set.insert(Tid::new(9, 200));
        assert!(set.contains(Tid::new(7, 1)) && set.contains(Tid::new(7, 291)));
        assert!(
            set.contains(Tid::new(3, 100))
                && !set.contains(Tid::new(6, 1))
                && !set.contains(Tid::new(8, 1))
        );
        assert_eq!(set.whole_pages(), 1);
    }
}
