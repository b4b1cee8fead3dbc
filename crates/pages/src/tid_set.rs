//! The rows of an index by their tids, in the order of the table.

use crate::tid::Tid;

/// The tids of an index at some time, and those that were added since: 8 bytes a row.
#[derive(Debug, Default)]
pub struct TidSet(Vec<u64>);

impl TidSet {
    /// Tids in any order, as numbers.
    pub fn new(mut tids: Vec<u64>) -> Self {
        tids.sort_unstable();
        Self(tids)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a row is among them.
    pub fn contains(&self, tid: Tid) -> bool {
        self.0.binary_search(&tid.to_u64()).is_ok()
    }

    /// The tid with this number, in the order of the table.
    pub fn get(&self, i: usize) -> Option<Tid> {
        self.0.get(i).map(|tid| Tid::from_u64(*tid))
    }

    /// In the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = Tid> + '_ {
        self.0.iter().map(|tid| Tid::from_u64(*tid))
    }

    /// Adds tids that are not in it.
    pub fn add(&mut self, tids: &[Tid]) {
        self.0.extend(tids.iter().map(|tid| tid.to_u64()));
        // Mostly sorted already.
        self.0.sort();
    }
}
