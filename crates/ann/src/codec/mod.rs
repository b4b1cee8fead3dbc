//! Lossy codes of vectors, laid out in blocks that are scanned 32 vectors at a time.
//!
//! A code is what FAISS calls by the same name and has the same bytes (`encode`). In an index the codes of
//! 32 vectors, a block, stand in columns: *units* of 32 bytes that hold a few code bits of every vector. So one
//! instruction looks at many vectors, a distance needs no horizontal sum, and a block may be cut between any two
//! units (`accumulate` goes on where it stopped). Which unit holds what is each codec's own matter (`pack`).
//!
//! Vectors come here as they are coded: rotated if the index has a rotation, of norm 1 under cosine. Under
//! inner product and cosine an estimate is the negative inner product, under L2 the squared distance.

mod batch;
mod bits;
mod codebooks;
mod dispatch;
pub mod fastscan;
mod kind;
mod levels;
mod loss;
mod lut;
mod planes;
pub mod pq;
pub mod rabitq;
mod sizes;
pub mod sq;
mod stored;

#[cfg(test)]
mod fastscan_tests;
#[cfg(test)]
mod rabitq_tests;
#[cfg(test)]
mod recall_tests;
#[cfg(test)]
mod tests;

use crate::kernels::at_most;
use crate::metric::Metric;

pub use batch::{encode_batch, take_residuals};
pub use codebooks::train_codebooks;
pub use dispatch::{Codec, CodecQuery, train};
pub use kind::{FLAT, M_RANGE, PQ_NBITS, RABITQ_NBITS};
pub use loss::CodeLoss;
pub use stored::Stored;

/// Vectors of a block.
pub const LANES: usize = 32;
/// Bytes of a unit, the smallest part of a block that is never cut.
pub const UNIT: usize = 32;

/// A kind of lossy code, as options and the metapage name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodeKind {
    /// Scalar quantizer: each component of the residual as a 16-bit float.
    SqFp16,
    /// Scalar quantizer, 8 bits a component, per-dimension range of the residuals.
    Sq8,
    /// Scalar quantizer, 4 bits a component.
    Sq4,
    /// Product quantizer of residuals (of the vector itself without lists): `m` sub-quantizers of `nbits` bits, 4..=12.
    Pq {
        /// Sub-quantizers.
        m: u16,
        /// Bits of each.
        nbits: u8,
    },
    /// Product quantizer of the vector itself, 4 bits each, scanned by shuffles (fast-scan).
    PqFs {
        /// Sub-quantizers.
        m: u16,
    },
    /// RaBitQ (Gao and Long 2024, with more than one bit Gao and others 2025): the residual's signs, and what further bits say
    /// of its components' magnitudes.
    RaBitQ {
        /// Bits a component, 1..=8, the sign included.
        nbits: u8,
    },
}

/// Sums of one block on their way through its units; which of the two is in use is the codec's choice.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct Sums {
    /// One float per vector.
    pub floats: [f32; LANES],
    /// One integer per vector.
    pub integers: [u16; LANES],
}

impl Sums {
    /// Where every block starts.
    pub const ZERO: Sums = Sums { floats: [0.0; LANES], integers: [0; LANES] };
}

/// What every codec does. `Query` holds what is computed once per query or list, and its memory is reused.
pub trait Coding {
    /// A query made ready.
    type Query;

    /// Bytes of a vector's code in FAISS's layout, its factors included.
    fn code_size(&self) -> usize;
    /// Bytes of the bare code: without the factors that FAISS stores.
    fn bare_size(&self) -> usize {
        self.code_size()
    }
    /// Units of a block's codes, factors not included.
    fn units(&self) -> usize;
    /// Floats kept per vector beside its code.
    fn n_factors(&self) -> usize;
    /// Whether the code is of the vector less its list's centroid.
    fn by_residual(&self) -> bool;
    /// The trained parameters, to be stored; `from_params` of the same kind takes them back.
    fn params(&self) -> &[f32];

    /// Codes `x`, a member of the list with this centroid (empty: no lists). `code` has the bytes of the bare code
    /// and is overwritten; `factors` has `n_factors` places.
    fn encode(&self, x: &[f32], centroid: &[f32], code: &mut [u8], factors: &mut [f32]);
    /// Writes a code into its lane of a block. `units` are the units from `first_unit` on; what the code has in other
    /// units is left out, what other lanes have here stays.
    fn pack(&self, code: &[u8], lane: usize, first_unit: usize, units: &mut [u8]);
    /// The reverse of `pack`: fills in the parts of `code` that these units hold. `code` starts zeroed.
    fn unpack(&self, first_unit: usize, units: &[u8], lane: usize, code: &mut [u8]);

    /// A query with nothing in it.
    fn query(&self) -> Self::Query;
    /// Starts a query.
    fn prepare(&self, query: &mut Self::Query, q: &[f32]);
    /// Enters a list. `coarse_distance` is the query's distance to its centroid: squared L2, or negative inner
    /// product. Without lists: an empty centroid and 0.
    fn enter_list(&self, query: &mut Self::Query, centroid: &[f32], coarse_distance: f32);
    /// Adds what the units from `first_unit` on say about the 32 vectors of a block.
    fn accumulate(&self, query: &Self::Query, sums: &mut Sums, first_unit: usize, units: &[u8]);
    /// The estimated distances once all units are in. `factors`: 32 floats of each factor, one factor after the other.
    fn estimates(&self, query: &Self::Query, sums: &Sums, factors: &[f32], out: &mut [f32; LANES]);
    /// A whole block at once: `accumulate` from zero, then `estimates`. Returns which lanes are at most `limit` or
    /// NaN, lane 0 in the lowest bit.
    #[inline]
    fn block(
        &self,
        query: &Self::Query,
        units: &[u8],
        factors: &[f32],
        limit: f32,
        out: &mut [f32; LANES],
    ) -> u32 {
        let mut sums = Sums::ZERO;
        self.accumulate(query, &mut sums, 0, units);
        self.estimates(query, &sums, factors, out);
        at_most(out, limit)
    }
}

/// What is trained, beside the kind.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Space {
    /// Components of a coded vector.
    pub dims: usize,
    /// How estimates are measured; cosine counts as inner product of unit vectors. There is no codec for L1.
    pub metric: Metric,
}

/// Fills `out` with `x` less its list's centroid, or with `x` itself where there are no lists.
fn residual(x: &[f32], centroid: &[f32], out: &mut Vec<f32>) {
    out.clear();
    if centroid.is_empty() {
        out.extend_from_slice(x);
    } else {
        out.extend(x.iter().zip(centroid).map(|(x, c)| x - c));
    }
}
