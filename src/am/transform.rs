//! What happens to a vector before it is assigned to a list and coded: it is shortened where arithmetic would overflow,
//! divided by its norm, rotated.

use ann::element::Element;
use ann::extent;
use ann::metric::Metric;
use ann::parallel::Job;
use ann::rotation::Rotation;
use pages::lists::CodeParams;

/// The steps of one index. Without a lossy code there is the first alone.
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

    /// One vector's components, into `out`.
    pub fn apply(&self, point: &[f32], out: &mut Vec<f32>) {
        let mut widened = point.to_vec();
        self.fit_in(&mut widened);
        match self.rotation {
            Some(rotation) => rotation.apply(&widened, out),
            None => *out = widened,
        }
    }

    /// Many vectors of `dims` components, on the pool it is called in.
    pub fn apply_batch<E: Element>(&self, elements: &[E], dims: usize, job: &Job) -> Vec<f32> {
        let rows = elements.chunks_exact(E::count(dims).max(1));
        let mut points = vec![0.0; rows.len() * dims];
        points.chunks_exact_mut(dims.max(1)).zip(rows).for_each(|(to, row)| E::widen(row, to));
        for point in points.chunks_exact_mut(dims.max(1)) {
            self.fit_in(point);
        }
        let Some(rotation) = self.rotation else { return points };
        let mut rotated = vec![0.0; points.len()];
        rotation.apply_batch(&points, &mut rotated, job);
        rotated
    }

    /// A vector without direction stays as it is.
    fn fit_in(&self, point: &mut [f32]) {
        if self.normalize { extent::normalize(point) } else { extent::shorten(point) }
    }
}
