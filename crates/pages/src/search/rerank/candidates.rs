//! Where the candidates of a re-ranked scan come from, and how many there are to be.

use ann::topk::Hit;

use super::ROWS_FIRST;
use crate::error::Error;
use crate::search::params::Iterative;
use crate::store::Pages;

/// Candidates of many rows may be fewer for each, if the codes say how many they are: what is misjudged is misjudged near
/// the farthest of the rows, of which there are fewer, the more rows there are. At 100 rows half as many each are as good.
const SHRINKING: f64 = 0.3;
/// How many candidates for each row there are at least, if the codes say so.
const PER_ROW_MIN: f64 = 2.0;

/// How many candidates are re-ranked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// For each of the first ten rows, at least 1.
    pub per_row: f64,
    /// Whether the rows of many take fewer each.
    pub is_shrinking: bool,
    /// More are taken for a query whose codes are so far off that a larger part of its rows than this is expected to be missed.
    /// Infinite: never.
    pub missed_max: f64,
}

impl Budget {
    /// As `is_shrinking`, for every row.
    pub const fn fixed(per_row: usize) -> Self {
        Self { per_row: per_row as f64, is_shrinking: false, missed_max: f64::INFINITY }
    }

    /// As many as were measured to be enough for most queries, for every row.
    pub fn measured(per_row: f32, missed_max: f64) -> Self {
        Self { per_row: per_row.into(), is_shrinking: false, missed_max }
    }

    /// What a code needs by itself: fewer for each row where there are many.
    pub const fn automatic(per_row: usize) -> Self {
        Self { per_row: per_row as f64, is_shrinking: true, missed_max: f64::INFINITY }
    }

    /// For that many rows together.
    pub fn candidates(self, rows: u64) -> u64 {
        let per_row = self.per_row.max(1.0);
        if !self.is_shrinking || rows <= ROWS_FIRST {
            return (rows as f64 * per_row).ceil() as u64;
        }
        let share = (ROWS_FIRST as f64 / rows as f64).powf(SHRINKING);
        (rows as f64 * (per_row * share).max(per_row.min(PER_ROW_MIN))) as u64
    }
}

/// Where candidates come from.
pub trait Candidates {
    /// What it has to know of its index.
    type View<'a>;
    /// How to search.
    type Params;

    /// Without a query.
    fn new() -> Self;

    /// The rows that will be asked for, if that is known.
    fn rows_wanted(params: &Self::Params) -> Option<u64>;

    /// Starts over with a query, copied; nothing is read yet. The first candidates are to be those for `rows`.
    fn begin(&mut self, query: &[f32], params: &Self::Params, rows: usize) -> Terms;

    /// The next candidates, about n of them and in any order; none at the end, or if there are none without going beyond what
    /// was searched first, which `goes_on` allows. Holds no lock on return.
    fn candidates<P: Pages>(
        &mut self,
        pages: &P,
        view: &Self::View<'_>,
        n: usize,
        goes_on: bool,
    ) -> Result<&[Hit], Error>;

    /// Whether distances to the query mean anything; known once the first candidates are there.
    fn has_direction(&self) -> bool;

    /// Whether the first candidates are all that the first rows wait for, however few they are.
    fn is_settled(&self) -> bool {
        false
    }

    /// Tuples visited, each counted once.
    fn visited(&self) -> u64;

    /// Tuples that a filter stopped before they were visited.
    fn skipped(&self) -> u64 {
        0
    }

    /// Lists searched; None where there are no lists.
    fn lists_probed(&self) -> Option<u64> {
        None
    }

    /// Whether the end came early because `max_scan_tuples` were visited.
    fn is_cut_short(&self) -> bool;
}

/// How candidates are to be re-ranked.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Whether rows that come too late follow at the end.
    pub iterative: Iterative,
    /// Candidates of the first rows.
    pub first: u64,
    /// Candidates for rows beyond them.
    pub budget: Budget,
    /// Bytes for rows that wait to be returned.
    pub memory: usize,
    /// Whether the index stores exact vectors.
    pub is_exact: bool,
}
