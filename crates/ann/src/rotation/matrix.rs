//! A rotation as its matrix: drawn at random, or learned by OPQ.

use crate::kernels::product::{Matrix, multiply};
use crate::kernels::{RowKernel, dot, norm_sqr};
use crate::kmeans::TrainError;
use crate::parallel::Job;
use crate::product::multiply_all;
use crate::rng::Rng;

/// Rows made orthonormal together.
const BLOCK: usize = 64;
/// A matrix beyond this size does not stay in a core's own cache from query to query; then it is asked for
/// `AHEAD` elements before it is needed.
const CACHED: usize = 512 * 1024 / size_of::<f32>();
const AHEAD: usize = 2048;

/// A `dims` × `dims` matrix. [`RotationMatrix::random`] and OPQ make it orthonormal to 1e-5; one that was stored is
/// taken as it is.
#[derive(Clone, PartialEq, Debug)]
pub struct RotationMatrix {
    dims: usize,
    matrix: Vec<f32>,
}

impl RotationMatrix {
    /// A rotation drawn uniformly: normal rows made orthonormal one after the other (Gram and Schmidt, each row twice),
    /// which is the QR decomposition of the transpose. Takes dims³ · 2 multiply-adds on one thread. Fails
    /// with `Shape` without dimensions and with `Cancelled`.
    pub fn random(dims: usize, seed: u64, job: &Job) -> Result<Self, TrainError> {
        if dims == 0 {
            return Err(TrainError::Shape { points: 0, k: 0, dims });
        }
        let mut rng = Rng::new(seed);
        let mut matrix: Vec<f32> = (0..dims * dims).map(|_| rng.normal()).collect();
        for first in (0..dims).step_by(BLOCK) {
            let (done, rest) = matrix.split_at_mut(first * dims);
            let block = rest.len().min(BLOCK * dims);
            if !orthonormalize(done, &mut rest[..block], dims, job) {
                return Err(TrainError::Cancelled);
            }
        }
        Ok(RotationMatrix { dims, matrix })
    }

    /// The rotation that changes nothing.
    pub(crate) fn identity(dims: usize) -> Self {
        let mut matrix = vec![0.0; dims * dims];
        matrix.iter_mut().step_by(dims + 1).for_each(|x| *x = 1.0);
        RotationMatrix { dims, matrix }
    }

    /// A stored matrix, row-major; `None` if it has not `dims`² elements, all finite, and at least one.
    pub fn from_matrix(dims: usize, matrix: Vec<f32>) -> Option<Self> {
        let whole = dims > 0 && dims.checked_mul(dims) == Some(matrix.len());
        (whole && matrix.iter().all(|x| x.is_finite())).then_some(RotationMatrix { dims, matrix })
    }

    /// Elements of a vector.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// The matrix, row-major.
    pub fn matrix(&self) -> &[f32] {
        &self.matrix
    }

    /// A·x; `out` is overwritten and keeps its memory. `x` has `dims` elements.
    pub fn apply(&self, x: &[f32], out: &mut Vec<f32>) {
        debug_assert_eq!(x.len(), self.dims);
        out.clear();
        out.resize(self.dims, 0.0);
        if self.matrix.len() > CACHED {
            let next: &[u8] = bytemuck::cast_slice(self.matrix.get(AHEAD..).unwrap_or_default());
            RowKernel::dot().distances_ahead(x, &self.matrix, out, next.as_ptr_range());
        } else {
            RowKernel::dot().distances(x, &self.matrix, out);
        }
    }

    /// A·x of every row of `points`, into the row of `out` with the same number. Agrees with [`RotationMatrix::apply`] within
    /// rounding, not to the last bit. Runs on the pool it is called in, else on the calling thread alone; on one
    /// machine the result does not depend on the number of threads. When the job is cancelled the rest of
    /// `out` is left as it was.
    pub fn apply_batch(&self, points: &[f32], out: &mut [f32], job: &Job) {
        debug_assert!(points.len() == out.len() && points.len().is_multiple_of(self.dims));
        let transposed = Matrix::of_rows(&self.matrix, self.dims).transposed();
        multiply_all(Matrix::of_rows(points, self.dims), transposed, 0.0, out, job);
    }
}

/// Makes the rows of `block` orthonormal to the rows of `done` and to each other; false when the job was cancelled.
/// The second pass takes away what rounding left of the first.
fn orthonormalize(done: &[f32], block: &mut [f32], dims: usize, job: &Job) -> bool {
    for _ in 0..2 {
        for group in done.chunks(BLOCK * dims) {
            if job.cancelled() {
                return false;
            }
            let group = Matrix::of_rows(group, dims);
            let n = group.shape().0;
            let rows = block.len() / dims;
            let mut shares = vec![0.0; rows * n];
            multiply(Matrix::of_rows(block, dims), group.transposed(), 0.0, &mut shares, n);
            shares.iter_mut().for_each(|share| *share = -*share);
            multiply(Matrix::of_rows(&shares, n), group, 1.0, block, dims);
        }
        gram_schmidt(block, dims);
    }
    !job.cancelled()
}

/// Makes each row orthogonal to the rows before it and gives it norm 1.
fn gram_schmidt(rows: &mut [f32], dims: usize) {
    for at in (0..rows.len()).step_by(dims) {
        let (before, row) = rows.split_at_mut(at);
        let row = &mut row[..dims];
        for other in before.chunks_exact(dims) {
            let share = dot(other, row);
            row.iter_mut().zip(other).for_each(|(x, y)| *x -= share * y);
        }
        let norm = norm_sqr(row).sqrt();
        row.iter_mut().for_each(|x| *x /= norm);
    }
}

#[cfg(test)]
mod tests {
    use super::RotationMatrix;
    use crate::kernels::product::Matrix;
    use crate::kernels::{l2_sqr, norm_sqr};
    use crate::kmeans::TrainError;
    use crate::parallel::{Job, run};
    use crate::polar::from_identity;
    use crate::product::multiply_all;
    use crate::rng::Rng;

    fn random(n: usize, seed: u64) -> Vec<f32> {
        let mut rng = Rng::new(seed);
        (0..n).map(|_| rng.normal()).collect()
    }

    fn drawn(dims: usize) -> RotationMatrix {
        RotationMatrix::random(dims, 1234, &Job::default()).unwrap()
    }

    fn far_from_orthonormal(rotation: &RotationMatrix) -> f32 {
        let rows = Matrix::of_rows(rotation.matrix(), rotation.dims());
        let mut square = vec![0.0; rotation.matrix().len()];
        multiply_all(rows, rows.transposed(), 0.0, &mut square, &Job::default());
        from_identity(&square, rotation.dims())
    }

    #[test]
    fn is_orthonormal() {
        for dims in [1, 2, 3, 17, 63, 64, 65, 128, 200, 768] {
            let far = far_from_orthonormal(&drawn(dims));
            assert!(far < 2e-6, "{dims}: {far}");
        }
    }

    #[test]
    fn keeps_distances_and_norms() {
        for dims in [1, 5, 64, 100, 130, 700] {
            let rotation = drawn(dims);
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
    fn twice_is_still_orthonormal() {
        for dims in [3, 128, 333] {
            let rotation = drawn(dims);
            let rows = Matrix::of_rows(rotation.matrix(), dims);
            let mut twice = vec![0.0; dims * dims];
            multiply_all(rows, rows, 0.0, &mut twice, &Job::default());
            assert!(
                far_from_orthonormal(&RotationMatrix::from_matrix(dims, twice).unwrap()) < 1e-5
            );
        }
    }

    #[test]
    fn the_batch_agrees_with_the_single_vector_on_any_number_of_threads() {
        for (dims, n) in [(1, 3), (20, 0), (20, 1), (100, 1000), (384, 77)] {
            let rotation = drawn(dims);
            let points = random(n * dims, 5);
            let on = |threads| {
                let work = |job: &Job| {
                    let mut out = vec![0.0; points.len()];
                    rotation.apply_batch(&points, &mut out, job);
                    out
                };
                run(threads, |_| (), work).unwrap()
            };
            let out = on(3);
            assert_eq!(out, on(1));
            let mut alone = vec![0.0; points.len()];
            rotation.apply_batch(&points, &mut alone, &Job::default());
            assert_eq!(out, alone);
            let mut one = Vec::new();
            for (point, row) in points.chunks(dims).zip(out.chunks(dims)) {
                rotation.apply(point, &mut one);
                let scale = norm_sqr(point).sqrt();
                assert!(one.iter().zip(row).all(|(a, b)| (a - b).abs() < 1e-5 * scale));
            }
        }
    }

    #[test]
    fn takes_back_what_was_stored_and_nothing_else() {
        let rotation = drawn(12);
        assert_eq!(RotationMatrix::from_matrix(12, rotation.matrix().to_vec()), Some(rotation));
        assert_eq!(RotationMatrix::from_matrix(0, Vec::new()), None);
        assert_eq!(RotationMatrix::from_matrix(2, vec![0.0; 3]), None);
        assert_eq!(RotationMatrix::from_matrix(1, vec![f32::NAN]), None);
        assert_eq!(RotationMatrix::from_matrix(usize::MAX, vec![1.0]), None);
    }

    #[test]
    fn seeds_differ_and_cancelling_ends_it() {
        let job = Job::default();
        assert_ne!(RotationMatrix::random(8, 1, &job), RotationMatrix::random(8, 2, &job));
        job.cancel();
        assert_eq!(RotationMatrix::random(100, 1, &job), Err(TrainError::Cancelled));
        let none = RotationMatrix::random(0, 1, &Job::default());
        assert_eq!(none, Err(TrainError::Shape { points: 0, k: 0, dims: 0 }));
    }
}
