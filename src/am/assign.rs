//! The second half of a build: every row to its list, in batches on worker threads, sorted by list
//! within maintenance_work_mem, then written once.

use ann::Metric;
use ann::assign::Assigner;
use ann::element::Element;
use ann::parallel;
use pages::ivf::build::{Builder, Entry};
use pages::ivf::sort::Sorter;
use pages::meta::MetaParams;
use pages::tid::Tid;
use pgrx::PgSqlErrorCode;

use super::build::{Frozen, memory_bytes_max};
use super::guc;
use super::heap_scan::Heap;
use super::insert::{Placed, member_distance};
use super::interrupts::check_for_interrupts;
use super::pages::PgBulk;
use super::progress::{self, Phase};
use super::report::{Report, checked};
use super::spill::TempRuns;
use super::train::Trained;

/// Rows assigned at once, unless memory is short.
const BATCH_ROWS_MAX: usize = 16_384;

/// Rows waiting for their list number.
struct Batch<E> {
    tids: Vec<Tid>,
    norms: Vec<f32>,
    /// n × dims, as stored.
    elements: Vec<E>,
}

/// Collects rows, assigns them, hands them to the sorter.
struct Loader<'a, E> {
    heap: &'a Heap,
    metric: Metric,
    dims: usize,
    /// None when untrained: all rows go to list 0.
    assigner: Option<Assigner<'a>>,
    sorter: Sorter<TempRuns>,
    batch: Batch<E>,
    rows_max: usize,
}

/// Second pass over the table; returns live heap rows and indexed rows.
pub fn assign_and_write<E: Element>(
    heap: &Heap,
    frozen: &Frozen,
    params: &MetaParams,
    trained: &Trained,
    sink: PgBulk,
) -> (f64, u64) {
    progress::set_phase(Phase::AssigningRows);
    let row_bytes = frozen.dims * (size_of::<E>() + size_of::<f32>());
    let memory = memory_bytes_max();
    let rows_max = (memory / 4 / row_bytes).clamp(1, BATCH_ROWS_MAX);
    let sorted = (memory - rows_max * row_bytes).max(memory / 4);
    let vector_size = frozen.dims * size_of::<E>();
    let mut loader = Loader {
        heap,
        metric: frozen.metric,
        dims: frozen.dims,
        assigner: trained.is_trained().then(|| Assigner::new(trained.coarse(frozen))),
        sorter: Sorter::new(TempRuns::default(), vector_size, sorted),
        batch: Batch { tids: Vec::new(), norms: Vec::new(), elements: Vec::<E>::new() },
        rows_max,
    };
    let heap_tuples = heap.scan(
        |tid, value| {
            // SAFETY: the operator class says that the column holds vectors of E.
            let vector = unsafe { Heap::vector::<E>(value, frozen.dims) };
            if let Some(row) = Placed::new(frozen.metric, vector.elements()) {
                loader.add(tid, &row);
            }
        },
        true,
    );
    loader.flush();
    let n = loader.sorter.len();
    progress::set_phase(Phase::WritingPages);
    progress::set_tuples_total(n);
    write(heap, params, trained, loader.sorter, sink);
    (heap_tuples, n)
}

fn write(
    heap: &Heap,
    params: &MetaParams,
    trained: &Trained,
    sorter: Sorter<TempRuns>,
    sink: PgBulk,
) {
    let index = heap.index();
    let mut builder = checked(index, Builder::new(sink, params, &trained.centroids));
    let mut n = 0;
    let each = |entry: &Entry<'_>| {
        n += 1;
        if n % 1024 == 0 {
            check_for_interrupts();
            progress::set_tuples_done(n);
        }
        builder.add(entry)
    };
    checked(index, sorter.finish(each));
    checked(index, builder.finish());
}

impl<E: Element> Loader<'_, E> {
    fn add(&mut self, tid: Tid, row: &Placed<'_, E>) {
        self.batch.tids.push(tid);
        self.batch.norms.push(row.norm_sqr);
        self.batch.elements.extend_from_slice(row.elements);
        if self.batch.tids.len() == self.rows_max {
            self.flush();
        }
    }

    /// Assigns the batch and passes it on.
    fn flush(&mut self) {
        let n = self.batch.tids.len();
        let (mut list_nos, mut distances) = (vec![0; n], vec![0.0; n]);
        if let Some(assigner) = self.assigner.as_ref().filter(|_| n > 0) {
            assign(assigner, &self.batch.elements, &mut list_nos, &mut distances);
        }
        let vectors = self.batch.elements.chunks_exact(self.dims);
        for (i, elements) in vectors.enumerate() {
            let (Some(&tid), Some(&norm_sqr)) = (self.batch.tids.get(i), self.batch.norms.get(i))
            else {
                break;
            };
            let entry = Entry {
                list_no: list_nos[i],
                tid,
                norm_sqr,
                coarse_distance: member_distance(self.metric, distances[i], norm_sqr),
                vector: bytemuck::cast_slice(elements),
            };
            checked(self.heap.index(), self.sorter.add(&entry));
        }
        self.batch.tids.clear();
        self.batch.norms.clear();
        self.batch.elements.clear();
    }
}

fn assign<E: Element>(
    assigner: &Assigner<'_>,
    elements: &[E],
    list_nos: &mut [u32],
    distances: &mut [f32],
) {
    let done = parallel::run(
        guc::build_threads(),
        |_job| check_for_interrupts(),
        |job| {
            let points: Vec<f32> = elements.iter().map(|x| x.to_f32()).collect();
            assigner.assign(&points, list_nos, distances, job);
        },
    );
    if let Err(e) = done {
        Report::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES,
            format!("could not assign rows to lists: {e}"),
        )
        .error();
    }
}
