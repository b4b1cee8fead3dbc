//! What the last scan of an index did in this session, for `faiss.last_scan()`.

use std::cell::Cell;

use pgrx::pg_sys;

/// Why a scan stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// Nobody asked for more rows.
    Enough,
    /// It had returned every row.
    Exhausted,
    /// It had returned the rows of the first lists or nodes, and `faiss.iterative_scan` is off.
    FirstOnly,
    /// Rows came from beyond the distance that the query wants at most.
    Distance,
    /// It had visited as many vectors or lists as the user's bound allows.
    Bound,
}

impl Stop {
    /// As users read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enough => "enough rows",
            Self::Exhausted => "no more rows",
            Self::FirstOnly => "iterative_scan off",
            Self::Distance => "bound of the distance",
            Self::Bound => "bound of the user",
        }
    }
}

/// What a search has done so far.
#[derive(Clone, Copy, Default)]
pub struct Work {
    /// Lists searched; None of a graph.
    pub lists_probed: Option<u64>,
    /// Vectors whose distance or estimate was computed.
    pub scored: u64,
    /// Vectors that a filter stopped before that.
    pub skipped: u64,
    /// Candidates that were put in order by better distances than those of their codes.
    pub reranked: u64,
    /// Whether it ended at the user's bound.
    pub is_cut_short: bool,
}

/// A scan that has ended, or was begun anew.
#[derive(Clone, Copy)]
pub struct LastScan {
    pub index: pg_sys::Oid,
    pub work: Work,
    /// Lists that the index has.
    pub lists: Option<u64>,
    /// Pages of the index that were read, each time one was.
    pub pages: u64,
    /// Rows returned.
    pub rows: u64,
    pub stop: Stop,
}

thread_local! {
    static LAST: Cell<Option<LastScan>> = const { Cell::new(None) };
}

/// Remembers a scan.
pub fn remember(scan: LastScan) {
    LAST.set(Some(scan));
}

/// The last one, if there was one.
pub fn last() -> Option<LastScan> {
    LAST.get()
}
