//! What happens to a vector before it is assigned to a list and coded, as one step: division by the norm, and a rotation.

use ann::rng::Rng;

use crate::error::Error;
use crate::index::{Step, Transform};
use crate::source::Source;

/// Vectors whose length a rotation must leave alone, and by how much it may differ.
const PROBES: usize = 16;
const SLACK: f64 = 1e-3;

/// The steps of a chain, in the order in which they are done.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Chain {
    /// Whether vectors are divided by their norm.
    pub normalizes: bool,
    /// What they are turned by.
    pub rotation: Option<Linear>,
}

/// A·x + b, where A is square and keeps lengths.
#[derive(Clone, PartialEq, Debug)]
pub struct Linear {
    /// Whether it was drawn at random.
    pub is_random: bool,
    /// A, row by row.
    pub matrix: Vec<f32>,
    /// b; empty where it is zero.
    pub bias: Vec<f32>,
}

impl Chain {
    /// Reads a chain of vectors of `dims` components. [`Error::Unsupported`] for one that is more than division by the norm
    /// and a rotation; at most `room` bytes are read.
    pub fn read(
        source: &mut dyn Source,
        transforms: &[Transform],
        dims: usize,
        room: u64,
    ) -> Result<Self, Error> {
        let mut chain = Self::default();
        for transform in transforms {
            let refused = |what: &str, hint| refused(transform, what, hint);
            if !transform.is_trained {
                return Err(refused("it is not trained", "Train the index in FAISS first."));
            }
            if transform.dims != (dims, dims) {
                let hint = "Transforms here keep the dimension: reduce it before the vectors go into the table.";
                return Err(refused("it changes the dimension", hint));
            }
            match transform.step {
                Step::Normalize => {
                    if chain.rotation.as_ref().is_some_and(|rotation| !rotation.bias.is_empty()) {
                        let hint = "Only one shift, after the division, has a counterpart here.";
                        return Err(refused("it divides by the norm what was shifted", hint));
                    }
                    chain.normalizes = true;
                }
                Step::Linear { is_random, matrix, bias } if chain.rotation.is_none() => {
                    if matrix.len.saturating_mul(4) > room {
                        let what = format!("a rotation of {dims} dimensions");
                        return Err(Error::TooLarge { what });
                    }
                    let matrix = matrix.floats(source, 0, dims * dims)?;
                    let bias = bias.floats(source, 0, bias.len as usize)?;
                    let bias = if bias.iter().all(|x| *x == 0.0) { Vec::new() } else { bias };
                    require_finite(transform, matrix.iter().chain(&bias))?;
                    if !keeps_lengths(&matrix, dims) {
                        let hint =
                            "Rotations keep distances; whitening and other linear maps do not.";
                        return Err(refused("it changes the lengths of vectors", hint));
                    }
                    chain.rotation = Some(Linear { is_random, matrix, bias });
                }
                Step::Linear { .. } | Step::Other => {
                    let hint = "One rotation and one normalisation have a counterpart here.";
                    return Err(refused("there is no counterpart of this chain here", hint));
                }
            }
        }
        Ok(chain)
    }

    /// Whether vectors stay as they are.
    pub fn is_empty(&self) -> bool {
        !self.normalizes && self.rotation.is_none()
    }
}

impl Linear {
    /// Takes the shift off a vector.
    pub fn unshift(&self, point: &mut [f32]) {
        point.iter_mut().zip(&self.bias).for_each(|(x, b)| *x -= b);
    }

    /// What was turned into `point`: Aᵀ(y − b).
    pub fn undo(&self, point: &mut [f32]) {
        self.unshift(point);
        let mut turned = vec![0.0f64; point.len()];
        for (y, row) in point.iter().zip(self.matrix.chunks_exact(point.len().max(1))) {
            for (x, a) in turned.iter_mut().zip(row) {
                *x += f64::from(*y) * f64::from(*a);
            }
        }
        point.iter_mut().zip(turned).for_each(|(to, x)| *to = x as f32);
    }
}

fn refused(transform: &Transform, what: &str, hint: &'static str) -> Error {
    Error::Unsupported { code: transform.code, at: transform.at, what: what.into(), hint }
}

fn require_finite<'a>(
    transform: &Transform,
    mut floats: impl Iterator<Item = &'a f32>,
) -> Result<(), Error> {
    if floats.all(|x| x.is_finite()) {
        return Ok(());
    }
    let what = "a number of the transform is not finite".into();
    Err(Error::Damaged { code: transform.code, at: transform.at, what })
}

/// Whether random vectors are as long after as they were before. A matrix that is far from a rotation shows it on the first.
fn keeps_lengths(matrix: &[f32], dims: usize) -> bool {
    let mut rng = Rng::new(1);
    (0..PROBES).all(|_| {
        let x: Vec<f32> = (0..dims).map(|_| rng.normal()).collect();
        let before: f64 = x.iter().map(|x| f64::from(*x).powi(2)).sum();
        let after: f64 = matrix
            .chunks_exact(dims)
            .map(|row| row.iter().zip(&x).map(|(a, x)| f64::from(*a) * f64::from(*x)).sum::<f64>())
            .map(|y| y * y)
            .sum();
        (after / before - 1.0).abs() < SLACK
    })
}
