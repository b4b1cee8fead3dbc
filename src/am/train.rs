//! The first half of a build, and all of `faiss.train`: the training sample, how many lists it can train, the training.

use std::time::Instant;

use ann::codec::CodeKind;
use ann::extent;
use ann::factory::RotationKind;
use ann::parallel;
use ann::rng::{Reservoir, Rng};
use ann::rules::{self, MAX_POINTS_PER_CENTROID, MIN_POINTS_PER_CENTROID};
use pgrx::{PgSqlErrorCode, pg_sys};

use super::build::{Frozen, memory_bytes_max, nlist_for};
use super::build_log;
use super::guc;
use super::heap_scan::Heap;
use super::insert::Placed;
use super::interrupts::check_for_interrupts;
use super::progress;
use super::quantizers::{OPQ_ROWS, Trained, phase_of, quantizers};
use super::rel;
use super::report::Report;
use super::value::{Column, Value};

/// Rows drawn where there are no lists to train: enough for a mean, for the ranges of stored vectors, and for a grid.
const ROWS_WITHOUT_LISTS: usize = 16_384;

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

/// Rows drawn at random over the whole table, in random order of arrival.
pub struct Sample {
    /// n × dims, as the column has them, none too long for arithmetic.
    points: Vec<f32>,
    /// Rows drawn.
    n: usize,
    /// Rows that can be indexed, seen by the pass.
    pub rows: u64,
    /// Whether memory, not the table, set the size of the sample.
    cut_by_memory: bool,
}

impl Sample {
    /// A sample drawn elsewhere, n × dims.
    pub fn of(points: Vec<f32>, dims: usize) -> Self {
        let n = points.len() / dims.max(1);
        Self { points, n, rows: n as u64, cut_by_memory: false }
    }

    /// Rows drawn for the grid of a graph at most.
    pub fn rows_max_of_graph(dims: usize) -> usize {
        let vectors = memory_bytes_max() / (dims.max(1) * size_of::<f32>());
        vectors.clamp(1, ROWS_WITHOUT_LISTS)
    }

    /// Rows drawn.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Rows that can be indexed, seen by the pass.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// n × dims, as the column has them.
    pub fn into_points(self) -> Vec<f32> {
        self.points
    }
}

/// How much training may take: what maintenance_work_mem has room for, in vectors of 32-bit floats.
struct Room {
    vectors: usize,
}

impl Room {
    /// The centroids themselves, and once more in the order in which assignment reads them.
    const VECTORS_PER_LIST: usize = 2;
    /// Fewer lists are better than an automatic number of which each was trained on less than this.
    const POINTS_PER_AUTOMATIC_LIST: usize = 8;

    fn of(frozen: &Frozen) -> Self {
        Self { vectors: memory_bytes_max() / Self::vector_bytes(frozen) }
    }

    fn vector_bytes(frozen: &Frozen) -> usize {
        frozen.dims * size_of::<f32>()
    }

    /// Vectors that a list needs: its centroid, and points to train it on.
    fn vectors_per_list(frozen: &Frozen) -> usize {
        let automatic = frozen.nlist_option == 0;
        Self::VECTORS_PER_LIST + if automatic { Self::POINTS_PER_AUTOMATIC_LIST } else { 1 }
    }

    /// The most lists there is room for.
    fn nlist_max(&self, frozen: &Frozen) -> u32 {
        u32::try_from(self.vectors / Self::vectors_per_list(frozen)).unwrap_or(u32::MAX).max(1)
    }

    /// The rows of the sample that there is room for beside the centroids.
    fn sample_rows(&self, nlist: u32) -> usize {
        let centroids = nlist as usize * Self::VECTORS_PER_LIST;
        self.vectors.saturating_sub(centroids).max(nlist as usize)
    }
}

/// For vectors of so many dimensions: the lists that an index of `rows` rows gets by rule, as far as maintenance_work_mem
/// has room to train them; and whether it has room for a rotation.
pub fn affordable(dims: usize, rows: u64) -> (u32, bool) {
    let vectors = memory_bytes_max() / (dims.max(1) * size_of::<f32>());
    let room = vectors / (Room::VECTORS_PER_LIST + Room::POINTS_PER_AUTOMATIC_LIST);
    let room = u32::try_from(room).unwrap_or(u32::MAX).max(1);
    (rules::optimal_nlist(rows).min(room), 2 * dims <= vectors)
}

/// Refuses a number of lists that the user asked for and there is no room for, unless the table is
/// so small that it gets fewer lists anyway.
fn require_room(frozen: &Frozen, rows_max: u64) {
    let nlist_max = Room::of(frozen).nlist_max(frozen);
    if u64::from(frozen.nlist_option).min(rows_max) <= u64::from(nlist_max) {
        return;
    }
    let bytes =
        frozen.nlist_option as usize * Room::vectors_per_list(frozen) * Room::vector_bytes(frozen);
    Report::new(
        PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        format!("maintenance_work_mem is too small for {} lists", frozen.nlist_option),
    )
    .detail(format!(
        "Training them takes at least {} MB; maintenance_work_mem is {} MB.",
        bytes.div_ceil(1 << 20),
        memory_bytes_max() >> 20
    ))
    .hint(format!("Increase maintenance_work_mem, or set nlist to {nlist_max} or less."))
    .error();
}

/// Refuses a rotation that memory has no room for: the matrix, and as much again while it is made.
fn require_room_for_rotation(frozen: &Frozen) {
    let has_rotation = frozen.code.is_some_and(|code| code.rotation != RotationKind::None);
    let bytes = 2 * frozen.dims * Room::vector_bytes(frozen);
    if !has_rotation || bytes <= memory_bytes_max() {
        return;
    }
    Report::new(
        PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        format!("maintenance_work_mem is too small for a rotation of {} dimensions", frozen.dims),
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
pub fn sample<E: Column>(source: &impl Source, frozen: &Frozen) -> Sample {
    let dims = frozen.dims;
    require_room(frozen, source.rows_max());
    require_room_for_rotation(frozen);
    let room = Room::of(frozen);
    let nlist = nlist_for(frozen, source.rows_max()).min(room.nlist_max(frozen));
    let by_memory = room.sample_rows(nlist);
    let wanted = (nlist as usize * MAX_POINTS_PER_CENTROID).max(code_rows(frozen));
    let capacity = by_memory.min(wanted).min(source.sample_max()).max(1);
    let begin = Instant::now();
    let mut reservoir = Reservoir::new(capacity, frozen.seed);
    let mut points: Vec<f32> = Vec::new();
    let mut n = 0;
    source.each(&mut |value| {
        // SAFETY: the operator class says that the column holds vectors of E.
        let vector = unsafe { Heap::vector::<E>(value, dims) };
        let Some(row) = Placed::new(frozen.metric, vector.elements()) else { return };
        let Some(slot) = reservoir.offer() else { return };
        if slot == n {
            if points.capacity() < (n + 1) * dims {
                // A vector's own doubling could end at twice the memory there is room for.
                let rows = (2 * n).clamp(64, capacity.max(64));
                points.reserve_exact((rows - n) * dims);
            }
            n += 1;
            points.resize(n * dims, 0.0);
        }
        if let Some(to) = points.get_mut(slot * dims..(slot + 1) * dims) {
            E::widen(row.elements, to);
            extent::shorten(to);
        }
    });
    build_log::sampled(&source.subject(), n, reservoir.seen(), begin.elapsed());
    Sample { points, n, rows: reservoir.seen(), cut_by_memory: n == by_memory }
}

impl Sample {
    /// A copy of at most `n` rows from all over the sample.
    pub fn some(&self, n: usize, dims: usize) -> Vec<f32> {
        let every = self.n.div_ceil(n.max(1)).max(1);
        self.points.chunks_exact(dims).step_by(every).flatten().copied().collect()
    }
}

/// Rows that training the code or its rotation would like to have.
fn code_rows(frozen: &Frozen) -> usize {
    if frozen.method.is_graph {
        return ROWS_WITHOUT_LISTS;
    }
    frozen.code.map_or(0, |code| {
        let opq = matches!(code.rotation, RotationKind::Opq { .. });
        let rows = code.kind.training_rows().max(if opq { OPQ_ROWS } else { 0 });
        rows.max(if frozen.method.has_lists { 0 } else { ROWS_WITHOUT_LISTS })
    })
}

/// Trains an index on the sample; one that cannot be trained works all the same, and a notice says so.
pub fn train(heap: &Heap, sample: Sample, frozen: &Frozen) -> Trained {
    match choose_nlist(heap, &sample, frozen) {
        Ok(nlist) => learn(heap, sample, frozen, nlist),
        Err(why) => {
            match why {
                Untrained::NoRows => say_untrained(heap, frozen),
                Untrained::TooFew(n, kind) => say_too_few(heap, n, kind, frozen),
                Untrained::OneList => {}
            }
            Trained::untrained()
        }
    }
}

/// Trains `nlist` lists and the code on the sample, on worker threads.
pub fn learn(source: &impl Source, mut sample: Sample, frozen: &Frozen, nlist: u32) -> Trained {
    let k = nlist as usize;
    let wanted = k * MAX_POINTS_PER_CENTROID;
    let has_lists = frozen.method.has_lists;
    let n = sample.n.min(if has_lists { wanted } else { wanted.max(code_rows(frozen)) });
    warn_if_few(source, &sample, n, k);
    shuffle(&mut sample.points, n.max(code_rows(frozen)), frozen);
    let begin = Instant::now();
    let result = parallel::run(
        guc::build_threads(),
        |job| {
            check_for_interrupts();
            if let Some(phase) = phase_of(job) {
                progress::set_phase(phase);
            }
        },
        |job| quantizers(&mut sample.points, n, k, frozen, job),
    );
    match result {
        Ok(Ok(trained)) => {
            build_log::trained(&source.subject(), &trained, k, begin.elapsed());
            trained
        }
        Ok(Err(e)) => failed(source, &e.to_string()),
        Err(e) => failed(source, &e.to_string()),
    }
}

/// Brings a random part of `n` of the sampled rows to the front: the sample was drawn before the number of lists was
/// known, and its rows are in table order.
fn shuffle(points: &mut [f32], n: usize, frozen: &Frozen) {
    let dims = frozen.dims;
    let rows = points.len() / dims;
    let mut rng = Rng::new(frozen.seed);
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
    frozen: &Frozen,
) -> Result<u32, Untrained> {
    if sample.n == 0 {
        return Err(Untrained::NoRows);
    }
    if let Some(code) = &frozen.code
        && sample.n < code.kind.rows_min()
    {
        return Err(Untrained::TooFew(sample.n, code.kind));
    }
    let wanted = nlist_for(frozen, sample.rows);
    if frozen.nlist_option == 0 && wanted <= 1 && frozen.code.is_none() {
        return Err(Untrained::OneList);
    }
    let vectors = u32::try_from(sample.n).unwrap_or(u32::MAX);
    let room = Room::of(frozen).nlist_max(frozen);
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

/// Said once for each index, not again whenever its table is truncated.
fn say_untrained(heap: &Heap, frozen: &Frozen) {
    if !rel::is_new(heap.index()) && heap.rows_max() == 0 {
        return;
    }
    Report::new(
        PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
        format!("index \"{}\" is untrained: the table has no vectors yet", rel::name(heap.index())),
    )
    .detail(if frozen.method.has_lists {
        "It works, exactly, as one inverted list."
    } else {
        "It keeps vectors as they are, and works exactly."
    })
    .hint("REINDEX it once the table holds the data.")
    .notice();
}

fn say_too_few(heap: &Heap, n: usize, kind: CodeKind, frozen: &Frozen) {
    let works = match frozen.method.has_lists {
        true => "works, exactly, as one inverted list",
        false => "works exactly",
    };
    let name = rel::name(heap.index());
    Report::new(
        PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
        format!("index \"{name}\" is untrained: {n} vectors are too few to train {kind}"),
    )
    .detail(format!(
        "It takes at least {}. Until then the index keeps vectors as they are and {works}.",
        kind.rows_min()
    ))
    .hint("REINDEX it once the table holds more rows.")
    .notice();
}

fn warn_if_few(source: &impl Source, sample: &Sample, n: usize, k: usize) {
    let wanted = k * MIN_POINTS_PER_CENTROID;
    // A single list is exact whatever its centroid.
    if n >= wanted || k == 1 {
        return;
    }
    let remedy = if sample.cut_by_memory {
        "Increase maintenance_work_mem, or choose fewer lists.".to_owned()
    } else {
        format!("Choose fewer lists, or {} once the table holds more rows.", source.again())
    };
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
