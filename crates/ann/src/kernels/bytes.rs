//! Integer sums over the bytes of two codes: products of signed and unsigned bytes. The same numbers from every instruction
//! set, since integers do not round.
//!
//! A graph judges nodes that lie scattered in memory, so the functions over many codes ask for the cache lines of later
//! codes while they sum the earlier ones.

use super::isa::Isa;
use super::rows::prefetch_near;

/// Bytes up to which no sum leaves its 32 bits.
pub const MOST_BYTES: usize = 1 << 16;
/// How many codes ahead are asked for.
const AHEAD: usize = 8;

/// One sum over two codes.
type Pair = unsafe fn(&[u8], &[u8]) -> i32;
/// The sums of one code with each of many.
type Many = unsafe fn(&[u8], Rows<'_>, &[u32], &mut Vec<i32>);

/// Codes of one length that lie `stride` bytes apart.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    pub bytes: &'a [u8],
    pub stride: usize,
}

impl<'a> Rows<'a> {
    /// Row `number`, of `size` bytes; empty where the rows end before.
    #[inline(always)]
    fn row(self, number: u32, size: usize) -> &'a [u8] {
        let at = number as usize * self.stride;
        self.bytes.get(at..at + size).unwrap_or_default()
    }
}

/// The sum on this CPU.
#[derive(Clone, Copy)]
pub struct ByteSum {
    // Sound to call: picked for a set that this CPU has.
    pair: Pair,
    many: Many,
}

impl std::fmt::Debug for ByteSum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ByteSum")
    }
}

impl ByteSum {
    /// Σ a·b, where the bytes of `a` are signed numbers and those of `b` unsigned ones.
    pub fn products() -> Self {
        Self::products_on(Isa::detect(), has_vnni())
    }

    #[cfg_attr(not(target_arch = "x86_64"), expect(unused_variables, reason = "x86 only"))]
    pub(super) fn products_on(isa: Isa, vnni: bool) -> Self {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 if vnni => ByteSum { pair: vnni::products, many: vnni::many_products },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 | Isa::Avx512 => ByteSum { pair: avx2::products, many: avx2::many_products },
            // The compiler makes NEON of these loops.
            _ => ByteSum { pair: plain::products, many: plain::many_products },
        }
    }

    /// The sum over two codes; the shorter length counts, and at most [`MOST_BYTES`] are exact.
    #[inline]
    pub fn pair(self, a: &[u8], b: &[u8]) -> i32 {
        // SAFETY: picked for a set that this CPU has.
        unsafe { (self.pair)(a, b) }
    }

    /// Appends to `out` the sum of `a` with each of `numbers` among `rows`, in order; 0 for a row that is not there.
    #[inline]
    pub fn many(self, a: &[u8], rows: Rows<'_>, numbers: &[u32], out: &mut Vec<i32>) {
        // SAFETY: picked for a set that this CPU has.
        unsafe { (self.many)(a, rows, numbers, out) }
    }
}

/// Whether this CPU multiplies bytes into 32-bit sums in one instruction.
pub(super) fn has_vnni() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("avx512vnni")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// The loop over many codes, compiled into each set's own function.
#[inline(always)]
fn many(
    a: &[u8],
    rows: Rows<'_>,
    numbers: &[u32],
    out: &mut Vec<i32>,
    pair: impl Fn(&[u8], &[u8]) -> i32,
) {
    for number in numbers.iter().take(AHEAD) {
        prefetch_near(rows.row(*number, a.len()));
    }
    out.extend(numbers.iter().enumerate().map(|(i, number)| {
        if let Some(later) = numbers.get(i + AHEAD) {
            prefetch_near(rows.row(*later, a.len()));
        }
        pair(a, rows.row(*number, a.len()))
    }));
}

/// Functions over many codes by the set's functions over two, compiled for the set's `features`.
macro_rules! many_by {
    ($($(#[$feature:meta])? $name:ident = $pair:ident),*) => {$(
        $(#[$feature])?
        pub unsafe fn $name(a: &[u8], rows: Rows<'_>, numbers: &[u32], out: &mut Vec<i32>) {
            many(a, rows, numbers, out, |a, b| {
                // SAFETY: compiled for the set here; called only where it is available.
                unsafe { $pair(a, b) }
            });
        }
    )*};
}

mod plain {
    use super::{Rows, many};

    /// Bytes whose sum a compiler keeps in vector registers.
    const RUN: usize = 16;

    #[inline(always)]
    fn sum(a: &[u8], b: &[u8], term: impl Fn(u8, u8) -> i32) -> i32 {
        let n = a.len().min(b.len());
        let (a, b) = (a[..n].as_chunks::<RUN>(), b[..n].as_chunks::<RUN>());
        let mut lanes = [0i32; RUN];
        for (a, b) in a.0.iter().zip(b.0) {
            for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
                *lane += term(*a, *b);
            }
        }
        let rest: i32 = a.1.iter().zip(b.1).map(|(a, b)| term(*a, *b)).sum();
        lanes.iter().sum::<i32>() + rest
    }

    pub unsafe fn products(a: &[u8], b: &[u8]) -> i32 {
        sum(a, b, |a, b| i32::from(a.cast_signed()) * i32::from(b))
    }

    many_by!(many_products = products);
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Rows, many, plain};
    use std::arch::x86_64::*;

    const RUN: usize = 16;

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(x: &[u8; RUN]) -> __m128i {
        // SAFETY: the sixteen bytes of the array.
        unsafe { _mm_loadu_si128(x.as_ptr().cast()) }
    }

    /// The sum of the eight lanes.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn reduce(sum: __m256i) -> i32 {
        let four = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
        let two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
        _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b01>(two)))
    }

    /// Widened to sixteen bits first: the instruction over bytes saturates.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub unsafe fn products(a: &[u8], b: &[u8]) -> i32 {
        let n = a.len().min(b.len());
        let (a, b) = (a[..n].as_chunks::<RUN>(), b[..n].as_chunks::<RUN>());
        let mut sum = _mm256_setzero_si256();
        for (a, b) in a.0.iter().zip(b.0) {
            let (a, b) = (_mm256_cvtepi8_epi16(load(a)), _mm256_cvtepu8_epi16(load(b)));
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
        }
        // SAFETY: the plain loop needs nothing beyond the baseline.
        reduce(sum) + unsafe { plain::products(a.1, b.1) }
    }

    many_by!(
        #[target_feature(enable = "avx2")]
        many_products = products
    );
}

#[cfg(target_arch = "x86_64")]
mod vnni {
    use super::{Rows, many};
    use std::arch::x86_64::*;

    const RUN: usize = 64;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn load(x: &[u8; RUN]) -> __m512i {
        // SAFETY: the sixty-four bytes of the array.
        unsafe { _mm512_loadu_si512(x.as_ptr().cast()) }
    }

    /// The bytes of a slice shorter than a register, then zeros.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn load_head(x: &[u8]) -> __m512i {
        // SAFETY: a masked-off byte is not read, and the mask ends where the slice does.
        unsafe { _mm512_maskz_loadu_epi8((1u64 << x.len()).wrapping_sub(1), x.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2")]
    pub unsafe fn products(a: &[u8], b: &[u8]) -> i32 {
        let n = a.len().min(b.len());
        let (a, b) = (a[..n].as_chunks::<RUN>(), b[..n].as_chunks::<RUN>());
        let mut sum = _mm512_setzero_si512();
        for (a, b) in a.0.iter().zip(b.0) {
            sum = _mm512_dpbusd_epi32(sum, load(b), load(a));
        }
        if !a.1.is_empty() {
            sum = _mm512_dpbusd_epi32(sum, load_head(b.1), load_head(a.1));
        }
        _mm512_reduce_add_epi32(sum)
    }

    many_by!(
        #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2")]
        many_products = products
    );
}

#[cfg(test)]
mod tests {
    use super::{ByteSum, Rows, has_vnni};
    use crate::kernels::isa::Isa;
    use crate::rng::Rng;

    /// Every variant of the sums of products that this CPU has.
    fn products() -> Vec<ByteSum> {
        let vnni: &[bool] = if has_vnni() { &[false, true] } else { &[false] };
        let sets = Isa::available();
        sets.iter().flat_map(|isa| vnni.iter().map(|v| ByteSum::products_on(*isa, *v))).collect()
    }

    /// Each sum over all lengths around the sizes of registers, at any alignment.
    fn check(sums: &[ByteSum], term: impl Fn(u8, u8) -> i32) {
        let mut rng = Rng::new(5);
        let lengths = (0..200).chain([384, 1000, 4000, 4001]);
        for n in lengths {
            let extreme = |rng: &mut Rng| [0, 1, 127, 128, 255][rng.below(5) as usize];
            let a: Vec<u8> = (0..=n).map(|_| extreme(&mut rng)).collect();
            let b: Vec<u8> = (0..=n).map(|_| rng.below(256) as u8 | extreme(&mut rng)).collect();
            let (a, b) = (&a[1..], &b[1..]);
            let wanted: i32 = a.iter().zip(b).map(|(a, b)| term(*a, *b)).sum();
            for sum in sums {
                assert_eq!(sum.pair(a, b), wanted, "{n} bytes");
            }
        }
    }

    #[test]
    fn products_are_the_same_on_every_set() {
        check(&products(), |a, b| i32::from(a.cast_signed()) * i32::from(b));
        for sum in products() {
            assert_eq!(sum.pair(&[0x80; 4000], &[0xff; 4000]), -128 * 255 * 4000);
        }
    }

    #[test]
    fn many_rows_in_any_order() {
        let mut rng = Rng::new(6);
        let bytes: Vec<u8> = (0..50 * 112).map(|_| rng.below(256) as u8).collect();
        let rows = Rows { bytes: &bytes, stride: 112 };
        let a: Vec<u8> = bytes[..100].to_vec();
        for n in [0, 1, 7, 8, 9, 40] {
            let numbers: Vec<u32> = (0..n).map(|_| rng.below(50)).collect();
            for sum in products() {
                let mut out = vec![7];
                sum.many(&a, rows, &numbers, &mut out);
                let one = |i: &u32| sum.pair(&a, &bytes[*i as usize * 112..][..100]);
                let wanted: Vec<i32> = numbers.iter().map(one).collect();
                assert_eq!((out[0], &out[1..]), (7, &wanted[..]));
            }
        }
        let mut out = Vec::new();
        ByteSum::products().many(&a, rows, &[50, u32::MAX], &mut out);
        assert_eq!(out, [0, 0]);
    }
}
