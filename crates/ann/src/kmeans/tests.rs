//! Properties that hold whatever the data: FAISS's own checks and ours.

use super::{KMeansParams, TrainError, kmeans, kmeans_observed, normalize, split_empty};
use crate::assign::assign_batch;
use crate::coarse::Coarse;
use crate::kernels::norm_sqr;
use crate::metric::Metric;
use crate::parallel::{Job, run};
use crate::rng::Rng;

/// A curved cloud of 10 dimensions in 32 ("sine ellipsoid"): harder than a uniform one, like real data.
pub fn ellipsoid(n: usize, seed: u64) -> Vec<f32> {
    const INNER: usize = 10;
    const DIMS: usize = 32;
    let mut rng = Rng::new(seed);
    let mut normal = |_| (0..12).map(|_| rng.unit()).sum::<f32>() - 6.0;
    let latent: Vec<f32> = (0..n * INNER).map(&mut normal).collect();
    let mut rng = Rng::new(99);
    let map: Vec<f32> = (0..INNER * DIMS).map(|_| rng.unit()).collect();
    let scale: Vec<f32> = (0..DIMS).map(|_| rng.unit() * 4.0 + 0.1).collect();
    latent
        .chunks(INNER)
        .flat_map(|z| {
            let column = |j: usize| -> f32 { (0..INNER).map(|i| z[i] * map[i * DIMS + j]).sum() };
            (0..DIMS).map(|j| (column(j) * scale[j]).sin()).collect::<Vec<f32>>()
        })
        .collect()
}

fn objectives(points: &[f32], params: &KMeansParams) -> Vec<f64> {
    let mut seen = Vec::new();
    kmeans_observed(points, params, &Job::default(), |_, objective| seen.push(objective)).unwrap();
    seen
}

#[test]
fn the_objective_never_grows_and_more_centroids_are_better() {
    let points = ellipsoid(5000, 1);
    let few = objectives(&points, &KMeansParams::new(32, 32, false));
    assert_eq!(few.len(), 10);
    assert!(few.windows(2).all(|pair| pair[1] <= pair[0] * (1.0 + 1e-6)), "{few:?}");
    assert!(few[9] < few[0] * 0.95, "{few:?}");
    let many = objectives(&points, &KMeansParams::new(64, 32, false));
    assert!(many[9] < few[9]);
    let longer = KMeansParams { n_iter: 25, ..KMeansParams::new(32, 32, false) };
    assert!(objectives(&points, &longer).last() <= few.last());
}

#[test]
fn spherical_centroids_have_norm_1_and_the_objective_never_falls() {
    let mut points = ellipsoid(3000, 2);
    normalize(&mut points, 32);
    let params = KMeansParams::new(48, 32, true);
    let seen = objectives(&points, &params);
    assert!(seen.windows(2).all(|pair| pair[1] >= pair[0] * (1.0 - 1e-6)), "{seen:?}");
    for centroid in kmeans(&points, &params, &Job::default()).unwrap().chunks(32) {
        assert!((norm_sqr(centroid) - 1.0).abs() < 1e-5);
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let points = ellipsoid(3000, 3);
    let params = KMeansParams::new(50, 32, false);
    let train = |params: KMeansParams| kmeans(&points, &params, &Job::default()).unwrap();
    let alone = train(params);
    assert_eq!(alone, train(params));
    for threads in [1, 2, 5] {
        let trained = run(threads, |_| (), |job| kmeans(&points, &params, job)).unwrap();
        assert_eq!(alone, trained.unwrap());
    }
    assert_ne!(alone, train(KMeansParams { seed: 1, ..params }));
}

#[test]
fn duplicates_end_with_finite_centroids() {
    let distinct = ellipsoid(5, 4);
    let points: Vec<f32> = distinct.iter().copied().cycle().take(200 * 32).collect();
    for (k, spherical) in [(10, false), (10, true), (150, false), (199, true)] {
        let params = KMeansParams::new(k, 32, spherical);
        let centroids = kmeans(&points, &params, &Job::default()).unwrap();
        assert_eq!(centroids.len(), k * 32);
        assert!(centroids.iter().all(|x| x.is_finite()));
    }
    let zeros = vec![0.0; 100 * 32];
    for spherical in [false, true] {
        let params = KMeansParams::new(7, 32, spherical);
        let centroids = kmeans(&zeros, &params, &Job::default()).unwrap();
        assert!(centroids.iter().all(|x| *x == 0.0));
    }
}

#[test]
fn as_many_points_as_centroids_are_copied() {
    let points = ellipsoid(20, 5);
    let params = KMeansParams::new(20, 32, false);
    assert_eq!(kmeans(&points, &params, &Job::default()).unwrap(), points);
}

#[test]
fn data_far_from_the_origin_cluster_as_well() {
    let points = ellipsoid(2000, 6);
    let far: Vec<f32> = points.iter().map(|x| x + 1000.0).collect();
    let params = KMeansParams::new(30, 32, false);
    let (near, far) = (objectives(&points, &params)[9], objectives(&far, &params)[9]);
    assert!((far / near - 1.0).abs() < 0.02, "{near} {far}");
}

#[test]
fn far_points_do_not_end_the_training_of_the_others() {
    let mut points = ellipsoid(2000, 6);
    let params = KMeansParams::new(30, 32, false);
    let alone = kmeans(&points, &params, &Job::default()).unwrap();
    for (i, point) in points.chunks_mut(32).take(90).enumerate() {
        point.fill(1e17 * (1.0 + i as f32));
    }
    let mut iterations = 0;
    let all = kmeans_observed(&points, &params, &Job::default(), |i, _| iterations = i).unwrap();
    assert_eq!(iterations, 10);
    let error = |centroids: &[f32]| {
        let coarse = Coarse { metric: Metric::L2, dims: 32, centroids };
        points.chunks(32).skip(90).map(|point| coarse.assign(point).1).sum::<f32>()
    };
    assert!(error(&all) < 1.2 * error(&alone), "{} {}", error(&all), error(&alone));
}

#[test]
fn refuses_what_is_not_a_clustering() {
    let train = |points: &[f32], k, dims| {
        kmeans(points, &KMeansParams::new(k, dims, false), &Job::default()).unwrap_err()
    };
    assert_eq!(train(&[0.0; 8], 5, 2), TrainError::TooFewPoints { points: 4, k: 5 });
    assert_eq!(train(&[0.0; 8], 0, 2), TrainError::Shape { points: 4, k: 0, dims: 2 });
    assert_eq!(train(&[0.0; 8], 1, 0), TrainError::Shape { points: 0, k: 1, dims: 0 });
    assert_eq!(train(&[0.0, 1.0, 2.0, f32::NAN], 1, 2), TrainError::NotFinite { row: 1 });
}

#[test]
fn a_cancelled_job_ends_without_centroids() {
    let points = ellipsoid(500, 7);
    let params = KMeansParams { n_iter: usize::MAX, ..KMeansParams::new(200, 32, false) };
    let job = Job::default();
    let outcome = kmeans_observed(&points, &params, &job, |_, _| job.cancel());
    assert_eq!(outcome, Err(TrainError::Cancelled));
    assert_eq!(kmeans(&points, &params, &job), Err(TrainError::Cancelled));
}

#[test]
fn donors_are_drawn_by_their_size() {
    // 600 clusters: sizes 0, 1 and, for two of them, 1001 and 3001; halves of donors stay likely donors.
    let mut first = [0; 2];
    for seed in 0..400 {
        let mut sizes = vec![1u32; 600];
        (sizes[0], sizes[10], sizes[599]) = (0, 1001, 3001);
        let mut centroids: Vec<f32> = (0..600).map(|c| c as f32).collect();
        split_empty(sizes, &mut centroids, 1, &mut Rng::new(seed));
        let donor = if centroids[0] > 300.0 { 599 } else { 10 };
        assert!((centroids[0] / donor as f32 - 1.0).abs() < 0.002);
        assert_ne!(centroids[0], centroids[donor]);
        first[usize::from(donor == 599)] += 1;
    }
    assert!((60..140).contains(&first[0]), "{first:?}");
}

#[test]
fn batches_are_assigned_as_single_points_are() {
    for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
        for (nlist, n) in [(1, 5), (15, 100), (16, 13), (17, 11), (33, 25), (300, 1000)] {
            let mut centroids = ellipsoid(nlist, 8);
            if metric.is_spherical() {
                normalize(&mut centroids, 32);
            }
            let coarse = Coarse { metric, dims: 32, centroids: &centroids };
            let points = ellipsoid(n, 9);
            let (mut out, mut dist) = (vec![0; n], vec![0.0; n]);
            assign_batch(&coarse, &points, &mut out, &mut dist, &Job::default());
            for (i, point) in points.chunks(32).enumerate() {
                let (list_no, distance) = coarse.assign(point);
                // Summed in another order, nearly equal distances may change places.
                let near = (dist[i] - distance).abs() <= 1e-5 * distance.abs();
                assert!(out[i] == list_no || near);
                let exact = coarse.distances_of(point)[out[i] as usize];
                assert_eq!(dist[i].to_bits(), exact.to_bits());
            }
            let pooled = |job: &Job| {
                let (mut out, mut dist) = (vec![0; n], vec![0.0; n]);
                assign_batch(&coarse, &points, &mut out, &mut dist, job);
                (out, dist)
            };
            assert_eq!(run(2, |_| (), pooled).unwrap(), (out, dist));
        }
    }
}

impl Coarse<'_> {
    fn distances_of(&self, x: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        self.distances(x, &mut out);
        out
    }
}
