//! RaBitQ (Gao and Long 2024) with one bit a component: the sign of the residual r = x − c.
//!
//! With s = the signs as ±1, r is taken for g·s, g = |r|² / Σ|r_j|: the multiple of s whose product with r is |r|². An
//! estimate then needs ⟨q − c, s⟩ only, and that is ⟨q, s⟩ − ⟨c, s⟩: the last term is known when a row is coded and
//! goes into its factors, so that one table per query, from q alone, serves every list. Four signs are
//! one sub-quantizer of the fast-scan blocks.
//!
//! L2: |q − c|² + f0 − f1·⟨q, s⟩ with f0 = |r|² + 2g⟨c, s⟩, f1 = 2g. Inner product (negative): −⟨q, c⟩ + f0 − f1·⟨q, s⟩
//! with f0 = g⟨c, s⟩ − ⟨c, r⟩, f1 = g. Estimates are not clamped: a negative one is still in order.

use super::lut::{self, Lut};
use super::{Coding, LANES, Space, Sums};
use crate::kernels::nibbles::Factored;
use crate::kernels::norm_sqr;
use crate::metric::Metric;

/// A 1-bit quantizer of residuals. It is only as good as its centroids: a single list, too, should have one, the mean
/// of the data. Without any the signs are those of the vector itself.
#[derive(Clone, Debug)]
pub struct RaBitQ {
    space: Space,
    /// Stands for the centroid where none is given.
    origin: Vec<f32>,
}

/// A query made ready.
#[derive(Clone, Debug)]
pub struct RaBitQQuery {
    lut: Lut<Factored>,
    /// Its distance to the origin: squared, or the negative inner product.
    to_origin: f32,
    /// Its distance to the centroid of the list.
    base: f32,
}

impl RaBitQQuery {
    fn how(&self) -> Factored {
        Factored { linear: self.lut.linear, base: self.base }
    }
}

impl RaBitQ {
    /// There is nothing to train.
    pub fn new(space: Space) -> Self {
        RaBitQ { space, origin: vec![0.0; space.dims] }
    }

    /// The two factors FAISS stores with a code: |r|² (under inner product less |x|²), and |r| / a with
    /// a = Σ|r_j| / (|r|·√d).
    pub fn faiss_factors(&self, x: &[f32], centroid: &[f32]) -> [f32; 2] {
        let moments = Moments::of(x, self.centroid(centroid), &mut []);
        let first = match self.space.metric {
            Metric::L2 | Metric::L1 => moments.rr,
            Metric::InnerProduct | Metric::Cosine => moments.rr - moments.xx,
        };
        [first, moments.gain() * (self.space.dims as f32).sqrt()]
    }

    fn centroid<'a>(&'a self, centroid: &'a [f32]) -> &'a [f32] {
        if centroid.is_empty() { &self.origin } else { centroid }
    }
}

/// Sums over the components of one vector.
struct Moments {
    /// |r|²
    rr: f32,
    /// Σ |r_j|
    abs: f32,
    /// ⟨c, s⟩
    cs: f32,
    /// ⟨c, r⟩
    cr: f32,
    /// |x|²
    xx: f32,
}

impl Moments {
    /// Of `x` and its centroid; writes the signs, first component in the lowest bit of the first byte.
    fn of(x: &[f32], centroid: &[f32], code: &mut [u8]) -> Self {
        let mut lanes = [[0.0f32; 8]; 5];
        let mut step = |x: &[f32; 8], c: &[f32; 8]| {
            let [rr, abs, cs, cr, xx] = &mut lanes;
            let mut byte = 0;
            for i in 0..8 {
                let r = x[i] - c[i];
                let positive = r > 0.0;
                byte |= u8::from(positive) << i;
                rr[i] += r * r;
                abs[i] += r.abs();
                // A sign bit, not a branch: signs are as unforeseeable as coins.
                cs[i] += f32::from_bits(c[i].to_bits() ^ u32::from(!positive) << 31);
                cr[i] += c[i] * r;
                xx[i] += x[i] * x[i];
            }
            byte
        };
        let mut bytes = code.iter_mut();
        let mut put = |byte| {
            if let Some(out) = bytes.next() {
                *out = byte;
            }
        };
        let ((x, x_rest), (c, c_rest)) = (x.as_chunks::<8>(), centroid.as_chunks::<8>());
        for (x, c) in x.iter().zip(c) {
            put(step(x, c));
        }
        if !x_rest.is_empty() {
            // A component that is 0 in both has bit 0 and adds nothing.
            let (mut x, mut c) = ([0.0; 8], [0.0; 8]);
            x[..x_rest.len()].copy_from_slice(x_rest);
            c[..c_rest.len()].copy_from_slice(c_rest);
            put(step(&x, &c));
        }
        let [rr, abs, cs, cr, xx] = lanes.map(|lanes| lanes.iter().sum());
        Moments { rr, abs, cs, cr, xx }
    }

    /// What the signs are multiplied with to stand for the residual; 0 for a residual of 0.
    fn gain(&self) -> f32 {
        if self.abs > 0.0 { self.rr / self.abs } else { 0.0 }
    }
}

/// The sixteen values that four signs can give to four components of a query.
fn signed_sums([a, b, c, d]: [f32; 4], table: &mut [f32; 16]) {
    let low = [-a - b, a - b, b - a, a + b];
    let high = [-c - d, c - d, d - c, c + d];
    for (four, high) in table.as_chunks_mut::<4>().0.iter_mut().zip(high) {
        for (entry, low) in four.iter_mut().zip(low) {
            *entry = low + high;
        }
    }
}

impl Coding for RaBitQ {
    type Query = RaBitQQuery;

    fn code_size(&self) -> usize {
        self.space.dims.div_ceil(8) + 8
    }

    fn units(&self) -> usize {
        self.space.dims.div_ceil(8)
    }

    fn n_factors(&self) -> usize {
        2
    }

    fn by_residual(&self) -> bool {
        true
    }

    fn params(&self) -> &[f32] {
        &[]
    }

    fn encode(&self, x: &[f32], centroid: &[f32], code: &mut [u8], factors: &mut [f32]) {
        let moments = Moments::of(x, self.centroid(centroid), code);
        let gain = moments.gain();
        let pair = match self.space.metric {
            Metric::L2 | Metric::L1 => [moments.rr + 2.0 * gain * moments.cs, 2.0 * gain],
            Metric::InnerProduct | Metric::Cosine => [gain * moments.cs - moments.cr, gain],
        };
        factors.copy_from_slice(&pair);
    }

    fn pack(&self, code: &[u8], lane: usize, first_unit: usize, units: &mut [u8]) {
        lut::pack(code, lane, first_unit, units);
    }

    fn unpack(&self, first_unit: usize, units: &[u8], lane: usize, code: &mut [u8]) {
        lut::unpack(first_unit, units, lane, code);
    }

    fn query(&self) -> RaBitQQuery {
        RaBitQQuery { lut: Lut::new(self.units()), to_origin: 0.0, base: 0.0 }
    }

    fn prepare(&self, query: &mut RaBitQQuery, q: &[f32]) {
        query.lut.fill(|no, table| {
            let four = q.get(4 * no..).unwrap_or_default();
            let at = |j: usize| four.get(j).copied().unwrap_or(0.0);
            signed_sums([at(0), at(1), at(2), at(3)], table);
        });
        query.to_origin = if self.space.metric == Metric::L2 { norm_sqr(q) } else { 0.0 };
        query.base = query.to_origin;
    }

    fn enter_list(&self, query: &mut RaBitQQuery, centroid: &[f32], coarse_distance: f32) {
        query.base = if centroid.is_empty() { query.to_origin } else { coarse_distance };
    }

    #[inline]
    fn accumulate(&self, query: &RaBitQQuery, sums: &mut Sums, first_unit: usize, units: &[u8]) {
        query.lut.accumulate(sums, first_unit, units);
    }

    #[inline]
    fn estimates(&self, query: &RaBitQQuery, sums: &Sums, factors: &[f32], out: &mut [f32; LANES]) {
        query.lut.estimates(query.how(), sums, factors, out);
    }

    #[inline]
    fn block(
        &self,
        query: &RaBitQQuery,
        units: &[u8],
        factors: &[f32],
        limit: f32,
        out: &mut [f32; LANES],
    ) -> u32 {
        query.lut.block(query.how(), units, factors, limit, out)
    }
}
