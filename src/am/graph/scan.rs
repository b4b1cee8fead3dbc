//! Searching a graph: candidates from the walk, real distances from the vectors that the graph stores or from the table's
//! rows.

use ann::element::{Bits, Element};
use ann::hnsw::SparseQuery;
use ann::metric::Metric;
use ann::topk::Hit;
use half::f16;
use pages::Error;
use pages::hnsw::rows::{NodeBits, NodeRows};
use pages::hnsw::scan::{GraphParams, GraphScan};
use pages::hnsw::sparse::read::SparseNodes;
use pages::hnsw::{Code, View, marks};
use pages::search::exact::ExactQuery;
use pages::search::filter::Filter;
use pages::search::params::{Found, SearchParams};
use pages::search::rerank::Exact;
use pages::tid::Tid;
use pgrx::pg_sys;

use super::index::HnswIndex;
use crate::am::last_scan::Work;
use crate::am::left_out;
use crate::am::opclass::ElementType;
use crate::am::pages::PgPages;
use crate::am::refetch::HeapRows;
use crate::am::rerank::{Others, TableRows};
use crate::am::value::Column;

/// A search of a graph; its memory is reused from query to query.
pub struct GraphSearch {
    scan: GraphScan,
    rows: HeapRows,
    tids: Vec<Tid>,
    /// Candidates whose rows are dead to all, until they are marked.
    dead: Vec<Hit>,
    query: Option<(ExactQuery, ElementType)>,
    /// The query of a graph over sparse vectors; the other has no components then.
    sparse: Option<SparseQuery>,
    left_out: Option<Tid>,
    trusts_marks: bool,
}

impl GraphSearch {
    /// A search without a query.
    ///
    /// # Safety
    /// `scan` must outlive the result.
    pub unsafe fn new(scan: pg_sys::IndexScanDesc) -> Self {
        // SAFETY: the caller's promise; the element type is the operator class's.
        let (rows, trusts_marks) = unsafe { (HeapRows::new(scan), (*scan).ignore_killed_tuples) };
        let (scan, tids, dead) = (GraphScan::new(), Vec::new(), Vec::new());
        let (query, sparse, left_out) = (None, None, None);
        Self { scan, rows, tids, dead, query, sparse, left_out, trusts_marks }
    }

    /// Starts over with the elements of a query; `ef`: the nodes that are kept in sight, and those for ten times the rows.
    pub fn begin(
        &mut self,
        graph: &HnswIndex,
        element: ElementType,
        query: &[f32],
        params: SearchParams,
        (ef, ef_of_tenfold): (usize, usize),
    ) {
        let SearchParams { iterative, max_scan_tuples, rows_wanted, memory, .. } = params;
        self.rows.remember(&graph.recent_rows);
        let metric = graph.meta.params.metric;
        let is_exact = is_exact(graph.meta.params.code, element);
        let params = GraphParams {
            ef,
            ef_of_tenfold,
            iterative,
            max_scan_tuples,
            rows_wanted,
            memory,
            is_exact,
        };
        self.scan.begin(query, params);
        self.query = Some((ExactQuery::new(metric, query), element));
    }

    /// As `begin`, with a sparse vector.
    pub fn begin_sparse(
        &mut self,
        graph: &HnswIndex,
        query: SparseQuery,
        params: SearchParams,
        ef: (usize, usize),
    ) {
        self.begin(graph, ElementType::Sparse, &[], params, ef);
        self.scan.source().look_for(query.clone());
        self.sparse = Some(query);
    }

    /// Treats a row as if it were gone, or again none; and its node, if it is known.
    pub fn leave_out(&mut self, row: Option<Tid>) {
        self.left_out = row;
        self.scan.source().leave_out(row.and_then(|_| left_out::node()));
    }

    /// The next row that passes the filter, with the operator's distance.
    pub fn next(
        &mut self,
        pages: &PgPages,
        graph: &HnswIndex,
        filter: Option<&Filter>,
    ) -> Result<Option<Found>, Error> {
        let view = graph.view().trusting(self.trusts_marks).filtered(filter);
        let found = match &self.query {
            Some((_, ElementType::F32)) => self.next_of::<f32>(pages, view)?,
            Some((_, ElementType::F16)) => self.next_of::<f16>(pages, view)?,
            Some((_, ElementType::Bit)) => self.next_of::<Bits>(pages, view)?,
            Some((_, ElementType::Sparse)) => self.next_sparse(pages, view)?,
            None => None,
        };
        if !self.dead.is_empty() {
            let rows = &mut self.rows;
            marks::mark(pages, &graph.view(), &mut self.dead, &mut |tid| rows.is_dead(tid))?;
            self.dead.clear();
            self.rows.rest();
        }
        let Some((query, _)) = &self.query else { return Ok(None) };
        Ok(found.map(|row| Found { distance: query.distance_of(row.distance), ..row }))
    }

    /// As `next`, with its exact key for a distance.
    fn next_of<E: Column>(
        &mut self,
        pages: &PgPages,
        view: View<'_>,
    ) -> Result<Option<Found>, Error> {
        let Some((query, element)) = &self.query else { return Ok(None) };
        let params = view.meta.params;
        let (rows, tids, dead) = (&mut self.rows, &mut self.tids, &mut self.dead);
        let mut table = TableRows::<E>::new(rows, tids, dead, query, params.dims);
        table.has_keys = is_exact(params.code, *element);
        let (scan, left_out) = (&mut self.scan, self.left_out);
        let mut next = |narrow: Option<&mut dyn Exact>, rows: &mut dyn Exact| {
            Step { scan, pages, view: &view, left_out }.next(narrow, rows)
        };
        match params.code {
            Code::Sq8 => next(None, &mut table),
            Code::Flat if E::TAG == Bits::TAG => {
                // Keys by codes are exact, but that of a Jaccard distance is rounded.
                if query.metric() == Metric::Hamming {
                    return next(None, &mut table);
                }
                let n = Bits::count(params.dims);
                let key = |row: &[Bits]| query.key(row.get(..n).unwrap_or_default());
                let mut stored = NodeBits::of_bits(pages, view, key)?;
                next(Some(&mut stored), &mut table)
            }
            // What is stored is what the column has.
            Code::SqFp16 if E::TAG != f16::TAG => {
                let mut stored = NodeRows::of_nodes(pages, view, |row: &[f16]| query.key(row))?;
                next(Some(&mut stored), &mut table)
            }
            Code::Flat | Code::SqFp16 => {
                let mut stored = NodeRows::of_nodes(pages, view, |row: &[E]| query.key(row))?;
                next(Some(&mut stored), &mut table)
            }
        }
    }

    /// As `next_of`, for sparse vectors, which the graph stores.
    fn next_sparse(&mut self, pages: &PgPages, view: View<'_>) -> Result<Option<Found>, Error> {
        let (Some((query, _)), Some(sparse)) = (&self.query, &self.sparse) else { return Ok(None) };
        let (rows, tids, dead) = (&mut self.rows, &mut self.tids, &mut self.dead);
        // It only says which rows there are, so that it reads no vectors of any kind.
        let mut table = TableRows::<f32>::new(rows, tids, dead, query, view.meta.params.dims);
        table.has_keys = true;
        let mut stored = SparseNodes::new(pages, view, sparse);
        let mut step = Step { scan: &mut self.scan, pages, view: &view, left_out: self.left_out };
        step.next(Some(&mut stored), &mut table)
    }

    /// Ends the search: only rows that came too late follow.
    pub fn finish(&mut self) {
        self.scan.finish();
    }

    /// What it has done so far.
    pub fn work(&self) -> Work {
        Work {
            lists_probed: self.scan.lists_probed(),
            scored: self.scan.visited(),
            skipped: self.scan.skipped(),
            reranked: self.scan.reranked(),
            is_cut_short: self.scan.is_cut_short(),
        }
    }

    /// Lets go of what must not be held while the scan waits to be started over.
    pub fn rest(&mut self) {
        self.rows.rest();
    }

    /// Frees what the server knows of.
    pub fn end(&mut self) {
        self.rows.end();
    }
}

/// A scan on its way to its next row.
struct Step<'a> {
    scan: &'a mut GraphScan,
    pages: &'a PgPages,
    view: &'a View<'a>,
    left_out: Option<Tid>,
}

impl Step<'_> {
    /// The next row, without the one that is left out.
    fn next(
        &mut self,
        narrow: Option<&mut dyn Exact>,
        rows: &mut dyn Exact,
    ) -> Result<Option<Found>, Error> {
        match self.left_out {
            Some(left_out) => {
                let mut others = OtherNodes { rows, left_out };
                self.scan.next(self.pages, self.view, narrow, &mut others)
            }
            None => self.scan.next(self.pages, self.view, narrow, rows),
        }
    }
}

/// Whether a graph stores the vectors as the column has them.
fn is_exact(code: Code, element: ElementType) -> bool {
    match code {
        Code::Flat => true,
        Code::SqFp16 => element == ElementType::F16,
        Code::Sq8 => false,
    }
}

/// Exact keys of all candidates but one, whose node is remembered.
struct OtherNodes<'a> {
    rows: &'a mut dyn Exact,
    left_out: Tid,
}

impl Exact for OtherNodes<'_> {
    fn keys(&mut self, candidates: &[Hit], each: &mut dyn FnMut(usize, f64)) -> Result<(), Error> {
        left_out::note_node(candidates);
        let Self { rows, left_out } = self;
        Others { rows: &mut **rows, left_out: *left_out }.keys(candidates, each)
    }
}
