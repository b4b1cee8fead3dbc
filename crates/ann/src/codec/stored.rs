//! Vectors that an index keeps beside its lossy codes, to re-rank by: as the column has them, or smaller.

use half::f16;

use super::sq::Sq;
use super::{CodeKind, Coding, Space};
use crate::element::Element;
use crate::factory::Refine;
use crate::kmeans::TrainError;
use crate::metric::Metric;

/// How vectors are stored for `refine`.
#[derive(Clone, Debug)]
pub enum Stored {
    /// Not at all.
    None,
    /// As the column has them: exact.
    Flat,
    /// As 16-bit floats; what is too large for one becomes the largest.
    SqFp16,
    /// 8 bits a component of the vector itself.
    Sq8(Sq),
}

fn sq8(dims: usize, params: Vec<f32>) -> Option<Stored> {
    let space = Space { dims, metric: Metric::L2 };
    Sq::new(CodeKind::Sq8, space, params).map(Stored::Sq8)
}

impl Stored {
    /// Trains on vectors as the column has them, row-major.
    pub fn train(refine: Refine, dims: usize, points: &[f32]) -> Result<Self, TrainError> {
        let shape = TrainError::Shape { points: points.len() / dims.max(1), k: 1, dims };
        match refine {
            Refine::Sq8 => {
                let params = Sq::train(points, dims)?;
                sq8(dims, params).ok_or(shape)
            }
            other => Self::from_params(other, dims, Vec::new()).ok_or(shape),
        }
    }

    /// With these trained parameters; `None` if they are not as many as such vectors have.
    pub fn from_params(refine: Refine, dims: usize, params: Vec<f32>) -> Option<Self> {
        match refine {
            Refine::Heap => params.is_empty().then_some(Stored::None),
            Refine::Flat => params.is_empty().then_some(Stored::Flat),
            Refine::SqFp16 => params.is_empty().then_some(Stored::SqFp16),
            Refine::Sq8 if params.len() == CodeKind::Sq8.params_len(dims) => sq8(dims, params),
            Refine::Sq8 => None,
        }
    }

    /// The trained parameters.
    pub fn params(&self) -> &[f32] {
        match self {
            Stored::Sq8(sq) => sq.params(),
            _ => &[],
        }
    }

    /// Writes a vector as it is stored. `out` has exactly as many bytes as that takes, else it is left alone.
    pub fn put<E: Element>(&self, elements: &[E], out: &mut [u8]) {
        match self {
            Stored::None => {}
            Stored::Flat => {
                let bytes: &[u8] = bytemuck::cast_slice(elements);
                if bytes.len() == out.len() {
                    out.copy_from_slice(bytes);
                }
            }
            Stored::SqFp16 => {
                let largest = f16::MAX.to_f32();
                let wide = E::widened(elements, elements.len() * E::COMPONENTS);
                for (place, x) in out.chunks_exact_mut(size_of::<f16>()).zip(wide) {
                    let half = f16::from_f32(x.clamp(-largest, largest));
                    place.copy_from_slice(&half.to_le_bytes());
                }
            }
            Stored::Sq8(sq) if out.len() == elements.len() => {
                let wide = E::widened(elements, elements.len());
                sq.encode(&wide, &[], out, &mut []);
            }
            Stored::Sq8(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_vectors_are_near_the_vectors() {
        let points: Vec<f32> = (0..400).map(|i| (i as f32 * 0.7).sin() * 9.0).collect();
        let half = Stored::train(Refine::SqFp16, 8, &points).unwrap();
        let mut out = [0; 16];
        half.put(&points[..8], &mut out);
        let decoded = out.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32());
        assert!(decoded.zip(&points).all(|(a, b)| (a - b).abs() < 0.01));
        half.put(&[f32::MAX; 8], &mut out);
        assert!(out.as_chunks().0.iter().all(|b| f16::from_le_bytes(*b) == f16::MAX));

        let bytes = Stored::train(Refine::Sq8, 8, &points).unwrap();
        let mut out = [0; 8];
        bytes.put(&points[8..16], &mut out);
        let Stored::Sq8(sq) = &bytes else { unreachable!() };
        assert!(sq.decode(&out).iter().zip(&points[8..16]).all(|(a, b)| (a - b).abs() < 0.05));
        let again = Stored::from_params(Refine::Sq8, 8, bytes.params().to_vec()).unwrap();
        assert_eq!(again.params(), bytes.params());
        assert!(Stored::from_params(Refine::Sq8, 8, vec![1.0]).is_none());
    }
}
