//! The first candidates of many scans, found together and re-ranked by whoever has found them.

use ann::topk::Hit;

use super::CodedScan;
use crate::error::Error;
use crate::ivf::lists::View;
use crate::ivf::scan::batch::{self, BatchParams};
use crate::store::Pages;

/// A scan whose first candidates were found by [`first_tranches`] may be given their keys, found for many scans together.
/// What it is not given, it looks for itself.
impl CodedScan {
    /// The first candidates, until they are taken in.
    pub fn first_candidates(&self) -> &[Hit] {
        self.scan.first_tranche()
    }

    /// Takes the first candidates in by their real keys, in their order; None: no row.
    pub fn take_first(&mut self, keys: &[Option<f64>]) {
        take(self.scan.take_first_tranche(), keys, &mut self.fresh);
        self.candidates += self.fresh.len() as u64;
        self.take_in();
    }

    /// Takes the first candidates in by keys that narrow them down.
    pub fn narrow_first(&mut self, keys: &[Option<f64>]) {
        let candidates = self.scan.take_first_tranche();
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

/// Finds the first candidates of every scan; all have just begun and belong to the same index.
pub fn first_tranches<P: Pages>(
    pages: &P,
    view: &View<'_>,
    scans: &mut [CodedScan],
    params: BatchParams,
) -> Result<(), Error> {
    let mut scans: Vec<_> = scans.iter_mut().map(|scan| &mut scan.scan).collect();
    batch::first_tranches(pages, view, &mut scans, params)
}
