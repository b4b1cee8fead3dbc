//! The verbs of a graph together, on pages in memory, against a model: a map from tid to vector.

mod churn;
mod filters;
mod growth;
mod insert;
mod layout;
mod marks;
mod modes;
mod recall;
mod scan;
mod sizes;
mod sparse;
mod vacuum;
mod world;

use ann::element::{Bits, Element};
use ann::metric::Metric;
use ann::rng::Rng;

use crate::hnsw::Code;
use crate::hnsw::scan::GraphParams;
use crate::search::params::Iterative;
use crate::tid::Tid;

pub use world::World;

pub use crate::trials::Model;

pub const METRICS: [Metric; 4] = [Metric::L2, Metric::InnerProduct, Metric::Cosine, Metric::L1];

/// Everything, in order of distance.
pub const ALL: GraphParams = GraphParams {
    ef: 1 << 20,
    ef_of_tenfold: 1 << 20,
    iterative: Iterative::Relaxed,
    max_scan_tuples: u64::MAX,
    rows_wanted: None,
    memory: 0,
    is_exact: false,
};

/// What a graph of the tests is.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub metric: Metric,
    pub dims: usize,
    pub m: usize,
    pub ef_construction: usize,
    pub code: Code,
    pub n_rows: usize,
    /// One row in so many has the vector of another one; 0: none.
    pub duplicates: u32,
    /// Searches go by vectors from the first on.
    pub by_vectors: bool,
    /// Widths of the attributes of a row, which follow from its tid.
    pub attributes: &'static [u8],
}

impl Kind {
    pub fn new(metric: Metric, dims: usize, m: usize, n_rows: usize) -> Self {
        Self {
            metric,
            dims,
            m,
            ef_construction: 64,
            code: Code::Flat,
            n_rows,
            duplicates: 0,
            by_vectors: false,
            attributes: &[],
        }
    }

    pub fn ef_construction(self, ef_construction: usize) -> Self {
        Self { ef_construction, ..self }
    }

    pub fn code(self, code: Code) -> Self {
        Self { code, ..self }
    }

    pub fn by_vectors(self) -> Self {
        Self { by_vectors: true, ..self }
    }

    pub fn attributes(self, attributes: &'static [u8]) -> Self {
        Self { attributes, ..self }
    }

    pub fn duplicates(self, duplicates: u32) -> Self {
        Self { duplicates, ..self }
    }
}

/// A point near one of a few centres.
pub fn random_vector<E: Element>(rng: &mut Rng, dims: usize) -> Vec<E> {
    let mut centre = Rng::new(u64::from(rng.below(8)));
    // Of bits one in two is set.
    let shift = if E::TAG == Bits::TAG { 0.0 } else { 0.5 };
    let component = |_| centre.unit() - shift + 0.4 * (rng.unit() - 0.5);
    E::pack(&(0..dims).map(component).collect::<Vec<_>>())
}

pub fn tid_no(i: u64) -> Tid {
    Tid::new((i / 50) as u32, (i % 50 + 1) as u16)
}
