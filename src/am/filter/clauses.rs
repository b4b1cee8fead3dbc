//! Conditions that an index of ours could check and the planner leaves to the executor.
//!
//! Before PostgreSQL 17 the planner believes that an index whose rows come in an order has no use for `IN` on any column but
//! its first, and before 16 that only its own operator families know booleans. It asks for the cost of such a path
//! nonetheless: then these conditions are put among those that the path checks in the index.

use pgrx::pg_sys;

/// Adds them to a path that gives an order.
///
/// # Safety
/// `root` and `path` are the planner's.
pub unsafe fn complete(root: *mut pg_sys::PlannerInfo, path: &mut pg_sys::IndexPath) {
    // SAFETY: the caller's promise; lists of the planner. Other paths share the list, so that a copy is changed.
    unsafe {
        let index = path.indexinfo;
        let known = path.indexclauses;
        for i in 0..pg_sys::list_length((*index).indrestrictinfo) {
            let condition: *mut pg_sys::RestrictInfo =
                pg_sys::list_nth((*index).indrestrictinfo, i).cast();
            if is_known(known, condition)
                || (*condition).pseudoconstant
                || !pg_sys::restriction_is_securely_promotable(condition, (*index).rel)
            {
                continue;
            }
            if let Some(clause) = clause_of(root, index, condition) {
                if path.indexclauses == known {
                    path.indexclauses = pg_sys::list_copy(known);
                }
                path.indexclauses = pg_sys::lappend(path.indexclauses, clause.cast());
            }
        }
    }
}

/// Whether a condition is among those that the index checks.
///
/// # Safety
/// `clauses` are the planner's index clauses.
unsafe fn is_known(clauses: *mut pg_sys::List, condition: *mut pg_sys::RestrictInfo) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        (0..pg_sys::list_length(clauses)).any(|i| {
            let clause = pg_sys::list_nth(clauses, i).cast::<pg_sys::IndexClause>();
            (*clause).rinfo == condition
        })
    }
}

/// A condition as the index checks it; None if the planner's own judgement stands.
///
/// # Safety
/// All are the planner's.
unsafe fn clause_of(
    root: *mut pg_sys::PlannerInfo,
    index: *mut pg_sys::IndexOptInfo,
    condition: *mut pg_sys::RestrictInfo,
) -> Option<*mut pg_sys::IndexClause> {
    // SAFETY: the caller's promise.
    unsafe {
        let clause = (*condition).clause.cast::<pg_sys::Node>();
        for column in 0..(*index).nkeycolumns {
            if is_in_list(root, index, column, clause) {
                return Some(index_clause(condition, condition, column));
            }
            #[cfg(any(feature = "pg14", feature = "pg15"))]
            if let Some(comparison) = booleans::comparison(index, column, clause) {
                let (no_relids, level) = (std::ptr::null_mut(), (*condition).security_level);
                let comparison = pg_sys::make_restrictinfo(
                    root, comparison, true, false, false, level, no_relids, no_relids, no_relids,
                );
                return Some(index_clause(condition, comparison, column));
            }
        }
        None
    }
}

/// # Safety
/// Both are the planner's.
unsafe fn index_clause(
    condition: *mut pg_sys::RestrictInfo,
    checked: *mut pg_sys::RestrictInfo,
    column: i32,
) -> *mut pg_sys::IndexClause {
    // SAFETY: memory of the planner's for its node; zeros are valid for every field.
    unsafe {
        let clause =
            pg_sys::palloc0(size_of::<pg_sys::IndexClause>()).cast::<pg_sys::IndexClause>();
        (*clause).type_ = pg_sys::NodeTag::T_IndexClause;
        (*clause).rinfo = condition;
        (*clause).indexquals = pg_sys::lappend(std::ptr::null_mut(), checked.cast());
        (*clause).indexcol = column as pg_sys::AttrNumber;
        clause
    }
}

/// Whether a clause is `column = ANY (values)`, or the like, by an operator of the column's family: what the planner asks of one
/// on the first column.
///
/// # Safety
/// All are the planner's.
unsafe fn is_in_list(
    root: *mut pg_sys::PlannerInfo,
    index: *mut pg_sys::IndexOptInfo,
    column: i32,
    clause: *mut pg_sys::Node,
) -> bool {
    // SAFETY: the caller's promise: the tag says what the node is; such a node has two arguments, and the index a family and a
    // collation for each column.
    unsafe {
        if (*clause).type_ != pg_sys::NodeTag::T_ScalarArrayOpExpr {
            return false;
        }
        let any = &*clause.cast::<pg_sys::ScalarArrayOpExpr>();
        let (value, list) = (pg_sys::list_nth(any.args, 0), pg_sys::list_nth(any.args, 1));
        let collation = *(*index).indexcollations.add(column as usize);
        any.useOr
            && pg_sys::match_index_to_operand(value.cast(), column, index)
            && !pg_sys::bms_is_member(
                (*(*index).rel).relid as i32,
                pg_sys::pull_varnos(root, list.cast()),
            )
            && !pg_sys::contain_volatile_functions(list.cast())
            && (collation == pg_sys::InvalidOid || collation == any.inputcollid)
            && pg_sys::op_in_opfamily(any.opno, *(*index).opfamily.add(column as usize))
    }
}

#[cfg(any(feature = "pg14", feature = "pg15"))]
mod booleans {
    //! A boolean column is a condition by itself.

    use pgrx::pg_sys;

    use crate::am::filter::kind::Kind;
    use crate::am::opclass::kind_of;

    /// A clause on a boolean column as a comparison.
    ///
    /// # Safety
    /// All are the planner's.
    pub unsafe fn comparison(
        index: *mut pg_sys::IndexOptInfo,
        column: i32,
        clause: *mut pg_sys::Node,
    ) -> Option<*mut pg_sys::Expr> {
        // SAFETY: the caller's promise: the tag says what a node is; an index has a family and a type for each column.
        unsafe {
            let (family, of) =
                (*(*index).opfamily.add(column as usize), *(*index).opcintype.add(column as usize));
            let (operand, is_true) = match (*clause).type_ {
                pg_sys::NodeTag::T_BoolExpr => {
                    let not = &*clause.cast::<pg_sys::BoolExpr>();
                    if not.boolop != pg_sys::BoolExprType::NOT_EXPR {
                        return None;
                    }
                    (pg_sys::list_nth(not.args, 0).cast(), false)
                }
                pg_sys::NodeTag::T_BooleanTest => {
                    let test = &*clause.cast::<pg_sys::BooleanTest>();
                    let is_true = match test.booltesttype {
                        pg_sys::BoolTestType::IS_TRUE => true,
                        pg_sys::BoolTestType::IS_FALSE => false,
                        _ => return None,
                    };
                    (test.arg.cast(), is_true)
                }
                _ => (clause, true),
            };
            if !pg_sys::match_index_to_operand(operand, column, index)
                || kind_of(family, of) != Some(Kind::Bool)
            {
                return None;
            }
            let (equal, none) =
                (pg_sys::Oid::from(pg_sys::BooleanEqualOperator), pg_sys::InvalidOid);
            let value = pg_sys::makeBoolConst(is_true, false).cast();
            let result = pg_sys::BOOLOID;
            Some(pg_sys::make_opclause(equal, result, false, operand.cast(), value, none, none))
        }
    }
}
