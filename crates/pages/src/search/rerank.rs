//! Candidates found by lossy codes, re-ranked by real distances before they are returned.
//!
//! The first candidates are those for all rows wanted, k_factor for each, as FAISS's IndexRefine takes them; they come from the
//! lists visited first. A candidate whose row nobody sees any more does not count: others take its place, as long as these
//! lists have any. Where the lists hold fewer rows than wanted, further lists add theirs before the first row is returned.
//!
//! Beyond the rows wanted, row r is returned once there were candidates for r rows, from further lists if need be. Rows that
//! later candidates bring, but nearer than one returned before, are late: they follow at the end under a strict order, and at
//! once under a relaxed one.
//!
//! How many first candidates are enough was measured for most queries. Where the codes are farther off, of a query of another kind
//! than the rows, the candidates themselves show it ([`errors`]): then there are twice as many, until few near rows are expected
//! beyond them.
//!
//! Where the index stores vectors that are better than the codes but not exact (refine = sqfp16 or sq8), these narrow the
//! candidates down: all are compared by them, and only the nearest, a quarter, get their real distances. Where it stores the
//! exact vectors, these put the candidates in order, and only as many as are wanted are looked for in the table, to see whether they are there.

mod candidates;
mod errors;
mod together;

use ann::topk::Hit;

use crate::error::Error;
use crate::search::params::{Found, Iterative};
use crate::store::Pages;
use crate::tid::Tid;

use errors::Errors;

pub use candidates::{Budget, Candidates, Terms};
pub use together::FoundTogether;

/// When more than one candidate in fifty of a portion comes too late, the codes are rougher than k_factor allows for: from then
/// on a row waits for four times as many candidates.
const LATE_SHARE: usize = 50;
const GROWTH: f64 = 4.0;
/// Of the candidates of a row, one in four is compared by its real distance once they are narrowed down, ...
const NARROWING: u64 = 4;
/// ... but at least two.
const COMPARED_PER_ROW_MIN: u64 = 2;
/// Rows that the first candidates are for, at least and at most.
const ROWS_FIRST: u64 = 10;
const ROWS_MAX: u64 = 1 << 16;
/// The first candidates are enough if no more than one in eight lacks a row.
const SPARED: u64 = 8;
/// The most candidates for each of the first rows, however far off codes are.
const PER_ROW_MAX: u64 = 64;
/// Hits for which there is always room.
const HITS_MIN: usize = 4096;
/// Where better distances than the codes' come from: the real ones, or nearly so.
pub trait Exact {
    /// Calls `each` with the number and the key of every candidate that still has a row, in any order. A real key orders
    /// as the operator's distance does.
    fn keys(&mut self, candidates: &[Hit], each: &mut dyn FnMut(usize, f64)) -> Result<(), Error>;
}

/// A scan whose candidates are re-ranked. Its memory is reused from query to query.
pub struct RerankScan<C: Candidates> {
    scan: C,
    strict: bool,
    /// Rows that the first candidates are for.
    rows: u64,
    /// Candidates of these, and for rows beyond.
    first: u64,
    budget: Budget,
    /// How far off the codes of the first candidates were.
    errors: Errors,
    /// Rows with real distances that may wait.
    room: usize,
    /// Whether narrowed candidates have their real distances.
    is_exact: bool,
    /// Re-ranked; the first `n_sorted` are the nearest in their order, the first `given` handed out.
    ready: Vec<Hit>,
    n_sorted: usize,
    given: usize,
    fresh: Vec<Hit>,
    /// Narrowed candidates that wait for their real distances, the nearest last.
    pool: Vec<Hit>,
    /// Rows that came too late for a strict order, until it is their turn.
    late: Vec<Hit>,
    n_late: u64,
    /// Candidates so far; where they are narrowed down, with those that nobody sees.
    candidates: u64,
    /// Of narrowed candidates, those whose rows were looked for, and those of them that have one.
    looked_for: u64,
    compared: u64,
    returned: u64,
    last: Option<Hit>,
    /// Whether what was searched first has no more candidates, and whether nothing has.
    is_first_used_up: bool,
    is_exhausted: bool,
    /// Whether the late rows have their turn.
    is_late: bool,
}

impl<C: Candidates> Default for RerankScan<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Candidates> RerankScan<C> {
    /// A scan without a query: it finds nothing.
    pub fn new() -> Self {
        Self {
            scan: C::new(),
            strict: true,
            rows: ROWS_FIRST,
            first: 0,
            budget: Budget::fixed(1),
            errors: Errors::default(),
            room: HITS_MIN,
            is_exact: false,
            ready: Vec::new(),
            n_sorted: 0,
            given: 0,
            fresh: Vec::new(),
            pool: Vec::new(),
            late: Vec::new(),
            n_late: 0,
            candidates: 0,
            looked_for: 0,
            compared: 0,
            returned: 0,
            last: None,
            is_first_used_up: true,
            is_exhausted: true,
            is_late: false,
        }
    }

    /// Starts over with a query as vectors are coded (normalised, rotated), copied. Nothing is read before the first
    /// [`RerankScan::next`]. A query of zeros stands for NULL: every row is as good as any other.
    pub fn begin(&mut self, query: &[f32], params: C::Params) {
        self.rows =
            C::rows_wanted(&params).map_or(ROWS_FIRST, |rows| rows.clamp(ROWS_FIRST, ROWS_MAX));
        let terms = self.scan.begin(query, &params, self.rows as usize);
        self.strict = terms.iterative != Iterative::Relaxed;
        self.first = terms.first;
        self.budget = terms.budget;
        self.room = (terms.memory / size_of::<Hit>()).max(HITS_MIN);
        self.is_exact = terms.is_exact;
        self.ready.clear();
        self.pool.clear();
        self.late.clear();
        self.errors.clear();
        (self.given, self.n_sorted) = (0, 0);
        (self.candidates, self.looked_for, self.compared) = (0, 0, 0);
        (self.returned, self.n_late) = (0, 0);
        self.last = None;
        (self.is_first_used_up, self.is_exhausted, self.is_late) = (false, false, false);
    }

    /// The next row, None at the end. Holds no lock on return. `distance` is the exact key. `narrow`: the index's stored
    /// vectors, if it has such.
    pub fn next<P: Pages>(
        &mut self,
        pages: &P,
        view: &C::View<'_>,
        mut narrow: Option<&mut dyn Exact>,
        exact: &mut dyn Exact,
    ) -> Result<Option<Found>, Error> {
        loop {
            if self.given == self.n_sorted {
                self.sort_more();
            }
            let has_candidates = self.has_candidates();
            let may = has_candidates && self.is_compared() && self.given < self.ready.len();
            if let Some(hit) = self.ready.get(self.given).copied().filter(|_| may) {
                self.given += 1;
                self.returned += 1;
                self.last = Some(hit);
                return Ok(Some(Found { tid: Tid::from_u64(hit.id), distance: hit.key }));
            }
            if has_candidates && !self.pool.is_empty() {
                self.compare(exact)?;
            } else if self.is_exhausted {
                if self.late.is_empty() {
                    return Ok(None);
                }
                self.put_late();
            } else {
                let narrow: Option<&mut dyn Exact> = match &mut narrow {
                    Some(narrow) => Some(&mut **narrow),
                    None => None,
                };
                self.more(pages, view, narrow, exact)?;
            }
        }
    }

    /// Ends the scan as if it had returned all rows: only those follow that came too late for a strict order.
    pub fn finish(&mut self) {
        if self.is_late {
            return;
        }
        self.ready.clear();
        self.pool.clear();
        (self.given, self.n_sorted) = (0, 0);
        self.is_exhausted = true;
    }

    /// Where the candidates come from.
    pub fn source(&mut self) -> &mut C {
        &mut self.scan
    }

    /// Rows that came too late for a strict order, so far. They follow at the end.
    pub fn late(&self) -> u64 {
        self.n_late
    }

    /// Tuples that a filter stopped.
    pub fn skipped(&self) -> u64 {
        self.scan.skipped()
    }

    /// Tuples whose estimate was looked at.
    pub fn visited(&self) -> u64 {
        self.scan.visited()
    }

    /// Lists searched; None where there are no lists.
    pub fn lists_probed(&self) -> Option<u64> {
        self.scan.lists_probed()
    }

    /// Candidates that were put in order by better distances than those of their codes.
    pub fn reranked(&self) -> u64 {
        self.candidates
    }

    /// Whether the scan has ended early because it had visited `max_scan_tuples`.
    pub fn is_cut_short(&self) -> bool {
        self.is_exhausted && self.scan.is_cut_short()
    }

    /// Whether the next row is one of those that are wanted at once.
    fn is_wanted(&self) -> bool {
        self.returned < self.rows
    }

    /// Candidates that the next row waits for.
    fn enough(&self) -> u64 {
        if self.is_wanted() {
            return self.first - self.first / SPARED;
        }
        self.budget.candidates(self.returned + 1)
    }

    /// Candidates that are seen, as far as is known.
    fn seen(&self) -> u64 {
        let share = self.compared as f64 / self.looked_for as f64;
        if self.looked_for == 0 { self.candidates } else { (self.candidates as f64 * share) as u64 }
    }

    /// Rows that wait to be returned, or may turn out to.
    fn waiting(&self) -> usize {
        self.ready.len() - self.given + self.pool.len()
    }

    /// How many rows are still wanted that nothing waits for.
    fn missing(&self) -> u64 {
        self.rows.saturating_sub(self.returned + self.waiting() as u64)
    }

    /// Whether there were candidates enough for the next row.
    fn has_candidates(&self) -> bool {
        self.is_exhausted
            || self.seen() >= self.enough()
            || self.waiting() >= self.room
            || (self.is_first_used_up && self.is_wanted() && self.missing() == 0)
    }

    /// Takes in the next candidates.
    fn more<P: Pages>(
        &mut self,
        pages: &P,
        view: &C::View<'_>,
        narrow: Option<&mut dyn Exact>,
        exact: &mut dyn Exact,
    ) -> Result<(), Error> {
        let goes_on = self.is_first_used_up || !self.is_wanted();
        let n = match (self.candidates, self.is_first_used_up && self.is_wanted()) {
            (0, _) => self.first,
            (_, true) => self.budget.candidates(self.missing()),
            (n, false) => self.enough().saturating_sub(self.seen()).max(n / 2),
        };
        let n = usize::try_from(n.max(1)).unwrap_or(usize::MAX);
        let candidates = self.scan.candidates(pages, view, n, goes_on)?;
        if candidates.is_empty() {
            self.is_first_used_up = true;
            self.is_exhausted = goes_on;
            return Ok(());
        }
        match narrow {
            Some(narrow) => {
                self.candidates += candidates.len() as u64;
                rerank(narrow, candidates, &mut self.pool)?;
                self.pool.sort_unstable_by(|a, b| b.order(a));
            }
            None => {
                exact.keys(candidates, &mut |i, key| {
                    if let Some(candidate) = candidates.get(i) {
                        self.errors.push(candidate.key, key);
                        self.fresh.push(Hit { key, ..*candidate });
                    }
                })?;
                self.candidates += self.fresh.len() as u64;
                self.take_in();
                self.ask_for_more();
            }
        }
        self.is_first_used_up |= self.scan.is_settled();
        Ok(())
    }

    /// Has more first candidates come if these leave too many near rows behind.
    fn ask_for_more(&mut self) {
        let missed_max = self.budget.missed_max * self.rows as f64;
        let may = missed_max.is_finite() && self.returned == 0 && self.seen() >= self.enough();
        let most = self.rows.saturating_mul(PER_ROW_MAX);
        if may && self.first < most && self.errors.expected_misses(self.rows as usize) > missed_max
        {
            self.first = self.first.saturating_mul(2).min(most);
        }
    }

    /// Narrowed candidates whose real distances are looked at for that many rows.
    fn compared_for(&self, rows: u64) -> u64 {
        if self.is_exact {
            return rows;
        }
        let least = rows.saturating_mul(COMPARED_PER_ROW_MIN);
        (self.budget.candidates(rows) / NARROWING).max(least)
    }

    /// How many of them the next row waits for.
    fn enough_compared(&self) -> u64 {
        if self.is_wanted() {
            let enough = self.compared_for(self.rows);
            return enough - enough / SPARED;
        }
        self.compared_for(self.returned + 1)
    }

    fn is_compared(&self) -> bool {
        let Some(nearest) = self.pool.last().filter(|_| self.is_exact) else {
            return self.pool.is_empty() || self.compared >= self.enough_compared();
        };
        self.ready.get(self.given).is_some_and(|hit| hit.order(nearest).is_le())
    }

    /// Looks at the real distances of the nearest narrowed candidates.
    fn compare(&mut self, exact: &mut dyn Exact) -> Result<(), Error> {
        let n = self.n_compared_next();
        let nearest = self.pool.split_off(self.pool.len() - n);
        rerank(exact, &nearest, &mut self.fresh)?;
        self.count_compared(n);
        self.take_in();
        Ok(())
    }

    /// Counts n candidates that were looked for, of which some had a row.
    fn count_compared(&mut self, n: usize) {
        self.looked_for += n as u64;
        self.compared += self.fresh.len() as u64;
    }

    /// All of the first rows', then half as many as before.
    fn n_compared_next(&self) -> usize {
        let missing = self.enough_compared().saturating_sub(self.compared);
        let n = match self.compared {
            0 => self.compared_for(self.rows),
            n => missing.max(n / 2).max(1),
        };
        n.min(self.pool.len() as u64) as usize
    }

    /// Puts rows with real distances among those that are ready.
    fn take_in(&mut self) {
        self.ready.drain(..self.given);
        self.given = 0;
        if let Some(last) = self.last.filter(|_| self.strict && self.scan.has_direction()) {
            let before = self.fresh.len();
            self.late.extend(self.fresh.extract_if(.., |hit| hit.order(&last).is_le()));
            let late = before - self.fresh.len();
            self.n_late += late as u64;
            if late * LATE_SHARE > before {
                self.budget.per_row *= GROWTH;
            }
        }
        self.ready.append(&mut self.fresh);
        self.n_sorted = 0;
        self.sort_more();
    }

    /// Makes the late rows ready when there are no others left.
    fn put_late(&mut self) {
        self.is_late = true;
        self.ready.clear();
        self.ready.append(&mut self.late);
        (self.given, self.n_sorted) = (0, 0);
        self.sort_more();
    }

    /// Puts the nearest of those that are not in order yet in order: each time as many as before.
    fn sort_more(&mut self) {
        let rest = self.ready.get_mut(self.n_sorted..).unwrap_or_default();
        let n = (self.rows as usize).max(self.n_sorted).min(rest.len());
        if n > 0 && n < rest.len() {
            rest.select_nth_unstable_by(n - 1, Hit::order);
        }
        rest.get_mut(..n).unwrap_or_default().sort_unstable_by(Hit::order);
        self.n_sorted += n;
    }
}

/// Appends the candidates that still have a row to `out`, each with the key that `by` gives it.
fn rerank(by: &mut dyn Exact, candidates: &[Hit], out: &mut Vec<Hit>) -> Result<(), Error> {
    by.keys(candidates, &mut |i, key| {
        if let Some(candidate) = candidates.get(i) {
            out.push(Hit { key, ..*candidate });
        }
    })
}
