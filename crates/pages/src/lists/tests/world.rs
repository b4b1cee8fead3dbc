//! An index and what must be in it.

use std::sync::Arc;

use ann::coarse::Coarse;
use ann::codec::{Coding, LANES};
use ann::element::{Bits, Element};
use ann::extent;
use ann::rng::Rng;

use super::rows::{ModelRows, operator};
use super::{ALL, Model, Shape, attributes, filters, random_query, random_vector, tid_no};
use crate::checker::{Problem, Severity};
use crate::damage::coding::{CodedRow, Trained, row_by};
use crate::damage::search::ListSearch;
use crate::error::Error;
use crate::lists::candidates::RerankParams;
use crate::lists::check::check;
use crate::lists::info::list_info;
use crate::lists::insert::insert;
use crate::lists::scanner::View;
use crate::lists::vacuum::{bulk_delete, stats};
use crate::lists::{InvertedLists, ListsIndex};
use crate::mem::MemPages;
use crate::model;
use crate::search::exact::ExactQuery;
use crate::search::params::Found;
use crate::store::Pages;
use crate::tid::Tid;
use crate::trials::{self, Trial};
use crate::vacuum::VacuumStats;

pub struct World<E: Element> {
    pub mem: MemPages,
    /// As it is read from the pages.
    pub index: ListsIndex,
    pub shape: Shape,
    pub centroids: Arc<[f32]>,
    pub model: Model<E>,
    pub rng: Rng,
    next_tid: u64,
}

/// Centroids as k-means gives them: of bits made of bits, else not of what the column has.
pub fn random_centroids<E: Element>(shape: &Shape, rng: &mut Rng) -> Vec<f32> {
    let one = |_| match E::TAG {
        Bits::TAG => random_query::<E>(rng, shape.dims),
        _ => random_vector::<f32>(rng, shape.dims),
    };
    let mut centroids: Vec<f32> = (0..shape.nlist).flat_map(one).collect();
    if shape.metric.is_spherical() {
        centroids.chunks_mut(shape.dims).for_each(extent::normalize);
    }
    centroids
}

impl<E: Element> World<E> {
    /// Builds an index over random rows around random centroids.
    pub fn new(shape: Shape, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let centroids = random_centroids::<E>(&shape, &mut rng);
        let params = shape.params(E::TAG, seed);
        let sample: Vec<f32> = (0..Trained::n_sample(&params.lists))
            .flat_map(|_| random_vector::<f32>(&mut rng, shape.dims))
            .collect();
        let trained = Trained::new(params, centroids, &sample).unwrap();
        let vector = |i| (tid_no(i), random_vector(&mut rng, shape.dims));
        let model: Model<E> = (0..shape.n_rows as u64).map(vector).collect();
        let rows = model.iter().map(|(tid, vector)| (*tid, &vector[..]));
        let (mem, meta) = trained.build(rows).unwrap();
        let index = ListsIndex::open(&mem).unwrap();
        assert_eq!(index.meta, meta);
        let read = index.quantizer.as_ref().map(|quantizer| quantizer.centroids(&mem).unwrap());
        assert_eq!(read.unwrap_or_default(), trained.centroids);
        let floats = model::read(&mem, meta.lists.model_first, meta.lists.model_len()).unwrap();
        assert_eq!(floats, trained.model());
        let code_of_centroids =
            index.meta.quantizer.map(|q| model::read(&mem, q.model_first, q.model_len()).unwrap());
        let trained_to = trained.quantizer.as_ref().map(|codec| codec.params().to_vec());
        assert_eq!(code_of_centroids.unwrap_or_default(), trained_to.unwrap_or_default());
        let (centroids, next_tid) = (trained.centroids.into(), shape.n_rows as u64);
        Self { mem, index, shape, centroids, model, rng, next_tid }
    }

    /// The same model over another store.
    pub fn on(&self, mem: MemPages, model: Model<E>) -> Self {
        let index = ListsIndex::open(&mem).unwrap();
        let read = index.quantizer.as_ref().map(|quantizer| quantizer.centroids(&mem).unwrap());
        let (centroids, next_tid) = (read.unwrap_or_default().into(), self.next_tid + 1000);
        Self { mem, index, shape: self.shape, centroids, model, rng: Rng::new(1), next_tid }
    }

    pub fn lists(&self) -> &InvertedLists {
        &self.index.meta.lists
    }

    pub fn coarse(&self) -> Coarse<'_> {
        let Shape { metric, dims, .. } = self.shape;
        Coarse { metric, dims, centroids: &self.centroids }
    }

    pub fn view(&self) -> View<'_> {
        self.index.view().trusting(true)
    }

    pub fn n_pages(&self) -> u32 {
        self.mem.n_blocks().unwrap()
    }

    pub fn coded(&self, tid: Tid, vector: &[E]) -> CodedRow {
        let code = self.index.code.as_ref();
        row_by(&self.coarse(), &self.lists().params, code, (tid, vector))
    }

    /// The list that a vector belongs to.
    pub fn list_of(&self, vector: &[E]) -> u32 {
        self.coded(tid_no(0), vector).list_no
    }

    pub fn put(&self, tid: Tid, vector: &[E]) -> Result<(), Error> {
        let codec = self.index.code.as_ref().map(|code| &code.codec);
        insert(&self.mem, self.lists(), codec, &self.coded(tid, vector).row(tid))
    }

    pub fn fresh_tid(&mut self) -> Tid {
        self.next_tid += 1;
        tid_no(self.next_tid - 1)
    }

    /// Inserts a row.
    pub fn insert(&mut self, vector: Vec<E>) -> Tid {
        let tid = self.fresh_tid();
        self.put(tid, &vector).unwrap();
        self.model.insert(tid, vector);
        tid
    }

    pub fn insert_random(&mut self, n: usize) {
        for _ in 0..n {
            let vector = random_vector(&mut self.rng, self.shape.dims);
            self.insert(vector);
        }
    }

    /// Deletes rows for which `is_dead`, checking that every row is asked about once.
    pub fn vacuum(&mut self, is_dead: impl Fn(Tid) -> bool) -> VacuumStats {
        let (mem, lists) = (&self.mem, &self.index.meta.lists);
        let bulk_delete = |asked: &mut dyn FnMut(Tid) -> bool| bulk_delete(mem, lists, asked);
        let stats = trials::vacuum(&mut self.model, is_dead, |asked| bulk_delete(asked).unwrap());
        let is_blocks = (stats.live + stats.free_slots).is_multiple_of(LANES as u64);
        assert!(is_blocks || self.shape.code.is_none());
        stats
    }

    /// The next row of a search by the operator's distance.
    pub fn next(&self, search: &mut ListSearch<E>, query: &ExactQuery) -> Option<Found> {
        let mut table = ModelRows { rows: &self.model, query };
        search.next(&self.mem, &self.index, &self.view(), query, &mut table).unwrap()
    }

    pub fn search(&self, query: &[f32], params: RerankParams) -> (Vec<Found>, ListSearch<E>) {
        let mut search = ListSearch::new(&self.index);
        search.begin(&self.index, query, &params);
        let rows = self.rest(&mut search, query);
        (rows, search)
    }

    /// What a search still finds.
    pub fn rest(&self, search: &mut ListSearch<E>, query: &[f32]) -> Vec<Found> {
        let exact = ExactQuery::new(self.shape.metric, query);
        let mut rows = Vec::new();
        while let Some(row) = self.next(search, &exact) {
            rows.push(row);
            assert!(rows.len() <= self.model.len(), "more rows than there are");
        }
        rows
    }

    /// What a full sort by the operator gives.
    pub fn expected(&self, query: &[f32]) -> Vec<(Tid, u64)> {
        let distance = |vector: &Vec<E>| operator(self.shape.metric, query, vector);
        let mut rows: Vec<(f64, Tid)> =
            self.model.iter().map(|(tid, vector)| (distance(vector), *tid)).collect();
        rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
        rows.into_iter().map(|(distance, tid)| (tid, distance.to_bits())).collect()
    }

    pub fn random_query(&mut self) -> Vec<f32> {
        random_query::<E>(&mut self.rng, self.shape.dims)
    }

    /// The pages are sound, what is counted is right, and a search of all lists finds the model, bit for bit.
    pub fn verify(&mut self) {
        assert_eq!(check(&self.mem), [], "{:?}", self.shape);
        self.verify_rows();
        self.verify_counts();
    }

    pub fn verify_rows(&mut self) {
        let query = self.random_query();
        let (rows, search) = self.search(&query, ALL);
        let found: Vec<_> = rows.iter().map(|row| (row.tid, row.distance.to_bits())).collect();
        assert_eq!(found, self.expected(&query), "{:?}", self.shape);
        assert_eq!((search.visited(), search.late()), (self.model.len() as u64, 0));
        attributes::verify(self);
        filters::verify_among(self);
    }

    fn verify_counts(&self) {
        let mut members = vec![(0, f32::NEG_INFINITY); self.lists().nlist];
        for (tid, vector) in &self.model {
            let row = self.coded(*tid, vector);
            let list = &mut members[row.list_no as usize];
            *list = (list.0 + 1, row.coarse_distance.max(list.1));
        }
        let lists = list_info(&self.mem, self.lists()).unwrap();
        assert_eq!(lists.len(), members.len());
        for (list, (n, radius)) in lists.iter().zip(members) {
            assert_eq!(list.ntotal, n, "{:?}: list {}", self.shape, list.list_no);
            assert!(list.radius.unwrap_or(f32::NEG_INFINITY) >= radius);
            assert!(n == 0 || list.pages > 0);
        }
        let n_writes = self.mem.n_writes();
        let seen = stats(&self.mem, self.lists()).unwrap();
        assert_eq!((seen.live, seen.removed), (self.model.len() as u64, 0));
        assert_eq!(seen.pages, self.n_pages());
        assert!(seen.free_slots >= lists.iter().map(|list| list.ndead).sum());
        assert_eq!(self.mem.n_writes(), n_writes);
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
        self.insert_random(n);
    }

    fn remove(&mut self, is_dead: &dyn Fn(Tid) -> bool) {
        self.vacuum(is_dead);
    }

    fn found(&self) -> Vec<Tid> {
        let (rows, _) = self.search(&vec![0.1; self.shape.dims], ALL);
        rows.iter().map(|row| row.tid).collect()
    }

    fn damage(mem: &MemPages) -> Vec<Problem> {
        damage(mem)
    }

    fn verify_leaky(&mut self) {
        assert_eq!(damage(&self.mem), []);
        self.verify_rows();
    }

    fn verify(&mut self) {
        World::verify(self);
    }
}

/// Problems other than leaked pages.
pub fn damage(mem: &MemPages) -> Vec<Problem> {
    let mut problems = check(mem);
    problems.retain(|p| p.severity == Severity::Damage);
    problems
}
