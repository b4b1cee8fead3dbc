//! An index and what must be in it.

use ann::coarse::Coarse;
use ann::codec::{Codec, Coding, LANES, Space, Stored, take_residuals, train};
use ann::element::Float;
use ann::factory::{Refine, RotationKind};
use ann::metric::Metric;
use ann::parallel::Job;
use ann::rng::Rng;

use super::rows::{CodedRow, ModelRows, coded, operator, point_of};
use super::{ALL, Model, Shape, random_vector, tid_no, widened};
use half::f16;

use crate::coded::build::CodedBuilder;
use crate::coded::exact::{ExactQuery, StoredRows};
use crate::coded::info::list_info;
use crate::coded::insert::{Row, insert};
use crate::coded::model;
use crate::coded::rerank::{CodedScan, RerankParams};
use crate::coded::vacuum::{bulk_delete, stats};
use crate::damage::victims::Spool;
use crate::error::Error;
use crate::ivf::build::Entry;
use crate::ivf::centroids::read_centroids;
use crate::ivf::check::{Problem, Severity, check};
use crate::ivf::lists::View;
use crate::ivf::scan::Found;
use crate::ivf::vacuum::VacuumStats;
use crate::mem::MemPages;
use crate::meta::{CodeParams, Coded, Fit, Meta, MetaParams};
use crate::store::Pages;
use crate::tid::Tid;
use crate::trials::{self, Trial};

pub struct World<E: Float> {
    pub mem: MemPages,
    pub meta: Meta,
    pub shape: Shape,
    pub centroids: Vec<f32>,
    pub codec: Codec,
    pub stored: Stored,
    pub model: Model<E>,
    pub rng: Rng,
    next_tid: u64,
}

fn codec_of(shape: &Shape, coarse: &Coarse<'_>, rng: &mut Rng) -> Codec {
    let n = shape.kind.rows_min().max(64);
    let mut points: Vec<f32> = Vec::new();
    for _ in 0..n {
        points.extend(point_of(shape.metric, &random_vector::<f32>(rng, shape.dims)));
    }
    if shape.kind.by_residual() {
        let lists: Vec<u32> = points.chunks(shape.dims).map(|p| coarse.assign(p).0).collect();
        take_residuals(coarse, &mut points, &lists);
    }
    let space = Space { dims: shape.dims, metric: shape.metric };
    train(shape.kind, space, &points, 1, &Job::default()).unwrap()
}

/// A vector as the index stores it.
fn stored_bytes<E: Float>(stored: &Stored, refine: Refine, vector: &[E]) -> Vec<u8> {
    let size = match refine {
        Refine::Heap => 0,
        Refine::Flat => size_of_val(vector),
        Refine::SqFp16 => 2 * vector.len(),
        Refine::Sq8 => vector.len(),
    };
    let mut bytes = vec![0; size];
    stored.put(vector, &mut bytes);
    bytes
}

impl<E: Float> World<E> {
    /// Builds an index over random rows around random centroids.
    pub fn new(shape: Shape, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let Shape { kind, metric, refine, dims, nlist, n_rows } = shape;
        let centroids = random_vector::<f32>(&mut rng, nlist * dims);
        let coarse = Coarse { metric, dims, centroids: &centroids };
        let codec = codec_of(&shape, &coarse, &mut rng);
        let rotation = RotationKind::None;
        let normalize = metric == Metric::Cosine;
        let mut apart = Rng::new(seed + 1);
        let sample: Vec<f32> = (0..64 * dims).map(|_| apart.unit() - 0.5).collect();
        let stored = Stored::train(refine, dims, &sample).unwrap();
        let trained = [codec.params(), stored.params()].concat();
        let params = MetaParams {
            element: E::TAG,
            metric,
            dims,
            nlist_option: nlist as u32,
            seed,
            trained_rows: 0,
            code: Some(CodeParams { kind, refine, rotation, normalize }),
            fit: Fit::default(),
            model: None,
        };
        let mem = MemPages::default();
        let mut builder =
            CodedBuilder::new(mem, Spool::default(), &params, &centroids, &trained, &codec)
                .unwrap();
        let mut model = Model::new();
        let mut rows = Vec::new();
        for i in 0..n_rows as u64 {
            let (tid, vector) = (tid_no(i), random_vector::<E>(&mut rng, dims));
            rows.push((coded(&coarse, &codec, &vector), tid, vector.clone()));
            model.insert(tid, vector);
        }
        rows.sort_by_key(|(row, tid, _)| (row.list_no, *tid));
        for (row, tid, vector) in rows {
            let CodedRow { list_no, coarse_distance, mut code, factors } = row;
            code.extend_from_slice(bytemuck::cast_slice(&factors));
            code.extend(stored_bytes(&stored, refine, &vector));
            let vector = &code;
            builder.add(&Entry { list_no, tid, norm_sqr: 0.0, coarse_distance, vector }).unwrap();
        }
        let (mem, meta) = builder.finish().unwrap();
        assert_eq!(Meta::read(&mem).unwrap(), meta);
        assert_eq!(read_centroids(&mem, &meta).unwrap(), centroids);
        let place = meta.coded.unwrap();
        let floats = model::read(&mem, place.model_first, place.model_len(dims)).unwrap();
        assert_eq!(floats, trained);
        let next_tid = n_rows as u64;
        Self { mem, meta, shape, centroids, codec, stored, model, rng, next_tid }
    }

    /// The same model over another store.
    pub fn on(&self, mem: MemPages, model: Model<E>) -> Self {
        Self {
            mem,
            meta: self.meta.clone(),
            shape: self.shape,
            centroids: self.centroids.clone(),
            codec: self.codec.clone(),
            stored: self.stored.clone(),
            model,
            rng: Rng::new(1),
            next_tid: self.next_tid + 1000,
        }
    }

    pub fn layout(&self) -> Coded {
        self.meta.coded.unwrap()
    }

    pub fn coarse(&self) -> Coarse<'_> {
        let (metric, dims) = (self.meta.metric, self.meta.dims);
        Coarse { metric, dims, centroids: &self.centroids }
    }

    pub fn view(&self) -> View<'_> {
        View {
            meta: &self.meta,
            coarse: Some(self.coarse()),
            coded_coarse: None,
            codec: Some(&self.codec),
            trusts_marks: true,
        }
    }

    pub fn n_pages(&self) -> u32 {
        self.mem.n_blocks().unwrap()
    }

    pub fn coded(&self, vector: &[E]) -> CodedRow {
        coded(&self.coarse(), &self.codec, vector)
    }

    pub fn put(&self, tid: Tid, vector: &[E]) -> Result<(), Error> {
        let CodedRow { list_no, coarse_distance, code, factors } = self.coded(vector);
        let vector = &stored_bytes(&self.stored, self.shape.refine, vector);
        let row = Row { list_no, tid, coarse_distance, code: &code, factors: &factors, vector };
        insert(&self.mem, &self.meta, &self.codec, &row)
    }

    pub fn fresh_tid(&mut self) -> Tid {
        self.next_tid += 1;
        tid_no(self.next_tid - 1)
    }

    pub fn insert_random(&mut self) -> Tid {
        let (tid, vector) = (self.fresh_tid(), random_vector(&mut self.rng, self.meta.dims));
        self.put(tid, &vector).unwrap();
        self.model.insert(tid, vector);
        tid
    }

    /// Deletes rows for which `is_dead`, checking that every row is asked about once.
    pub fn vacuum(&mut self, is_dead: impl Fn(Tid) -> bool) -> VacuumStats {
        let (mem, meta) = (&self.mem, &self.meta);
        let bulk_delete = |asked: &mut dyn FnMut(Tid) -> bool| bulk_delete(mem, meta, asked);
        let stats = trials::vacuum(&mut self.model, is_dead, |asked| bulk_delete(asked).unwrap());
        assert_eq!((stats.live + stats.free_slots) % LANES as u64, 0);
        stats
    }

    /// The next row of a scan by the operator's distance.
    pub fn next(&self, scan: &mut CodedScan, query: &ExactQuery) -> Result<Option<Found>, Error> {
        let (mem, view) = (&self.mem, self.view());
        let mut model = ModelRows { rows: &self.model, query };
        let found = match &self.stored {
            Stored::None => scan.next(mem, &view, None, &mut model),
            Stored::Flat => {
                let mut rows = StoredRows::new(mem, &self.meta, |row: &[E]| query.key(row))?;
                scan.next(mem, &view, None, &mut rows)
            }
            Stored::SqFp16 => {
                let mut rows = StoredRows::new(mem, &self.meta, |row: &[f16]| query.key(row))?;
                scan.next(mem, &view, Some(&mut rows), &mut model)
            }
            Stored::Sq8(sq) => {
                let key = |row: &[u8]| query.key::<f32>(&sq.decode(row));
                let mut rows = StoredRows::new(mem, &self.meta, key)?;
                scan.next(mem, &view, Some(&mut rows), &mut model)
            }
        };
        Ok(found?.map(|row| Found { distance: query.distance_of(row.distance), ..row }))
    }

    pub fn search(&self, query: &[f32], params: RerankParams) -> (Vec<Found>, CodedScan) {
        let mut scan = CodedScan::new();
        scan.begin(&point_of(self.meta.metric, query), params);
        let exact = ExactQuery::new(self.meta.metric, query);
        let mut rows = Vec::new();
        while let Some(row) = self.next(&mut scan, &exact).unwrap() {
            rows.push(row);
            assert!(rows.len() <= self.model.len(), "more rows than there are");
        }
        (rows, scan)
    }

    /// What a full sort by the operator gives.
    pub fn expected(&self, query: &[f32]) -> Vec<(Tid, u64)> {
        let metric = self.meta.metric;
        let mut rows: Vec<(f64, Tid)> =
            self.model.iter().map(|(tid, v)| (operator(metric, query, v), *tid)).collect();
        rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
        rows.into_iter().map(|(distance, tid)| (tid, distance.to_bits())).collect()
    }

    pub fn random_query(&mut self) -> Vec<f32> {
        widened(&random_vector::<E>(&mut self.rng, self.meta.dims))
    }

    /// The pages are sound, what is counted is right, and a search of all lists finds the model, bit for bit.
    pub fn verify(&mut self) {
        assert_eq!(check(&self.mem), [], "{:?}", self.shape);
        self.verify_rows();
        self.verify_counts();
    }

    pub fn verify_rows(&mut self) {
        let query = self.random_query();
        let (rows, scan) = self.search(&query, ALL);
        let found: Vec<_> = rows.iter().map(|row| (row.tid, row.distance.to_bits())).collect();
        assert_eq!(found, self.expected(&query), "{:?}", self.shape);
        assert_eq!((scan.visited(), scan.late()), (self.model.len() as u64, 0));
    }

    fn verify_counts(&self) {
        let mut members = vec![(0, f32::NEG_INFINITY); self.meta.nlist];
        for vector in self.model.values() {
            let row = self.coded(vector);
            let list = &mut members[row.list_no as usize];
            *list = (list.0 + 1, row.coarse_distance.max(list.1));
        }
        let lists = list_info(&self.mem, &self.meta).unwrap();
        assert_eq!(lists.len(), members.len());
        for (list, (n, radius)) in lists.iter().zip(members) {
            assert_eq!(list.ntotal, n, "{:?}: list {}", self.shape, list.list_no);
            assert!(list.radius.unwrap_or(f32::NEG_INFINITY) >= radius);
            assert!(n == 0 || list.pages > 0);
        }
        let n_writes = self.mem.n_writes();
        let seen = stats(&self.mem, &self.meta).unwrap();
        assert_eq!((seen.live, seen.removed), (self.model.len() as u64, 0));
        assert_eq!(seen.pages, self.n_pages());
        assert!(seen.free_slots >= lists.iter().map(|list| list.ndead).sum());
        assert_eq!(self.mem.n_writes(), n_writes);
    }
}

impl<E: Float> Trial for World<E> {
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
        for _ in 0..n {
            self.insert_random();
        }
    }

    fn remove(&mut self, is_dead: &dyn Fn(Tid) -> bool) {
        self.vacuum(is_dead);
    }

    fn found(&self) -> Vec<Tid> {
        let (rows, _) = self.search(&vec![0.1; self.meta.dims], ALL);
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
