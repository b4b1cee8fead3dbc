//! Walking a chain of pages without walking in circles.

use crate::error::Error;
use crate::page::Blkno;

/// Walks a chain of pages and notices a cycle (Brent's algorithm). Overflow pages never leave their chain, so a page that is
/// met twice is damage.
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
