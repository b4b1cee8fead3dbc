//! 4-bit table sums on aarch64: `tbl` looks the sixteen bytes of one code up in its table.
//!
//! Bytes are summed in 16-bit lanes as on x86-64 (`x86.rs`): one register takes the whole lanes modulo 2¹⁶, another the odd
//! bytes alone. The two codes of a unit go to the same sums at once.

use super::super::neon::Neon;
use super::{Floats, Integers, Nibbles, Unit};
use std::arch::aarch64::*;

/// [`super::at_most`].
#[inline]
#[target_feature(enable = "neon")]
pub fn at_most(values: &Floats, limit: f32) -> u32 {
    let limit = Neon([vdupq_n_f32(limit); 4]);
    let halves = values.as_chunks::<16>().0.iter().enumerate();
    halves.fold(0, |mask, (half, values)| {
        mask | not_above(Neon::load_array(values), limit) << (16 * half)
    })
}

/// Which lanes of `values` are not greater than those of `limit`, lane 0 in the lowest bit.
#[inline]
#[target_feature(enable = "neon")]
fn not_above(values: Neon, limit: Neon) -> u32 {
    let bits = [1, 2, 4, 8];
    // SAFETY: four numbers.
    let bits = unsafe { vld1q_u32(bits.as_ptr()) };
    let four = |i: usize| vaddvq_u32(vbicq_u32(bits, vcgtq_f32(values.0[i], limit.0[i])));
    four(0) | four(1) << 4 | four(2) << 8 | four(3) << 12
}

// SAFETY: uses NEON, which is in the baseline of aarch64.
unsafe impl Nibbles for Neon {
    type Sums = [uint16x8_t; 4];

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load_sums(sums: &Integers) -> Self::Sums {
        // SAFETY: four times eight of 32 numbers.
        std::array::from_fn(|i| unsafe { vld1q_u16(sums.as_ptr().add(8 * i)) })
    }
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn store_sums(sums: Self::Sums, out: &mut Integers) {
        for (eight, sums) in out.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
            // SAFETY: eight numbers of the chunk.
            unsafe { vst1q_u16(eight.as_mut_ptr(), sums) }
        }
    }
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add(sums: Self::Sums, tables: &[Unit], units: &[Unit]) -> Self::Sums {
        let zero = vdupq_n_u16(0);
        let [mut low, mut low_odd, mut high, mut high_odd] = [zero; 4];
        for (table, unit) in tables.iter().zip(units) {
            for (table, codes) in table.as_chunks::<16>().0.iter().zip(unit.as_chunks::<16>().0) {
                // SAFETY: sixteen bytes of each.
                let (table, codes) =
                    unsafe { (vld1q_u8(table.as_ptr()), vld1q_u8(codes.as_ptr())) };
                let pick = |codes| vreinterpretq_u16_u8(vqtbl1q_u8(table, codes));
                let picked = pick(vandq_u8(codes, vdupq_n_u8(15)));
                low = vaddq_u16(low, picked);
                low_odd = vsraq_n_u16::<8>(low_odd, picked);
                let picked = pick(vshrq_n_u8::<4>(codes));
                high = vaddq_u16(high, picked);
                high_odd = vsraq_n_u16::<8>(high_odd, picked);
            }
        }
        let even = |all, odd| vsubq_u16(all, vshlq_n_u16::<8>(odd));
        let added = [even(low, low_odd), low_odd, even(high, high_odd), high_odd];
        std::array::from_fn(|i| vaddq_u16(sums[i], added[i]))
    }
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn floats(sums: Self::Sums) -> [Self; 2] {
        let low = |x| vcvtq_f32_u32(vmovl_u16(vget_low_u16(x)));
        let high = |x| vcvtq_f32_u32(vmovl_high_u16(x));
        let half = |a, b| Neon([low(a), high(a), low(b), high(b)]);
        [half(sums[0], sums[1]), half(sums[2], sums[3])]
    }
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn at_most(self, limit: Self) -> u32 {
        not_above(self, limit)
    }
}
