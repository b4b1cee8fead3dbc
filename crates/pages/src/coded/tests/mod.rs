//! The verbs of a coded index together, on pages in memory, against a model: a map from tid to vector.

mod batch;
mod complete;
mod crash;
mod estimates;
mod exact;
mod interleave;
mod marks;
mod modes;
mod planted;
mod random;
mod room;
mod rows;
mod sizes;
mod world;

use ann::codec::CodeKind;
use ann::element::Float;
use ann::factory::Refine;
use ann::metric::Metric;
use ann::rng::Rng;

use crate::coded::rerank::{Budget, RerankParams};
use crate::ivf::scan::Iterative;
use crate::tid::Tid;

pub use world::World;

pub use crate::trials::Model;

pub const METRICS: [Metric; 3] = [Metric::L2, Metric::InnerProduct, Metric::Cosine];
pub const REFINES: [Refine; 4] = Refine::ALL;

/// Everything, in order of distance.
pub const ALL: RerankParams = RerankParams {
    nprobe: usize::MAX,
    iterative: Iterative::Relaxed,
    max_scan_tuples: 0,
    max_probes: usize::MAX,
    rows_wanted: None,
    memory: 0,
    is_exact: false,
    budget: Budget::fixed(usize::MAX),
};

/// What an index of the tests is.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub kind: CodeKind,
    pub metric: Metric,
    pub refine: Refine,
    pub dims: usize,
    pub nlist: usize,
    pub n_rows: usize,
}

impl Shape {
    pub fn new(kind: CodeKind, metric: Metric, dims: usize, nlist: usize, n_rows: usize) -> Self {
        Self { kind, metric, refine: Refine::Heap, dims, nlist, n_rows }
    }

    /// With exact vectors in the index.
    pub fn flat(self) -> Self {
        Self { refine: Refine::Flat, ..self }
    }
}

/// Every kind of code that is quickly trained in this dimension.
pub fn kinds(dims: usize) -> Vec<CodeKind> {
    let m = (1..=dims.min(40)).rev().find(|m| dims.is_multiple_of(*m)).unwrap() as u16;
    let mut kinds = vec![
        CodeKind::SqFp16,
        CodeKind::Sq8,
        CodeKind::Sq4,
        CodeKind::RaBitQ { nbits: 1 },
        CodeKind::RaBitQ { nbits: 2 },
        CodeKind::RaBitQ { nbits: 5 },
        CodeKind::RaBitQ { nbits: 8 },
        CodeKind::PqFs { m },
        CodeKind::Pq { m, nbits: 4 },
        CodeKind::Pq { m, nbits: 5 },
    ];
    if dims <= 7 {
        kinds.extend([CodeKind::Pq { m, nbits: 8 }, CodeKind::Pq { m, nbits: 9 }]);
    }
    kinds
}

pub fn random_vector<E: Float>(rng: &mut Rng, dims: usize) -> Vec<E> {
    (0..dims).map(|_| E::from_f32(rng.unit() - 0.5)).collect()
}

pub fn widened<E: Float>(vector: &[E]) -> Vec<f32> {
    vector.iter().map(|x| x.to_f32()).collect()
}

pub fn tid_no(i: u64) -> Tid {
    Tid::new((i / 50) as u32, (i % 50 + 1) as u16)
}
