//! The levels of RaBitQ with more than one bit (Gao and others 2025): how long each component of a residual is, in
//! steps of one scale for the whole vector.
//!
//! Component j gets level u_j = trunc(s·|r_j|), at most 2^(b−1) − 1, and stands for a multiple of 2u_j + 1. Only the direction
//! of what the levels stand for counts, its length goes into the factors: so the best scale s is that with the largest
//! cosine to the residual. Trying a few scales and improving the best in turns (the levels that are nearest for a scale, the
//! scale that is nearest for these levels) loses 1 to 2 % more direction than the best of all scales would.

/// Scales that are tried, and how often the best is improved.
const TRIED: u8 = 8;
const IMPROVED: usize = 2;
/// The scales that are tried are multiples of the one that takes the longest component to the last level: from this multiple
const FROM: f32 = 0.9;
/// up to 1 + this number times 2^−b, at even distances: the fewer levels, the more it pays to cut long components off.
const UP_TO: f32 = 6.4;
/// Adding it to a small float leaves the nearest integer in the lowest bits.
const TO_INTEGER: f32 = 12_582_912.0;

/// Replaces the magnitudes |r_j| of a residual's components by the odd numbers 2u_j + 1 that they are coded as with
/// `nbits` ≥ 2 bits.
pub fn choose(nbits: u8, magnitudes: &mut [f32]) {
    let n_levels = f32::from(1u8 << (nbits - 1).min(7));
    let longest = magnitudes.iter().fold(0.0, |a, &b| if b > a { b } else { a });
    let whole = n_levels / longest;
    if !whole.is_finite() {
        // Nothing to measure, or too small to.
        magnitudes.fill(1.0);
        return;
    }
    let most = n_levels - 1.0;
    // The largest cosine so far, its scale, and the scale that is nearest for its levels.
    let mut best = (f32::NEG_INFINITY, whole, whole);
    let mut try_scale = |scale: f32| {
        let [with_self, with_residual] = products(magnitudes, scale, most);
        let cosine = with_residual / with_self.sqrt();
        if cosine > best.0 {
            best = (cosine, scale, with_self / with_residual);
        }
        best.2
    };
    let step = (1.0 + UP_TO * 0.5 / n_levels - FROM) / f32::from(TRIED - 1);
    let mut next = whole;
    for i in 0..TRIED {
        next = try_scale((FROM + step * f32::from(i)) * whole);
    }
    for _ in 0..IMPROVED {
        next = try_scale(next);
    }
    let scale = best.1;
    for x in magnitudes {
        *x = 2.0 * level(*x, scale, most) + 1.0;
    }
}

/// The level of a component.
#[inline]
fn level(magnitude: f32, scale: f32, most: f32) -> f32 {
    let x = magnitude * scale;
    // A quarter more than the last level, for a half less than a whole number is halfway between two.
    let x = if x < most + 0.25 { x } else { most + 0.25 };
    // Half less, then to the nearest: what lies below. Unlike a conversion it is a few simple instructions.
    (x - 0.5 + TO_INTEGER) - TO_INTEGER
}

/// Of the levels for a scale, each taken for the middle of its step: the squared norm, and the product with the magnitudes.
fn products(magnitudes: &[f32], scale: f32, most: f32) -> [f32; 2] {
    let mut lanes = [[0.0f32; 8]; 2];
    let (eights, rest) = magnitudes.as_chunks::<8>();
    for eight in eights {
        for i in 0..8 {
            let middle = level(eight[i], scale, most) + 0.5;
            lanes[0][i] += middle * middle;
            lanes[1][i] += middle * eight[i];
        }
    }
    for (i, x) in rest.iter().enumerate() {
        let middle = level(*x, scale, most) + 0.5;
        lanes[0][i] += middle * middle;
        lanes[1][i] += middle * x;
    }
    lanes.map(|lanes| lanes.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::{choose, level};
    use crate::rng::Rng;

    fn cosine(a: &[f32], b: &[f32]) -> f64 {
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    }

    /// The largest cosine of all scales.
    fn best(magnitudes: &[f32], most: f32) -> f64 {
        let mut scales: Vec<f32> = magnitudes
            .iter()
            .flat_map(|x| (1..=most as u32).map(move |u| u as f32 / x * 1.000_01))
            .collect();
        scales.push(1e-9);
        let levels = |scale: &f32| -> Vec<f32> {
            magnitudes.iter().map(|x| level(*x, *scale, most) + 0.5).collect()
        };
        scales.iter().map(|s| cosine(&levels(s), magnitudes)).fold(0.0, f64::max)
    }

    #[test]
    fn little_is_lost_to_the_best_of_all_scales() {
        let mut rng = Rng::new(3);
        for nbits in 2..=8 {
            let (mut lost, mut least) = (0.0, 0.0);
            for _ in 0..20 {
                // A sum of uniform numbers is nearly normal.
                let deviate = |rng: &mut Rng| (0..6).map(|_| rng.unit() - 0.5).sum::<f32>().abs();
                let residual: Vec<f32> = (0..100).map(|_| deviate(&mut rng)).collect();
                let mut levels = residual.clone();
                choose(nbits, &mut levels);
                let most = 2f32.powi(i32::from(nbits)) - 1.0;
                assert!(levels.iter().all(|x| x % 2.0 == 1.0 && (1.0..=most).contains(x)));
                lost += (1.0 - cosine(&levels, &residual).powi(2)).sqrt();
                least += (1.0 - best(&residual, (most - 1.0) / 2.0).powi(2)).sqrt();
            }
            assert!(lost < least * 1.03, "{nbits} bits: {lost}, {least} at best");
        }
    }

    #[test]
    fn odd_residuals() {
        for (given, expected) in [
            (vec![], vec![]),
            (vec![0.0; 3], vec![1.0; 3]),
            (vec![1e-45, 0.0], vec![1.0; 2]),
            (vec![f32::INFINITY, 1.0], vec![15.0, 1.0]),
            (vec![f32::MAX, 0.0], vec![15.0, 1.0]),
            (vec![f32::NAN, 1.0], vec![15.0, 15.0]),
            (vec![2.0; 9], vec![15.0; 9]),
        ] {
            let mut levels = given.clone();
            choose(4, &mut levels);
            assert_eq!(levels, expected, "{given:?}");
        }
    }
}
