//! A graph over sparse vectors and what must be in it.

use std::collections::HashMap;

use ann::hnsw::{self, BuiltGraph, Factors, Grid, HnswParams, Points};
use ann::hnsw::{SparsePoints, SparseQuery, SparseRows};
use ann::kernels::sparse::{Sparse, TAG};
use ann::metric::Metric;
use ann::parallel::Job;
use ann::rng::Rng;

use super::super::world::damage;
use super::super::{ALL, Model, tid_no};
use crate::checker::{Problem, Severity};
use crate::error::Error;
use crate::hnsw::build::{Source, build};
use crate::hnsw::check::check;
use crate::hnsw::insert::Inserter;
use crate::hnsw::scan::{GraphParams, GraphScan};
use crate::hnsw::sparse::bytes_of;
use crate::hnsw::sparse::read::SparseNodes;
use crate::hnsw::vacuum::bulk_delete;
use crate::hnsw::{Code, Map, Meta, MetaParams, View};
use crate::mem::MemPages;
use crate::search::attributes::Attributes;
use crate::search::params::Found;
use crate::tid::Tid;
use crate::trials::{self, Trial};

/// A vector written out, for the model, with all of its components.
pub const DIMS: usize = 40;

/// Its positions and elements; positions are far apart, as in vectors of many dimensions.
pub fn stored_of(vector: &[f32]) -> (Vec<i32>, Vec<f32>) {
    let all = vector.iter().zip(0i32..).filter(|(x, _)| **x != 0.0);
    all.map(|(x, i)| (i * 24_999_999, *x)).unzip()
}

pub fn with<T>(vector: &[f32], f: impl FnOnce(Sparse<'_>) -> T) -> T {
    let (indices, values) = stored_of(vector);
    f(Sparse { indices: &indices, values: &values })
}

/// From no element to all of them.
pub fn random_vector(rng: &mut Rng) -> Vec<f32> {
    let one_in = 1 + rng.below(9);
    let element = |_| if rng.below(one_in) == 0 { rng.unit() - 0.3 } else { 0.0 };
    let mut vector: Vec<f32> = (0..DIMS).map(element).collect();
    // Under cosine a vector of zeros is not indexed.
    let some = rng.below(DIMS as u32) as usize;
    vector[some] = 0.1 + rng.unit();
    vector
}

pub struct World {
    pub mem: MemPages,
    pub meta: Meta,
    grid: Grid,
    duplicates: u32,
    pub model: Model<f32>,
    pub rng: Rng,
    pub next_tid: u64,
}

/// A graph in memory over rows, equal ones together.
struct Built {
    graph: BuiltGraph,
    rows: SparseRows,
    tids: Vec<Vec<Tid>>,
    stored: Vec<u8>,
}

impl Built {
    pub fn new(params: &MetaParams, grid: &Grid, model: &Model<f32>) -> Self {
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
    pub fn new(metric: Metric, m: usize, n: usize, duplicates: u32, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut model = Model::new();
        let mut last = random_vector(&mut rng);
        for i in 0..n as u64 {
            if duplicates == 0 || rng.below(duplicates) > 0 {
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
            attributes: Attributes::NONE,
        };
        let grid = Grid::train(metric, params.grid_dims(), &[]);
        let mut built = Built::new(&params, &grid, &model);
        let order = match built.graph.is_empty() {
            true => Vec::new(),
            false => hnsw::order(&built.graph),
        };
        let (mem, meta) = build(MemPages::default(), &params, &grid, &order, &mut built).unwrap();
        assert_eq!(Meta::read(&mem).unwrap(), meta);
        Self { mem, meta, grid, duplicates, model, rng, next_tid: n as u64 }
    }

    pub fn map(&self) -> Map {
        Map::read(&self.mem, &self.meta).unwrap()
    }

    pub fn view<'a>(&'a self, map: &'a Map) -> View<'a> {
        View::new(&self.meta, &self.grid, map).trusting(true)
    }

    pub fn search(&self, query: &[f32], params: GraphParams, most: usize) -> Vec<Found> {
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

    pub fn expected(&self, query: &[f32]) -> Vec<(Tid, u64)> {
        let query = with(query, |query| SparseQuery::new(self.meta.params.metric, query));
        let distance = |v: &Vec<f32>| with(v, |row| query.distance_of(query.exact(row)));
        let mut rows: Vec<_> = self.model.iter().map(|(tid, v)| (distance(v), *tid)).collect();
        rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
        rows.into_iter().map(|(distance, tid)| (tid, distance.to_bits())).collect()
    }

    /// Of the ten nearest rows, how many a search finds, as a share.
    pub fn recall(&self, ef: usize) -> f64 {
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

    pub fn put(&self, rows: &[(Tid, Vec<f32>)]) {
        let (mut inserter, map) = (Inserter::new(), self.map());
        for (tid, vector) in rows {
            let view = self.view(&map);
            with(vector, |row| inserter.insert_sparse(&self.mem, &view, *tid, (row, &[]))).unwrap();
        }
    }

    pub fn leaks(&self) -> usize {
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
            duplicates: self.duplicates,
            model,
            rng: Rng::new(1),
            next_tid: self.next_tid + 1000,
        }
    }

    fn add(&mut self, n: usize) {
        let mut last = random_vector(&mut self.rng);
        let mut rows = Vec::new();
        for _ in 0..n {
            if self.duplicates == 0 || self.rng.below(self.duplicates) > 0 {
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

impl World {
    pub fn search_all(&self) -> usize {
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
