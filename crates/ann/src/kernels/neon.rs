//! Sixteen lanes on aarch64: four NEON registers, which every such CPU has.

use super::lanes::Lanes16;
use half::f16;
use std::arch::aarch64::*;

#[derive(Clone, Copy)]
pub struct Neon(pub(super) [float32x4_t; 4]);

/// The numbers of the lanes.
static LANES: [u32; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

impl Neon {
    /// Register by register.
    #[inline]
    #[target_feature(enable = "neon")]
    fn from_fn(register: impl FnMut(usize) -> float32x4_t) -> Self {
        Neon(std::array::from_fn(register))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    pub(super) fn load_array(x: &[f32; 16]) -> Self {
        // SAFETY: four times four of sixteen floats.
        Self::from_fn(|i| unsafe { vld1q_f32(x.as_ptr().add(4 * i)) })
    }

    /// Sixteen bytes as floats.
    #[inline]
    #[target_feature(enable = "neon")]
    fn widen(bytes: uint8x16_t) -> Self {
        let [low, high] = [vmovl_u8(vget_low_u8(bytes)), vmovl_high_u8(bytes)];
        let float = |x| vcvtq_f32_u32(x);
        Neon([
            float(vmovl_u16(vget_low_u16(low))),
            float(vmovl_high_u16(low)),
            float(vmovl_u16(vget_low_u16(high))),
            float(vmovl_high_u16(high)),
        ])
    }

    /// Lane by lane: all bits where `self < other`.
    #[inline]
    #[target_feature(enable = "neon")]
    fn less(self, other: Self) -> [uint32x4_t; 4] {
        std::array::from_fn(|i| vcltq_f32(self.0[i], other.0[i]))
    }
}

// SAFETY: uses NEON, which is in the baseline of aarch64.
unsafe impl Lanes16 for Neon {
    const REGISTERS: usize = 8;
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn zero() -> Self {
        Neon([vdupq_n_f32(0.0); 4])
    }
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn splat(x: f32) -> Self {
        Neon([vdupq_n_f32(x); 4])
    }
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load(x: &[f32; 16]) -> Self {
        Self::load_array(x)
    }
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load_f16(x: &[f16; 16]) -> Self {
        let at: *const u16 = x.as_ptr().cast();
        // SAFETY: four times four of sixteen halves.
        let four = |i| unsafe { vld1_u16(at.add(4 * i)) };
        Self::from_fn(|i| vcvt_f32_f16(vreinterpret_f16_u16(four(i))))
    }
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load_head(x: &[f32]) -> Self {
        let mut padded = [0.0; 16];
        for (slot, value) in padded.iter_mut().zip(x) {
            *slot = *value;
        }
        Self::load_array(&padded)
    }
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load_head_f16(x: &[f16]) -> Self {
        let mut padded = [f16::ZERO; 16];
        for (slot, value) in padded.iter_mut().zip(x) {
            *slot = *value;
        }
        // SAFETY: NEON is in the baseline.
        unsafe { Self::load_f16(&padded) }
    }
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn store(self, out: &mut [f32; 16]) {
        for (four, x) in out.as_chunks_mut::<4>().0.iter_mut().zip(self.0) {
            // SAFETY: four floats of the chunk.
            unsafe { vst1q_f32(four.as_mut_ptr(), x) }
        }
    }
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn sub(self, other: Self) -> Self {
        Self::from_fn(|i| vsubq_f32(self.0[i], other.0[i]))
    }
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        Self::from_fn(|i| vfmaq_f32(self.0[i], a.0[i], b.0[i]))
    }
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add_abs(self, a: Self) -> Self {
        Self::from_fn(|i| vaddq_f32(self.0[i], vabsq_f32(a.0[i])))
    }
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn head_or(self, n: usize, old: Self) -> Self {
        let n = vdupq_n_u32(n.min(16) as u32);
        Self::from_fn(|i| {
            // SAFETY: four of the sixteen numbers.
            let lanes = unsafe { vld1q_u32(LANES.as_ptr().add(4 * i)) };
            vbslq_f32(vcltq_u32(lanes, n), self.0[i], old.0[i])
        })
    }
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn reduce4(rows: [Self; 4]) -> [f32; 4] {
        let two = |Neon([a, b, c, d]): Self| {
            let four = vaddq_f32(vaddq_f32(a, c), vaddq_f32(b, d));
            vadd_f32(vget_low_f32(four), vget_high_f32(four))
        };
        let [a, b, c, d] = [two(rows[0]), two(rows[1]), two(rows[2]), two(rows[3])];
        let sums = vpaddq_f32(vcombine_f32(a, b), vcombine_f32(c, d));
        let mut out = [0.0; 4];
        // SAFETY: `out` has room for four floats.
        unsafe { vst1q_f32(out.as_mut_ptr(), sums) };
        out
    }
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load_u8(x: &[u8; 16]) -> Self {
        // SAFETY: the sixteen bytes of the array.
        Self::widen(unsafe { vld1q_u8(x.as_ptr()) })
    }
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load_nibbles(x: &[u8; 16]) -> (Self, Self) {
        // SAFETY: the sixteen bytes of the array.
        let bytes = unsafe { vld1q_u8(x.as_ptr()) };
        (Self::widen(vandq_u8(bytes, vdupq_n_u8(15))), Self::widen(vshrq_n_u8::<4>(bytes)))
    }
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn lesser(self, at: Self, best: Self, best_at: Self) -> (Self, Self) {
        let less = self.less(best);
        let pick = |new: Self, old: Self| Self::from_fn(|i| vbslq_f32(less[i], new.0[i], old.0[i]));
        (pick(self, best), pick(at, best_at))
    }
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn keep_less(self, at: u32, best: &mut [f32; 16], best_at: &mut [u32; 16]) {
        let old = Self::load_array(best);
        let less = self.less(old);
        for (i, less) in less.into_iter().enumerate() {
            // SAFETY: four of sixteen numbers of each array.
            unsafe {
                let (values, places) =
                    (best.as_mut_ptr().add(4 * i), best_at.as_mut_ptr().add(4 * i));
                vst1q_f32(values, vbslq_f32(less, self.0[i], old.0[i]));
                vst1q_u32(places, vbslq_u32(less, vdupq_n_u32(at), vld1q_u32(places)));
            }
        }
    }
}
