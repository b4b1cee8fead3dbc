//! 4-bit table sums on x86-64: `pshufb` on registers of one unit (AVX2) or of two (AVX-512 BW).
//!
//! Bytes are summed in 16-bit lanes without widening them first: one register takes a whole lane, even byte plus
//! 256 · odd byte, modulo 2¹⁶; another takes the odd byte alone. In the end the first less 256 times the
//! second is the even sum.

use super::super::x86::{Avx2, Avx512};
use super::{Floats, Integers, Nibbles, Unit};
use std::arch::x86_64::*;

/// Sums of the even and of the odd bytes of the two nibbles: low even, low odd, high even, high odd.
type Halves = [__m256i; 4];

/// Sums of the even bytes, from sums of all and of the odd ones.
#[inline]
#[target_feature(enable = "avx2")]
fn even(all: __m256i, odd: __m256i) -> __m256i {
    _mm256_sub_epi16(all, _mm256_slli_epi16::<8>(odd))
}

/// Adds the halves of two registers: what they say of code 2p to what they say of 2p + 1.
#[inline]
#[target_feature(enable = "avx2")]
fn fold(even: __m256i, odd: __m256i) -> __m256i {
    let low = _mm256_permute2x128_si256::<0x20>(even, odd);
    let high = _mm256_permute2x128_si256::<0x31>(even, odd);
    _mm256_add_epi16(low, high)
}

/// A load; unlike the intrinsic it is one also in a build with checks.
#[inline]
#[target_feature(enable = "avx2")]
fn register_256(unit: &Unit) -> __m256i {
    // SAFETY: 32 bytes either way, and a register may hold any.
    unsafe { std::mem::transmute::<Unit, __m256i>(*unit) }
}

/// As `register_256`, for two units.
#[inline]
#[target_feature(enable = "avx512f")]
fn register_512(units: &[Unit; 2]) -> __m512i {
    // SAFETY: 64 bytes either way, and a register may hold any.
    unsafe { std::mem::transmute::<[Unit; 2], __m512i>(*units) }
}

/// The sums of all units, before the halves are folded.
#[inline]
#[target_feature(enable = "avx2")]
fn sum_256(tables: &[Unit], units: &[Unit]) -> Halves {
    let nibble = _mm256_set1_epi8(15);
    let zero = _mm256_setzero_si256();
    let [mut low, mut low_odd, mut high, mut high_odd] = [zero; 4];
    for (table, unit) in tables.iter().zip(units) {
        let (table, codes) = (register_256(table), register_256(unit));
        let picked = _mm256_shuffle_epi8(table, _mm256_and_si256(codes, nibble));
        low = _mm256_add_epi16(low, picked);
        low_odd = _mm256_add_epi16(low_odd, _mm256_srli_epi16::<8>(picked));
        let codes = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), nibble);
        let picked = _mm256_shuffle_epi8(table, codes);
        high = _mm256_add_epi16(high, picked);
        high_odd = _mm256_add_epi16(high_odd, _mm256_srli_epi16::<8>(picked));
    }
    [even(low, low_odd), low_odd, even(high, high_odd), high_odd]
}

/// As `sum_256`, two units a step.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2")]
fn sum_512(tables: &[Unit], units: &[Unit]) -> Halves {
    let n = tables.len().min(units.len());
    let ((tables, table), (units, unit)) =
        (tables[..n].as_chunks::<2>(), units[..n].as_chunks::<2>());
    let nibble = _mm512_set1_epi8(15);
    let zero = _mm512_setzero_si512();
    let [mut low, mut low_odd, mut high, mut high_odd] = [zero; 4];
    for (table, unit) in tables.iter().zip(units) {
        let (table, codes) = (register_512(table), register_512(unit));
        let picked = _mm512_shuffle_epi8(table, _mm512_and_si512(codes, nibble));
        low = _mm512_add_epi16(low, picked);
        low_odd = _mm512_add_epi16(low_odd, _mm512_srli_epi16::<8>(picked));
        let codes = _mm512_and_si512(_mm512_srli_epi16::<4>(codes), nibble);
        let picked = _mm512_shuffle_epi8(table, codes);
        high = _mm512_add_epi16(high, picked);
        high_odd = _mm512_add_epi16(high_odd, _mm512_srli_epi16::<8>(picked));
    }
    let even = |all, odd| _mm512_sub_epi16(all, _mm512_slli_epi16::<8>(odd));
    let halves = [even(low, low_odd), low_odd, even(high, high_odd), high_odd];
    let fold = |x| _mm256_add_epi16(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64::<1>(x));
    let rest = sum_256(table, unit);
    [0, 1, 2, 3].map(|i| _mm256_add_epi16(fold(halves[i]), rest[i]))
}

/// [`super::at_most`] with what every x86-64 has: nothing to choose, and it is inlined into the scan.
#[inline]
#[target_feature(enable = "sse")]
pub fn at_most(values: &Floats, limit: f32) -> u32 {
    let limit = _mm_set1_ps(limit);
    let mut mask = 0;
    for (four, values) in values.as_chunks::<4>().0.iter().enumerate() {
        // SAFETY: four floats of the chunk.
        let values = unsafe { _mm_loadu_ps(values.as_ptr()) };
        mask |= (_mm_movemask_ps(_mm_cmpngt_ps(values, limit)) as u32) << (4 * four);
    }
    mask
}

// SAFETY: uses AVX2, which `Isa::Avx2` and `Isa::Avx512` are chosen by.
unsafe impl Nibbles for Avx2 {
    type Sums = [__m256i; 2];

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load_sums(sums: &Integers) -> Self::Sums {
        let at: *const __m256i = sums.as_ptr().cast();
        // SAFETY: both halves (32 bytes each) lie inside the array.
        unsafe { [_mm256_loadu_si256(at), _mm256_loadu_si256(at.add(1))] }
    }
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn store_sums(sums: Self::Sums, out: &mut Integers) {
        let at: *mut __m256i = out.as_mut_ptr().cast();
        // SAFETY: both halves (32 bytes each) lie inside the array.
        unsafe {
            _mm256_storeu_si256(at, sums[0]);
            _mm256_storeu_si256(at.add(1), sums[1]);
        }
    }
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn add(sums: Self::Sums, tables: &[Unit], units: &[Unit]) -> Self::Sums {
        let [low, low_odd, high, high_odd] = sum_256(tables, units);
        [
            _mm256_add_epi16(sums[0], fold(low, low_odd)),
            _mm256_add_epi16(sums[1], fold(high, high_odd)),
        ]
    }
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn floats(sums: Self::Sums) -> [Self; 2] {
        let eight = |x| _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(x));
        sums.map(|x| {
            Avx2(eight(_mm256_castsi256_si128(x)), eight(_mm256_extracti128_si256::<1>(x)))
        })
    }
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn at_most(self, limit: Self) -> u32 {
        let low = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NGT_UQ>(self.0, limit.0));
        let high = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NGT_UQ>(self.1, limit.1));
        (low | high << 8) as u32
    }
}

// SAFETY: uses AVX-512 F, BW, VL, DQ and AVX2, which `Isa::Avx512` is chosen by.
unsafe impl Nibbles for Avx512 {
    type Sums = [__m256i; 2];

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
    unsafe fn load_sums(sums: &Integers) -> Self::Sums {
        // SAFETY: AVX2 is part of the set.
        unsafe { Avx2::load_sums(sums) }
    }
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
    unsafe fn store_sums(sums: Self::Sums, out: &mut Integers) {
        // SAFETY: AVX2 is part of the set.
        unsafe { Avx2::store_sums(sums, out) }
    }
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
    unsafe fn add(sums: Self::Sums, tables: &[Unit], units: &[Unit]) -> Self::Sums {
        let [low, low_odd, high, high_odd] = sum_512(tables, units);
        [
            _mm256_add_epi16(sums[0], fold(low, low_odd)),
            _mm256_add_epi16(sums[1], fold(high, high_odd)),
        ]
    }
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
    unsafe fn floats(sums: Self::Sums) -> [Self; 2] {
        sums.map(|x| Avx512(_mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(x))))
    }
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
    unsafe fn at_most(self, limit: Self) -> u32 {
        u32::from(_mm512_cmp_ps_mask::<_CMP_NGT_UQ>(self.0, limit.0))
    }
}
