//! Absolute differences between a vector of floats and a code of bytes that has a step of its own.
//!
//! Codes of different steps cannot be compared as integers, and a sum of absolute values does not come apart into what
//! belongs to either side, so every byte is decoded on the way.

use super::isa::Isa;

/// The byte that stands for 0.
const ZERO: f32 = 128.0;
/// Sums that are kept side by side.
const RUN: usize = 16;

type Sum = unsafe fn(&[f32], &[u8], f32) -> f32;

/// The sum on this CPU.
#[derive(Clone, Copy)]
pub struct StepSum {
    // Sound to call: picked for a set that this CPU has.
    sum: Sum,
}

impl std::fmt::Debug for StepSum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StepSum")
    }
}

impl StepSum {
    /// Σ |a − step · (b − 128)|.
    pub fn differences() -> Self {
        Self::differences_on(Isa::detect())
    }

    pub(super) fn differences_on(isa: Isa) -> Self {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => StepSum { sum: differences_avx2 },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => StepSum { sum: differences_avx512 },
            // The compiler makes NEON of this loop.
            _ => StepSum { sum: differences_plain },
        }
    }

    /// The sum over a vector and a code; the shorter length counts.
    #[inline]
    pub fn sum(self, a: &[f32], b: &[u8], step: f32) -> f32 {
        // SAFETY: picked for a set that this CPU has.
        unsafe { (self.sum)(a, b, step) }
    }
}

/// The loop, compiled into each set's own function.
#[inline(always)]
fn differences(a: &[f32], b: &[u8], step: f32) -> f32 {
    let n = a.len().min(b.len());
    let (a, b) = (a[..n].as_chunks::<RUN>(), b[..n].as_chunks::<RUN>());
    let term = |a: f32, b: u8| (a - step * (f32::from(b) - ZERO)).abs();
    let mut lanes = [0.0f32; RUN];
    for (a, b) in a.0.iter().zip(b.0) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += term(*a, *b);
        }
    }
    let rest: f32 = a.1.iter().zip(b.1).map(|(a, b)| term(*a, *b)).sum();
    lanes.iter().sum::<f32>() + rest
}

unsafe fn differences_plain(a: &[f32], b: &[u8], step: f32) -> f32 {
    differences(a, b, step)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn differences_avx2(a: &[f32], b: &[u8], step: f32) -> f32 {
    differences(a, b, step)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]
unsafe fn differences_avx512(a: &[f32], b: &[u8], step: f32) -> f32 {
    differences(a, b, step)
}

#[cfg(test)]
mod tests {
    use super::StepSum;
    use crate::kernels::isa::Isa;
    use crate::rng::Rng;

    #[test]
    fn every_set_gives_the_sum() {
        let mut rng = Rng::new(3);
        for n in (0..70).chain([384, 1000]) {
            let a: Vec<f32> = (0..n).map(|_| 3.0 * rng.normal()).collect();
            let b: Vec<u8> = (0..n).map(|_| rng.below(256) as u8).collect();
            let of = a.iter().zip(&b);
            let wanted: f64 =
                of.map(|(a, b)| (f64::from(*a) - 0.3 * (f64::from(*b) - 128.0)).abs()).sum();
            for isa in Isa::available() {
                let sum = f64::from(StepSum::differences_on(isa).sum(&a, &b, 0.3));
                assert!((sum - wanted).abs() <= 1e-4 * wanted, "{isa:?} {n}: {sum} {wanted}");
            }
        }
    }
}
