//! Comparisons of the distance with a bound: `embedding <=> $1 < 0.3`, and `1 - (embedding <=> $1) > 0.7`.

use pgrx::pg_sys;

/// The least of the bounds that a query puts on the distance by which the scan `ours` orders, as an expression of type
/// `float8`; None without one. Of several the first is taken: all of them are checked on the row.
///
/// # Safety
/// All are the planner's.
pub unsafe fn bound(
    root: *mut pg_sys::PlannerInfo,
    rel: &pg_sys::RelOptInfo,
    ours: &pg_sys::IndexPath,
) -> Option<*mut pg_sys::Expr> {
    // SAFETY: the caller's promise; a scan in the order of distance has that distance.
    unsafe {
        let distance = as_operator(pg_sys::list_nth(ours.indexorderbys, 0).cast())?;
        let conditions = rel.baserestrictinfo;
        (0..pg_sys::list_length(conditions)).find_map(|i| {
            let condition = pg_sys::list_nth(conditions, i).cast::<pg_sys::RestrictInfo>();
            let bound = bound_of(distance, (*condition).clause.cast())?;
            let node = bound.cast::<pg_sys::Node>();
            let is_fixed = pg_sys::pull_varnos(root, node).is_null()
                && !pg_sys::contain_volatile_functions(node)
                && !pg_sys::contain_subplans(node);
            is_fixed.then_some(bound)
        })
    }
}

/// # Safety
/// `node` is an expression of the planner's.
unsafe fn as_operator<'a>(node: *mut pg_sys::Node) -> Option<&'a pg_sys::OpExpr> {
    // SAFETY: the caller's promise; the tag says what a node is.
    unsafe {
        let is_one = (*node).type_ == pg_sys::NodeTag::T_OpExpr
            && pg_sys::list_length((*node.cast::<pg_sys::OpExpr>()).args) == 2;
        is_one.then(|| &*node.cast())
    }
}

/// The operands of an operator.
///
/// # Safety
/// It has two.
unsafe fn operands(of: &pg_sys::OpExpr) -> [*mut pg_sys::Node; 2] {
    // SAFETY: the caller's promise.
    unsafe { [0, 1].map(|i| pg_sys::list_nth(of.args, i).cast()) }
}

/// What a condition says that the distance must be less than.
///
/// # Safety
/// Both are the planner's.
unsafe fn bound_of(
    distance: &pg_sys::OpExpr,
    condition: *mut pg_sys::Node,
) -> Option<*mut pg_sys::Expr> {
    // SAFETY: the caller's promise.
    unsafe {
        let comparison = as_operator(condition)?;
        let [left, right] = operands(comparison);
        let (less, more) = match pg_sys::get_opcode(comparison.opno).to_u32() {
            pg_sys::F_FLOAT8LT | pg_sys::F_FLOAT8LE => (left, right),
            pg_sys::F_FLOAT8GT | pg_sys::F_FLOAT8GE => (right, left),
            _ => return None,
        };
        if is_distance(distance, less) {
            return Some(more.cast());
        }
        // A similarity: some number minus the distance is more than a bound.
        let similarity = as_operator(more)?;
        let [from, subtracted] = operands(similarity);
        let is_difference = pg_sys::get_opcode(similarity.opno).to_u32() == pg_sys::F_FLOAT8MI;
        if !is_difference || !is_distance(distance, subtracted) {
            return None;
        }
        let (float8, none) = (pg_sys::FLOAT8OID, pg_sys::InvalidOid);
        let (from, less) = (from.cast(), less.cast());
        let bound = pg_sys::make_opclause(similarity.opno, float8, false, from, less, none, none);
        (*bound.cast::<pg_sys::OpExpr>()).opfuncid = similarity.opfuncid;
        Some(bound)
    }
}

/// Whether an expression is the distance, its operands in either order.
///
/// # Safety
/// Both are the planner's.
unsafe fn is_distance(distance: &pg_sys::OpExpr, node: *mut pg_sys::Node) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let Some(other) = as_operator(node) else { return false };
        let same = |a: *mut pg_sys::Node, b: *mut pg_sys::Node| pg_sys::equal(a.cast(), b.cast());
        let ([a, b], [c, d]) = (operands(distance), operands(other));
        let is_same = distance.opno == other.opno && same(a, c) && same(b, d);
        is_same || pg_sys::get_commutator(distance.opno) == other.opno && same(a, d) && same(b, c)
    }
}
