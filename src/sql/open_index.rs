//! What every `faiss.*` function does first with the index it is given: is it one of ours, and may the
//! caller read its table?

use pgrx::{PgSqlErrorCode, pg_sys};

use crate::am::method::{FAISSIVF, Method, method_of};
use crate::am::options::options_of;
use crate::am::pages::PgPages;
use crate::am::rel;
use crate::am::report::Report;

/// An index of ours, open and locked until dropped.
pub struct OpenIndex {
    pub rel: pg_sys::Relation,
    lock: pg_sys::LOCKMODE,
    pub method: &'static Method,
}

impl OpenIndex {
    /// Opens `oid` if it is an index of ours whose table the caller may read. What may not be read is
    /// not locked either.
    pub fn new(oid: pg_sys::Oid, lock: u32) -> Self {
        require_privilege(table_of(oid));
        let lock = lock as pg_sys::LOCKMODE;
        // SAFETY: index_open raises an error for anything but an index.
        let rel = unsafe { pg_sys::index_open(oid, lock) };
        let mut index = Self { rel, lock, method: &FAISSIVF };
        index.method = index.require_ours();
        index
    }

    /// The same, with inserts and VACUUM locked out. REINDEX CONCURRENTLY of the index waits for the caller's snapshot to end, so the
    /// caller must not wait for it: raises 55P03 instead.
    pub fn without_writers(oid: pg_sys::Oid) -> Self {
        require_privilege(table_of(oid));
        let probe = pg_sys::ShareUpdateExclusiveLock as pg_sys::LOCKMODE;
        // SAFETY: locks need no open relation; given back below, or when the transaction aborts.
        if !unsafe { pg_sys::ConditionalLockRelationOid(oid, probe) } {
            let name = relation_name(oid).unwrap_or_default();
            Report::new(
                PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE,
                format!("could not obtain lock on index \"{name}\""),
            )
            .detail("Another session rebuilds or alters it.")
            .hint("Try again when that is done.")
            .error();
        }
        let index = Self::new(oid, pg_sys::ShareLock);
        // SAFETY: taken above. The lock held now keeps the same sessions out.
        unsafe { pg_sys::UnlockRelationOid(oid, probe) };
        index
    }

    fn require_ours(&self) -> &'static Method {
        let name = rel::name(self.rel);
        // SAFETY: an open relation.
        let (partitioned, other_temp) = unsafe {
            let relation = &*self.rel;
            let kind = (*relation.rd_rel).relkind as u8;
            let temp = (*relation.rd_rel).relpersistence as u8 == pg_sys::RELPERSISTENCE_TEMP;
            (kind == pg_sys::RELKIND_PARTITIONED_INDEX, temp && !relation.rd_islocaltemp)
        };
        if partitioned {
            Report::new(
                PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
                format!("index \"{name}\" is partitioned and has no pages"),
            )
            .hint("Name the index of one partition.")
            .error();
        }
        let Some(method) = method_of(self.rel) else {
            Report::new(
                PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
                format!("\"{name}\" is not a FAISS index"),
            )
            .hint("FAISS indexes have access method faissivf, faissflat or faisshnsw.")
            .error();
        };
        if other_temp {
            Report::new(
                PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
                "cannot access temporary indexes of other sessions",
            )
            .error();
        }
        method
    }

    /// As of FAISS's IndexFlat: without lists only a code is trained, if one is asked for.
    pub fn has_nothing_to_train(&self) -> bool {
        let (method, options) = (self.method, options_of(self.rel));
        let has_parts = method.has_lists || method.is_graph;
        !has_parts && options.code.is_none() && options.model.is_none()
    }

    pub fn pages(&self) -> PgPages {
        // SAFETY: the relation stays open as long as self.
        unsafe { PgPages::new(self.rel) }
    }
}

impl Drop for OpenIndex {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: opened by us with this lock.
            unsafe { pg_sys::index_close(self.rel, self.lock) };
        }
    }
}

/// A table, open until dropped and locked until the transaction ends.
pub struct OpenTable {
    pub rel: pg_sys::Relation,
}

impl OpenTable {
    /// Opens the table of `index` if the caller may read it, all of its rows; `why` is the detail and the hint for who may
    /// not. What may not be read is not locked either. To be opened before the index, as every query locks them.
    pub fn of(index: pg_sys::Oid, why: (&str, &str)) -> Self {
        let table = table_of(index);
        require_privilege(table);
        require_every_row(table, why);
        // SAFETY: raises an error for what is no table any more.
        let rel = unsafe { pg_sys::table_open(table, pg_sys::AccessShareLock as pg_sys::LOCKMODE) };
        Self { rel }
    }
}

impl Drop for OpenTable {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: opened by us; the lock is kept until the end of the transaction, as a query's is.
            unsafe { pg_sys::table_close(self.rel, pg_sys::NoLock as pg_sys::LOCKMODE) };
        }
    }
}

/// The table of an index. Raises 42P01 if there is no such relation, 42809 if it is no index.
pub fn table_of(index: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: answers InvalidOid for what is no index.
    let table = unsafe { pg_sys::IndexGetRelation(index, true) };
    if table != pg_sys::InvalidOid {
        return table;
    }
    match relation_name(index) {
        Some(name) => Report::new(
            PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
            format!("\"{name}\" is not an index"),
        ),
        None => Report::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE,
            format!("relation with OID {} does not exist", index.to_u32()),
        ),
    }
    .error()
}

/// Raises 42501 if the caller may not read `table`.
pub fn require_privilege(table: pg_sys::Oid) {
    let mode = pg_sys::AclMode::from(pg_sys::ACL_SELECT);
    // SAFETY: looks up catalogs only.
    let result = unsafe { pg_sys::pg_class_aclcheck(table, pg_sys::GetUserId(), mode) };
    if result != pg_sys::AclResult::ACLCHECK_OK {
        let name = relation_name(table).unwrap_or_default();
        Report::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("permission denied for table {name}"),
        )
        .error();
    }
}

/// Raises 42501 if row-level security of `table` applies to the caller, with a detail and a hint.
fn require_every_row(table: pg_sys::Oid, (detail, hint): (&str, &str)) {
    // SAFETY: looks up catalogs only; with no_error it does not raise one about row_security = off.
    let applies = unsafe { pg_sys::check_enable_rls(table, pg_sys::InvalidOid, true) };
    if applies != pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32 {
        return;
    }
    let name = relation_name(table).unwrap_or_default();
    Report::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        format!("row-level security of table {name} applies to the caller"),
    )
    .detail(detail)
    .hint(hint)
    .error()
}

pub fn relation_name(oid: pg_sys::Oid) -> Option<String> {
    // SAFETY: get_rel_name answers with null or a NUL-terminated copy.
    unsafe {
        let name = pg_sys::get_rel_name(oid);
        (!name.is_null()).then(|| std::ffi::CStr::from_ptr(name).to_string_lossy().into_owned())
    }
}
