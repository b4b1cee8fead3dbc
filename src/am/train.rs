//! The first half of a build, and all of `faiss.train`: how large a training sample is, how many lists it can train, the training.

use std::time::Instant;

use ann::codec::CodeKind;
use ann::factory::RotationKind;
use ann::kmeans::{Rows, TrainError, served};
use ann::parallel::{self, Job, WorkerError};
use ann::rng::Rng;
use ann::rules::{self, MIN_POINTS_PER_CENTROID};
use pgrx::{PgSqlErrorCode, pg_sys};

use super::build::{IndexSpec, memory_bytes_max, nlist_for};
use super::build_log;
use super::guc;
use super::heap_scan::Heap;
use super::insert::Placed;
use super::interrupts::check_for_interrupts;
use super::progress;
use super::quantizers::{OPQ_ROWS, Plan, Trained, phase_of, quantizers, quantizers_of_rows};
use super::recall_target::QUERIES_MAX;
use super::rel;
use super::report::Report;
pub use super::sample::Sample;
use super::sample::{Drawing, SampleFile, Store};
use super::value::{Column, Value};

/// Rows drawn where there are no lists to train: enough for a mean, for the ranges of stored vectors, and for a grid.
pub const ROWS_WITHOUT_LISTS: usize = 16_384;

/// Whose rows are trained on, and what for.
pub trait Source {
    /// An upper bound of the rows.
    fn rows_max(&self) -> u64;
    /// The most rows to draw.
    fn sample_max(&self) -> usize {
        usize::MAX
    }
    /// Calls `row` with each value that is not null: a vector of the element type that the caller knows of.
    fn each(&self, row: &mut dyn FnMut(pg_sys::Datum));
    /// What is trained, as messages begin: `index "t_v"`.
    fn subject(&self) -> String;
    /// How to train it once more, as hints end.
    fn again(&self) -> &'static str;
    /// Whether the user who waits asked for the training, and hears what could be better.
    fn is_asked_for(&self) -> bool {
        true
    }
}

impl Source for Heap {
    fn rows_max(&self) -> u64 {
        Heap::rows_max(self)
    }

    fn each(&self, row: &mut dyn FnMut(pg_sys::Datum)) {
        self.scan(|_tid, value| row(value), true);
    }

    fn subject(&self) -> String {
        format!("index \"{}\"", rel::name(self.index()))
    }

    fn again(&self) -> &'static str {
        "REINDEX"
    }
}

/// Why a sample trains nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Untrained {
    /// It is empty.
    NoRows,
    /// It has fewer vectors than this code needs.
    TooFew(usize, CodeKind),
    /// The automatic number of lists is one, and there is no code: nothing to learn.
    OneList,
}

/// How much training may take: what maintenance_work_mem has room for, in vectors of 32-bit floats.
#[derive(Clone, Copy)]
struct Room {
    vectors: usize,
}

impl Room {
    /// The centroids themselves, and once more in the order in which assignment reads them.
    const VECTORS_PER_LIST: usize = 2;
    /// Centroids that leave less than a quarter of the memory come on top of it, up to this multiple of the memory.
    const CENTROIDS_MAX: usize = 8;
    /// With fewer rows a list in memory, those that it has no room for go to a file.
    const POINTS_PER_LIST: usize = 64;

    fn of(dims: usize) -> Self {
        Self { vectors: memory_bytes_max() / (dims.max(1) * size_of::<f32>()) }
    }

    /// The most lists there is room for.
    fn nlist_max(self) -> u32 {
        let nlist = self.vectors * Self::CENTROIDS_MAX / Self::VECTORS_PER_LIST;
        u32::try_from(nlist).unwrap_or(u32::MAX).max(1)
    }

    /// The rows that there is room for beside the centroids.
    fn beside(self, nlist: u32) -> usize {
        let centroids = nlist as usize * Self::VECTORS_PER_LIST;
        self.vectors.saturating_sub(centroids).max(self.vectors / 4)
    }

    /// Of these, rows of a sample that is trained by levels in memory: the others are for working on parts of it.
    fn sample_by_levels(self, nlist: u32) -> usize {
        self.beside(nlist) / 8 * 7
    }

    /// Rows of a sample that is trained in one level.
    fn sample(self, nlist: u32) -> usize {
        let centroids = nlist as usize * Self::VECTORS_PER_LIST;
        self.vectors.saturating_sub(centroids).max(nlist as usize)
    }
}

/// For vectors of `dims` dimensions: the lists that an index of `rows` rows gets by rule, as far as maintenance_work_mem
/// has room for their centroids; and whether it has room for a rotation.
pub fn affordable(dims: usize, rows: u64) -> (u32, bool) {
    let room = Room::of(dims);
    (rules::optimal_nlist(rows).min(room.nlist_max()), 2 * dims <= room.vectors)
}

/// Whether memory has room for what an index of `rows` rows is trained to: without that a training raises 54000.
pub fn has_room(spec: &IndexSpec, rows: u64) -> bool {
    let room = Room::of(spec.dims);
    let has_matrix = spec.code.is_some_and(|code| code.rotation.has_matrix());
    u64::from(spec.nlist_option).min(rows) <= u64::from(room.nlist_max())
        && (!has_matrix || 2 * spec.dims <= room.vectors)
}

/// The most centroids of `dims` dimensions that memory has room for.
pub fn nlist_max(dims: usize) -> u32 {
    Room::of(dims).nlist_max()
}

/// The rows that a training for `rows` rows draws at most.
pub fn rows_wanted(spec: &IndexSpec, rows: u64) -> usize {
    let nlist = nlist_for(spec, rows).min(Room::of(spec.dims).nlist_max());
    rules::training_sample(nlist).max(code_rows(spec))
}

/// Refuses a number of lists that the user asked for and there is no room for, unless the table is
/// so small that it gets fewer lists anyway.
fn require_room(spec: &IndexSpec, rows_max: u64) {
    let nlist_max = Room::of(spec.dims).nlist_max();
    if u64::from(spec.nlist_option).min(rows_max) <= u64::from(nlist_max) {
        return;
    }
    let (memory, times) = (memory_bytes_max() >> 20, Room::CENTROIDS_MAX);
    let bytes = spec.nlist_option as usize * Room::VECTORS_PER_LIST * spec.dims * size_of::<f32>();
    Report::new(
        PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        format!("maintenance_work_mem is too small for {} lists", spec.nlist_option),
    )
    .detail(format!(
        "Training them takes {} MB for their centroids, which may be {times} times maintenance_work_mem, {memory} MB.",
        bytes.div_ceil(1 << 20),
    ))
    .hint(format!("Increase maintenance_work_mem, or set nlist to {nlist_max} or less."))
    .error();
}

/// Refuses a rotation by a matrix that memory has no room for, which is held twice while it is made.
fn require_room_for_rotation(spec: &IndexSpec) {
    let has_matrix = spec.code.is_some_and(|code| code.rotation.has_matrix());
    let bytes = 2 * spec.dims * spec.dims * size_of::<f32>();
    if !has_matrix || bytes <= memory_bytes_max() {
        return;
    }
    Report::new(
        PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        format!("maintenance_work_mem is too small for a rotation of {} dimensions", spec.dims),
    )
    .detail(format!(
        "It takes {} MB; maintenance_work_mem is {} MB.",
        bytes.div_ceil(1 << 20),
        memory_bytes_max() >> 20
    ))
    .hint("Increase maintenance_work_mem, or leave out the rotation.")
    .error();
}

/// First pass over the table, whose vectors have elements of type `E`.
pub fn sample<E: Column>(source: &impl Source, spec: &IndexSpec) -> Sample {
    let dims = spec.dims;
    require_room(spec, source.rows_max());
    require_room_for_rotation(spec);
    let begin = Instant::now();
    let mut drawing = drawing(source, spec);
    source.each(&mut |value| {
        // SAFETY: the operator class says that the column holds vectors of E.
        let vector = unsafe { Heap::vector::<E>(value, dims) };
        if let Some(row) = Placed::new(spec.metric, vector.elements()) {
            drawing.offer(|to| E::widen(row.elements, to));
        }
    });
    let sample = drawing.finish();
    build_log::sampled(&source.subject(), &sample, begin.elapsed());
    sample
}

/// How many rows to draw, and how many of them memory has room for.
fn drawing(source: &impl Source, spec: &IndexSpec) -> Drawing {
    let (room, rows_max) = (Room::of(spec.dims), source.rows_max());
    let nlist = nlist_for(spec, rows_max).min(room.nlist_max());
    let wanted = rules::training_sample(nlist).max(code_rows(spec)).min(source.sample_max());
    let in_one_level = room.sample(nlist);
    let enough = (nlist as usize).saturating_mul(Room::POINTS_PER_LIST).min(wanted);
    let has_enough = enough as u64 <= in_one_level as u64 || rows_max <= in_one_level as u64;
    let (capacity, in_memory) = match () {
        () if !spec.method.has_lists => (in_one_level.min(wanted), in_one_level),
        () if rules::is_by_levels(nlist as usize) => (wanted, room.sample_by_levels(nlist)),
        () if has_enough => (in_one_level.min(wanted), in_one_level),
        () => (wanted, room.sample_by_levels(nlist)),
    };
    Drawing::new(spec.dims, capacity.max(1), in_memory, spec.seed)
}

/// Rows that training the code or its rotation would like to have.
fn code_rows(spec: &IndexSpec) -> usize {
    if spec.method.is_graph {
        return ROWS_WITHOUT_LISTS;
    }
    spec.code.map_or(0, |code| {
        let opq = matches!(code.rotation, RotationKind::Opq { .. });
        let rows = code.kind.training_rows().max(if opq { OPQ_ROWS } else { 0 });
        rows.max(if spec.method.has_lists { 0 } else { ROWS_WITHOUT_LISTS })
    })
}

/// Trains an index on the sample; one that cannot be trained yet works all the same, and is trained as rows come.
pub fn train(heap: &Heap, mut sample: Sample, spec: &IndexSpec) -> Trained {
    match choose_nlist(heap, &sample, spec) {
        Ok(nlist) => {
            let queries = sample.some(QUERIES_MAX, spec.dims);
            Trained { queries, ..learn(heap, sample, spec, nlist) }
        }
        Err(Untrained::NoRows | Untrained::TooFew(..) | Untrained::OneList) => Trained::untrained(),
    }
}

/// Trains `nlist` lists and the code on the sample, on worker threads. Raises 53000 if that fails.
pub fn learn(source: &impl Source, sample: Sample, spec: &IndexSpec, nlist: u32) -> Trained {
    try_learn(source, sample, spec, nlist).unwrap_or_else(|what| failed(source, &what))
}

/// The same; or why it failed.
pub fn try_learn(
    source: &impl Source,
    mut sample: Sample,
    spec: &IndexSpec,
    nlist: u32,
) -> Result<Trained, String> {
    let k = nlist as usize;
    let wanted = rules::training_sample(nlist);
    let has_lists = spec.method.has_lists;
    let n = sample.n.min(if has_lists { wanted } else { wanted.max(code_rows(spec)) });
    warn_if_few(source, n, k);
    let begin = Instant::now();
    let room = Room::of(spec.dims);
    let result = match &mut sample.store {
        Store::Memory(points) => {
            shuffle(points, n.max(code_rows(spec)), spec);
            let beside = room.beside(nlist).saturating_sub(points.len() / spec.dims);
            let plan = Plan { n, k, room: beside.max(room.vectors / 8) };
            on_workers(|_| (), |job| quantizers(points, &plan, spec, job))
        }
        Store::Spilled(file) => learn_from_file(file, room, n, spec, nlist),
    };
    match result {
        Ok(Ok(trained)) => {
            build_log::trained(&source.subject(), &trained, k, begin.elapsed());
            Ok(trained)
        }
        Ok(Err(e)) => Err(e.to_string()),
        Err(e) => Err(e.to_string()),
    }
}

type Outcome = Result<Result<Trained, TrainError>, WorkerError>;

/// Runs a training; this thread answers interrupts, shows how far it is and calls `tick`.
fn on_workers(
    mut tick: impl FnMut(&Job),
    work: impl FnOnce(&Job) -> Result<Trained, TrainError> + Send,
) -> Outcome {
    let tick = |job: &Job| {
        check_for_interrupts();
        if let Some(phase) = phase_of(job) {
            progress::set_phase(phase);
        }
        tick(job);
    };
    parallel::run(guc::build_threads(), tick, work)
}

/// Trains on `n` rows of a file. The table may have turned out to be so small that they fit in memory.
fn learn_from_file(
    file: &mut SampleFile,
    room: Room,
    n: usize,
    spec: &IndexSpec,
    nlist: u32,
) -> Outcome {
    let k = nlist as usize;
    if let Err(e) = file.keep(n, spec.seed) {
        return Ok(Err(e));
    }
    if !rules::is_by_levels(k) && n <= room.sample(nlist) {
        let mut points = Vec::new();
        let read = file.read(std::slice::from_ref(&(0..n)), &mut points, &Job::default());
        let plan = Plan { n, k, room: room.beside(nlist) };
        return match read {
            Ok(()) => on_workers(|_| (), |job| quantizers(&mut points, &plan, spec, job)),
            Err(e) => Ok(Err(e)),
        };
    }
    let plan = Plan { n, k, room: room.beside(nlist) };
    let (server, mut rows) = served(n);
    let work = |job: &Job| quantizers_of_rows(&mut rows, &plan, spec, job);
    on_workers(|job| server.serve(file, job), work)
}

/// Brings a random part of `n` of the sampled rows to the front: the sample was drawn before the number of lists was
/// known, and its rows are in table order.
fn shuffle(points: &mut [f32], n: usize, spec: &IndexSpec) {
    let dims = spec.dims;
    let rows = points.len() / dims;
    let mut rng = Rng::new(spec.seed);
    if n < rows {
        for i in 0..n {
            let j = i + rng.below((rows - i) as u32) as usize;
            let (head, tail) = points.split_at_mut((i + 1) * dims);
            if j > i {
                let other = (j - i - 1) * dims;
                head[i * dims..].swap_with_slice(&mut tail[other..other + dims]);
            }
        }
    }
}

fn failed(source: &impl Source, what: &str) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES,
        format!("could not train {}: {what}", source.subject()),
    )
    .error()
}

/// The number of lists that the sample can train; a notice says if it is less than what was asked for.
pub fn choose_nlist(
    source: &impl Source,
    sample: &Sample,
    spec: &IndexSpec,
) -> Result<u32, Untrained> {
    if sample.n == 0 {
        return Err(Untrained::NoRows);
    }
    if let Some(code) = &spec.code
        && sample.n < code.kind.rows_min()
    {
        return Err(Untrained::TooFew(sample.n, code.kind));
    }
    let wanted = nlist_for(spec, sample.rows);
    let is_code_asked_for = spec.code.is_some() && !spec.is_code_chosen;
    if spec.nlist_option == 0 && wanted <= 1 && !is_code_asked_for {
        return Err(Untrained::OneList);
    }
    let vectors = u32::try_from(sample.n).unwrap_or(u32::MAX);
    let room = Room::of(spec.dims).nlist_max();
    let nlist = wanted.min(vectors).min(room);
    if nlist < wanted {
        let report = Report::new(
            PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
            format!("{} gets {nlist} lists instead of {wanted}", source.subject()),
        );
        if nlist < room {
            report.detail(format!("There are {vectors} vectors to train on.")).notice();
        } else {
            let memory = memory_bytes_max() >> 20;
            report
                .detail(format!("maintenance_work_mem, {memory} MB, has no room for more."))
                .hint(format!("Increase maintenance_work_mem and {}.", source.again()))
                .notice();
        }
    }
    Ok(nlist)
}

fn warn_if_few(source: &impl Source, n: usize, k: usize) {
    let wanted = k * MIN_POINTS_PER_CENTROID;
    // A single list is exact whatever its centroid.
    if n >= wanted || k == 1 || !source.is_asked_for() {
        return;
    }
    let remedy =
        format!("Choose fewer lists, or {} once the table holds more rows.", source.again());
    Report::new(
        PgSqlErrorCode::ERRCODE_WARNING,
        format!("{} is trained on too few vectors: {n} for {k} lists", source.subject()),
    )
    .detail(format!(
        "At least {wanted} are advised, {MIN_POINTS_PER_CENTROID} for each list. Recall at a given nprobe will be lower than it could be."
    ))
    .hint(remedy)
    .warning();
}
