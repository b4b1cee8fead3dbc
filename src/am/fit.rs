//! How well rows fit what an index was trained to: measured by a build over its rows, and later over a sample, so that
//! both can be compared.

use ann::coarse::Coarse;
use ann::codec::{CodeKind, CodeLoss, Codec, Coding};
use ann::extent;
use ann::metric::Metric;
use ann::middle::Mean;
use ann::rng::Rng;
use pages::lists::meta::Fit;

/// Comparing rows with their codes takes much longer than comparing them with their centroids. Of each of the first batches
/// this many rows are compared with their codes,
const CODES_FIRST: usize = 1024;
/// and of each later batch one in this many.
const ROWS_PER_CODE: usize = 32;
/// A batch is a later one once this many rows were compared with their codes.
const CODES_ENOUGH: u64 = 4096;
const SEED: u64 = 1234;

/// The mean errors of some rows against their centroids and their codes.
#[derive(Clone, Default)]
pub struct Errors {
    pub coarse: Mean,
    pub code: Mean,
}

impl Errors {
    /// Of `points`, as they were assigned: with what `Assigner` found of them.
    pub fn against_centroids(
        coarse: &Coarse<'_>,
        points: &[f32],
        coarse_distances: &[f32],
    ) -> Self {
        let mut errors = Self::default();
        let rows = points.chunks_exact(coarse.dims.max(1));
        for (point, distance) in rows.zip(coarse_distances) {
            errors.coarse.add(coarse_error(coarse.metric, point, *distance));
        }
        errors
    }

    /// Adds what the codes of these rows lose.
    pub fn add_codes(
        &mut self,
        loss: &mut CodeLoss,
        coarse: &Coarse<'_>,
        points: &[f32],
        list_nos: &[u32],
        rows: impl Iterator<Item = usize>,
    ) {
        for row in rows {
            let point = points.get(row * coarse.dims..(row + 1) * coarse.dims);
            let (Some(point), Some(list_no)) = (point, list_nos.get(row)) else { return };
            self.code.add(loss.of(point, coarse.centroid(*list_no)));
        }
    }

    fn merge(&mut self, other: &Self) {
        self.coarse.merge(&other.coarse);
        self.code.merge(&other.code);
    }
}

/// As `pages::lists::meta::Fit` says it. Scaling the vectors scales it, moving them does not where the metric does not care.
fn coarse_error(metric: Metric, point: &[f32], distance: f32) -> f32 {
    match metric {
        Metric::L2 | Metric::L1 | Metric::Hamming | Metric::Jaccard => distance.max(0.0),
        Metric::InnerProduct => (extent::norm(point) as f32 + distance).max(0.0),
        Metric::Cosine => {
            let norm = extent::norm(point) as f32;
            if norm > 0.0 { (1.0 + distance / norm).max(0.0) } else { 0.0 }
        }
    }
}

/// Measures the rows of a build.
pub struct FitMeter {
    errors: Errors,
    loss: Option<CodeLoss>,
    /// Rows of each list.
    sizes: Vec<u64>,
    rng: Rng,
}

impl FitMeter {
    pub fn new(nlist: usize, code: Option<(CodeKind, usize, &Codec)>) -> Self {
        let loss = code.and_then(|(kind, dims, codec)| CodeLoss::new(kind, dims, codec.params()));
        Self { errors: Errors::default(), loss, sizes: vec![0; nlist], rng: Rng::new(SEED) }
    }

    /// Counts a batch in. Called on a worker thread.
    pub fn add(
        &mut self,
        coarse: &Coarse<'_>,
        points: &[f32],
        list_nos: &[u32],
        coarse_distances: &[f32],
    ) {
        let mut errors = Errors::against_centroids(coarse, points, coarse_distances);
        if let Some(loss) = &mut self.loss {
            let n = list_nos.len();
            let few =
                if self.errors.code.n() < CODES_ENOUGH { CODES_FIRST } else { n / ROWS_PER_CODE };
            // At random: what comes in turns must not decide by its turn whether it is looked at.
            let rows = spread(n, few.clamp(1, n.max(1)), &mut self.rng);
            errors.add_codes(loss, coarse, points, list_nos, rows);
        }
        self.errors.merge(&errors);
        for list_no in list_nos {
            if let Some(size) = self.sizes.get_mut(*list_no as usize) {
                *size += 1;
            }
        }
    }

    /// Rows of each list.
    pub fn sizes(&self) -> &[u64] {
        &self.sizes
    }

    /// What the metapage keeps.
    pub fn fit(&self, table_blocks: u32) -> Fit {
        let known = |mean: &Mean| mean.value().unwrap_or_default() as f32;
        Fit {
            coarse_error: known(&self.errors.coarse),
            code_error: known(&self.errors.code),
            table_blocks,
            imbalance_factor: imbalance_factor(&self.sizes) as f32,
        }
    }
}

/// One random number of each of `k` equal parts of 0..`n`; all of them where there are no more.
pub fn spread(n: usize, k: usize, rng: &mut Rng) -> impl Iterator<Item = usize> {
    let bound = move |i: usize| n * i / k;
    (0..k).filter(move |i| bound(*i) < bound(i + 1)).map(move |i| {
        let (low, high) = (bound(i), bound(i + 1));
        low + rng.below((high - low) as u32) as usize
    })
}

/// FAISS's measure of how uneven lists are; 0 without rows.
pub fn imbalance_factor(sizes: &[u64]) -> f64 {
    let n: f64 = sizes.iter().map(|size| *size as f64).sum();
    let squares: f64 = sizes.iter().map(|size| (*size as f64).powi(2)).sum();
    if n > 0.0 { squares * sizes.len() as f64 / (n * n) } else { 0.0 }
}
