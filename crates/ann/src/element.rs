//! What a stored vector is made of: f32, f16, or bytes of eight bits.

use crate::kernels::counts::PairCount;
use crate::kernels::{self, Load, RowKernel, counts};
use crate::metric::Metric;
use half::f16;

/// Stored element of a vector: `f32`, `half::f16`, or [`Bits`]. Little-endian in pages. The list is closed: the kernels have
/// loops for each.
///
/// *Components* are the numbers that a vector consists of, and dimensions are counted in them. An element of floats is one
/// component; eight bits, each of them 0 or 1, share a byte, and the bits of the last byte that are none are 0.
pub trait Element: bytemuck::Pod + PartialEq + Send + Sync + 'static {
    /// The number stored in an index's metapage.
    const TAG: u8;
    /// The name shown to users.
    const NAME: &'static str;
    /// Components in an element.
    const COMPONENTS: usize;
    /// What kernels take a query as.
    type Operand: bytemuck::Pod + Send + Sync;

    /// Elements of a vector of `dims` dimensions.
    fn count(dims: usize) -> usize {
        dims.div_ceil(Self::COMPONENTS)
    }
    /// The components, exact; as many as `out` has room for.
    fn widen(elements: &[Self], out: &mut [f32]);
    /// The nearest elements to components.
    fn pack(components: &[f32]) -> Vec<Self>;
    /// Whether all components are finite.
    fn is_finite(elements: &[Self]) -> bool;
    /// Whether no component differs from 0.
    fn is_zero(elements: &[Self]) -> bool;
    /// The sum that keys of this metric come from, over many rows. A metric that these elements do not have gets some sum.
    fn kernel(metric: Metric) -> RowKernel<Self>;
    /// As `kernel`, for one row.
    fn sum(metric: Metric, query: &Query, row: &[Self]) -> f32;
    /// Σ a².
    fn norm_sqr(elements: &[Self]) -> f32;
    /// The query as kernels of these elements take it.
    fn operand(query: &Query) -> &[Self::Operand];
    /// Many queries, row by row, as kernels of these elements take them, row by row.
    fn operands(points: Vec<f32>, dims: usize) -> Vec<Self::Operand>;
    /// The components of what [`Element::operands`] gives.
    fn points(operands: Vec<Self::Operand>, dims: usize) -> Vec<f32>;

    /// The components as a vector of their own.
    fn widened(elements: &[Self], dims: usize) -> Vec<f32> {
        let mut out = vec![0.0; dims];
        Self::widen(elements, &mut out);
        out
    }
}

/// An element that is one float: what types can do arithmetic with.
pub trait Float: Element<Operand = f32> + Load {
    /// The value; exact.
    fn to_f32(self) -> f32;
    /// The nearest element; ties to even. Too large a value becomes an infinity.
    fn from_f32(value: f32) -> Self;
}

impl Float for f32 {
    fn to_f32(self) -> f32 {
        self
    }
    fn from_f32(value: f32) -> Self {
        value
    }
}

impl Float for f16 {
    fn to_f32(self) -> f32 {
        f16::to_f32(self)
    }
    fn from_f32(value: f32) -> Self {
        f16::from_f32(value)
    }
}

/// What both kinds of floats do alike.
macro_rules! of_floats {
    () => {
        const COMPONENTS: usize = 1;
        type Operand = f32;

        fn widen(elements: &[Self], out: &mut [f32]) {
            out.iter_mut().zip(elements).for_each(|(to, x)| *to = Float::to_f32(*x));
        }
        fn pack(components: &[f32]) -> Vec<Self> {
            components.iter().map(|x| <Self as Float>::from_f32(*x)).collect()
        }
        fn is_finite(elements: &[Self]) -> bool {
            elements.iter().all(|x| x.is_finite())
        }
        fn is_zero(elements: &[Self]) -> bool {
            elements.iter().all(|x| Float::to_f32(*x) == 0.0)
        }
        fn kernel(metric: Metric) -> RowKernel<Self> {
            match metric {
                Metric::L2 | Metric::Hamming => RowKernel::l2_sqr(),
                Metric::L1 => RowKernel::l1(),
                Metric::InnerProduct | Metric::Cosine | Metric::Jaccard => RowKernel::dot(),
            }
        }
        fn sum(metric: Metric, query: &Query, row: &[Self]) -> f32 {
            match metric {
                Metric::L2 | Metric::Hamming => kernels::l2_sqr(&query.point, row),
                Metric::L1 => kernels::l1(&query.point, row),
                Metric::InnerProduct | Metric::Cosine | Metric::Jaccard => {
                    kernels::dot(&query.point, row)
                }
            }
        }
        fn norm_sqr(elements: &[Self]) -> f32 {
            kernels::norm_sqr(elements)
        }
        fn operand(query: &Query) -> &[f32] {
            &query.point
        }
        fn operands(points: Vec<f32>, _dims: usize) -> Vec<f32> {
            points
        }
        fn points(operands: Vec<f32>, _dims: usize) -> Vec<f32> {
            operands
        }
    };
}

impl Element for f32 {
    const TAG: u8 = 0;
    const NAME: &'static str = "f32";
    of_floats!();
}

impl Element for f16 {
    const TAG: u8 = 1;
    const NAME: &'static str = "f16";
    of_floats!();
}

/// Eight components that are 0 or 1, the first in the highest bit: a byte of PostgreSQL's type `bit`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(transparent)]
pub struct Bits(pub u8);

impl Bits {
    /// As bytes.
    pub fn bytes(elements: &[Bits]) -> &[u8] {
        bytemuck::cast_slice(elements)
    }

    /// The components of all elements.
    fn components(elements: &[Bits]) -> impl Iterator<Item = f32> {
        elements.iter().flat_map(|byte| (0..8).map(|i| f32::from(byte.0 >> (7 - i) & 1)))
    }
}

impl Element for Bits {
    const TAG: u8 = 2;
    const NAME: &'static str = "bit";
    const COMPONENTS: usize = 8;
    type Operand = Bits;

    fn widen(elements: &[Self], out: &mut [f32]) {
        out.iter_mut().zip(Self::components(elements)).for_each(|(to, x)| *to = x);
    }
    fn pack(components: &[f32]) -> Vec<Self> {
        let byte = |eight: &[f32]| {
            let bits = eight.iter().zip(0..).map(|(x, i)| u8::from(*x > 0.5) << (7 - i));
            Bits(bits.fold(0, |byte, bit| byte | bit))
        };
        components.chunks(8).map(byte).collect()
    }
    fn is_finite(_elements: &[Self]) -> bool {
        true
    }
    fn is_zero(elements: &[Self]) -> bool {
        elements.iter().all(|byte| byte.0 == 0)
    }
    fn kernel(metric: Metric) -> RowKernel<Self> {
        if metric == Metric::Hamming { counts::differing() } else { counts::common() }
    }
    fn sum(metric: Metric, query: &Query, row: &[Self]) -> f32 {
        let count =
            if metric == Metric::Hamming { PairCount::differing() } else { PairCount::common() };
        count.of(&query.bits, row) as f32
    }
    fn norm_sqr(elements: &[Self]) -> f32 {
        counts::count(elements) as f32
    }
    fn operand(query: &Query) -> &[Bits] {
        &query.bits
    }
    fn operands(points: Vec<f32>, dims: usize) -> Vec<Bits> {
        points.chunks(dims.max(1)).flat_map(Bits::pack).collect()
    }
    fn points(operands: Vec<Bits>, dims: usize) -> Vec<f32> {
        let rows = operands.chunks(Bits::count(dims).max(1));
        rows.flat_map(|row| Bits::widened(row, dims)).collect()
    }
}

/// A query made ready once, for kernels of every element that its metric has.
#[derive(Clone, Debug, Default)]
pub struct Query {
    point: Vec<f32>,
    /// As `point`, packed, under a metric of bits.
    bits: Vec<Bits>,
    norm_sqr: f32,
}

impl Query {
    /// Takes the components of another query.
    pub fn set(&mut self, point: &[f32]) {
        self.point.clear();
        self.point.extend_from_slice(point);
        self.bits.clear();
        self.norm_sqr = kernels::norm_sqr(point);
    }

    /// Packs it where the metric is one of bits. To be called before an operand is asked for.
    pub fn prepare(&mut self, metric: Metric) {
        if metric.is_of_bits() && self.bits.is_empty() {
            self.bits = Bits::pack(&self.point);
            self.norm_sqr = Bits::norm_sqr(&self.bits);
        }
    }

    /// The components.
    pub fn point(&self) -> &[f32] {
        &self.point
    }

    /// The sum of their squares; of bits, how many are set.
    pub fn norm_sqr(&self) -> f32 {
        self.norm_sqr
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_components_and_back() {
        for dims in [1, 7, 8, 9, 64, 100] {
            let point: Vec<f32> = (0..dims).map(|i| f32::from(u8::from(i % 3 == 0))).collect();
            let packed = Bits::pack(&point);
            assert_eq!(packed.len(), Bits::count(dims));
            assert_eq!(Bits::widened(&packed, dims), point);
            assert_eq!(Bits::norm_sqr(&packed), kernels::norm_sqr(&point));
            let twice = [point.clone(), point].concat();
            let operands = Bits::operands(twice.clone(), dims);
            assert_eq!(operands.len(), 2 * packed.len());
            assert_eq!(Bits::points(operands, dims), twice);
        }
        assert_eq!(Bits::pack(&[1.0, 0.0, 1.0]), [Bits(0b1010_0000)]);
        assert!(Bits::is_zero(&[Bits(0)]) && !Bits::is_zero(&[Bits(0), Bits(1)]));
    }

    #[test]
    fn a_query_is_packed_where_the_metric_is_one_of_bits() {
        let mut query = Query::default();
        for (metric, n) in [(Metric::L2, 0), (Metric::Jaccard, 2)] {
            query.set(&[0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
            query.prepare(metric);
            assert_eq!(Bits::operand(&query).len(), n);
            assert_eq!(f16::operand(&query), query.point());
            assert_eq!(query.norm_sqr(), 3.0);
        }
    }
}
