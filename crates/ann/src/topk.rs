//! The k best hits of a scan.

use std::cmp::Ordering;

/// A candidate row: its distance, and a number that names it and breaks ties.
#[derive(Clone, Copy, Debug)]
pub struct Hit {
    /// Smaller is nearer; NaN orders last.
    pub key: f64,
    /// Names the row, and breaks ties.
    pub id: u64,
    /// Where the row is stored, for who looks it up again; no part of the order.
    pub at: u64,
}

impl Hit {
    /// The total order of results: by key, NaN last, −0 equal to +0, ties by id.
    #[inline]
    pub fn order(&self, other: &Hit) -> Ordering {
        // Selection compares keys that it cannot foresee: there is one branch, and it is hardly ever taken.
        let (less, greater) = (self.key < other.key, self.key > other.key);
        if less | greater { greater.cmp(&less) } else { self.rank().cmp(&other.rank()) }
    }

    /// A number of the same order.
    #[inline]
    fn rank(&self) -> u128 {
        // +0 joins the zeros, and a NaN of either sign sorts last.
        let bits = (self.key + 0.0).to_bits();
        let ordered = bits ^ (((bits as i64) >> 63) as u64 | 1 << 63);
        let key = if self.key.is_nan() { u64::MAX } else { ordered };
        (u128::from(key) << 64) | u128::from(self.id)
    }
}

/// The k smallest hits, selected without a heap operation per candidate: candidates collect in a buffer of
/// 2k, which is cut back to k by selection when it is full. Reusable through `reset`.
#[derive(Debug)]
pub struct TopK {
    k: usize,
    hits: Vec<Hit>,
    /// No hit beyond this one can be among the k smallest; `None` until k hits were seen.
    worst: Option<Hit>,
}

impl TopK {
    /// Room for the k smallest hits; memory grows with the hits, up to 2k of them.
    pub fn new(k: usize) -> Self {
        TopK { k, hits: Vec::new(), worst: None }
    }

    /// Forgets everything and keeps k hits from now on; keeps the memory.
    pub fn reset(&mut self, k: usize) {
        self.k = k;
        self.hits.clear();
        self.worst = None;
    }

    /// The largest key that can still enter: +∞ until k hits were seen. A scan passes over candidates with
    /// `key > threshold()`; an equal key may enter through its id. NaN while the k-th hit's key is NaN
    /// (then everything may enter, and the same comparison says so).
    #[inline]
    pub fn threshold(&self) -> f64 {
        self.worst.map_or(f64::INFINITY, |worst| worst.key)
    }

    /// Offers a hit.
    #[inline]
    pub fn push(&mut self, hit: Hit) {
        if self.worst.is_some_and(|worst| hit.order(&worst) != Ordering::Less) {
            return;
        }
        if self.k == 0 {
            return;
        }
        self.hits.push(hit);
        if self.hits.len() == self.k || self.hits.len() == self.k.saturating_mul(2) {
            self.cut();
        }
    }

    /// How many hits a sorted result would have: at most k.
    pub fn len(&self) -> usize {
        self.hits.len().min(self.k)
    }

    /// True when nothing was kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn cut(&mut self) {
        if self.hits.len() > self.k {
            let (_, worst, _) = self.hits.select_nth_unstable_by(self.k - 1, Hit::order);
            self.worst = Some(*worst);
            self.hits.truncate(self.k);
        } else if self.hits.len() == self.k {
            self.worst = self.hits.iter().copied().max_by(Hit::order);
        }
    }

    /// Replaces the contents of `out` by the hits, the last of their order at the end, the others in any order, and empties
    /// this one as [`TopK::sort_into`] does.
    pub fn take_into(&mut self, out: &mut Vec<Hit>) {
        self.cut();
        let last = (0..self.hits.len()).max_by_key(|at| self.hits.get(*at).map(Hit::rank));
        if let Some(last) = last {
            let end = self.hits.len() - 1;
            self.hits.swap(last, end);
        }
        out.clear();
        out.append(&mut self.hits);
        self.worst = None;
    }

    /// Replaces the contents of `out` by the hits in their order and empties this one, ready for another scan
    /// with the same k.
    pub fn sort_into(&mut self, out: &mut Vec<Hit>) {
        self.cut();
        self.hits.sort_unstable_by(Hit::order);
        out.clear();
        out.append(&mut self.hits);
        self.worst = None;
    }

    /// The hits in their order.
    pub fn into_sorted(mut self) -> Vec<Hit> {
        self.cut();
        self.hits.sort_unstable_by(Hit::order);
        self.hits
    }
}

#[cfg(test)]
mod tests {
    use super::{Hit, TopK};
    use crate::rng::Rng;

    fn expected(mut hits: Vec<Hit>, k: usize) -> Vec<u64> {
        hits.sort_by(Hit::order);
        hits.into_iter().take(k).map(|hit| hit.id).collect()
    }

    #[test]
    fn taken_without_an_order_the_last_is_at_the_end() {
        let mut rng = Rng::new(3);
        for (n, k) in [(0, 3), (2, 3), (3, 3), (4, 3), (1000, 40), (79, 40), (80, 40)] {
            let hits: Vec<Hit> =
                (0..n).map(|id| Hit { key: rng.below(30).into(), id, at: 0 }).collect();
            let (mut top, mut out) = (TopK::new(k), Vec::new());
            hits.iter().for_each(|hit| top.push(*hit));
            top.take_into(&mut out);
            assert!(top.is_empty());
            let last = out.last().map(|hit| hit.id);
            let mut ids: Vec<u64> = out.iter().map(|hit| hit.id).collect();
            let mut expected = expected(hits, k);
            assert_eq!(last, expected.last().copied());
            ids.sort_unstable();
            expected.sort_unstable();
            assert_eq!(ids, expected);
        }
    }

    #[test]
    fn equals_a_full_sort() {
        let mut rng = Rng::new(7);
        let mut top = TopK::new(1);
        for k in [0, 1, 2, 10, 99, 100, 101, 500] {
            // Few distinct keys, so that ties and NaN are common.
            let mut draw = || {
                let key = match rng.below(40) {
                    0 => f64::NAN,
                    1 => -0.0,
                    x => f64::from(x) - 20.0,
                };
                Hit { key, id: u64::from(rng.below(1000)), at: 0 }
            };
            let hits: Vec<Hit> = (0..300).map(|_| draw()).collect();
            top.reset(k);
            for hit in &hits {
                let passed_over = hit.key > top.threshold();
                let before = top.hits.len();
                top.push(*hit);
                assert!(!passed_over || top.hits.len() == before);
            }
            assert_eq!(top.len(), k.min(300));
            let mut out = Vec::new();
            top.sort_into(&mut out);
            assert_eq!(out.iter().map(|hit| hit.id).collect::<Vec<_>>(), expected(hits, k));
            assert!(top.is_empty());
        }
    }

    #[test]
    fn threshold_falls_once_k_were_seen() {
        let mut top = TopK::new(2);
        top.push(Hit { key: 5.0, id: 1, at: 0 });
        assert_eq!(top.threshold(), f64::INFINITY);
        top.push(Hit { key: 3.0, id: 2, at: 0 });
        assert_eq!(top.threshold(), 5.0);
        top.push(Hit { key: 4.0, id: 3, at: 0 });
        assert!(top.threshold() <= 5.0);
        assert_eq!(top.into_sorted().iter().map(|hit| hit.id).collect::<Vec<_>>(), [2, 3]);
    }
}
