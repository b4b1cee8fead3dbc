//! A graph and what must be in it.

use std::collections::HashMap;

use ann::element::{Bits, Element};
use ann::extent;
use ann::hnsw::{self, BuiltGraph, Codes, Factors, Grid, HnswParams, Points};
use ann::kernels::{
    cosine_distance, hamming_distance, jaccard_distance, l1, l2_distance, negative_inner_product,
};
use ann::metric::Metric;
use ann::parallel::Job;
use ann::rng::Rng;
use ann::topk::Hit;
use half::f16;

use super::{ALL, Kind, Model, random_vector, tid_no};
use crate::checker::{Problem, Severity};
use crate::damage::rows::attributes_of;
use crate::error::Error;
use crate::hnsw::build::{Source, build};
use crate::hnsw::check::check;
use crate::hnsw::entry::Entry;
use crate::hnsw::rows::{NodeBits, NodeRows};
use crate::hnsw::scan::{GraphParams, GraphScan};
use crate::hnsw::vacuum::{self, bulk_delete};
use crate::hnsw::{Code, Map, Meta, MetaParams, View, info};
use crate::mem::MemPages;
use crate::search::attributes::Attributes;
use crate::search::exact::ExactQuery;
use crate::search::filter::Filter;
use crate::search::params::Found;
use crate::search::rerank::Exact;
use crate::tid::Tid;
use crate::trials::{self, Trial};
use crate::vacuum::VacuumStats;

pub struct World<E: Element> {
    pub mem: MemPages,
    pub meta: Meta,
    pub kind: Kind,
    pub grid: Grid,
    pub model: Model<E>,
    pub rng: Rng,
    pub next_tid: u64,
}

/// A graph in memory over rows, equal ones together.
struct Rows<'a, E> {
    graph: BuiltGraph,
    grid: &'a Grid,
    codes: Vec<u8>,
    factors: Vec<Factors>,
    tids: Vec<Vec<Tid>>,
    vectors: Vec<Vec<E>>,
    code: Code,
    by_vectors: bool,
    stored: Vec<u8>,
    /// Of each node, those of its rows.
    attributes: Vec<Vec<Vec<u8>>>,
}

/// A vector as it is coded.
pub fn point_of<E: Element>(metric: Metric, vector: &[E], dims: usize) -> Vec<f32> {
    let mut point = E::widened(vector, dims);
    match metric {
        Metric::Cosine => extent::normalize(&mut point),
        _ => extent::shorten(&mut point),
    }
    point
}

/// A vector as the index stores it.
pub fn stored_bytes<E: Element>(code: Code, vector: &[E]) -> Vec<u8> {
    match code {
        Code::Flat if E::TAG == Bits::TAG => Vec::new(),
        Code::Flat => bytemuck::cast_slice(vector).to_vec(),
        Code::SqFp16 => {
            bytemuck::cast_slice(&f16::pack(&E::widened(vector, vector.len()))).to_vec()
        }
        Code::Sq8 => Vec::new(),
    }
}

pub fn operator<E: Element>(metric: Metric, query: &[f32], vector: &[E]) -> f64 {
    let (vector, bits) = (&E::widened(vector, query.len())[..], Bits::pack(query));
    let bytes = Bits::bytes(&bits);
    match metric {
        Metric::Hamming => hamming_distance(bytes, Bits::bytes(&Bits::pack(vector))),
        Metric::Jaccard => jaccard_distance(bytes, Bits::bytes(&Bits::pack(vector))),
        Metric::L2 => l2_distance(query, vector),
        Metric::InnerProduct => negative_inner_product(query, vector),
        Metric::Cosine => cosine_distance(query, vector),
        Metric::L1 => f64::from(l1(query, vector)),
    }
}

impl<'a, E: Element> Rows<'a, E> {
    fn new(kind: &Kind, grid: &'a Grid, model: &Model<E>) -> Self {
        let (mut codes, mut factors, mut tids, mut vectors) =
            (Vec::new(), Vec::new(), Vec::<Vec<Tid>>::new(), Vec::new());
        let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
        for (tid, vector) in model {
            let n = vectors.len();
            let i = *known.entry(bytemuck::cast_slice(vector).to_vec()).or_insert(n);
            if i < n {
                tids[i].push(*tid);
                continue;
            }
            let mut code = vec![0; grid.size()];
            factors.push(grid.encode(&point_of(kind.metric, vector, kind.dims), &mut code));
            codes.extend(code);
            tids.push(vec![*tid]);
            vectors.push(vector.clone());
        }
        let params = HnswParams { m: kind.m, ef_construction: kind.ef_construction, seed: 1 };
        let of = Points::Codes(Codes { codes: &codes, stride: grid.size(), factors: &factors });
        let graph = hnsw::build(grid, of, &params, &Job::default()).unwrap();
        let (code, by_vectors, stored) = (kind.code, kind.by_vectors, Vec::new());
        let of = |tid: &Tid| attributes_of(*tid, &Attributes::new(kind.attributes).unwrap());
        let attributes = tids.iter().map(|tids: &Vec<Tid>| tids.iter().map(of).collect()).collect();
        Self { graph, grid, codes, factors, tids, vectors, code, by_vectors, stored, attributes }
    }
}

impl<E: Element> Source for Rows<'_, E> {
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
        self.by_vectors
    }

    fn code(&self, node: u32) -> (&[u8], Factors) {
        let (at, size) = (node as usize, self.grid.size());
        (&self.codes[at * size..(at + 1) * size], self.factors[at])
    }

    fn n_rows(&self, node: u32) -> usize {
        self.tids[node as usize].len()
    }

    fn tids(&self, node: u32, out: &mut Vec<Tid>) {
        out.extend_from_slice(&self.tids[node as usize]);
    }

    fn attributes(&self, node: u32, i: usize) -> &[u8] {
        &self.attributes[node as usize][i]
    }

    fn vector(&mut self, node: u32) -> Result<&[u8], Error> {
        self.stored = stored_bytes(self.code, &self.vectors[node as usize]);
        Ok(&self.stored)
    }
}

/// The table's rows, where the index stores no vectors.
struct ModelRows<'a, E> {
    rows: &'a Model<E>,
    query: &'a ExactQuery,
}

impl<E: Element> Exact for ModelRows<'_, E> {
    fn keys(&mut self, candidates: &[Hit], each: &mut dyn FnMut(usize, f64)) -> Result<(), Error> {
        for (i, candidate) in candidates.iter().enumerate() {
            if let Some(row) = self.rows.get(&Tid::from_u64(candidate.id)) {
                each(i, self.query.key(row));
            }
        }
        Ok(())
    }
}

impl<E: Element> World<E> {
    /// Builds a graph over random rows.
    pub fn new(kind: Kind, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut model = Model::new();
        let mut last = random_vector::<E>(&mut rng, kind.dims);
        for i in 0..kind.n_rows as u64 {
            if kind.duplicates == 0 || rng.below(kind.duplicates) > 0 {
                last = random_vector::<E>(&mut rng, kind.dims);
            }
            model.insert(tid_no(i), last.clone());
        }
        Self::over(kind, model, rng)
    }

    /// Builds a graph over these rows.
    pub fn over(kind: Kind, model: Model<E>, mut rng: Rng) -> Self {
        let mut sample: Vec<f32> = Vec::new();
        for _ in 0..100 {
            let vector = random_vector::<E>(&mut rng, kind.dims);
            sample.extend(point_of(kind.metric, &vector, kind.dims));
        }
        Self::around(kind, model, rng, &sample)
    }

    /// Builds a graph over these rows, whose codes are made around a sample.
    pub fn around(kind: Kind, model: Model<E>, rng: Rng, sample: &[f32]) -> Self {
        let grid = Grid::train(kind.metric, kind.dims, sample);
        let params = MetaParams {
            element: E::TAG,
            metric: kind.metric,
            dims: kind.dims,
            m: kind.m,
            ef_construction: kind.ef_construction,
            code: kind.code,
            seed: 1,
            trained_rows: 100,
            attributes: Attributes::new(kind.attributes).unwrap(),
        };
        let mut rows = Rows::new(&kind, &grid, &model);
        let order = match rows.graph.is_empty() {
            true => Vec::new(),
            false => hnsw::order(&rows.graph),
        };
        let (mem, meta) = build(MemPages::default(), &params, &grid, &order, &mut rows).unwrap();
        assert_eq!(Meta::read(&mem).unwrap(), meta);
        assert_eq!(meta.build_rows, model.len() as u64);
        assert_eq!(meta.read_grid(&mem).unwrap().params(), grid.params());
        let next_tid = kind.n_rows as u64;
        Self { mem, meta, kind, grid, model, rng, next_tid }
    }

    /// The same model over another store.
    pub fn on(&self, mem: MemPages, model: Model<E>) -> Self {
        Self {
            mem,
            meta: self.meta.clone(),
            kind: self.kind,
            grid: self.grid.clone(),
            model,
            rng: Rng::new(1),
            next_tid: self.next_tid + 1000,
        }
    }

    /// The map as a backend that has just come finds it.
    pub fn map(&self) -> Map {
        Map::read(&self.mem, &self.meta).unwrap()
    }

    pub fn view<'a>(&'a self, map: &'a Map) -> View<'a> {
        View::new(&self.meta, &self.grid, map).trusting(true)
    }

    /// Whether searches go by vectors by now.
    pub fn by_vectors(&self) -> bool {
        Entry::read(&self.mem, &self.meta).unwrap().by_vectors
    }

    /// Deletes rows for which `is_dead`, checking that every row is asked about once.
    pub fn vacuum(&mut self, is_dead: impl Fn(Tid) -> bool) -> VacuumStats {
        let map = self.map();
        let (mem, view) = (&self.mem, View::new(&self.meta, &self.grid, &map));
        let bulk_delete = |asked: &mut dyn FnMut(Tid) -> bool| bulk_delete(mem, &view, asked);
        let stats = trials::vacuum(&mut self.model, is_dead, |asked| bulk_delete(asked).unwrap());
        let n_writes = self.mem.n_writes();
        let seen = vacuum::stats(&self.mem, &self.view(&map)).unwrap();
        assert_eq!(seen, VacuumStats { removed: 0, ..stats });
        assert_eq!(self.mem.n_writes(), n_writes);
        stats
    }

    /// The next row of a scan by the operator's distance. Without stored vectors those of `rows` decide.
    pub fn next(
        &self,
        scan: &mut GraphScan,
        view: View<'_>,
        query: &ExactQuery,
        rows: &Model<E>,
    ) -> Result<Option<Found>, Error> {
        let mem = &self.mem;
        let mut table = ModelRows { rows, query };
        let found = match self.meta.params.code {
            Code::Sq8 => scan.next(mem, &view, None, &mut table),
            Code::Flat if E::TAG == Bits::TAG => {
                let elements = Bits::count(self.kind.dims);
                let mut stored = NodeBits::of_bits(mem, view, |row| query.key(&row[..elements]))?;
                scan.next(mem, &view, None, &mut stored)
            }
            Code::Flat => {
                let mut stored = NodeRows::of_nodes(mem, view, |row: &[E]| query.key(row))?;
                scan.next(mem, &view, None, &mut stored)
            }
            Code::SqFp16 => {
                let mut stored = NodeRows::of_nodes(mem, view, |row: &[f16]| query.key(row))?;
                scan.next(mem, &view, Some(&mut stored), &mut table)
            }
        };
        Ok(found?.map(|row| Found { distance: query.distance_of(row.distance), ..row }))
    }

    pub fn search(&self, query: &[f32], params: GraphParams) -> (Vec<Found>, GraphScan) {
        self.search_first(query, params, usize::MAX)
    }

    /// The first so many rows.
    pub fn search_first(
        &self,
        query: &[f32],
        params: GraphParams,
        most: usize,
    ) -> (Vec<Found>, GraphScan) {
        self.search_where(query, params, most, None)
    }

    /// The first so many rows that pass a filter.
    pub fn search_where(
        &self,
        query: &[f32],
        params: GraphParams,
        most: usize,
        filter: Option<&Filter>,
    ) -> (Vec<Found>, GraphScan) {
        let map = self.map();
        let mut scan = GraphScan::new();
        scan.begin(query, params);
        let exact = ExactQuery::new(self.kind.metric, query);
        let mut rows = Vec::new();
        while rows.len() < most {
            let view = self.view(&map).filtered(filter);
            let found = self.next(&mut scan, view, &exact, &self.model).unwrap();
            let Some(row) = found else { break };
            rows.push(row);
            assert!(rows.len() <= self.model.len(), "more rows than there are");
        }
        (rows, scan)
    }

    /// What a full sort by the operator gives.
    pub fn expected(&self, query: &[f32]) -> Vec<(Tid, u64)> {
        let mut rows: Vec<(f64, Tid)> = self
            .model
            .iter()
            .map(|(tid, v)| (operator(self.kind.metric, query, v), *tid))
            .collect();
        rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
        rows.into_iter().map(|(distance, tid)| (tid, distance.to_bits())).collect()
    }

    pub fn random_query(&mut self) -> Vec<f32> {
        let vector = random_vector::<E>(&mut self.rng, self.kind.dims);
        E::widened(&vector, self.kind.dims)
    }

    /// Of the ten nearest rows, how many a search finds, as a share.
    pub fn recall(&self, ef: usize, n_queries: usize) -> f64 {
        let mut rng = Rng::new(99);
        let mut found = 0;
        for _ in 0..n_queries {
            let query = random_vector::<E>(&mut rng, self.kind.dims);
            let query = E::widened(&query, self.kind.dims);
            let params = GraphParams { ef, ..ALL };
            let (rows, _) = self.search_first(&query, params, 10);
            let expected = self.expected(&query);
            let worst = f64::from_bits(expected[9].1);
            found += rows.iter().filter(|row| row.distance <= worst).count();
        }
        found as f64 / (10 * n_queries) as f64
    }

    /// As [`World::verify`]; and links lead to every node.
    pub fn verify_linked(&mut self) {
        let mut problems = check(&self.mem);
        problems.retain(|p| p.severity != Severity::Leak);
        assert_eq!(problems, [], "{:?}", self.kind);
        self.verify();
    }

    /// The pages are sound, what is counted is right, and a search of everything finds the model, bit for bit.
    pub fn verify(&mut self) {
        assert_eq!(damage(&self.mem), [], "{:?}", self.kind);
        self.verify_rows();
        let map = self.map();
        let totals = info::totals(&self.mem, &self.view(&map)).unwrap();
        assert_eq!(totals.ntotal, self.model.len() as u64);
    }

    pub fn verify_rows(&mut self) {
        let query = self.random_query();
        let (rows, scan) = self.search(&query, ALL);
        let found: Vec<_> = rows.iter().map(|row| (row.tid, row.distance.to_bits())).collect();
        assert_eq!(found, self.expected(&query), "{:?}", self.kind);
        assert_eq!(scan.late(), 0);
        super::filters::verify(self);
    }
}

impl<E: Element> Trial for World<E> {
    type Element = E;

    fn mem(&self) -> &MemPages {
        &self.mem
    }

    fn model(&mut self) -> &mut Model<E> {
        &mut self.model
    }

    fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    fn moved(&self, mem: MemPages, model: Model<E>) -> Self {
        self.on(mem, model)
    }

    fn add(&mut self, n: usize) {
        self.grow(n);
    }

    fn remove(&mut self, is_dead: &dyn Fn(Tid) -> bool) {
        self.vacuum(is_dead);
    }

    fn found(&self) -> Vec<Tid> {
        let (rows, _) = self.search(&vec![0.1; self.kind.dims], ALL);
        rows.iter().map(|row| row.tid).collect()
    }

    fn damage(mem: &MemPages) -> Vec<Problem> {
        damage(mem)
    }

    fn verify_leaky(&mut self) {
        World::verify(self);
    }

    fn verify(&mut self) {
        World::verify(self);
    }
}

/// Problems other than leaked pages and nodes that no link leads to.
pub fn damage(mem: &MemPages) -> Vec<Problem> {
    let mut problems = check(mem);
    problems.retain(|p| p.severity == Severity::Damage);
    problems
}
