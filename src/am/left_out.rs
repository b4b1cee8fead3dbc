//! The row that a measurement leaves out of an index's answers: a row that asks for its own neighbours.
//!
//! A re-ranked search must not spend one of its candidates on that row, or its recall would be measured with fewer
//! candidates for each of the others than a query from outside has.

use std::cell::Cell;

use pages::tid::Tid;
use pgrx::pg_sys;

thread_local! {
    static ROW: Cell<Option<(pg_sys::Oid, Tid)>> = const { Cell::new(None) };
}

/// While it lives, scans of an index leave out a row.
pub struct LeftOut(());

impl LeftOut {
    /// Leaves `row` out of the scans of `index` that begin from now on; only re-ranked searches know it.
    pub fn new(index: pg_sys::Oid, row: Tid) -> Self {
        ROW.set(Some((index, row)));
        Self(())
    }
}

impl Drop for LeftOut {
    fn drop(&mut self) {
        ROW.set(None);
    }
}

/// The row that a scan of the open index `index` leaves out.
pub fn row_of(index: pg_sys::Relation) -> Option<Tid> {
    // SAFETY: an open relation.
    let relid = unsafe { (*index).rd_id };
    ROW.get().filter(|(of, _)| *of == relid).map(|(_, row)| row)
}
