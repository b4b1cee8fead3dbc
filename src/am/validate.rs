//! amvalidate: whether an operator class and its family are what a scan relies on.

use std::ffi::CStr;

use pgrx::pg_sys::SysCacheIdentifier as Cache;
use pgrx::{PgSqlErrorCode, pg_guard, pg_sys};

use super::filter::kind::Kind;
use super::opclass::{Described, ORDER_STRATEGY, SUPPORT_PROC, described_by_class};
use super::report::Report;

/// Checks the operator class and every member of its family; each problem is an INFO. True if there
/// is none.
///
/// # Safety
/// Called by the server.
#[pg_guard]
pub unsafe extern "C-unwind" fn amvalidate(opclassoid: pg_sys::Oid) -> bool {
    let class = class_of(opclassoid);
    let mut check = Check { family: family_name(class.opcfamily), kind: None, ok: true };
    let operators = members::<pg_sys::FormData_pg_amop>(Cache::AMOPSTRATEGY, class.opcfamily);
    let functions = members::<pg_sys::FormData_pg_amproc>(Cache::AMPROCNUM, class.opcfamily);
    // Another function than such a one must not be called.
    let is_own = |f: &&pg_sys::FormData_pg_amproc| f.amproclefttype == class.opcintype;
    let function = functions.iter().find(is_own).map(|f| f.amproc);
    if function.is_some_and(takes_and_returns_internal)
        && let Some(Described::Attribute(kind)) = described_by_class(opclassoid)
    {
        check.kind = Some(kind);
    }
    let kind = check.kind;
    for operator in &operators {
        check.operator(operator);
    }
    for function in &functions {
        check.function(function);
    }
    let types = operators
        .iter()
        .map(|o| o.amoplefttype)
        .chain(functions.iter().map(|f| f.amproclefttype))
        .chain([class.opcintype]);
    let mut seen = Vec::new();
    for input in types {
        if seen.contains(&input) {
            continue;
        }
        seen.push(input);
        let lacks = !operators.iter().any(|o| o.amoplefttype == input && o.amoprighttype == input);
        if lacks && kind.is_some() {
            check.problem(format!("lacks an operator for type {}", type_name(input)));
        } else if lacks {
            check.problem(format!("lacks the ordering operator for type {}", type_name(input)));
        }
        if !functions.iter().any(|f| f.amproclefttype == input && f.amprocrighttype == input) {
            check.problem(format!("lacks support function 1 for type {}", type_name(input)));
        }
    }
    check.ok
}

/// One validation.
struct Check {
    /// Access method and name of the operator family, as messages begin.
    family: String,
    /// What a filter column has; None for vectors.
    kind: Option<Kind>,
    ok: bool,
}

impl Check {
    fn problem(&mut self, what: String) {
        self.ok = false;
        let message = format!("{} {what}", self.family);
        Report::new(PgSqlErrorCode::ERRCODE_INVALID_OBJECT_DEFINITION, message).info();
    }

    fn operator(&mut self, o: &pg_sys::FormData_pg_amop) {
        // SAFETY: catalog rows name existing operators; the result is a palloc'ed string.
        let name = unsafe { text(pg_sys::format_operator(o.amopopr)) };
        match self.kind {
            Some(kind) => self.filter_operator(o, kind, &name),
            None => self.ordering_operator(o, &name),
        }
    }

    /// An operator of conditions on a filter column.
    fn filter_operator(&mut self, o: &pg_sys::FormData_pg_amop, kind: Kind, name: &str) {
        let number = o.amopstrategy;
        if !kind.has_strategy(number as u16) {
            self.problem(format!("contains operator {name} with invalid strategy number {number}"));
        }
        if o.amoppurpose as u8 != pg_sys::AMOP_SEARCH {
            self.problem(format!("contains operator {name} that is not FOR SEARCH"));
        }
        self.signature(o, pg_sys::BOOLOID, name);
    }

    fn ordering_operator(&mut self, o: &pg_sys::FormData_pg_amop, name: &str) {
        if o.amopstrategy as u16 != ORDER_STRATEGY {
            let number = o.amopstrategy;
            self.problem(format!("contains operator {name} with invalid strategy number {number}"));
        }
        if o.amoplefttype != o.amoprighttype {
            self.problem(format!("contains operator {name} with different input types"));
        }
        if o.amoppurpose as u8 != pg_sys::AMOP_ORDER {
            self.problem(format!("contains operator {name} that is not FOR ORDER BY"));
        } else if o.amopsortfamily != float_family() {
            self.problem(format!(
                "contains operator {name} with a sort family other than float_ops"
            ));
        }
        self.signature(o, pg_sys::FLOAT8OID, name);
    }

    fn signature(&mut self, o: &pg_sys::FormData_pg_amop, returned: pg_sys::Oid, name: &str) {
        let (mut left, mut right) = (pg_sys::InvalidOid, pg_sys::InvalidOid);
        // SAFETY: the operator exists (its row has a dependency on it); two out-parameters.
        let result = unsafe {
            pg_sys::op_input_types(o.amopopr, &mut left, &mut right);
            pg_sys::get_op_rettype(o.amopopr)
        };
        if result != returned || left != o.amoplefttype || right != o.amoprighttype {
            self.problem(format!("contains operator {name} with wrong signature"));
        }
    }

    fn function(&mut self, f: &pg_sys::FormData_pg_amproc) {
        // SAFETY: as for operators.
        let name = unsafe { text(pg_sys::format_procedure(f.amproc)) };
        if f.amprocnum as u16 != SUPPORT_PROC {
            let number = f.amprocnum;
            self.problem(format!("contains function {name} with invalid support number {number}"));
            return;
        }
        if f.amproclefttype != f.amprocrighttype {
            self.problem(format!("contains function {name} with different input types"));
        }
        if !takes_and_returns_internal(f.amproc) {
            self.problem(format!(
                "contains function {name} with wrong signature for support number {SUPPORT_PROC}"
            ));
        }
    }
}

/// The family of `float_ops`, by which the executor may order what the ordering operators return.
fn float_family() -> pg_sys::Oid {
    // SAFETY: a class of the server that always exists.
    unsafe { pg_sys::get_opclass_family(pg_sys::FLOAT8_BTREE_OPS_OID) }
}

fn takes_and_returns_internal(function: pg_sys::Oid) -> bool {
    row(Cache::PROCOID, function, |p: &pg_sys::FormData_pg_proc| {
        // SAFETY: proargtypes has pronargs elements.
        let arguments = unsafe { p.proargtypes.values.as_slice(p.pronargs.max(0) as usize) };
        !p.proretset && p.prorettype == pg_sys::INTERNALOID && arguments == [pg_sys::INTERNALOID]
    })
    .unwrap_or(false)
}

fn class_of(opclass: pg_sys::Oid) -> pg_sys::FormData_pg_opclass {
    row(Cache::CLAOID, opclass, |c: &pg_sys::FormData_pg_opclass| *c).unwrap_or_else(|| {
        let message = format!("operator class with OID {} does not exist", opclass.to_u32());
        Report::new(PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT, message).error()
    })
}

fn family_name(family: pg_sys::Oid) -> String {
    let named = row(Cache::OPFAMILYOID, family, |f: &pg_sys::FormData_pg_opfamily| {
        // SAFETY: a name column is NUL-terminated; get_am_name answers null or a palloc'ed string.
        unsafe {
            let name = CStr::from_ptr(f.opfname.data.as_ptr()).to_string_lossy().into_owned();
            (name, text(pg_sys::get_am_name(f.opfmethod)))
        }
    });
    let (name, method) = named.unwrap_or_default();
    format!("operator family \"{name}\" of access method {method}")
}

fn type_name(oid: pg_sys::Oid) -> String {
    // SAFETY: format_type_be answers any OID with a palloc'ed string.
    unsafe { text(pg_sys::format_type_be(oid)) }
}

/// # Safety
/// `s` is null or a NUL-terminated string.
unsafe fn text(s: *const std::ffi::c_char) -> String {
    if s.is_null() {
        return String::from("?");
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(s) }.to_string_lossy().into_owned()
}

/// Looks at one catalog row by OID; None if there is none. `F` is the row's fixed part.
fn row<F, T>(cache: Cache::Type, oid: pg_sys::Oid, look: impl FnOnce(&F) -> T) -> Option<T> {
    // SAFETY: the tuple stays pinned in the cache until it is released; `look` raises no server
    // error that would need the release (a transaction abort does it).
    unsafe {
        let tuple = pg_sys::SearchSysCache1(cache as i32, pg_sys::Datum::from(oid));
        if tuple.is_null() {
            return None;
        }
        let seen = look(&*pg_sys::GETSTRUCT(tuple).cast::<F>());
        pg_sys::ReleaseSysCache(tuple);
        Some(seen)
    }
}

/// The members of a family, copied out of a catalog cache whose first key is the family.
fn members<F: Copy>(cache: Cache::Type, family: pg_sys::Oid) -> Vec<F> {
    let none = pg_sys::Datum::from(0usize);
    // SAFETY: the list and its tuples stay pinned until the list is released.
    unsafe {
        let key = pg_sys::Datum::from(family);
        let list = pg_sys::SearchSysCacheList(cache as i32, 1, key, none, none);
        let tuples = (*list).members.as_slice((*list).n_members.max(0) as usize);
        let copies =
            tuples.iter().map(|&t| *pg_sys::GETSTRUCT(&raw mut (*t).tuple).cast::<F>()).collect();
        pg_sys::ReleaseCatCacheList(list);
        copies
    }
}

#[cfg(feature = "pg_test")]
#[pgrx::pg_schema]
mod tests {
    use pgrx::pg_test;

    use crate::am::testing::{run, value};

    #[pg_test]
    fn pgtest_the_operator_classes_are_valid() {
        for (method, expected) in [("faissivf", 25), ("faissflat", 28), ("faisshnsw", 32)] {
            let classes = format!(
                "FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod WHERE amname = '{method}'"
            );
            let n: i64 = value(&format!("SELECT count(*) {classes}"));
            let valid: bool = value(&format!("SELECT bool_and(amvalidate(c.oid)) {classes}"));
            assert_eq!((n, valid), (expected, true), "{method}");
        }
    }

    #[pg_test]
    fn pgtest_a_broken_operator_class_is_found() {
        for members in [
            "OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops",
            "FUNCTION 1 faiss.vector_l2_support(internal)",
            "OPERATOR 1 = (vector, vector), FUNCTION 1 faiss.vector_l2_support(internal)",
            "OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops, FUNCTION 1 vector_dims(vector)",
            "OPERATOR 1 <-> (vector, vector) FOR ORDER BY text_ops, FUNCTION 1 faiss.vector_l2_support(internal)",
            "OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops, FUNCTION 1 faiss.int4_support(internal)",
            "OPERATOR 3 = (vector, vector), FUNCTION 1 faiss.array_support(internal)",
            "FUNCTION 1 faiss.hash_support(internal)",
        ] {
            for method in ["faissivf", "faissflat", "faisshnsw"] {
                run(&format!(
                    "CREATE OPERATOR CLASS broken FOR TYPE vector USING {method} AS {members}"
                ));
                let valid: bool =
                    value("SELECT amvalidate(oid) FROM pg_opclass WHERE opcname = 'broken'");
                assert!(!valid, "{method}: {members}");
                run(&format!("DROP OPERATOR FAMILY broken USING {method}"));
            }
        }
    }
}
