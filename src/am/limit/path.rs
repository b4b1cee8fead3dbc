//! Which scans stand below which LIMIT: the way down from a LIMIT through nodes that hand on rows in the order in which they
//! come.

use std::ffi::{c_int, c_void};

use pgrx::{pg_guard, pg_sys};

use super::Key;

/// What stands between the top of a query and one of its scans.
#[derive(Clone)]
pub struct Above {
    /// The highest first.
    limits: Vec<*const pg_sys::LimitState>,
    /// Rows that nodes on the way read before they hand on the first.
    ahead: u64,
    /// Whether something on the way may drop rows, so that the scan is asked for more in the end.
    may_drop: bool,
}

impl Above {
    /// Whether no more rows than [`Self::rows_wanted`] will be asked for.
    pub fn is_all(&self) -> bool {
        !self.may_drop
    }

    /// The rows that the LIMITs want now: their counts may be parameters, and differ from one rescan to the next.
    ///
    /// # Safety
    /// The nodes still exist.
    pub unsafe fn rows_wanted(&self) -> Option<u64> {
        let mut rows = None;
        for limit in &self.limits {
            // SAFETY: the caller's promise.
            let limit = unsafe { &**limit };
            if limit.lstate == pg_sys::LimitStateCond::LIMIT_INITIAL {
                return None;
            }
            let bounded =
                !limit.noCount && limit.limitOption == pg_sys::LimitOption::LIMIT_OPTION_COUNT;
            let count = bounded.then(|| u64::try_from(limit.count).unwrap_or(0));
            let fewest = match (rows, count) {
                (Some(above), Some(here)) => Some(u64::min(above, here)),
                (above, here) => above.or(here),
            };
            let offset = u64::try_from(limit.offset).unwrap_or(0);
            rows = fewest.map(|rows| rows.saturating_add(offset));
        }
        rows.map(|rows| rows.saturating_add(self.ahead))
    }
}

/// The scans below a query's LIMITs, each once.
///
/// # Safety
/// `top` is a node of the executor, and its query has been started.
pub unsafe fn scans_below_limits(top: *mut pg_sys::PlanState) -> Vec<(Key, Above)> {
    let mut found: Vec<(Key, Above)> = Vec::new();
    // SAFETY: the caller's promise; the walk does not outlast this frame.
    unsafe { look(top, (&raw mut found).cast()) };
    // A scan below several LIMITs was first reached from the highest, by a way through all of them.
    found.sort_by_key(|(key, _)| key.addr());
    found.dedup_by_key(|(key, _)| key.addr());
    found
}

/// Looks for LIMITs in `node` and all that hangs on it.
///
/// # Safety
/// `node` is a node of the executor, and `found` the list of [`scans_below_limits`].
#[pg_guard]
unsafe extern "C-unwind" fn look(node: *mut pg_sys::PlanState, found: *mut c_void) -> bool {
    if node.is_null() {
        return false;
    }
    // SAFETY: the caller's promise; the list is not borrowed while the walk goes on.
    unsafe {
        if (*node).type_ == pg_sys::NodeTag::T_LimitState {
            let above = Above { limits: Vec::new(), ahead: 0, may_drop: false };
            descend(node, above, &mut *found.cast());
        }
        pg_sys::planstate_tree_walker(node, Some(look), found)
    }
}

/// Follows the way of the rows down from `node`, to the scans they come from.
///
/// # Safety
/// `node` is a node of the executor or null.
unsafe fn descend(node: *mut pg_sys::PlanState, mut above: Above, found: &mut Vec<(Key, Above)>) {
    use pg_sys::NodeTag::*;
    if node.is_null() {
        return;
    }
    // SAFETY: a node's tag says its type; children are nodes or null.
    unsafe {
        let mut below = (*node).lefttree;
        above.may_drop |= !(*node).qual.is_null();
        match (*node).type_ {
            T_IndexScanState => {
                let scan = &*node.cast::<pg_sys::IndexScanState>();
                if scan.iss_NumOrderByKeys > 0 {
                    found.push((scan.iss_OrderByKeys, above));
                }
                return;
            }
            T_CustomScanState => match crate::am::custom::index_scan(node) {
                Some(scan) => below = scan,
                None => return,
            },
            T_LimitState => above.limits.push(node.cast_const().cast()),
            T_ResultState | T_MaterialState => {}
            T_NestLoopState | T_LockRowsState | T_ProjectSetState => above.may_drop = true,
            T_SubqueryScanState => below = (*node.cast::<pg_sys::SubqueryScanState>()).subplan,
            // The row after the last is read to see whether it ties with it.
            T_IncrementalSortState => above.ahead = above.ahead.saturating_add(1),
            T_WindowAggState if reads_no_further(node) => {
                above.ahead = above.ahead.saturating_add(1);
            }
            T_AppendState => {
                let append = &*node.cast::<pg_sys::AppendState>();
                return descend_all(append.appendplans, append.as_nplans, &above, found);
            }
            T_MergeAppendState => {
                let append = &*node.cast::<pg_sys::MergeAppendState>();
                return descend_all(append.mergeplans, append.ms_nplans, &above, found);
            }
            _ => return,
        }
        descend(below, above, found);
    }
}

/// # Safety
/// `plans` holds `n` nodes of the executor.
unsafe fn descend_all(
    plans: *mut *mut pg_sys::PlanState,
    n: c_int,
    above: &Above,
    found: &mut Vec<(Key, Above)>,
) {
    for i in 0..usize::try_from(n).unwrap_or(0) {
        // SAFETY: the caller's promise.
        unsafe { descend(*plans.add(i), above.clone(), found) };
    }
}

/// Whether windows end about where their row is, as those of `row_number() OVER (ORDER BY …)` do.
///
/// # Safety
/// `node` computes window functions.
unsafe fn reads_no_further(node: *mut pg_sys::PlanState) -> bool {
    // SAFETY: the node's plan is of the same kind.
    let plan = unsafe { &*(*node).plan.cast::<pg_sys::WindowAgg>() };
    let to_the_end = pg_sys::FRAMEOPTION_END_UNBOUNDED_FOLLOWING as c_int;
    plan.ordNumCols > 0 && plan.partNumCols == 0 && plan.frameOptions & to_the_end == 0
}
