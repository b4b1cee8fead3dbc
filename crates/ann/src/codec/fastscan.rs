//! PQ fast-scan (André, Kermarrec and Le Scouarnec 2015 and 2017; FAISS's `PQmx4fs`): a product quantizer of
//! 4 bits per sub-quantizer, of the vector itself, whose tables stay in registers during a scan.
//!
//! An odd `m` counts as m + 1 with a last sub-quantizer that is always 0 and adds nothing.

use super::lut::{self, Lut};
use super::{Coding, LANES, Space, Sums};
use crate::kernels::nibbles::Linear;
use crate::metric::Metric;

/// Centroids of a sub-quantizer.
const KSUB: usize = 16;

/// A trained 4-bit product quantizer for fast-scan.
#[derive(Clone, Debug)]
pub struct PqFs {
    space: Space,
    m: usize,
    /// Sub-quantizer, centroid, component: as FAISS stores them.
    codebooks: Vec<f32>,
    /// As `codebooks`, by sub-quantizer and component: the sixteen centroids' values together.
    columns: Vec<[f32; KSUB]>,
}

/// A query made ready.
#[derive(Clone, Debug)]
pub struct PqFsQuery(Lut<Linear>);

impl PqFs {
    /// The quantizer with these codebooks, 16 · dims floats as `train_codebooks` returns them. `None` if there are
    /// another number of them, or if `m` does not divide the dimension.
    pub fn new(m: usize, space: Space, codebooks: Vec<f32>) -> Option<Self> {
        let fits = m > 0 && space.dims > 0 && space.dims.is_multiple_of(m);
        if !fits || codebooks.len() != KSUB * space.dims {
            return None;
        }
        let dsub = space.dims / m;
        let column = |i: usize| {
            let book = &codebooks[i / dsub * dsub * KSUB..];
            std::array::from_fn(|c| book[c * dsub + i % dsub])
        };
        let columns = (0..space.dims).map(column).collect();
        Some(PqFs { space, m, codebooks, columns })
    }

    fn dsub(&self) -> usize {
        self.space.dims / self.m
    }
}

/// Squared distances of a slice of a vector to sixteen centroids.
fn distances(slice: &[f32], columns: &[[f32; KSUB]]) -> [f32; KSUB] {
    let mut sums = [0.0; KSUB];
    for (x, column) in slice.iter().zip(columns) {
        for (sum, c) in sums.iter_mut().zip(column) {
            *sum += (x - c) * (x - c);
        }
    }
    sums
}

/// Negative inner products of the same.
fn negative_products(slice: &[f32], columns: &[[f32; KSUB]]) -> [f32; KSUB] {
    let mut sums = [0.0; KSUB];
    for (x, column) in slice.iter().zip(columns) {
        for (sum, c) in sums.iter_mut().zip(column) {
            *sum -= x * c;
        }
    }
    sums
}

/// The number of the least; the first of equals.
fn nearest(distances: &[f32; KSUB]) -> u8 {
    let mut best = (f32::INFINITY, 0);
    for (no, &distance) in (0u8..).zip(distances) {
        if distance < best.0 {
            best = (distance, no);
        }
    }
    best.1
}

impl Coding for PqFs {
    type Query = PqFsQuery;

    fn code_size(&self) -> usize {
        self.m.div_ceil(2)
    }

    fn units(&self) -> usize {
        self.m.div_ceil(2)
    }

    fn n_factors(&self) -> usize {
        0
    }

    fn by_residual(&self) -> bool {
        false
    }

    fn params(&self) -> &[f32] {
        &self.codebooks
    }

    fn encode(&self, x: &[f32], _centroid: &[f32], code: &mut [u8], _factors: &mut [f32]) {
        let dsub = self.dsub();
        code.fill(0);
        for (sub, (x, columns)) in x.chunks(dsub).zip(self.columns.chunks(dsub)).enumerate() {
            code[sub / 2] |= nearest(&distances(x, columns)) << (sub % 2 * 4);
        }
    }

    fn pack(&self, code: &[u8], lane: usize, first_unit: usize, units: &mut [u8]) {
        lut::pack(code.iter().copied().skip(first_unit), lane, units);
    }

    fn unpack(&self, first_unit: usize, units: &[u8], lane: usize, code: &mut [u8]) {
        for (byte, unit) in code.iter_mut().skip(first_unit).zip(lut::unpack(units, lane)) {
            *byte = unit;
        }
    }

    fn query(&self) -> PqFsQuery {
        PqFsQuery(Lut::new(self.units()))
    }

    fn prepare(&self, query: &mut PqFsQuery, q: &[f32]) {
        let dsub = self.dsub();
        let entries = match self.space.metric {
            Metric::InnerProduct | Metric::Cosine => negative_products,
            _ => distances,
        };
        let mut subs = q.chunks(dsub).zip(self.columns.chunks(dsub));
        query.0.fill(|_, table| {
            if let Some((q, columns)) = subs.next() {
                *table = entries(q, columns);
            }
        });
    }

    fn enter_list(&self, _query: &mut PqFsQuery, _centroid: &[f32], _coarse_distance: f32) {}

    #[inline]
    fn accumulate(&self, query: &PqFsQuery, sums: &mut Sums, first_unit: usize, units: &[u8]) {
        query.0.accumulate(sums, first_unit, units);
    }

    #[inline]
    fn estimates(&self, query: &PqFsQuery, sums: &Sums, factors: &[f32], out: &mut [f32; LANES]) {
        query.0.estimates(query.0.linear(), sums, factors, out);
    }

    #[inline]
    fn block(
        &self,
        query: &PqFsQuery,
        units: &[u8],
        factors: &[f32],
        limit: f32,
        out: &mut [f32; LANES],
    ) -> u32 {
        query.0.block(query.0.linear(), units, factors, limit, out)
    }
}
