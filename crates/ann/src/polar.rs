//! The orthonormal matrix nearest to a square one: the orthogonal factor of its polar decomposition, which solves
//! the orthogonal Procrustes problem.
//!
//! By matrix products alone: the iteration X ← ½ρ(3I − ρ²XXᵀ)X of Newton and Schulz, with the factors ρ of Chen and
//! Chow, *A stable scaling of Newton-Schulz for improving the sign function computation of a Hermitian
//! matrix* (2014). A singular value grows 2.5 times a step until it is near 1; then its error is squared.

use crate::kernels::norm_sqr;
use crate::kernels::product::Matrix;
use crate::parallel::Job;
use crate::product::multiply_all;

/// What the scaling takes for the smallest singular value, as a share of the largest. Smaller ones need more steps.
const SMALLEST: f32 = 1e-4;
/// The largest factor ρ whose rounding errors do no harm (Chen and Chow).
const MOST: f32 = 1.697_7;
/// How far XXᵀ may be from the identity in any element.
const CLOSE: f32 = 2e-6;
/// After this many steps, a singular value that is not near 1 was zero within rounding.
const STEPS: usize = 40;

/// The orthonormal factor of a `dims` × `dims` matrix, row-major. `None` where it is not defined (a singular
/// matrix) or the job was cancelled. Uses the pool it is called in.
pub fn orthonormal_factor(x: Vec<f32>, dims: usize, job: &Job) -> Option<Vec<f32>> {
    factor(x, dims, None, job)
}

/// The factor of (1 + beyond)·a − beyond·b, where a and b are orthonormal: its singular values are known to lie between
/// 1 and 1 + 2·beyond, which saves half the steps.
pub fn extrapolated(a: &[f32], b: &[f32], beyond: f32, dims: usize, job: &Job) -> Option<Vec<f32>> {
    let most = 1.0 + 2.0 * beyond;
    let x = a.iter().zip(b).map(|(a, b)| (a + beyond * (a - b)) / most).collect();
    factor(x, dims, Some(1.0 / most), job)
}

/// `smallest`: a lower bound of the singular values, none of which is above 1; else nothing is known.
fn factor(mut x: Vec<f32>, dims: usize, smallest: Option<f32>, job: &Job) -> Option<Vec<f32>> {
    let (mut square, mut next) = (vec![0.0; dims * dims], vec![0.0; dims * dims]);
    if smallest.is_none() {
        let norm = norm_sqr(&x).sqrt();
        scale(&mut x, 1.0 / norm);
    }
    let scaled = smallest.is_some();
    let mut smallest = smallest.unwrap_or(SMALLEST);
    for step in 0..STEPS {
        let rows = Matrix::of_rows(&x, dims);
        multiply_all(rows, rows.transposed(), 0.0, &mut square, job);
        if step == 0 && !scaled {
            // No singular value is above 1 now: the largest squared is at most the norm of XXᵀ.
            let bound = norm_sqr(&square).sqrt();
            scale(&mut square, 1.0 / bound);
            scale(&mut x, 1.0 / bound.sqrt());
        }
        if job.cancelled() || !square.iter().all(|s| s.is_finite()) {
            return None;
        }
        if from_identity(&square, dims) < CLOSE {
            return Some(x);
        }
        let factor = (3.0 / (1.0 + smallest + smallest * smallest)).sqrt().min(MOST);
        scale(&mut square, -0.5 * factor.powi(3));
        square.iter_mut().step_by(dims + 1).for_each(|s| *s += 1.5 * factor);
        multiply_all(
            Matrix::of_rows(&square, dims),
            Matrix::of_rows(&x, dims),
            0.0,
            &mut next,
            job,
        );
        std::mem::swap(&mut x, &mut next);
        smallest = 0.5 * factor * smallest * (3.0 - (factor * smallest).powi(2));
    }
    None
}

fn scale(xs: &mut [f32], by: f32) {
    xs.iter_mut().for_each(|x| *x *= by);
}

/// The largest difference from the identity matrix.
pub fn from_identity(square: &[f32], dims: usize) -> f32 {
    let rows = square.chunks_exact(dims.max(1)).enumerate();
    let differences = rows.flat_map(|(i, row)| {
        row.iter().enumerate().map(move |(j, x)| (x - f32::from(i == j)).abs())
    });
    differences.fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use super::{extrapolated, from_identity, orthonormal_factor};
    use crate::kernels::product::Matrix;
    use crate::parallel::Job;
    use crate::product::multiply_all;
    use crate::rotation::RotationMatrix;

    fn product(a: Matrix, b: Matrix) -> Vec<f32> {
        let mut out = vec![0.0; a.shape().0 * b.shape().1];
        multiply_all(a, b, 0.0, &mut out, &Job::default());
        out
    }

    /// U·diag(σ)·V with random orthonormal U and V; its factor is U·V.
    fn made_of(values: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let dims = values.len();
        let job = Job::default();
        let u = RotationMatrix::random(dims, 1, &job).unwrap();
        let v = RotationMatrix::random(dims, 2, &job).unwrap();
        let (u, v) = (Matrix::of_rows(u.matrix(), dims), Matrix::of_rows(v.matrix(), dims));
        let mut diagonal = vec![0.0; dims * dims];
        diagonal.iter_mut().step_by(dims + 1).zip(values).for_each(|(slot, x)| *slot = *x);
        let scaled = product(u, Matrix::of_rows(&diagonal, dims));
        (product(Matrix::of_rows(&scaled, dims), v), product(u, v))
    }

    #[test]
    fn finds_the_factor_whatever_the_spread() {
        for (dims, ratio) in
            [(1usize, 1.0), (2, 0.5), (33, 0.9), (64, 0.8), (100, 1.0), (130, 0.95)]
        {
            let values: Vec<f32> = (0..dims).map(|i| 1e3 * f32::powi(ratio, i as i32)).collect();
            let (matrix, expected) = made_of(&values);
            let factor = orthonormal_factor(matrix, dims, &Job::default()).unwrap();
            let rows = Matrix::of_rows(&factor, dims);
            assert!(from_identity(&product(rows, rows.transposed()), dims) < 1e-5);
            let worst =
                factor.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let spread = values[0] / values[values.len() - 1];
            assert!(worst < 1e-6 * spread.max(10.0), "{dims} {ratio}: {worst}");
        }
    }

    #[test]
    fn beyond_is_orthonormal_too() {
        let job = Job::default();
        for dims in [1, 2, 30, 200] {
            let [a, b] = [5, 6].map(|seed| RotationMatrix::random(dims, seed, &job).unwrap());
            let beyond = extrapolated(a.matrix(), b.matrix(), 0.9, dims, &job).unwrap();
            let rows = Matrix::of_rows(&beyond, dims);
            assert!(from_identity(&product(rows, rows.transposed()), dims) < 1e-5);
            let same = extrapolated(a.matrix(), a.matrix(), 0.9, dims, &job).unwrap();
            assert!(same.iter().zip(a.matrix()).all(|(x, y)| (x - y).abs() < 1e-5));
        }
    }

    #[test]
    fn a_singular_matrix_has_none_or_an_orthonormal_one() {
        assert_eq!(orthonormal_factor(vec![0.0; 16], 4, &Job::default()), None);
        assert_eq!(orthonormal_factor(vec![f32::NAN; 16], 4, &Job::default()), None);
        let (matrix, _) = made_of(&[1.0, 0.5, 0.0, 0.0, 0.0]);
        if let Some(factor) = orthonormal_factor(matrix, 5, &Job::default()) {
            let rows = Matrix::of_rows(&factor, 5);
            assert!(from_identity(&product(rows, rows.transposed()), 5) < 1e-5);
        }
    }
}
