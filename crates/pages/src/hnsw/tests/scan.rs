//! What scans find in a graph as it was built.

use ann::element::{Bits, Element};
use ann::metric::Metric;
use half::f16;

use super::{Kind, METRICS, World};
use crate::hnsw::Code;
use crate::hnsw::check::check;

fn built<E: Element>(kind: Kind) {
    let mut world = World::<E>::new(kind, kind.dims as u64);
    // Not even a leaked page, nor a node that no link leads to.
    assert_eq!(check(&world.mem), [], "{kind:?}");
    for _ in 0..3 {
        world.verify();
    }
}

#[test]
fn a_wide_search_of_a_built_graph_finds_everything_in_order() {
    for metric in METRICS {
        built::<f32>(Kind::new(metric, 24, 8, 700).duplicates(5));
        built::<f16>(Kind::new(metric, 33, 5, 300).duplicates(3));
        built::<f32>(Kind::new(metric, 16, 4, 300).code(Code::Sq8).duplicates(4));
        built::<f32>(Kind::new(metric, 40, 6, 300).code(Code::SqFp16));
    }
    for dims in [1, 7, 8, 9, 64, 250, 1000] {
        built::<Bits>(Kind::new(Metric::Hamming, dims, 8, 300));
        built::<Bits>(Kind::new(Metric::Jaccard, dims, 8, 300));
    }
    // As many as a page has room for.
    built::<Bits>(Kind::new(Metric::Hamming, 64_768, 4, 30));
    built::<Bits>(Kind::new(Metric::Jaccard, 64_000, 4, 30));
    built::<f32>(Kind::new(Metric::L2, 1, 2, 600));
    built::<f32>(Kind::new(Metric::L2, 8, 100, 400).duplicates(50));
    built::<f32>(Kind::new(Metric::L2, 2000, 16, 60));
    built::<f32>(Kind::new(Metric::Cosine, 4100, 4, 30).duplicates(3));
    built::<f16>(Kind::new(Metric::InnerProduct, 16_000, 3, 20));
    built::<f32>(Kind::new(Metric::L1, 16_000, 100, 20));
}

#[test]
fn graphs_of_no_row_and_of_one_are_searched() {
    for n_rows in [0, 1, 2, 17] {
        built::<f32>(Kind::new(Metric::L2, 10, 4, n_rows));
    }
}

#[test]
fn rows_of_one_vector_all_come() {
    let kind = Kind::new(Metric::Cosine, 12, 4, 1000).duplicates(1);
    let mut world = World::<f32>::new(Kind { duplicates: 900, ..kind }, 3);
    let vector = world.model.values().next().unwrap().clone();
    world.model.values_mut().for_each(|v| v.clone_from(&vector));
    let mut world = World::over(kind, world.model, world.rng);
    assert_eq!(check(&world.mem), []);
    world.verify();
}

#[test]
fn a_narrow_search_finds_most_of_the_nearest() {
    let world = World::<f32>::new(Kind::new(Metric::L2, 16, 8, 3000), 1);
    let recall = [10, 20, 40, 80].map(|ef| world.recall(ef, 40));
    assert!(recall.is_sorted() && recall[2] > 0.97, "{recall:?}");
    for metric in [Metric::Hamming, Metric::Jaccard] {
        let world = World::<Bits>::new(Kind::new(metric, 128, 8, 3000), 1);
        let recall = [10, 20, 40, 80].map(|ef| world.recall(ef, 40));
        assert!(recall.is_sorted() && recall[2] > 0.97, "{recall:?}");
    }
}
