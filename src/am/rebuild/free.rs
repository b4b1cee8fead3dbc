//! When the pages of builds that were replaced can be given back: once no scan stands on them, here or on a standby.

use pages::lists::Meta;
use pages::lists::meta::Builds;
use pages::lists::rebuild::{free_others, retire, used_blocks};
use pages::page::Blkno;
use pgrx::pg_sys;

use crate::am::list_lock::ListLock;
use crate::am::method::method_of;
use crate::am::pages::PgPages;
use crate::am::rel;
use crate::am::report::checked;

use super::standby::end_scans_of_standbys;

/// Blocks at the end of the file that are worth to be cut off: as VACUUM has it for tables.
const WORTH_BLOCKS: Blkno = 1000;
const WORTH_SHARE: Blkno = 16;

/// Frees what is left of other builds of the lists, if no scan can stand on it any more; returns how many pages. The caller
/// keeps VACUUM and others who would do the same off the table.
pub fn free_old_builds(table: pg_sys::Relation, index: pg_sys::Relation, pages: &PgPages) -> u64 {
    if method_of(index).is_none_or(|method| method.is_graph) {
        return 0;
    }
    // An insert that trains the lists has a build of its own on its way, whose pages are not META's yet.
    let _lock = ListLock::shared(index);
    let builds = checked(index, Meta::read(pages)).builds;
    if !builds.has_others() {
        return 0;
    }
    if builds.retired_xid == Builds::UNSETTLED {
        // A crash came after the lists were replaced.
        checked(index, retire(pages, rel::next_xid()));
        return 0;
    }
    let xid = pg_sys::FullTransactionId { value: builds.retired_xid };
    // SAFETY: the table is open.
    let is_over = xid.value == 0 || unsafe { pg_sys::GlobalVisCheckRemovableFullXid(table, xid) };
    if !is_over {
        return 0;
    }
    if xid.value != 0 {
        end_scans_of_standbys(index, xid);
    }
    let freed = checked(index, free_others(pages));
    // SAFETY: the index is open.
    unsafe { pg_sys::IndexFreeSpaceMapVacuum(index) };
    cut_off(index, pages);
    freed
}

/// Cuts unused pages off the end of the file, if they are many and nobody else has the index open.
fn cut_off(index: pg_sys::Relation, pages: &PgPages) {
    let n_blocks = rel::n_blocks(index);
    let used = checked(index, used_blocks(pages));
    if n_blocks - used < WORTH_BLOCKS.min(n_blocks / WORTH_SHARE).max(1) {
        return;
    }
    // The lock is logged with a transaction id, which a parallel VACUUM cannot get.
    // SAFETY: looks at the transaction's state.
    if unsafe { pg_sys::IsInParallelMode() } {
        return;
    }
    let lock = pg_sys::AccessExclusiveLock as pg_sys::LOCKMODE;
    // SAFETY: the index is open; with this lock nobody else reads or extends it, so that what was unused still is once it has
    // been looked at again.
    unsafe {
        if !pg_sys::ConditionalLockRelation(index, lock) {
            return;
        }
        let used = checked(index, used_blocks(pages));
        if used < rel::n_blocks(index) {
            pg_sys::RelationTruncate(index, used);
        }
        pg_sys::UnlockRelation(index, lock);
    }
}
