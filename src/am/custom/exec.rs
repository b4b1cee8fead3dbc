//! The node at work. Its rows are those of the Index Scan below it, handed on as they are.

use std::ffi::c_int;
use std::sync::Arc;

use pages::search::row_set::RowSet;
use pgrx::{PgMemoryContexts, pg_guard, pg_sys};

use super::given::{self, Given};
use super::plan::Table;
use super::{NAME, explain, tid_bitmap};
use crate::am::guc;

/// The node. The server knows its first field.
#[repr(C)]
pub struct FilteredScan {
    node: pg_sys::CustomScanState,
    /// The Index Scan.
    pub index: *mut pg_sys::PlanState,
    /// What makes the bitmap; null without one.
    bitmap: *mut pg_sys::PlanState,
    /// The bound of the distance; null without one.
    bound: *mut pg_sys::ExprState,
    /// The rows to look among, once they are known. It is dropped with the query.
    pub rows: *mut Option<Arc<RowSet>>,
}

/// What the executor calls.
static METHODS: Table<pg_sys::CustomExecMethods> = Table(pg_sys::CustomExecMethods {
    CustomName: NAME.as_ptr(),
    BeginCustomScan: Some(begin),
    ExecCustomScan: Some(next),
    EndCustomScan: Some(end),
    ReScanCustomScan: Some(rescan),
    MarkPosCustomScan: None,
    RestrPosCustomScan: None,
    EstimateDSMCustomScan: None,
    InitializeDSMCustomScan: None,
    ReInitializeDSMCustomScan: None,
    InitializeWorkerCustomScan: None,
    ShutdownCustomScan: None,
    ExplainCustomScan: Some(explain::explain),
});

/// The Index Scan of a node of the executor that is one of ours.
///
/// # Safety
/// `node` is a node of the executor that says to be a custom scan.
pub unsafe fn index_scan(node: *mut pg_sys::PlanState) -> Option<*mut pg_sys::PlanState> {
    let node = node.cast::<FilteredScan>();
    // SAFETY: the caller's promise; only ours have our methods.
    unsafe { std::ptr::eq((*node).node.methods, &raw const METHODS.0).then(|| (*node).index) }
}

/// # Safety
/// Called by the executor with a plan of ours.
#[pg_guard]
pub unsafe extern "C-unwind" fn create(_plan: *mut pg_sys::CustomScan) -> *mut pg_sys::Node {
    // SAFETY: memory of the executor's; zeros are valid for every field.
    unsafe {
        let node = pg_sys::palloc0(size_of::<FilteredScan>()).cast::<FilteredScan>();
        (*node).node.ss.ps.type_ = pg_sys::NodeTag::T_CustomScanState;
        (*node).node.methods = &raw const METHODS.0;
        node.cast()
    }
}

/// Begins the children.
///
/// # Safety
/// Called by the executor with a node of [`create`], whose plan is one of ours.
#[pg_guard]
unsafe extern "C-unwind" fn begin(
    node: *mut pg_sys::CustomScanState,
    estate: *mut pg_sys::EState,
    flags: c_int,
) {
    // SAFETY: the caller's promise; everything is made in the memory of the query, which is the current one.
    unsafe {
        let scan = &mut *node.cast::<FilteredScan>();
        let plan = &*scan.node.ss.ps.plan.cast::<pg_sys::CustomScan>();
        scan.rows = PgMemoryContexts::For((*estate).es_query_cxt).leak_and_drop_on_delete(None);
        // The planner may have added to our columns after it made the plan below. A plan may be shared: it is a copy that gives
        // what we are to give.
        let below = pg_sys::palloc(size_of::<pg_sys::IndexScan>()).cast::<pg_sys::IndexScan>();
        below.copy_from_nonoverlapping(pg_sys::list_nth(plan.custom_plans, 0).cast(), 1);
        (*below).scan.plan.targetlist = plan.scan.plan.targetlist;
        scan.index = pg_sys::ExecInitNode(below.cast(), estate, flags);
        let mut children = pg_sys::lappend(std::ptr::null_mut(), scan.index.cast());
        if pg_sys::list_length(plan.custom_plans) > 1 {
            let bitmap = pg_sys::list_nth(plan.custom_plans, 1).cast();
            scan.bitmap = pg_sys::ExecInitNode(bitmap, estate, flags);
            children = pg_sys::lappend(children, scan.bitmap.cast());
        }
        scan.node.custom_ps = children;
        if !plan.custom_exprs.is_null() {
            let bound = pg_sys::list_nth(plan.custom_exprs, 0).cast();
            scan.bound = pg_sys::ExecInitExpr(bound, &raw mut scan.node.ss.ps);
        }
        hand_on_slots(scan);
        let keys = (*scan.index.cast::<pg_sys::IndexScanState>()).iss_OrderByKeys;
        if !keys.is_null() {
            given::note((*estate).es_query_cxt, keys, node.cast());
        }
    }
}

/// Says to the nodes above of which kind the rows are, and to a cursor's `WHERE CURRENT OF` where the last one is.
///
/// # Safety
/// The Index Scan has begun.
unsafe fn hand_on_slots(scan: &mut FilteredScan) {
    // SAFETY: the caller's promise.
    unsafe {
        let state = &mut scan.node.ss;
        let mut is_fixed = false;
        state.ps.resultops = pg_sys::ExecGetResultSlotOps(scan.index, &mut is_fixed);
        (state.ps.resultopsset, state.ps.resultopsfixed) = (true, is_fixed);
        let below = &*scan.index.cast::<pg_sys::ScanState>();
        state.ss_ScanTupleSlot = below.ss_ScanTupleSlot;
    }
}

/// # Safety
/// Called by the executor with a node that has begun.
#[pg_guard]
unsafe extern "C-unwind" fn next(
    node: *mut pg_sys::CustomScanState,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the caller's promise.
    unsafe { pg_sys::ExecProcNode((*node.cast::<FilteredScan>()).index) }
}

/// # Safety
/// As [`next`].
#[pg_guard]
unsafe extern "C-unwind" fn end(node: *mut pg_sys::CustomScanState) {
    // SAFETY: the caller's promise; the set goes with the query.
    unsafe {
        let scan = &mut *node.cast::<FilteredScan>();
        *scan.rows = None;
        pg_sys::ExecEndNode(scan.index);
        if !scan.bitmap.is_null() {
            pg_sys::ExecEndNode(scan.bitmap);
        }
    }
}

/// # Safety
/// As [`next`].
#[pg_guard]
unsafe extern "C-unwind" fn rescan(node: *mut pg_sys::CustomScanState) {
    // SAFETY: the caller's promise.
    unsafe {
        let scan = &mut *node.cast::<FilteredScan>();
        let changed = scan.node.ss.ps.chgParam;
        for child in [scan.index, scan.bitmap] {
            if !child.is_null() && !changed.is_null() {
                pg_sys::UpdateChangedParamSet(child, changed);
            }
        }
        // A bitmap whose parameters have not changed is what it was.
        if !scan.bitmap.is_null() && !(*scan.bitmap).chgParam.is_null() {
            *scan.rows = None;
        }
        if (*scan.index).chgParam.is_null() {
            pg_sys::ExecReScan(scan.index);
        }
    }
}

/// What the scan below is given.
///
/// # Safety
/// The node has begun and not ended.
pub unsafe fn give(node: *mut FilteredScan) -> Given {
    // SAFETY: the caller's promise; the bitmap's memory is to outlive the row that is asked for.
    unsafe {
        let scan = &mut *node;
        let state = &mut scan.node.ss;
        let before = pg_sys::MemoryContextSwitchTo((*state.ps.state).es_query_cxt);
        if !scan.bitmap.is_null() && (*scan.rows).is_none() {
            *scan.rows = Some(Arc::new(rows_of(state.ss_currentRelation, scan.bitmap)));
        }
        pg_sys::MemoryContextSwitchTo(before);
        let bound = (!scan.bound.is_null()).then(|| {
            let (mut is_null, context) = (false, state.ps.ps_ExprContext);
            let value = pg_sys::ExecEvalExprSwitchContext(scan.bound, context, &mut is_null);
            (!is_null).then(|| f64::from_bits(value.value() as u64))
        });
        Given { rows: (*scan.rows).clone(), bound }
    }
}

/// The rows of a bitmap.
///
/// # Safety
/// `bitmap` is a node that makes one, of rows of `table`.
unsafe fn rows_of(table: pg_sys::Relation, bitmap: *mut pg_sys::PlanState) -> RowSet {
    // SAFETY: the caller's promise.
    unsafe {
        let main = pg_sys::ForkNumber::MAIN_FORKNUM;
        let n_blocks = pg_sys::RelationGetNumberOfBlocksInFork(table, main);
        let mut rows = RowSet::new(n_blocks, guc::work_mem());
        let made = pg_sys::MultiExecProcNode(bitmap).cast::<pg_sys::TIDBitmap>();
        tid_bitmap::copy(made, &mut rows);
        pg_sys::tbm_free(made);
        rows
    }
}
