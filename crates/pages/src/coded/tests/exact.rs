//! Probing every list and re-ranking every candidate gives the operator's order and values, bit for bit.

use ann::codec::{CodeKind, LANES};
use ann::element::Float;
use ann::metric::Metric;
use half::f16;

use super::{METRICS, REFINES, Shape, World, kinds};

fn exact<E: Float>(metric: Metric, dims: usize) {
    let n_rows = if dims > 500 { 80 } else { 300 };
    for kind in kinds(dims) {
        for refine in REFINES {
            let shape = Shape { refine, ..Shape::new(kind, metric, dims, 3, n_rows) };
            let mut world = World::<E>::new(shape, dims as u64);
            world.verify();
            for _ in 0..n_rows / 2 {
                world.insert_random();
            }
            world.verify();
            world.vacuum(|tid| tid.to_u64() % 3 == 0);
            world.verify();
            for _ in 0..n_rows / 4 {
                world.insert_random();
            }
            world.verify();
        }
    }
}

#[test]
fn every_code_and_dimension_f32() {
    for metric in METRICS {
        [1, 7, 16, 40, 100].iter().for_each(|dims| exact::<f32>(metric, *dims));
    }
    exact::<f32>(Metric::L2, 700);
}

#[test]
fn every_code_and_dimension_f16() {
    for metric in METRICS {
        [1, 7, 16, 40, 100].iter().for_each(|dims| exact::<f16>(metric, *dims));
    }
    exact::<f16>(Metric::Cosine, 700);
}

/// A block over several pages, a shelf of several pages.
#[test]
fn large_dimensions() {
    for (kind, dims, metric) in [
        (CodeKind::SqFp16, 2000, Metric::L2),
        (CodeKind::Sq8, 5000, Metric::Cosine),
        (CodeKind::Sq4, 16_000, Metric::InnerProduct),
        (CodeKind::RaBitQ { nbits: 1 }, 16_000, Metric::L2),
        (CodeKind::RaBitQ { nbits: 4 }, 4000, Metric::Cosine),
        (CodeKind::Pq { m: 1000, nbits: 5 }, 3000, Metric::InnerProduct),
        (CodeKind::PqFs { m: 1500 }, 3000, Metric::Cosine),
    ] {
        for refine in REFINES {
            let shape = Shape { refine, ..Shape::new(kind, metric, dims, 2, 30) };
            let mut world = World::<f32>::new(shape, 1);
            world.verify();
            for _ in 0..2 * LANES {
                world.insert_random();
            }
            world.vacuum(|tid| tid.to_u64() % 2 == 0);
            world.insert_random();
            world.verify();
        }
    }
}

#[test]
fn more_centroids_than_a_page() {
    let mut world = World::<f32>::new(Shape::new(CodeKind::Sq8, Metric::L2, 3, 600, 2000), 5);
    world.verify();
    world.insert_random();
    world.verify();
}

#[test]
fn an_empty_index_takes_rows() {
    for refine in REFINES {
        for nlist in [1, 600] {
            let shape = Shape::new(CodeKind::RaBitQ { nbits: 3 }, Metric::Cosine, 20, nlist, 0);
            let mut world = World::<f32>::new(Shape { refine, ..shape }, 5);
            world.verify();
            for _ in 0..50 {
                world.insert_random();
            }
            world.verify();
        }
    }
}

#[test]
fn equal_vectors_come_in_order_of_tid() {
    for metric in METRICS {
        let mut world = World::<f32>::new(Shape::new(CodeKind::Sq4, metric, 8, 1, 0), 1);
        for _ in 0..3000 {
            let tid = world.fresh_tid();
            world.put(tid, &[0.5; 8]).unwrap();
            world.model.insert(tid, vec![0.5; 8]);
        }
        world.verify();
    }
}
