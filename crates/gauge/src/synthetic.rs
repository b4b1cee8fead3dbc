//! Clustered synthetic vectors: a mixture of Gaussians drawn in a low latent dimension and mapped
//! up. Uniform or well separated vectors would be no test: real embeddings have a local dimension
//! of 20 to 30 and clusters that overlap.

use crate::vectors::{Dataset, Metric, Vectors};
use anyhow::{Result, ensure};

/// What to draw. Row `i` depends on the seed and `i` alone, so a longer set begins with the shorter
/// one.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    pub rows: usize,
    pub queries: usize,
    pub dims: usize,
    /// Dimension of the space the mixture lives in.
    pub latent: usize,
    /// Components of the mixture; their weights fall like 1/√rank.
    pub clusters: usize,
    pub seed: u64,
}

/// Spread of a component relative to the spread of the centres.
const SIGMA: f64 = 0.6;
/// Noise added in the full space, relative to one latent axis.
const NOISE: f64 = 0.05;

/// Draws base rows and queries from the same mixture.
pub fn generate(r: &Recipe, metric: Metric) -> Result<Dataset> {
    ensure!(r.latent >= 1 && r.clusters >= 1, "latent and clusters must be at least 1");
    let mixture = Mixture::draw(r);
    let base = (0..r.rows).flat_map(|i| mixture.row(stream(r.seed, 1, i))).collect();
    let queries = (0..r.queries).flat_map(|i| mixture.row(stream(r.seed, 2, i))).collect();
    Dataset {
        name: format!("synthetic-{}d", r.dims),
        metric,
        base: Vectors::new(r.dims, base)?,
        queries: Vectors::new(r.dims, queries)?,
        given: None,
    }
    .validate()
}

struct Mixture {
    latent: usize,
    dims: usize,
    centres: Vec<f64>,
    /// Cumulative weights, the last is 1.
    cumulative: Vec<f64>,
    /// `latent` × `dims`, row-major.
    map: Vec<f64>,
}

impl Mixture {
    fn draw(r: &Recipe) -> Mixture {
        let mut rng = stream(r.seed, 0, 0);
        let centres = (0..r.clusters * r.latent).map(|_| rng.gaussian()).collect();
        let scale = 1.0 / (r.latent as f64).sqrt();
        let map = (0..r.latent * r.dims).map(|_| rng.gaussian() * scale).collect();
        let weights = (0..r.clusters).map(|c| 1.0 / ((c + 1) as f64).sqrt());
        let total: f64 = weights.clone().sum();
        let cumulative = weights
            .scan(0.0, |sum, w| {
                *sum += w / total;
                Some(*sum)
            })
            .collect();
        Mixture { latent: r.latent, dims: r.dims, centres, cumulative, map }
    }

    fn row(&self, mut rng: Random) -> Vec<f32> {
        let u = rng.uniform();
        let last = self.cumulative.len() - 1;
        let c = self.cumulative.partition_point(|&w| w < u).min(last);
        let centre = &self.centres[c * self.latent..(c + 1) * self.latent];
        let mut out: Vec<f64> = (0..self.dims).map(|_| NOISE * rng.gaussian()).collect();
        for (z, map) in centre.iter().zip(self.map.chunks_exact(self.dims)) {
            let z = z + SIGMA * rng.gaussian();
            out.iter_mut().zip(map).for_each(|(x, m)| *x += z * m);
        }
        out.into_iter().map(|x| x as f32).collect()
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014), with normal deviates by Box and Muller.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

/// An independent generator for item `i` of stream `kind`.
pub fn stream(seed: u64, kind: u64, i: usize) -> Random {
    let mut rng = Random { state: seed ^ kind.wrapping_mul(0xD1B5_4A32_D192_ED03) };
    let start = rng.bits().wrapping_add((i as u64).wrapping_mul(0xA24B_AED4_963E_E407));
    Random { state: start }
}

impl Random {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn gaussian(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPE: Recipe =
        Recipe { rows: 300, queries: 20, dims: 24, latent: 6, clusters: 10, seed: 7 };

    #[test]
    fn the_same_seed_draws_the_same_rows() {
        let a = generate(&RECIPE, Metric::L2).unwrap();
        let b = generate(&RECIPE, Metric::L2).unwrap();
        assert_eq!((&a.base, &a.queries), (&b.base, &b.queries));
        let other = generate(&Recipe { seed: 8, ..RECIPE }, Metric::L2).unwrap();
        assert_ne!(a.base, other.base);
    }

    #[test]
    fn a_longer_set_begins_with_the_shorter_one() {
        let short = generate(&RECIPE, Metric::L2).unwrap();
        let long = generate(&Recipe { rows: 500, ..RECIPE }, Metric::L2).unwrap();
        assert_eq!(long.base.first(300), short.base);
        assert_eq!(long.queries, short.queries);
    }

    #[test]
    fn rows_are_clustered_but_not_separated() {
        let set = generate(&Recipe { rows: 2000, ..RECIPE }, Metric::L2).unwrap();
        let from_first: Vec<f64> =
            set.base.rows().skip(1).map(|r| Metric::L2.distance(set.base.row(0), r)).collect();
        let mean = from_first.iter().sum::<f64>() / from_first.len() as f64;
        let nearest = from_first.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(nearest < 0.7 * mean, "nearest {nearest}, mean {mean}");
        assert!(nearest > 0.05 * mean, "nearest {nearest}, mean {mean}");
    }

    #[test]
    fn gaussians_have_mean_zero_and_variance_one() {
        let mut rng = stream(1, 2, 3);
        let draws: Vec<f64> = (0..20_000).map(|_| rng.gaussian()).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }
}
