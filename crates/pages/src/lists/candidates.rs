//! Candidates that codes of lists give, to be re-ranked.

use ann::topk::Hit;
use ann::tuning::probing::ProbeRule;

use crate::error::Error;
use crate::lists::coded::CodedScanner;
use crate::lists::scan::{Scan, batch};
use crate::lists::scanner::View;
use crate::search::params::{Iterative, SearchParams};
use crate::search::rerank::{Budget, Candidates, FoundTogether, RerankScan, Terms};
use crate::store::Pages;

/// A scan of lists of lossy codes.
pub type CodedScan = RerankScan<Scan<CodedScanner>>;

impl Candidates for Scan<CodedScanner> {
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
            rule: params.rule,
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
        self.begin_candidates(query, search, at_once, budget.per_row as usize);
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

    fn skipped(&self) -> u64 {
        Scan::skipped(self)
    }

    fn is_cut_short(&self) -> bool {
        Scan::is_cut_short(self)
    }

    fn lists_probed(&self) -> Option<u64> {
        Some(Scan::lists_probed(self))
    }
}

/// How to search lists and re-rank.
#[derive(Debug, Clone, Copy)]
pub struct RerankParams {
    /// Lists to search first, at least 1.
    pub nprobe: usize,
    /// As in [`SearchParams`].
    pub rule: Option<ProbeRule>,
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

impl CodedScan {
    /// As [`Scan::search_lists`]: candidates of these lists are looked for before the next row comes.
    pub fn search_lists(&mut self, n: usize) -> bool {
        self.source().search_lists(n)
    }
}

impl FoundTogether for Scan<CodedScanner> {
    fn first_found(&self) -> &[Hit] {
        self.first_tranche()
    }

    fn take_first_found(&mut self) -> &[Hit] {
        self.take_first_tranche()
    }
}

/// Finds the first candidates of every scan; all have just begun and belong to the same index.
pub fn first_candidates<P: Pages>(
    pages: &P,
    view: &View<'_>,
    scans: &mut [CodedScan],
    params: batch::BatchParams,
) -> Result<(), Error> {
    let mut scans: Vec<_> = scans.iter_mut().map(RerankScan::source).collect();
    batch::first_tranches(pages, view, &mut scans, params)
}
