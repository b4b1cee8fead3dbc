//! What happens to a vector before it is assigned to a list and coded: division by its norm, rotation.

use ann::element::Element;
use ann::kernels::norm_sqr;
use ann::metric::Metric;
use ann::parallel::Job;
use ann::rotation::Rotation;
use pages::meta::CodeParams;

/// The steps of one index. An index without a lossy code has none.
#[derive(Clone, Copy, Default)]
pub struct Transform<'a> {
    normalize: bool,
    rotation: Option<&'a Rotation>,
}

impl<'a> Transform<'a> {
    /// The steps of a coded index.
    pub fn new(metric: Metric, params: &CodeParams, rotation: Option<&'a Rotation>) -> Self {
        Self { normalize: params.normalize || metric == Metric::Cosine, rotation }
    }

    /// Division by the norm at most.
    pub fn unit_length(normalize: bool) -> Self {
        Self { normalize, rotation: None }
    }

    /// One vector, into `out`.
    pub fn apply<E: Element>(&self, elements: &[E], out: &mut Vec<f32>) {
        let mut widened: Vec<f32> = elements.iter().map(|x| x.to_f32()).collect();
        self.normalize(&mut widened);
        match self.rotation {
            Some(rotation) => rotation.apply(&widened, out),
            None => *out = widened,
        }
    }

    /// Many vectors of `dims` elements, on the pool it is called in.
    pub fn apply_batch<E: Element>(&self, elements: &[E], dims: usize, job: &Job) -> Vec<f32> {
        let mut points: Vec<f32> = elements.iter().map(|x| x.to_f32()).collect();
        for point in points.chunks_exact_mut(dims.max(1)) {
            self.normalize(point);
        }
        let Some(rotation) = self.rotation else { return points };
        let mut rotated = vec![0.0; points.len()];
        rotation.apply_batch(&points, &mut rotated, job);
        rotated
    }

    /// A vector without direction stays as it is.
    fn normalize(&self, point: &mut [f32]) {
        let norm = f64::from(norm_sqr(point)).sqrt();
        if self.normalize && norm > 0.0 {
            point.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
        }
    }
}
