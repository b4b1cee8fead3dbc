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
    /// The largest hit that was handed out: none up to it is turned away, else a pass for what was turned away would meet
    /// those handed out again.
    floor: Option<Hit>,
}

impl TopK {
    /// Room for the k smallest hits; memory grows with the hits, up to 2k of them.
    pub fn new(k: usize) -> Self {
        TopK { k, hits: Vec::new(), worst: None, floor: None }
    }

    /// Forgets everything and keeps k hits from now on; keeps the memory.
    pub fn reset(&mut self, k: usize) {
        self.k = k;
        self.hits.clear();
        self.worst = None;
        self.floor = None;
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
            let worst = *worst;
            match self.floor.filter(|floor| floor.order(&worst).is_gt()) {
                Some(floor) => {
                    self.hits.retain(|hit| hit.order(&floor).is_le());
                    self.worst = Some(floor);
                }
                None => {
                    self.hits.truncate(self.k);
                    self.worst = Some(worst);
                }
            }
        } else if self.hits.len() == self.k {
            self.worst = self.hits.iter().copied().chain(self.floor).max_by(Hit::order);
        }
    }

    /// Beyond which hits were turned away: every hit up to this one that was offered, was kept. None: none was turned away.
    pub fn horizon(&self) -> Option<Hit> {
        self.worst
    }

    /// Moves the n smallest hits to the end of `out`, in any order, and keeps the others. Hits beyond the horizon are still
    /// turned away.
    pub fn take_smallest(&mut self, n: usize, out: &mut Vec<Hit>) {
        let before = out.len();
        if n >= self.hits.len() {
            out.append(&mut self.hits);
        } else if n > 0 {
            let rest = self.hits.len() - n;
            self.hits.select_nth_unstable_by(rest, |a, b| b.order(a));
            out.extend(self.hits.drain(rest..));
        }
        let taken = out.iter().skip(before).copied();
        self.floor = taken.chain(self.floor).max_by(Hit::order);
    }

    /// Makes room for the k smallest of those that are kept and those still to come, and turns none away until then.
    pub fn reopen(&mut self, k: usize) {
        self.k = k.max(self.hits.len() + 1);
        self.worst = None;
    }

    /// Drops what is kept and its memory, as if everything beyond `last` had been turned away.
    pub fn forget_beyond(&mut self, last: Option<Hit>) {
        if !self.hits.is_empty() {
            self.worst = last;
        }
        self.floor = last.into_iter().chain(self.floor).max_by(Hit::order);
        self.hits = Vec::new();
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

    /// Hits come in portions, each the smallest that are left; a second pass brings what was turned away in the first.
    #[test]
    fn portions_come_in_order_and_passes_bring_the_rest() {
        let mut rng = Rng::new(3);
        for (n, k, portion) in [(0, 3, 1), (3, 3, 2), (1000, 40, 7), (1000, 40, 100), (79, 100, 9)]
        {
            let hits: Vec<Hit> =
                (0..n).map(|id| Hit { key: rng.below(30).into(), id, at: 0 }).collect();
            let (mut top, mut out, mut all) = (TopK::new(k), Vec::new(), Vec::new());
            hits.iter().for_each(|hit| top.push(*hit));
            loop {
                out.clear();
                top.take_smallest(portion, &mut out);
                out.sort_by(Hit::order);
                all.extend(out.iter().map(|hit| hit.id));
                if out.is_empty() {
                    let Some(after) = top.horizon() else { break };
                    top.reopen(k);
                    let beyond = hits.iter().filter(|hit| hit.order(&after).is_gt());
                    beyond.for_each(|hit| top.push(*hit));
                }
            }
            assert_eq!(all, expected(hits, n as usize));
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
