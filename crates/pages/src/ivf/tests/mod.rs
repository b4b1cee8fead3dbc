//! The verbs of `faissivf` together, on pages in memory, against a model: a map from tid to vector.

mod batch;
mod complete;
mod crash;
mod exact;
mod interleave;
mod marks;
mod meta;
mod modes;
mod random;
mod sizes;

use ann::coarse::Coarse;
use ann::element::{Bits, Element};
use ann::extent;
use ann::kernels::{cosine_distance, l1, l2_distance, negative_inner_product};
use ann::kernels::{hamming_distance, jaccard_distance};
use ann::metric::Metric;
use ann::rng::Rng;

use crate::ivf::build::{Builder, Entry};
use crate::ivf::centroids::read_centroids;
use crate::ivf::check::{Problem, check};
use crate::ivf::insert::insert;
use crate::ivf::lists::View;
use crate::ivf::probe::Probe;
use crate::ivf::scan::{Found, Iterative, Scan, SearchParams};
use crate::ivf::vacuum::{VacuumStats, bulk_delete};
use crate::mem::MemPages;
use crate::meta::{Fit, Meta, MetaParams};
use crate::model_name::ModelName;
use crate::tid::Tid;
use crate::trials::{self, Trial};

pub use crate::trials::Model;

/// An index and what must be in it.
pub struct World<E: Element> {
    pub mem: MemPages,
    pub meta: Meta,
    pub centroids: Vec<f32>,
    pub model: Model<E>,
    pub rng: Rng,
    next_tid: u64,
}

/// Those that inverted lists know.
pub const METRICS: [Metric; 3] = [Metric::L2, Metric::InnerProduct, Metric::Cosine];

pub fn random_vector<E: Element>(rng: &mut Rng, dims: usize) -> Vec<E> {
    // Of bits one in two is set.
    let shift = if E::TAG == Bits::TAG { 0.0 } else { 0.5 };
    E::pack(&(0..dims).map(|_| rng.unit() - shift).collect::<Vec<_>>())
}

/// A random query: a vector as the column might have it, in 32-bit floats.
pub fn random_query<E: Element>(rng: &mut Rng, dims: usize) -> Vec<f32> {
    E::widened(&random_vector::<E>(rng, dims), dims)
}

pub fn operator<E: Element>(metric: Metric, query: &[f32], vector: &[E]) -> f64 {
    let (vector, bits) = (&E::widened(vector, query.len())[..], Bits::pack(query));
    match metric {
        Metric::Hamming => hamming_distance(Bits::bytes(&bits), Bits::bytes(&Bits::pack(vector))),
        Metric::Jaccard => jaccard_distance(Bits::bytes(&bits), Bits::bytes(&Bits::pack(vector))),
        Metric::L2 => l2_distance(query, vector),
        Metric::InnerProduct => negative_inner_product(query, vector),
        Metric::Cosine => cosine_distance(query, vector),
        Metric::L1 => f64::from(l1(query, vector)),
    }
}

/// Everything, in order of distance.
pub const ALL: SearchParams = SearchParams {
    nprobe: usize::MAX,
    iterative: Iterative::Off,
    max_scan_tuples: 0,
    max_probes: usize::MAX,
    rows_wanted: None,
    memory: 0,
};

/// Of bits it is made of bits, else not of what the column has.
fn random_centroid<E: Element>(rng: &mut Rng, dims: usize) -> Vec<f32> {
    if E::TAG == Bits::TAG { random_query::<E>(rng, dims) } else { random_vector::<f32>(rng, dims) }
}

impl<E: Element> World<E> {
    /// Builds an index over `n_rows` random rows with `nlist` random centroids (0 = untrained).
    pub fn new(metric: Metric, dims: usize, nlist: usize, n_rows: usize, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut centroids: Vec<f32> =
            (0..nlist).flat_map(|_| random_centroid::<E>(&mut rng, dims)).collect();
        if metric.is_spherical() {
            // As k-means gives them.
            centroids.chunks_mut(dims).for_each(extent::normalize);
        }
        let params = MetaParams {
            element: E::TAG,
            metric,
            dims,
            nlist_option: nlist as u32,
            seed,
            trained_rows: 0,
            code: None,
            fit: Fit {
                coarse_error: 0.5,
                code_error: 0.0,
                table_blocks: 7,
                imbalance_factor: 1.25,
            },
            model: ModelName::new("some model").filter(|_| nlist > 0),
        };
        let mut builder = Builder::new(MemPages::default(), &params, &centroids).unwrap();
        let coarse = Coarse { metric, dims, centroids: &centroids };
        let mut model = Model::new();
        let mut rows = Vec::new();
        for i in 0..n_rows as u64 {
            let (tid, vector) = (tid_no(i), random_vector::<E>(&mut rng, dims));
            let (list_no, distance) = assign(&coarse, &vector);
            rows.push((list_no, tid, vector.clone(), distance));
            model.insert(tid, vector);
        }
        rows.sort_by_key(|row| (row.0, row.1));
        for (list_no, tid, vector, coarse_distance) in rows {
            let (norm_sqr, vector) = (E::norm_sqr(&vector), bytemuck::cast_slice(&vector));
            builder.add(&Entry { list_no, tid, norm_sqr, coarse_distance, vector }).unwrap();
        }
        let (mem, meta) = builder.finish().unwrap();
        assert_eq!(Meta::read(&mem).unwrap(), meta);
        assert_eq!(read_centroids(&mem, &meta).unwrap(), centroids);
        Self { mem, meta, centroids, model, rng, next_tid: n_rows as u64 }
    }

    /// The same model over another store.
    pub fn on(&self, mem: MemPages, model: Model<E>) -> Self {
        let (meta, centroids) = (self.meta.clone(), self.centroids.clone());
        Self { mem, meta, centroids, model, rng: Rng::new(1), next_tid: self.next_tid + 1000 }
    }

    pub fn coarse(&self) -> Option<Coarse<'_>> {
        let (metric, dims) = (self.meta.metric, self.meta.dims);
        self.meta.is_trained.then_some(Coarse { metric, dims, centroids: &self.centroids })
    }

    pub fn view(&self) -> View<'_> {
        let (coded_coarse, codec, trusts_marks) = (None, None, true);
        View { meta: &self.meta, coarse: self.coarse(), coded_coarse, codec, trusts_marks }
    }

    pub fn put(&self, tid: Tid, vector: &[E]) -> Result<(), crate::Error> {
        let (list_no, distance) = self.coarse().map_or((0, 0.0), |c| assign(&c, vector));
        insert(&self.mem, &self.meta, list_no, tid, vector, E::norm_sqr(vector), distance)
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
        trials::vacuum(&mut self.model, is_dead, |asked| bulk_delete(asked).unwrap())
    }

    pub fn search(&self, query: &[f32], params: SearchParams) -> (Vec<Found>, Scan<Probe<E>>) {
        let mut scan = Scan::new();
        scan.begin(query, params);
        let mut rows = Vec::new();
        while let Some(row) = scan.next(&self.mem, &self.view()).unwrap() {
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

    /// The pages are sound and a search of all lists finds the model, bit for bit.
    pub fn verify(&mut self) {
        assert_eq!(check(&self.mem), []);
        self.verify_rows();
    }

    pub fn verify_rows(&mut self) {
        let query = random_query::<E>(&mut self.rng, self.meta.dims);
        let (rows, _) = self.search(&query, ALL);
        let found: Vec<_> = rows.iter().map(|row| (row.tid, row.distance.to_bits())).collect();
        assert_eq!(found, self.expected(&query));
    }
}

/// The list of a vector and its coarse distance, under cosine that of the unit vector.
fn assign<E: Element>(coarse: &Coarse<'_>, vector: &[E]) -> (u32, f32) {
    if coarse.nlist() == 0 {
        return (0, 0.0);
    }
    let (list_no, distance) = coarse.assign(&E::widened(vector, coarse.dims));
    match coarse.metric {
        Metric::Cosine => (list_no, extent::of_unit(distance, E::norm_sqr(vector))),
        _ => (list_no, distance),
    }
}

pub fn tid_no(i: u64) -> Tid {
    Tid::new((i / 50) as u32, (i % 50 + 1) as u16)
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
    problems.retain(|p| p.severity == crate::ivf::check::Severity::Damage);
    problems
}
