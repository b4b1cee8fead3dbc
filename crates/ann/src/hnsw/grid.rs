//! Vectors as bytes: around a centre, each with a step of its own.
//!
//! A graph walks by these codes. What is lost of a vector is in proportion to its own distance from the centre, so that no
//! other row, however far, makes it coarser (locally-adaptive scalar quantization: Aguerrebere and others, *Similarity
//! search in the blink of an eye with compressed indices*, 2023). A squared distance is an integer sum over bytes, times
//! both steps. Where 8 bits lose too much (`loss.rs`) a graph walks by the vectors themselves. Vectors of bits are their own
//! codes (`bits.rs`).

mod bits;

use crate::element::{Bits, Element};
use crate::kernels::bytes::{ByteSum, MOST_BYTES, Rows};
use crate::kernels::counts::PairCount;
use crate::kernels::prefetch_near;
use crate::kernels::steps::StepSum;
use crate::metric::Metric;
use crate::rng::spread;

/// Components of a code at most, so that two codes fit a page; longer vectors are folded.
pub const FOLD: usize = 4000;
/// Codes are padded to a multiple of this many bytes, the step of the kernels.
const PAD: usize = 16;
/// The stored byte of the component 0.
const ZERO: u8 = 128;
/// Components are in `-LIMIT..=LIMIT`.
const LIMIT: f64 = 127.0;
/// Rows of a sample that the centre is taken from.
const CENTRE_ROWS: u32 = 1024;
/// How many codes ahead are asked for.
const AHEAD: usize = 8;

const _: () = assert!(FOLD.is_multiple_of(PAD) && FOLD <= MOST_BYTES);

/// How vectors become codes of bytes, and queries become sums over them.
///
/// Component i of a code is the byte 128 + c with x ≈ offset + step · c, c in −127..=127, and the step is that of the
/// vector: its largest distance from the offset in a component, by 127. **Keys** are the distance squared (L2, cosine), the
/// distance (L1), or the negative inner product, between the points that codes stand for; of bits the operator's distance. Smaller is nearer; a key that is
/// beyond single precision is the largest or smallest number there is.
#[derive(Clone, Debug)]
pub struct Grid {
    metric: Metric,
    dims: usize,
    offset: Vec<f32>,
    /// Σ offset².
    origin: f32,
    /// Bytes of a code.
    size: usize,
    sum: Sum,
}

/// How sums over codes are made.
#[derive(Clone, Copy, Debug)]
enum Sum {
    Products(ByteSum),
    Differences(StepSum),
    Bits(PairCount),
}

/// What belongs to a code beside its bytes.
#[derive(Clone, Copy, PartialEq, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct Factors {
    /// What of a key does not depend on the query: finite for every vector.
    pub bias: f32,
    /// What a difference of 1 in a byte stands for; of bits how many are set.
    pub step: f32,
}

impl Factors {
    /// Of what is no node: nothing is farther.
    pub const NONE: Factors = Factors { bias: f32::INFINITY, step: 0.0 };
}

/// What makes keys of the codes of nodes: a query, or a node that others are compared with.
#[derive(Clone, Debug)]
pub struct GridQuery {
    metric: Metric,
    sum: Sum,
    /// Signed numbers, or bits; none under L1.
    code: Vec<u8>,
    /// Under L1 the distances from the offset; else nothing.
    point: Vec<f32>,
    /// Makes the products of signed with unsigned bytes those of signed ones.
    shift: i32,
    kappa: f32,
    /// Of bits how many are set.
    constant: f32,
    /// Seen from the origin, the biases of codes have no part in keys.
    is_from_origin: bool,
    /// Keys are distances: what overflows is far.
    is_distance: bool,
}

/// The codes and factors of many nodes where they lie: the code of node i at `codes[i * stride..]`.
#[derive(Clone, Copy, Debug)]
pub struct Codes<'a> {
    pub codes: &'a [u8],
    pub stride: usize,
    pub factors: &'a [Factors],
}

impl<'a> Codes<'a> {
    /// The code (of `size` bytes) and the factors of a node; an empty one where there is no such node.
    #[inline]
    pub fn node(&self, node: u32, size: usize) -> (&'a [u8], Factors) {
        let at = node as usize * self.stride;
        let factors = self.factors.get(node as usize).copied().unwrap_or(Factors::NONE);
        (self.codes.get(at..at + size).unwrap_or_default(), factors)
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
    /// Bytes of a code: the dimensions (folded to at most [`FOLD`]), or the bytes of bits, rounded up to sixteen.
    pub fn code_bytes(metric: Metric, dims: usize) -> usize {
        let bytes = if metric.is_of_bits() { Bits::count(dims) } else { width(dims) };
        bytes.next_multiple_of(PAD)
    }

    /// Floats of [`Grid::params`]: at least one, so that there is a page of them. That of bits is 0.
    pub fn params_len(metric: Metric, dims: usize) -> usize {
        if metric.is_of_bits() { 1 } else { width(dims) }
    }

    /// The grid for vectors like those of a sample (row by row; normalised under cosine), around the mean of the middle half
    /// in each component: a few rows far from all others do not move it. An empty sample gives a grid around the origin.
    pub fn train(metric: Metric, dims: usize, sample: &[f32]) -> Grid {
        if metric.is_of_bits() {
            return Grid::new(metric, dims, vec![0.0]);
        }
        let (dims_or_one, width) = (dims.max(1), width(dims));
        let rows = u32::try_from(sample.len() / dims_or_one).unwrap_or(u32::MAX);
        let drawn: Vec<u32> = spread(rows, CENTRE_ROWS).collect();
        let n = drawn.len();
        let rows =
            drawn.iter().filter_map(|row| sample.chunks_exact(dims_or_one).nth(*row as usize));
        let mut columns = vec![0.0; n * width];
        let mut folded = vec![0.0; width];
        for (row, vector) in rows.enumerate() {
            fold(vector, &mut folded);
            for (x, to) in folded.iter().zip(columns.iter_mut().skip(row).step_by(n)) {
                *to = if x.is_finite() { *x } else { 0.0 };
            }
        }
        let offset = match n {
            0 => folded,
            _ => columns.chunks_exact_mut(n).map(middle).collect(),
        };
        Grid::new(metric, dims, offset)
    }

    fn new(metric: Metric, dims: usize, offset: Vec<f32>) -> Grid {
        let sum = match metric {
            Metric::L1 => Sum::Differences(StepSum::differences()),
            Metric::Hamming => Sum::Bits(PairCount::differing()),
            Metric::Jaccard => Sum::Bits(PairCount::common()),
            _ => Sum::Products(ByteSum::products()),
        };
        let origin = offset.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
        let size = Grid::code_bytes(metric, dims);
        Grid { metric, dims, offset, origin: bounded(origin), size, sum }
    }

    /// What [`Grid::from_params`] makes the same grid of: the offsets.
    pub fn params(&self) -> Vec<f32> {
        self.offset.clone()
    }

    /// The grid of stored parameters, or `None` where they are no grid: the wrong number of them, or not finite.
    pub fn from_params(metric: Metric, dims: usize, params: Vec<f32>) -> Option<Grid> {
        let is_grid =
            params.len() == Grid::params_len(metric, dims) && params.iter().all(|x| x.is_finite());
        is_grid.then(|| Grid::new(metric, dims, params))
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
        self.size
    }

    /// Writes the code of a vector (normalised under cosine) to the head of `code`, which has [`Grid::code_bytes`] bytes
    /// or more. A component that is not finite is coded as the offset.
    pub fn encode(&self, vector: &[f32], code: &mut [u8]) -> Factors {
        if self.metric.is_of_bits() {
            return self.encode_bits(vector, code);
        }
        let mut point = vec![0.0; self.offset.len()];
        self.point(vector, &mut point);
        let step = step_of(&point);
        code.iter_mut().take(self.size()).for_each(|c| *c = ZERO);
        let mut bias = 0.0f64;
        for ((c, x), offset) in code.iter_mut().zip(&point).zip(&self.offset) {
            let level = to_level(*x, step);
            *c = ZERO.wrapping_add_signed(level);
            let x = f64::from(level) * f64::from(step);
            bias += match self.metric {
                Metric::L2 | Metric::Cosine => x * x,
                Metric::InnerProduct => -x * f64::from(*offset),
                _ => 0.0,
            };
        }
        Factors { bias: bounded(bias), step }
    }

    /// A vector folded and seen from the offset.
    fn point(&self, vector: &[f32], out: &mut [f64]) {
        let mut folded = vec![0.0; out.len()];
        fold(vector, &mut folded);
        for ((to, x), offset) in out.iter_mut().zip(folded).zip(&self.offset) {
            *to = if x.is_finite() { f64::from(x) - f64::from(*offset) } else { 0.0 };
        }
    }

    /// Keys from a vector (normalised under cosine).
    pub fn query(&self, vector: &[f32]) -> GridQuery {
        if self.metric.is_of_bits() {
            return self.query_of_bits(vector);
        }
        let mut point = vec![0.0; self.offset.len()];
        self.point(vector, &mut point);
        let mut query = self.empty_query();
        if self.metric == Metric::L1 {
            query.point.iter_mut().zip(&point).for_each(|(to, x)| *to = *x as f32);
            return query;
        }
        // What is shorter than the offset would be lost in it.
        let from_origin = self.seen_from_origin(vector);
        query.is_from_origin = step_of(&from_origin) < step_of(&point);
        if query.is_from_origin {
            point = from_origin;
        }
        let step = step_of(&point);
        let mut norm = 0.0;
        let mut at_offset = 0.0;
        for ((c, x), offset) in query.code.iter_mut().zip(&point).zip(&self.offset) {
            let level = to_level(*x, step);
            *c = level.cast_unsigned();
            query.shift += i32::from(level) * i32::from(ZERO);
            let x = f64::from(level) * f64::from(step);
            norm += x * x;
            at_offset += x * f64::from(*offset);
        }
        query.kappa = self.kappa() * step;
        query.constant = match self.metric {
            Metric::InnerProduct if query.is_from_origin => bounded(-at_offset),
            Metric::InnerProduct => bounded(-f64::from(self.origin) - at_offset),
            _ => bounded(norm),
        };
        query
    }

    /// A query by inner product folded, as it is; nothing under other metrics, which know differences only.
    fn seen_from_origin(&self, vector: &[f32]) -> Vec<f64> {
        if self.metric != Metric::InnerProduct {
            return vec![f64::INFINITY];
        }
        let mut folded = vec![0.0; self.offset.len()];
        fold(vector, &mut folded);
        folded.into_iter().map(|x| if x.is_finite() { f64::from(x) } else { 0.0 }).collect()
    }

    /// Keys from a node's own code and factors. The key between two nodes is the same from either side, up to rounding.
    pub fn query_of_code(&self, code: &[u8], factors: Factors) -> GridQuery {
        let mut query = self.empty_query();
        self.aim(&mut query, code, factors);
        query
    }

    /// As [`Grid::query_of_code`], into a query of this grid that was used before.
    pub fn aim(&self, query: &mut GridQuery, code: &[u8], factors: Factors) {
        let Factors { bias, step } = factors;
        if self.metric.is_of_bits() {
            return query.aim_at_bits(code, factors);
        }
        if self.metric == Metric::L1 {
            for (to, c) in query.point.iter_mut().zip(code) {
                *to = step * (f32::from(*c) - f32::from(ZERO));
            }
            return;
        }
        let mut sum = 0;
        for (to, c) in query.code.iter_mut().zip(code) {
            *to = c ^ ZERO;
            sum += i32::from(to.cast_signed());
        }
        query.shift = sum * i32::from(ZERO);
        query.is_from_origin = false;
        query.kappa = self.kappa() * step;
        query.constant = match self.metric {
            Metric::InnerProduct => bias - self.origin,
            _ => bias,
        };
    }

    fn kappa(&self) -> f32 {
        if self.metric == Metric::InnerProduct { 1.0 } else { 2.0 }
    }

    fn empty_query(&self) -> GridQuery {
        let (sum, size) = (self.sum, self.size());
        let (code, point) = match sum {
            Sum::Products(_) | Sum::Bits(_) => (vec![0; size], Vec::new()),
            Sum::Differences(_) => (Vec::new(), vec![0.0; size]),
        };
        let (metric, is_distance) = (self.metric, self.metric != Metric::InnerProduct);
        GridQuery {
            metric,
            sum,
            code,
            point,
            shift: 0,
            kappa: 0.0,
            constant: 0.0,
            is_from_origin: false,
            is_distance,
        }
    }
}

impl GridQuery {
    /// The key of a node: smaller is nearer. Finite for every code with the factors that `encode` gives. Keys of different
    /// queries can be compared under L2, cosine and L1, where they are distances and not below 0 but for rounding.
    #[inline]
    pub fn key(&self, code: &[u8], factors: Factors) -> f32 {
        match self.sum {
            Sum::Products(sum) => self.finish(sum.pair(&self.code, code), factors),
            Sum::Differences(sum) => self.finish_l1(sum, code, factors),
            Sum::Bits(sum) => self.finish_bits(sum, code, factors),
        }
    }

    #[inline(always)]
    fn finish(&self, sum: i32, Factors { bias, step }: Factors) -> f32 {
        let part = if self.is_from_origin && bias < f32::INFINITY { 0.0 } else { bias };
        let key = self.constant + part - self.kappa * step * (sum - self.shift) as f32;
        if key.is_finite() || bias == f32::INFINITY {
            key
        } else if self.is_distance {
            // The product may overflow where the bias was bounded.
            f32::MAX
        } else {
            finite(key)
        }
    }

    #[inline]
    fn finish_l1(&self, sum: StepSum, code: &[u8], Factors { bias, step }: Factors) -> f32 {
        if bias == f32::INFINITY {
            return bias;
        }
        let key = sum.sum(&self.point, code, step);
        if key.is_finite() { key } else { finite(key) }
    }

    /// Appends the keys of many nodes to `out`, in order; +∞ for a node that `of` does not have. Much faster than one by
    /// one where the codes are scattered: later ones are asked for while earlier ones are summed. `sums` is scratch.
    #[inline]
    pub fn keys(&self, of: Codes<'_>, nodes: &[u32], sums: &mut Vec<i32>, out: &mut Vec<f32>) {
        match self.sum {
            Sum::Products(sum) => {
                sums.clear();
                let rows = Rows { bytes: of.codes, stride: of.stride };
                sum.many(&self.code, rows, nodes, sums);
                out.extend(nodes.iter().zip(sums.iter()).map(|(node, sum)| {
                    let factors = of.factors.get(*node as usize).copied();
                    factors.map_or(f32::INFINITY, |factors| self.finish(*sum, factors))
                }));
            }
            Sum::Differences(sum) => {
                let finish = |code: &[u8], factors| self.finish_l1(sum, code, factors);
                one_by_one(of, self.point.len(), nodes, finish, out);
            }
            Sum::Bits(sum) => {
                let finish = |code: &[u8], factors| self.finish_bits(sum, code, factors);
                one_by_one(of, self.code.len(), nodes, finish, out);
            }
        }
    }
}

/// Appends the keys of nodes with codes of `size` bytes, asking for later codes while earlier ones are looked at.
#[inline(always)]
fn one_by_one(
    of: Codes<'_>,
    size: usize,
    nodes: &[u32],
    finish: impl Fn(&[u8], Factors) -> f32,
    out: &mut Vec<f32>,
) {
    out.extend(nodes.iter().enumerate().map(|(i, node)| {
        if let Some(later) = nodes.get(i + AHEAD) {
            prefetch_near(of.node(*later, size).0);
        }
        let (code, factors) = of.node(*node, size);
        finish(code, factors)
    }));
}

/// The step of a vector seen from the offset. 0 only where every level is 0.
fn step_of(point: &[f64]) -> f32 {
    let largest = point.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    ((largest / LIMIT) as f32).max(if largest > 0.0 { f32::from_bits(1) } else { 0.0 })
}

/// A component in steps.
fn to_level(x: f64, step: f32) -> i8 {
    if step > 0.0 { (x / f64::from(step)).clamp(-LIMIT, LIMIT).round_ties_even() as i8 } else { 0 }
}

/// The mean of the middle half.
fn middle(column: &mut [f32]) -> f32 {
    column.sort_unstable_by(f32::total_cmp);
    let quarter = column.len() / 4;
    let middle = column.get(quarter..column.len() - quarter).unwrap_or_default();
    (middle.iter().map(|x| f64::from(*x)).sum::<f64>() / middle.len().max(1) as f64) as f32
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

/// As f32, away from infinity.
fn bounded(x: f64) -> f32 {
    x.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

/// A key that overflowed: the farthest or the nearest there is. What is no number is far.
#[cold]
pub(super) fn finite(key: f32) -> f32 {
    if key.is_nan() { f32::MAX } else { key.clamp(f32::MIN, f32::MAX) }
}

#[cfg(test)]
mod tests;
