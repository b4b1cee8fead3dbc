//! Inserts, vacuums and scans, one after the other, cut off anywhere, and beside each other.

use std::collections::BTreeSet;

use ann::element::{Bits, Element};
use ann::metric::Metric;
use ann::rng::Rng;
use half::f16;

use super::insert::put;
use super::world::operator;
use super::{ALL, Kind, Model, World, random_vector};
use crate::hnsw::Code;
use crate::hnsw::insert::Inserter;
use crate::hnsw::scan::GraphScan;
use crate::hnsw::vacuum::bulk_delete;
use crate::mem::seeds;
use crate::search::exact::ExactQuery;
use crate::store::Pages;
use crate::tid::Tid;
use crate::trials;

fn random_verbs<E: Element>(kind: Kind, seed: u64) {
    trials::random_verbs(&mut World::<E>::new(kind, seed), 10);
}

#[test]
fn random_verbs_keep_the_model() {
    use Metric::{Cosine, Hamming, InnerProduct, Jaccard, L1, L2};
    for seed in 0..3 {
        random_verbs::<f32>(Kind::new(L2, 1, 4, 200), seed);
        random_verbs::<f32>(Kind::new(L2, 40, 2, 100).duplicates(2), seed);
        random_verbs::<f16>(Kind::new(Cosine, 64, 8, 200).duplicates(4), seed);
        random_verbs::<f32>(
            Kind::new(InnerProduct, 20, 6, 100).code(Code::Sq8).duplicates(4),
            seed,
        );
        random_verbs::<f32>(Kind::new(L1, 20, 5, 0).code(Code::SqFp16), seed);
        random_verbs::<f32>(Kind::new(Cosine, 20, 5, 150).by_vectors().duplicates(4), seed);
        random_verbs::<f16>(Kind::new(L1, 7, 5, 0).by_vectors(), seed);
    }
    for seed in 0..3 {
        random_verbs::<Bits>(Kind::new(Hamming, 64, 4, 200).duplicates(4), seed);
        random_verbs::<Bits>(Kind::new(Hamming, 9, 4, 100), seed);
        random_verbs::<Bits>(Kind::new(Jaccard, 100, 4, 0).duplicates(5), seed);
    }
    random_verbs::<Bits>(Kind::new(Jaccard, 33_000, 4, 50).duplicates(5), 7);
    random_verbs::<f32>(Kind::new(L2, 2100, 4, 40).by_vectors().duplicates(5), 8);
    random_verbs::<f32>(Kind::new(L2, 4100, 4, 60).duplicates(5), 7);
}

/// Lanes are used again, and what is found hardly gets worse, though few links lead from one of these clusters to another.
#[test]
fn rows_come_and_go() {
    let kind = Kind::new(Metric::L2, 16, 8, 1500);
    let mut world = World::<f32>::new(kind, 2);
    let mut rng = Rng::new(23);
    for _ in 0..10 {
        let dead: BTreeSet<Tid> =
            world.model.keys().filter(|_| rng.below(10) < 3).copied().collect();
        world.vacuum(|tid| dead.contains(&tid));
        world.grow(dead.len());
    }
    world.verify();
    let fresh = World::over(kind, world.model.clone(), Rng::new(2));
    let pages = |world: &World<f32>| f64::from(world.mem.n_blocks().unwrap());
    assert!(pages(&world) <= 1.3 * pages(&fresh), "{} {}", pages(&world), pages(&fresh));
    let recall = |world: &World<f32>| [10, 20, 40].map(|ef| world.recall(ef, 200) / 3.0);
    let (used, fresh) = (recall(&world), recall(&fresh));
    let loss = fresh.iter().sum::<f64>() - used.iter().sum::<f64>();
    assert!(loss <= 0.01, "{used:?}, fresh {fresh:?}");
}

fn crash_everywhere<E: Element>(kind: Kind, n_steps: usize) {
    trials::crash_everywhere(World::<E>::new(kind, kind.dims as u64), n_steps);
}

#[test]
fn a_crash_after_any_record_loses_nothing() {
    crash_everywhere::<f32>(Kind::new(Metric::L2, 12, 2, 40).duplicates(3), 40);
    crash_everywhere::<f32>(Kind::new(Metric::Cosine, 20, 3, 0).duplicates(2), 40);
    crash_everywhere::<f32>(Kind::new(Metric::L1, 9000, 2, 8), 20);
    crash_everywhere::<Bits>(Kind::new(Metric::Hamming, 60, 2, 40).duplicates(3), 40);
    crash_everywhere::<Bits>(Kind::new(Metric::Jaccard, 40_000, 2, 8), 20);
}

/// Which of the rows that are there from the start vacuum finds dead.
type Dead = fn(Tid) -> bool;

fn one_in_two(tid: Tid) -> bool {
    tid.blkno < 100 && tid.to_u64().is_multiple_of(2)
}

/// The entry goes, and may have no successor before an inserter becomes it.
fn all_of_them(tid: Tid) -> bool {
    tid.blkno < 100
}

/// Scans that may meet rows of inserters at work: no row twice, none of those that are there all the time left out, every
/// distance that of its row.
fn scan(world: &World<f32>, all: &Model<f32>, is_dead: Dead, seed: u64) {
    let mut rng = Rng::new(seed);
    let map = world.map();
    for _ in 0..3 {
        let query = random_vector::<f32>(&mut rng, world.kind.dims);
        let exact = ExactQuery::new(world.kind.metric, &query);
        let mut scan = GraphScan::new();
        scan.begin(&query, ALL);
        let mut found = BTreeSet::new();
        while let Some(row) = world.next(&mut scan, world.view(&map), &exact, all).unwrap() {
            let vector = all.get(&row.tid).expect("a tid nobody inserted");
            // What is computed for a dead row is nobody's concern.
            if !is_dead(row.tid) {
                let distance = operator(world.kind.metric, &query, vector);
                assert_eq!(row.distance.to_bits(), distance.to_bits(), "{}", row.tid);
                assert!(found.insert(row.tid), "{} came twice", row.tid);
            }
        }
        let mut must = world.model.keys().filter(|tid| !is_dead(**tid));
        assert!(must.all(|tid| found.contains(tid)), "lost a row");
    }
}

#[test]
fn actors_do_not_disturb_each_other() {
    for seed in seeds(60) {
        let kind = Kind::new(Metric::L2, 8, 3, [40, 90][seed as usize % 2]).duplicates(3);
        actors(kind, one_in_two, seed);
    }
}

#[test]
fn actors_do_not_miss_an_entry_that_goes() {
    for seed in seeds(60) {
        let code = [Code::Flat, Code::Sq8][seed as usize / 2 % 2];
        let kind = Kind::new(Metric::L2, 8, 3, [3, 30][seed as usize % 2]).duplicates(3).code(code);
        actors(kind, all_of_them, seed);
    }
}

/// Two inserters, a vacuum and scans.
fn actors(kind: Kind, is_dead: Dead, seed: u64) {
    let mut world = World::<f32>::new(kind, seed);
    // Some lanes are free from the start.
    world.vacuum(|tid| tid.to_u64().is_multiple_of(7));
    let same = world.model.values().next().unwrap().clone();
    let news = [1u32, 2].map(|actor| {
        let rows = (0..15u16).map(|i| {
            let vector = match i % 4 {
                0 => same.clone(),
                _ => random_vector(&mut world.rng, 8),
            };
            (Tid::new(1000 * actor, i + 1), vector)
        });
        rows.collect::<Model<f32>>()
    });
    let mut all = world.model.clone();
    all.extend(news.iter().flatten().map(|(tid, vector)| (*tid, vector.clone())));
    {
        let (world, all) = (&world, &all);
        let insert = |rows: &Model<f32>| {
            let rows = rows.clone();
            move || {
                let (mut inserter, map) = (Inserter::new(), world.map());
                for (tid, vector) in &rows {
                    put(&mut inserter, &world.mem, &world.view(&map), *tid, vector);
                }
            }
        };
        let vacuum = move || {
            let map = world.map();
            for _ in 0..2 {
                let asked = |tid| {
                    assert!(all.contains_key(&tid), "asks about {tid}, which nobody inserted");
                    is_dead(tid)
                };
                bulk_delete(&world.mem, &world.view(&map), asked).unwrap();
            }
        };
        world.mem.interleave(
            seed,
            vec![
                Box::new(insert(&news[0])),
                Box::new(insert(&news[1])),
                Box::new(vacuum),
                Box::new(move || scan(world, all, is_dead, seed)),
            ],
        );
    }
    world.model = all;
    world.model.retain(|tid, _| !is_dead(*tid));
    world.verify();
}
