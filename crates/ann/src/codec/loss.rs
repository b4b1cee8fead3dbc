//! What a code loses: how far what it stands for is from what was coded.

use super::{CodeKind, Codec, Coding, LANES, Space, UNIT};
use crate::kernels::l2_sqr;
use crate::metric::Metric;

/// Measures the squared distance of points to what a trained code says of them. A point is its own query to its own
/// code, by Euclidean distance whatever the index's metric: codes are chosen by that.
pub struct CodeLoss {
    codec: Codec,
    query: <Codec as Coding>::Query,
    code: Vec<u8>,
    units: Vec<u8>,
}

impl CodeLoss {
    /// For codes of this kind with these trained parameters (`Coding::params`). `None` where nothing is trained, so that
    /// nothing can go out of date: 16-bit floats, RaBitQ.
    pub fn new(kind: CodeKind, dims: usize, params: &[f32]) -> Option<Self> {
        if kind.params_len(dims) == 0 {
            return None;
        }
        let space = Space { dims, metric: Metric::L2 };
        let codec = Codec::from_params(kind, space, params.to_vec())?;
        let query = codec.query();
        let (code, units) = (vec![0; codec.bare_size()], vec![0; codec.units() * UNIT]);
        Some(Self { codec, query, code, units })
    }

    /// The squared distance of `x`, a member of the list with this centroid, to what its code stands for. `x` is as it is
    /// coded: rotated and, under cosine, of norm 1.
    pub fn of(&mut self, x: &[f32], centroid: &[f32]) -> f32 {
        self.codec.encode(x, centroid, &mut self.code, &mut []);
        self.units.fill(0);
        self.codec.pack(&self.code, 0, 0, &mut self.units);
        self.codec.prepare(&mut self.query, x);
        self.codec.enter_list(&mut self.query, centroid, l2_sqr(x, centroid));
        let mut estimates = [0.0; LANES];
        self.codec.block(&self.query, &self.units, &[], f32::INFINITY, &mut estimates);
        // Tables of 8-bit integers may put what is almost nothing below zero.
        estimates.first().copied().unwrap_or_default().max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::CodeLoss;
    use crate::codec::{CodeKind, Codec, Coding, Space, train};
    use crate::metric::Metric;
    use crate::parallel::Job;
    use crate::rng::Rng;

    const DIMS: usize = 16;

    fn points(n: usize, scale: f32, seed: u64) -> Vec<f32> {
        let mut rng = Rng::new(seed);
        (0..n * DIMS).map(|_| (rng.unit() - 0.5) * scale).collect()
    }

    fn mean_loss(kind: CodeKind, codec: &Codec, points: &[f32], centroid: &[f32]) -> f32 {
        let mut loss = CodeLoss::new(kind, DIMS, codec.params()).unwrap();
        let n = points.len() / DIMS;
        points.chunks_exact(DIMS).map(|x| loss.of(x, centroid)).sum::<f32>() / n as f32
    }

    #[test]
    fn more_bits_lose_less_and_strangers_lose_more() {
        let training = points(2000, 1.0, 1);
        let zeros = vec![0.0; DIMS];
        let mut last = f32::INFINITY;
        for kind in
            [CodeKind::PqFs { m: 8 }, CodeKind::Pq { m: 8, nbits: 6 }, CodeKind::Sq4, CodeKind::Sq8]
        {
            for metric in [Metric::L2, Metric::InnerProduct] {
                let space = Space { dims: DIMS, metric };
                let codec = train(kind, space, &training, 1, &Job::default()).unwrap();
                let own = mean_loss(kind, &codec, &points(500, 1.0, 2), &zeros);
                let strange = mean_loss(kind, &codec, &points(500, 3.0, 3), &zeros);
                assert!(own < last && own > 0.0, "{kind}: {own} after {last}");
                assert!(strange > 2.0 * own, "{kind}: {strange} of strangers, {own} of its own");
                if metric == Metric::InnerProduct {
                    last = own;
                }
            }
        }
    }

    #[test]
    fn residuals_lose_what_vectors_lose_that_are_coded_whole() {
        let training = points(2000, 1.0, 1);
        let centroid = points(1, 5.0, 4);
        let kind = CodeKind::Sq8;
        let space = Space { dims: DIMS, metric: Metric::L2 };
        let codec = train(kind, space, &training, 1, &Job::default()).unwrap();
        let moved: Vec<f32> =
            training.iter().zip(centroid.iter().cycle()).map(|(x, c)| x + c).collect();
        let (whole, residual) = (
            mean_loss(kind, &codec, &training, &[0.0; DIMS]),
            mean_loss(kind, &codec, &moved, &centroid),
        );
        assert!((whole - residual).abs() < whole * 0.05, "{whole} and {residual}");
    }

    #[test]
    fn what_is_not_trained_has_no_loss_to_compare() {
        for kind in [CodeKind::SqFp16, CodeKind::RaBitQ { nbits: 4 }] {
            assert!(CodeLoss::new(kind, DIMS, &[]).is_none());
        }
    }
}
