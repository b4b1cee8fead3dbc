//! Candidates found by lossy codes, re-ranked by real distances before they are returned.
//!
//! Candidates come in tranches, in order of their estimates. Row r is returned once r · ratio candidates were
//! re-ranked, or when there are no more: so the first ten rows have seen as many candidates as FAISS's
//! IndexRefine with k = 10 and the same k_factor. Rows that later tranches find nearer than one returned
//! before are left out under a strict order, and come late under a relaxed one.
//!
//! Where the index stores vectors that are better than the codes but not exact (refine = sqfp16 or sq8), these narrow the
//! candidates down: all are judged by them, and only the nearest, a quarter, get their real distances.

use ann::topk::Hit;

use crate::coded::probe::CodedProbe;
use crate::error::Error;
use crate::ivf::lists::View;
use crate::ivf::scan::batch::{self, BatchParams};
use crate::ivf::scan::{Found, Iterative, Scan, SearchParams};
use crate::store::Pages;
use crate::tid::Tid;

/// When more than one in so many candidates of a tranche comes too late for a strict order, the codes misjudge more
/// than k_factor allows for: from then on a row waits for so many times more candidates.
const LATE_SHARE: usize = 50;
const RATIO_GROWTH: u64 = 4;
/// Of the candidates of a row, one in so many is compared by its real distance once they are narrowed down, ...
const NARROWING: u64 = 4;
/// ... but at least two.
const COMPARED_PER_ROW_MIN: u64 = 2;
/// Rows that the first tranche is for; a LIMIT is not known to a scan.
const ROWS_FIRST: usize = 10;

/// Where better distances than the codes' come from: the real ones, or nearly so.
pub trait Exact {
    /// Calls `each` with the number and the key of every candidate that still has a row, in any order. A real key orders
    /// as the operator's distance does.
    fn keys(&mut self, candidates: &[Hit], each: &mut dyn FnMut(usize, f64)) -> Result<(), Error>;
}

/// Where candidates come from.
pub trait Candidates {
    /// What it has to know of its index.
    type View<'a>;
    /// How to search.
    type Params;

    /// Without a query.
    fn new() -> Self;

    /// Starts over with a query, copied; nothing is read yet. `rows` will probably be asked for, a LIMIT is not known.
    fn begin(&mut self, query: &[f32], params: &Self::Params, rows: usize) -> Terms;

    /// The next candidates, in any order; none at the end. Holds no lock on return.
    fn tranche<P: Pages>(&mut self, pages: &P, view: &Self::View<'_>) -> Result<&[Hit], Error>;

    /// Whether distances to the query mean anything; known once the first tranche is there.
    fn has_direction(&self) -> bool;

    /// Tuples visited, each counted once however many tranches there were.
    fn visited(&self) -> u64;
}

/// How candidates are to be re-ranked.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Whether rows that come too late are left out.
    pub iterative: Iterative,
    /// Candidates re-ranked per row, at least 1.
    pub k_factor: usize,
}

/// A scan of a coded index.
pub type CodedScan = RerankScan<Scan<CodedProbe>>;

impl Candidates for Scan<CodedProbe> {
    type View<'a> = View<'a>;
    type Params = RerankParams;

    fn new() -> Self {
        Scan::new()
    }

    fn begin(&mut self, query: &[f32], params: &RerankParams, rows: usize) -> Terms {
        let k_factor = params.k_factor.max(1);
        let search = SearchParams {
            nprobe: params.nprobe,
            // Candidates are never left out: only real distances decide what is returned.
            iterative: match params.iterative {
                Iterative::Strict => Iterative::Relaxed,
                other => other,
            },
            max_scan_tuples: params.max_scan_tuples,
            tranche: rows.saturating_mul(k_factor),
            rows_wanted: params.rows_wanted,
        };
        Scan::begin_unordered(self, query, search);
        Terms { iterative: params.iterative, k_factor }
    }

    fn tranche<P: Pages>(&mut self, pages: &P, view: &View<'_>) -> Result<&[Hit], Error> {
        Scan::tranche(self, pages, view)
    }

    fn has_direction(&self) -> bool {
        Scan::has_direction(self)
    }

    fn visited(&self) -> u64 {
        Scan::visited(self)
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
    /// Candidates re-ranked per row, at least 1.
    pub k_factor: usize,
    /// Rows that the scan will be asked for, if that is known: the LIMIT above it. It may be asked for more.
    pub rows_wanted: Option<u64>,
}

/// A scan whose candidates are re-ranked. Its memory is reused from query to query.
pub struct RerankScan<C: Candidates> {
    scan: C,
    strict: bool,
    ratio: u64,
    /// Re-ranked; the first `n_sorted` are the nearest in their order, the first `given` handed out.
    ready: Vec<Hit>,
    n_sorted: usize,
    given: usize,
    /// Rows that will probably be asked for.
    rows: usize,
    fresh: Vec<Hit>,
    /// Narrowed candidates that wait for their real distances, the nearest last.
    pool: Vec<Hit>,
    /// Candidates so far, and those of them whose real distances were looked at.
    reranked: u64,
    compared: u64,
    returned: u64,
    left_out: u64,
    last: Option<Hit>,
    is_exhausted: bool,
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
            ratio: 1,
            ready: Vec::new(),
            n_sorted: 0,
            given: 0,
            rows: ROWS_FIRST,
            fresh: Vec::new(),
            pool: Vec::new(),
            reranked: 0,
            compared: 0,
            returned: 0,
            left_out: 0,
            last: None,
            is_exhausted: true,
        }
    }

    /// Starts over with a query as vectors are coded (normalised, rotated), copied. Nothing is read before the first
    /// [`RerankScan::next`]. A query of zeros stands for NULL, as in [`Scan::begin`].
    pub fn begin(&mut self, query: &[f32], params: C::Params) {
        self.begin_for(query, params, ROWS_FIRST);
    }

    /// The same where it is known how many rows will be asked for: if they are more than a scan begins with, the first
    /// candidates are those for all of them.
    pub fn begin_for(&mut self, query: &[f32], params: C::Params, rows: usize) {
        self.rows = rows.max(ROWS_FIRST);
        let terms = self.scan.begin(query, &params, self.rows);
        self.strict = terms.iterative != Iterative::Relaxed;
        self.ratio = terms.k_factor.max(1) as u64;
        self.ready.clear();
        self.pool.clear();
        (self.given, self.n_sorted) = (0, 0);
        (self.reranked, self.compared) = (0, 0);
        (self.returned, self.left_out) = (0, 0);
        self.last = None;
        self.is_exhausted = false;
    }

    /// The next row, None at the end. Holds no lock on return. `distance` is the exact key. `narrow`: the index's stored
    /// vectors that are not exact, if it has such.
    pub fn next<P: Pages>(
        &mut self,
        pages: &P,
        view: &C::View<'_>,
        mut narrow: Option<&mut dyn Exact>,
        exact: &mut dyn Exact,
    ) -> Result<Option<Found>, Error> {
        loop {
            let done = self.returned + self.left_out;
            let has_candidates = self.is_exhausted || done < self.reranked / self.ratio;
            let is_compared = self.pool.is_empty() || done < self.compared / self.per_row();
            let may = has_candidates && is_compared && self.given < self.ready.len();
            if may && self.given == self.n_sorted {
                self.sort_more();
            }
            if let Some(hit) = self.ready.get(self.given).copied().filter(|_| may) {
                self.given += 1;
                self.returned += 1;
                self.last = Some(hit);
                return Ok(Some(Found { tid: Tid::from_u64(hit.id), distance: hit.key }));
            }
            if has_candidates && !self.pool.is_empty() {
                self.compare(exact)?;
            } else if self.is_exhausted {
                return Ok(None);
            } else {
                let narrow: Option<&mut dyn Exact> = match &mut narrow {
                    Some(narrow) => Some(&mut **narrow),
                    None => None,
                };
                self.next_tranche(pages, view, narrow, exact)?;
            }
        }
    }

    /// Where the candidates come from.
    pub fn candidates(&mut self) -> &mut C {
        &mut self.scan
    }

    /// Rows that a strict order had to leave out.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Tuples whose estimate was looked at.
    pub fn visited(&self) -> u64 {
        self.scan.visited()
    }

    /// Takes in the next candidates.
    fn next_tranche<P: Pages>(
        &mut self,
        pages: &P,
        view: &C::View<'_>,
        narrow: Option<&mut dyn Exact>,
        exact: &mut dyn Exact,
    ) -> Result<(), Error> {
        let candidates = self.scan.tranche(pages, view)?;
        if candidates.is_empty() {
            self.is_exhausted = true;
            return Ok(());
        }
        // A candidate whose row is gone tells nothing about how far to look; but going on for ever without rows would.
        self.reranked += candidates.len() as u64;
        match narrow {
            Some(narrow) => {
                judge(narrow, candidates, &mut self.pool)?;
                self.pool.sort_unstable_by(|a, b| b.order(a));
            }
            None => {
                self.compared += candidates.len() as u64;
                judge(exact, candidates, &mut self.fresh)?;
                self.take_in();
            }
        }
        Ok(())
    }

    /// Narrowed candidates whose real distances are looked at for each row.
    fn per_row(&self) -> u64 {
        (self.ratio / NARROWING).max(COMPARED_PER_ROW_MIN)
    }

    /// Looks at the real distances of the nearest narrowed candidates, each time as many as before.
    fn compare(&mut self, exact: &mut dyn Exact) -> Result<(), Error> {
        let n = self.n_compared_next();
        let nearest = self.pool.split_off(self.pool.len() - n);
        self.compared += n as u64;
        judge(exact, &nearest, &mut self.fresh)?;
        self.take_in();
        Ok(())
    }

    fn n_compared_next(&self) -> usize {
        let first = self.per_row().saturating_mul(ROWS_FIRST as u64);
        self.compared.max(first).min(self.pool.len() as u64) as usize
    }

    /// Puts rows with real distances among those that are ready.
    fn take_in(&mut self) {
        self.ready.drain(..self.given);
        self.given = 0;
        if let Some(last) = self.last.filter(|_| self.strict && self.scan.has_direction()) {
            let before = self.fresh.len();
            self.fresh.retain(|hit| hit.order(&last).is_gt());
            let late = before - self.fresh.len();
            self.left_out += late as u64;
            if late * LATE_SHARE > before {
                self.ratio = self.ratio.saturating_mul(RATIO_GROWTH);
            }
        }
        self.ready.append(&mut self.fresh);
        self.n_sorted = 0;
        self.sort_more();
    }

    /// Puts the nearest of those that are not in order yet in order: each time as many as before.
    fn sort_more(&mut self) {
        let rest = self.ready.get_mut(self.n_sorted..).unwrap_or_default();
        let n = self.rows.max(self.n_sorted).min(rest.len());
        if n > 0 && n < rest.len() {
            rest.select_nth_unstable_by(n - 1, Hit::order);
        }
        rest.get_mut(..n).unwrap_or_default().sort_unstable_by(Hit::order);
        self.n_sorted += n;
    }
}

/// A scan whose first candidates were found by [`first_tranches`] may be given their keys, found for many scans together.
/// What it is not given, it looks for itself.
impl CodedScan {
    /// The first candidates, until they are taken in.
    pub fn first_candidates(&self) -> &[Hit] {
        self.scan.first_tranche()
    }

    /// Takes the first candidates in by their real keys, in their order; None: no row.
    pub fn take_first(&mut self, keys: &[Option<f64>]) {
        let candidates = self.scan.take_first_tranche();
        self.reranked += candidates.len() as u64;
        self.compared += candidates.len() as u64;
        take(candidates, keys, &mut self.fresh);
        self.take_in();
    }

    /// Takes the first candidates in by keys that narrow them down.
    pub fn narrow_first(&mut self, keys: &[Option<f64>]) {
        let candidates = self.scan.take_first_tranche();
        self.reranked += candidates.len() as u64;
        take(candidates, keys, &mut self.pool);
        self.pool.sort_unstable_by(|a, b| b.order(a));
    }

    /// The narrowed candidates whose real distances are looked at next.
    pub fn narrowed(&self) -> &[Hit] {
        self.pool.get(self.pool.len() - self.n_compared_next()..).unwrap_or_default()
    }

    /// Takes these in by their real keys, in their order; None: no row.
    pub fn take_narrowed(&mut self, keys: &[Option<f64>]) {
        let n = self.n_compared_next();
        let nearest = self.pool.split_off(self.pool.len() - n);
        self.compared += n as u64;
        take(&nearest, keys, &mut self.fresh);
        self.take_in();
    }
}

/// Appends the candidates that have a key to `out`.
fn take(candidates: &[Hit], keys: &[Option<f64>], out: &mut Vec<Hit>) {
    debug_assert_eq!(candidates.len(), keys.len());
    let known = candidates.iter().zip(keys).filter_map(|(hit, key)| key.map(|key| (hit, key)));
    out.extend(known.map(|(hit, key)| Hit { key, ..*hit }));
}

/// Finds the first candidates of every scan; all have just begun and belong to the same index.
pub fn first_tranches<P: Pages>(
    pages: &P,
    view: &View<'_>,
    scans: &mut [CodedScan],
    params: BatchParams,
) -> Result<(), Error> {
    let mut scans: Vec<_> = scans.iter_mut().map(|scan| &mut scan.scan).collect();
    batch::first_tranches(pages, view, &mut scans, params)
}

/// Appends the candidates that still have a row to `out`, each with the key that `by` gives it.
fn judge(by: &mut dyn Exact, candidates: &[Hit], out: &mut Vec<Hit>) -> Result<(), Error> {
    by.keys(candidates, &mut |i, key| {
        if let Some(candidate) = candidates.get(i) {
            out.push(Hit { key, ..*candidate });
        }
    })
}
