//! The coarse quantizer: centroids read where they lie.

use std::collections::BTreeSet;

use ann::coarse::Coarse;
use ann::element::{Bits, Element};
use ann::extent;
use ann::metric::Metric;
use ann::parallel::Job;
use ann::rng::Rng;
use ann::topk::Hit;

use super::modes::tids;
use super::{METRICS, Shape, World, params, random_query, tid_no};
use crate::damage::coding::Trained;
use crate::damage::opened::coded;
use crate::lists::ListsIndex;
use crate::lists::quantizer::{CODED_NLIST_MIN, Quantizer, train};
use crate::mem::MemPages;
use crate::search::params::Iterative;

/// Points about a hundred centres.
fn clouds(n: usize, dims: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(99);
    let centres: Vec<f32> = (0..100 * dims).map(|_| rng.normal()).collect();
    let mut rng = Rng::new(seed);
    let mut one = |_| {
        let at = rng.below(100) as usize * dims;
        let centre = &centres[at..at + dims];
        centre.iter().map(|x| x + rng.normal()).collect::<Vec<f32>>()
    };
    (0..n).flat_map(&mut one).collect()
}

/// An empty index with these centroids.
fn empty(metric: Metric, dims: usize, centroids: &[f32]) -> (MemPages, ListsIndex) {
    let shape = Shape::flat(metric, dims, centroids.len() / dims, 0);
    let trained = Trained::new(shape.params(f32::TAG, 1), centroids.to_vec(), &[]).unwrap();
    let (mem, _) = trained.build::<f32>(std::iter::empty()).unwrap();
    let index = ListsIndex::open(&mem).unwrap();
    (mem, index)
}

fn nearest(mem: &MemPages, quantizer: &Quantizer, q: &[f32], n: usize) -> Vec<Hit> {
    let mut hits = Vec::new();
    quantizer.nearest(mem, q, n, &mut quantizer.query(), &mut hits).unwrap();
    hits
}

#[test]
fn coded_centroids_give_nearly_all_of_the_nearest_lists() {
    for (metric, dims) in [(Metric::L2, 24), (Metric::InnerProduct, 32), (Metric::Cosine, 17)] {
        let mut centroids = clouds(5000, dims, 1);
        if metric.is_spherical() {
            centroids.chunks_mut(dims).for_each(extent::normalize);
        }
        let coarse = Coarse { metric, dims, centroids: &centroids };
        let (mem, index) = empty(metric, dims, &centroids);
        let quantizer = index.quantizer.as_ref().unwrap();
        assert!(quantizer.lists.params.code.is_some());
        let (mut query, mut hits, mut distances) = (quantizer.query(), Vec::new(), Vec::new());
        for n in [1, 16, 256] {
            let mut found = 0;
            for q in clouds(50, dims, 2).chunks(dims) {
                coarse.distances(q, &mut distances);
                quantizer.nearest(&mem, q, n, &mut query, &mut hits).unwrap();
                assert_eq!(hits.len(), n);
                assert!(hits.is_sorted_by(|a, b| a.order(b).is_lt()));
                let exact = |hit: &Hit| hit.key == f64::from(distances[hit.id as usize]);
                assert!(hits.iter().all(exact));
                let mut sorted = distances.clone();
                sorted.sort_unstable_by(f32::total_cmp);
                found += hits.iter().filter(|hit| hit.key <= f64::from(sorted[n - 1])).count();
            }
            println!("{metric:?} {n}: {found} of {}", 50 * n);
            assert!(found * 100 >= 99 * 50 * n, "{metric:?} {n}: {found} of {}", 50 * n);
        }
    }
}

/// As many as there are: each once, and the nearest first, whatever the code estimates.
#[test]
fn asked_for_all_it_gives_all() {
    for nlist in [1, 77, CODED_NLIST_MIN - 1, CODED_NLIST_MIN, 5003] {
        let centroids = clouds(nlist, 6, 1);
        let (mem, index) = empty(Metric::L2, 6, &centroids);
        let quantizer = index.quantizer.as_ref().unwrap();
        assert_eq!(quantizer.lists.params.code.is_some(), nlist >= CODED_NLIST_MIN);
        let no = nlist - 1;
        for n in [nlist, nlist + 1, usize::MAX] {
            let hits = nearest(&mem, quantizer, &centroids[6 * no..], n);
            assert_eq!((hits[0].id, hits[0].key), (no as u64, 0.0));
            let mut seen: Vec<u64> = hits.iter().map(|hit| hit.id).collect();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..nlist as u64));
        }
        assert!(nearest(&mem, quantizer, &[0.0; 6], 0).is_empty());
    }
}

/// Without a code of them the nearest are the nearest, with the distances and ties of the centroids in memory.
fn gives_the_nearest<E: Element>(metric: Metric, dims: usize, nlist: usize) {
    let world = World::<E>::new(Shape::flat(metric, dims, nlist, 0), 3);
    let mut rng = Rng::new(4);
    let quantizer = world.index.quantizer.as_ref().unwrap();
    let coarse = world.coarse();
    assert_eq!(quantizer.centroids(&world.mem).unwrap(), coarse.centroids);
    let mut centroid = Vec::new();
    for list_no in 0..nlist as u32 {
        quantizer.centroid(&world.mem, list_no, &mut centroid).unwrap();
        assert_eq!(centroid, coarse.centroid(list_no));
    }
    let mut distances = Vec::new();
    for _ in 0..20 {
        let q = random_query::<E>(&mut rng, dims);
        coarse.distances(&q, &mut distances);
        let mut order: Vec<(f32, u64)> = distances.iter().copied().zip(0..).collect();
        order.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap());
        for n in [1, nlist.div_ceil(2), nlist] {
            let hits = nearest(&world.mem, quantizer, &q, n);
            let found: Vec<_> = hits.iter().map(|hit| (hit.key as f32, hit.id)).collect();
            assert_eq!(found, order[..n]);
        }
        let assigned = quantizer.assign(&world.mem, &q, &mut quantizer.query()).unwrap();
        assert_eq!(assigned, coarse.assign(&q));
    }
}

#[test]
fn centroids_without_a_code_give_the_nearest_lists() {
    for metric in METRICS {
        for (dims, nlist) in [(1, 3), (20, 255), (700, 40), (5000, 5)] {
            gives_the_nearest::<f32>(metric, dims, nlist);
        }
    }
    // Many have the same distance.
    gives_the_nearest::<Bits>(Metric::Hamming, 9, 300);
    gives_the_nearest::<Bits>(Metric::Hamming, 50_000, 4);
}

/// Where only the likely lists are compared at first, the others still come.
#[test]
fn lists_passed_over_at_first_come_later() {
    for metric in METRICS {
        let mut world = World::<f32>::new(Shape::flat(metric, 6, 4200, 2000), 13);
        world.verify();
        for nprobe in [1, 4, 1000, 4199, 4200] {
            for iterative in [Iterative::Relaxed, Iterative::Strict] {
                let query = world.random_query();
                let (rows, search) = world.search(&query, params(nprobe, iterative, u64::MAX));
                assert_eq!((rows.len(), tids(&rows).len(), search.visited()), (2000, 2000, 2000));
            }
        }
    }
}

/// A row is assigned by the centroids in the pages, nearly always as by those in memory, and found where it went.
#[test]
fn rows_assigned_by_coded_centroids_are_found() {
    let mut world = World::<f32>::new(Shape::flat(Metric::L2, 8, 4100, 0), 14);
    let mut same = 0;
    for i in 0..1000 {
        let (tid, vector) = (tid_no(i), random_query::<f32>(&mut world.rng, 8));
        let row = coded(&world.index, &world.mem, tid, &vector).unwrap();
        same += usize::from(row.list_no == world.list_of(&vector));
        crate::lists::insert::insert(&world.mem, world.lists(), None, &row.row(tid)).unwrap();
        world.model.insert(tid, vector);
    }
    assert!(same >= 990, "{same} of 1000");
    assert_eq!(crate::lists::check::check(&world.mem), []);
    world.verify_rows();
}

#[test]
fn only_many_centroids_are_trained_for_and_that_can_be_cancelled() {
    let of = |nlist: usize, element| Shape::flat(Metric::L2, 4, nlist, 0).params(element, 1).lists;
    let job = Job::default();
    let few = clouds(CODED_NLIST_MIN - 1, 4, 1);
    assert!(train(&of(few.len() / 4, f32::TAG), &few, 1, &job).unwrap().is_none());
    let many = clouds(CODED_NLIST_MIN, 4, 1);
    assert!(train(&of(many.len() / 4, f32::TAG), &many, 1, &job).unwrap().is_some());
    let bits = Shape::flat(Metric::Hamming, 4, CODED_NLIST_MIN, 0).params(Bits::TAG, 1).lists;
    assert!(train(&bits, &many, 1, &job).unwrap().is_none());
    job.cancel();
    assert!(train(&of(many.len() / 4, f32::TAG), &many, 1, &job).is_err());
}

/// The lists of a search are found by the quantizer, and all of them differ.
#[test]
fn a_search_never_reads_a_list_twice() {
    let mut world = World::<f32>::new(Shape::flat(Metric::Cosine, 10, 4500, 0), 15);
    let quantizer = world.index.quantizer.as_ref().unwrap();
    for n in [1, 33, 900, 4500] {
        let q = random_query::<f32>(&mut world.rng, 10);
        let hits = nearest(&world.mem, quantizer, &q, n);
        assert_eq!(hits.iter().map(|hit| hit.id).collect::<BTreeSet<_>>().len(), n);
    }
}
