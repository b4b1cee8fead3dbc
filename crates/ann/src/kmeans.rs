//! Training of the coarse quantizer: Lloyd's k-means (1982) with FAISS's rules.
//!
//! Initial centroids are distinct random points; a fixed number of iterations, ended early when no point changed its
//! cluster; an empty cluster takes over half of a donor. The spherical kind assigns by inner
//! product and keeps centroids at norm 1. The same points and seed give the same centroids, whatever
//! the number of threads: every cluster is summed in the order of its points.

use crate::assign::Assigner;
use crate::coarse::Coarse;
use crate::extent;
use crate::metric::Metric;
use crate::parallel::Job;
use crate::rng::Rng;

mod by_levels;
mod members;
mod rows;
mod served;

pub use by_levels::{LevelParams, kmeans_by_levels};
use members::Members;
pub use rows::{MemoryRows, Rows};
pub use served::{ServedRows, Server, served};

/// What the two halves of a split cluster differ by.
const SPLIT: f32 = 1.0 / 1024.0;
/// Donors are drawn from a stream of their own, as FAISS does.
const SPLIT_SEED: u64 = 1234;
/// Clusters whose sizes are summed together while a donor is drawn.
const DONOR_BLOCK: usize = 256;
/// Elements, or points, between two looks at the job's cancel flag.
const POLL_ELEMENTS: usize = 1 << 20;

/// What to train.
#[derive(Clone, Copy, Debug)]
pub struct KMeansParams {
    /// Centroids wanted.
    pub k: usize,
    /// Elements of a point.
    pub dims: usize,
    /// Iterations; FAISS's inverted files take 10.
    pub n_iter: usize,
    /// Decides the initial centroids.
    pub seed: u64,
    /// Assign by inner product and keep centroids at norm 1. Long points then weigh more: for cosine pass points
    /// through [`normalize`] first.
    pub spherical: bool,
}

impl KMeansParams {
    /// FAISS's defaults for an inverted file.
    pub fn new(k: usize, dims: usize, spherical: bool) -> Self {
        KMeansParams { k, dims, n_iter: 10, seed: 1234, spherical }
    }
}

/// Why there are no centroids.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TrainError {
    /// The job was cancelled.
    #[error("training was cancelled")]
    Cancelled,
    /// Fewer points than centroids.
    #[error("{points} training points are too few for {k} centroids")]
    TooFewPoints {
        /// Points given.
        points: usize,
        /// Centroids wanted.
        k: usize,
    },
    /// A NaN or an infinity.
    #[error("training point {row} is not finite")]
    NotFinite {
        /// The first such point, from 0.
        row: usize,
    },
    /// The rows lie in a file that gives them back no more.
    #[error("the training sample could not be read back")]
    Unreadable,
    /// No centroids or no dimensions were asked for, or more than 2³² points given.
    #[error("{points} training points, {k} centroids, {dims} dimensions are not a clustering")]
    Shape {
        /// Points given.
        points: usize,
        /// Centroids wanted.
        k: usize,
        /// Elements of a point.
        dims: usize,
    },
}

/// Divides each row by its norm; a zero row stays zero.
pub fn normalize(rows: &mut [f32], dims: usize) {
    rows.chunks_exact_mut(dims.max(1)).for_each(extent::normalize);
}

/// Clusters `points` (row-major, all of them: the caller has drawn the sample) and returns `k` centroids,
/// row-major. Runs on the pool it is called in (see `parallel::run`); publishes iteration i of n.
pub fn kmeans(points: &[f32], params: &KMeansParams, job: &Job) -> Result<Vec<f32>, TrainError> {
    let n_iter = params.n_iter as u64;
    job.progress(1.min(n_iter), n_iter);
    kmeans_observed(points, params, job, |iteration, _| {
        job.progress((iteration as u64 + 1).min(n_iter), n_iter);
    })
}

/// As [`kmeans`], but publishes no progress; tells the number of each iteration (from 1) and the objective of its assignment: the sum of
/// squared distances, or of inner products in the spherical kind.
pub fn kmeans_observed(
    points: &[f32],
    params: &KMeansParams,
    job: &Job,
    mut observe: impl FnMut(usize, f64),
) -> Result<Vec<f32>, TrainError> {
    let KMeansParams { k, dims, .. } = *params;
    let n = check(points, params, job)?;
    let mut centroids = initial(points, n, params);
    if n == k {
        return Ok(centroids);
    }
    let metric = if params.spherical { Metric::InnerProduct } else { Metric::L2 };
    let (mut assigned, mut distances) = (vec![0u32; n], vec![0.0f32; n]);
    let mut rng = Rng::new(SPLIT_SEED);
    let mut before = Vec::new();
    for iteration in 1..=params.n_iter {
        let coarse = Coarse { metric, dims, centroids: &centroids };
        Assigner::new(coarse).assign(points, &mut assigned, &mut distances, job);
        if job.cancelled() {
            return Err(TrainError::Cancelled);
        }
        let sum: f64 = distances.iter().map(|&distance| f64::from(distance)).sum();
        let objective = if params.spherical { -sum } else { sum };
        observe(iteration, objective);
        // The objective does not tell: a few points may be so far away that the others do not show in it.
        if assigned == before {
            break;
        }
        before.clone_from(&assigned);
        let members = Members::group(&assigned, k, job);
        members.means(points, &mut centroids, dims, &[], job);
        split_empty(members.sizes(), &mut centroids, dims, &mut rng);
        fit_in(&mut centroids, params);
        if job.cancelled() {
            return Err(TrainError::Cancelled);
        }
    }
    Ok(centroids)
}

/// The number of points, once everything is in order.
fn check(points: &[f32], params: &KMeansParams, job: &Job) -> Result<usize, TrainError> {
    let KMeansParams { k, dims, .. } = *params;
    let n = points.len().checked_div(dims).unwrap_or(0);
    if k == 0 || dims == 0 || n > u32::MAX as usize {
        return Err(TrainError::Shape { points: n, k, dims });
    }
    if n < k {
        return Err(TrainError::TooFewPoints { points: n, k });
    }
    check_finite(points, dims, job)?;
    Ok(n)
}

/// Refuses points with a NaN or an infinity.
pub(crate) fn check_finite(points: &[f32], dims: usize, job: &Job) -> Result<(), TrainError> {
    for (block, elements) in points.chunks(POLL_ELEMENTS).enumerate() {
        if job.cancelled() {
            return Err(TrainError::Cancelled);
        }
        if let Some(at) = elements.iter().position(|x| !x.is_finite()) {
            return Err(TrainError::NotFinite { row: (block * POLL_ELEMENTS + at) / dims.max(1) });
        }
    }
    Ok(())
}

/// k distinct points, drawn by a permutation; all of them in their order when there are no more.
fn initial(points: &[f32], n: usize, params: &KMeansParams) -> Vec<f32> {
    let KMeansParams { k, dims, seed, .. } = *params;
    let mut centroids = if n == k {
        points[..k * dims].to_vec()
    } else {
        let order = Rng::new(seed.wrapping_add(1)).permutation(n as u32);
        let rows = order.iter().take(k).map(|&i| i as usize * dims);
        rows.flat_map(|at| &points[at..at + dims]).copied().collect()
    };
    fit_in(&mut centroids, params);
    centroids
}

/// Centroids as [`Coarse`] has them.
fn fit_in(centroids: &mut [f32], params: &KMeansParams) {
    let fit = if params.spherical { extent::normalize } else { extent::shorten };
    centroids.chunks_exact_mut(params.dims).for_each(fit);
}

/// Gives every empty cluster half of a donor, drawn with probability proportional to its size − 1. Both halves
/// get the donor's centroid, scaled up and down by turns over the dimensions, so that they differ.
pub(crate) fn split_empty(mut sizes: Vec<u32>, centroids: &mut [f32], dims: usize, rng: &mut Rng) {
    let spare = |size: &u32| u64::from(size.saturating_sub(1));
    let total = |sizes: &[u32]| sizes.iter().map(spare).sum::<u64>();
    let mut blocks: Vec<u64> = sizes.chunks(DONOR_BLOCK).map(total).collect();
    for empty in 0..sizes.len() {
        if sizes[empty] != 0 {
            continue;
        }
        let all: u64 = blocks.iter().sum();
        if all == 0 {
            return;
        }
        let mut at = rng.below_u64(all);
        let mut donor = 0;
        for sum in &blocks {
            if at < *sum {
                break;
            }
            at -= sum;
            donor += DONOR_BLOCK;
        }
        while spare(&sizes[donor]) <= at {
            at -= spare(&sizes[donor]);
            donor += 1;
        }
        for c in [empty, donor] {
            blocks[c / DONOR_BLOCK] -= spare(&sizes[c]);
        }
        sizes[empty] = sizes[donor] / 2;
        sizes[donor] -= sizes[empty];
        for c in [empty, donor] {
            blocks[c / DONOR_BLOCK] += spare(&sizes[c]);
        }
        for j in 0..dims {
            let x = centroids[donor * dims + j];
            let up = if j % 2 == 0 { SPLIT } else { -SPLIT };
            centroids[empty * dims + j] = x * (1.0 + up);
            centroids[donor * dims + j] = x * (1.0 - up);
        }
    }
}

#[cfg(test)]
pub mod tests;
