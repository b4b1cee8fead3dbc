//! A random rotation without a matrix: rounds of random signs and a Walsh-Hadamard transform, the fast Johnson-Lindenstrauss
//! transform of Ailon and Chazelle 2009, as in FAISS's HadamardRotation. That fills vectors up to a power of two; here a
//! transform goes over the first and the last power of two of the elements in turn, and after both the halves of the vector are
//! mixed, so that the dimension stays.

use std::f32::consts::FRAC_1_SQRT_2;

use crate::parallel::{Job, for_each_chunk};
use crate::rng::Rng;

/// Rounds of signs and a transform. After four, every element of the result has between half and twice its share of every
/// element of the vector, for any number of dimensions.
const ROUNDS: usize = 4;
/// Vectors rotated between two looks at the job's cancel flag.
const ROWS_AT_ONCE: usize = 256;

/// A rotation by [`ROUNDS`] rounds, each with signs of its own.
#[derive(Clone, PartialEq, Debug)]
pub struct HadamardRotation {
    dims: usize,
    /// 1 or -1, `dims` for each round.
    signs: Vec<f32>,
}

impl HadamardRotation {
    /// Signs drawn at random.
    pub fn random(dims: usize, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut sign = || if rng.below(2) == 0 { 1.0 } else { -1.0 };
        Self { dims, signs: (0..Self::signs_len(dims)).map(|_| sign()).collect() }
    }

    /// Signs of all rounds.
    pub fn signs_len(dims: usize) -> usize {
        ROUNDS * dims
    }

    /// Stored signs; `None` if there are not [`HadamardRotation::signs_len`] of them, each 1 or -1, and at least one.
    pub fn from_signs(dims: usize, signs: Vec<f32>) -> Option<Self> {
        let is_whole = dims > 0 && dims.checked_mul(ROUNDS) == Some(signs.len());
        let are_signs = signs.iter().all(|sign| sign.abs() == 1.0);
        (is_whole && are_signs).then_some(Self { dims, signs })
    }

    /// 1 or -1, by rounds.
    pub fn signs(&self) -> &[f32] {
        &self.signs
    }

    /// The same rotation as a matrix, row-major.
    pub fn matrix(&self) -> Vec<f32> {
        let mut matrix = vec![0.0; self.dims * self.dims];
        let mut column = Vec::new();
        for j in 0..self.dims {
            let mut unit = vec![0.0; self.dims];
            unit[j] = 1.0;
            self.apply(&unit, &mut column);
            matrix.iter_mut().skip(j).step_by(self.dims).zip(&column).for_each(|(a, b)| *a = *b);
        }
        matrix
    }

    /// A·x; `out` is overwritten and keeps its memory.
    pub fn apply(&self, x: &[f32], out: &mut Vec<f32>) {
        debug_assert_eq!(x.len(), self.dims);
        out.clear();
        out.extend_from_slice(x);
        self.turn(out);
    }

    /// A·x of every row of `points`, bit for bit as [`HadamardRotation::apply`]. When the job is cancelled the rest of `out` is
    /// left as it was.
    pub fn apply_batch(&self, points: &[f32], out: &mut [f32], job: &Job) {
        debug_assert!(points.len() == out.len() && points.len().is_multiple_of(self.dims));
        let chunk = ROWS_AT_ONCE * self.dims;
        for_each_chunk(out, chunk, |i, out| {
            if job.cancelled() {
                return;
            }
            let points = points.get(i * chunk..).unwrap_or_default();
            let rows = out.chunks_exact_mut(self.dims).zip(points.chunks_exact(self.dims));
            for (row, point) in rows {
                row.copy_from_slice(point);
                self.turn(row);
            }
        });
    }

    fn turn(&self, row: &mut [f32]) {
        let power =
            if self.dims.is_power_of_two() { self.dims } else { self.dims.next_power_of_two() / 2 };
        let last = self.dims - power;
        for (round, signs) in self.signs.chunks_exact(self.dims).enumerate() {
            row.iter_mut().zip(signs).for_each(|(x, sign)| *x *= sign);
            let from = if round % 2 == 0 { 0 } else { last };
            transform(&mut row[from..from + power]);
            if last > 0 && round % 2 == 1 {
                mix_halves(row);
            }
        }
    }
}

/// The orthonormal Walsh-Hadamard transform in place; the length is a power of two.
fn transform(row: &mut [f32]) {
    // First, so that nothing becomes larger than the row's norm on the way.
    let scale = 1.0 / (row.len() as f32).sqrt();
    row.iter_mut().for_each(|x| *x *= scale);
    let mut half = 1;
    while half < row.len() {
        for pair in row.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            low.iter_mut().zip(high).for_each(|(a, b)| (*a, *b) = (*a + *b, *a - *b));
        }
        half *= 2;
    }
}

/// Turns each element of the first half with one of the second by 45 degrees; of an odd number that in the middle stays.
fn mix_halves(row: &mut [f32]) {
    let (low, high) = row.split_at_mut(row.len().div_ceil(2));
    low.iter_mut().zip(high).for_each(|(a, b)| {
        let (x, y) = (*a * FRAC_1_SQRT_2, *b * FRAC_1_SQRT_2);
        (*a, *b) = (x + y, x - y);
    });
}

#[cfg(test)]
mod tests {
    use super::HadamardRotation;
    use crate::kernels::{l2_sqr, norm_sqr};
    use crate::parallel::{Job, run};
    use crate::rng::Rng;
    use crate::rotation::RotationMatrix;

    const DIMS: [usize; 12] = [1, 2, 3, 17, 64, 96, 100, 127, 129, 255, 384, 768];

    fn random(n: usize, seed: u64) -> Vec<f32> {
        let mut rng = Rng::new(seed);
        (0..n).map(|_| rng.normal()).collect()
    }

    #[test]
    fn keeps_distances_and_norms() {
        for dims in DIMS {
            let rotation = HadamardRotation::random(dims, 1234);
            let (x, y) = (random(dims, 1), random(dims, 2));
            let (mut rx, mut ry) = (Vec::new(), Vec::new());
            rotation.apply(&x, &mut rx);
            rotation.apply(&y, &mut ry);
            let close = |a: f32, b: f32| assert!((a - b).abs() <= 1e-5 * a, "{dims}: {a} {b}");
            close(l2_sqr(&x, &y), l2_sqr(&rx, &ry));
            close(norm_sqr(&x), norm_sqr(&rx));
        }
    }

    #[test]
    fn the_longest_rows_stay_finite() {
        for dims in DIMS {
            let row = vec![3e38 / (dims as f32).sqrt(); dims];
            let mut out = Vec::new();
            HadamardRotation::random(dims, 3).apply(&row, &mut out);
            assert!(out.iter().all(|x| x.is_finite()), "{dims}");
        }
    }

    /// Over all signs, a vector that is one element alone is spread over all elements evenly: this is what a code with the same
    /// bits for each of them asks of a rotation.
    #[test]
    fn spreads_each_element_over_all() {
        const SEEDS: u64 = 400;
        for dims in [17, 64, 96, 100, 127, 129, 255, 384] {
            for at in [0, 1, dims / 3, dims / 2, dims - 1] {
                let mut unit = vec![0.0; dims];
                unit[at] = 1.0;
                let (mut squares, mut out) = (vec![0.0f32; dims], Vec::new());
                for seed in 0..SEEDS {
                    HadamardRotation::random(dims, seed).apply(&unit, &mut out);
                    squares.iter_mut().zip(&out).for_each(|(sum, x)| *sum += x * x);
                }
                let even = SEEDS as f32 / dims as f32;
                let low = squares.iter().copied().fold(f32::MAX, f32::min);
                let high = squares.iter().copied().fold(0.0, f32::max);
                assert!(
                    low > 0.45 * even && high < 2.0 * even,
                    "{dims}, {at}: {low} {high} {even}"
                );
            }
        }
    }

    #[test]
    fn is_its_matrix() {
        for dims in DIMS {
            let rotation = HadamardRotation::random(dims, 7);
            let matrix = RotationMatrix::from_matrix(dims, rotation.matrix()).unwrap();
            let x = random(dims, 3);
            let (mut a, mut b) = (Vec::new(), Vec::new());
            rotation.apply(&x, &mut a);
            matrix.apply(&x, &mut b);
            assert!(l2_sqr(&a, &b) <= 1e-9 * norm_sqr(&x), "{dims}");
        }
    }

    #[test]
    fn the_batch_is_the_single_vector_on_any_number_of_threads() {
        for (dims, n) in [(1, 3), (20, 0), (100, 1000), (384, 77)] {
            let rotation = HadamardRotation::random(dims, 5);
            let points = random(n * dims, 5);
            let on = |threads| {
                let work = |job: &Job| {
                    let mut out = vec![0.0; points.len()];
                    rotation.apply_batch(&points, &mut out, job);
                    out
                };
                run(threads, |_| (), work).unwrap()
            };
            let mut one = Vec::new();
            let alone: Vec<f32> = points
                .chunks(dims)
                .flat_map(|point| {
                    rotation.apply(point, &mut one);
                    one.clone()
                })
                .collect();
            assert_eq!(on(1), alone);
            assert_eq!(on(3), alone);
        }
    }

    #[test]
    fn takes_back_what_was_stored_and_nothing_else() {
        let rotation = HadamardRotation::random(12, 9);
        let signs = rotation.signs().to_vec();
        assert_eq!(HadamardRotation::from_signs(12, signs.clone()), Some(rotation));
        assert_ne!(HadamardRotation::from_signs(12, signs), Some(HadamardRotation::random(12, 8)));
        assert_eq!(HadamardRotation::from_signs(0, Vec::new()), None);
        assert_eq!(HadamardRotation::from_signs(2, vec![1.0; 7]), None);
        assert_eq!(HadamardRotation::from_signs(1, vec![1.0, 1.0, 0.5, 1.0]), None);
        assert_eq!(HadamardRotation::from_signs(1, vec![1.0, 1.0, f32::NAN, 1.0]), None);
        assert_eq!(HadamardRotation::from_signs(usize::MAX, vec![1.0]), None);
    }
}
