//! The second half of a build: every row to its list and coded, in batches on worker threads, sorted
//! by list within maintenance_work_mem, then written once.

use std::fmt::Display;
use std::time::Instant;

use ann::Metric;
use ann::coarse::Coarse;
use ann::codec::{Codec, Coding, Stored, encode_batch};
use ann::groups::BulkAssigner;
use ann::parallel::{self, Job};
use pages::lists::build::{Builder, Entry, Payload, TrainedParts};
use pages::lists::sort::Sorter;
use pages::lists::{Fit, ListsIndex, Meta, MetaParams, quantizer, rebuild};
use pages::tid::Tid;
use pgrx::{PgSqlErrorCode, pg_sys};

use super::build::{IndexSpec, memory_bytes_max};
use super::build_log;
use super::filter::Encoder;
use super::fit::FitMeter;
use super::guc;
use super::heap_scan::Heap;
use super::insert::{Placed, member_distance};
use super::interrupts::check_for_interrupts;
use super::pages::{PgBulk, PgPages};
use super::progress::{self, Phase};
use super::quantizers::Trained;
use super::recall_target::ListNeighbours;
use super::report::{Report, checked};
use super::spill::TempRuns;
use super::transform::Transform;
use super::value::{Column, Value};

/// Rows assigned at once, unless memory is short.
const BATCH_ROWS_MAX: usize = 16_384;

/// Rows waiting for their list number.
struct Batch<E> {
    tids: Vec<Tid>,
    norms: Vec<f32>,
    /// n × dims, as stored.
    elements: Vec<E>,
    /// What each has beside its vector, one after the other.
    attributes: Vec<u8>,
}

/// Collects rows, assigns them, hands them to the sorter.
pub struct Loader<'a, E: Column> {
    index: pg_sys::Relation,
    metric: Metric,
    dims: usize,
    /// None when untrained: all rows go to list 0.
    assigner: Option<BulkAssigner<'a>>,
    /// None: vectors are stored as the column has them.
    coder: Option<Coder<'a>>,
    /// How the payload of a row is divided.
    payload: Payload,
    fit: FitMeter,
    /// What recall is measured by, if there is anything to choose.
    neighbours: Option<ListNeighbours<E>>,
    sorter: Sorter<TempRuns>,
    batch: Batch<E>,
    rows_max: usize,
}

/// Every row, assigned and coded.
pub struct Loaded<E: Column> {
    sorter: Sorter<TempRuns>,
    fit: FitMeter,
    neighbours: Option<ListNeighbours<E>>,
}

/// What codes rows, and how their payloads are divided.
#[derive(Clone, Copy)]
struct Coder<'a> {
    codec: &'a Codec,
    coarse: Coarse<'a>,
    transform: Transform<'a>,
    stored: &'a Stored,
    payload: Payload,
}

impl<'a> Coder<'a> {
    fn new(spec: &IndexSpec, payload: Payload, trained: &'a Trained) -> Option<Self> {
        let codec = trained.codec.as_ref()?;
        Some(Self {
            codec,
            coarse: trained.coarse(spec),
            transform: trained.transform(spec),
            stored: &trained.stored,
            payload,
        })
    }
}

/// Second pass over the table; returns live heap rows and indexed rows.
pub fn assign_and_write<E: Column>(
    heap: &Heap,
    spec: &IndexSpec,
    params: &MetaParams,
    trained: &Trained,
    sink: PgBulk,
) -> (f64, u64) {
    progress::set_phase(Phase::AssigningRows);
    let (begin, table_blocks) = (Instant::now(), heap.n_blocks());
    let mut loader = Loader::new(heap.index(), spec, params, trained);
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
    let loaded = loader.finish();
    let n = loaded.sorter.len();
    build_log::assigned(heap.index(), &loaded.sorter, begin.elapsed());
    progress::set_phase(Phase::WritingPages);
    progress::set_tuples_total(n);
    let begin = Instant::now();
    let params = MetaParams { fit: fit_of(&loaded.fit, trained, table_blocks), ..*params };
    write(heap.index(), &params, trained, loaded.sorter, sink);
    build_log::written(heap.index(), begin.elapsed());
    if let Some(neighbours) = loaded.neighbours {
        progress::set_phase(Phase::MeasuringRecall);
        neighbours.measure(heap.index(), spec, trained);
    }
    (heap_tuples, n)
}

/// How well the rows fit; of a model, how well those did that it was trained on.
fn fit_of(meter: &FitMeter, trained: &Trained, table_blocks: u32) -> Fit {
    let fit = meter.fit(table_blocks);
    let Some(at_training) = &trained.fit else { return fit };
    let Fit { coarse_error, code_error, .. } = *at_training;
    Fit { coarse_error, code_error, ..fit }
}

/// Writes the rows as another build of an index in use; returns what META is to say of it.
pub fn write_in_place<E: Column>(
    pages: &PgPages,
    index: pg_sys::Relation,
    spec: &IndexSpec,
    params: &MetaParams,
    trained: &Trained,
    (loaded, table_blocks, generation): (Loaded<E>, u32, u32),
) -> Meta {
    let params = MetaParams { fit: fit_of(&loaded.fit, trained, table_blocks), ..*params };
    let sizes = loaded.fit.sizes();
    let meta = Meta::new(&params, sizes.len());
    let n_pages = meta.map_or(0, |meta| meta.built_pages(sizes.iter().copied()));
    let n_pages = u32::try_from(n_pages).unwrap_or(u32::MAX);
    let sink = checked(index, rebuild::reserve(pages, n_pages, generation));
    let (model, quantizer) = (trained.model(), code_of_centroids(&params, trained));
    let parts = parts_of(trained, quantizer.as_ref(), &model);
    let builder = Builder::without_meta(sink, TempRuns::default(), &params, &parts);
    let mut builder = checked(index, builder);
    checked(index, loaded.sorter.finish(counted(|entry| builder.add(entry))));
    let (_, mut meta) = checked(index, builder.finish_without_meta());
    if let Some(neighbours) = loaded.neighbours {
        let lists = checked(index, ListsIndex::of(pages, meta.clone()));
        let measured = neighbours.measured(index, (pages, &lists), spec, trained);
        (meta.curve, meta.probe_rule) = (measured.curve, measured.rule);
    }
    meta
}

/// Writes an index without rows.
pub fn write_empty(index: pg_sys::Relation, params: &MetaParams, trained: &Trained, sink: PgBulk) {
    write(index, params, trained, Sorter::new(TempRuns::default(), 0, 0), sink);
}

fn write(
    index: pg_sys::Relation,
    params: &MetaParams,
    trained: &Trained,
    sorter: Sorter<TempRuns>,
    sink: PgBulk,
) {
    let (spool, model) = (TempRuns::default(), trained.model());
    let quantizer = code_of_centroids(params, trained);
    let parts = parts_of(trained, quantizer.as_ref(), &model);
    let mut builder = checked(index, Builder::new(sink, spool, params, &parts));
    checked(index, sorter.finish(counted(|entry| builder.add(entry))));
    checked(index, builder.finish());
}

/// What a build writes of what was trained.
fn parts_of<'a>(
    trained: &'a Trained,
    quantizer: Option<&'a Codec>,
    model: &'a [f32],
) -> TrainedParts<'a> {
    let (centroids, codec) = (&trained.centroids[..], trained.codec.as_ref());
    TrainedParts { centroids, quantizer, codec, model }
}

/// The code of the centroids; None where they are too few to have one.
fn code_of_centroids(params: &MetaParams, trained: &Trained) -> Option<Codec> {
    let train = |job: &Job| quantizer::train(&params.lists, &trained.centroids, params.seed, job);
    let done = parallel::run(guc::build_threads(), |_job| check_for_interrupts(), train);
    let error = match done {
        Ok(Ok(codec)) => return codec,
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    Report::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES,
        format!("could not train the coarse quantizer: {error}"),
    )
    .error()
}

/// How the payload of a row is divided.
fn payload_of(params: &MetaParams, trained: &Trained) -> Payload {
    let code = trained.codec.as_ref().map_or(0, Coding::bare_size);
    // The dimension was checked when the options were read.
    let layout =
        Meta::new(params, 1).or_else(|| Meta::new(params, 0)).map(|meta| meta.lists.layout);
    layout.map_or(Payload::default(), |layout| Payload::new(&layout, code))
}

/// Passes rows on, answers interrupts and shows how far it is.
fn counted(
    mut add: impl FnMut(&Entry<'_>) -> Result<(), pages::Error>,
) -> impl FnMut(&Entry<'_>) -> Result<(), pages::Error> {
    let mut n = 0;
    move |entry| {
        n += 1;
        if n % 1024 == 0 {
            check_for_interrupts();
            progress::set_tuples_done(n);
        }
        add(entry)
    }
}

impl<'a, E: Column> Loader<'a, E> {
    /// Nothing yet, for a build within maintenance_work_mem.
    pub fn new(
        index: pg_sys::Relation,
        spec: &IndexSpec,
        params: &MetaParams,
        trained: &'a Trained,
    ) -> Self {
        let payload = payload_of(params, trained);
        let coder = Coder::new(spec, payload, trained);
        let coded_bytes = coder.map_or(0, |_| payload.size() + spec.dims * size_of::<f32>());
        let vector_bytes = E::count(spec.dims) * size_of::<E>();
        // As the column has it, widened, and less the middle of the centroids.
        let row_bytes =
            vector_bytes + 2 * spec.dims * size_of::<f32>() + coded_bytes + payload.attributes;
        let memory = memory_bytes_max();
        let rows_max = (memory / 4 / row_bytes).clamp(1, BATCH_ROWS_MAX);
        let sorted = (memory - rows_max * row_bytes).max(memory / 4);
        let code = spec.code.zip(trained.codec.as_ref());
        let code = code.map(|(code, codec)| (code.kind, spec.dims, codec));
        Self {
            index,
            metric: spec.metric,
            dims: spec.dims,
            assigner: trained.is_trained().then(|| assigner(trained.coarse(spec))),
            coder,
            payload,
            fit: FitMeter::new(trained.centroids.len() / spec.dims, code),
            neighbours: ListNeighbours::new(spec, trained),
            sorter: Sorter::new(TempRuns::default(), payload.size(), sorted),
            batch: Batch {
                tids: Vec::new(),
                norms: Vec::new(),
                elements: Vec::new(),
                attributes: Vec::new(),
            },
            rows_max,
        }
    }

    /// All rows were added.
    pub fn finish(mut self) -> Loaded<E> {
        self.flush();
        let Self { sorter, fit, neighbours, .. } = self;
        Loaded { sorter, fit, neighbours }
    }

    /// Takes a row.
    pub fn add(&mut self, tid: Tid, row: &Placed<'_, E>, attributes: &[u8]) {
        self.batch.tids.push(tid);
        self.batch.norms.push(row.norm_sqr);
        self.batch.elements.extend_from_slice(row.elements);
        self.batch.attributes.extend_from_slice(attributes);
        if self.batch.tids.len() == self.rows_max {
            self.flush();
        }
    }

    /// Assigns the batch, codes it, and passes it on.
    fn flush(&mut self) {
        let n = self.batch.tids.len();
        let (mut list_nos, mut distances) = (vec![0; n], vec![0.0; n]);
        let (mut payloads, mut flat) = (Vec::new(), Vec::new());
        if let Some(assigner) = self.assigner.as_ref().filter(|_| n > 0) {
            let placed = (&mut list_nos[..], &mut distances[..]);
            let (coder, fit) = (self.coder.as_ref(), &mut self.fit);
            payloads = assign(assigner, coder, &self.batch.elements, placed, fit);
        }
        if let Some(neighbours) = &mut self.neighbours {
            neighbours.see(&self.batch.tids, &list_nos, &self.batch.elements);
        }
        let vectors = self.batch.elements.chunks_exact(E::count(self.dims));
        for (i, elements) in vectors.enumerate() {
            let (Some(&tid), Some(&norm_sqr)) = (self.batch.tids.get(i), self.batch.norms.get(i))
            else {
                break;
            };
            let own = i * self.payload.attributes..(i + 1) * self.payload.attributes;
            let attributes = self.batch.attributes.get(own).unwrap_or_default();
            let coarse_distance;
            let payload = if let Some(coder) = &self.coder {
                let size = coder.payload.size();
                let Some(payload) = payloads.get_mut(i * size..(i + 1) * size) else { break };
                let Some(rest) = payload.get_mut(coder.payload.code + coder.payload.factors..)
                else {
                    break;
                };
                let (to, stored) = rest.split_at_mut(coder.payload.attributes.min(rest.len()));
                if to.len() == attributes.len() {
                    to.copy_from_slice(attributes);
                }
                coder.stored.put(elements, stored);
                // Coded vectors are divided by their norm before they are assigned.
                coarse_distance = distances[i];
                &*payload
            } else {
                coarse_distance = member_distance(self.metric, distances[i], norm_sqr);
                flat.clear();
                if self.metric.has_norms() {
                    flat.extend_from_slice(&norm_sqr.to_le_bytes());
                }
                flat.extend_from_slice(attributes);
                flat.extend_from_slice(bytemuck::cast_slice(elements));
                &flat
            };
            let entry = Entry { list_no: list_nos[i], tid, coarse_distance, payload };
            checked(self.index, self.sorter.add(&entry));
        }
        self.batch.tids.clear();
        self.batch.norms.clear();
        self.batch.elements.clear();
        self.batch.attributes.clear();
    }
}

/// Packs the centroids, on worker threads.
fn assigner(coarse: Coarse<'_>) -> BulkAssigner<'_> {
    let done = parallel::run(
        guc::build_threads(),
        |_job| check_for_interrupts(),
        |job| BulkAssigner::new(coarse, job),
    );
    match done {
        Ok(Ok(assigner)) => assigner,
        Ok(Err(e)) => not_assigned(&e),
        Err(e) => not_assigned(&e),
    }
}

fn not_assigned(why: &dyn Display) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES,
        format!("could not assign rows to lists: {why}"),
    )
    .error()
}

/// Finds lists and coarse distances of the vectors, and with a coder their payloads, exact vectors left out; `fit` sees
/// how well they fit.
fn assign<E: Column>(
    assigner: &BulkAssigner<'_>,
    coder: Option<&Coder<'_>>,
    elements: &[E],
    (list_nos, distances): (&mut [u32], &mut [f32]),
    fit: &mut FitMeter,
) -> Vec<u8> {
    let done = parallel::run(
        guc::build_threads(),
        |_job| check_for_interrupts(),
        |job| {
            let Some(coder) = coder else {
                let dims = assigner.coarse().dims;
                let points = Transform::default().apply_batch(elements, dims, job);
                assigner.assign(&points, list_nos, distances, job);
                fit.add(assigner.coarse(), &points, list_nos, distances);
                return Vec::new();
            };
            let Coder { codec, coarse, transform, payload, .. } = coder;
            let points = transform.apply_batch(elements, coarse.dims, job);
            assigner.assign(&points, list_nos, distances, job);
            fit.add(coarse, &points, list_nos, distances);
            let mut payloads = vec![0; list_nos.len() * payload.size()];
            encode_batch(codec, coarse, &points, list_nos, payload.size(), &mut payloads, job);
            payloads
        },
    );
    done.unwrap_or_else(|e| not_assigned(&e))
}
