//! `ambuild` of a graph: sample → grid, and whether codes of it are good enough → one pass that codes every row in batches on
//! worker threads → graph in memory on all threads → every page once, neighbours close together.
//!
//! Codes (or vectors, where codes lose too much) and links must fit into maintenance_work_mem. Once they do not, what was read so far is built and written, and the
//! rest of the rows is inserted one by one.

use std::rc::Rc;

use ann::hnsw::Grid;
use ann::parallel;
use pages::hnsw::{Code, MetaParams};
use pages::tid::Tid;
use pgrx::{PgSqlErrorCode, pg_sys};

use super::GRAPH_MIN;
use super::adopted::given_to;
use super::coder::Coder;
use super::index::HnswIndex;
use super::insert;
use super::memory::Memory;
use super::plan::{Plan, plan};
use super::rows::Rows;
use super::vectors::Vectors;
use super::write::write_new;
use crate::am::assign;
use crate::am::build::IndexSpec;
use crate::am::filter::Encoder;
use crate::am::guc;
use crate::am::heap_scan::Heap;
use crate::am::insert::Placed;
use crate::am::interrupts::check_for_interrupts;
use crate::am::options::GraphOptions;
use crate::am::pages::{PgBulk, PgPages};
use crate::am::progress::{self, Phase};
use crate::am::quantizers::Trained;
use crate::am::recall_target::{GraphNeighbours, QUERIES_MAX};
use crate::am::rel;
use crate::am::report::{Report, checked};
use crate::am::train;
use crate::am::value::{Column, Value};

/// Builds a graph, or a list of what is too little for one; returns live heap rows and indexed rows.
pub fn build<E: Column>(heap: &Heap, spec: &IndexSpec, options: &GraphOptions) -> (f64, u64) {
    progress::set_phase(Phase::SamplingRows);
    let mut sample = train::sample::<E>(heap, spec);
    if sample.rows() < GRAPH_MIN {
        let untrained = Trained::untrained();
        // SAFETY: the index is new, empty and locked by this command.
        let sink = unsafe { PgBulk::new(heap.index(), pg_sys::ForkNumber::MAIN_FORKNUM) };
        let params = spec.params::<E>(&untrained);
        return assign::assign_and_write::<E>(heap, spec, &params, &untrained, sink);
    }
    let rows = sample.rows();
    let params = graph_params::<E>(spec, options, sample.n());
    let asking = sample.some(QUERIES_MAX, spec.dims);
    let neighbours = GraphNeighbours::new(spec.metric, spec.dims, &asking);
    let plan = plan(heap.index(), &params, sample);
    progress::set_phase(Phase::CodingRows);
    let mut loader = Loader::<E>::new(heap, &plan, rows, neighbours);
    let mut encoder = Encoder::new(heap.index());
    let heap_tuples = heap.scan_columns(
        |tid, value, (values, nulls)| {
            // SAFETY: the operator class says that the column holds vectors of E.
            let vector = unsafe { Heap::vector::<E>(value, spec.dims) };
            if let Some(row) = Placed::new(spec.metric, vector.elements()) {
                // SAFETY: the values of the index's columns.
                let attributes = unsafe { encoder.encode(values, nulls) };
                loader.add(tid, &row, attributes);
            }
        },
        true,
    );
    (heap_tuples, loader.finish())
}

/// What the metapage of a graph of these options says.
pub fn graph_params<E: Column>(
    spec: &IndexSpec,
    options: &GraphOptions,
    trained_rows: usize,
) -> MetaParams {
    let number = options.code.map_or(Code::Flat.to_u8(), |code| code.to_numbers().0);
    MetaParams {
        element: E::TAG,
        metric: spec.metric,
        dims: spec.dims,
        m: options.m.into(),
        ef_construction: options.ef_construction as usize,
        code: Code::from_u8(number).unwrap_or(Code::Flat),
        seed: spec.seed,
        trained_rows: trained_rows as u64,
        attributes: spec.attributes,
    }
}

/// Raises 53000: the system gave no threads.
pub fn no_workers(error: &parallel::WorkerError) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES,
        format!("could not build the graph: {error}"),
    )
    .error()
}

/// Collects rows and codes them; once memory is full it writes the graph, and inserts.
struct Loader<'a, E: Column> {
    heap: &'a Heap,
    params: MetaParams,
    grid: &'a Grid,
    coder: Coder<'a>,
    memory: Memory,
    /// Rows of the table that can be indexed, as the first pass counted them.
    expected: u64,
    batch: Batch<E>,
    /// What recall is measured by.
    neighbours: GraphNeighbours<E>,
    rows: Rows,
    /// Once the graph is written.
    written: Option<Written>,
    n: u64,
}

/// Rows waiting to be coded.
struct Batch<E> {
    tids: Vec<Tid>,
    /// n × dims.
    elements: Vec<E>,
    /// What each has beside its vector, one after the other.
    attributes: Vec<u8>,
}

/// A graph that takes rows one by one.
struct Written {
    pages: PgPages,
    graph: HnswIndex,
}

impl<'a, E: Column> Loader<'a, E> {
    fn new(heap: &'a Heap, plan: &'a Plan, expected: u64, neighbours: GraphNeighbours<E>) -> Self {
        let Plan { params, grid, by_vectors } = plan;
        let coder = Coder::new(params, grid);
        let code_bytes = grid.size();
        let memory = Memory::new(params, *by_vectors, size_of::<E>());
        let vectors = Vectors::new(coder.stored_size::<E>(), memory.vectors(expected));
        let rows =
            Rows::new(code_bytes, params.dims, *by_vectors, vectors).with(&params.attributes);
        let batch = Batch { tids: Vec::new(), elements: Vec::new(), attributes: Vec::new() };
        let params = *params;
        let (written, n) = (None, 0);
        Self { heap, params, grid, coder, memory, expected, batch, neighbours, rows, written, n }
    }

    fn add(&mut self, tid: Tid, row: &Placed<'_, E>, attributes: &[u8]) {
        self.n += 1;
        if let Some(Written { pages, graph }) = &self.written {
            check_for_interrupts();
            self.neighbours.see(&[tid], row.elements);
            insert::insert(self.heap.index(), pages, graph, tid, row, attributes);
            return;
        }
        let collected = self.rows.len() + self.batch.tids.len();
        if collected == self.memory.rows_max {
            self.write_first(collected);
            self.n -= 1;
            return self.add(tid, row, attributes);
        }
        self.batch.tids.push(tid);
        self.batch.elements.extend_from_slice(row.elements);
        self.batch.attributes.extend_from_slice(attributes);
        if self.batch.tids.len() == self.memory.batch_rows {
            self.code_batch();
        }
    }

    fn code_batch(&mut self) {
        if self.batch.tids.is_empty() {
            return;
        }
        let elements = &self.batch.elements;
        let coded = parallel::run(
            guc::build_threads(),
            |_job| check_for_interrupts(),
            |job| self.coder.code_batch(elements, job),
        );
        let coded = coded.unwrap_or_else(|e| no_workers(&e));
        self.neighbours.see(&self.batch.tids, elements);
        let mut stored = Vec::new();
        self.coder.store(elements, &mut stored);
        let rows_max = self.memory.rows_max;
        self.rows.attributes.add(&self.batch.attributes);
        let added = self.rows.add(&self.batch.tids, &coded, &stored, rows_max);
        checked(self.heap.index(), added);
        self.batch.tids.clear();
        self.batch.elements.clear();
        self.batch.attributes.clear();
    }

    /// Writes the graph of the rows so far, which will take the others one by one.
    fn write_first(&mut self, n: usize) {
        say_memory(self.heap.index(), n, self.expected, &self.memory);
        self.write();
        // SAFETY: the index stays open as long as the build runs.
        let mut pages = unsafe { PgPages::new(self.heap.index()) };
        let graph = checked(self.heap.index(), HnswIndex::read(&pages));
        pages.remember(Rc::clone(&graph.recent));
        progress::set_phase(Phase::InsertingRows);
        self.written = Some(Written { pages, graph });
    }

    fn write(&mut self) {
        self.code_batch();
        let none = Rows::new(0, 0, false, Vectors::new(0, 0));
        let rows = std::mem::replace(&mut self.rows, none);
        let points = self.memory.points(rows.len() as u64);
        let index = self.heap.index();
        // SAFETY: the index is new, empty and locked by this command.
        let sink = unsafe { PgBulk::new(index, pg_sys::ForkNumber::MAIN_FORKNUM) };
        let threads = guc::build_threads();
        let (limits, given) = ((threads, points), given_to(index));
        let given = given.as_deref();
        checked(index, write_new(&self.params, self.grid, rows, limits, given, sink));
    }

    fn finish(mut self) -> u64 {
        if self.written.is_none() {
            self.batch.elements.shrink_to_fit();
            self.write();
        }
        progress::set_phase(Phase::MeasuringRecall);
        self.neighbours.measure(self.heap.index());
        self.n
    }
}

fn say_memory(index: pg_sys::Relation, n: usize, expected: u64, memory: &Memory) {
    let megabytes = crate::am::build::memory_bytes_max() >> 20;
    Report::new(
        PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
        format!("index \"{}\" takes its rows beyond the first {n} one by one", rel::name(index)),
    )
    .detail(format!(
        "maintenance_work_mem, {megabytes} MB, has no room for a graph of all {expected} rows."
    ))
    .hint(format!(
        "Increase maintenance_work_mem to {} MB to have it built faster.",
        memory.megabytes_for(expected)
    ))
    .notice();
}
