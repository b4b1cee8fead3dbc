//! The column that a model is trained on: whether the caller may read it, and what its type says.

use std::ffi::{CStr, CString};

use pgrx::{PgSqlErrorCode, pg_sys};

use super::super::method::{FAISSIVF, Method};
use super::super::opclass::{ElementType, element_of};
use super::super::report::Report;

/// The column that holds the vectors.
pub struct Column {
    /// The relation, quoted and with its schema.
    pub relation: String,
    pub name: CString,
    pub element: ElementType,
    pub dims: usize,
}

impl Column {
    /// Column `text` of relation `relid`, locked against changes to the end of the transaction. Raises 42P01 or 42703 if
    /// there is none, 42501 if the current role may not read it, 42804 or 22023 if it holds no vectors of one dimension.
    pub fn of(relid: pg_sys::Oid, text: &str) -> Self {
        let name = CString::new(text).unwrap_or_default();
        // SAFETY: looks up catalogs; privileges before the lock, so that what may not be read is not locked.
        let (number, kind, typmod) = unsafe {
            let number = pg_sys::get_attnum(relid, name.as_ptr());
            if number == 0 {
                no_column(relid, text);
            }
            require_select(relid, number);
            pg_sys::LockRelationOid(relid, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
            let (mut kind, mut typmod, mut collation) =
                (pg_sys::InvalidOid, -1, pg_sys::InvalidOid);
            pg_sys::get_atttypetypmodcoll(relid, number, &mut kind, &mut typmod, &mut collation);
            (number, pg_sys::getBaseTypeAndTypmod(kind, &mut typmod), typmod)
        };
        let element = element_of(kind, method_oid(&FAISSIVF)).filter(|_| number > 0);
        // Models are of centroids and codes for floats.
        let element =
            element.filter(|element| !matches!(element, ElementType::Bit | ElementType::Sparse));
        let Some(element) = element else {
            Report::new(
                PgSqlErrorCode::ERRCODE_DATATYPE_MISMATCH,
                format!("column \"{}\" does not hold vectors", text),
            )
            .hint("Its type must be vector or halfvec.")
            .error()
        };
        let Some(dims) = usize::try_from(typmod).ok().filter(|&n| n > 0) else {
            Report::new(
                PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                "column does not have dimensions",
            )
            .hint("Declare the column with a number of dimensions, as in vector(384).")
            .error()
        };
        Self { relation: relation_of(relid), name, element, dims }
    }
}

/// Raises 42501 if the caller may not read the column.
fn require_select(relid: pg_sys::Oid, column: pg_sys::AttrNumber) {
    let mode = pg_sys::AclMode::from(pg_sys::ACL_SELECT);
    let ok = pg_sys::AclResult::ACLCHECK_OK;
    // SAFETY: looks up catalogs only.
    let may_read = unsafe {
        let user = pg_sys::GetUserId();
        pg_sys::pg_class_aclcheck(relid, user, mode) == ok
            || pg_sys::pg_attribute_aclcheck(relid, column, user, mode) == ok
    };
    if !may_read {
        Report::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("permission denied for table {}", bare_name(relid)),
        )
        .error();
    }
}

/// The relation's name, quoted and with its schema.
fn relation_of(relid: pg_sys::Oid) -> String {
    // SAFETY: null or NUL-terminated copies; a relation that is locked has a name and a schema.
    unsafe {
        let (schema, name) = (
            pg_sys::get_namespace_name(pg_sys::get_rel_namespace(relid)),
            pg_sys::get_rel_name(relid),
        );
        if schema.is_null() || name.is_null() {
            no_relation(relid);
        }
        let quoted = pg_sys::quote_qualified_identifier(schema, name);
        CStr::from_ptr(quoted).to_string_lossy().into_owned()
    }
}

fn bare_name(relid: pg_sys::Oid) -> String {
    // SAFETY: null or a NUL-terminated copy.
    unsafe {
        let name = pg_sys::get_rel_name(relid);
        if name.is_null() {
            no_relation(relid);
        }
        CStr::from_ptr(name).to_string_lossy().into_owned()
    }
}

/// The OID of an access method.
pub fn method_oid(method: &Method) -> pg_sys::Oid {
    let name = CString::new(method.name).unwrap_or_default();
    // SAFETY: looks up catalogs only.
    unsafe { pg_sys::get_am_oid(name.as_ptr(), true) }
}

fn no_relation(relid: pg_sys::Oid) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE,
        format!("relation with OID {} does not exist", relid.to_u32()),
    )
    .error()
}

fn no_column(relid: pg_sys::Oid, text: &str) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
        format!("column \"{}\" of relation \"{}\" does not exist", text, bare_name(relid)),
    )
    .error()
}
