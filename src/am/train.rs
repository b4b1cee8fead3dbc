//! The first half of a build: the training sample and k-means.

use ann::coarse::Coarse;
use ann::element::Element;
use ann::kmeans::{KMeansParams, kmeans};
use ann::metric::Metric;
use ann::parallel;
use ann::rng::{Reservoir, Rng};
use ann::rules::{MAX_POINTS_PER_CENTROID, MIN_POINTS_PER_CENTROID};
use pgrx::PgSqlErrorCode;

use super::build::{Frozen, memory_bytes_max, nlist_for};
use super::guc;
use super::heap_scan::Heap;
use super::insert::Placed;
use super::interrupts::check_for_interrupts;
use super::progress::{self, Phase};
use super::report::Report;

/// Rows drawn at random over the whole table, in random order of arrival.
pub struct Sample {
    /// n × dims; unit vectors under cosine.
    points: Vec<f32>,
    /// Rows drawn.
    n: usize,
    /// Rows that can be indexed, seen by the pass.
    rows: u64,
    /// Whether memory, not the table, set the size of the sample.
    cut_by_memory: bool,
}

/// The coarse quantizer of a new index.
pub struct Trained {
    /// Rows it was trained on; 0 = untrained.
    pub rows: u64,
    /// nlist × dims.
    pub centroids: Vec<f32>,
}

impl Trained {
    /// One list, no coarse step: exact, and right for an empty table.
    pub fn untrained() -> Self {
        Self { rows: 0, centroids: Vec::new() }
    }

    pub fn is_trained(&self) -> bool {
        self.rows > 0
    }

    pub fn coarse<'a>(&'a self, frozen: &Frozen) -> Coarse<'a> {
        Coarse { metric: frozen.metric, dims: frozen.dims, centroids: &self.centroids }
    }
}

/// How many rows a sample may hold. Three quarters of maintenance_work_mem go to the sample; the
/// centroids and k-means' working blocks take the rest.
fn sample_rows_max(frozen: &Frozen, rows_max: u64) -> usize {
    let row_bytes = frozen.dims * size_of::<f32>();
    let by_memory = memory_bytes_max() / 4 * 3 / row_bytes;
    let nlist = nlist_for(frozen, rows_max);
    let wanted = nlist as usize * MAX_POINTS_PER_CENTROID;
    by_memory.min(wanted).max(1)
}

/// First pass over the table.
pub fn sample<E: Element>(heap: &Heap, frozen: &Frozen) -> Sample {
    let dims = frozen.dims;
    let capacity = sample_rows_max(frozen, heap.rows_max());
    let mut reservoir = Reservoir::new(capacity, frozen.seed);
    let mut points: Vec<f32> = Vec::new();
    let mut n = 0;
    heap.scan(
        |_tid, value| {
            // SAFETY: the operator class says that the column holds vectors of E.
            let vector = unsafe { Heap::vector::<E>(value, dims) };
            let Some(row) = Placed::new(frozen.metric, vector.elements()) else { return };
            let Some(slot) = reservoir.offer() else { return };
            if slot == n {
                n += 1;
                points.resize(n * dims, 0.0);
            }
            let scale = match frozen.metric {
                Metric::Cosine => 1.0 / row.norm_sqr.sqrt(),
                _ => 1.0,
            };
            if let Some(to) = points.get_mut(slot * dims..(slot + 1) * dims) {
                to.iter_mut().zip(row.elements).for_each(|(t, x)| *t = x.to_f32() * scale);
            }
        },
        true,
    );
    Sample { points, n, rows: reservoir.seen(), cut_by_memory: capacity_is_memory(frozen, n) }
}

fn capacity_is_memory(frozen: &Frozen, n: usize) -> bool {
    (n + 1) * frozen.dims * size_of::<f32>() > memory_bytes_max() / 4 * 3
}

/// k-means over the sample, on worker threads.
pub fn train(mut sample: Sample, frozen: &Frozen) -> Trained {
    let Some(nlist) = choose_nlist(&sample, frozen) else { return Trained::untrained() };
    let k = nlist as usize;
    let n = sample.n.min(k * MAX_POINTS_PER_CENTROID);
    warn_if_few(&sample, n, k);
    let spherical = frozen.metric != Metric::L2;
    let params = KMeansParams { seed: frozen.seed, ..KMeansParams::new(k, frozen.dims, spherical) };
    let points = draw(&mut sample.points, n, frozen);
    let result = parallel::run(
        guc::build_threads(),
        |job| {
            check_for_interrupts();
            let (iteration, n_iter) = (job.step() as u32, job.total() as u32);
            if n_iter > 0 {
                progress::set_phase(Phase::KMeans { iteration, n_iter });
            }
        },
        |job| kmeans(points, &params, job),
    );
    match result {
        Ok(Ok(centroids)) => Trained { rows: n as u64, centroids },
        Ok(Err(e)) => failed(&e.to_string()),
        Err(e) => failed(&e.to_string()),
    }
}

/// A random part of `n` of the sampled rows: the sample was drawn before the number of lists was
/// known, and its rows are in table order.
fn draw<'a>(points: &'a mut [f32], n: usize, frozen: &Frozen) -> &'a [f32] {
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
    &points[..n * dims]
}

fn failed(what: &str) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES,
        format!("could not train the index: {what}"),
    )
    .error()
}

/// The number of lists, or None to leave the index untrained.
fn choose_nlist(sample: &Sample, frozen: &Frozen) -> Option<u32> {
    if sample.n == 0 {
        Report::new(
            PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
            "index is untrained because the table has no vectors yet",
        )
        .detail("It works, exactly, as one inverted list.")
        .hint("REINDEX it once the table holds the data.")
        .notice();
        return None;
    }
    let nlist = nlist_for(frozen, sample.rows);
    if frozen.nlist_option == 0 && nlist <= 1 {
        return None;
    }
    let most = u32::try_from(sample.n).unwrap_or(u32::MAX);
    if nlist > most {
        Report::new(
            PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
            format!("index gets {most} lists instead of {nlist}"),
        )
        .detail(format!("There are {} vectors to train on.", sample.n))
        .notice();
    }
    Some(nlist.min(most))
}

fn warn_if_few(sample: &Sample, n: usize, k: usize) {
    let wanted = k * MIN_POINTS_PER_CENTROID;
    if n >= wanted {
        return;
    }
    let remedy = if sample.cut_by_memory {
        "Increase maintenance_work_mem, or choose fewer lists."
    } else {
        "Choose fewer lists, or REINDEX once the table holds more rows."
    };
    Report::new(
        PgSqlErrorCode::ERRCODE_WARNING,
        format!("training on {n} vectors for {k} lists, at least {wanted} are advised"),
    )
    .detail("Recall at a given faiss.nprobe will be lower than it could be.")
    .hint(remedy)
    .warning();
}
