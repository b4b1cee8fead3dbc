//! Graphs over sparse vectors: the same verbs, with rows of any length.

mod world;

use std::collections::HashMap;
use std::sync::Mutex;

use ann::hnsw::SparseQuery;
use ann::kernels::sparse::Sparse;
use ann::metric::Metric;
use ann::rng::Rng;

use super::world::damage;
use super::{ALL, METRICS, tid_no};
use crate::hnsw::check::check;
use crate::hnsw::insert::Inserter;
use crate::hnsw::scan::GraphScan;
use crate::hnsw::sparse::page::{ROOM, SparsePage, fill, free, init, problem_of, size_with_slot};
use crate::hnsw::sparse::read::SparseNodes;
use crate::hnsw::sparse::{STORED_MAX, bytes_of};
use crate::hnsw::vacuum::bulk_delete;
use crate::mem::seeds;
use crate::page::{INVALID_BLKNO, Page};
use crate::store::Pages;
use crate::tid::Tid;
use crate::trials::{self, Trial};
use world::{DIMS, World, random_vector, with};

#[test]
fn rows_of_a_page_move_together_when_some_leave() {
    let mut page = Page::default();
    init(&mut page, INVALID_BLKNO);
    let mut model: HashMap<usize, (u32, Vec<f32>)> = HashMap::new();
    let mut rng = Rng::new(5);
    for node in 0..3000u32 {
        let n = rng.below(60) as usize;
        let indices: Vec<i32> = (0..n as i32).map(|i| i * 3 + 1).collect();
        let values: Vec<f32> = (0..n).map(|_| rng.unit() + 0.5).collect();
        let Some(slot) = SparsePage::new(&page, 1).unwrap().free_slot(n) else {
            let gone: Vec<u16> =
                model.keys().filter(|_| rng.below(2) == 0).map(|slot| *slot as u16).collect();
            free(&mut page, &gone);
            gone.iter().for_each(|slot| drop(model.remove(&usize::from(*slot))));
            continue;
        };
        let mut stored = Vec::new();
        bytes_of(Sparse { indices: &indices, values: &values }, &mut stored);
        fill(&mut page, slot, node, &stored);
        assert!(model.insert(slot, (node, values)).is_none());
        let found = SparsePage::new(&page, 1).unwrap();
        assert_eq!(found.overlap().unwrap(), None);
        for (slot, (node, values)) in &model {
            let row = found.row(*slot).unwrap().unwrap();
            assert_eq!((row.node, row.vector.values), (*node, &values[..]));
            assert_eq!(problem_of(row.vector, 200), None);
        }
        let used: usize = model.values().map(|(_, values)| size_with_slot(values.len())).sum();
        assert!(used <= ROOM);
    }
    free(&mut page, &model.keys().map(|slot| *slot as u16).collect::<Vec<_>>());
    let found = SparsePage::new(&page, 1).unwrap();
    assert_eq!((found.n_slots, found.free_slot(STORED_MAX)), (0, Some(0)));
}

#[test]
fn what_is_no_vector_is_told() {
    let of = |indices: &[i32], values: &[f32]| problem_of(Sparse { indices, values }, 10);
    assert_eq!(of(&[0, 9], &[1.0, -2.0]), None);
    assert!(of(&[9, 0], &[1.0, 2.0]).is_some() && of(&[3, 3], &[1.0, 2.0]).is_some());
    assert!(of(&[10], &[1.0]).is_some() && of(&[-1], &[1.0]).is_some());
    assert!(of(&[1], &[0.0]).is_some() && of(&[1], &[f32::NAN]).is_some());
}

#[test]
fn random_verbs_hold_the_model() {
    for (metric, seed) in METRICS.into_iter().zip(0..) {
        trials::random_verbs(&mut World::new(metric, 6, 200, 4, seed), 25);
        trials::random_verbs(&mut World::new(metric, 3, 0, 2, seed), 25);
    }
}

#[test]
fn a_crash_after_every_record_loses_nothing() {
    for (metric, duplicates) in [(Metric::L2, 3), (Metric::Cosine, 0), (Metric::InnerProduct, 2)] {
        trials::crash_everywhere(World::new(metric, 3, 40, duplicates, 7), 30);
    }
}

/// A crash between the row and its node leaves a row of nobody; the next VACUUM that removes a row frees it as well.
#[test]
fn vacuum_frees_rows_of_nobody() {
    let mut world = World::new(Metric::L2, 4, 60, 0, 3);
    world.mem.start_journal();
    world.add(20);
    let mut leaked = 0;
    for n in 0..world.mem.journal_len() {
        let image = world.mem.crash_image(n);
        let all = world.model.clone();
        let mut crashed = world.moved(image, all);
        let found = crashed.found();
        crashed.model.retain(|tid, _| found.contains(tid));
        let rows = |w: &World| {
            check(&w.mem).iter().filter(|p| p.what.contains("belongs to no node")).count()
        };
        let before = rows(&crashed);
        leaked += before;
        crashed.remove(&|tid| tid == tid_no(5));
        crashed.verify_leaky();
        let records = check(&crashed.mem);
        let left: Vec<_> = records.iter().filter(|p| p.what.starts_with("vector in")).collect();
        assert!(left.is_empty(), "{left:?} of {before}");
    }
    assert!(leaked > 0);
}

/// What VACUUM frees is used again: rows exchanged over and over take no more pages.
#[test]
fn room_is_used_again() {
    let mut world = World::new(Metric::L2, 6, 1000, 0, 3);
    let mut pages = Vec::new();
    for _ in 0..8 {
        let newest = world.next_tid;
        world.remove(&|tid| tid.to_u64() % 3 == 1 && tid < tid_no(newest - 200));
        let missing = 1000 - world.model.len();
        world.add(missing);
        world.verify_leaky();
        pages.push(world.mem.n_blocks().unwrap());
    }
    let (first, last) = (pages[1], pages[7]);
    assert!(last <= first + first / 10, "{pages:?}");
}

#[test]
fn a_grown_graph_finds_as_much_as_a_built_one() {
    for metric in METRICS {
        let built = World::new(metric, 8, 1500, 0, 3);
        let mut grown = World::new(metric, 8, 0, 0, 3);
        let rows: Vec<_> = built.model.clone().into_iter().collect();
        grown.put(&rows);
        grown.model.extend(rows);
        let (ours, theirs) = (grown.recall(60), built.recall(60));
        assert!(ours > theirs - 0.03 && theirs > 0.9, "{metric:?}: {ours} {theirs}");
    }
}

/// Rows as long as there are, each alone on its page; and empty ones.
#[test]
fn the_longest_rows_and_the_shortest() {
    let world = World::new(Metric::L2, 4, 0, 0, 1);
    let (mut inserter, map) = (Inserter::new(), world.map());
    let indices: Vec<i32> = (0..STORED_MAX as i32).collect();
    let mut put = |i: u64, n: usize| {
        let values: Vec<f32> = (0..n).map(|j| (j as u64 % 7 + i + 1) as f32).collect();
        let row = Sparse { indices: &indices[..n.min(STORED_MAX)], values: &values };
        inserter.insert_sparse(&world.mem, &world.view(&map), tid_no(i), (row, &[]))
    };
    for i in 0..30 {
        put(i, if i % 5 == 4 { 0 } else { STORED_MAX }).unwrap();
    }
    assert!(put(100, STORED_MAX + 1).is_err());
    assert_eq!(damage(&world.mem), []);
    let found = world.search_all();
    assert_eq!(found, 30);
}

/// Inserters, a VACUUM and scans beside each other, in any order of their steps.
#[test]
fn inserts_and_vacuum_run_beside_scans() {
    for seed in seeds(40) {
        let mut world = World::new(Metric::L2, 4, 80, 3, seed);
        let stays: Vec<Tid> =
            world.model.keys().copied().filter(|tid| !tid.to_u64().is_multiple_of(3)).collect();
        let mut parts: Vec<Vec<(Tid, Vec<f32>)>> = vec![Vec::new(); 2];
        for i in 0..30u64 {
            parts[i as usize % 2].push((tid_no(1000 + i), random_vector(&mut world.rng)));
        }
        let seen = Mutex::new(Vec::new());
        {
            let (world, seen) = (&world, &seen);
            let mut actors: Vec<Box<dyn FnOnce() + Send + '_>> = Vec::new();
            for part in &parts {
                actors.push(Box::new(move || world.put(part)));
            }
            actors.push(Box::new(move || {
                let map = world.map();
                let is_dead = |tid: Tid| tid < tid_no(1000) && tid.to_u64().is_multiple_of(3);
                bulk_delete(&world.mem, &world.view(&map), is_dead).unwrap();
            }));
            actors.push(Box::new(move || {
                for _ in 0..3 {
                    let map = world.map();
                    let mut scan = GraphScan::new();
                    let query = with(&[0.1; DIMS], |query| SparseQuery::new(Metric::L2, query));
                    scan.begin(&[], ALL);
                    scan.source().look_for(query.clone());
                    let mut rows = Vec::new();
                    loop {
                        let mut exact = SparseNodes::new(&world.mem, world.view(&map), &query);
                        let view = world.view(&map);
                        match scan.next(&world.mem, &view, None, &mut exact).unwrap() {
                            Some(row) => rows.push(row.tid),
                            None => break,
                        }
                    }
                    seen.lock().unwrap().push(rows);
                }
            }));
            world.mem.interleave(seed, actors);
        }
        for mut rows in seen.into_inner().unwrap() {
            let n = rows.len();
            rows.sort_unstable();
            rows.dedup();
            assert_eq!(rows.len(), n, "seed {seed}: a row came twice");
            assert!(stays.iter().all(|tid| rows.binary_search(tid).is_ok()), "seed {seed}");
        }
        world.model.retain(|tid, _| stays.contains(tid));
        parts.into_iter().flatten().for_each(|(tid, v)| drop(world.model.insert(tid, v)));
        world.verify_leaky();
    }
}
