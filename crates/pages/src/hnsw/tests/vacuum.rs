//! What vacuum leaves: the rows that live, links to all of them, and lanes for later rows.

use std::collections::BTreeSet;

use ann::element::Element;
use ann::metric::Metric;
use ann::rng::Rng;
use half::f16;

use super::world::damage;
use super::{ALL, Kind, METRICS, Model, World};
use crate::hnsw::Code;
use crate::hnsw::check::check;
use crate::hnsw::entry::Entry;
use crate::hnsw::vacuum::bulk_delete;
use crate::mem::seeds;
use crate::tid::Tid;

fn one_in_three(tid: Tid) -> bool {
    tid.to_u64().is_multiple_of(3)
}

fn deleted<E: Element>(kind: Kind) {
    let mut world = World::<E>::new(kind, kind.dims as u64);
    for round in 1..5 {
        world.vacuum(|tid| tid.to_u64() % 7 == round);
        world.verify_linked();
    }
    world.vacuum(one_in_three);
    world.verify_linked();
    // All that is left.
    world.vacuum(|_| true);
    world.verify_linked();
    let map = world.map();
    let entry = Entry::read(&world.mem, &world.meta).unwrap();
    assert_eq!(entry.node, crate::hnsw::INVALID_NODE);
    assert_eq!(crate::hnsw::info::totals(&world.mem, &world.view(&map)).unwrap().levels, []);
}

#[test]
fn rows_that_live_stay_linked() {
    for metric in METRICS {
        deleted::<f32>(Kind::new(metric, 24, 8, 500).duplicates(4));
        deleted::<f16>(Kind::new(metric, 10, 2, 300).duplicates(3));
        deleted::<f32>(Kind::new(metric, 16, 4, 300).code(Code::Sq8).duplicates(2));
    }
    deleted::<f32>(Kind::new(Metric::L2, 3, 100, 400).code(Code::SqFp16));
    deleted::<f32>(Kind::new(Metric::Cosine, 4100, 4, 40).duplicates(3));
    deleted::<f32>(Kind::new(Metric::L2, 5, 4, 1));
}

#[test]
fn vacuum_without_a_dead_row_writes_nothing() {
    let mut world = World::<f32>::new(Kind::new(Metric::L2, 12, 4, 200).duplicates(5), 1);
    let n_writes = world.mem.n_writes();
    let stats = world.vacuum(|_| false);
    assert_eq!((stats.live, stats.removed, stats.free_slots), (200, 0, 0));
    assert_eq!(world.mem.n_writes(), n_writes);
    assert!(world.vacuum(one_in_three).free_slots > 40);
    let n_writes = world.mem.n_writes();
    // What is left of chains whose node has no row keeps its place.
    world.vacuum(|_| false);
    assert_eq!(world.mem.n_writes(), n_writes);
}

/// Each page is written a few times, however many of its lanes are concerned.
#[test]
fn vacuum_writes_pages_not_rows() {
    let mut world = World::<f32>::new(Kind::new(Metric::L2, 16, 8, 4000), 1);
    let n_writes = world.mem.n_writes();
    world.vacuum(|tid| tid.to_u64().is_multiple_of(10));
    let shape = &world.meta.shape;
    let chunks = 4000usize.div_ceil(shape.chunk_nodes() as usize);
    let pages = chunks * (shape.nodes_pages + shape.links_pages) + 10;
    let written = world.mem.n_writes() - n_writes;
    assert!(written <= 3 * pages, "{written} records for {pages} pages");
}

#[test]
fn nodes_live_on_as_long_as_their_duplicates() {
    let kind = Kind::new(Metric::L2, 8, 4, 300);
    let mut world = World::<f32>::new(kind, 2);
    let vector = world.model.values().next().unwrap().clone();
    world.model.values_mut().take(200).for_each(|v| v.clone_from(&vector));
    let mut world = World::over(kind, world.model, world.rng);
    let tids: Vec<Tid> = world.model.keys().copied().collect();
    let mut rng = Rng::new(5);
    for (i, n) in [1, 1, 50, 100, 40, 8].into_iter().enumerate() {
        let left: Vec<Tid> =
            tids.iter().take(200).filter(|t| world.model.contains_key(t)).copied().collect();
        // The node itself first, then any of them.
        let dead: BTreeSet<Tid> = match i {
            0 => left[..1].iter().copied().collect(),
            _ => (0..n).map(|_| left[rng.below(left.len() as u32) as usize]).collect(),
        };
        world.vacuum(|tid| dead.contains(&tid));
        world.verify_linked();
    }
    let dead: BTreeSet<Tid> = tids.iter().take(200).copied().collect();
    world.vacuum(|tid| dead.contains(&tid));
    world.verify_linked();
    let stats = world.vacuum(|_| false);
    assert_eq!((stats.live, stats.free_slots), (100, 200));
}

#[test]
fn whole_neighbourhoods_may_die() {
    let mut world = World::<f32>::new(Kind::new(Metric::L2, 4, 6, 1500), 3);
    for axis in 0..4 {
        let rows = world.model.clone();
        // Half of the space.
        world.vacuum(|tid| rows.get(&tid).is_some_and(|row| row[axis] > 0.1));
        world.verify_linked();
    }
}

#[test]
fn recall_is_that_of_a_fresh_graph() {
    for (m, dims) in [(8, 16), (16, 32)] {
        let kind = Kind::new(Metric::L2, dims, m, 4000);
        let mut world = World::<f32>::new(kind, 4);
        let mut rng = Rng::new(17);
        let dead: BTreeSet<Tid> =
            world.model.keys().filter(|_| rng.below(10) < 3).copied().collect();
        world.vacuum(|tid| dead.contains(&tid));
        let fresh = World::over(kind, world.model.clone(), Rng::new(4));
        let recall = |world: &World<f32>| [10, 20, 40].map(|ef| world.recall(ef, 300) / 3.0);
        let (mended, fresh) = (recall(&world), recall(&fresh));
        let loss = fresh.iter().sum::<f64>() - mended.iter().sum::<f64>();
        assert!(loss <= 0.005, "m {m}: {mended:?}, fresh {fresh:?}");
    }
}

/// After every record of a vacuum that is cut off there, and once more after the next one.
#[test]
fn a_crash_after_any_record_loses_nothing() {
    for (dims, m, n_rows) in [(16, 3, 150), (40, 6, 120), (4100, 2, 30)] {
        let kind = Kind::new(Metric::L2, dims, m, n_rows).duplicates(3);
        let mut world = World::<f32>::new(kind, 6);
        let before = world.model.clone();
        world.mem.start_journal();
        world.vacuum(one_in_three);
        for n in 0..=world.mem.journal_len() {
            let image = world.mem.crash_image(n);
            assert_eq!(damage(&image), [], "after record {n}");
            let crashed = world.on(image, before.clone());
            let (rows, _) = crashed.search(&vec![0.1; dims], ALL);
            let found: BTreeSet<Tid> = rows.iter().map(|row| row.tid).collect();
            assert_eq!(found.len(), rows.len());
            assert!(world.model.keys().all(|tid| found.contains(tid)), "after record {n}");
            let model: Model<f32> =
                before.clone().into_iter().filter(|(tid, _)| found.contains(tid)).collect();
            let mut crashed = world.on(crashed.mem, model);
            crashed.verify_rows();
            crashed.vacuum(one_in_three);
            crashed.verify_linked();
            assert_eq!(check(&crashed.mem), []);
            assert_eq!(crashed.model, world.model);
        }
    }
}

/// Scans beside a vacuum miss no row that lives, and return none twice.
#[test]
fn scans_do_not_notice_a_vacuum() {
    for seed in seeds(40) {
        let kind = Kind::new(Metric::L2, 12, 3, 120).duplicates(3);
        let mut world = World::<f32>::new(kind, 8);
        {
            let world = &world;
            let vacuum = move || {
                for _ in 0..2 {
                    let map = world.map();
                    bulk_delete(&world.mem, &world.view(&map), one_in_three).unwrap();
                }
            };
            let scan = move || {
                for i in 0..3 {
                    let (rows, _) = world.search(&[0.1 * i as f32; 12], ALL);
                    let found: BTreeSet<Tid> = rows.iter().map(|row| row.tid).collect();
                    assert_eq!(found.len(), rows.len());
                    let mut live = world.model.keys().filter(|tid| !one_in_three(**tid));
                    assert!(live.all(|tid| found.contains(tid)), "lost a row");
                }
            };
            world.mem.interleave(seed, vec![Box::new(vacuum), Box::new(scan), Box::new(scan)]);
        }
        world.model.retain(|tid, _| !one_in_three(*tid));
        world.verify_linked();
    }
}
