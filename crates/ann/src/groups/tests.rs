//! Groups against every centroid.

use super::{GroupAssigner, Groups};
use crate::assign::assign_batch;
use crate::coarse::Coarse;
use crate::kmeans::tests::ellipsoid;
use crate::kmeans::{KMeansParams, TrainError, kmeans, normalize};
use crate::metric::Metric;
use crate::parallel::{Job, run};

const DIMS: usize = 32;

fn data(metric: Metric, n: usize, k: usize) -> (Vec<f32>, Vec<f32>) {
    let mut points = ellipsoid(n, 1);
    if metric.is_spherical() {
        normalize(&mut points, DIMS);
    }
    let params = KMeansParams { n_iter: 3, ..KMeansParams::new(k, DIMS, metric.is_spherical()) };
    let centroids = kmeans(&points, &params, &Job::default()).unwrap();
    (points, centroids)
}

fn exact(coarse: &Coarse, points: &[f32]) -> (Vec<u32>, Vec<f32>) {
    let n = points.len() / DIMS;
    let (mut out, mut dist) = (vec![0; n], vec![0.0; n]);
    assign_batch(coarse, points, &mut out, &mut dist, &Job::default());
    (out, dist)
}

#[test]
fn nearly_all_points_find_their_nearest_centroid_and_all_its_distance() {
    for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
        let (points, centroids) = data(metric, 10_000, 1000);
        let coarse = Coarse { metric, dims: DIMS, centroids: &centroids };
        let (exact, _) = exact(&coarse, &points);
        let assigner = GroupAssigner::new(coarse, &Job::default()).unwrap();
        let (mut out, mut dist) = (vec![0; 10_000], vec![0.0; 10_000]);
        assigner.assign(&points, &mut out, &mut dist, &Job::default());
        let same = out.iter().zip(&exact).filter(|(a, b)| a == b).count();
        assert!(same >= 9900, "{metric:?}: {same}");
        let mut all = Vec::new();
        for (point, (list_no, distance)) in points.chunks(DIMS).zip(out.iter().zip(dist)).take(100)
        {
            coarse.distances(point, &mut all);
            assert_eq!(distance.to_bits(), all[*list_no as usize].to_bits());
        }
    }
}

#[test]
fn all_groups_together_find_what_all_centroids_do() {
    let (points, centroids) = data(Metric::L2, 3000, 300);
    for shift in [0.0, 1000.0] {
        let moved = |x: &[f32]| x.iter().map(|x| x + shift).collect::<Vec<f32>>();
        let (points, centroids) = (moved(&points), moved(&centroids));
        let coarse = Coarse { metric: Metric::L2, dims: DIMS, centroids: &centroids };
        let groups = Groups::new(&coarse, &Job::default()).unwrap().with_probes(usize::MAX);
        let mut out = vec![0; 3000];
        groups.nearest(&points, &mut out, &Job::default());
        assert_eq!(out, exact(&coarse, &points).0);
    }
}

#[test]
fn the_same_on_any_number_of_threads_and_for_few_centroids() {
    for k in [1, 2, 5, 17, 400] {
        let (points, centroids) = data(Metric::L2, 2000, k);
        let coarse = Coarse { metric: Metric::L2, dims: DIMS, centroids: &centroids };
        let on = |threads| {
            let work = |job: &Job| {
                let (mut out, mut dist) = (vec![0; 2000], vec![0.0; 2000]);
                let assigner = GroupAssigner::new(coarse, job).unwrap();
                assigner.assign(&points, &mut out, &mut dist, job);
                (out, dist)
            };
            run(threads, |_| (), work).unwrap()
        };
        let alone = on(1);
        assert_eq!(alone, on(3));
        assert!(alone.0.iter().all(|list_no| (*list_no as usize) < k));
    }
}

#[test]
fn equal_centroids_and_far_points_get_a_list() {
    let centroids = vec![1.0; 200 * DIMS];
    let coarse = Coarse { metric: Metric::L2, dims: DIMS, centroids: &centroids };
    let assigner = GroupAssigner::new(coarse, &Job::default()).unwrap();
    let points: Vec<f32> = [0.0, 1.0, -1e17, 1e17, f32::MAX].map(|x| [x; DIMS]).concat();
    let (mut out, mut dist) = ([7; 5], [0.0; 5]);
    assigner.assign(&points, &mut out, &mut dist, &Job::default());
    assert!(out.iter().all(|list_no| *list_no < 200) && dist.iter().all(|x| x.is_finite()));
    let job = Job::default();
    job.cancel();
    assert!(matches!(GroupAssigner::new(coarse, &job), Err(TrainError::Cancelled)));
}
