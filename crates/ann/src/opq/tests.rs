//! OPQ on data where it must help, and where there is little to learn from.

use super::train_opq;
use crate::assign::assign_batch;
use crate::coarse::Coarse;
use crate::kernels::RowKernel;
use crate::kernels::product::Matrix;
use crate::kmeans::{KMeansParams, TrainError, kmeans};
use crate::metric::Metric;
use crate::parallel::{Job, run};
use crate::polar::from_identity;
use crate::product::multiply_all;
use crate::rng::Rng;
use crate::rotation::RotationMatrix;

const DIMS: usize = 128;

/// Normal vectors, unbalanced: column j, in shuffled order, is scaled by 0.95^j.
fn unbalanced(n: usize, seed: u64) -> Vec<f32> {
    let order = Rng::new(7).permutation(DIMS as u32);
    let mut rng = Rng::new(seed);
    let scales = || order.iter().map(|&j| 0.95f32.powi(j as i32));
    (0..n).flat_map(|_| scales().map(|scale| scale * rng.normal()).collect::<Vec<_>>()).collect()
}

/// What a product quantizer of `m` slices of 8 bits, trained on `train`, gives back for `base`.
fn decoded(train: &[f32], base: &[f32], m: usize) -> Vec<f32> {
    let (dsub, job) = (DIMS / m, Job::default());
    let mut out = vec![0.0; base.len()];
    for j in 0..m {
        let slice = |rows: &[f32]| -> Vec<f32> {
            rows.chunks(DIMS).flat_map(|row| &row[j * dsub..(j + 1) * dsub]).copied().collect()
        };
        let params = KMeansParams { n_iter: 25, ..KMeansParams::new(256, dsub, false) };
        let centroids = kmeans(&slice(train), &params, &job).unwrap();
        let n = base.len() / DIMS;
        let (mut codes, mut distances) = (vec![0; n], vec![0.0; n]);
        let coarse = Coarse { metric: Metric::L2, dims: dsub, centroids: &centroids };
        assign_batch(&coarse, &slice(base), &mut codes, &mut distances, &job);
        for (row, &code) in out.chunks_mut(DIMS).zip(&codes) {
            row[j * dsub..(j + 1) * dsub]
                .copy_from_slice(&centroids[code as usize * dsub..][..dsub]);
        }
    }
    out
}

/// How many of the queries have their nearest base vector among the 1, 10 and 100 nearest decoded ones.
fn recalls(base: &[f32], decoded: &[f32], queries: &[f32]) -> [usize; 3] {
    let mut found = [0; 3];
    let kernel = RowKernel::l2_sqr();
    let (mut exact, mut estimates) = (vec![0.0; base.len() / DIMS], vec![0.0; base.len() / DIMS]);
    for query in queries.chunks(DIMS) {
        kernel.distances(query, base, &mut exact);
        kernel.distances(query, decoded, &mut estimates);
        let nearest = (0..exact.len()).min_by(|&a, &b| exact[a].total_cmp(&exact[b])).unwrap();
        let rank = estimates.iter().filter(|estimate| **estimate < estimates[nearest]).count();
        for (found, k) in found.iter_mut().zip([1, 10, 100]) {
            *found += usize::from(rank < k);
        }
    }
    found
}

fn rotated(rotation: &RotationMatrix, points: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; points.len()];
    rotation.apply_batch(points, &mut out, &Job::default());
    out
}

fn far_from_orthonormal(rotation: &RotationMatrix) -> f32 {
    let rows = Matrix::of_rows(rotation.matrix(), rotation.dims());
    let mut square = vec![0.0; rotation.matrix().len()];
    multiply_all(rows, rows.transposed(), 0.0, &mut square, &Job::default());
    from_identity(&square, rotation.dims())
}

#[test]
fn beats_the_plain_quantizer_on_unbalanced_data() {
    let (train, base, queries) =
        (unbalanced(10_000, 1), unbalanced(10_000, 2), unbalanced(1000, 3));
    let plain = recalls(&base, &decoded(&train, &base, 4), &queries);
    let rotation = run(2, |_| (), |job| train_opq(&train, DIMS, 4, 1234, job)).unwrap().unwrap();
    assert!(far_from_orthonormal(&rotation) < 1e-5);
    let (train, base) = (rotated(&rotation, &train), rotated(&rotation, &base));
    let better = recalls(&base, &decoded(&train, &base, 4), &rotated(&rotation, &queries));
    assert!(better[1] > plain[1] && better[2] > plain[2], "OPQ {better:?}, PQ {plain:?}");
}

#[test]
fn is_the_same_on_any_number_of_threads() {
    let points = unbalanced(3000, 4);
    let on =
        |threads| run(threads, |_| (), |job| train_opq(&points, DIMS, 8, 5, job)).unwrap().unwrap();
    let one = on(1);
    assert_eq!(one, on(3));
    assert_eq!(one, train_opq(&points, DIMS, 8, 5, &Job::default()).unwrap());
}

#[test]
fn learns_from_little_and_from_flat_points() {
    let points = unbalanced(40, 4);
    for (n, dims, m) in [(1, 128, 4), (2, 64, 64), (40, 128, 1), (5000, 1, 1), (300, 16, 4)] {
        let rotation = train_opq(&points[..n * dims], dims, m, 1, &Job::default()).unwrap();
        assert!(far_from_orthonormal(&rotation) < 1e-5, "{n} {dims} {m}");
    }
    // Only three directions of sixteen say anything; then nothing does.
    let mut flat = unbalanced(1000, 9)[..1000 * 16].to_vec();
    for kept in [3, 0] {
        flat.chunks_mut(16).for_each(|row| row[kept..].fill(0.25));
        let rotation = train_opq(&flat, 16, 4, 1, &Job::default()).unwrap();
        assert!(far_from_orthonormal(&rotation) < 1e-5);
    }
}

#[test]
fn refuses_what_is_no_training_set() {
    let job = Job::default();
    let shape = |points, m, dims| Err(TrainError::Shape { points, k: m, dims });
    assert_eq!(train_opq(&[0.0; 30], 10, 3, 1, &job), shape(3, 3, 10));
    assert_eq!(train_opq(&[0.0; 30], 10, 0, 1, &job), shape(3, 0, 10));
    assert_eq!(train_opq(&[0.0; 30], 0, 1, 1, &job), shape(0, 1, 0));
    let none = Err(TrainError::TooFewPoints { points: 0, k: 1 });
    assert_eq!(train_opq(&[], 10, 2, 1, &job), none);
    let broken = train_opq(&[0.0, 1.0, 2.0, f32::NAN], 2, 1, 1, &job);
    assert_eq!(broken, Err(TrainError::NotFinite { row: 1 }));
}

#[test]
fn cancelling_ends_it() {
    let points = unbalanced(3000, 4);
    let job = Job::default();
    job.cancel();
    assert_eq!(train_opq(&points, DIMS, 8, 5, &job), Err(TrainError::Cancelled));
    let cancel_at_turn_2 = |job: &Job| {
        if job.step() >= 2 {
            job.cancel()
        }
    };
    let halfway = run(1, cancel_at_turn_2, |job| train_opq(&points, DIMS, 8, 5, job)).unwrap();
    assert_eq!(halfway, Err(TrainError::Cancelled));
}
