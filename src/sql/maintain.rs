//! `faiss.maintain`: what VACUUM would do to the lists of an index, at once.

use pgrx::iter::TableIterator;
use pgrx::prelude::*;
use pgrx::{name, pg_sys};

use super::apply::require_may_maintain;
use super::open_index::{OpenIndex, table_of};
use crate::am::rebuild::{free_old_builds, rebuild_if_due};
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
    if open.method.is_graph {
        return TableIterator::once((false, None, None, None, None, 0));
    }
    let freed = free_old_builds(table.rel(), open.rel, &pages) as i64;
    let Some(done) = rebuild_if_due(table.rel(), open.rel) else {
        return TableIterator::once((false, None, None, None, None, freed));
    };
    let lists = |n: usize| i32::try_from(n).ok();
    let (before, now) = (lists(done.nlist_before), lists(done.nlist));
    let reason = Some(done.due.to_string());
    TableIterator::once((true, reason, before, now, Some(done.rows as i64), freed))
}
