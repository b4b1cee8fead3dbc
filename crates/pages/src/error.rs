//! What can go wrong in this room. `src/am/report.rs` maps it to SQLSTATEs.

use crate::page::Blkno;

/// An error of the page room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes of a page contradict the format: XX002, hint REINDEX.
    #[error("block {blkno}: {what}")]
    Corrupted { blkno: Blkno, what: String },
    /// A format version this build does not read.
    #[error("index format version {found} is not supported (this build reads {expected})")]
    Version { found: u16, expected: u16 },
    /// The store could not take another page.
    #[error("the index cannot grow beyond {n_blocks} blocks")]
    Full { n_blocks: Blkno },
    /// A temporary file of a build cannot be read or written.
    #[error("{0}")]
    Spill(String),
    /// Two parts of this program contradict each other: a fault of ours, in which no page had a part.
    #[error("{0}")]
    Internal(String),
    /// The system gave no worker threads.
    #[error("{0}")]
    Workers(String),
}

impl Error {
    /// Block `blkno` is asked for by somebody who has locked it: something names it in the place of another one.
    pub fn locked_already(blkno: Blkno) -> Self {
        Self::corrupted(blkno, "is named where another page belongs")
    }

    /// A broken invariant of block `blkno`.
    pub fn corrupted(blkno: Blkno, what: impl Into<String>) -> Self {
        Self::Corrupted { blkno, what: what.into() }
    }
}
