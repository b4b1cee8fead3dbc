//! How many lists a search probes for its own query.
//!
//! A number of lists that suits the mean query is too large for one in the middle of a list, and too small for one between
//! many, or far from all rows. Of a query's nearest rows, the j-th nearest list (j from 0) is estimated to hold a part
//!
//! w_j / Σ w, w_j = (j + 1)^a · D_j^b,
//!
//! D_j being the squared distance of the query to the list's centroid: all that is known before a list is read. A search probes
//! lists until they hold a given part, which is the same for all queries. Quake (Mohoney and others 2025, adaptive partition
//! scanning) has the same aim and estimates the parts from volumes of balls; here the exponents are fitted, to rows of the table
//! that asked for their neighbours.

mod fit;

pub use fit::{Profile, Widths, fit};

use crate::metric::Metric;

/// A search probes at least one in this many of the mean number of lists, and at most this many times as many.
const LEAST: usize = 8;
const MOST: usize = 2;
/// Distances are compared with that of the 16th nearest list.
const FAR: usize = 15;
/// A query may be a centroid: what is nearer than this part of that distance counts as just as near.
const NEAREST: f32 = 1e-4;
/// Parts are kept for mean numbers of 1, 2, 4 … lists.
pub const PARTS: usize = 24;

/// When a search stops probing lists.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProbeRule {
    /// The exponents a and b.
    pub exponents: [f32; 2],
    /// For each mean number of lists, the part of what the [`ProbeRule::known`] lists hold at which a search stops: 0 to 1.
    pub parts: [f32; PARTS],
}

/// What the logarithm of a squared distance is taken relative to. None where distances say nothing.
fn scale(distances: &[f32]) -> Option<f32> {
    let far = distances.get(FAR).or(distances.last()).copied()?;
    ((far * NEAREST).is_normal() && far.is_finite()).then_some(far)
}

impl ProbeRule {
    /// How many of the nearest lists have to be known to choose among them.
    pub fn known(nprobe: usize, nlist: usize) -> usize {
        nprobe.saturating_mul(MOST).max(FAR + 1).min(nlist)
    }

    /// How many lists a query probes where a mean query probes `nprobe`. `distances`: squared, of the [`ProbeRule::known`] nearest
    /// lists, in their order. Without distances that say something it is `nprobe`, and where this is all lists it is all.
    pub fn lists(&self, nprobe: usize, distances: &[f32]) -> usize {
        let most = nprobe.saturating_mul(MOST).min(distances.len());
        let Some(far) = scale(distances) else { return nprobe.min(most) };
        if nprobe >= distances.len() {
            return distances.len();
        }
        let mut lowest = f32::INFINITY;
        let weights: Vec<f32> = distances
            .iter()
            .take(most)
            .enumerate()
            .map(|(rank, distance)| {
                // A list farther away holds no more.
                lowest = lowest.min(self.weight(rank as f32, (distance / far).max(NEAREST).ln()));
                lowest
            })
            .collect();
        let enough = weights.iter().sum::<f32>() * self.part(nprobe as f32);
        let mut held = 0.0;
        let probed = weights.iter().take_while(|weight| {
            let goes_on = held <= enough;
            held += **weight;
            goes_on
        });
        probed.count().max(least(nprobe)).min(most)
    }

    /// What the list before which `rank` others come holds, in any unit; `distance`: the logarithm of its relative distance.
    fn weight(&self, rank: f32, distance: f32) -> f32 {
        let [of_rank, of_distance] = self.exponents;
        (of_rank * (rank + 1.0).ln() + of_distance * distance).exp()
    }

    /// The part at which a search stops that probes that many lists in the mean: on the line between those kept.
    fn part(&self, nprobe: f32) -> f32 {
        let at = nprobe.max(1.0).log2().min((PARTS - 1) as f32);
        let of = |at: usize| self.parts.get(at).copied().unwrap_or(1.0);
        let before = at as usize;
        of(before) + (of((before + 1).min(PARTS - 1)) - of(before)) * at.fract()
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
    use super::{PARTS, ProbeRule};

    /// All lists alike: half of the known ones are as many as are wanted.
    fn plain() -> ProbeRule {
        ProbeRule { exponents: [0.0, 0.0], parts: [0.499; PARTS] }
    }

    #[test]
    fn where_lists_are_alike_each_query_probes_nprobe() {
        let distances: Vec<f32> = (1..=1000).map(|i| i as f32).collect();
        for nprobe in [4, 16, 64, 128] {
            let known = &distances[..ProbeRule::known(nprobe, 1000)];
            assert_eq!(plain().lists(nprobe, known), nprobe);
        }
        assert_eq!((ProbeRule::known(1, 1000), ProbeRule::known(10, 1000)), (16, 20));
        assert_eq!((ProbeRule::known(600, 1000), ProbeRule::known(1, 3)), (1000, 3));
    }

    #[test]
    fn a_query_near_its_centroid_probes_fewer_lists() {
        let rule = ProbeRule { exponents: [-1.0, -4.0], parts: [0.8; PARTS] };
        let distances = |first: f32| {
            let others = (1..200).map(|i| 1.0 + i as f32 / 200.0);
            std::iter::once(first).chain(others).collect::<Vec<f32>>()
        };
        let lists = |first| rule.lists(32, &distances(first)[..64]);
        assert!(lists(0.3) < lists(0.8) && lists(0.8) < lists(1.0));
        assert_eq!((lists(0.0), lists(1e-9)), (4, 4), "an eighth at least");
        let eager = ProbeRule { parts: [1.0; PARTS], ..rule };
        assert_eq!(eager.lists(32, &distances(1.0)[..64]), 64, "twice as many at most");
        assert_eq!(rule.lists(128, &distances(0.0)[..128]), 128, "all where all are asked for");
        // Far from all lists alike.
        assert!(rule.lists(32, &[9.0; 64]) > lists(1.0));
    }

    #[test]
    fn distances_that_say_nothing_leave_nprobe() {
        for distance in [0.0, f32::INFINITY, f32::NAN, f32::MIN_POSITIVE] {
            assert_eq!(plain().lists(8, &[distance; 32]), 8, "{distance}");
        }
        assert_eq!((plain().lists(8, &[0.0; 3]), plain().lists(8, &[])), (3, 0));
    }
}
