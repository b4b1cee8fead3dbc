//! Inserts: alone, after a crash, and beside each other.

use std::collections::BTreeSet;
use std::sync::Mutex;

use ann::element::Element;
use ann::metric::Metric;
use half::f16;

use super::world::{damage, point_of, stored_bytes};
use super::{ALL, Kind, METRICS, Model, World, random_vector, tid_no};
use crate::checker::Severity;
use crate::damage::rows::attributes_of;
use crate::hnsw::check::check;
use crate::hnsw::entry::Entry;
use crate::hnsw::insert::{Inserter, Row};
use crate::hnsw::rows::NodeRows;
use crate::hnsw::scan::GraphScan;
use crate::hnsw::{Code, View};
use crate::mem::{MemPages, seeds};
use crate::search::exact::ExactQuery;
use crate::tid::Tid;

pub fn put<E: Element>(
    inserter: &mut Inserter,
    mem: &MemPages,
    view: &View<'_>,
    tid: Tid,
    vector: &[E],
) {
    let params = &view.meta.params;
    let stored = stored_bytes(params.code, vector);
    let point = point_of(params.metric, vector, params.dims);
    let attributes = &attributes_of(tid, &params.attributes);
    let row = Row { tid, stored: &stored, point: &point, attributes };
    inserter.insert(mem, view, &row).unwrap();
}

impl<E: Element> World<E> {
    /// Inserts random rows, one in `duplicates` with the vector of the row before.
    pub fn grow(&mut self, n: usize) {
        let mut rows = Vec::new();
        let mut last = random_vector::<E>(&mut self.rng, self.kind.dims);
        for _ in 0..n {
            if self.kind.duplicates == 0 || self.rng.below(self.kind.duplicates) > 0 {
                last = random_vector::<E>(&mut self.rng, self.kind.dims);
            }
            rows.push((tid_no(self.next_tid), last.clone()));
            self.next_tid += 1;
        }
        self.insert(rows);
    }

    pub fn insert(&mut self, rows: Vec<(Tid, Vec<E>)>) {
        let (mut inserter, map) = (Inserter::new(), self.map());
        for (tid, vector) in &rows {
            put(&mut inserter, &self.mem, &self.view(&map), *tid, vector);
        }
        self.model.extend(rows);
    }

    /// The tids that a scan of everything in other pages gives.
    fn search_in(&self, mem: &MemPages, view: View<'_>, query: &[f32]) -> Vec<Tid> {
        let mut scan = GraphScan::new();
        scan.begin(&point_of(self.kind.metric, query, query.len()), ALL);
        let exact = ExactQuery::new(self.kind.metric, query);
        let mut stored = NodeRows::of_nodes(mem, view, |row: &[E]| exact.key(row)).unwrap();
        let next = || scan.next(mem, &view, None, &mut stored).unwrap().map(|row| row.tid);
        std::iter::from_fn(next).collect()
    }

    /// Nodes that no link leads to.
    pub fn unreachable(&self) -> usize {
        let problems = check(&self.mem);
        problems.iter().filter(|p| p.severity == Severity::Unreachable).count()
    }
}

fn grows<E: Element>(kind: Kind, n: usize) {
    let mut world = World::<E>::new(kind, 7);
    for _ in 0..3 {
        world.grow(n / 3);
        world.verify();
        let (lost, n) = (world.unreachable(), world.model.len());
        // By inner product short vectors are nobody's nearest.
        let most = match kind.metric {
            Metric::InnerProduct => n / 15,
            _ if kind.m < 4 => n / 5,
            _ => n / 50,
        };
        assert!(lost <= most, "{kind:?}: {lost} nodes of {n} are lost");
    }
}

#[test]
fn rows_are_found_once_inserted() {
    for metric in METRICS {
        grows::<f32>(Kind::new(metric, 24, 8, 300).duplicates(5), 300);
        grows::<f16>(Kind::new(metric, 33, 5, 0).duplicates(3), 300);
        grows::<f32>(Kind::new(metric, 16, 4, 100).code(Code::Sq8).duplicates(4), 200);
        grows::<f32>(Kind::new(metric, 40, 6, 0).code(Code::SqFp16), 300);
    }
    grows::<f32>(Kind::new(Metric::L2, 1, 2, 0), 600);
    grows::<f32>(Kind::new(Metric::L2, 8, 100, 40).duplicates(50), 400);
}

/// Vectors over several pages; chunks of few nodes, and so many of them that the MAP grows.
#[test]
fn long_vectors_and_long_maps() {
    grows::<f32>(Kind::new(Metric::L2, 2000, 16, 20), 60);
    grows::<f32>(Kind::new(Metric::Cosine, 4100, 4, 30).duplicates(3), 60);
    grows::<f16>(Kind::new(Metric::InnerProduct, 16_000, 3, 0), 30);
    let mut world = World::<f32>::new(Kind::new(Metric::L1, 16_000, 4, 0), 7);
    world.grow(250);
    world.verify();
    assert!(world.map().map_pages().len() > 1);
}

/// Not in a record for each neighbour.
#[test]
fn neighbours_on_four_pages_link_back_in_one_record() {
    let mut world = World::<f32>::new(Kind::new(Metric::L2, 16, 8, 1000), 3);
    world.mem.start_journal();
    world.grow(100);
    let records = world.mem.journal_len();
    assert!(records <= 600, "{records} records for 100 rows");
    world.verify();
}

#[test]
fn a_grown_graph_finds_as_much_as_a_built_one() {
    for metric in [Metric::L2, Metric::Cosine, Metric::L1] {
        let kind = Kind::new(metric, 16, 8, 2000);
        let built = World::<f32>::new(kind, 3);
        let mut grown = World::<f32>::new(Kind { n_rows: 0, ..kind }, 3);
        grown.insert(built.model.clone().into_iter().collect());
        for ef in [10, 20, 40] {
            let (ours, theirs) = (grown.recall(ef, 300), built.recall(ef, 300));
            assert!(ours > theirs - 0.03, "{metric:?} {ef}: {ours} {theirs}");
        }
    }
}

#[test]
fn levels_and_entry_are_kept() {
    let mut world = World::<f32>::new(Kind::new(Metric::L2, 4, 2, 0), 1);
    let mut levels = BTreeSet::new();
    for _ in 0..300 {
        world.grow(1);
        levels.insert(Entry::read(&world.mem, &world.meta).unwrap().level);
    }
    assert!(levels.len() > 3, "{levels:?}");
    world.verify();
}

#[test]
fn rows_of_one_vector_are_one_node() {
    let mut world = World::<f32>::new(Kind::new(Metric::L2, 12, 4, 50), 3);
    let vector = random_vector::<f32>(&mut world.rng, 12);
    let rows: Vec<_> = (100..1100).map(|i| (tid_no(i), vector.clone())).collect();
    world.insert(rows);
    world.verify();
    let map = world.map();
    let totals = crate::hnsw::info::totals(&world.mem, &world.view(&map)).unwrap();
    assert_eq!((totals.ntotal, totals.duplicates), (1050, 999));
}

/// Different vectors with one code are nodes of their own.
#[test]
fn alike_is_not_equal() {
    let mut world = World::<f32>::new(Kind::new(Metric::L2, 12, 4, 50), 3);
    let vector = random_vector::<f32>(&mut world.rng, 12);
    let mut rows: Vec<_> = (100..400).map(|i| (tid_no(i), vector.clone())).collect();
    rows.iter_mut().zip(0..).for_each(|((_, v), i)| v[0] += 1e-6 * i as f32);
    world.insert(rows);
    world.verify();
}

/// At every edit of an insert the pages are sound and hold the rows inserted before.
#[test]
fn a_crash_loses_no_other_row() {
    for kind in [
        Kind::new(Metric::L2, 12, 2, 40).duplicates(3),
        Kind::new(Metric::L2, 12, 2, 0).duplicates(3),
        Kind::new(Metric::Cosine, 2000, 3, 20),
        Kind::new(Metric::L1, 9000, 3, 10),
    ] {
        let mut world = World::<f32>::new(kind, 11);
        let before = world.model.clone();
        world.mem.start_journal();
        let mut states: Vec<(usize, Model<f32>)> = Vec::new();
        let n = if kind.dims > 1000 { 12 } else { 60 };
        for _ in 0..n {
            world.grow(1);
            states.push((world.mem.journal_len(), world.model.clone()));
        }
        let mut done = before;
        for edits in 0..=world.mem.journal_len() {
            let passed = states.iter().filter(|(n, _)| *n <= edits).count();
            if let Some((_, model)) = passed.checked_sub(1).and_then(|i| states.get(i)) {
                done.clone_from(model);
            }
            let mut image = world.on(world.mem.crash_image(edits), done.clone());
            assert_eq!(damage(&image.mem), [], "{kind:?} after {edits} edits");
            // The row in the making may be there.
            if let Some((_, coming)) = states.get(passed) {
                let query = image.random_query();
                let more = image.on(MemPages::from_pages(image.mem.to_pages()), coming.clone());
                let rows = more.search(&query, ALL).0.len();
                assert!(rows == done.len() || rows == coming.len(), "{rows} {edits}");
                if rows == coming.len() {
                    image.model.clone_from(coming);
                }
            }
            image.verify_rows();
            image.grow(3);
            image.verify();
        }
    }
}

/// Inserters and scans beside each other, in any order of their steps.
#[test]
fn inserts_run_beside_each_other() {
    for seed in seeds(40) {
        let n_rows = [0, 60][seed as usize % 2];
        let kind = Kind::new(Metric::L2, 6, 4, n_rows).duplicates(3);
        let mut world = World::<f32>::new(kind, seed);
        let same = random_vector::<f32>(&mut world.rng, 6);
        let mut parts: Vec<Model<f32>> = vec![Model::new(); 3];
        for i in 0..45u64 {
            let vector = if i % 4 == 0 { same.clone() } else { random_vector(&mut world.rng, 6) };
            parts[i as usize % 3].insert(tid_no(1000 + i), vector);
        }
        let query = world.random_query();
        let seen = Mutex::new(Vec::new());
        {
            let (world, seen, query) = (&world, &seen, &query);
            let mut actors: Vec<Box<dyn FnOnce() + Send + '_>> = Vec::new();
            for part in &parts {
                actors.push(Box::new(move || {
                    let (mut inserter, map) = (Inserter::new(), world.map());
                    for (tid, vector) in part {
                        put(&mut inserter, &world.mem, &world.view(&map), *tid, vector);
                    }
                }));
            }
            let all: Model<f32> = parts.iter().flatten().chain(&world.model).fold(
                Model::new(),
                |mut all, (tid, v)| {
                    all.insert(*tid, v.clone());
                    all
                },
            );
            let reader = world.on(MemPages::default(), all);
            actors.push(Box::new(move || {
                let map = world.map();
                let view = world.view(&map);
                for _ in 0..3 {
                    seen.lock().unwrap().push(reader.search_in(&world.mem, view, query));
                }
            }));
            world.mem.interleave(seed, actors);
        }
        for rows in seen.into_inner().unwrap() {
            let distinct: BTreeSet<Tid> = rows.iter().copied().collect();
            assert_eq!(distinct.len(), rows.len(), "seed {seed}: a row came twice");
            assert!(world.model.keys().all(|tid| distinct.contains(tid)), "seed {seed}");
        }
        parts.into_iter().for_each(|part| world.model.extend(part));
        world.verify();
        let lost = world.unreachable();
        assert!(lost * 20 <= world.model.len(), "seed {seed}: {lost} nodes are lost");
    }
}
