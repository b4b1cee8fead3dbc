//! `ambuild`: one pass over the table, the graph in memory on all threads, every page once. Past maintenance_work_mem what was
//! read so far is built and written, and the rest of the rows is inserted one by one.

use std::rc::Rc;

use ann::hnsw::{self, Grid, HnswParams, Points, SparsePoints};
use ann::kernels::sparse;
use ann::parallel;
use pages::Error;
use pages::hnsw::{Code, MetaParams};
use pages::tid::Tid;
use pgrx::{PgSqlErrorCode, pg_sys};

use super::indexed;
use super::recall::Neighbours;
use super::rows::{Made, Rows};
use crate::am::build::{IndexSpec, memory_bytes_max};
use crate::am::filter::Encoder;
use crate::am::graph::HnswIndex;
use crate::am::graph::attributes::RowAttributes;
use crate::am::graph::build::no_workers;
use crate::am::guc;
use crate::am::heap_scan::Heap;
use crate::am::interrupts::check_for_interrupts;
use crate::am::options::{GraphOptions, options_of};
use crate::am::pages::{PgBulk, PgPages};
use crate::am::progress::{self, Phase};
use crate::am::rel;
use crate::am::report::{Report, checked};

/// Rows that are built at once however little memory there is.
const ROWS_MIN: usize = 256;
/// Rows by which memory for links is measured.
const ROWS_MEASURED: usize = 1 << 16;

fn params_of(spec: &IndexSpec, options: &GraphOptions) -> MetaParams {
    MetaParams {
        element: sparse::TAG,
        metric: spec.metric,
        dims: spec.dims,
        m: options.m.into(),
        ef_construction: options.ef_construction as usize,
        code: Code::Flat,
        seed: spec.seed,
        trained_rows: 0,
        attributes: spec.attributes,
    }
}

/// Builds a graph; returns live heap rows and indexed rows.
pub fn build(heap: &Heap, spec: &IndexSpec, options: &GraphOptions) -> (f64, u64) {
    progress::set_phase(Phase::ReadingRows);
    let mut loader = Loader::new(heap, params_of(spec, options));
    let of = (spec.metric, spec.dims);
    let mut encoder = Encoder::new(heap.index());
    let heap_tuples = heap.scan_columns(
        |tid, value, (values, nulls)| {
            // SAFETY: the operator class says that the column holds sparse vectors; this one lives as long as the call.
            if let Some(vector) = unsafe { indexed(heap.index(), value, of) } {
                // SAFETY: the values of the index's columns.
                let attributes = unsafe { encoder.encode(values, nulls) };
                loader.add(tid, vector.elements(), attributes);
            }
        },
        true,
    );
    (heap_tuples, loader.finish())
}

/// `ambuildempty`: a graph without rows.
pub fn build_empty(index: pg_sys::Relation, spec: &IndexSpec, sink: PgBulk) {
    let Some(options) = options_of(index).graph else { return };
    checked(index, write(&params_of(spec, &options), Rows::default(), 1, sink).map(drop));
}

/// Collects rows; once memory is full it writes the graph, and inserts.
struct Loader<'a> {
    heap: &'a Heap,
    params: MetaParams,
    rows: Rows,
    /// Bytes of memory the rows and their graph take.
    bytes: usize,
    /// Of which links.
    link_bytes: usize,
    neighbours: Neighbours,
    /// Once the graph is written.
    written: Option<(PgPages, HnswIndex)>,
    n: u64,
}

impl<'a> Loader<'a> {
    fn new(heap: &'a Heap, params: MetaParams) -> Self {
        let link_bytes = hnsw::build_bytes(ROWS_MEASURED, 0, params.m).div_ceil(ROWS_MEASURED);
        let rows = Rows::with(RowAttributes::new(&params.attributes));
        let neighbours = Neighbours::new(params.metric);
        Self { heap, params, rows, bytes: 0, link_bytes, neighbours, written: None, n: 0 }
    }

    fn add(&mut self, tid: Tid, vector: sparse::Sparse<'_>, attributes: &[u8]) {
        self.n += 1;
        let index = self.heap.index();
        if let Some((pages, graph)) = &self.written {
            check_for_interrupts();
            self.neighbours.see(tid, vector);
            checked(index, graph.insert_sparse(pages, tid, (vector, attributes)));
            return;
        }
        self.bytes += Rows::row_bytes(vector.indices.len()) + self.link_bytes + attributes.len();
        if self.bytes > memory_bytes_max() && self.rows.len() >= ROWS_MIN {
            self.write_first();
            self.n -= 1;
            return self.add(tid, vector, attributes);
        }
        self.rows.attributes.add(attributes);
        self.rows.add(tid, vector);
    }

    /// Writes the graph of the rows so far, which will take the others one by one.
    fn write_first(&mut self) {
        let index = self.heap.index();
        say_memory(index, self.rows.len());
        self.write();
        // SAFETY: the index stays open as long as the build runs.
        let mut pages = unsafe { PgPages::new(index) };
        let graph = checked(index, HnswIndex::read(&pages));
        pages.remember(Rc::clone(&graph.recent));
        progress::set_phase(Phase::InsertingRows);
        self.written = Some((pages, graph));
    }

    fn write(&mut self) {
        let (index, rows) = (self.heap.index(), std::mem::take(&mut self.rows));
        // SAFETY: the index is new, empty and locked by this command.
        let sink = unsafe { PgBulk::new(index, pg_sys::ForkNumber::MAIN_FORKNUM) };
        let made = checked(index, write(&self.params, rows, guc::build_threads(), sink));
        self.neighbours.choose(&made);
    }

    fn finish(mut self) -> u64 {
        if self.written.is_none() {
            self.write();
        }
        progress::set_phase(Phase::MeasuringRecall);
        self.neighbours.measure(self.heap.index());
        self.n
    }
}

/// Builds a graph of rows on worker threads and writes it; one thread makes the same graph of the same rows.
fn write(params: &MetaParams, mut rows: Rows, threads: usize, sink: PgBulk) -> Result<Made, Error> {
    let nodes = rows.nodes();
    let hnsw =
        HnswParams { m: params.m, ef_construction: params.ef_construction, seed: params.seed };
    let grid = Grid::train(params.metric, params.grid_dims(), &[]);
    progress::set_phase(Phase::BuildingGraph);
    progress::set_tuples_total(nodes.rows.len() as u64);
    let of = Points::Sparse(SparsePoints { metric: params.metric, rows: &rows.vectors });
    let built = parallel::run(
        threads,
        |job| {
            check_for_interrupts();
            progress::set_tuples_done(job.step());
        },
        |job| {
            let graph = hnsw::build(&grid, of, &hnsw, job).ok()?;
            let order = hnsw::order(&graph);
            Some((graph, order))
        },
    );
    let built = built.unwrap_or_else(|e| no_workers(&e));
    // Cancelled only while an interrupt unwinds this thread.
    let (graph, order) = built.ok_or_else(|| Error::Internal("the build was cancelled".into()))?;
    let mut made = Made { rows, nodes, graph, stored: Vec::new() };
    progress::set_phase(Phase::WritingPages);
    pages::hnsw::build::build(sink, params, &grid, &order, &mut made)?;
    Ok(made)
}

fn say_memory(index: pg_sys::Relation, n: usize) {
    let megabytes = memory_bytes_max() >> 20;
    Report::new(
        PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
        format!("index \"{}\" takes its rows beyond the first {n} one by one", rel::name(index)),
    )
    .detail(format!("maintenance_work_mem, {megabytes} MB, has no room for a graph of more rows."))
    .hint("Increase maintenance_work_mem to have it built faster.")
    .notice();
}
