//! What recall costs: rows that ask for their neighbours among all rows of the table, and the curve that follows.

use ann::exact::Ranked;
use ann::hnsw::SparseQuery;
use ann::kernels::sparse::Sparse;
use ann::metric::Metric;
use ann::parallel::{self, Job};
use ann::topk::{Hit, TopK};
use pages::tid::Tid;
use pgrx::pg_sys;

use super::indexed;
use super::rows::Made;
use crate::am::measure::clock::{self, Clock};
use crate::am::recall_target::{QUERIES_OF_GRAPH, measure_graph, on_workers};

/// Neighbours of each.
const NEIGHBOURS: usize = 100;
/// Rows that equal the one that asks and are kept: it matters whether there is one.
const EQUALS_MAX: usize = 2;

/// A row that asks, and what is nearest to it so far.
struct Asked {
    query: SparseQuery,
    nearest: TopK,
    equals: Vec<u64>,
}

/// Questions on their way through the rows.
pub struct Neighbours {
    metric: Metric,
    asked: Vec<Asked>,
    /// CPU time that comparing has taken.
    took: Clock,
}

impl Neighbours {
    pub fn new(metric: Metric) -> Self {
        Self { metric, asked: Vec::new(), took: Clock::default() }
    }

    /// Takes rows of a graph at equal steps, and compares them with all of its rows, on worker threads.
    pub fn choose(&mut self, made: &Made) {
        let vectors = &made.rows.vectors;
        let every = vectors.len().div_ceil(QUERIES_OF_GRAPH).max(1);
        let chosen = (0..vectors.len()).step_by(every).filter_map(|node| vectors.get(node));
        self.asked = chosen.map(|vector| Asked::new(self.metric, vector)).collect();
        let before = clock::of_process();
        let asked = &mut self.asked;
        if !asked.is_empty() {
            on_workers(|job| compare(asked, made, job));
        }
        self.took += clock::of_process() - before;
    }

    /// Takes a row that will ask.
    ///
    /// # Safety
    /// `value` must be a non-null `sparsevec`.
    pub unsafe fn ask(
        &mut self,
        index: pg_sys::Relation,
        value: pg_sys::Datum,
        of: (Metric, usize),
    ) {
        // SAFETY: the caller's promise.
        if let Some(vector) = unsafe { indexed(index, value, of) } {
            self.asked.push(Asked::new(self.metric, vector.elements()));
        }
    }

    /// Looks at the row of a value.
    ///
    /// # Safety
    /// `value` must be a non-null `sparsevec`.
    pub unsafe fn see_value(
        &mut self,
        index: pg_sys::Relation,
        tid: Tid,
        value: pg_sys::Datum,
        of: (Metric, usize),
    ) {
        // SAFETY: the caller's promise.
        if let Some(vector) = unsafe { indexed(index, value, of) } {
            self.see(tid, vector.elements());
        }
    }

    /// Looks at one more row.
    pub fn see(&mut self, tid: Tid, vector: Sparse<'_>) {
        self.asked.iter_mut().for_each(|asked| asked.offer(tid, vector));
    }

    /// Measures by the pages of `index`, which has all rows that were looked at, and puts the curve into its metapage.
    pub fn measure(self, index: pg_sys::Relation) {
        let asked = self.asked.into_iter().map(|asked| {
            let (point, nearest) = (Vec::new(), asked.nearest.into_sorted());
            (Ranked { point, nearest, equals: asked.equals }, Some(asked.query))
        });
        measure_graph(index, &asked.collect::<Vec<_>>(), self.took);
    }
}

/// Each question on one worker, through all rows.
fn compare(asked: &mut [Asked], made: &Made, job: &Job) {
    parallel::for_each_chunk(asked, 1, |_, asked| {
        for (node, row) in (0u32..).zip(&made.nodes.rows) {
            if job.cancelled() {
                return;
            }
            let Some(vector) = made.rows.vectors.get(node as usize) else { continue };
            let rows = [*row].into_iter().chain(made.nodes.duplicates_of(node));
            for tid in rows.filter_map(|row| made.rows.tids.get(row as usize)) {
                asked.iter_mut().for_each(|asked| asked.offer(*tid, vector));
            }
        }
    });
}

impl Asked {
    fn new(metric: Metric, vector: Sparse<'_>) -> Self {
        let (nearest, equals) = (TopK::new(NEIGHBOURS), Vec::new());
        Self { query: SparseQuery::new(metric, vector), nearest, equals }
    }

    fn offer(&mut self, tid: Tid, vector: Sparse<'_>) {
        let key = self.query.exact(vector);
        if key > self.nearest.threshold() || key.is_nan() {
            return;
        }
        let own = self.query.vector();
        if own.indices == vector.indices && own.values == vector.values {
            if self.equals.len() < EQUALS_MAX {
                self.equals.push(tid.to_u64());
            }
            return;
        }
        self.nearest.push(Hit { key, id: tid.to_u64(), at: tid.to_u64() });
    }
}
