//! `faiss.maintain`: what VACUUM would do to an index, at once.

use pgrx::iter::TableIterator;
use pgrx::prelude::*;
use pgrx::{name, pg_sys};

use super::apply::require_may_maintain;
use super::open_index::{OpenIndex, table_of};
use crate::am::rebuild::{Maintained, free_old_builds, maintain_if_due};
use crate::am::rel::Table;

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity, reason = "a row type must stand in the signature")]
fn maintain(
    index: pg_sys::Oid,
) -> TableIterator<
    'static,
    (
        name!(rebuilt, bool),
        name!(reason, Option<String>),
        name!(lists_before, Option<i32>),
        name!(lists, Option<i32>),
        name!(ntotal, Option<i64>),
        name!(pages_freed, i64),
    ),
> {
    let table = table_of(index);
    require_may_maintain(index);
    let lock = pg_sys::ShareUpdateExclusiveLock as pg_sys::LOCKMODE;
    // SAFETY: a relation that existed a moment ago: if it was dropped, opening the index says so. As VACUUM, this keeps others
    // off who would do the same, until the end of the transaction.
    unsafe { pg_sys::LockRelationOid(table, lock) };
    let open = OpenIndex::new(index, pg_sys::RowExclusiveLock);
    if !open.is_built() {
        open.not_valid().error();
    }
    let (table, pages) = (Table::of(open.rel), open.pages());
    let freed = free_old_builds(table.rel(), open.rel, &pages) as i64;
    TableIterator::once(match maintain_if_due(table.rel(), open.rel) {
        None => (false, None, None, None, None, freed),
        Some(Maintained::Measured { due, rows }) => {
            (false, Some(due.to_string()), None, None, Some(rows as i64), freed)
        }
        Some(Maintained::Rebuilt { due, nlist_before, nlist, rows }) => {
            let lists = |n: usize| i32::try_from(n).ok();
            let (before, now) = (lists(nlist_before), lists(nlist));
            (true, Some(due.to_string()), before, now, Some(rows as i64), freed)
        }
    })
}
