//! What a scan is given beside its keys: the rows to look among, and a bound of the distance.

use pages::Error;
use pages::search::filter::Filter;
use pages::search::params::Found;
use pgrx::pg_sys;

use super::{ScanState, asked_for};
use crate::am::bound::Bound;
use crate::am::custom::{self, Given};
use crate::am::options::options_of;
use crate::am::recall_target;
use crate::am::relation::Index;

impl ScanState {
    /// Takes over what the plan above gives to the scan, or a program: a bound, and the rows to look among.
    pub(super) fn take_given(&mut self, scan: pg_sys::IndexScanDesc) {
        let Given { rows, bound } = custom::given(self.orderbys);
        self.bound = bound.map(Bound::new);
        let Some(rows) = rows.or_else(|| asked_for::among(scan)) else { return };
        self.conditions.filter = Some(match self.conditions.filter.take() {
            Some(filter) => filter.and_among(rows),
            None => Filter::among(rows),
        });
    }

    /// The next row, in the order of our distances; none once the bound is passed.
    pub(super) fn find(
        &mut self,
        index: pg_sys::Relation,
        trusts_marks: bool,
    ) -> Result<Option<Found>, Error> {
        let mut found = self.search_on(trusts_marks)?;
        if let (Some(row), Some(bound)) = (found, &mut self.bound)
            && !self.is_passed
            && bound.is_passed(row.distance)
        {
            let within = bound.within();
            if self.search.search_lists(self.lists_for(index, within)) {
                self.bound.iter_mut().for_each(Bound::look_further);
                return Ok(found);
            }
            self.is_passed = true;
            self.search.finish();
            found = self.search_on(trusts_marks)?;
        }
        Ok(found)
    }

    /// The lists that a scan for so many rows searches.
    fn lists_for(&self, index: pg_sys::Relation, rows: u64) -> usize {
        let Some(Index::Lists(ivf)) = &self.running else { return 0 };
        let tuples = recall_target::tuples_of(index);
        recall_target::of_lists(&options_of(index), &ivf.meta, Some(rows), tuples).nprobe as usize
    }
}
