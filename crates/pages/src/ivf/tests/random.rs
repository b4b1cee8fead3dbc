//! Random verbs against the model.

use ann::element::{Bits, Element};
use ann::metric::Metric;
use half::f16;

use super::World;
use crate::ivf::vacuum::stats;
use crate::trials;

fn random_verbs<E: Element>(metric: Metric, dims: usize, nlist: usize, seed: u64) {
    let mut world = World::<E>::new(metric, dims, nlist, 200, seed);
    trials::random_verbs(&mut world, 12);
    let pages = crate::store::Pages::n_blocks(&world.mem).unwrap();
    let seen = stats(&world.mem, &world.meta).unwrap();
    assert_eq!((seen.live, seen.pages), (world.model.len() as u64, pages));
}

#[test]
fn random_verbs_keep_the_model() {
    for seed in 0..3 {
        random_verbs::<f32>(Metric::L2, 3, 0, seed);
        random_verbs::<f32>(Metric::L2, 128, 5, seed);
        random_verbs::<f16>(Metric::Cosine, 1536, 4, seed);
        random_verbs::<f32>(Metric::Cosine, 1536, 2, seed);
        random_verbs::<f32>(Metric::InnerProduct, 2028, 3, seed);
    }
    random_verbs::<f32>(Metric::L2, 9000, 2, 7);
    random_verbs::<f32>(Metric::L1, 9000, 0, 7);
    random_verbs::<f16>(Metric::L1, 100, 0, 7);
    for (dims, nlist) in [(1, 0), (9, 2), (64, 5), (1000, 3), (100_000, 2)] {
        random_verbs::<Bits>(Metric::Hamming, dims, nlist, 7);
        random_verbs::<Bits>(Metric::Jaccard, dims, 0, 7);
    }
}

#[test]
fn vacuum_without_a_dead_row_writes_nothing() {
    let mut world = World::<f32>::new(Metric::L2, 100, 5, 500, 1);
    let writes = world.mem.n_writes();
    world.vacuum(|_| false);
    assert_eq!(world.mem.n_writes(), writes);
}

#[test]
fn space_of_dead_rows_is_used_again() {
    for dims in [3, 100, 2028, 5000] {
        let mut world = World::<f32>::new(Metric::L2, dims, 3, 300, 1);
        let pages = |world: &World<f32>| crate::store::Pages::n_blocks(&world.mem).unwrap();
        // The second round may need a page for what the first left partly filled.
        let mut sizes = Vec::new();
        for round in 0..6 {
            world.vacuum(|tid| tid.to_u64() % 2 == round % 2 || tid.blkno > 3);
            while world.model.len() < 300 {
                world.insert_random();
            }
            sizes.push(pages(&world));
            world.verify();
        }
        let largest = sizes.iter().max().unwrap();
        assert!(*largest <= sizes[0] + sizes[0] / 4 + 8, "{dims}: {sizes:?}");
    }
}

#[test]
fn an_emptied_index_gives_its_data_pages_back() {
    let mut world = World::<f32>::new(Metric::L2, 2028, 3, 100, 1);
    let stats = world.vacuum(|_| true);
    assert_eq!((stats.live, stats.removed, stats.pages_freed), (0, 100, 100));
    world.verify();
    let pages = stats.pages;
    for _ in 0..100 {
        world.insert_random();
    }
    world.verify();
    assert_eq!(crate::store::Pages::n_blocks(&world.mem).unwrap(), pages);
}
