//! Graphs over sparse vectors: the same verbs, with rows of any length.

use std::collections::HashMap;
use std::sync::Mutex;

use ann::hnsw::{self, BuiltGraph, Factors, Grid, HnswParams, Points};
use ann::hnsw::{SparsePoints, SparseQuery, SparseRows};
use ann::kernels::sparse::{Sparse, TAG};
use ann::metric::Metric;
use ann::parallel::Job;
use ann::rng::Rng;

use super::world::damage;
use super::{ALL, METRICS, Model, tid_no};
use crate::checker::{Problem, Severity};
use crate::error::Error;
use crate::hnsw::build::{Source, build};
use crate::hnsw::check::check;
use crate::hnsw::insert::Inserter;
use crate::hnsw::scan::{GraphParams, GraphScan};
use crate::hnsw::sparse::page::{ROOM, SparsePage, fill, free, init, problem_of, size_with_slot};
use crate::hnsw::sparse::read::SparseNodes;
use crate::hnsw::sparse::{STORED_MAX, bytes_of};
use crate::hnsw::vacuum::bulk_delete;
use crate::hnsw::{Code, Map, Meta, MetaParams, View};
use crate::mem::{MemPages, seeds};
use crate::page::{INVALID_BLKNO, Page};
use crate::search::params::Found;
use crate::store::Pages;
use crate::tid::Tid;
use crate::trials::{self, Trial};

/// A vector written out, for the model, of so many components.
const DIMS: usize = 40;

/// Its positions and elements; positions are far apart, as in vectors of many dimensions.
fn stored_of(vector: &[f32]) -> (Vec<i32>, Vec<f32>) {
    let all = vector.iter().zip(0i32..).filter(|(x, _)| **x != 0.0);
    all.map(|(x, i)| (i * 24_999_999, *x)).unzip()
}

fn with<T>(vector: &[f32], f: impl FnOnce(Sparse<'_>) -> T) -> T {
    let (indices, values) = stored_of(vector);
    f(Sparse { indices: &indices, values: &values })
}

/// From no element to all of them.
fn random_vector(rng: &mut Rng) -> Vec<f32> {
    let one_in = 1 + rng.below(9);
    let element = |_| if rng.below(one_in) == 0 { rng.unit() - 0.3 } else { 0.0 };
    let mut vector: Vec<f32> = (0..DIMS).map(element).collect();
    // Under cosine a vector of zeros is not indexed.
    let some = rng.below(DIMS as u32) as usize;
    vector[some] = 0.1 + rng.unit();
    vector
}

struct World {
    mem: MemPages,
    meta: Meta,
    grid: Grid,
    twins: u32,
    model: Model<f32>,
    rng: Rng,
    next_tid: u64,
}

/// A graph in memory over rows, equal ones together.
struct Built {
    graph: BuiltGraph,
    rows: SparseRows,
    tids: Vec<Vec<Tid>>,
    stored: Vec<u8>,
}

impl Built {
    fn new(params: &MetaParams, grid: &Grid, model: &Model<f32>) -> Self {
        let (mut rows, mut tids) = (SparseRows::default(), Vec::<Vec<Tid>>::new());
        let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
        for (tid, vector) in model {
            let n = tids.len();
            let i = *known.entry(bytemuck::cast_slice(vector).to_vec()).or_insert(n);
            if i < n {
                tids[i].push(*tid);
                continue;
            }
            with(vector, |row| rows.push(row));
            tids.push(vec![*tid]);
        }
        let hnsw = HnswParams { m: params.m, ef_construction: params.ef_construction, seed: 1 };
        let of = Points::Sparse(SparsePoints { metric: params.metric, rows: &rows });
        let graph = hnsw::build(grid, of, &hnsw, &Job::default()).unwrap();
        Self { graph, rows, tids, stored: Vec::new() }
    }
}

impl Source for Built {
    fn entry(&self) -> Option<u32> {
        (!self.graph.is_empty()).then_some(self.graph.entry)
    }

    fn level(&self, node: u32) -> u8 {
        self.graph.levels[node as usize]
    }

    fn links(&self, node: u32, level: usize, out: &mut Vec<u32>) {
        out.extend_from_slice(self.graph.links(node, level));
    }

    fn by_vectors(&self) -> bool {
        true
    }

    fn code(&self, _node: u32) -> (&[u8], Factors) {
        unreachable!("sparse vectors have no codes")
    }

    fn n_rows(&self, node: u32) -> usize {
        self.tids[node as usize].len()
    }

    fn tids(&self, node: u32, out: &mut Vec<Tid>) {
        out.extend_from_slice(&self.tids[node as usize]);
    }

    fn vector(&mut self, node: u32) -> Result<&[u8], Error> {
        bytes_of(self.rows.get(node as usize).unwrap(), &mut self.stored);
        Ok(&self.stored)
    }

    fn n_stored(&self, node: u32) -> usize {
        self.rows.get(node as usize).unwrap().indices.len()
    }
}

impl World {
    fn new(metric: Metric, m: usize, n: usize, twins: u32, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut model = Model::new();
        let mut last = random_vector(&mut rng);
        for i in 0..n as u64 {
            if twins == 0 || rng.below(twins) > 0 {
                last = random_vector(&mut rng);
            }
            model.insert(tid_no(i), last.clone());
        }
        let params = MetaParams {
            element: TAG,
            metric,
            dims: 1_000_000_000,
            m,
            ef_construction: 40,
            code: Code::Flat,
            seed: 1,
            trained_rows: 0,
        };
        let grid = Grid::train(metric, params.grid_dims(), &[]);
        let mut built = Built::new(&params, &grid, &model);
        let order = match built.graph.is_empty() {
            true => Vec::new(),
            false => hnsw::order(&built.graph),
        };
        let (mem, meta) = build(MemPages::default(), &params, &grid, &order, &mut built).unwrap();
        assert_eq!(Meta::read(&mem).unwrap(), meta);
        Self { mem, meta, grid, twins, model, rng, next_tid: n as u64 }
    }

    fn map(&self) -> Map {
        Map::read(&self.mem, &self.meta).unwrap()
    }

    fn view<'a>(&'a self, map: &'a Map) -> View<'a> {
        View::new(&self.meta, &self.grid, map).trusting(true)
    }

    fn search(&self, query: &[f32], params: GraphParams, most: usize) -> Vec<Found> {
        let (map, metric) = (self.map(), self.meta.params.metric);
        let query = with(query, |query| SparseQuery::new(metric, query));
        let mut scan = GraphScan::new();
        scan.begin(&[], params);
        scan.source().look_for(query.clone());
        let mut rows = Vec::new();
        while rows.len() < most {
            let view = self.view(&map);
            let mut exact = SparseNodes::new(&self.mem, view, &query);
            let Some(row) = scan.next(&self.mem, &view, None, &mut exact).unwrap() else { break };
            rows.push(Found { distance: query.distance_of(row.distance), ..row });
            assert!(rows.len() <= self.model.len(), "more rows than there are");
        }
        rows
    }

    fn expected(&self, query: &[f32]) -> Vec<(Tid, u64)> {
        let query = with(query, |query| SparseQuery::new(self.meta.params.metric, query));
        let distance = |v: &Vec<f32>| with(v, |row| query.distance_of(query.exact(row)));
        let mut rows: Vec<_> = self.model.iter().map(|(tid, v)| (distance(v), *tid)).collect();
        rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
        rows.into_iter().map(|(distance, tid)| (tid, distance.to_bits())).collect()
    }

    /// Of the ten nearest rows, how many a search finds, as a share.
    fn recall(&self, ef: usize) -> f64 {
        let mut rng = Rng::new(99);
        let mut found = 0;
        for _ in 0..100 {
            let query = random_vector(&mut rng);
            let rows = self.search(&query, GraphParams { ef, ..ALL }, 10);
            let worst = f64::from_bits(self.expected(&query)[9].1);
            found += rows.iter().filter(|row| row.distance <= worst).count();
        }
        found as f64 / 1000.0
    }

    fn put(&self, rows: &[(Tid, Vec<f32>)]) {
        let (mut inserter, map) = (Inserter::new(), self.map());
        for (tid, vector) in rows {
            let view = self.view(&map);
            with(vector, |row| inserter.insert_sparse(&self.mem, &view, *tid, row)).unwrap();
        }
    }

    fn leaks(&self) -> usize {
        check(&self.mem).iter().filter(|p| p.severity == Severity::Leak).count()
    }
}

impl Trial for World {
    type Element = f32;

    fn mem(&self) -> &MemPages {
        &self.mem
    }

    fn model(&mut self) -> &mut Model<f32> {
        &mut self.model
    }

    fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    fn moved(&self, mem: MemPages, model: Model<f32>) -> Self {
        Self {
            mem,
            meta: self.meta.clone(),
            grid: self.grid.clone(),
            twins: self.twins,
            model,
            rng: Rng::new(1),
            next_tid: self.next_tid + 1000,
        }
    }

    fn add(&mut self, n: usize) {
        let mut last = random_vector(&mut self.rng);
        let mut rows = Vec::new();
        for _ in 0..n {
            if self.twins == 0 || self.rng.below(self.twins) > 0 {
                last = random_vector(&mut self.rng);
            }
            rows.push((tid_no(self.next_tid), last.clone()));
            self.next_tid += 1;
        }
        self.put(&rows);
        self.model.extend(rows);
    }

    fn remove(&mut self, is_dead: &dyn Fn(Tid) -> bool) {
        let map = self.map();
        let (mem, view) = (&self.mem, View::new(&self.meta, &self.grid, &map));
        let clear = |asked: &mut dyn FnMut(Tid) -> bool| bulk_delete(mem, &view, asked).unwrap();
        trials::vacuum(&mut self.model, is_dead, clear);
    }

    fn found(&self) -> Vec<Tid> {
        self.search(&[0.1; DIMS], ALL, usize::MAX).iter().map(|row| row.tid).collect()
    }

    fn damage(mem: &MemPages) -> Vec<Problem> {
        damage(mem)
    }

    fn verify_leaky(&mut self) {
        assert_eq!(damage(&self.mem), []);
        let query = random_vector(&mut self.rng);
        let rows = self.search(&query, ALL, usize::MAX);
        let found: Vec<_> = rows.iter().map(|row| (row.tid, row.distance.to_bits())).collect();
        assert_eq!(found, self.expected(&query));
    }

    fn verify(&mut self) {
        self.verify_leaky();
        assert_eq!(self.leaks(), 0);
    }
}

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
    for (metric, twins) in [(Metric::L2, 3), (Metric::Cosine, 0), (Metric::InnerProduct, 2)] {
        trials::crash_everywhere(World::new(metric, 3, 40, twins, 7), 30);
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
        inserter.insert_sparse(&world.mem, &world.view(&map), tid_no(i), row)
    };
    for i in 0..30 {
        put(i, if i % 5 == 4 { 0 } else { STORED_MAX }).unwrap();
    }
    assert!(put(100, STORED_MAX + 1).is_err());
    assert_eq!(damage(&world.mem), []);
    let found = world.search_all();
    assert_eq!(found, 30);
}

impl World {
    fn search_all(&self) -> usize {
        let (map, mut scan, mut n) = (self.map(), GraphScan::new(), 0);
        let query = SparseQuery::new(self.meta.params.metric, Sparse::default());
        scan.begin(&[], ALL);
        scan.source().look_for(query.clone());
        let mut last = f64::NEG_INFINITY;
        loop {
            let mut exact = SparseNodes::new(&self.mem, self.view(&map), &query);
            let found = scan.next(&self.mem, &self.view(&map), None, &mut exact).unwrap();
            let Some(row) = found else { return n };
            assert!(row.distance >= last);
            last = row.distance;
            n += 1;
        }
    }
}

/// Inserters, a VACUUM and scans beside each other, in any order of their steps.
#[test]
fn inserts_and_vacuum_run_beside_scans() {
    for seed in seeds(40) {
        let mut world = World::new(Metric::L2, 4, 80, 3, seed);
        let stays: Vec<Tid> =
            world.model.keys().copied().filter(|tid| tid.to_u64() % 3 != 0).collect();
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
                let is_dead = |tid: Tid| tid < tid_no(1000) && tid.to_u64() % 3 == 0;
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
