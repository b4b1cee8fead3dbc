//! `faiss.check`: whether the pages of an index are sound.

use pages::checker::{Problem, Severity};
use pages::store::Pages;
use pages::{META_BLKNO, hnsw, lists};
use pgrx::iter::TableIterator;
use pgrx::prelude::*;
use pgrx::{name, pg_sys};

use super::open_index::OpenIndex;
use crate::am::pages::PgPages;

/// How often a check that cannot hold writers or replay off must find the same damage.
const ROUNDS: usize = 3;

#[pg_extern(sql = false)]
fn check(
    index: pg_sys::Oid,
) -> TableIterator<'static, (name!(blkno, i64), name!(problem, String))> {
    // Inserts and vacuum wait meanwhile, so that the pages can be held against each other. A standby cannot lock replay out,
    // and REINDEX CONCURRENTLY has the lock itself: there damage counts only if it stays.
    let Some((open, is_quiet)) = OpenIndex::look_without_writers(index) else {
        return TableIterator::empty();
    };
    if !open.is_built() {
        open.not_valid().notice();
        return TableIterator::empty();
    }
    let pages = open.pages();
    let mut found = damage(&pages);
    for _ in 1..if is_quiet { 1 } else { ROUNDS } {
        if found.is_empty() {
            break;
        }
        let again = damage(&pages);
        found.retain(|p| again.contains(p));
    }
    TableIterator::new(found.into_iter().map(|p| (i64::from(p.blkno), p.what)))
}

/// Broken invariants; pages leaked by a crash are none.
fn damage(pages: &PgPages) -> Vec<Problem> {
    let is_graph = pages.read(META_BLKNO).is_ok_and(|page| hnsw::Meta::is_graph(&page));
    let mut problems =
        if is_graph { hnsw::check::check(pages) } else { lists::check::check(pages) };
    problems.retain(|p| p.severity == Severity::Damage);
    problems
}
