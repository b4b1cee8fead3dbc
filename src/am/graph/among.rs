//! A walk whose rows must be in a set: others are passed by before their vectors or their rows in the table are looked at.

use ann::topk::Hit;
use pages::Error;
use pages::search::rerank::Exact;
use pages::search::row_set::RowSet;
use pages::tid::Tid;

/// Exact keys of the candidates in a set.
pub struct Among<'a> {
    pub rows: &'a mut dyn Exact,
    pub set: &'a RowSet,
    /// Counts the others.
    pub skipped: &'a mut u64,
}

impl Exact for Among<'_> {
    fn keys(&mut self, candidates: &[Hit], each: &mut dyn FnMut(usize, f64)) -> Result<(), Error> {
        let is_in = |(_, hit): &(usize, &Hit)| self.set.contains(Tid::from_u64(hit.id));
        let (numbers, kept): (Vec<usize>, Vec<Hit>) =
            candidates.iter().enumerate().filter(is_in).map(|(i, hit)| (i, *hit)).unzip();
        *self.skipped += (candidates.len() - kept.len()) as u64;
        if kept.is_empty() {
            return Ok(());
        }
        self.rows.keys(&kept, &mut |i, key| {
            if let Some(number) = numbers.get(i) {
                each(*number, key);
            }
        })
    }
}
