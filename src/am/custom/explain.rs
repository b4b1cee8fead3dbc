//! What EXPLAIN says of the node beside its children.

use std::ffi::CStr;

use pgrx::{pg_guard, pg_sys};

use super::exec::FilteredScan;
use crate::am::scan;

/// # Safety
/// Called by EXPLAIN with a node of ours.
#[pg_guard]
pub unsafe extern "C-unwind" fn explain(
    node: *mut pg_sys::CustomScanState,
    ancestors: *mut pg_sys::List,
    es: *mut pg_sys::ExplainState,
) {
    // SAFETY: the caller's promise; the scan is there as long as the node has not ended.
    unsafe {
        let scan = &*node.cast::<FilteredScan>();
        show_bound(node, ancestors, es);
        if !(*es).analyze {
            return;
        }
        let below = (*scan.index.cast::<pg_sys::IndexScanState>()).iss_ScanDesc;
        if below.is_null() {
            return;
        }
        let work = scan::work(below);
        if let Some(probed) = work.lists_probed {
            show(c"Lists Probed", probed, es);
        }
        show(c"Vectors Skipped", work.skipped, es);
        show(c"Vectors Scored", work.scored, es);
        show(c"Rows Reranked", work.reranked, es);
        let whole = (*scan.rows).as_ref().map_or(0, |rows| rows.whole_pages());
        if whole > 0 {
            show(c"Lossy Pages", whole, es);
        }
    }
}

/// The bound of the distance, if there is one.
///
/// # Safety
/// As [`explain`].
unsafe fn show_bound(
    node: *mut pg_sys::CustomScanState,
    ancestors: *mut pg_sys::List,
    es: *mut pg_sys::ExplainState,
) {
    // SAFETY: the caller's promise: the plan is one of ours.
    unsafe {
        let plan = (*node).ss.ps.plan;
        let bounds = (*plan.cast::<pg_sys::CustomScan>()).custom_exprs;
        if bounds.is_null() {
            return;
        }
        let context = pg_sys::set_deparse_context_plan((*es).deparse_cxt, plan, ancestors);
        let bound = pg_sys::list_nth(bounds, 0).cast();
        let text = pg_sys::deparse_expression(bound, context, false, false);
        pg_sys::ExplainPropertyText(c"Distance Bound".as_ptr(), text, es);
    }
}

/// # Safety
/// `es` is EXPLAIN's.
unsafe fn show(label: &CStr, n: u64, es: *mut pg_sys::ExplainState) {
    let n = i64::try_from(n).unwrap_or(i64::MAX);
    // SAFETY: the caller's promise.
    unsafe { pg_sys::ExplainPropertyInteger(label.as_ptr(), std::ptr::null(), n, es) }
}
