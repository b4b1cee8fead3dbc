//! From a path to a plan of the node.

use pgrx::{pg_guard, pg_sys};

use super::{NAME, exec};

/// A table of callbacks that never changes.
pub struct Table<T>(pub T);

// SAFETY: names and functions, which are there as long as the library.
unsafe impl<T> Sync for Table<T> {}

/// What the planner asks of a path.
pub static PATH_METHODS: Table<pg_sys::CustomPathMethods> = Table(pg_sys::CustomPathMethods {
    CustomName: NAME.as_ptr(),
    PlanCustomPath: Some(plan_path),
    ReparameterizeCustomPathByChild: None,
});

/// What the executor asks of a plan.
static SCAN_METHODS: Table<pg_sys::CustomScanMethods> = Table(pg_sys::CustomScanMethods {
    CustomName: NAME.as_ptr(),
    CreateCustomScanState: Some(exec::create),
});

/// Makes the node known by its name.
pub fn register() {
    // SAFETY: once, when the library is loaded; the table stays.
    unsafe { pg_sys::RegisterCustomScanMethods(&raw const SCAN_METHODS.0) }
}

/// The plan of a path, whose children the planner has made plans of.
///
/// # Safety
/// Called by the planner.
#[pg_guard]
unsafe extern "C-unwind" fn plan_path(
    _root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    path: *mut pg_sys::CustomPath,
    columns: *mut pg_sys::List,
    _conditions: *mut pg_sys::List,
    children: *mut pg_sys::List,
) -> *mut pg_sys::Plan {
    // SAFETY: the planner's nodes; zeros are valid for every field of a plan.
    unsafe {
        let child = |i| without_gate(pg_sys::list_nth(children, i).cast());
        let mut plans = pg_sys::lappend(std::ptr::null_mut(), child(0).cast());
        if pg_sys::list_length(children) > 1 {
            // Of the Bitmap Heap Scan only what makes the bitmap.
            plans = pg_sys::lappend(plans, (*child(1)).lefttree.cast());
        }
        let scan = pg_sys::palloc0(size_of::<pg_sys::CustomScan>()).cast::<pg_sys::CustomScan>();
        (*scan).scan.plan.type_ = pg_sys::NodeTag::T_CustomScan;
        (*scan).scan.plan.targetlist = columns;
        (*scan).scan.scanrelid = (*rel).relid;
        (*scan).flags = (*path).flags;
        (*scan).custom_plans = plans;
        (*scan).custom_exprs = (*path).custom_private;
        (*scan).methods = &raw const SCAN_METHODS.0;
        scan.cast()
    }
}

/// A plan below the Result that checks conditions without columns. The planner puts another one above our node.
///
/// # Safety
/// `plan` is one that the planner made of a scan.
unsafe fn without_gate(plan: *mut pg_sys::Plan) -> *mut pg_sys::Plan {
    // SAFETY: the caller's promise.
    unsafe {
        let is_gate = (*plan).type_ == pg_sys::NodeTag::T_Result && !(*plan).lefttree.is_null();
        if is_gate { (*plan).lefttree } else { plan }
    }
}
