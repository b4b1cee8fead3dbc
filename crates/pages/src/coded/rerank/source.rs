//! Where the candidates of a re-ranked scan come from, and how many there are to be.

use ann::topk::Hit;

use super::ROWS_FIRST;
use crate::coded::probe::CodedProbe;
use crate::error::Error;
use crate::ivf::lists::View;
use crate::ivf::scan::{Iterative, Scan, SearchParams};
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
    pub per_row: usize,
    /// Whether the rows of many take fewer each.
    pub is_shrinking: bool,
}

impl Budget {
    /// The same for every row.
    pub const fn fixed(per_row: usize) -> Self {
        Self { per_row, is_shrinking: false }
    }

    /// What a code needs by itself: fewer for each row where there are many.
    pub const fn automatic(per_row: usize) -> Self {
        Self { per_row, is_shrinking: true }
    }

    /// For that many rows together.
    pub fn candidates(self, rows: u64) -> u64 {
        let per_row = self.per_row.max(1);
        if !self.is_shrinking || rows <= ROWS_FIRST {
            return rows.saturating_mul(per_row as u64);
        }
        let per_row = per_row as f64;
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

    /// Tuples visited, each counted once.
    fn visited(&self) -> u64;

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

impl Candidates for Scan<CodedProbe> {
    type View<'a> = View<'a>;
    type Params = RerankParams;

    fn new() -> Self {
        Scan::new()
    }

    fn rows_wanted(params: &RerankParams) -> Option<u64> {
        params.rows_wanted
    }

    fn begin(&mut self, query: &[f32], params: &RerankParams, rows: usize) -> Terms {
        let RerankParams { iterative, memory, rows_wanted, .. } = *params;
        let budget = params.budget;
        let search = SearchParams {
            nprobe: params.nprobe,
            // Candidates are never late: only real distances decide what is returned.
            iterative: match iterative {
                Iterative::Strict => Iterative::Relaxed,
                other => other,
            },
            max_scan_tuples: params.max_scan_tuples,
            max_probes: params.max_probes,
            rows_wanted,
            memory,
        };
        let first = budget.candidates(rows as u64);
        let at_once = usize::try_from(first).unwrap_or(usize::MAX);
        self.begin_candidates(query, search, at_once, budget.per_row);
        let is_exact = params.is_exact;
        Terms { iterative, first, budget, memory, is_exact }
    }

    fn candidates<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        n: usize,
        goes_on: bool,
    ) -> Result<&[Hit], Error> {
        Scan::candidates(self, pages, view, n, goes_on)
    }

    fn has_direction(&self) -> bool {
        Scan::has_direction(self)
    }

    fn visited(&self) -> u64 {
        Scan::visited(self)
    }

    fn is_cut_short(&self) -> bool {
        Scan::is_cut_short(self)
    }
}

/// How to search lists and re-rank.
#[derive(Debug, Clone, Copy)]
pub struct RerankParams {
    /// Lists to search first, at least 1.
    pub nprobe: usize,
    /// What happens after them.
    pub iterative: Iterative,
    /// As in [`SearchParams`].
    pub max_scan_tuples: u64,
    /// As in [`SearchParams`].
    pub max_probes: usize,
    /// Candidates re-ranked.
    pub budget: Budget,
    /// Rows that the scan will be asked for, if that is known: the LIMIT above it. It may be asked for more.
    pub rows_wanted: Option<u64>,
    /// As in [`SearchParams`].
    pub memory: usize,
    /// Whether the index stores exact vectors: then these narrow the candidates down.
    pub is_exact: bool,
}
