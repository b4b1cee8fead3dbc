//! First candidates that were found for many scans together, and are re-ranked by whoever found them.

use ann::topk::Hit;

use super::{Candidates, RerankScan};

/// Candidates that may have been found for many scans at once.
pub trait FoundTogether: Candidates {
    /// The first candidates, if they were found together with those of other scans and none of them was taken yet.
    fn first_found(&self) -> &[Hit];

    /// Takes what `first_found` says: the second candidates come next.
    fn take_first_found(&mut self) -> &[Hit];
}

/// A scan whose first candidates were found together with those of others may be given their keys, computed for many scans
/// at once. What it is not given, it looks for itself.
impl<C: FoundTogether> RerankScan<C> {
    /// The first candidates, until they are taken in.
    pub fn first_candidates(&self) -> &[Hit] {
        self.scan.first_found()
    }

    /// Takes the first candidates in by their real keys, in their order; None: no row.
    pub fn take_first(&mut self, keys: &[Option<f64>]) {
        let candidates = self.scan.take_first_found();
        for (hit, key) in candidates.iter().zip(keys) {
            if let Some(key) = key {
                self.errors.push(hit.key, *key);
            }
        }
        take(candidates, keys, &mut self.fresh);
        self.candidates += self.fresh.len() as u64;
        self.take_in();
        self.ask_for_more();
    }

    /// Takes the first candidates in by keys that narrow them down.
    pub fn narrow_first(&mut self, keys: &[Option<f64>]) {
        let candidates = self.scan.take_first_found();
        self.candidates += candidates.len() as u64;
        take(candidates, keys, &mut self.pool);
        self.pool.sort_unstable_by(|a, b| b.order(a));
    }

    /// The narrowed candidates whose real distances are looked at next.
    pub fn narrowed(&self) -> &[Hit] {
        self.pool.get(self.pool.len() - self.n_compared_next()..).unwrap_or_default()
    }

    /// Takes these in by their real keys, in their order; None: no row.
    pub fn take_narrowed(&mut self, keys: &[Option<f64>]) {
        let n = self.n_compared_next();
        let nearest = self.pool.split_off(self.pool.len() - n);
        take(&nearest, keys, &mut self.fresh);
        self.count_compared(n);
        self.take_in();
    }
}

/// Appends the candidates that have a key to `out`.
fn take(candidates: &[Hit], keys: &[Option<f64>], out: &mut Vec<Hit>) {
    debug_assert_eq!(candidates.len(), keys.len());
    let known = candidates.iter().zip(keys).filter_map(|(hit, key)| key.map(|key| (hit, key)));
    out.extend(known.map(|(hit, key)| Hit { key, ..*hit }));
}
