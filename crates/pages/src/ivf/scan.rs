//! Search: rows in order of distance, as many as the executor asks for.
//!
//! LIMIT is unknown, so rows are found in tranches: the 64 nearest first, then twice as many each
//! time. A tranche goes over the lists probed so far once more and takes what comes after the rows
//! already returned. From the second tranche on, further lists are probed (unless that is off)
//! until they hold eight times as many rows to return as the tranche takes. Both grow
//! geometrically: all passes together cost about twice the last one.
//!
//! A strict order has to leave out what it finds too late. So that this is rare, it returns no more
//! than an eighth of what was visited, or ten rows, before it goes on to further lists.

pub mod batch;

use ann::coarse::Probes;
use ann::coded_coarse::CodedQuery;
use ann::topk::{Hit, TopK};

use crate::error::Error;
use crate::ivf::lists::{Lists, Probed, Seen, View};
use crate::meta::{META_BLKNO, Meta};
use crate::store::Pages;
use crate::tid::Tid;

/// Rows of the first tranche of exact distances.
pub const TRANCHE_FIRST: usize = 64;
/// How much larger each tranche is than the one before.
const TRANCHE_GROWTH: usize = 2;
/// Rows visited for each one returned, as long as there are further lists.
const VISITED_PER_ROW: u64 = 8;
/// So many rows are always those of the first nprobe lists alone, as FAISS would give them.
const ROWS_OF_NPROBE: u64 = 10;
/// All centroids are compared if more than one list in so many is wanted: then little can be passed over.
const PASSED_OVER_MIN: usize = 8;
/// The largest tranche: 8 MB of hits.
const TRANCHE_MAX: usize = 1 << 18;

/// What happens when the rows of the nprobe nearest lists are used up: `faiss.iterative_scan`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Iterative {
    /// Further lists; their rows nearer than what was returned already are left out.
    Strict,
    /// Further lists; all their rows are returned, in order within each tranche.
    Relaxed,
    /// The scan ends.
    Off,
}

/// How to search.
#[derive(Debug, Clone, Copy)]
pub struct SearchParams {
    /// Lists to search first, at least 1.
    pub nprobe: usize,
    /// What happens after them.
    pub iterative: Iterative,
    /// No further list is begun once this many tuples were visited beyond the first nprobe lists.
    pub max_scan_tuples: u64,
    /// Rows of the first tranche.
    pub tranche: usize,
    /// Rows that the scan will be asked for, if that is known: the LIMIT above it. It may be asked for more.
    pub rows_wanted: Option<u64>,
}

/// A row found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Its heap tuple.
    pub tid: Tid,
    /// The operator's value, bit for bit; NaN if the query has no direction.
    pub distance: f64,
}

/// How far a group of lists is returned.
#[derive(Debug, Clone, Copy)]
enum Bound {
    /// Up to and with this hit; nothing yet when None.
    After(Option<Hit>),
    /// Wholly.
    Done,
}

/// Lists probed for the first time in the same tranche: positions up to `end` in the order of
/// probes, from where the span before ends.
#[derive(Debug, Clone, Copy)]
struct Span {
    end: usize,
    bound: Bound,
}

/// A scan. Its memory is reused from query to query: keep it for as long as the executor node
/// lives.
pub struct Scan<L: Lists> {
    probe: L,
    params: SearchParams,
    state: State,
    distances: Vec<f32>,
    probes: Probes,
    /// The nearest of very many lists, and what finding them reuses.
    nearest: Vec<Hit>,
    nearest_query: Option<CodedQuery>,
    spans: Vec<Span>,
    top: TopK,
    /// The tranche, in order unless nobody asked for one: then its last hit is the last of it.
    ready: Vec<Hit>,
    is_ordered: bool,
    /// Of `ready`, how many are handed out.
    given: usize,
    /// Rows of the next tranche.
    tranche: usize,
    /// The last hit of the tranche before, in order of return.
    last: Option<Hit>,
    /// Rows of all tranches so far.
    returned: u64,
    visited: u64,
    /// Of `visited`, those beyond the first nprobe lists.
    continued: u64,
    left_out: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Begun,
    /// The first tranche is there, found by [`batch::first_tranches`].
    Primed,
    Running,
    Ended,
}

impl<L: Lists> Default for Scan<L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L: Lists> Scan<L> {
    /// A scan without a query: it finds nothing.
    pub fn new() -> Self {
        Self {
            probe: L::new(),
            params: SearchParams {
                nprobe: 1,
                iterative: Iterative::Off,
                max_scan_tuples: 0,
                tranche: TRANCHE_FIRST,
                rows_wanted: None,
            },
            state: State::Idle,
            distances: Vec::new(),
            probes: Probes::new(),
            nearest: Vec::new(),
            nearest_query: None,
            spans: Vec::new(),
            top: TopK::new(TRANCHE_FIRST),
            ready: Vec::new(),
            is_ordered: true,
            given: 0,
            tranche: TRANCHE_FIRST,
            last: None,
            returned: 0,
            visited: 0,
            continued: 0,
            left_out: 0,
        }
    }

    /// Starts over with a query, copied. Nothing is read before the first [`Scan::next`]. A query of
    /// zeros stands for NULL: it has no direction, every row is as good as any other, and all come
    /// in order of tid (under L2 it is a point like any other).
    pub fn begin(&mut self, query: &[f32], params: SearchParams) {
        self.probe.set_query(query);
        self.params = params;
        self.state = State::Begun;
        self.is_ordered = true;
        self.spans.clear();
        self.ready.clear();
        self.given = 0;
        self.tranche = params.tranche.clamp(1, TRANCHE_MAX);
        self.last = None;
        (self.returned, self.visited, self.continued, self.left_out) = (0, 0, 0, 0);
    }

    /// The same for who takes whole tranches and needs no order within them. The order is not strict.
    pub fn begin_unordered(&mut self, query: &[f32], params: SearchParams) {
        self.begin(query, params);
        self.is_ordered = false;
    }

    /// The next row, None at the end. Holds no lock on return. After an error the scan is over.
    pub fn next<P: Pages>(&mut self, pages: &P, view: &View<'_>) -> Result<Option<Found>, Error> {
        if self.given == self.ready.len() {
            self.tranche(pages, view)?;
        }
        let Some(hit) = self.ready.get(self.given) else { return Ok(None) };
        self.given += 1;
        let distance = self.probe.distance_of(hit.key);
        Ok(Some(Found { tid: Tid::from_u64(hit.id), distance }))
    }

    /// The next tranche as a whole; empty at the end. What is left of the one before is dropped.
    pub fn tranche<P: Pages>(&mut self, pages: &P, view: &View<'_>) -> Result<&[Hit], Error> {
        let state = std::mem::replace(&mut self.state, State::Ended);
        if state == State::Primed && self.given == 0 && !self.ready.is_empty() {
            self.state = State::Running;
            return Ok(&self.ready);
        }
        self.ready.clear();
        self.given = 0;
        match state {
            State::Idle | State::Ended => return Ok(&[]),
            State::Begun => self.start(view)?,
            State::Primed | State::Running => {}
        }
        self.next_tranche(pages, view)?;
        if self.ready.is_empty() && state == State::Begun {
            // The nearest lists are empty; others need not be.
            self.next_tranche(pages, view)?;
        }
        if !self.ready.is_empty() {
            self.state = State::Running;
        }
        Ok(&self.ready)
    }

    /// Whether distances to the query mean anything; known once the first tranche is there.
    pub fn has_direction(&self) -> bool {
        self.probe.has_direction()
    }

    /// Rows that a strict order had to leave out: nearer than one returned before, but in a list
    /// probed later.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Tuples visited, each counted once however many tranches there were.
    pub fn visited(&self) -> u64 {
        self.visited
    }

    /// Fits the query to the index and orders the lists by their distance to it.
    fn start(&mut self, view: &View<'_>) -> Result<(), Error> {
        self.prepare(view)?;
        self.order_lists(view)
    }

    fn prepare(&mut self, view: &View<'_>) -> Result<(), Error> {
        if self.probe.prepare(view) {
            return Ok(());
        }
        Err(Error::corrupted(META_BLKNO, "query does not fit the index"))
    }

    /// Whether so few of very many lists are wanted that not all are compared.
    fn passes_over(&self, view: &View<'_>) -> bool {
        let is_few = self.params.nprobe.saturating_mul(PASSED_OVER_MIN) < view.meta.nlist;
        is_few && view.coded_coarse.is_some()
    }

    fn order_lists(&mut self, view: &View<'_>) -> Result<(), Error> {
        let nprobe = self.params.nprobe;
        if let (Some(coded), Some(coarse)) = (view.coded_coarse, &view.coarse)
            && self.passes_over(view)
        {
            let query = self.nearest_query.get_or_insert_with(|| coded.query());
            coded.nearest(coarse, self.probe.query(), nprobe, query, &mut self.nearest);
            self.probes.refill_nearest(&self.nearest);
            return Ok(());
        }
        self.all_distances(view)?;
        self.probes.refill(&self.distances);
        self.probes.sort_first(nprobe);
        Ok(())
    }

    /// The coarse distance of every list.
    fn all_distances(&mut self, view: &View<'_>) -> Result<(), Error> {
        let meta = view.meta;
        self.distances.clear();
        match &view.coarse {
            Some(coarse) if meta.is_trained => {
                coarse.distances(self.probe.query(), &mut self.distances);
            }
            _ => self.distances.push(0.0),
        }
        if self.distances.len() != meta.nlist {
            return Err(Error::corrupted(META_BLKNO, "centroids do not fit the number of lists"));
        }
        Ok(())
    }

    /// Fills `ready` with the next tranche; leaves it empty at the end.
    fn next_tranche<P: Pages>(&mut self, pages: &P, view: &View<'_>) -> Result<(), Error> {
        self.top.reset(self.tranche);
        let mut at = 0;
        for i in 0..self.spans.len() {
            let Some(span) = self.spans.get(i).copied() else { break };
            if let Bound::After(bound) = span.bound {
                while at < span.end {
                    self.scan_list(pages, view, at, bound)?;
                    at += 1;
                }
            }
            at = span.end;
        }
        if self.spans.is_empty() {
            self.first_lists(pages, view)?;
        } else if self.params.iterative != Iterative::Off {
            self.further_lists(pages, view, at)?;
        }
        self.end_tranche(view.meta);
        Ok(())
    }

    /// Puts what was found in order, if that is wanted.
    fn end_tranche(&mut self, meta: &Meta) {
        debug_assert!(self.is_ordered || !self.is_strict());
        if self.is_ordered {
            self.top.sort_into(&mut self.ready);
        } else {
            self.top.take_into(&mut self.ready);
        }
        self.given = 0;
        let is_full = self.ready.len() == self.tranche;
        let is_cut = self.hold_back(meta) || is_full;
        self.returned += self.ready.len() as u64;
        self.raise_bounds(is_cut);
        self.tranche = self.tranche.saturating_mul(TRANCHE_GROWTH).min(TRANCHE_MAX);
    }

    /// Lists of the first tranche.
    fn n_first(&self, meta: &Meta) -> usize {
        self.params.nprobe.clamp(1, meta.nlist)
    }

    fn first_lists<P: Pages>(&mut self, pages: &P, view: &View<'_>) -> Result<(), Error> {
        let end = self.n_first(view.meta);
        for at in 0..end {
            self.visited += self.scan_list(pages, view, at, None)?.tuples;
        }
        self.spans.push(Span { end, bound: Bound::After(None) });
        Ok(())
    }

    fn further_lists<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        start: usize,
    ) -> Result<(), Error> {
        let bound = if self.is_strict() { self.last } else { None };
        let enough = VISITED_PER_ROW * self.tranche as u64;
        let mut end = start;
        while end < view.meta.nlist
            && self.continued < self.params.max_scan_tuples
            && (self.to_return() < enough || self.top.is_empty())
        {
            let seen = self.scan_list(pages, view, end, bound)?;
            self.visited += seen.tuples;
            self.continued += seen.tuples;
            self.left_out += seen.before;
            end += 1;
        }
        if end > start {
            self.spans.push(Span { end, bound: Bound::After(bound) });
        }
        Ok(())
    }

    fn scan_list<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        at: usize,
        bound: Option<Hit>,
    ) -> Result<Seen, Error> {
        if at >= self.probes.len() && at < view.meta.nlist {
            self.all_distances(view)?;
            self.probes.complete(&self.distances);
        }
        match (self.probes.get(at), self.probes.distance(at)) {
            (Some(list_no), Some(distance)) => {
                let list = Probed { list_no, distance };
                self.probe.scan_list(pages, view, list, bound, &mut self.top)
            }
            _ => Ok(Seen::default()),
        }
    }

    /// Without a direction there is no order to keep.
    fn is_strict(&self) -> bool {
        self.params.iterative == Iterative::Strict && self.probe.has_direction()
    }

    /// Keeps for later what a strict order should not return before it has looked further.
    fn hold_back(&mut self, meta: &Meta) -> bool {
        let probed = self.spans.last().map_or(0, |span| span.end);
        let goes_on = probed < meta.nlist && self.continued < self.params.max_scan_tuples;
        if !goes_on || !self.is_strict() {
            return false;
        }
        let in_all = (self.visited / VISITED_PER_ROW).max(ROWS_OF_NPROBE);
        let may = in_all.saturating_sub(self.returned).max(1);
        let n = self.ready.len();
        self.ready.truncate(usize::try_from(may).unwrap_or(n));
        self.ready.len() < n
    }

    /// Rows visited that are neither returned nor left out.
    fn to_return(&self) -> u64 {
        self.visited.saturating_sub(self.returned).saturating_sub(self.left_out)
    }

    /// Notes how far each span is returned by the tranche in `ready`: up to its last row if it was
    /// cut there, else wholly.
    fn raise_bounds(&mut self, is_cut: bool) {
        let cut = self.ready.last().copied();
        if cut.is_some() {
            self.last = cut;
        }
        for span in &mut self.spans {
            span.bound = match (span.bound, cut) {
                (Bound::After(bound), Some(cut)) if is_cut => {
                    let beyond = bound.filter(|bound| bound.order(&cut).is_gt());
                    Bound::After(Some(beyond.unwrap_or(cut)))
                }
                _ => Bound::Done,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ivf::probe::Probe;

    #[test]
    fn without_a_query_nothing_is_found() {
        let scan = Scan::<Probe<f32>>::new();
        assert_eq!((scan.left_out(), scan.visited()), (0, 0));
        assert!(scan.ready.is_empty() && scan.state == State::Idle);
    }
}
