//! Distances of vectors that name only their elements other than zero, by one walk over the positions of both; inner products
//! with many others by a table.
//!
//! Terms are added in the order of the positions, in single precision and in two roundings, on every CPU. A sum here
//! equals that over the same vectors written out within rounding only; but the product of a vector with itself is
//! exactly its squared norm, so that its cosine distance from itself is 0.

use std::hint::select_unpredictable;

use super::cosine_from;

/// The number stored in the metapage of an index over such vectors, beside those of [`crate::element::Element::TAG`].
pub const TAG: u8 = 3;

/// A vector by its elements other than zero: their positions, which ascend, and as many values.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sparse<'a> {
    pub indices: &'a [i32],
    pub values: &'a [f32],
}

impl<'a> Sparse<'a> {
    /// Positions and values, as many of both.
    #[inline(always)]
    fn parts(self) -> (&'a [i32], &'a [f32]) {
        let n = self.indices.len().min(self.values.len());
        (&self.indices[..n], &self.values[..n])
    }
}

/// `x`, or 0 where it is not wanted, without a branch: of a condition on floats the compiler would make one.
#[inline(always)]
fn only_if(wanted: bool, x: f32) -> f32 {
    f32::from_bits(select_unpredictable(wanted, x.to_bits(), 0))
}

/// Adds up the terms of all positions that either vector has; 0 stands for an element that only the other has. No
/// branch depends on the positions, since none could be foreseen.
#[inline(always)]
fn over_either(a: Sparse<'_>, b: Sparse<'_>, term: impl Fn(f32, f32) -> f32) -> f32 {
    let ((at_a, a), (at_b, b)) = (a.parts(), b.parts());
    let (mut i, mut j, mut sum) = (0, 0, 0.0);
    while i < a.len() && j < b.len() {
        let (has_a, has_b) = (at_a[i] <= at_b[j], at_b[j] <= at_a[i]);
        sum += term(only_if(has_a, a[i]), only_if(has_b, b[j]));
        i += usize::from(has_a);
        j += usize::from(has_b);
    }
    // One of them has come to its end.
    let sum = a[i..].iter().fold(sum, |sum, x| sum + term(*x, 0.0));
    b[j..].iter().fold(sum, |sum, y| sum + term(0.0, *y))
}

/// Adds up the products of the elements that both vectors have. These are few, so that a branch on that foresees well.
#[inline(always)]
fn over_both(a: Sparse<'_>, b: Sparse<'_>) -> f32 {
    let ((at_a, a), (at_b, b)) = (a.parts(), b.parts());
    let (mut i, mut j, mut sum) = (0, 0, 0.0);
    while i < a.len() && j < b.len() {
        let (index_a, index_b) = (at_a[i], at_b[j]);
        if index_a == index_b {
            sum += a[i] * b[j];
        }
        i += usize::from(index_a <= index_b);
        j += usize::from(index_b <= index_a);
    }
    sum
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
    over_both(a, b)
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

/// A vector prepared for inner products with many others: each element of another finds its counterpart by a table, without a
/// walk over both.
#[derive(Clone, Debug, Default)]
pub struct Lookup {
    indices: Vec<i32>,
    values: Vec<f32>,
    /// By the low bits of a position: 1 + the place of the element there, 0 for none, [`CROWDED`] for several.
    slots: Vec<u16>,
}

/// Slots of the table: within a core's first cache, and many more than most vectors have elements.
const SLOTS: usize = 8192;
/// More than one element has this slot.
const CROWDED: u16 = u16::MAX;

impl Lookup {
    /// Takes another vector.
    pub fn set(&mut self, vector: Sparse<'_>) {
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, 0);
        }
        for index in &self.indices {
            self.slots[slot_of(*index)] = 0;
        }
        let (indices, values) = vector.parts();
        self.indices.clear();
        self.indices.extend_from_slice(indices);
        self.values.clear();
        self.values.extend_from_slice(values);
        for (index, place) in indices.iter().zip(1u16..CROWDED) {
            let slot = &mut self.slots[slot_of(*index)];
            *slot = if *slot == 0 { place } else { CROWDED };
        }
    }

    /// The vector.
    #[inline]
    pub fn vector(&self) -> Sparse<'_> {
        Sparse { indices: &self.indices, values: &self.values }
    }

    /// As [`dot`] with the vector, bit for bit: terms are added in the same order, and zeros between them.
    #[inline]
    pub fn dot(&self, other: Sparse<'_>) -> f32 {
        if self.indices.is_empty() {
            return 0.0;
        }
        let (indices, values) = other.parts();
        let mut sum = 0.0;
        for (index, value) in indices.iter().zip(values) {
            let slot = self.slots[slot_of(*index)];
            if slot == CROWDED {
                if let Ok(place) = self.indices.binary_search(index) {
                    sum += self.values[place] * value;
                }
                continue;
            }
            let place = usize::from(slot.saturating_sub(1));
            let is_there = slot > 0 && self.indices[place] == *index;
            sum += only_if(is_there, self.values[place] * value);
        }
        sum
    }
}

#[inline(always)]
fn slot_of(index: i32) -> usize {
    index as usize % SLOTS
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
    fn a_table_finds_the_same_products() {
        let mut rng = Rng::new(10);
        let mut lookup = Lookup::default();
        for round in 0..2000 {
            // Positions that share slots now and then, or always.
            let (most, step) = [(1 << 20, 1), (300, 1), (40, SLOTS as u32)][round % 3];
            let mut vector = || {
                let n = rng.below(120);
                let mut indices: Vec<i32> =
                    (0..n).map(|_| (rng.below(most) * step) as i32).collect();
                indices.sort_unstable();
                indices.dedup();
                let values: Vec<f32> = indices.iter().map(|_| rng.unit() - 0.5).collect();
                (indices, values)
            };
            let (a, b) = (vector(), vector());
            let (x, y) =
                (Sparse { indices: &a.0, values: &a.1 }, Sparse { indices: &b.0, values: &b.1 });
            lookup.set(x);
            assert_eq!(lookup.dot(y).to_bits(), dot(x, y).to_bits());
            assert_eq!(lookup.vector().indices, x.indices);
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
