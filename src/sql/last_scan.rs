//! `faiss.last_scan`: what the last index scan of this session did.

use pgrx::iter::TableIterator;
use pgrx::prelude::*;
use pgrx::{name, pg_sys};

use crate::am::last_scan;

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity, reason = "a row type must stand in the signature")]
fn last_scan() -> TableIterator<
    'static,
    (
        name!(index, pg_sys::Oid),
        name!(lists_probed, Option<i64>),
        name!(lists, Option<i64>),
        name!(pages, i64),
        name!(scored, i64),
        name!(reranked, i64),
        name!(rows, i64),
        name!(stopped, String),
    ),
> {
    let Some(scan) = last_scan::last() else { return TableIterator::empty() };
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    TableIterator::once((
        scan.index,
        scan.work.lists_probed.map(count),
        scan.lists.map(count),
        count(scan.pages),
        count(scan.work.scored),
        count(scan.work.reranked),
        count(scan.rows),
        scan.stop.name().to_owned(),
    ))
}
