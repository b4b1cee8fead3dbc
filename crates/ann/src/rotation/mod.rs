//! Rotations of the space: y = A·x with an orthonormal A, which changes no distance and no inner product.

mod hadamard;
mod matrix;

use std::borrow::Cow;

pub use hadamard::HadamardRotation;
pub use matrix::RotationMatrix;

use crate::factory::RotationKind;
use crate::kernels::product::Matrix;
use crate::parallel::Job;
use crate::product::multiply_all;

/// A rotation, in the form in which it is stored and computed.
#[derive(Clone, PartialEq, Debug)]
pub enum Rotation {
    /// Its matrix: dims² multiply-adds a vector.
    Matrix(RotationMatrix),
    /// Signs and Hadamard transforms: some 4 · dims · log2(dims) additions a vector.
    Hadamard(HadamardRotation),
}

impl Rotation {
    /// The rotation that [`Rotation::params`] gave; `None` if there is none of this kind with these floats.
    pub fn from_params(kind: RotationKind, dims: usize, params: Vec<f32>) -> Option<Self> {
        match kind {
            RotationKind::None => None,
            RotationKind::Hadamard => {
                HadamardRotation::from_signs(dims, params).map(Self::Hadamard)
            }
            RotationKind::Random | RotationKind::Opq { .. } => {
                RotationMatrix::from_matrix(dims, params).map(Self::Matrix)
            }
        }
    }

    /// The floats that it is stored as, [`RotationKind::params_len`] of them.
    pub fn params(&self) -> &[f32] {
        match self {
            Self::Matrix(rotation) => rotation.matrix(),
            Self::Hadamard(rotation) => rotation.signs(),
        }
    }

    /// The matrix, row-major.
    pub fn matrix(&self) -> Cow<'_, [f32]> {
        match self {
            Self::Matrix(rotation) => Cow::Borrowed(rotation.matrix()),
            Self::Hadamard(rotation) => Cow::Owned(rotation.matrix()),
        }
    }

    /// What [`Rotation::apply_batch`] made of rows of `dims` elements becomes those rows again, within rounding.
    pub fn undo_batch(&self, points: &[f32], dims: usize, job: &Job) -> Vec<f32> {
        let mut out = vec![0.0; points.len()];
        let matrix = self.matrix();
        let (points, matrix) = (Matrix::of_rows(points, dims), Matrix::of_rows(&matrix, dims));
        multiply_all(points, matrix, 0.0, &mut out, job);
        out
    }

    /// A·x; `out` is overwritten and keeps its memory. `x` has as many elements as the space dimensions.
    pub fn apply(&self, x: &[f32], out: &mut Vec<f32>) {
        match self {
            Self::Matrix(rotation) => rotation.apply(x, out),
            Self::Hadamard(rotation) => rotation.apply(x, out),
        }
    }

    /// A·x of every row of `points`, into the row of `out` with the same number. Agrees with [`Rotation::apply`] within
    /// rounding, not to the last bit. Runs on the pool it is called in, else on the calling thread alone; on one
    /// machine the result does not depend on the number of threads. When the job is cancelled the rest of
    /// `out` is left as it was.
    pub fn apply_batch(&self, points: &[f32], out: &mut [f32], job: &Job) {
        match self {
            Self::Matrix(rotation) => rotation.apply_batch(points, out, job),
            Self::Hadamard(rotation) => rotation.apply_batch(points, out, job),
        }
    }
}
