//! Vectors as bytes: a grid of one step in every dimension, around the mean.
//!
//! A graph judges nodes by these codes alone. With one step for all dimensions a squared distance is the step squared
//! times an integer sum over bytes, a few nanoseconds, and what is lost is far less than the differences that decide
//! where a search goes on.

use crate::kernels::bytes::{ByteSum, MOST_BYTES, Rows};
use crate::metric::Metric;

/// Components of a code at most, so that two codes fit a page; longer vectors are folded.
pub const FOLD: usize = 4000;
/// Codes are padded to a multiple of so many bytes, which are the step of the kernels.
const PAD: usize = 16;
/// The stored byte of the component 0.
const ZERO: u8 = 128;
/// Components are in `-LIMIT..=LIMIT`.
const LIMIT: f32 = 127.0;
/// One in so many components of the sample may lie beyond the grid.
const BEYOND: usize = 10_000;
/// Values of the sample that the step is taken from.
const QUANTILE_VALUES: usize = 4_000_000;
/// No query lies farther from the offset than this many steps, so that keys stay finite.
const FARTHEST: f32 = 1e12;

const _: () = assert!(FOLD.is_multiple_of(PAD) && FOLD <= MOST_BYTES);

/// How vectors become codes of bytes, and queries become sums over them.
///
/// Component i of a code is the byte 128 + c with x ≈ offset + step · c, c in −127..=127; what lies beyond the grid is
/// moved to its edge. **Keys** are in units of [`Grid::unit`]: the distance squared (L2, cosine), the distance (L1), or
/// the negative inner product, between points of the grid. Smaller is nearer.
#[derive(Clone, Debug)]
pub struct Grid {
    metric: Metric,
    dims: usize,
    offset: Vec<f32>,
    step: f32,
    /// Σ offset² / step².
    origin: f32,
    sum: ByteSum,
}

/// What makes keys of the codes of nodes: a query, or a node that others are compared with.
#[derive(Clone, Debug)]
pub struct GridQuery {
    metric: Metric,
    sum: ByteSum,
    /// Under L1 bytes as in a code, else signed numbers.
    code: Vec<u8>,
    /// Makes the products of signed with unsigned bytes those of signed ones.
    shift: i32,
    kappa: f32,
    constant: f32,
}

/// The codes and biases of many nodes where they lie: the code of node i at `codes[i * stride..]`.
#[derive(Clone, Copy, Debug)]
pub struct Codes<'a> {
    pub codes: &'a [u8],
    pub stride: usize,
    pub biases: &'a [f32],
}

impl<'a> Codes<'a> {
    /// The code (of `size` bytes) and the bias of a node; an empty one where there is no such node.
    #[inline]
    pub fn node(&self, node: u32, size: usize) -> (&'a [u8], f32) {
        let at = node as usize * self.stride;
        let bias = self.biases.get(node as usize).copied().unwrap_or(f32::INFINITY);
        (self.codes.get(at..at + size).unwrap_or_default(), bias)
    }
}

/// Components of a code of that many dimensions, before padding.
fn width(dims: usize) -> usize {
    dims.div_ceil(dims.div_ceil(FOLD).max(1))
}

/// The sign with which a component is folded: fixed for ever, as codes are stored.
fn sign(component: usize) -> f32 {
    let mixed = (component as u32).wrapping_add(1).wrapping_mul(0x9e37_79b1);
    if (mixed ^ (mixed >> 15)).wrapping_mul(0x85eb_ca6b) >> 31 == 0 { 1.0 } else { -1.0 }
}

impl Grid {
    /// Bytes of a code: the dimensions (folded to at most [`FOLD`]) rounded up to sixteen.
    pub fn code_bytes(dims: usize) -> usize {
        width(dims).next_multiple_of(PAD)
    }

    /// Floats of [`Grid::params`].
    pub fn params_len(dims: usize) -> usize {
        width(dims) + 1
    }

    /// The grid for vectors like those of a sample (row by row; normalised under cosine): around their mean, with a step
    /// that leaves one component in ten thousand beyond. An empty sample gives a grid of step 1 around the origin.
    pub fn train(metric: Metric, dims: usize, sample: &[f32]) -> Grid {
        let mut folded = vec![0.0; width(dims)];
        let n = sample.len() / dims.max(1);
        let mut sums = vec![0.0f64; folded.len()];
        for vector in sample.chunks_exact(dims.max(1)) {
            fold(vector, &mut folded);
            sums.iter_mut().zip(&folded).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        let mean = |sum: f64| (sum / n.max(1) as f64) as f32;
        let offset: Vec<f32> = sums.into_iter().map(mean).collect();
        let rows = (QUANTILE_VALUES / folded.len().max(1)).max(1);
        let mut spread = Vec::new();
        for vector in sample.chunks_exact(dims.max(1)).step_by(n.div_ceil(rows).max(1)) {
            fold(vector, &mut folded);
            spread.extend(folded.iter().zip(&offset).map(|(x, offset)| (x - offset).abs()));
        }
        let step = edge(&mut spread, &offset) / LIMIT;
        let step = if step.is_normal() { step } else { 1.0 };
        Grid::new(metric, dims, offset, step)
    }

    fn new(metric: Metric, dims: usize, offset: Vec<f32>, step: f32) -> Grid {
        let sum = match metric {
            Metric::L1 => ByteSum::differences(),
            _ => ByteSum::products(),
        };
        let origin = offset.iter().map(|x| (f64::from(*x) / f64::from(step)).powi(2)).sum::<f64>();
        Grid { metric, dims, offset, step, origin: bounded(origin), sum }
    }

    /// What [`Grid::from_params`] makes the same grid of: the offsets, then the step.
    pub fn params(&self) -> Vec<f32> {
        self.offset.iter().copied().chain([self.step]).collect()
    }

    /// The grid of stored parameters, or `None` where they are no grid: the wrong number of them, not finite, or a step
    /// that is not positive.
    pub fn from_params(metric: Metric, dims: usize, mut params: Vec<f32>) -> Option<Grid> {
        let is_grid =
            params.len() == Grid::params_len(dims) && params.iter().all(|x| x.is_finite());
        let step = params.pop().filter(|step| is_grid && step.is_normal() && *step > 0.0)?;
        Some(Grid::new(metric, dims, params, step))
    }

    /// What a key of 1 is, in the metric's own measure (squared under L2 and cosine).
    pub fn unit(&self) -> f64 {
        let step = f64::from(self.step);
        if self.metric == Metric::L1 { step } else { step * step }
    }

    /// How nearness is measured.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Dimensions of a vector.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// The bytes of a code of this grid.
    pub fn size(&self) -> usize {
        self.offset.len().next_multiple_of(PAD)
    }

    /// Writes the code of a vector (normalised under cosine) to the head of `code`, which has [`Grid::code_bytes`] bytes
    /// or more, and returns its bias. A component that is not a number is coded as the mean.
    pub fn encode(&self, vector: &[f32], code: &mut [u8]) -> f32 {
        let mut point = vec![0.0; self.offset.len()];
        self.point(vector, &mut point);
        code.iter_mut().take(self.size()).for_each(|c| *c = ZERO);
        let mut bias = 0.0f64;
        for ((c, x), offset) in code.iter_mut().zip(&point).zip(&self.offset) {
            let level = x.clamp(-LIMIT, LIMIT).round_ties_even() as i8;
            *c = ZERO.wrapping_add_signed(level);
            let level = f64::from(level);
            bias += match self.metric {
                Metric::L2 | Metric::Cosine => level * level,
                Metric::InnerProduct => -level * f64::from(*offset) / f64::from(self.step),
                Metric::L1 => 0.0,
            };
        }
        bounded(bias)
    }

    /// A vector folded and in steps from the offset.
    fn point(&self, vector: &[f32], out: &mut [f32]) {
        fold(vector, out);
        for (x, offset) in out.iter_mut().zip(&self.offset) {
            let steps = (*x - offset) / self.step;
            *x = if steps.is_nan() { 0.0 } else { steps.clamp(-FARTHEST, FARTHEST) };
        }
    }

    /// Keys from a vector (normalised under cosine), which may lie beyond the grid.
    pub fn query(&self, vector: &[f32]) -> GridQuery {
        let mut point = vec![0.0; self.offset.len()];
        self.point(vector, &mut point);
        let mut query = self.empty_query();
        if self.metric == Metric::L1 {
            // Beyond the edge every component of a code is farther by the same amount.
            let edge = point.iter().map(|x| x.clamp(-LIMIT, LIMIT));
            let beyond: f32 = point.iter().zip(edge.clone()).map(|(x, e)| (x - e).abs()).sum();
            let levels = edge.map(|x| ZERO.wrapping_add_signed(x.round_ties_even() as i8));
            query.code.iter_mut().zip(levels).for_each(|(c, level)| *c = level);
            query.constant = beyond;
            return query;
        }
        // Its own step: no component is cut off, and a short vector is not coarse.
        let largest = point.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        let scale = if largest > 0.0 { largest / LIMIT } else { 1.0 };
        let mut norm = 0.0;
        let mut at_offset = 0.0;
        for ((c, x), offset) in query.code.iter_mut().zip(&point).zip(&self.offset) {
            let level = (x / scale).round_ties_even() as i8;
            *c = level.cast_unsigned();
            query.shift += i32::from(level) * i32::from(ZERO);
            norm += f64::from(level).powi(2);
            at_offset += f64::from(level) * f64::from(*offset) / f64::from(self.step);
        }
        let scale = f64::from(scale);
        query.kappa = self.kappa() * scale as f32;
        query.constant = match self.metric {
            Metric::InnerProduct => bounded(-f64::from(self.origin) - at_offset * scale),
            _ => bounded(norm * scale * scale),
        };
        query
    }

    /// Keys from a node's own code and bias. The key between two nodes is the same from either side, up to rounding.
    pub fn query_of_code(&self, code: &[u8], bias: f32) -> GridQuery {
        let mut query = self.empty_query();
        self.aim(&mut query, code, bias);
        query
    }

    /// As [`Grid::query_of_code`], into a query of this grid that was used before.
    pub fn aim(&self, query: &mut GridQuery, code: &[u8], bias: f32) {
        if self.metric == Metric::L1 {
            query.code.iter_mut().zip(code).for_each(|(to, c)| *to = *c);
            query.constant = 0.0;
            return;
        }
        let mut sum = 0;
        for (to, c) in query.code.iter_mut().zip(code) {
            *to = c ^ ZERO;
            sum += i32::from(to.cast_signed());
        }
        query.shift = sum * i32::from(ZERO);
        query.kappa = self.kappa();
        query.constant = match self.metric {
            Metric::InnerProduct => bias - self.origin,
            _ => bias,
        };
    }

    fn kappa(&self) -> f32 {
        if self.metric == Metric::InnerProduct { 1.0 } else { 2.0 }
    }

    fn empty_query(&self) -> GridQuery {
        let code = vec![0; self.size()];
        let (metric, sum) = (self.metric, self.sum);
        // Under L1 padding must be equal, elsewhere the query's is 0.
        let code = if metric == Metric::L1 { vec![ZERO; code.len()] } else { code };
        GridQuery { metric, sum, code, shift: 0, kappa: 0.0, constant: 0.0 }
    }
}

impl GridQuery {
    /// The key of a node: smaller is nearer. Finite for every code and every bias that `encode` gives. Keys of different
    /// queries can be compared under L2, cosine and L1, where they are distances and not below 0 but for rounding.
    #[inline]
    pub fn key(&self, code: &[u8], bias: f32) -> f32 {
        self.finish(self.sum.pair(&self.code, code), bias)
    }

    #[inline(always)]
    fn finish(&self, sum: i32, bias: f32) -> f32 {
        if self.metric == Metric::L1 {
            self.constant + sum as f32
        } else {
            self.constant + bias - self.kappa * (sum - self.shift) as f32
        }
    }

    /// Appends the keys of many nodes to `out`, in order; +∞ for a node that `of` does not have. Much faster than one by
    /// one where the codes are scattered: later ones are asked for while earlier ones are judged. `sums` is scratch.
    #[inline]
    pub fn keys(&self, of: Codes<'_>, nodes: &[u32], sums: &mut Vec<i32>, out: &mut Vec<f32>) {
        sums.clear();
        self.sum.many(&self.code, Rows { bytes: of.codes, stride: of.stride }, nodes, sums);
        out.extend(nodes.iter().zip(sums.iter()).map(|(node, sum)| {
            let bias = of.biases.get(*node as usize).copied();
            bias.map_or(f32::INFINITY, |bias| self.finish(*sum, bias))
        }));
    }
}

/// Adds up components `width` apart, each with its sign; a vector that is no longer than `out` is copied.
fn fold(vector: &[f32], out: &mut [f32]) {
    let width = out.len().max(1);
    out.fill(0.0);
    if vector.len() <= width {
        out.iter_mut().zip(vector).for_each(|(to, x)| *to = *x);
        return;
    }
    for (i, x) in vector.iter().enumerate() {
        if let Some(to) = out.get_mut(i % width) {
            *to += sign(i) * x;
        }
    }
}

/// How far from the offset the grid must reach: a high quantile of what was seen, else the largest, else what is small
/// beside the offset.
fn edge(spread: &mut [f32], offset: &[f32]) -> f32 {
    let Some(last) = spread.len().checked_sub(1) else { return LIMIT };
    let at = last - spread.len() / BEYOND;
    let (_, quantile, above) = spread.select_nth_unstable_by(at, f32::total_cmp);
    if *quantile > 0.0 {
        return *quantile;
    }
    let most = above.iter().copied().fold(0.0, f32::max);
    if most > 0.0 { most } else { offset.iter().fold(0.0, |most, x| x.abs().max(most)) }
}

/// As f32, away from infinity.
fn bounded(x: f64) -> f32 {
    x.clamp(-1e30, 1e30) as f32
}

#[cfg(test)]
mod tests;
