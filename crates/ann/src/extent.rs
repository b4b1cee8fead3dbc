//! Vectors whose sums of squares a 32-bit float holds.
//!
//! A column may hold any finite values; the squares of numbers beyond 1.8e19 are infinite and those of numbers below
//! 1e-23 are zero. Distances that rows are returned by say so, as the operators do. What an index is *made* by
//! (assignment, training, codes) goes by [`shortened`] vectors: one longer than 2⁶⁰ is taken for the vector of that length
//! in its direction, so that nothing overflows and no other row notices.

use crate::kernels::norm_sqr;
use std::borrow::Cow;

/// The longest vector as it is: squared distances of such vectors, and four times them, are finite.
pub const NORM_MAX: f32 = (1u64 << 60) as f32;
/// Squared norms in between have lost nothing to overflow or underflow.
const SQUARES_TRUSTED: std::ops::Range<f32> = 1e-24..1e37;

/// The norm, whatever the magnitude. Where the canonical kernel's squared norm is good, its root.
pub fn norm(x: &[f32]) -> f64 {
    let squared = norm_sqr(x);
    if SQUARES_TRUSTED.contains(&squared) {
        return f64::from(squared).sqrt();
    }
    x.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt()
}

/// Divides a vector by its norm; one of zeros stays as it is.
pub fn normalize(x: &mut [f32]) {
    let norm = norm(x);
    if norm > 0.0 {
        x.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
    }
}

/// Makes a vector that is longer than [`NORM_MAX`] so long.
pub fn shorten(x: &mut [f32]) {
    if may_be_long(x) {
        let factor = f64::from(NORM_MAX) / norm(x);
        if factor < 1.0 {
            x.iter_mut().for_each(|x| *x = (f64::from(*x) * factor) as f32);
        }
    }
}

/// Makes the largest component of a vector be between 1 and 2, by a power of two: an inner product with it is in the same order as
/// before, but does not overflow or vanish where the product itself would. One of zeros stays as it is.
pub fn rescale(x: &mut [f32]) {
    let largest = x.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    if largest > 0.0 && largest.is_finite() {
        // The exponent of a float is that of a normal double, and so is its negative.
        let exponent = f64::from(largest).to_bits() >> 52;
        let factor = f64::from_bits((2 * 1023 - exponent) << 52);
        x.iter_mut().for_each(|x| *x = (f64::from(*x) * factor) as f32);
    }
}

/// The vector, or a shortened copy.
pub fn shortened(x: &[f32]) -> Cow<'_, [f32]> {
    let mut x = Cow::Borrowed(x);
    if may_be_long(&x) {
        shorten(x.to_mut());
    }
    x
}

/// What a negative inner product with a vector of norm 1 is of the unit vector, given the squared norm of a vector
/// that counted as no longer than [`NORM_MAX`]. Always a number.
pub fn of_unit(negative_product: f32, norm_sqr: f32) -> f32 {
    let norm = norm_sqr.sqrt().clamp(f32::MIN_POSITIVE, NORM_MAX);
    (negative_product / norm).clamp(-1.0, 1.0)
}

/// The nearest number that is not infinite; 0 for no number.
pub fn finite(x: f32) -> f32 {
    if x.is_nan() { 0.0 } else { x.clamp(f32::MIN, f32::MAX) }
}

/// Whether a component is so large that the norm may exceed [`NORM_MAX`]: one pass without a branch.
fn may_be_long(x: &[f32]) -> bool {
    // Positive floats are in the order of their bits.
    let most = (NORM_MAX / (x.len().max(1) as f32).sqrt()).to_bits();
    x.iter().fold(false, |any, x| any | (x.to_bits() & !(1 << 31) > most))
}

#[cfg(test)]
mod tests {
    use super::{NORM_MAX, norm, normalize, of_unit, rescale, shorten, shortened};
    use crate::kernels::{l2_sqr, norm_sqr};
    use std::borrow::Cow;

    #[test]
    fn ordinary_vectors_stay_as_they_are() {
        for scale in [0.0, 1e-45, 1e-30, 1.0, 1e15] {
            let x: Vec<f32> = (0..50).map(|i| scale * (i as f32 - 20.0)).collect();
            assert!(matches!(shortened(&x), Cow::Borrowed(same) if same == x));
        }
        let x = [3.0, -4.0];
        assert_eq!(norm(&x), 5.0);
    }

    #[test]
    fn the_longest_keep_their_direction_and_have_finite_distances() {
        for scale in [1e18f32, 1e20, 3e38] {
            let mut x: Vec<f32> = (0..1000).map(|i| scale * ((i % 7) as f32 / 7.0 - 0.5)).collect();
            let first = f64::from(x[1]) / f64::from(x[0]);
            shorten(&mut x);
            assert!((norm(&x) / f64::from(NORM_MAX) - 1.0).abs() < 1e-6);
            assert!((f64::from(x[1]) / f64::from(x[0]) - first).abs() < 1e-6);
            let opposite: Vec<f32> = x.iter().map(|x| -x).collect();
            assert!((4.0 * l2_sqr(&x, &opposite)).is_finite());
        }
    }

    #[test]
    fn rescaling_takes_a_vector_to_where_there_is_room() {
        for scale in [1e-42f32, 1e-20, 1.0, 3e38] {
            let x: Vec<f32> = (0..50).map(|i| scale * ((i as f32 * 0.37).sin())).collect();
            let mut y = x.clone();
            rescale(&mut y);
            let largest = y.iter().fold(0.0f32, |most, y| most.max(y.abs()));
            assert!((1.0..2.0).contains(&largest), "{scale}: {largest}");
            let factor = f64::from(y[1]) / f64::from(x[1]);
            let is_same = |(x, y): (&f32, &f32)| (f64::from(*x) * factor) as f32 == *y;
            assert!(x.iter().zip(&y).all(is_same), "{scale}");
            assert_eq!(factor.log2().fract(), 0.0, "a power of two changes no bit of a component");
        }
        let mut zeros = [0.0, -0.0];
        rescale(&mut zeros);
        assert_eq!(zeros, [0.0; 2]);
    }

    #[test]
    fn the_product_of_a_unit_vector_is_a_number() {
        assert_eq!(of_unit(-3.0, 16.0), -0.75);
        for (product, norm_sqr) in [(0.0, 0.0), (-1e-30, 0.0), (1e18, f32::INFINITY)] {
            assert!((-1.0..=1.0).contains(&of_unit(product, norm_sqr)));
        }
    }

    #[test]
    fn any_direction_can_be_normalized() {
        for scale in [1e-44f32, 1e-30, 1.0, 1e25, 1e38] {
            let mut x = [3.0 * scale, -2.0 * scale, 0.0];
            normalize(&mut x);
            assert!((norm_sqr(&x) - 1.0).abs() < 0.01, "{scale}: {x:?}");
        }
        let mut zeros = [0.0; 3];
        normalize(&mut zeros);
        assert_eq!(zeros, [0.0; 3]);
    }
}
