//! Sums over bits, which are counts: how many bits of two differ, how many both have. Exact in f32, as no vector has 2²⁴ bits,
//! so that every order of additions gives the same.
//!
//! The loops are the same for every way of counting; compiled for one, they count so.

use super::bits::Counting;
use super::rows::{Lanes, RowKernel};
use crate::element::Bits;

/// What of two words is counted.
pub trait Pair: 'static {
    fn of(a: u64, b: u64) -> u64;
}

/// Bits that one of them has.
pub struct Differing;
/// Bits that both have.
pub struct Common;

impl Pair for Differing {
    #[inline(always)]
    fn of(a: u64, b: u64) -> u64 {
        a ^ b
    }
}

impl Pair for Common {
    #[inline(always)]
    fn of(a: u64, b: u64) -> u64 {
        a & b
    }
}

/// The count of one pair; the shorter length counts.
#[inline(always)]
fn pair<P: Pair>(a: &[Bits], b: &[Bits]) -> u32 {
    let n = a.len().min(b.len());
    let (a, b): (&[u8], &[u8]) = (bytemuck::cast_slice(&a[..n]), bytemuck::cast_slice(&b[..n]));
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let words = a.iter().zip(b).map(|(a, b)| (u64::from_le_bytes(*a), u64::from_le_bytes(*b)));
    let sum: u32 = words.map(|(a, b)| P::of(a, b).count_ones()).sum();
    match a_tail {
        [] => sum,
        _ => sum + P::of(padded(a_tail), padded(b_tail)).count_ones(),
    }
}

/// Fewer than eight bytes as a word.
#[inline(always)]
fn padded(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[inline(always)]
fn distances<P: Pair>(query: &[Bits], rows: &[Bits], out: &mut [f32]) {
    if let Ok(query) = <&[Bits; 32]>::try_from(query) {
        // Bits of a usual length, for which the loop unrolls.
        let rows = rows.as_chunks::<32>().0;
        out.iter_mut().zip(rows).for_each(|(out, row)| *out = pair::<P>(query, row) as f32);
        return;
    }
    let rows = rows.chunks_exact(query.len().max(1));
    out.iter_mut().zip(rows).for_each(|(out, row)| *out = pair::<P>(query, row) as f32);
}

#[inline(always)]
fn distances_of_four<P: Pair>(queries: [&[Bits]; 4], rows: &[Bits], out: [&mut [f32]; 4]) {
    for (query, out) in queries.into_iter().zip(out) {
        distances::<P>(query, rows, out);
    }
}

/// A count is one number: it is kept in the first lane.
#[inline(always)]
fn accumulate<P: Pair>(query: &[Bits], rows: &[Bits], acc: &mut [Lanes]) {
    let rows = rows.chunks_exact(query.len().max(1));
    acc.iter_mut().zip(rows).for_each(|(acc, row)| acc.0[0] += pair::<P>(query, row) as f32);
}

/// Compiles a loop once per set of instructions. `name::pick(counts)` is sound to call where that set is available.
macro_rules! per_counts {
    ($name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)?) => {
        mod $name {
            use super::*;

            unsafe fn plain<P: Pair>($($arg: $ty),*) $(-> $ret)? {
                super::$name::<P>($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "popcnt")]
            unsafe fn word<P: Pair>($($arg: $ty),*) $(-> $ret)? {
                super::$name::<P>($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,avx2,popcnt")]
            unsafe fn register<P: Pair>($($arg: $ty),*) $(-> $ret)? {
                super::$name::<P>($($arg),*)
            }

            #[inline]
            pub fn pick<P: Pair>(counts: Counting) -> unsafe fn($($ty),*) $(-> $ret)? {
                match counts {
                    Counting::Plain => plain::<P>,
                    #[cfg(target_arch = "x86_64")]
                    Counting::Word => word::<P>,
                    #[cfg(target_arch = "x86_64")]
                    Counting::Register => register::<P>,
                }
            }
        }
    };
}

per_counts!(pair(a: &[Bits], b: &[Bits]) -> u32);
per_counts!(distances(query: &[Bits], rows: &[Bits], out: &mut [f32]));
per_counts!(distances_of_four(queries: [&[Bits]; 4], rows: &[Bits], out: [&mut [f32]; 4]));
per_counts!(accumulate(query: &[Bits], rows: &[Bits], acc: &mut [Lanes]));

fn kernel<P: Pair>(counts: Counting) -> RowKernel<Bits> {
    RowKernel::of(
        distances::pick::<P>(counts),
        distances_of_four::pick::<P>(counts),
        accumulate::pick::<P>(counts),
    )
}

/// How many bits of the query and each row differ.
pub(crate) fn differing() -> RowKernel<Bits> {
    kernel::<Differing>(Counting::detect())
}

/// How many bits the query and each row both have.
pub(crate) fn common() -> RowKernel<Bits> {
    kernel::<Common>(Counting::detect())
}

/// A count of pairs, chosen once for this CPU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PairCount(
    // Sound to call: picked for a set that this CPU has.
    unsafe fn(&[Bits], &[Bits]) -> u32,
);

impl PairCount {
    /// Of bits that differ.
    pub fn differing() -> Self {
        Self(pair::pick::<Differing>(Counting::detect()))
    }

    /// Of bits that both have.
    pub fn common() -> Self {
        Self(pair::pick::<Common>(Counting::detect()))
    }

    /// The count; the shorter length counts.
    #[inline]
    pub fn of(self, a: &[Bits], b: &[Bits]) -> u32 {
        // SAFETY: picked for a set that this CPU has.
        unsafe { (self.0)(a, b) }
    }
}

/// How many bits are set.
pub fn count(a: &[Bits]) -> u32 {
    PairCount::common().of(a, a)
}

/// Jaccard distance from how many bits both have and how many each has, all exact: 1 − common / either. What has no bit
/// set is as far from everything, itself too, as what has nothing in common.
pub fn jaccard_from(common: f32, a: f32, b: f32) -> f64 {
    if common == 0.0 {
        return 1.0;
    }
    1.0 - f64::from(common) / (f64::from(a) + f64::from(b) - f64::from(common))
}

#[cfg(test)]
mod tests {
    use super::super::bits::jaccard_distance;
    use super::super::tests::few;
    use super::*;

    fn sample(n: usize, seed: u32) -> Vec<Bits> {
        let mut state = seed.wrapping_mul(2_654_435_761) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            Bits((state >> 9) as u8)
        };
        (0..n).map(|_| next()).collect()
    }

    /// The definition, bit by bit.
    fn reference(both: fn(u8, u8) -> u8, a: &[Bits], b: &[Bits]) -> f32 {
        let bit = |byte: Bits, i: usize| byte.0 >> i & 1;
        let pairs = a.iter().zip(b);
        pairs
            .map(|(a, b)| (0..8).map(|i| f32::from(both(bit(*a, i), bit(*b, i)))).sum::<f32>())
            .sum()
    }

    fn sizes() -> impl Iterator<Item = usize> {
        let all: Vec<usize> = (1..=130).chain([256, 1000, 8000, 16_000]).collect();
        few(&all, &[1, 7, 8, 9, 32, 33]).into_iter()
    }

    fn check<P: Pair>(both: fn(u8, u8) -> u8) {
        for (n, size) in sizes().map(|size| (size % 7 + 1, size)) {
            let (query, rows) = (sample(size, 3), sample(n * size, 4 + size as u32));
            let expected: Vec<f32> =
                rows.chunks(size).map(|row| reference(both, &query, row)).collect();
            for counts in Counting::available() {
                let kernel = kernel::<P>(counts);
                let mut out = vec![f32::NAN; n];
                kernel.distances(&query, &rows, &mut out);
                assert_eq!(out, expected, "{counts:?} {size}");

                let mut four = [0; 4].map(|_| vec![f32::NAN; n]);
                let queries = [&query[..]; 4];
                kernel.distances_of_four(queries, &rows, four.each_mut().map(|out| &mut out[..]));
                assert!(four.iter().all(|out| *out == expected), "{counts:?} {size}");

                let mut acc = vec![Lanes::default(); n];
                let step = (size / 3).next_multiple_of(16).max(16);
                for lo in (0..size).step_by(step) {
                    let hi = (lo + step).min(size);
                    let part = rows.chunks(size).flat_map(|row| row[lo..hi].iter().copied());
                    kernel.accumulate(&query[lo..hi], &part.collect::<Vec<_>>(), &mut acc);
                }
                RowKernel::<Bits>::reduce(&acc, &mut out);
                assert_eq!(out, expected, "{counts:?} {size}");
                // SAFETY: the set is available.
                let one = unsafe { pair::pick::<P>(counts)(&query, &rows[..size]) };
                assert_eq!(one as f32, expected[0]);
            }
        }
    }

    #[test]
    fn counts_equal_those_bit_by_bit() {
        check::<Differing>(|a, b| a ^ b);
        check::<Common>(|a, b| a & b);
    }

    #[test]
    fn what_belongs_to_the_operators_is_the_same() {
        for (a, b) in [(0b1111_0000, 0b1110_0001), (0, 0), (7, 8)] {
            let (a, b) = ([Bits(a)], [Bits(b)]);
            let common = PairCount::common().of(&a, &b) as f32;
            let distance = jaccard_from(common, count(&a) as f32, count(&b) as f32);
            let (a, b): (&[u8], &[u8]) = (bytemuck::cast_slice(&a), bytemuck::cast_slice(&b));
            assert_eq!(distance, jaccard_distance(a, b));
        }
    }
}
