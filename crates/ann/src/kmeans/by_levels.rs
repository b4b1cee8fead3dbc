//! K-means by levels, for very many centroids or more rows than memory holds: Lloyd's iterations whose assignment looks at the
//! centroids of a few groups alone, and which read the rows a block at a time.
//!
//! One level costs rows × centroids × iterations. In groups of √k of the k centroids it is a few times rows × √k.
//! The centroids begin as random rows, as they do with one level, because clusters then become as uneven as there: a query that
//! probes the same number of lists finds the same. Centroids that are divided among groups of rows beforehand fit the rows as well
//! with fewer iterations, but at equal probes a query found up to 2 in 100 neighbours less.

use super::members::Members;
use super::{KMeansParams, Rows, TrainError, check_finite, fit_in, split_empty};
use crate::coarse::Coarse;
use crate::groups::Groups;
use crate::metric::Metric;
use crate::parallel::Job;
use crate::rng::Rng;
use std::slice::from_ref;

/// Groups that a row is compared with: nineteen in twenty rows have their nearest centroid in one of them.
const PROBES: usize = 6;
/// A block of rows is held twice: as read, and less the middle of the centroids.
const COPIES: usize = 2;
/// Donors for empty clusters are drawn from this stream.
const SPLIT_SEED: u64 = 1234;

/// What to train, and how much memory there is.
#[derive(Clone, Copy, Debug)]
pub struct LevelParams {
    /// Centroids, seed, kind, iterations.
    pub kmeans: KMeansParams,
    /// Rows held in memory at once, beside the centroids and a second copy of them.
    pub room: usize,
}

/// Clusters `rows` and returns centroids as [`super::kmeans`] does. The same rows, seed and room
/// give the same centroids whatever the number of threads. Runs on the pool it is called in; publishes iteration i of n.
pub fn kmeans_by_levels(
    rows: &mut dyn Rows,
    params: &LevelParams,
    job: &Job,
) -> Result<Vec<f32>, TrainError> {
    let KMeansParams { k, dims, n_iter, .. } = params.kmeans;
    let n = rows.n();
    if k == 0 || dims == 0 || n > u32::MAX as usize {
        return Err(TrainError::Shape { points: n, k, dims });
    }
    if n < k {
        return Err(TrainError::TooFewPoints { points: n, k });
    }
    job.progress(1.min(n_iter as u64), n_iter as u64);
    let mut centroids = initial(rows, &params.kmeans, job)?;
    if n == k {
        check_finite(&centroids, dims, job)?;
        return Ok(centroids);
    }
    let mut rng = Rng::new(SPLIT_SEED);
    for iteration in 1..=n_iter {
        job.progress(iteration as u64, n_iter as u64);
        let sizes = iterate(rows, &mut centroids, params, job)?;
        split_empty(sizes, &mut centroids, dims, &mut rng);
        fit_in(&mut centroids, &params.kmeans);
    }
    Ok(centroids)
}

/// k distinct rows, drawn by a permutation as for one level; all of them in their order when there are no more.
fn initial(rows: &mut dyn Rows, params: &KMeansParams, job: &Job) -> Result<Vec<f32>, TrainError> {
    let KMeansParams { k, dims, seed, .. } = *params;
    let mut centroids = Vec::with_capacity(k * dims);
    if rows.n() == k {
        rows.read(from_ref(&(0..k)), &mut centroids, job)?;
    } else {
        let order = Rng::new(seed.wrapping_add(1)).permutation(rows.n() as u32);
        let one = |row: &u32| *row as usize..*row as usize + 1;
        let ranges: Vec<_> = order.iter().take(k).map(one).collect();
        rows.read(&ranges, &mut centroids, job)?;
    }
    fit_in(&mut centroids, params);
    Ok(centroids)
}

/// Moves each centroid to the mean of its rows; returns how many these are.
fn iterate(
    rows: &mut dyn Rows,
    centroids: &mut [f32],
    params: &LevelParams,
    job: &Job,
) -> Result<Vec<u32>, TrainError> {
    let KMeansParams { k, dims, spherical, .. } = params.kmeans;
    let metric = if spherical { Metric::InnerProduct } else { Metric::L2 };
    let groups = Groups::new(&Coarse { metric, dims, centroids }, job)?.with_probes(PROBES);
    let (n, block) = (rows.n(), (params.room / COPIES).max(1));
    let (mut points, mut nearest) = (Vec::new(), Vec::new());
    let mut sizes = vec![0u32; k];
    for first in (0..n).step_by(block) {
        let range = first..n.min(first + block);
        rows.read(from_ref(&range), &mut points, job)?;
        check_finite(&points, dims, job).map_err(|error| match error {
            TrainError::NotFinite { row } => TrainError::NotFinite { row: first + row },
            error => error,
        })?;
        nearest.clear();
        nearest.resize(range.len(), 0);
        groups.nearest(&points, &mut nearest, job);
        let members = Members::group(&nearest, k, job);
        members.means(&points, centroids, dims, &sizes, job);
        sizes.iter_mut().zip(members.sizes()).for_each(|(size, more)| *size += more);
        if job.cancelled() {
            return Err(TrainError::Cancelled);
        }
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests;
