//! Sixteen lanes on x86-64: two AVX2 registers with FMA and F16C, or one AVX-512 register.

use super::lanes::Lanes16;
use half::f16;
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub struct Avx2(pub(super) __m256, pub(super) __m256);

#[derive(Clone, Copy)]
pub struct Avx512(pub(super) __m512);

/// Eight ones and eight zeros: the window that starts at `8 - n` has its first n lanes set.
static MASKS: [i32; 24] =
    [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[inline]
#[target_feature(enable = "avx2")]
fn head_mask(n: usize) -> __m256i {
    // SAFETY: starts at 0..=8 of 24 entries and reads 8.
    unsafe { _mm256_loadu_si256(MASKS.as_ptr().add(8 - n.min(8)).cast()) }
}

/// Four sums of eight lanes each: 8→4 by register halves, 4→2→1 transposed so that one addition serves
/// all four rows. The order of additions is the canonical one.
#[inline]
#[target_feature(enable = "avx2")]
fn reduce_8x4(rows: [__m256; 4]) -> [f32; 4] {
    let four = |row| _mm_add_ps(_mm256_castps256_ps128(row), _mm256_extractf128_ps::<1>(row));
    let [a, b, c, d] = [four(rows[0]), four(rows[1]), four(rows[2]), four(rows[3])];
    let ab = _mm_add_ps(_mm_movelh_ps(a, b), _mm_movehl_ps(b, a));
    let cd = _mm_add_ps(_mm_movelh_ps(c, d), _mm_movehl_ps(d, c));
    let even = _mm_shuffle_ps::<0b10_00_10_00>(ab, cd);
    let odd = _mm_shuffle_ps::<0b11_01_11_01>(ab, cd);
    let sums = _mm_add_ps(even, odd);
    let mut out = [0.0; 4];
    // SAFETY: `out` has room for four f32.
    unsafe { _mm_storeu_ps(out.as_mut_ptr(), sums) };
    out
}

impl Avx2 {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    fn widen(bytes: __m128i) -> Self {
        let eight = |bytes| _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
        Avx2(eight(bytes), eight(_mm_srli_si128::<8>(bytes)))
    }
}

// SAFETY: uses AVX2, FMA and F16C, which `Isa::Avx2` and `Isa::Avx512` are chosen by.
unsafe impl Lanes16 for Avx2 {
    const REGISTERS: usize = 8;
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn zero() -> Self {
        Avx2(_mm256_setzero_ps(), _mm256_setzero_ps())
    }
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn splat(x: f32) -> Self {
        Avx2(_mm256_set1_ps(x), _mm256_set1_ps(x))
    }
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(x: &[f32; 16]) -> Self {
        // SAFETY: both halves lie inside the array.
        unsafe { Avx2(_mm256_loadu_ps(x.as_ptr()), _mm256_loadu_ps(x.as_ptr().add(8))) }
    }
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load_f16(x: &[f16; 16]) -> Self {
        let at: *const __m128i = x.as_ptr().cast();
        // SAFETY: both halves (16 bytes each) lie inside the array.
        let (low, high) = unsafe { (_mm_loadu_si128(at), _mm_loadu_si128(at.add(1))) };
        Avx2(_mm256_cvtph_ps(low), _mm256_cvtph_ps(high))
    }
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load_head(x: &[f32]) -> Self {
        let (low, high) = (head_mask(x.len()), head_mask(x.len().saturating_sub(8)));
        let at = x.as_ptr();
        // SAFETY: a masked-off lane is not read, and the masks end where the slice does.
        unsafe { Avx2(_mm256_maskload_ps(at, low), _mm256_maskload_ps(at.wrapping_add(8), high)) }
    }
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load_head_f16(x: &[f16]) -> Self {
        let mut padded = [f16::ZERO; 16];
        for (slot, value) in padded.iter_mut().zip(x) {
            *slot = *value;
        }
        // SAFETY: the caller keeps the contract of Lanes16.
        unsafe { Self::load_f16(&padded) }
    }
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn store(self, out: &mut [f32; 16]) {
        // SAFETY: both halves lie inside the array.
        unsafe {
            _mm256_storeu_ps(out.as_mut_ptr(), self.0);
            _mm256_storeu_ps(out.as_mut_ptr().add(8), self.1);
        }
    }
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn sub(self, other: Self) -> Self {
        Avx2(_mm256_sub_ps(self.0, other.0), _mm256_sub_ps(self.1, other.1))
    }
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        Avx2(_mm256_fmadd_ps(a.0, b.0, self.0), _mm256_fmadd_ps(a.1, b.1, self.1))
    }
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn add_abs(self, a: Self) -> Self {
        let sign = _mm256_set1_ps(-0.0);
        Avx2(
            _mm256_add_ps(self.0, _mm256_andnot_ps(sign, a.0)),
            _mm256_add_ps(self.1, _mm256_andnot_ps(sign, a.1)),
        )
    }
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn head_or(self, n: usize, old: Self) -> Self {
        let low = _mm256_castsi256_ps(head_mask(n));
        let high = _mm256_castsi256_ps(head_mask(n.saturating_sub(8)));
        Avx2(_mm256_blendv_ps(old.0, self.0, low), _mm256_blendv_ps(old.1, self.1, high))
    }
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn reduce4(rows: [Self; 4]) -> [f32; 4] {
        let eight = |row: Self| _mm256_add_ps(row.0, row.1);
        reduce_8x4([eight(rows[0]), eight(rows[1]), eight(rows[2]), eight(rows[3])])
    }
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load_u8(x: &[u8; 16]) -> Self {
        // SAFETY: the sixteen bytes of the array.
        Self::widen(unsafe { _mm_loadu_si128(x.as_ptr().cast()) })
    }
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load_nibbles(x: &[u8; 16]) -> (Self, Self) {
        // SAFETY: the sixteen bytes of the array.
        let bytes = unsafe { _mm_loadu_si128(x.as_ptr().cast()) };
        let low = _mm_set1_epi8(15);
        let high = _mm_and_si128(_mm_srli_epi16::<4>(bytes), low);
        (Self::widen(_mm_and_si128(bytes, low)), Self::widen(high))
    }
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn lesser(self, at: Self, best: Self, best_at: Self) -> (Self, Self) {
        let low = _mm256_cmp_ps::<_CMP_LT_OQ>(self.0, best.0);
        let high = _mm256_cmp_ps::<_CMP_LT_OQ>(self.1, best.1);
        let pick = |old: Self, new: Self| {
            Avx2(_mm256_blendv_ps(old.0, new.0, low), _mm256_blendv_ps(old.1, new.1, high))
        };
        (pick(best, self), pick(best_at, at))
    }
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn keep_less(self, at: u32, best: &mut [f32; 16], best_at: &mut [u32; 16]) {
        let ats = _mm256_castsi256_ps(_mm256_set1_epi32(at as i32));
        for (half, value) in [self.0, self.1].into_iter().enumerate() {
            // SAFETY: half 0 or 1 of arrays of sixteen.
            unsafe {
                let values = best.as_mut_ptr().add(8 * half);
                let places = best_at.as_mut_ptr().add(8 * half).cast::<f32>();
                let old = _mm256_loadu_ps(values);
                let less = _mm256_cmp_ps::<_CMP_LT_OQ>(value, old);
                _mm256_storeu_ps(values, _mm256_blendv_ps(old, value, less));
                let old_at = _mm256_loadu_ps(places);
                _mm256_storeu_ps(places, _mm256_blendv_ps(old_at, ats, less));
            }
        }
    }
}

#[inline(always)]
fn head_bits(n: usize) -> u16 {
    ((1u32 << n.min(16)) - 1) as u16
}

impl Avx512 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
    fn widen(bytes: __m128i) -> Self {
        Avx512(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)))
    }
}

// SAFETY: uses AVX-512 F, BW, VL, DQ, which `Isa::Avx512` is chosen by.
unsafe impl Lanes16 for Avx512 {
    const REGISTERS: usize = 32;
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
    unsafe fn zero() -> Self {
        Avx512(_mm512_setzero_ps())
    }
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
    unsafe fn splat(x: f32) -> Self {
        Avx512(_mm512_set1_ps(x))
    }
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
    unsafe fn load(x: &[f32; 16]) -> Self {
        // SAFETY: sixteen f32 of the array.
        Avx512(unsafe { _mm512_loadu_ps(x.as_ptr()) })
    }
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
    unsafe fn load_f16(x: &[f16; 16]) -> Self {
        // SAFETY: the 32 bytes of the array.
        Avx512(_mm512_cvtph_ps(unsafe { _mm256_loadu_si256(x.as_ptr().cast()) }))
    }
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
    unsafe fn load_head(x: &[f32]) -> Self {
        // SAFETY: a masked-off lane is not read, and the mask ends where the slice does.
        Avx512(unsafe { _mm512_maskz_loadu_ps(head_bits(x.len()), x.as_ptr()) })
    }
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
    unsafe fn load_head_f16(x: &[f16]) -> Self {
        // SAFETY: a masked-off lane is not read, and the mask ends where the slice does.
        let bits = unsafe { _mm256_maskz_loadu_epi16(head_bits(x.len()), x.as_ptr().cast()) };
        Avx512(_mm512_cvtph_ps(bits))
    }
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
    unsafe fn store(self, out: &mut [f32; 16]) {
        // SAFETY: sixteen f32 of the array.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), self.0) }
    }
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
    unsafe fn sub(self, other: Self) -> Self {
        Avx512(_mm512_sub_ps(self.0, other.0))
    }
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        Avx512(_mm512_fmadd_ps(a.0, b.0, self.0))
    }
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
    unsafe fn add_abs(self, a: Self) -> Self {
        Avx512(_mm512_add_ps(self.0, _mm512_abs_ps(a.0)))
    }
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
    unsafe fn head_or(self, n: usize, old: Self) -> Self {
        Avx512(_mm512_mask_mov_ps(old.0, head_bits(n), self.0))
    }
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
    unsafe fn reduce4(rows: [Self; 4]) -> [f32; 4] {
        let eight = |row: Self| {
            _mm256_add_ps(_mm512_castps512_ps256(row.0), _mm512_extractf32x8_ps::<1>(row.0))
        };
        reduce_8x4([eight(rows[0]), eight(rows[1]), eight(rows[2]), eight(rows[3])])
    }
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
    unsafe fn load_u8(x: &[u8; 16]) -> Self {
        // SAFETY: the sixteen bytes of the array.
        Self::widen(unsafe { _mm_loadu_si128(x.as_ptr().cast()) })
    }
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
    unsafe fn load_nibbles(x: &[u8; 16]) -> (Self, Self) {
        // SAFETY: the sixteen bytes of the array.
        let bytes = unsafe { _mm_loadu_si128(x.as_ptr().cast()) };
        let low = _mm_set1_epi8(15);
        let high = _mm_and_si128(_mm_srli_epi16::<4>(bytes), low);
        (Self::widen(_mm_and_si128(bytes, low)), Self::widen(high))
    }
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
    unsafe fn lesser(self, at: Self, best: Self, best_at: Self) -> (Self, Self) {
        let less = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, best.0);
        let pick = |old: Self, new: Self| Avx512(_mm512_mask_mov_ps(old.0, less, new.0));
        (pick(best, self), pick(best_at, at))
    }
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
    unsafe fn keep_less(self, at: u32, best: &mut [f32; 16], best_at: &mut [u32; 16]) {
        let ats = _mm512_set1_epi32(at as i32);
        // SAFETY: sixteen f32 and sixteen u32 of the arrays.
        unsafe {
            let old = _mm512_loadu_ps(best.as_ptr());
            let less = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, old);
            _mm512_storeu_ps(best.as_mut_ptr(), _mm512_mask_mov_ps(old, less, self.0));
            _mm512_mask_storeu_epi32(best_at.as_mut_ptr().cast(), less, ats);
        }
    }
}
