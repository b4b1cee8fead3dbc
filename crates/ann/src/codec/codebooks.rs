//! Training of a product quantizer (Jégou, Douze and Schmid 2011): k-means in each of m sub-spaces.

use crate::kmeans::{KMeansParams, TrainError, kmeans_observed};
use crate::parallel::Job;
use crate::rng::Rng;
use rayon::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

/// Iterations of each k-means, as FAISS takes for a product quantizer.
const N_ITER: usize = 25;
/// Points per centroid that FAISS trains with at most.
pub const POINTS_PER_CENTROID: usize = 256;

/// Clusters each of the `m` sub-spaces of `points` (row-major) into 2^`nbits` centroids and returns them as FAISS stores
/// them: sub-quantizer, centroid, component (`dims / m` each). Of more points than FAISS would use, a seeded sample is
/// used. Runs on the pool it is called in (see `parallel::run`) and publishes iterations, those of all
/// sub-spaces together. The same points and seed give the same codebooks on any number of threads.
pub fn train_codebooks(
    points: &[f32],
    dims: usize,
    m: usize,
    nbits: u8,
    seed: u64,
    job: &Job,
) -> Result<Vec<f32>, TrainError> {
    let k = 1usize.checked_shl(u32::from(nbits)).unwrap_or(0);
    let n = points.len().checked_div(dims).unwrap_or(0);
    if m == 0 || dims == 0 || !dims.is_multiple_of(m) || n > u32::MAX as usize {
        return Err(TrainError::Shape { points: n, k, dims });
    }
    if n < k {
        return Err(TrainError::TooFewPoints { points: n, k });
    }
    let dsub = dims / m;
    let rows = sample(n, k.saturating_mul(POINTS_PER_CENTROID), seed);
    let done = AtomicU64::new(0);
    let one = |sub: usize, codebook: &mut [f32]| {
        let params = KMeansParams { k, dims: dsub, n_iter: N_ITER, seed, spherical: false };
        let starts = rows.iter().map(|&row| row as usize * dims + sub * dsub);
        let slice: Vec<f32> = starts.flat_map(|at| &points[at..at + dsub]).copied().collect();
        let trained = kmeans_observed(&slice, &params, job, |_, _| {
            let step = done.fetch_add(1, Ordering::Relaxed) + 1;
            job.progress(step, (m * N_ITER) as u64);
        });
        let trained = trained.map_err(|error| match error {
            TrainError::NotFinite { row } => TrainError::NotFinite { row: rows[row] as usize },
            error => error,
        })?;
        codebook.copy_from_slice(&trained);
        Ok(())
    };
    let mut codebooks = vec![0.0; dims * k];
    let books: Vec<_> = codebooks.chunks_mut((dsub * k).max(1)).enumerate().collect();
    // Outside a pool rayon would start its global one, whose threads take the server's signals.
    if rayon::current_thread_index().is_none() {
        books.into_iter().try_for_each(|(sub, book)| one(sub, book))?;
    } else {
        books.into_par_iter().try_for_each(|(sub, book)| one(sub, book))?;
    }
    Ok(codebooks)
}

/// The rows to train with: all, or `most` of them drawn at random.
fn sample(n: usize, most: usize, seed: u64) -> Vec<u32> {
    if n <= most {
        return (0..n as u32).collect();
    }
    let mut rows = Rng::new(seed).permutation(n as u32);
    rows.truncate(most);
    rows.sort_unstable();
    rows
}

#[cfg(test)]
mod tests {
    use super::train_codebooks;
    use crate::kmeans::TrainError;
    use crate::parallel::{Job, run};
    use crate::rng::Rng;

    fn uniform(n: usize, seed: u64) -> Vec<f32> {
        let mut rng = Rng::new(seed);
        (0..n).map(|_| rng.unit()).collect()
    }

    #[test]
    fn any_number_of_threads_trains_the_same() {
        let points = uniform(5000 * 12, 1);
        let alone = train_codebooks(&points, 12, 4, 4, 7, &Job::default()).unwrap();
        assert_eq!(alone.len(), 12 * 16);
        for threads in [1, 3] {
            let work = |job: &Job| train_codebooks(&points, 12, 4, 4, 7, job).unwrap();
            assert_eq!(run(threads, |_| (), work).unwrap(), alone);
        }
    }

    #[test]
    fn a_sub_space_has_its_own_centroids() {
        let points = uniform(2000 * 6, 2);
        let both = train_codebooks(&points, 6, 2, 4, 7, &Job::default()).unwrap();
        let second: Vec<f32> = points.chunks(6).flat_map(|row| row[3..].to_vec()).collect();
        let alone = train_codebooks(&second, 3, 1, 4, 7, &Job::default()).unwrap();
        assert_eq!(both[3 * 16..], alone);
    }

    #[test]
    fn what_cannot_be_trained() {
        let job = Job::default();
        let mut points = uniform(5000 * 4, 3);
        let error = train_codebooks(&points, 4, 3, 4, 1, &job);
        assert_eq!(error, Err(TrainError::Shape { points: 5000, k: 16, dims: 4 }));
        let error = train_codebooks(&points[..60], 4, 2, 4, 1, &job);
        assert_eq!(error, Err(TrainError::TooFewPoints { points: 15, k: 16 }));
        for x in &mut points[4 * 1000..] {
            *x = f32::NAN;
        }
        // Only a sample is looked at; the row is named by its place among all.
        let error = train_codebooks(&points, 4, 2, 4, 1, &job).unwrap_err();
        assert!(matches!(error, TrainError::NotFinite { row: 1000.. }), "{error:?}");
        job.cancel();
        assert_eq!(train_codebooks(&points, 4, 2, 4, 1, &job), Err(TrainError::Cancelled));
    }
}
