//! Search: rows in order of distance, as many as the executor asks for, in the end all of them.
//!
//! The first nprobe lists give their nearest rows at once: as many as the LIMIT above the scan, where it is known. Nothing else
//! is looked at until more is asked for. Then these lists are gone over once more, and every hit is kept that was turned
//! away before, as far as memory goes; from then on rows are picked from the hits at hand, and further lists add theirs, until
//! there are eight times as many visited rows as returned ones. Where memory does not hold all hits of the lists visited, the
//! farthest are turned away, and the lists are gone over again once the others are returned.
//!
//! Under a filter, rows count that pass it. Those of the first lists would be too few, in two ways: there may not be as many
//! as are wanted; and the nearest of a tenth of the rows are farther than the nearest of all, so that more lists have them. So
//! further lists are among the first until both numbers fit ([`probing`]).
//!
//! In strict order, a row that turns up in a further list although it is nearer than one already returned is late. It is
//! only counted at first. When all lists are used up, those that had late rows are gone over again, and these follow in
//! their order: no row is lost.

pub mod batch;
mod probing;

pub use probing::SPREAD;

use ann::coarse::Probes;
use ann::topk::{Hit, TopK};

use crate::error::Error;
use crate::lists::InvertedLists;
use crate::lists::quantizer::CentroidQuery;
use crate::lists::scanner::{ListScanner, View};
use crate::search::params::{Found, Iterative, SearchParams};
use crate::store::Pages;
use crate::tid::Tid;

/// Rows that are found at first, at least.
pub const TRANCHE_FIRST: usize = 64;
/// Rows that the first lists give before further ones are looked at, where nobody says how many are wanted.
const ROWS_FIRST: u64 = 10;
/// Rows visited for each one returned beyond those, as long as there are further lists.
const VISITED_PER_ROW: u64 = 8;
/// Candidates are visited for each one given, at least.
const VISITED_PER_CANDIDATE: u64 = 3;
/// The most hits of the first lists: 8 MB of them.
const FIRST_MAX: usize = 1 << 18;
/// Hits for which there is always room.
const HITS_MIN: usize = 256;

/// A list in which rows came too late for a strict order.
#[derive(Debug, Clone, Copy)]
struct Late {
    /// Its place in the order of probes.
    at: usize,
    /// The last of its late rows at most: what had been returned when it was looked at.
    until: Hit,
}

/// A scan. Its memory is reused from query to query: keep it for as long as the executor node
/// lives.
pub struct Scan<L: ListScanner> {
    probe: L,
    params: SearchParams,
    state: State,
    probes: Probes,
    /// The nearest lists, and what finding them reuses.
    nearest: Vec<Hit>,
    centroid_query: Option<CentroidQuery>,
    /// Hits of the lists visited that are not handed out: every one up to its horizon.
    top: TopK,
    /// Handed out now, in order unless nobody asked for one.
    ready: Vec<Hit>,
    is_ordered: bool,
    /// Of `ready`, how many are handed out.
    given: usize,
    /// Hits that the first lists are asked for.
    first: usize,
    /// How many of them come before further lists are looked at, if the first lists hold that many, and the tuples visited for
    /// each hit beyond.
    n_settled: u64,
    visited_per_hit: u64,
    /// Hits made ready next.
    step: usize,
    /// Whether all hits are kept that memory has room for.
    is_wide: bool,
    /// Lists that this query visits first; 0 until they are known.
    n_first: usize,
    /// Lists visited.
    n_probed: usize,
    /// The farthest hit handed out.
    last: Option<Hit>,
    /// Hits handed out or ready.
    returned: u64,
    visited: u64,
    /// Tuples whose attributes were looked at: those visited, and those that the filter stopped.
    examined: u64,
    /// Of `visited`, those beyond the first nprobe lists.
    continued: u64,
    late: Vec<Late>,
    n_late: u64,
    /// Whether the late rows have their turn.
    is_late: bool,
    is_cut_short: bool,
    /// Whether nobody wants more than the late rows.
    is_finished: bool,
    /// Lists that are visited at least.
    least_probes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Begun,
    /// The first hits are ready, found by [`batch::first_tranches`].
    Primed,
    Running,
    Ended,
}

impl<L: ListScanner> Default for Scan<L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L: ListScanner> Scan<L> {
    /// A scan without a query: it finds nothing.
    pub fn new() -> Self {
        Self {
            probe: L::new(),
            params: SearchParams {
                nprobe: 1,
                rule: None,
                iterative: Iterative::Off,
                max_scan_tuples: 0,
                max_probes: usize::MAX,
                rows_wanted: None,
                memory: 0,
            },
            state: State::Idle,
            probes: Probes::new(),
            nearest: Vec::new(),
            centroid_query: None,
            top: TopK::new(TRANCHE_FIRST),
            ready: Vec::new(),
            is_ordered: true,
            given: 0,
            first: TRANCHE_FIRST,
            n_settled: ROWS_FIRST,
            visited_per_hit: VISITED_PER_ROW,
            step: TRANCHE_FIRST,
            is_wide: false,
            n_first: 0,
            n_probed: 0,
            last: None,
            returned: 0,
            visited: 0,
            examined: 0,
            continued: 0,
            late: Vec::new(),
            n_late: 0,
            is_late: false,
            is_cut_short: false,
            is_finished: false,
            least_probes: 0,
        }
    }

    /// Starts over with a query, copied. Nothing is read before the first [`Scan::next`]. A query of
    /// zeros stands for NULL: it has no direction, every row is as good as any other, and all come
    /// in order of tid (under L2 it is a point like any other).
    pub fn begin(&mut self, query: &[f32], params: SearchParams) {
        self.n_settled = params.rows_wanted.unwrap_or(ROWS_FIRST).max(1);
        self.visited_per_hit = VISITED_PER_ROW;
        self.is_ordered = true;
        self.begin_with(query, params, first_hits(params.rows_wanted));
    }

    /// As `begin`, for callers that want candidates by [`Scan::candidates`], whose order is relaxed; `first` of them at first, and later
    /// about `per_row` for each row.
    pub fn begin_candidates(
        &mut self,
        query: &[f32],
        params: SearchParams,
        first: usize,
        per_row: usize,
    ) {
        debug_assert!(params.iterative != Iterative::Strict);
        self.n_settled = first as u64;
        self.visited_per_hit = (VISITED_PER_ROW / per_row.max(1) as u64).max(VISITED_PER_CANDIDATE);
        self.is_ordered = false;
        self.begin_with(query, params, first);
    }

    fn begin_with(&mut self, query: &[f32], params: SearchParams, first: usize) {
        self.probe.set_query(query);
        self.params = params;
        self.state = State::Begun;
        self.ready.clear();
        self.given = 0;
        self.first = first.clamp(1, FIRST_MAX);
        self.step = self.first;
        self.top.reset(self.first);
        self.is_wide = false;
        (self.n_first, self.n_probed) = (0, 0);
        self.last = None;
        (self.returned, self.visited, self.continued) = (0, 0, 0);
        self.examined = 0;
        self.late.clear();
        self.n_late = 0;
        self.least_probes = 0;
        (self.is_late, self.is_cut_short, self.is_finished) = (false, false, false);
    }

    /// The next row, None at the end. Holds no lock on return. After an error the scan is over.
    pub fn next<P: Pages>(&mut self, pages: &P, view: &View<'_>) -> Result<Option<Found>, Error> {
        if self.given == self.ready.len() {
            self.fill(pages, view, self.step, true)?;
            self.step = self.step.saturating_mul(2).min(FIRST_MAX);
        }
        let Some(hit) = self.ready.get(self.given) else { return Ok(None) };
        self.given += 1;
        let distance = self.probe.distance_of(hit.key);
        Ok(Some(Found { tid: Tid::from_u64(hit.id), distance }))
    }

    /// Makes sure that at least `n` lists are visited before further hits are made ready, if the scan may go on; false if they
    /// are. What is ready may wait for them.
    pub fn search_lists(&mut self, n: usize) -> bool {
        self.least_probes = n;
        self.n_probed < n.min(self.params.max_probes)
            && self.params.iterative != Iterative::Off
            && self.state == State::Running
    }

    /// Ends the scan as if it had returned all rows: only those follow that came too late for a strict order.
    pub fn finish(&mut self) {
        if self.is_late {
            return;
        }
        self.ready.clear();
        self.given = 0;
        self.top.reset(self.first);
        self.is_finished = true;
        if self.state == State::Begun {
            self.state = State::Ended;
        }
    }

    /// Where the row is that [`Scan::next`] returned last, for who wants to mark it.
    pub fn last_given(&self) -> Option<Hit> {
        self.given.checked_sub(1).and_then(|last| self.ready.get(last)).copied()
    }

    /// The n next hits, fewer if so few are at hand; none at the end, or when the first lists are used up and `goes_on` is
    /// false. Otherwise as [`Scan::next`].
    pub fn candidates<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        n: usize,
        goes_on: bool,
    ) -> Result<&[Hit], Error> {
        if self.first_tranche().is_empty() {
            self.fill(pages, view, n, goes_on)?;
        } else {
            self.state = State::Running;
        }
        Ok(&self.ready)
    }

    /// Whether distances to the query mean anything; known once the first hits are there.
    pub fn has_direction(&self) -> bool {
        self.probe.has_direction()
    }

    /// Rows that came too late for a strict order, so far: nearer than one returned before, but in a list
    /// probed later. They follow at the end.
    pub fn late(&self) -> u64 {
        self.n_late
    }

    /// Tuples visited that pass the filter, each counted once however often its list was gone over.
    pub fn visited(&self) -> u64 {
        self.visited
    }

    /// Tuples whose attributes were looked at: those visited, and those that the filter stopped. Each once.
    pub fn examined(&self) -> u64 {
        self.examined
    }

    /// Tuples that the filter stopped.
    pub fn skipped(&self) -> u64 {
        self.examined.saturating_sub(self.visited)
    }

    /// Lists visited.
    pub fn lists_probed(&self) -> u64 {
        self.n_probed as u64
    }

    /// Whether the scan has ended before the last list because it had visited `max_scan_tuples`.
    pub fn is_cut_short(&self) -> bool {
        self.is_cut_short
    }

    /// Makes the next hits ready, n at most; none at the end.
    fn fill<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        n: usize,
        goes_on: bool,
    ) -> Result<(), Error> {
        self.ready.clear();
        self.given = 0;
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Idle | State::Ended => return Ok(()),
            State::Begun => {
                self.start(pages, view)?;
                self.first_lists(pages, view)?;
            }
            State::Primed | State::Running => {}
        }
        while self.ready.len() < n && self.advance(pages, view, n - self.ready.len(), goes_on)? {}
        if !self.ready.is_empty() || !goes_on {
            self.state = State::Running;
        }
        Ok(())
    }

    /// One step towards n more hits; false if there are no more, or further lists would have to be visited although some hits
    /// are ready.
    fn advance<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        n: usize,
        goes_on: bool,
    ) -> Result<bool, Error> {
        let has_further = goes_on && self.has_further(view.lists);
        let most = if has_further { self.most(n) } else { n };
        let is_complete = self.top.horizon().is_none();
        if has_further && (self.is_short() || self.n_probed < self.least_probes) {
            self.further_lists(pages, view)?;
        } else if most > 0 && !self.top.is_empty() {
            self.take(most);
        } else if !self.ready.is_empty() && (most == 0 || is_complete) {
            return Ok(false);
        } else if !is_complete && (self.top.is_empty() || !self.is_wide) {
            self.widen(pages, view)?;
        } else if has_further {
            self.further_lists(pages, view)?;
        } else {
            let is_over = !goes_on || !self.late_rows(pages, view)?;
            let is_bounded =
                self.params.iterative != Iterative::Off && self.n_probed < view.lists.nlist;
            self.is_cut_short = goes_on && is_over && is_bounded && !self.is_finished;
            return Ok(!is_over);
        }
        Ok(true)
    }

    /// Whether the lists visited do not even hold the first hits.
    fn is_short(&self) -> bool {
        self.returned == 0 && self.visited < self.n_settled
    }

    /// How many of n hits may come before further lists are looked at.
    fn most(&self, n: usize) -> usize {
        let in_all = (self.visited / self.visited_per_hit).max(self.n_settled);
        let most = in_all.saturating_sub(self.returned);
        usize::try_from(most).map_or(n, |most| most.min(n))
    }

    /// Makes the nearest n hits ready.
    fn take(&mut self, n: usize) {
        let before = self.ready.len();
        self.top.take_smallest(n, &mut self.ready);
        self.returned += (self.ready.len() - before) as u64;
        if self.is_ordered {
            self.ready.get_mut(before..).unwrap_or_default().sort_unstable_by(Hit::order);
            self.last = self.ready.last().copied().or(self.last);
        }
    }

    /// Without a direction there is no order to keep.
    fn is_strict(&self) -> bool {
        self.params.iterative == Iterative::Strict && self.probe.has_direction()
    }

    fn has_further(&self, lists: &InvertedLists) -> bool {
        self.params.iterative != Iterative::Off
            && !self.is_late
            && !self.is_finished
            && self.n_probed < lists.nlist.min(self.params.max_probes)
            && self.continued < self.params.max_scan_tuples
    }

    /// Hits that memory has room for; while they are collected there are twice as many.
    fn room(&self) -> usize {
        (self.params.memory / (2 * size_of::<Hit>())).max(HITS_MIN).max(self.first)
    }
}

/// Hits that the first lists are asked for: the rows wanted, and a quarter more, since some may be dead.
pub fn first_hits(rows_wanted: Option<u64>) -> usize {
    let rows = rows_wanted.map_or(0, |rows| usize::try_from(rows).unwrap_or(FIRST_MAX));
    rows.saturating_add(rows / 4).clamp(TRANCHE_FIRST, FIRST_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::flat::FlatScanner;

    #[test]
    fn without_a_query_nothing_is_found() {
        let scan = Scan::<FlatScanner<f32>>::new();
        assert_eq!((scan.late(), scan.visited()), (0, 0));
        assert!(scan.ready.is_empty() && scan.state == State::Idle);
    }
}
