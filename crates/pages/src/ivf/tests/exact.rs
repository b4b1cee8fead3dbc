//! Probing every list gives the operator's order and values, bit for bit.

use ann::element::{Bits, Element};
use ann::metric::Metric;
use half::f16;

use super::{METRICS, World};

const DIMS: [usize; 16] =
    [1, 2, 15, 16, 17, 100, 128, 384, 768, 1024, 1536, 2028, 2029, 3072, 4096, 16000];

fn exact<E: Element>(metric: Metric, dims: usize) {
    let n_rows = if dims > 1000 { 60 } else { 300 };
    for nlist in [0, 3] {
        let mut world = World::<E>::new(metric, dims, nlist, n_rows, dims as u64);
        for _ in 0..n_rows / 2 {
            world.insert_random();
        }
        world.verify();
    }
}

#[test]
fn every_dimension_f32() {
    for metric in METRICS {
        DIMS.iter().for_each(|dims| exact::<f32>(metric, *dims));
    }
}

#[test]
fn every_dimension_f16() {
    for metric in METRICS {
        DIMS.iter().for_each(|dims| exact::<f16>(metric, *dims));
    }
}

#[test]
fn every_dimension_under_l1_in_one_list() {
    for dims in DIMS {
        let n_rows = if dims > 1000 { 90 } else { 300 };
        let mut single = World::<f32>::new(Metric::L1, dims, 0, n_rows, dims as u64);
        let mut half = World::<f16>::new(Metric::L1, dims, 0, n_rows, dims as u64);
        for _ in 0..n_rows / 2 {
            single.insert_random();
            half.insert_random();
        }
        single.verify();
        half.verify();
    }
}

#[test]
fn more_centroids_than_a_page() {
    let mut world = World::<f32>::new(Metric::L2, 3, 1000, 2000, 5);
    world.verify();
    world.insert_random();
    world.verify();
}

#[test]
fn an_empty_index_takes_rows() {
    for nlist in [0, 600] {
        let mut world = World::<f32>::new(Metric::Cosine, 20, nlist, 0, 5);
        world.verify();
        for _ in 0..50 {
            world.insert_random();
        }
        world.verify();
    }
}

#[test]
fn ten_thousand_equal_vectors_come_in_order_of_tid() {
    for metric in METRICS {
        let mut world = World::<f32>::new(metric, 8, 0, 0, 1);
        for _ in 0..10_000 {
            let tid = world.fresh_tid();
            world.put(tid, &[0.5; 8]).unwrap();
            world.model.insert(tid, vec![0.5; 8]);
        }
        world.verify();
    }
}

#[test]
fn every_number_of_bits() {
    for dims in [1, 7, 8, 9, 63, 64, 65, 128, 256, 1000, 8192, 64_000, 65_000, 128_000] {
        exact::<Bits>(Metric::Hamming, dims);
        let n_rows = if dims > 1000 { 60 } else { 300 };
        let mut world = World::<Bits>::new(Metric::Jaccard, dims, 0, n_rows, dims as u64);
        // Of an empty set nothing is near, not even itself.
        let tid = world.fresh_tid();
        let empty = vec![Bits(0); Bits::count(dims)];
        world.put(tid, &empty).unwrap();
        world.model.insert(tid, empty);
        for _ in 0..n_rows / 2 {
            world.insert_random();
        }
        world.verify();
        let (rows, _) = world.search(&vec![0.0; dims], super::ALL);
        assert_eq!(rows.len(), world.model.len());
        assert!(rows.iter().all(|row| row.distance == 1.0));
    }
}
