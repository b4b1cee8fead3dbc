//! The nearest centroid of many short points, such as the parts of a product quantizer: sixteen points stand in the
//! lanes, and the centroids pass by one after the other.
//!
//! The tile (`tile.rs`) compares and keeps a lane of results for every few multiply-adds when vectors are short; here the
//! best so far stays in registers, and a score is one chain from its bias on.

use super::isa::Isa;
use super::lanes::{Lanes16, Plain};
#[cfg(target_arch = "aarch64")]
use super::neon::Neon;
#[cfg(target_arch = "x86_64")]
use super::x86::{Avx2, Avx512};

const LANES: usize = 16;
/// Centroids that pass at a time: the number of them in a call must be a multiple of this.
pub const PAIR: usize = 2;
/// Numbers of centroids are kept as floats, which are exact up to here.
pub const MOST_CENTROIDS: usize = 1 << f32::MANTISSA_DIGITS;

type Nearest = unsafe fn(&[f32], usize, &[f32], &[f32], &mut [u32]);

/// The kernel of this CPU.
#[derive(Clone, Copy)]
pub struct Short {
    /// Points of a group.
    pub points: usize,
    // Sound to call: picked for a set that this CPU has.
    nearest: Nearest,
}

impl Short {
    /// The kernel for the best set of this CPU.
    pub fn detect() -> Self {
        Self::on(Isa::detect())
    }

    /// The kernel for a set, which must be available.
    pub(super) fn on(isa: Isa) -> Self {
        match isa {
            Isa::Plain => Short { points: LANES, nearest: nearest_plain },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => Short { points: LANES, nearest: nearest_avx2 },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => Short { points: 4 * LANES, nearest: nearest_avx512 },
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => Short { points: LANES, nearest: nearest_neon },
        }
    }

    /// The centroid of smallest bias + x · centroid for each point; the lower number wins a tie, and 0 where nothing is
    /// below +∞.
    ///
    /// `points`: groups of `self.points` points, dimension by dimension; `centroids`: row by row, an even number; `bias`:
    /// one per centroid; `out`: one per point. What does not fill a group is passed over.
    pub fn nearest(
        &self,
        points: &[f32],
        dims: usize,
        centroids: &[f32],
        bias: &[f32],
        out: &mut [u32],
    ) {
        // SAFETY: picked for a set that this CPU has.
        unsafe { (self.nearest)(points, dims, centroids, bias, out) }
    }
}

/// # Safety
/// As for [`Lanes16`].
#[inline(always)]
unsafe fn nearest<S: Lanes16, const G: usize>(
    points: &[f32],
    dims: usize,
    centroids: &[f32],
    bias: &[f32],
    out: &mut [u32],
) {
    let groups = points.chunks_exact((G * LANES * dims).max(1));
    for (group, out) in groups.zip(out.chunks_exact_mut(G * LANES)) {
        let group = group.as_chunks::<LANES>().0;
        // SAFETY: the caller keeps the contract of Lanes16; only numbers of centroids are made integers.
        unsafe {
            let mut best = [(S::splat(f32::INFINITY), S::zero()); G];
            let pairs = centroids.chunks_exact((PAIR * dims).max(1));
            for (no, (pair, bias)) in pairs.zip(bias.as_chunks::<PAIR>().0).enumerate() {
                let (one, two) = pair.split_at(dims);
                let mut scores = [[S::splat(bias[0]); G], [S::splat(bias[1]); G]];
                for ((x, one), two) in group.as_chunks::<G>().0.iter().zip(one).zip(two) {
                    let x = x.each_ref().map(|x| S::load(x));
                    for (scores, c) in scores.iter_mut().zip([one, two]) {
                        let c = S::splat(*c);
                        for (score, x) in scores.iter_mut().zip(x) {
                            *score = score.fma(x, c);
                        }
                    }
                }
                for (scores, no) in scores.into_iter().zip(PAIR * no..) {
                    for (best, score) in best.iter_mut().zip(scores) {
                        *best = score.lesser(S::splat(no as f32), best.0, best.1);
                    }
                }
            }
            for (best, out) in best.into_iter().zip(out.as_chunks_mut::<LANES>().0) {
                let mut numbers = [0.0; LANES];
                best.1.store(&mut numbers);
                // Whole numbers below 2²⁴; a checked conversion goes one by one.
                *out = numbers.map(|number| number.to_int_unchecked::<i32>() as u32);
            }
        }
    }
}

unsafe fn nearest_plain(
    points: &[f32],
    dims: usize,
    centroids: &[f32],
    bias: &[f32],
    out: &mut [u32],
) {
    // SAFETY: the plain loop needs nothing beyond the baseline.
    unsafe { nearest::<Plain, 1>(points, dims, centroids, bias, out) }
}

/// Four registers of scores, four of the best, two of points.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn nearest_avx2(
    points: &[f32],
    dims: usize,
    centroids: &[f32],
    bias: &[f32],
    out: &mut [u32],
) {
    // SAFETY: compiled for the set here; called only where it is available.
    unsafe { nearest::<Avx2, 1>(points, dims, centroids, bias, out) }
}

/// Eight registers of scores, eight of the best, four of points.
#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
unsafe fn nearest_neon(
    points: &[f32],
    dims: usize,
    centroids: &[f32],
    bias: &[f32],
    out: &mut [u32],
) {
    // SAFETY: NEON is in the baseline.
    unsafe { nearest::<Neon, 1>(points, dims, centroids, bias, out) }
}

/// Eight registers of scores, eight of the best, four of points.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
unsafe fn nearest_avx512(
    points: &[f32],
    dims: usize,
    centroids: &[f32],
    bias: &[f32],
    out: &mut [u32],
) {
    // SAFETY: compiled for the set here; called only where it is available.
    unsafe { nearest::<Avx512, 4>(points, dims, centroids, bias, out) }
}

#[cfg(test)]
mod tests {
    use super::Short;
    use crate::kernels::isa::Isa;
    use crate::kernels::tests::{few, fma, is_fused, sample};

    #[test]
    fn the_nearest_on_every_set() {
        let (parts, sizes) = (few(&[1, 2, 7, 16], &[1, 7]), few(&[2, 16, 254], &[2, 16]));
        for (dims, k) in parts.iter().flat_map(|d| sizes.iter().map(|k| (*d, *k))) {
            let (centroids, mut bias) = (sample(k * dims, 3), sample(k, 4));
            bias[k - 1] = f32::INFINITY;
            for set in Isa::available() {
                let short = Short::on(set);
                let n = 2 * short.points;
                let points = sample(n * dims, 5);
                let mut out = vec![9; n + 1];
                short.nearest(&points, dims, &centroids, &bias, &mut out);
                for (p, &found) in out[..n].iter().enumerate() {
                    let group = &points[p / short.points * short.points * dims..];
                    let x = |i: usize| group[i * short.points + p % short.points];
                    let score = |c: usize| {
                        let row = centroids[c * dims..][..dims].iter().enumerate();
                        row.fold(bias[c], |sum, (i, y)| fma(sum, x(i), *y, is_fused(set)))
                    };
                    let wanted =
                        (0..k).fold(0, |best, c| if score(c) < score(best) { c } else { best });
                    assert_eq!(found as usize, wanted, "{dims} × {k} on {set:?}");
                }
                assert_eq!(out[n], 9);
            }
        }
    }
}
