//! Filters on the distance that a scan orders by, as `v <-> q < 0.5`: the rows that pass them come first, so that none has to be
//! passed over for them.

use std::ffi::{CStr, c_void};

use pgrx::{pg_guard, pg_sys};

/// The rows that pass the filters of the index's table but those on the distance.
///
/// # Safety
/// `root` is the planner's, `index` one of its indexes, and `order` a list of expressions.
pub unsafe fn rows(
    root: *mut pg_sys::PlannerInfo,
    index: &pg_sys::IndexOptInfo,
    order: *mut pg_sys::List,
) -> f64 {
    // SAFETY: the caller's promise: the planner's lists, of clauses and of expressions.
    unsafe {
        let rel = &*index.rel;
        if pg_sys::list_length(order) == 0 {
            return rel.rows;
        }
        let distance = pg_sys::list_nth(order, 0).cast::<pg_sys::Node>();
        let mut others = std::ptr::null_mut();
        let n = pg_sys::list_length(rel.baserestrictinfo);
        for filter in (0..n).map(|i| pg_sys::list_nth(rel.baserestrictinfo, i)) {
            let clause = (*filter.cast::<pg_sys::RestrictInfo>()).clause.cast::<pg_sys::Node>();
            if is_far(clause, distance) || !mentions(clause, distance.cast()) {
                others = pg_sys::lappend(others, filter);
            }
        }
        if pg_sys::list_length(others) == n {
            return rel.rows;
        }
        let (relid, no_join) = (rel.relid as i32, pg_sys::JoinType::JOIN_INNER);
        let nothing = std::ptr::null_mut();
        rel.tuples * pg_sys::clauselist_selectivity(root, others, relid, no_join, nothing)
    }
}

/// Whether `distance` is a part of the expression `node`.
///
/// # Safety
/// Both are expressions of a query that is being planned; `node` may be null.
#[pg_guard]
unsafe extern "C-unwind" fn mentions(node: *mut pg_sys::Node, distance: *mut c_void) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        !node.is_null()
            && (pg_sys::equal(node.cast(), distance)
                || pg_sys::expression_tree_walker(node, Some(mentions), distance))
    }
}

/// Whether a filter wants rows that are farther than something: `v <-> q > 0.5`. These come last.
///
/// # Safety
/// As [`mentions`].
unsafe fn is_far(clause: *mut pg_sys::Node, distance: *mut pg_sys::Node) -> bool {
    // SAFETY: the caller's promise: the tag says what the node is, and an operator has one or two operands.
    unsafe {
        if clause.is_null() || (*clause).type_ != pg_sys::NodeTag::T_OpExpr {
            return false;
        }
        let operator = &*clause.cast::<pg_sys::OpExpr>();
        let first = pg_sys::list_nth(operator.args, 0);
        let name = pg_sys::get_opname(operator.opno);
        pg_sys::equal(first, distance.cast())
            && !name.is_null()
            && CStr::from_ptr(name).to_bytes().starts_with(b">")
    }
}
