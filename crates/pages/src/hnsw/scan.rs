//! Search: candidates nearest first by their codes, as many as the executor asks for.
//!
//! The first are those of a search of width ef, or as wide as the LIMIT above the scan where that is more. Further ones go on
//! where the search stopped, for half as many nodes as were given before or more, so that all of them together cost little more than one for all rows would. When no link leads further,
//! the nodes that none has led to are looked for in the order of their numbers: a row that is in the index is found.
//!
//! Under a filter the walk goes over all nodes, and goes on until as many rows as wanted pass. Where few do, no links are followed
//! ([`sweep`]).

use ann::extent;
use ann::hnsw::{Beam, Near, NodeQuery, SparseQuery, descent_width};
use ann::metric::Metric;
use ann::topk::Hit;

use crate::error::Error;
use crate::hnsw::duplicates::Duplicates;
use crate::hnsw::entry::Entry;
use crate::hnsw::walk::{Walk, WalkBuffers, check_ids, is_begun};
use crate::hnsw::{INVALID_NODE, View};
use crate::page::META_BLKNO;
use crate::search::params::Iterative;
use crate::search::rerank::{Budget, Candidates, RerankScan, Terms};
use crate::store::Pages;

mod sweep;

use sweep::Sweep;

/// The most nodes of a tranche: the row of candidates is kept sorted by moving what comes after.
const TRANCHE_MAX: usize = 4096;
/// Beyond the first search, a row is returned in strict order once this many were found: one that the codes misplace is among them.
const SETTLED_PER_ROW: usize = 2;
/// How far the walk goes for rows that are seen instead of others, in searches like the first.
const NEAR: u64 = 8;
/// How many times as far as was reckoned with a walk under a filter may go for its first rows.
const FARTHER: usize = 2;
/// Entries that a scan tries.
const ENTRIES_MAX: usize = 3;

/// A scan of a graph whose candidates are re-ranked by exact distances.
pub type GraphScan = RerankScan<HnswScan>;

/// How to search.
#[derive(Debug, Clone, Copy)]
pub struct GraphParams {
    /// Width of the first search, at least 1: efSearch.
    pub ef: usize,
    /// Width of a search for ten times as many rows: what a filter takes that one row in ten passes.
    pub ef_of_tenfold: usize,
    /// What happens when its rows are used up.
    pub iterative: Iterative,
    /// The search does not go on once this many nodes were visited beyond the first search.
    pub max_scan_tuples: u64,
    /// Rows that the scan will be asked for, if that is known: the LIMIT above it. It may be asked for more.
    pub rows_wanted: Option<u64>,
    /// Bytes for rows that wait to be returned.
    pub memory: usize,
    /// Whether exact vectors narrow the candidates down.
    pub is_exact: bool,
}

/// The candidates of a graph. Its memory is reused from query to query.
pub struct HnswScan {
    query: Vec<f32>,
    /// What is searched for in a graph over sparse vectors.
    sparse: Option<SparseQuery>,
    params: GraphParams,
    /// The node that the search is without.
    without: Option<u32>,
    stage: Stage,
    has_direction: bool,
    coded: Option<NodeQuery>,
    beam: Beam,
    buffers: WalkBuffers,
    near: Vec<Near>,
    duplicates: Duplicates,
    ready: Vec<Hit>,
    /// Nodes visited by the first search.
    first_visited: u64,
    sweep: Sweep,
    /// A first search that has visited so many nodes begins again as a sweep.
    visits_max: u64,
    /// Nodes that the first search goes to under a filter, and how many it has gone to.
    width: usize,
    walked: usize,
    /// Rows that pass and are wanted at first, and whether those that were found are enough of them.
    rows: usize,
    is_settled: bool,
    /// Nodes whose rows did not pass the filter.
    skipped: u64,
    is_cut_short: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Begun,
    Running,
    Ended,
}

impl Candidates for HnswScan {
    type View<'a> = View<'a>;
    type Params = GraphParams;

    fn new() -> Self {
        Self {
            query: Vec::new(),
            sparse: None,
            params: GraphParams {
                ef: 1,
                ef_of_tenfold: 1,
                iterative: Iterative::Off,
                max_scan_tuples: 0,
                rows_wanted: None,
                memory: 0,
                is_exact: false,
            },
            without: None,
            stage: Stage::Ended,
            has_direction: true,
            coded: None,
            beam: Beam::new(),
            buffers: WalkBuffers::default(),
            near: Vec::new(),
            duplicates: Duplicates::default(),
            ready: Vec::new(),
            first_visited: 0,
            sweep: Sweep::default(),
            visits_max: u64::MAX,
            width: 1,
            walked: 0,
            rows: 1,
            is_settled: false,
            skipped: 0,
            is_cut_short: false,
        }
    }

    fn rows_wanted(params: &GraphParams) -> Option<u64> {
        params.rows_wanted
    }

    /// `query`: a vector of any length. The width of the search is not less than `rows`.
    fn begin(&mut self, query: &[f32], params: &GraphParams, rows: usize) -> Terms {
        self.query.clear();
        self.query.extend_from_slice(query);
        self.sparse = None;
        self.params = GraphParams { ef: params.ef.max(rows.min(TRANCHE_MAX)), ..*params };
        self.without = None;
        self.stage = Stage::Begun;
        self.ready.clear();
        self.first_visited = 0;
        self.sweep.reset();
        (self.walked, self.rows, self.is_settled) = (0, rows, false);
        self.skipped = 0;
        self.is_cut_short = false;
        let GraphParams { iterative, memory, is_exact, .. } = *params;
        let per_row = if iterative == Iterative::Strict { SETTLED_PER_ROW } else { 1 };
        let (first, budget) = (self.params.ef as u64, Budget::fixed(per_row));
        Terms { iterative, first, budget, memory, is_exact }
    }

    fn candidates<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        n: usize,
        goes_on: bool,
    ) -> Result<&[Hit], Error> {
        self.ready.clear();
        let stage = std::mem::replace(&mut self.stage, Stage::Ended);
        match stage {
            Stage::Ended => return Ok(&[]),
            Stage::Begun => self.start(pages, view)?,
            Stage::Running if !self.may_go_on() => {
                self.is_cut_short = goes_on && self.params.iterative != Iterative::Off;
                self.stage = if goes_on { Stage::Ended } else { Stage::Running };
                return Ok(&[]);
            }
            Stage::Running if !goes_on && !self.is_near() => {
                self.stage = Stage::Running;
                return Ok(&[]);
            }
            Stage::Running => {}
        }
        let ef = self.params.ef;
        let wanted = n.clamp(ef, TRANCHE_MAX.max(ef));
        loop {
            let is_first_walk =
                stage == Stage::Begun && view.filter.is_some() && !self.sweep.has_begun();
            let tranche = if is_first_walk { self.width.min(TRANCHE_MAX) } else { wanted };
            self.nearest(pages, view, tranche)?;
            self.walked += self.near.len();
            if self.near.is_empty() {
                break;
            }
            let before = self.ready.len();
            self.duplicates.rows(pages, view, &self.near, &mut self.ready)?;
            self.skipped += self.near.len().saturating_sub(self.ready.len() - before) as u64;
            // Under a filter the bound is on what is visited for rows that pass, too.
            if stage == Stage::Begun && (view.filter.is_none() || self.first_visited == 0) {
                self.first_visited = self.beam.visited();
            }
            // Nodes without rows are no reason to end, nor are those whose rows do not pass: as many as wanted are to pass.
            let is_enough = match view.filter {
                None => !self.ready.is_empty() || !self.may_go_on(),
                Some(_) => {
                    self.is_settled = is_first_walk && self.has_walked_enough();
                    self.is_settled || self.ready.len() >= wanted || self.is_at_bound()
                }
            };
            if is_enough {
                break;
            }
            if stage == Stage::Begun
                && !self.sweep.has_begun()
                && self.beam.visited() > self.visits_max
            {
                // Rows that pass lie far from the query. Nothing was given yet.
                self.ready.clear();
                begin_at(&mut self.beam, view.map.n_nodes() as usize, self.without, &[]);
                self.sweep.begin();
            }
        }
        if !self.ready.is_empty() {
            self.stage = Stage::Running;
        } else if !self.near.is_empty() {
            self.is_cut_short = goes_on && self.params.iterative != Iterative::Off;
            self.stage = if goes_on { Stage::Ended } else { Stage::Running };
        }
        Ok(&self.ready)
    }

    fn has_direction(&self) -> bool {
        self.has_direction
    }

    fn is_settled(&self) -> bool {
        self.is_settled
    }

    fn visited(&self) -> u64 {
        self.beam.visited()
    }

    fn skipped(&self) -> u64 {
        self.skipped
    }

    fn is_cut_short(&self) -> bool {
        self.is_cut_short
    }
}

impl HnswScan {
    /// Searches as if the graph were without that node, until the next query begins: what a query that is a row of the index
    /// would find if it were not. Its links lead to just what it looks for. To be called before the first tranche.
    pub fn leave_out(&mut self, node: Option<u32>) {
        self.without = node;
    }

    /// Searches for a sparse vector; to be called after `begin` without one, before the first tranche.
    pub fn look_for(&mut self, query: SparseQuery) {
        self.sparse = Some(query);
    }

    /// The query of a graph, by what its nodes are compared by.
    fn query_of(&mut self, view: &View<'_>) -> Result<NodeQuery, Error> {
        let unfit = || Error::corrupted(META_BLKNO, "query does not fit the index");
        let params = &view.meta.params;
        if params.is_sparse() {
            let query = self.sparse.take().ok_or_else(unfit)?;
            self.has_direction = query.has_direction();
            return Ok(NodeQuery::Sparse(query));
        }
        if self.query.len() != params.dims {
            return Err(unfit());
        }
        self.has_direction = params.metric.has_origin() || self.query.iter().any(|x| *x != 0.0);
        if params.metric == Metric::InnerProduct {
            extent::rescale(&mut self.query);
        }
        Ok(view.query(&self.query))
    }

    /// Whether the first search under a filter has been as wide as one without for so many rows that as many pass. Where it has to
    /// go much farther, rows that pass lie elsewhere, and it has to find as many as it would be wide without a filter.
    fn has_walked_enough(&self) -> bool {
        (self.width..=FARTHER * self.width).contains(&self.walked) && self.ready.len() >= self.rows
    }

    /// Whether no more than some times what the first search visited was visited: so far the walk goes for rows wanted at first
    /// where nobody sees those it has found.
    fn is_near(&self) -> bool {
        self.beam.visited() <= self.first_visited.saturating_mul(NEAR)
    }

    fn may_go_on(&self) -> bool {
        self.params.iterative != Iterative::Off && !self.is_at_bound()
    }

    /// Whether as many nodes were visited beyond the first search as may be.
    fn is_at_bound(&self) -> bool {
        let beyond = self.beam.visited() - self.first_visited.min(self.beam.visited());
        beyond >= self.params.max_scan_tuples
    }

    /// Goes down to level 0.
    fn start<P: Pages>(&mut self, pages: &P, view: &View<'_>) -> Result<(), Error> {
        let params = &view.meta.params;
        self.beam.fit(params.metric);
        let n_ids = view.map.n_nodes() as usize;
        self.without = self.without.filter(|node| *node < view.map.n_nodes());
        begin_at(&mut self.beam, n_ids, self.without, &[]);
        let view = &view.now(pages)?;
        let query = self.query_of(view)?;
        self.coded = Some(query);
        self.visits_max = self.visits_max(pages, view)?;
        if self.visits_max == 0 {
            self.sweep.begin();
            return Ok(());
        }
        let Some(query) = &self.coded else { return Ok(()) };
        for _ in 0..if self.has_direction { ENTRIES_MAX } else { 0 } {
            let entry = Entry::read(pages, view.meta)?;
            if entry.node == INVALID_NODE {
                break;
            }
            check_ids(pages, view, Some(entry.node), view.meta.entry_blkno)?;
            if !is_begun(pages, view, entry.node)? {
                continue;
            }
            let mut walk =
                Walk::new(pages, *view, query, &mut self.buffers).without(self.without)?;
            let (levels, width) = ((usize::from(entry.level), 0), descent_width(self.params.ef));
            let mut near = std::mem::take(&mut self.near);
            self.beam.descend_to(&mut walk, entry.node, levels, (n_ids, width), &mut near)?;
            begin_at(&mut self.beam, n_ids, self.without, &near);
            self.near = near;
            // Vacuum may have freed it since ENTRY was read: another one has taken its place then.
            if !self.near.is_empty() {
                return Ok(());
            }
        }
        self.sweep.begin();
        Ok(())
    }

    /// The next nodes, up to as many as asked for; none at the end.
    fn nearest<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        wanted: usize,
    ) -> Result<(), Error> {
        self.near.clear();
        let Some(query) = &self.coded else { return Ok(()) };
        if !self.sweep.has_begun() {
            let mut walk =
                Walk::new(pages, *view, query, &mut self.buffers).without(self.without)?;
            self.beam.tranche(&mut walk, 0, wanted, &mut self.near)?;
            if self.near.len() >= wanted {
                return Ok(());
            }
            view.map.refresh(pages)?;
            self.sweep.begin();
        }
        self.sweep(pages, view, wanted)
    }
}

/// The search will begin at these nodes, and will not come upon the node that it is without.
fn begin_at(beam: &mut Beam, n_ids: usize, without: Option<u32>, entries: &[Near]) {
    beam.begin(n_ids);
    if let Some(without) = without {
        beam.mark(without);
    }
    entries.iter().for_each(|entry| beam.push_entry(*entry));
}
