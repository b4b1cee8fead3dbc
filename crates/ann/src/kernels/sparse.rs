//! Distances of vectors that name only their elements other than zero, by one walk over the positions of both.
//!
//! Terms are added in the order of the positions, in single precision and in two roundings, on every CPU. A sum here
//! equals that over the same vectors written out within rounding only; but the product of a vector with itself is
//! exactly its squared norm, so that its cosine distance from itself is 0.

use super::cosine_from;

/// A vector by its elements other than zero: their positions, which ascend, and as many values.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sparse<'a> {
    pub indices: &'a [i32],
    pub values: &'a [f32],
}

impl Sparse<'_> {
    #[inline(always)]
    fn value(&self, at: usize) -> f32 {
        self.values.get(at).copied().unwrap_or(0.0)
    }

    fn rest(&self, from: usize) -> &[f32] {
        self.values.get(from..).unwrap_or_default()
    }
}

/// Adds up the terms of positions until one of the vectors has no more: 0 stands for an element that only the other
/// has. Returns how far each has come. No branch depends on the positions, since none could be foreseen.
#[inline(always)]
fn walk(a: Sparse<'_>, b: Sparse<'_>, term: impl Fn(f32, f32) -> f32) -> (f32, usize, usize) {
    let (mut i, mut j, mut sum) = (0, 0, 0.0);
    while let (Some(at_a), Some(at_b)) = (a.indices.get(i), b.indices.get(j)) {
        let (has_a, has_b) = (at_a <= at_b, at_b <= at_a);
        let x = if has_a { a.value(i) } else { 0.0 };
        let y = if has_b { b.value(j) } else { 0.0 };
        sum += term(x, y);
        i += usize::from(has_a);
        j += usize::from(has_b);
    }
    (sum, i, j)
}

/// The terms of all positions that either vector has.
#[inline(always)]
fn over_either(a: Sparse<'_>, b: Sparse<'_>, term: impl Fn(f32, f32) -> f32) -> f32 {
    let (sum, i, j) = walk(a, b, &term);
    let sum = a.rest(i).iter().fold(sum, |sum, x| sum + term(*x, 0.0));
    b.rest(j).iter().fold(sum, |sum, y| sum + term(0.0, *y))
}

/// Σ (a − b)².
pub fn l2_sqr(a: Sparse<'_>, b: Sparse<'_>) -> f32 {
    over_either(a, b, |x, y| (x - y) * (x - y))
}

/// Σ |a − b|.
pub fn l1(a: Sparse<'_>, b: Sparse<'_>) -> f32 {
    over_either(a, b, |x, y| (x - y).abs())
}

/// Σ a·b.
pub fn dot(a: Sparse<'_>, b: Sparse<'_>) -> f32 {
    walk(a, b, |x, y| x * y).0
}

/// Σ a².
pub fn norm_sqr(a: Sparse<'_>) -> f32 {
    a.values.iter().fold(0.0, |sum, x| sum + x * x)
}

/// Euclidean distance, as the operator `<->` returns it.
pub fn l2_distance(a: Sparse<'_>, b: Sparse<'_>) -> f64 {
    f64::from(l2_sqr(a, b)).sqrt()
}

/// Cosine distance, as the operator `<=>` returns it; NaN when either vector is zero.
pub fn cosine_distance(a: Sparse<'_>, b: Sparse<'_>) -> f64 {
    cosine_from(dot(a, b), norm_sqr(a), norm_sqr(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    const DIMS: usize = 60;

    /// A vector written out, of whole numbers so that no sum is rounded, and its elements other than zero.
    fn random(rng: &mut Rng, one_in: u32) -> ([f32; DIMS], Vec<i32>, Vec<f32>) {
        let element = |_| match rng.below(one_in) {
            0 => rng.below(41) as f32 - 20.0,
            _ => 0.0,
        };
        let dense: [f32; DIMS] = std::array::from_fn(element);
        let stored = dense.iter().enumerate().filter(|(_, x)| **x != 0.0);
        let (indices, values) = stored.map(|(i, x)| (i as i32, *x)).unzip();
        (dense, indices, values)
    }

    #[test]
    fn sums_are_those_of_the_vectors_written_out() {
        let mut rng = Rng::new(8);
        for round in 0..2000 {
            let (a, a_indices, a_values) = random(&mut rng, 1 + round % 9);
            let (b, b_indices, b_values) = random(&mut rng, 1 + round / 9 % 9);
            let x = Sparse { indices: &a_indices, values: &a_values };
            let y = Sparse { indices: &b_indices, values: &b_values };
            let sum = |term: fn(f32, f32) -> f32| a.iter().zip(b).map(|(a, b)| term(*a, b)).sum();
            assert_eq!(l2_sqr(x, y), sum(|a, b| (a - b) * (a - b)));
            assert_eq!(l1(x, y), sum(|a, b| (a - b).abs()));
            assert_eq!(dot(x, y), sum(|a, b| a * b));
            assert_eq!(norm_sqr(x), sum(|a, _| a * a));
            let swapped = [l2_sqr(y, x), l1(y, x), dot(y, x)];
            assert_eq!([l2_sqr(x, y), l1(x, y), dot(x, y)], swapped);
        }
    }

    #[test]
    fn a_vector_is_at_no_distance_from_itself() {
        let mut rng = Rng::new(9);
        for _ in 0..200 {
            let values: Vec<f32> =
                (0..40).map(|_| rng.below(1 << 24) as f32 * 1e-3 + 0.1).collect();
            let indices: Vec<i32> = (0..40).map(|i| i * 7).collect();
            let x = Sparse { indices: &indices, values: &values };
            assert_eq!([l2_distance(x, x), cosine_distance(x, x)], [0.0, 0.0]);
        }
        assert!(cosine_distance(Sparse::default(), Sparse::default()).is_nan());
    }

    #[test]
    fn too_long_is_infinitely_far() {
        let of = |values| Sparse { indices: &[3], values };
        assert_eq!(l2_distance(of(&[3e38]), of(&[-3e38])), f64::INFINITY);
        assert_eq!(l1(of(&[3e38]), of(&[-3e38])), f32::INFINITY);
    }
}
