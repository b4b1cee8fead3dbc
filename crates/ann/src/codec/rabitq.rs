//! RaBitQ (Gao and Long 2024) with one bit a component, and with more (Gao and others 2025): the sign of the residual
//! r = x − c, and how long the component is.
//!
//! With b bits a component is a number n_j in 0..2^b and stands for w_j = 2n_j − (2^b − 1), an odd integer of its sign: ±1 with
//! one bit. r is taken for g·w, g = |r|² / ⟨w, r⟩: the multiple of w whose product with r is |r|². An
//! estimate then needs ⟨q − c, w⟩ only, and that is ⟨q, w⟩ − ⟨c, w⟩: the last term is known when a row is coded and
//! goes into its factors, so that one table per query, from q alone, serves every list. Four signs are
//! one sub-quantizer of the fast-scan blocks. More bits are further planes of signs that count half, a quarter and so on:
//! w = Σ 2^p·s_p, p from b − 1 to 0, s_p = ±1 by bit p of n. So the same table serves every plane.
//!
//! L2: |q − c|² + f0 − f1·⟨q, w⟩ with f0 = |r|² + 2g⟨c, w⟩, f1 = 2g. Inner product (negative): −⟨q, c⟩ + f0 − f1·⟨q, w⟩
//! with f0 = g⟨c, w⟩ − ⟨c, r⟩, f1 = g. A squared distance is not below 0: an estimate that is says only
//! that the row is long and in the query's direction, and where components are few that is so of rows far beyond the query, which
//! would all come first. As in FAISS it counts as 0.
//!
//! What an estimate is wrong by is in proportion to |q − c|, but what the table's bytes are wrong by to |q|. Where the lists lie much
//! closer together than they are far from the origin, the second would be the larger: then the table's floats are added up.

use super::levels;
use super::lut::Lut;
use super::planes::Planes;
use super::{CodeKind, Coding, LANES, RABITQ_NBITS, Space, Sums};
use crate::extent;
use crate::kernels::nibbles::{Factored, Linear};
use crate::kernels::{l2_sqr, norm_sqr};
use crate::metric::Metric;

/// Of codes with more bits than these, what a table's bytes lose may be as much as if they had no more.
const TABLE_BITS: i32 = 5;

/// A quantizer of residuals with 1 to 8 bits a component. It is only as good as its centroids: a single list, too, should have one, the mean
/// of the data. Without any the signs are those of the vector itself.
#[derive(Clone, Debug)]
pub struct RaBitQ {
    nbits: u8,
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
    /// The query itself.
    point: Vec<f32>,
    /// 2^b − 1: what the planes count together.
    weight: f32,
}

impl RaBitQQuery {
    fn how(&self) -> Factored {
        let Linear { scale, bias } = self.lut.linear();
        Factored { linear: Linear { scale, bias: bias * self.weight }, base: self.base }
    }
}

impl RaBitQ {
    /// There is nothing to train. `None` if `nbits` is not in 1..=8.
    pub fn new(nbits: u8, space: Space) -> Option<Self> {
        let fits = RABITQ_NBITS.contains(&nbits);
        fits.then(|| RaBitQ { nbits, space, origin: vec![0.0; space.dims] })
    }

    /// The first two factors FAISS stores with a code, which are about the signs alone: |r|² (under inner product less
    /// |x|²), and |r| / a with a = Σ|r_j| / (|r|·√d).
    pub fn faiss_factors(&self, x: &[f32], centroid: &[f32]) -> [f32; 2] {
        let moments = Moments::of(x, self.centroid(centroid), &[], &mut []);
        let first = match self.space.metric {
            Metric::InnerProduct | Metric::Cosine => moments.rr - moments.xx,
            _ => moments.rr,
        };
        [first, moments.gain() * (self.space.dims as f32).sqrt()]
    }

    /// What a bare code stands for but for its length: the odd integers w.
    pub fn decode(&self, code: &[u8]) -> Vec<f32> {
        let most = f32::from(u8::MAX >> (8 - self.nbits));
        let eights = (0..self.planes().n_units).flat_map(|n| self.planes().eight(code, n));
        eights.take(self.space.dims).map(|number| 2.0 * f32::from(number) - most).collect()
    }

    fn kind(&self) -> CodeKind {
        CodeKind::RaBitQ { nbits: self.nbits }
    }

    fn planes(&self) -> Planes {
        Planes { n_units: self.space.dims.div_ceil(8), rest: usize::from(self.nbits) - 1 }
    }

    /// Codes `x` with more than one bit; `code` has the signs already.
    fn encode_levels(&self, x: &[f32], centroid: &[f32], code: &mut [u8]) -> Moments {
        let mut weights: Vec<f32> = x.iter().zip(centroid).map(|(x, c)| (x - c).abs()).collect();
        levels::choose(self.nbits, &mut weights);
        let moments = Moments::of(x, centroid, &weights, code);
        let signs = code.to_vec();
        let n_levels = 1 << (self.nbits - 1);
        let eights = signs.iter().zip(weights.chunks(8)).map(|(signs, weights)| {
            let mut numbers = [0; 8];
            for (i, (number, weight)) in numbers.iter_mut().zip(weights).enumerate() {
                let level = *weight as u8 / 2;
                let is_positive = signs >> i & 1 == 1;
                *number = if is_positive { n_levels + level } else { n_levels - 1 - level };
            }
            numbers
        });
        self.planes().write(eights, code);
        moments
    }

    /// Squared distances are not below 0. What is no number stays so.
    #[inline]
    fn clamp(&self, estimates: &mut [f32; LANES]) {
        if self.space.metric == Metric::L2 {
            estimates.iter_mut().for_each(|x| *x = if *x < 0.0 { 0.0 } else { *x });
        }
    }

    /// How far the bytes of a query's table may be from its floats, as a standard deviation, so that an estimate for a list at this
    /// squared distance is hardly worse: half of what the code is wrong by, or as much as half of what one of five bits is. That is
    /// about .58 |q − c| in the odd integers w, whatever their number; and errors of planes add up by their weights.
    fn tolerance(&self, squared: f32) -> f32 {
        let code = 0.58 * squared.sqrt();
        let bits = i32::from(self.nbits);
        let allowed = 0.5 * code * 2f32.powi((bits - TABLE_BITS).max(0));
        let planes = ((4f32.powi(bits) - 1.0) / 3.0).sqrt();
        allowed / planes
    }

    fn centroid<'a>(&'a self, centroid: &'a [f32]) -> &'a [f32] {
        if centroid.is_empty() { &self.origin } else { centroid }
    }
}

/// Sums over the components of one vector.
struct Moments {
    /// |r|²
    rr: f32,
    /// ⟨w, r⟩
    wr: f32,
    /// ⟨c, w⟩
    cw: f32,
    /// ⟨c, r⟩
    cr: f32,
    /// |x|²
    xx: f32,
}

impl Moments {
    /// Of `x`, its centroid and the magnitudes of w (none: all are 1); writes the signs, first component in the lowest
    /// bit of the first byte.
    fn of(x: &[f32], centroid: &[f32], weights: &[f32], code: &mut [u8]) -> Self {
        let mut lanes = [[0.0f32; 8]; 5];
        let mut step = |x: &[f32; 8], c: &[f32; 8], w: &[f32; 8]| {
            let [rr, wr, cw, cr, xx] = &mut lanes;
            let mut byte = 0;
            for i in 0..8 {
                let r = x[i] - c[i];
                let positive = r > 0.0;
                byte |= u8::from(positive) << i;
                rr[i] += r * r;
                wr[i] += w[i] * r.abs();
                // A sign bit, not a branch: signs are as unforeseeable as coins.
                cw[i] += w[i] * f32::from_bits(c[i].to_bits() ^ u32::from(!positive) << 31);
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
        let (w, w_rest) = weights.as_chunks::<8>();
        let ones = std::iter::repeat(&[1.0; 8]);
        for ((x, c), w) in x.iter().zip(c).zip(w.iter().chain(ones)) {
            put(step(x, c, w));
        }
        if !x_rest.is_empty() {
            // A component that is 0 in both has bit 0 and adds nothing.
            let (mut x, mut c, mut w) = ([0.0; 8], [0.0; 8], [1.0; 8]);
            x[..x_rest.len()].copy_from_slice(x_rest);
            c[..c_rest.len()].copy_from_slice(c_rest);
            w[..w_rest.len()].copy_from_slice(w_rest);
            put(step(&x, &c, &w));
        }
        let [rr, wr, cw, cr, xx] = lanes.map(|lanes| lanes.iter().sum());
        Moments { rr, wr, cw, cr, xx }
    }

    /// What w is multiplied with to stand for the residual; 0 for a residual of 0.
    fn gain(&self) -> f32 {
        if self.wr > 0.0 { self.rr / self.wr } else { 0.0 }
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
        self.kind().code_size(self.space.dims)
    }

    fn bare_size(&self) -> usize {
        self.kind().bare_size(self.space.dims)
    }

    fn units(&self) -> usize {
        self.kind().units(self.space.dims)
    }

    fn n_factors(&self) -> usize {
        self.kind().n_factors()
    }

    fn by_residual(&self) -> bool {
        true
    }

    fn params(&self) -> &[f32] {
        &[]
    }

    fn encode(&self, x: &[f32], centroid: &[f32], code: &mut [u8], factors: &mut [f32]) {
        let centroid = self.centroid(centroid);
        let moments = match self.nbits {
            1 => Moments::of(x, centroid, &[], code),
            _ => self.encode_levels(x, centroid, code),
        };
        let gain = moments.gain();
        let pair = match self.space.metric {
            Metric::InnerProduct | Metric::Cosine => [gain * moments.cw - moments.cr, gain],
            _ => [moments.rr + 2.0 * gain * moments.cw, 2.0 * gain],
        };
        // A residual of the longest vectors may have a product beyond what a float holds; pages take finite ones.
        factors.copy_from_slice(&pair.map(extent::finite));
    }

    fn pack(&self, code: &[u8], lane: usize, first_unit: usize, units: &mut [u8]) {
        self.planes().pack(code, lane, first_unit, units);
    }

    fn unpack(&self, first_unit: usize, units: &[u8], lane: usize, code: &mut [u8]) {
        self.planes().unpack(first_unit, units, lane, code);
    }

    fn query(&self) -> RaBitQQuery {
        let weight = f32::from(u8::MAX >> (8 - self.nbits));
        let lut = Lut::new(self.planes().n_units);
        RaBitQQuery { lut, to_origin: 0.0, base: 0.0, point: Vec::new(), weight }
    }

    fn prepare(&self, query: &mut RaBitQQuery, q: &[f32]) {
        query.point.clear();
        query.point.extend_from_slice(q);
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
        let squared = match self.space.metric {
            Metric::L2 => query.base,
            _ => l2_sqr(&query.point, self.centroid(centroid)),
        };
        query.lut.aim(self.tolerance(squared));
    }

    #[inline]
    fn accumulate(&self, query: &RaBitQQuery, sums: &mut Sums, first_unit: usize, units: &[u8]) {
        query.lut.accumulate(sums, first_unit, units);
    }

    #[inline]
    fn estimates(&self, query: &RaBitQQuery, sums: &Sums, factors: &[f32], out: &mut [f32; LANES]) {
        query.lut.estimates(query.how(), sums, factors, out);
        self.clamp(out);
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
        // The limit is one of clamped estimates: what is below it stays so.
        let near = query.lut.block(query.how(), units, factors, limit, out);
        self.clamp(out);
        near
    }
}
