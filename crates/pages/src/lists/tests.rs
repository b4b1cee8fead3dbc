//! The verbs of inverted lists together, on pages in memory, against a model: a map from tid to vector.

mod attributes;
mod batch;
mod bounds;
mod complete;
mod crash;
mod estimates;
mod exact;
mod filters;
mod interleave;
mod marks;
mod meta;
mod modes;
mod neighbours;
mod planted;
mod quantizer;
mod random;
mod rebuild;
mod rerank;
mod room;
mod rows;
mod sizes;
mod world;

use ann::codec::CodeKind;
use ann::element::{Bits, Element};
use ann::factory::{Refine, RotationKind};
use ann::metric::Metric;
use ann::rng::Rng;
use ann::tuning::probing::ProbeRule;

use crate::lists::candidates::RerankParams;
use crate::lists::{CodeParams, Fit, ListsParams, MetaParams};
use crate::model_name::ModelName;
use crate::search::attributes::Attributes;
use crate::search::params::Iterative;
use crate::search::rerank::Budget;
use crate::tid::Tid;

pub use crate::trials::Model;
pub use world::World;

pub const METRICS: [Metric; 3] = [Metric::L2, Metric::InnerProduct, Metric::Cosine];
pub const REFINES: [Refine; 4] = Refine::ALL;

/// Everything, in order of distance.
pub const ALL: RerankParams = RerankParams {
    nprobe: usize::MAX,
    rule: None,
    iterative: Iterative::Relaxed,
    max_scan_tuples: 0,
    max_probes: usize::MAX,
    rows_wanted: None,
    memory: 0,
    is_exact: false,
    budget: Budget::fixed(usize::MAX),
};

/// The first lists and then the others, up to a bound.
pub fn params(nprobe: usize, iterative: Iterative, max_scan_tuples: u64) -> RerankParams {
    RerankParams { nprobe, iterative, max_scan_tuples, budget: Budget::fixed(2), ..ALL }
}

/// Each query its own number of lists.
pub fn rule() -> ProbeRule {
    let parts = std::array::from_fn(|i| 1.0 - 0.7 / (1 + i) as f32);
    ProbeRule { exponents: [-1.0, -3.0], parts }
}

/// What an index of the tests is.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// None: vectors as they are.
    pub code: Option<CodeKind>,
    pub metric: Metric,
    pub refine: Refine,
    pub dims: usize,
    /// 0: untrained.
    pub nlist: usize,
    pub n_rows: usize,
    /// Widths of the attributes.
    pub attributes: &'static [u8],
}

impl Shape {
    /// Vectors as they are.
    pub const fn flat(metric: Metric, dims: usize, nlist: usize, n_rows: usize) -> Self {
        let (code, refine) = (None, Refine::Heap);
        Self { code, metric, refine, dims, nlist, n_rows, attributes: &[] }
    }

    /// Codes alone.
    pub const fn coded(
        kind: CodeKind,
        metric: Metric,
        dims: usize,
        nlist: usize,
        n_rows: usize,
    ) -> Self {
        Self { code: Some(kind), ..Self::flat(metric, dims, nlist, n_rows) }
    }

    /// With exact vectors beside the codes.
    pub const fn and_vectors(self) -> Self {
        Self { refine: Refine::Flat, ..self }
    }

    /// With attributes of these widths.
    pub const fn and_attributes(self, attributes: &'static [u8]) -> Self {
        Self { attributes, ..self }
    }

    /// What a build of it is told.
    pub fn params(&self, element: u8, seed: u64) -> MetaParams {
        let code = self.code.map(|kind| CodeParams {
            kind,
            refine: self.refine,
            rotation: RotationKind::None,
            normalize: self.metric == Metric::Cosine,
        });
        let attributes = Attributes::new(self.attributes).unwrap();
        let Self { metric, dims, nlist, .. } = *self;
        MetaParams {
            lists: ListsParams { element, metric, dims, code, attributes },
            nlist_option: nlist as u32,
            is_code_chosen: false,
            seed,
            trained_rows: 0,
            fit: Fit {
                coarse_error: 0.5,
                code_error: 0.0,
                table_blocks: 7,
                imbalance_factor: 1.25,
            },
            model: ModelName::new("some model").filter(|_| nlist > 0),
            built_xid: 0,
        }
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

pub fn random_vector<E: Element>(rng: &mut Rng, dims: usize) -> Vec<E> {
    // Of bits one in two is set.
    let shift = if E::TAG == Bits::TAG { 0.0 } else { 0.5 };
    E::pack(&(0..dims).map(|_| rng.unit() - shift).collect::<Vec<_>>())
}

/// A random query: a vector as the column might have it, in 32-bit floats.
pub fn random_query<E: Element>(rng: &mut Rng, dims: usize) -> Vec<f32> {
    E::widened(&random_vector::<E>(rng, dims), dims)
}

pub fn tid_no(i: u64) -> Tid {
    Tid::new((i / 50) as u32, (i % 50 + 1) as u16)
}
