//! `ambulkdelete` and `amvacuumcleanup`: what the heap removed leaves the index, and what no longer fits the table is built or
//! measured anew; an untouched index is not written.

use pages::tid::Tid;
use pages::{hnsw, lists};
use pgrx::{PgBox, pg_guard, pg_sys};

use super::list_lock::ListLock;
use super::pages::PgPages;
use super::rebuild::{free_old_builds, maintain_in_vacuum};
use super::rel::{self, pointer_of};
use super::relation::{Index, cached_index};
use super::report::checked;

/// # Safety
/// Called by the server; `callback` may be called with `callback_state` for any tid.
#[pg_guard]
pub unsafe extern "C-unwind" fn ambulkdelete(
    info: *mut pg_sys::IndexVacuumInfo,
    stats: *mut pg_sys::IndexBulkDeleteResult,
    callback: pg_sys::IndexBulkDeleteCallback,
    callback_state: *mut std::ffi::c_void,
) -> *mut pg_sys::IndexBulkDeleteResult {
    // SAFETY: the server passes an open index and keeps it open for the call.
    unsafe {
        let index = (*info).index;
        let pages = PgPages::for_vacuum(index, (*info).strategy);
        let is_dead = |tid: Tid| {
            let mut pointer = pointer_of(tid);
            // The server's function may raise an error, which must unwind through us.
            callback.is_some_and(|f| {
                pg_sys::ffi::pg_guard_ffi_boundary(|| f(&raw mut pointer, callback_state))
            })
        };
        // Lists must not be replaced, nor become a graph, before all their rows were asked about.
        let lock = ListLock::shared(index);
        let done = match cached_index(index, &pages) {
            Index::Graph(graph) => {
                drop(lock);
                hnsw::vacuum::bulk_delete(&pages, &graph.view(), is_dead)
            }
            Index::Lists(ivf) => lists::vacuum::bulk_delete(&pages, &ivf.meta.lists, is_dead),
        };
        let done = checked(index, done);
        let stats = allocated(stats);
        (*stats).num_index_tuples = done.live as f64;
        (*stats).tuples_removed += done.removed as f64;
        let pages_freed = u32::try_from(done.pages_freed).unwrap_or(u32::MAX);
        (*stats).pages_newly_deleted += pages_freed;
        (*stats).pages_deleted += pages_freed;
        stats
    }
}

/// # Safety
/// Called by the server after zero or more `ambulkdelete`.
#[pg_guard]
pub unsafe extern "C-unwind" fn amvacuumcleanup(
    info: *mut pg_sys::IndexVacuumInfo,
    stats: *mut pg_sys::IndexBulkDeleteResult,
) -> *mut pg_sys::IndexBulkDeleteResult {
    // SAFETY: as above.
    unsafe {
        if (*info).analyze_only {
            return stats;
        }
        let index = (*info).index;
        let pages = PgPages::for_vacuum(index, (*info).strategy);
        let ran = !stats.is_null();
        let stats = allocated(stats);
        if ran {
            if (*stats).pages_newly_deleted > 0 {
                pg_sys::IndexFreeSpaceMapVacuum(index);
            }
        } else {
            let found = match cached_index(index, &pages) {
                Index::Graph(graph) => hnsw::vacuum::stats(&pages, &graph.view()),
                Index::Lists(ivf) => lists::vacuum::stats(&pages, &ivf.meta.lists),
            };
            let found = checked(index, found);
            (*stats).num_index_tuples = found.live as f64;
        }
        let table = rel::Table::of(index);
        let freed = free_old_builds(table.rel(), index, &pages);
        let freed = u32::try_from(freed).unwrap_or(u32::MAX);
        (*stats).pages_newly_deleted += freed;
        (*stats).pages_deleted += freed;
        maintain_in_vacuum(table.rel(), index);
        (*stats).num_pages = checked(index, pages::store::Pages::n_blocks(&pages));
        stats
    }
}

/// The statistics handed from call to call, allocated by the first.
unsafe fn allocated(
    stats: *mut pg_sys::IndexBulkDeleteResult,
) -> *mut pg_sys::IndexBulkDeleteResult {
    if !stats.is_null() {
        return stats;
    }
    // SAFETY: allocates zeroed memory in the caller's memory context.
    unsafe { PgBox::<pg_sys::IndexBulkDeleteResult>::alloc0() }.into_pg()
}
