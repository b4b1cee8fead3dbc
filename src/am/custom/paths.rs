//! The planner's hook: paths of the node, beside the plain scans of our indexes.

use std::sync::OnceLock;

use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use pgrx::{pg_guard, pg_sys};

use super::{distance, others, plan};
use crate::am::cost;
use crate::am::method::method_by_oid;

/// Of the rows, the part that the server reckons any bound of the distance to keep: it knows nothing of distances.
const KEPT_BY_ANY: f64 = 1.0 / 3.0;
/// The part that is reckoned here where no LIMIT is there: nobody asks for a third of a table in the order of distance.
const KEPT_BY_BOUND: f64 = 0.01;

/// The hook of a library that was loaded before this one.
static PREVIOUS: OnceLock<pg_sys::set_rel_pathlist_hook_type> = OnceLock::new();

/// Sets the hook.
pub fn register() {
    // SAFETY: the server's own thread; libraries are loaded one after the other.
    unsafe {
        if PREVIOUS.set(pg_sys::set_rel_pathlist_hook).is_ok() {
            pg_sys::set_rel_pathlist_hook = Some(set_rel_pathlist);
        }
    }
}

/// Adds our paths to those of a table.
///
/// # Safety
/// Called by the planner, which has made its own.
#[pg_guard]
unsafe extern "C-unwind" fn set_rel_pathlist(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    number: pg_sys::Index,
    entry: *mut pg_sys::RangeTblEntry,
) {
    // SAFETY: the planner's own nodes; a hook of C may raise an error, which must not jump over this frame.
    unsafe {
        if let Some(previous) = PREVIOUS.get().copied().flatten() {
            pg_guard_ffi_boundary(|| previous(root, rel, number, entry));
        }
        if (*rel).baserestrictinfo.is_null()
            || (*rel).indexlist.is_null()
            || (*entry).rtekind != pg_sys::RTEKind::RTE_RELATION
        {
            return;
        }
        for ours in ordered_scans(&*rel) {
            let bound = distance::bound(root, &*rel, &*ours);
            if bound.is_some() {
                pg_sys::add_path(rel, path(root, rel, ours, None, bound));
            }
            if let Some(bitmap) = others::bitmap(root, rel, &*ours) {
                pg_sys::add_path(rel, path(root, rel, ours, Some(bitmap), bound));
            }
        }
    }
}

/// The part of a scan that comes before its bound. Under a LIMIT as many rows have to be found as without the bound, of which the
/// server believes that two thirds are turned away.
///
/// # Safety
/// `root` is the planner's.
unsafe fn part_to_bound(root: *mut pg_sys::PlannerInfo) -> f64 {
    // SAFETY: the caller's promise.
    if unsafe { (*root).tuple_fraction } > 0.0 { KEPT_BY_ANY } else { KEPT_BY_BOUND }
}

/// Scans of our indexes in the order of distance. Those that take values from other tables have no order there.
///
/// # Safety
/// `rel` is the planner's.
unsafe fn ordered_scans(rel: &pg_sys::RelOptInfo) -> Vec<*mut pg_sys::IndexPath> {
    // SAFETY: the caller's promise; the tag says what a path is.
    unsafe {
        let paths = (0..pg_sys::list_length(rel.pathlist))
            .map(|i| pg_sys::list_nth(rel.pathlist, i).cast::<pg_sys::Path>());
        let is_ours = |path: &*mut pg_sys::Path| {
            if (**path).type_ != pg_sys::NodeTag::T_IndexPath || !(**path).param_info.is_null() {
                return false;
            }
            let scan = &*path.cast::<pg_sys::IndexPath>();
            pg_sys::list_length(scan.indexorderbys) == 1
                && method_by_oid((*scan.indexinfo).relam).is_some()
        };
        paths.filter(is_ours).map(|path| path.cast()).collect()
    }
}

/// A path of the node: the scan `ours`, among the rows of a bitmap, up to a bound.
///
/// # Safety
/// All are the planner's.
unsafe fn path(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    ours: *const pg_sys::IndexPath,
    bitmap: Option<*mut pg_sys::BitmapHeapPath>,
    bound: Option<*mut pg_sys::Expr>,
) -> *mut pg_sys::Path {
    // SAFETY: the caller's promise; the copy and the path are memory of the planner's, zeros being valid for every field.
    unsafe {
        let scan = pg_sys::palloc(size_of::<pg_sys::IndexPath>()).cast::<pg_sys::IndexPath>();
        scan.copy_from_nonoverlapping(ours, 1);
        let mut children = pg_sys::lappend(std::ptr::null_mut(), scan.cast());
        let mut before = 0.0;
        if let Some(bitmap) = bitmap {
            children = pg_sys::lappend(children, bitmap.cast());
            let (mut cost, mut kept) = (0.0, 0.0);
            pg_sys::cost_bitmap_tree_node((*bitmap).bitmapqual, &mut cost, &mut kept);
            before = cost + kept * (*rel).tuples * pg_sys::cpu_operator_cost;
            cost::among(kept, || pg_sys::cost_index(scan, root, 1.0, false));
        }
        let cost = &(*scan).path;
        let mut rest = cost.total_cost - cost.startup_cost;
        if bound.is_some() {
            rest *= part_to_bound(root);
        }
        let path = pg_sys::palloc0(size_of::<pg_sys::CustomPath>()).cast::<pg_sys::CustomPath>();
        (*path).path = pg_sys::Path {
            type_: pg_sys::NodeTag::T_CustomPath,
            pathtype: pg_sys::NodeTag::T_CustomScan,
            // The bitmap is made by one process alone.
            parallel_aware: false,
            parallel_safe: false,
            parallel_workers: 0,
            startup_cost: before + cost.startup_cost,
            total_cost: before + cost.startup_cost + rest,
            ..*cost
        };
        (*path).flags = pg_sys::CUSTOMPATH_SUPPORT_PROJECTION;
        (*path).custom_paths = children;
        let bound = bound.map_or(std::ptr::null_mut(), |bound| {
            pg_sys::lappend(std::ptr::null_mut(), bound.cast())
        });
        (*path).custom_private = bound;
        (*path).methods = &raw const plan::PATH_METHODS.0;
        path.cast()
    }
}
