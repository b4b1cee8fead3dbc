//! Training of the coarse quantizer: Lloyd's k-means (1982) with FAISS's rules.
//!
//! Initial centroids are distinct random points; a fixed number of iterations, ended early when no point changed its
//! cluster; an empty cluster takes over half of a donor. The spherical kind assigns by inner
//! product and keeps centroids at norm 1. The same points and seed give the same centroids, whatever
//! the number of threads: every cluster is summed in the order of its points.

use crate::assign::Assigner;
use crate::coarse::Coarse;
use crate::extent;
use crate::kernels::prefetch;
use crate::metric::Metric;
use crate::parallel::Job;
use crate::rng::Rng;
use rayon::prelude::*;

/// What the two halves of a split cluster differ by.
const SPLIT: f32 = 1.0 / 1024.0;
/// Donors are drawn from a stream of their own, as FAISS does.
const SPLIT_SEED: u64 = 1234;
/// Clusters whose sizes are summed together while a donor is drawn.
const DONOR_BLOCK: usize = 256;
/// Elements, or points, between two looks at the job's cancel flag.
const POLL_ELEMENTS: usize = 1 << 20;
/// Members ahead of the one being summed that are asked for: they lie anywhere in memory.
const AHEAD: usize = 4;

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
        members.means(points, &mut centroids, dims, job);
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

/// The points of each cluster, in their order.
struct Members {
    /// Cluster c owns `order[starts[c]..starts[c + 1]]`.
    starts: Vec<u32>,
    order: Vec<u32>,
}

impl Members {
    /// Counting sort by cluster; left unfinished when the job is cancelled.
    fn group(assigned: &[u32], k: usize, job: &Job) -> Self {
        let wanted = |_: &&[u32]| !job.cancelled();
        let mut starts = vec![0u32; k + 1];
        for &cluster in assigned.chunks(POLL_ELEMENTS).take_while(wanted).flatten() {
            starts[cluster as usize + 1] += 1;
        }
        for c in 0..k {
            starts[c + 1] += starts[c];
        }
        let mut next = starts.clone();
        let mut order = vec![0; assigned.len()];
        for (point, &cluster) in
            (0u32..).zip(assigned.chunks(POLL_ELEMENTS).take_while(wanted).flatten())
        {
            let slot = &mut next[cluster as usize];
            order[*slot as usize] = point;
            *slot += 1;
        }
        Members { starts, order }
    }

    fn sizes(&self) -> Vec<u32> {
        self.starts.windows(2).map(|ends| ends[1] - ends[0]).collect()
    }

    /// Moves each centroid to the mean of its points; an empty cluster's stays.
    fn means(&self, points: &[f32], centroids: &mut [f32], dims: usize, job: &Job) {
        let one = |sums: &mut Vec<f64>, c: usize, centroid: &mut [f32]| {
            let members = &self.order[self.starts[c] as usize..self.starts[c + 1] as usize];
            sums.clear();
            sums.resize(dims, 0.0);
            for group in members.chunks(POLL_ELEMENTS.div_ceil(dims)) {
                if job.cancelled() {
                    return;
                }
                let rows = |point: &u32| &points[*point as usize * dims..][..dims];
                for (i, row) in group.iter().map(rows).enumerate() {
                    if let Some(soon) = group.get(i + AHEAD) {
                        prefetch(bytemuck::cast_slice(rows(soon)));
                    }
                    for (sum, x) in sums.iter_mut().zip(row) {
                        *sum += f64::from(*x);
                    }
                }
            }
            if !members.is_empty() {
                for (x, sum) in centroid.iter_mut().zip(sums.iter()) {
                    *x = (sum / members.len() as f64) as f32;
                }
            }
        };
        // As in Assigner::assign: never wake rayon's global pool.
        if rayon::current_thread_index().is_none() {
            let mut sums = Vec::new();
            for (c, centroid) in centroids.chunks_mut(dims).enumerate() {
                one(&mut sums, c, centroid);
            }
        } else {
            let rows = centroids.par_chunks_mut(dims).enumerate();
            rows.for_each_init(Vec::new, |sums, (c, centroid)| one(sums, c, centroid));
        }
    }
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
