//! What other indexes of a table know of a query's conditions: the bitmap of rows that the planner would take for a Bitmap Heap
//! Scan.

use pgrx::pg_sys;

use crate::am::method::method_by_oid;

/// The cheapest bitmap of other indexes that checks a condition which the scan `ours` does not; None without one, or where the
/// user does not want bitmaps.
///
/// # Safety
/// All are the planner's.
pub unsafe fn bitmap(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    ours: &pg_sys::IndexPath,
) -> Option<*mut pg_sys::BitmapHeapPath> {
    // SAFETY: the caller's promise; the switch is a plain variable of this thread's server.
    unsafe {
        let is_known = |condition| is_checked(ours, condition);
        if !pg_sys::enable_bitmapscan || items((*rel).baserestrictinfo).all(is_known) {
            return None;
        }
        let paths = paths_of_others(root, rel);
        let bitmaps = items::<pg_sys::Path>(paths).filter_map(|path| as_bitmap(root, rel, path));
        bitmaps
            .filter(|bitmap| checks_more((**bitmap).bitmapqual, ours))
            .min_by(|a, b| (**a).path.total_cost.total_cmp(&(**b).path.total_cost))
    }
}

/// The items of one of the planner's lists.
///
/// # Safety
/// The list holds pointers to `T`, and stays as it is.
unsafe fn items<T>(list: *mut pg_sys::List) -> impl Iterator<Item = *mut T> {
    // SAFETY: the caller's promise.
    unsafe { (0..pg_sys::list_length(list)).map(move |i| pg_sys::list_nth(list, i).cast()) }
}

/// The paths that the planner finds where our indexes are not there. It has made them before, but kept only those that were
/// good for something by themselves.
///
/// # Safety
/// As [`bitmap`].
unsafe fn paths_of_others(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
) -> *mut pg_sys::List {
    // SAFETY: the caller's promise; all fields are put back, and an error would end the planning.
    unsafe {
        let rel = &mut *rel;
        let mut others = std::ptr::null_mut();
        for index in items::<pg_sys::IndexOptInfo>(rel.indexlist) {
            if method_by_oid((*index).relam).is_none() {
                others = pg_sys::lappend(others, index.cast());
            }
        }
        if others.is_null() {
            return others;
        }
        let before = (rel.pathlist, rel.partial_pathlist, rel.indexlist, rel.consider_parallel);
        rel.pathlist = std::ptr::null_mut();
        (rel.indexlist, rel.consider_parallel) = (others, false);
        pg_sys::create_index_paths(root, rel);
        let found = rel.pathlist;
        (rel.pathlist, rel.partial_pathlist, rel.indexlist, rel.consider_parallel) = before;
        found
    }
}

/// A path as one of a bitmap, if it can be one: few rows are cheaper by a plain scan of an index, which then hid the other.
///
/// # Safety
/// As [`bitmap`].
unsafe fn as_bitmap(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    path: *mut pg_sys::Path,
) -> Option<*mut pg_sys::BitmapHeapPath> {
    // SAFETY: the caller's promise; the tag says what a path is.
    unsafe {
        if !(*path).param_info.is_null() {
            return None;
        }
        match (*path).type_ {
            pg_sys::NodeTag::T_BitmapHeapPath => Some(path.cast()),
            pg_sys::NodeTag::T_IndexPath => {
                let scan = &*path.cast::<pg_sys::IndexPath>();
                let can = (*scan.indexinfo).amhasgetbitmap
                    && !scan.indexclauses.is_null()
                    && scan.indexorderbys.is_null();
                let nobody = std::ptr::null_mut();
                can.then(|| pg_sys::create_bitmap_heap_path(root, rel, path, nobody, 1.0, 0))
            }
            _ => None,
        }
    }
}

/// Whether a bitmap checks a condition that a scan of ours does not.
///
/// # Safety
/// Both are the planner's.
unsafe fn checks_more(bitmap: *mut pg_sys::Path, ours: &pg_sys::IndexPath) -> bool {
    // SAFETY: the caller's promise; a bitmap is made of these three kinds of paths.
    unsafe {
        let any = |parts| items(parts).any(|part| checks_more(part, ours));
        match (*bitmap).type_ {
            pg_sys::NodeTag::T_BitmapAndPath => {
                any((*bitmap.cast::<pg_sys::BitmapAndPath>()).bitmapquals)
            }
            pg_sys::NodeTag::T_BitmapOrPath => {
                any((*bitmap.cast::<pg_sys::BitmapOrPath>()).bitmapquals)
            }
            pg_sys::NodeTag::T_IndexPath => {
                let scan = &*bitmap.cast::<pg_sys::IndexPath>();
                items::<pg_sys::IndexClause>(scan.indexclauses)
                    .any(|clause| !is_checked(ours, (*clause).rinfo))
            }
            _ => false,
        }
    }
}

/// Whether a scan checks a condition in its index.
///
/// # Safety
/// Both are the planner's.
unsafe fn is_checked(scan: &pg_sys::IndexPath, condition: *mut pg_sys::RestrictInfo) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        items::<pg_sys::IndexClause>(scan.indexclauses).any(|clause| (*clause).rinfo == condition)
    }
}
