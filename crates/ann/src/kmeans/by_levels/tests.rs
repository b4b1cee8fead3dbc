//! Levels against one level, rows in parts against rows in memory.

use super::{LevelParams, kmeans_by_levels};
use crate::assign::assign_batch;
use crate::coarse::Coarse;
use crate::kernels::norm_sqr;
use crate::kmeans::tests::ellipsoid;
use crate::kmeans::{KMeansParams, MemoryRows, TrainError, kmeans, normalize};
use crate::metric::Metric;
use crate::parallel::{Job, run};

const DIMS: usize = 32;

fn params(k: usize, spherical: bool, room: usize) -> LevelParams {
    LevelParams { kmeans: KMeansParams::new(k, DIMS, spherical), room }
}

fn train(points: &[f32], params: &LevelParams) -> Result<Vec<f32>, TrainError> {
    let mut points = points.to_vec();
    let mut rows = MemoryRows { points: &mut points, dims: DIMS };
    kmeans_by_levels(&mut rows, params, &Job::default())
}

/// The mean distance of the points to their nearest centroids.
fn error(points: &[f32], centroids: &[f32], metric: Metric) -> f64 {
    let n = points.len() / DIMS;
    let (mut out, mut dist) = (vec![0; n], vec![0.0; n]);
    let coarse = Coarse { metric, dims: DIMS, centroids };
    assign_batch(&coarse, points, &mut out, &mut dist, &Job::default());
    dist.iter().map(|d| f64::from(*d)).sum::<f64>() / n as f64
}

#[test]
fn levels_are_nearly_as_good_as_one_whatever_the_room() {
    let points = ellipsoid(20_000, 1);
    let one = kmeans(&points, &KMeansParams::new(400, DIMS, false), &Job::default()).unwrap();
    let one = error(&points, &one, Metric::L2);
    for room in [100_000, 3000, 600] {
        let levels = train(&points, &params(400, false, room)).unwrap();
        assert_eq!(levels.len(), 400 * DIMS);
        let levels = error(&points, &levels, Metric::L2);
        assert!(levels < 1.01 * one, "room {room}: {levels} {one}");
    }
}

#[test]
fn spherical_centroids_have_norm_1() {
    let mut points = ellipsoid(10_000, 2);
    normalize(&mut points, DIMS);
    let one = kmeans(&points, &KMeansParams::new(200, DIMS, true), &Job::default()).unwrap();
    let levels = train(&points, &params(200, true, 2000)).unwrap();
    assert!(levels.chunks(DIMS).all(|centroid| (norm_sqr(centroid) - 1.0).abs() < 1e-5));
    let error = |centroids| error(&points, centroids, Metric::InnerProduct);
    assert!(error(&levels) < 0.99 * error(&one), "{} {}", error(&levels), error(&one));
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let points = ellipsoid(6000, 3);
    let params = params(150, false, 1000);
    let alone = train(&points, &params).unwrap();
    for threads in [1, 2, 5] {
        let mut points = points.clone();
        let mut rows = MemoryRows { points: &mut points, dims: DIMS };
        let trained = run(threads, |_| (), |job| kmeans_by_levels(&mut rows, &params, job));
        assert!(alone == trained.unwrap().unwrap());
    }
    let kmeans = KMeansParams { seed: 1, ..params.kmeans };
    assert!(alone != train(&points, &LevelParams { kmeans, ..params }).unwrap());
}

#[test]
fn duplicates_and_little_room_still_give_all_centroids() {
    let distinct = ellipsoid(5, 4);
    let points: Vec<f32> = distinct.iter().copied().cycle().take(2000 * DIMS).collect();
    for (k, room) in [(100, 3000), (100, 40), (1999, 100), (2000, 100), (1, 10), (7, 1)] {
        let centroids = train(&points, &params(k, false, room)).unwrap();
        assert_eq!(centroids.len(), k * DIMS);
        assert!(centroids.iter().all(|x| x.is_finite()));
    }
}

#[test]
fn data_far_from_the_origin_and_far_points_do_no_harm() {
    let points = ellipsoid(10_000, 6);
    let alone = train(&points, &params(200, false, 2000)).unwrap();
    let alone = error(&points, &alone, Metric::L2);
    let moved: Vec<f32> = points.iter().map(|x| x + 1000.0).collect();
    let centroids = train(&moved, &params(200, false, 2000)).unwrap();
    let moved = error(&moved, &centroids, Metric::L2);
    assert!((moved / alone - 1.0).abs() < 0.05, "{moved} {alone}");
    let mut hostile = points.clone();
    for (i, point) in hostile.chunks_mut(DIMS).step_by(500).enumerate() {
        point.fill(1e17 * (1.0 + i as f32));
    }
    let centroids = train(&hostile, &params(200, false, 2000)).unwrap();
    let others = error(&points, &centroids, Metric::L2);
    assert!(others < 1.2 * alone, "{others} {alone}");
}

#[test]
fn refuses_what_is_not_a_clustering_and_can_be_cancelled() {
    let fails = |points: &[f32], k| train(points, &params(k, false, 100)).unwrap_err();
    assert_eq!(fails(&[0.0; 4 * DIMS], 5), TrainError::TooFewPoints { points: 4, k: 5 });
    assert_eq!(fails(&[0.0; 4 * DIMS], 0), TrainError::Shape { points: 4, k: 0, dims: DIMS });
    let mut points = ellipsoid(500, 7);
    points[300 * DIMS] = f32::NAN;
    assert!(matches!(fails(&points, 50), TrainError::NotFinite { .. }));
    let job = Job::default();
    job.cancel();
    let mut points = ellipsoid(500, 7);
    let mut rows = MemoryRows { points: &mut points, dims: DIMS };
    let outcome = kmeans_by_levels(&mut rows, &params(50, false, 100), &job);
    assert_eq!(outcome, Err(TrainError::Cancelled));
}
