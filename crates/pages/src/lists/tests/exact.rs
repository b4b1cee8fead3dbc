//! Searching every list, and re-ranking every candidate, gives the operator's order and values, bit for bit.

use ann::codec::{CodeKind, LANES};
use ann::element::{Bits, Element};
use ann::metric::Metric;
use half::f16;

use super::{ALL, METRICS, REFINES, Shape, World, kinds};

const DIMS: [usize; 16] =
    [1, 2, 15, 16, 17, 100, 128, 384, 768, 1024, 1536, 2028, 2029, 3072, 4096, 16000];

fn flat<E: Element>(metric: Metric, dims: usize) {
    let n_rows = if dims > 1000 { 60 } else { 300 };
    let nlists: &[usize] = if metric.has_centroids() { &[0, 3] } else { &[0] };
    for nlist in nlists {
        let shape = Shape::flat(metric, dims, *nlist, n_rows);
        let mut world = World::<E>::new(shape, dims as u64);
        world.insert_random(n_rows / 2);
        world.verify();
    }
}

#[test]
fn every_dimension_f32() {
    for metric in METRICS.into_iter().chain([Metric::L1]) {
        DIMS.iter().for_each(|dims| flat::<f32>(metric, *dims));
    }
}

#[test]
fn every_dimension_f16() {
    for metric in METRICS.into_iter().chain([Metric::L1]) {
        DIMS.iter().for_each(|dims| flat::<f16>(metric, *dims));
    }
}

#[test]
fn every_number_of_bits() {
    for dims in [1, 7, 8, 9, 63, 64, 65, 128, 256, 1000, 8192, 64_000, 65_000, 128_000] {
        flat::<Bits>(Metric::Hamming, dims);
        let n_rows = if dims > 1000 { 60 } else { 300 };
        let shape = Shape::flat(Metric::Jaccard, dims, 0, n_rows);
        let mut world = World::<Bits>::new(shape, dims as u64);
        // Of an empty set nothing is near, not even itself.
        world.insert(vec![Bits(0); Bits::count(dims)]);
        world.insert_random(n_rows / 2);
        world.verify();
        let (rows, _) = world.search(&vec![0.0; dims], ALL);
        assert_eq!(rows.len(), world.model.len());
        assert!(rows.iter().all(|row| row.distance == 1.0));
    }
}

fn coded<E: Element>(metric: Metric, dims: usize) {
    let n_rows = if dims > 500 { 80 } else { 300 };
    for kind in kinds(dims) {
        for refine in REFINES {
            let shape = Shape { refine, ..Shape::coded(kind, metric, dims, 3, n_rows) };
            let mut world = World::<E>::new(shape, dims as u64);
            world.verify();
            world.insert_random(n_rows / 2);
            world.verify();
            world.vacuum(|tid| tid.to_u64() % 3 == 0);
            world.verify();
            world.insert_random(n_rows / 4);
            world.verify();
        }
    }
}

#[test]
fn every_code_and_dimension_f32() {
    for metric in METRICS {
        [1, 7, 16, 40, 100].iter().for_each(|dims| coded::<f32>(metric, *dims));
    }
    coded::<f32>(Metric::L2, 700);
}

#[test]
fn every_code_and_dimension_f16() {
    for metric in METRICS {
        [1, 7, 16, 40, 100].iter().for_each(|dims| coded::<f16>(metric, *dims));
    }
    coded::<f16>(Metric::Cosine, 700);
}

/// A block over several pages, an overflow extent of several pages.
#[test]
fn codes_of_large_dimensions() {
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
            let shape = Shape { refine, ..Shape::coded(kind, metric, dims, 2, 30) };
            let mut world = World::<f32>::new(shape, 1);
            world.verify();
            world.insert_random(2 * LANES);
            world.vacuum(|tid| tid.to_u64() % 2 == 0);
            world.insert_random(1);
            world.verify();
        }
    }
}

#[test]
fn more_centroids_than_a_page() {
    for shape in [
        Shape::flat(Metric::L2, 3, 1000, 2000),
        Shape::coded(CodeKind::Sq8, Metric::L2, 3, 600, 2000),
    ] {
        let mut world = World::<f32>::new(shape, 5);
        world.verify();
        world.insert_random(1);
        world.verify();
    }
}

#[test]
fn an_empty_index_takes_rows() {
    let of_codes =
        |nlist| Shape::coded(CodeKind::RaBitQ { nbits: 3 }, Metric::Cosine, 20, nlist, 0);
    let coded = [1, 600]
        .into_iter()
        .flat_map(|nlist| REFINES.map(|refine| Shape { refine, ..of_codes(nlist) }));
    let flat = [0, 1, 600].map(|nlist| Shape::flat(Metric::Cosine, 20, nlist, 0));
    for shape in flat.into_iter().chain(coded) {
        let mut world = World::<f32>::new(shape, 5);
        world.verify();
        world.insert_random(50);
        world.verify();
    }
}

#[test]
fn equal_vectors_come_in_order_of_tid() {
    for metric in METRICS {
        for (shape, n) in [
            (Shape::flat(metric, 8, 0, 0), 10_000),
            (Shape::coded(CodeKind::Sq4, metric, 8, 1, 0), 3000),
        ] {
            let mut world = World::<f32>::new(shape, 1);
            (0..n).for_each(|_| _ = world.insert(vec![0.5; 8]));
            world.verify();
        }
    }
}
