//! How many lists a search probes for its own query.
//!
//! A number of lists that suits the average query is too large for one in the middle of a list, and too small for one between
//! many. How many of its nearest rows the j-th nearest list holds (j from 0) is estimated by
//!
//! λ = c · (j + 1)^a · D_j^b · D_first^d · D_16th^e,
//!
//! D being the squared distance of the query to a list's centroid. All of that is known before a list is read. A search goes on
//! as long as λ is above a limit. One limit for all queries finds the most neighbours by a mean number of lists. Quake (Mohoney and
//! others 2025, adaptive partition scanning) estimates the same from volumes of balls; here the exponents are fitted, to rows
//! of the table that asked for their neighbours.

mod fit;

pub use fit::{Profile, Widths, fit};

use crate::metric::Metric;

/// A search probes at least one in this many of the mean number of lists, and at most this many times as many.
const LEAST: usize = 8;
const MOST: usize = 4;
/// Which distance tells how far lists are in general: that of the 16th nearest.
const FAR: usize = 15;
/// Nearer than this part of the distance of the far list is as near as this: a query may be a centroid.
const NEAREST: f32 = 1e-4;
/// Limits are kept for mean numbers of 1, 2, 4 … lists.
pub const LIMITS: usize = 24;

/// When a search stops probing lists.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProbeRule {
    /// The exponents a, b, d and e.
    pub exponents: [f32; 4],
    /// The logarithm of λ/c at which a search stops, for each mean number of lists; they fall.
    pub limits: [f32; LIMITS],
}

/// Logarithms of what a query's lists are compared with.
#[derive(Debug, Clone, Copy)]
struct Scale {
    floor: f32,
    first: f32,
    far: f32,
}

impl Scale {
    /// None where distances say nothing.
    fn new(first: f32, far: f32) -> Option<Self> {
        let floor = far * NEAREST;
        let is_usable = floor.is_normal() && far.is_finite() && first.is_finite();
        is_usable.then(|| Self { floor, first: first.max(floor).ln(), far: far.ln() })
    }
}

impl ProbeRule {
    /// How many of the nearest lists have to be known to choose among them.
    pub fn known(nprobe: usize, nlist: usize) -> usize {
        nprobe.saturating_mul(MOST).max(FAR + 1).min(nlist)
    }

    /// How many lists a query probes where a mean query probes `nprobe`. `distances`: squared, of the [`ProbeRule::known`] nearest
    /// lists, in their order. Without distances that say something it is `nprobe`.
    pub fn lists(&self, nprobe: usize, distances: &[f32]) -> usize {
        let most = nprobe.saturating_mul(MOST).min(distances.len());
        let far = distances.get(FAR).or(distances.last());
        let scale = distances.first().zip(far).and_then(|(first, far)| Scale::new(*first, *far));
        let Some(scale) = scale else { return nprobe.min(distances.len()) };
        let (least, limit) = (least(nprobe).min(most), self.limit(nprobe as f32));
        let others = (least..).zip(distances.get(least..most).unwrap_or_default());
        let goes_on = |(rank, distance): &(usize, &f32)| {
            self.score(scale, *rank as f32, distance.max(scale.floor).ln()) >= limit
        };
        least + others.take_while(goes_on).count()
    }

    /// The logarithm of λ/c. `rank`: how many lists are nearer; `distance`: the logarithm of the list's own.
    fn score(&self, scale: Scale, rank: f32, distance: f32) -> f32 {
        let [of_rank, of_own, of_first, of_far] = self.exponents;
        let by_rank = of_rank * (rank + 1.0).ln();
        by_rank + of_own * distance + of_first * scale.first + of_far * scale.far
    }

    /// At which score a search stops that probes that many lists in the mean: on the line between those kept.
    fn limit(&self, nprobe: f32) -> f32 {
        let at = nprobe.max(1.0).log2().min((LIMITS - 1) as f32);
        let of = |at: usize| self.limits.get(at).copied().unwrap_or(f32::NEG_INFINITY);
        let before = at as usize;
        of(before) + (of((before + 1).min(LIMITS - 1)) - of(before)) * at.fract()
    }
}

/// Makes squared distances of coarse ones. Under a spherical metric, where these are negative inner products with centroids of norm
/// 1, they are those of a query of norm 1.
pub fn squared(metric: Metric, query: &[f32], distances: &mut [f32]) {
    if !metric.is_spherical() {
        return;
    }
    let norm = query.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt() as f32;
    for distance in distances {
        *distance = 2.0 * (1.0 + *distance / norm);
    }
}

/// The fewest lists that a search probes.
fn least(nprobe: usize) -> usize {
    nprobe.div_ceil(LEAST)
}

#[cfg(test)]
mod tests {
    use super::{LIMITS, ProbeRule};

    /// By ranks alone.
    fn plain() -> ProbeRule {
        let limits = std::array::from_fn(|i| -((1u64 << i) as f32 + 0.5).ln());
        ProbeRule { exponents: [-1.0, 0.0, 0.0, 0.0], limits }
    }

    #[test]
    fn ranks_alone_are_nprobe() {
        let distances: Vec<f32> = (1..=1000).map(|i| i as f32).collect();
        for nprobe in [1, 2, 4, 16, 64, 128] {
            let known = &distances[..ProbeRule::known(nprobe, 1000)];
            assert_eq!(plain().lists(nprobe, known), nprobe);
        }
        assert_eq!((ProbeRule::known(1, 1000), ProbeRule::known(10, 1000)), (16, 40));
        assert_eq!((ProbeRule::known(400, 1000), ProbeRule::known(1, 3)), (1000, 3));
    }

    #[test]
    fn a_query_near_its_centroid_probes_fewer_lists() {
        let rule = ProbeRule { exponents: [-1.0, -4.0, 4.0, 0.0], ..plain() };
        let distances = |first: f32| {
            let others = (1..200).map(|i| 1.0 + i as f32 / 200.0);
            std::iter::once(first).chain(others).collect::<Vec<f32>>()
        };
        let lists = |first| rule.lists(32, &distances(first)[..128]);
        assert!(lists(0.3) < lists(0.8) && lists(0.8) < lists(1.0));
        assert_eq!((lists(0.0), lists(1e-9)), (4, 4), "an eighth at least");
        let eager = ProbeRule { limits: [f32::MIN; LIMITS], ..rule };
        assert_eq!(eager.lists(32, &distances(1.0)[..128]), 128, "four times as many at most");
    }

    #[test]
    fn distances_that_say_nothing_leave_nprobe() {
        for distance in [0.0, f32::INFINITY, f32::NAN, f32::MIN_POSITIVE] {
            assert_eq!(plain().lists(8, &[distance; 32]), 8, "{distance}");
        }
        assert_eq!((plain().lists(8, &[1.0; 3]), plain().lists(8, &[])), (3, 0));
    }
}
