//! What every `faiss.*` function does first with the index it is given: is it one of ours, and may the
//! caller read its table?

use pgrx::{PgSqlErrorCode, pg_sys};

use super::elsewhere;
use crate::am::method::{FAISSIVF, Method, method_of};
use crate::am::options::options_of;
use crate::am::pages::PgPages;
use crate::am::rel;
use crate::am::report::Report;

/// What an index without a complete build is.
pub const NOT_VALID: &str = "It is being built concurrently, or such a build did not finish.";
/// What to do with it.
pub const NOT_VALID_REMEDY: &str = "If no build is running, REINDEX or drop it.";

/// An index of ours, open and locked until dropped.
pub struct OpenIndex {
    pub rel: pg_sys::Relation,
    lock: pg_sys::LOCKMODE,
    pub method: &'static Method,
}

/// Why there is nothing to be seen of an index, although nothing is wrong with it.
enum Unseen {
    /// It was dropped, perhaps after the caller found it in the catalog.
    Gone(pg_sys::Oid),
    Partitioned(String),
    /// A partitioned one, and how many of these partitions are foreign tables.
    OnServers(String, i64),
    /// An index whose table Citus has distributed: the rows are in shards on other servers.
    Distributed(String),
    /// A temporary index of another session, in whose memory its pages are.
    OtherTemp(String),
}

impl From<Unseen> for Report {
    fn from(unseen: Unseen) -> Self {
        match unseen {
            Unseen::Gone(oid) => Report::new(
                PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE,
                format!("relation with OID {} does not exist", oid.to_u32()),
            ),
            Unseen::Partitioned(name) => Report::new(
                PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
                format!("index \"{name}\" is partitioned and has no pages"),
            )
            .hint("Name the index of one partition."),
            Unseen::OnServers(name, foreign) => Report::new(
                PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
                format!("index \"{name}\" is partitioned and has no pages"),
            )
            .detail(format!("Partitions that are foreign tables: {foreign}; their indexes are on their servers."))
            .hint("Ask on each server, through dblink or a foreign table of a view; faiss.search_shards of the extension pgfaiss_shards searches all of them."),
            Unseen::Distributed(name) => Report::new(
                PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
                format!("index \"{name}\" has no rows here"),
            )
            .detail("Citus has distributed its table: the rows are in shards, each with an index of its own.")
            .hint("Ask each shard, by run_command_on_shards."),
            Unseen::OtherTemp(name) => Report::new(
                PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
                format!("index \"{name}\" is a temporary index of another session"),
            ),
        }
    }
}

impl OpenIndex {
    /// Opens `oid` if it is an index of ours whose table the caller may read. What may not be read is
    /// not locked either. Raises 42P01 if there is no such relation, 42809 if it is no index of ours.
    pub fn new(oid: pg_sys::Oid, lock: u32) -> Self {
        Self::open(oid, lock).unwrap_or_else(|unseen| Report::from(unseen).error())
    }

    /// As `new`, for callers that go through all indexes in the catalog: None, and a notice that says why, where there is
    /// nothing to be seen.
    pub fn look(oid: pg_sys::Oid, lock: u32) -> Option<Self> {
        Self::open(oid, lock).map_err(|unseen| Report::from(unseen).notice()).ok()
    }

    /// As `look`, with inserts and VACUUM locked out, if that can be had at once and without a wait for the end of a build;
    /// the answer's second part says so. Who rebuilds or alters the index may wait for the caller's snapshot, so the caller
    /// must not wait for them.
    pub fn look_without_writers(oid: pg_sys::Oid) -> Option<(Self, bool)> {
        let index = Self::look(oid, pg_sys::AccessShareLock)?;
        let probe = pg_sys::ShareUpdateExclusiveLock as pg_sys::LOCKMODE;
        // SAFETY: asks a flag of the server; a lock needs no open relation, and is given back below, or when the
        // transaction aborts.
        let is_free = index.is_built()
            && unsafe {
                !pg_sys::RecoveryInProgress() && pg_sys::ConditionalLockRelationOid(oid, probe)
            };
        if !is_free {
            return Some((index, false));
        }
        drop(index);
        let index = Self::look(oid, pg_sys::ShareLock);
        // SAFETY: taken above. The lock held now keeps the same sessions out.
        unsafe { pg_sys::UnlockRelationOid(oid, probe) };
        index.map(|index| (index, true))
    }

    fn open(oid: pg_sys::Oid, lock: u32) -> Result<Self, Unseen> {
        let table = find_table_of(oid)?.unwrap_or_else(|name| not_an_index(oid, &name));
        if !may_read(table).ok_or(Unseen::Gone(oid))? {
            no_privilege(table);
        }
        let lock = lock as pg_sys::LOCKMODE;
        // SAFETY: answers null for a relation that is gone.
        let rel = unsafe { pg_sys::try_relation_open(oid, lock) };
        if rel.is_null() {
            return Err(Unseen::Gone(oid));
        }
        let mut index = Self { rel, lock, method: &FAISSIVF };
        index.method = index.require_ours()?;
        Ok(index)
    }

    fn require_ours(&self) -> Result<&'static Method, Unseen> {
        let name = rel::name(self.rel);
        // SAFETY: an open relation.
        let (kind, other_temp) = unsafe {
            let relation = &*self.rel;
            let temp = (*relation.rd_rel).relpersistence as u8 == pg_sys::RELPERSISTENCE_TEMP;
            ((*relation.rd_rel).relkind as u8, temp && !relation.rd_islocaltemp)
        };
        match kind {
            pg_sys::RELKIND_INDEX => {}
            pg_sys::RELKIND_PARTITIONED_INDEX => {
                return Err(match elsewhere::foreign_partitions(self.table()) {
                    0 => Unseen::Partitioned(name),
                    foreign => Unseen::OnServers(name, foreign),
                });
            }
            _ => not_an_index(oid_of(self.rel), &name),
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
            return Err(Unseen::OtherTemp(name));
        }
        if elsewhere::is_distributed(self.table()) {
            return Err(Unseen::Distributed(name));
        }
        Ok(method)
    }

    fn table(&self) -> pg_sys::Oid {
        // SAFETY: an open index has its pg_index row at hand.
        unsafe { (*(*self.rel).rd_index).indrelid }
    }

    /// Whether a build has come to its end, so that its pages can be read: not so while CREATE INDEX CONCURRENTLY or REINDEX
    /// CONCURRENTLY makes it, nor after one of them failed.
    pub fn is_built(&self) -> bool {
        // SAFETY: an open index has its pg_index row at hand.
        unsafe { (*(*self.rel).rd_index).indisready }
    }

    /// Whether queries may use it.
    pub fn is_valid(&self) -> bool {
        // SAFETY: as above.
        unsafe { (*(*self.rel).rd_index).indisvalid }
    }

    /// That it is not valid, and what to do.
    pub fn not_valid(&self) -> Report {
        Report::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("index \"{}\" is not valid", rel::name(self.rel)),
        )
        .detail(NOT_VALID)
        .hint(NOT_VALID_REMEDY)
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
        let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
        // SAFETY: answers null for a table that is gone.
        let rel = unsafe { pg_sys::try_table_open(table, lock) };
        if rel.is_null() {
            Report::from(Unseen::Gone(index)).error();
        }
        Self { rel }
    }

    /// Opens the table of an open index, whose caller may read it.
    pub fn of_index(index: &OpenIndex) -> Self {
        let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
        // SAFETY: the table of an open index exists.
        Self { rel: unsafe { pg_sys::table_open((*(*index.rel).rd_index).indrelid, lock) } }
    }
}

impl OpenTable {
    /// Whether row-level security keeps rows from the caller.
    pub fn has_policies(&self) -> bool {
        // SAFETY: an open relation.
        has_policies(unsafe { (*self.rel).rd_id })
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
    match find_table_of(index) {
        Ok(Ok(table)) => table,
        Ok(Err(name)) => not_an_index(index, &name),
        Err(gone) => Report::from(gone).error(),
    }
}

/// The table of an index, or the name of what is no index.
fn find_table_of(index: pg_sys::Oid) -> Result<Result<pg_sys::Oid, String>, Unseen> {
    // SAFETY: answers InvalidOid for what is no index.
    let table = unsafe { pg_sys::IndexGetRelation(index, true) };
    if table != pg_sys::InvalidOid {
        return Ok(Ok(table));
    }
    relation_name(index).map(Err).ok_or(Unseen::Gone(index))
}

fn not_an_index(relation: pg_sys::Oid, name: &str) -> ! {
    let report = Report::new(
        PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
        format!("\"{name}\" is not an index"),
    );
    // SAFETY: a catalog look-up.
    let kind = unsafe { pg_sys::get_rel_relkind(relation) } as u8;
    match kind {
        pg_sys::RELKIND_FOREIGN_TABLE => report
            .detail("It is a foreign table; its rows, and their indexes, are on another server.")
            .hint("Ask there, through dblink or a foreign table of a view."),
        _ => report,
    }
    .error()
}

fn oid_of(rel: pg_sys::Relation) -> pg_sys::Oid {
    // SAFETY: an open relation.
    unsafe { (*rel).rd_id }
}

/// Raises 42501 if the caller may not read `table`, 42P01 if it is gone.
pub fn require_privilege(table: pg_sys::Oid) {
    match may_read(table) {
        Some(true) => {}
        Some(false) => no_privilege(table),
        None => Report::from(Unseen::Gone(table)).error(),
    }
}

/// Whether the caller may read `table`; None if it is gone.
fn may_read(table: pg_sys::Oid) -> Option<bool> {
    let mode = pg_sys::AclMode::from(pg_sys::ACL_SELECT);
    let mut is_missing = false;
    // SAFETY: looks up catalogs only.
    let result =
        unsafe { pg_sys::pg_class_aclcheck_ext(table, pg_sys::GetUserId(), mode, &mut is_missing) };
    (!is_missing).then_some(result == pg_sys::AclResult::ACLCHECK_OK)
}

fn no_privilege(table: pg_sys::Oid) -> ! {
    let name = relation_name(table).unwrap_or_default();
    Report::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        format!("permission denied for table {name}"),
    )
    .error()
}

/// Raises 42501 if row-level security of `table` applies to the caller, with a detail and a hint.
fn require_every_row(table: pg_sys::Oid, (detail, hint): (&str, &str)) {
    if !has_policies(table) {
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

/// Whether row-level security keeps rows of a table from the caller.
fn has_policies(table: pg_sys::Oid) -> bool {
    // SAFETY: looks up catalogs only; with no_error it does not raise one about row_security = off.
    let applies = unsafe { pg_sys::check_enable_rls(table, pg_sys::InvalidOid, true) };
    applies == pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32
}

pub fn relation_name(oid: pg_sys::Oid) -> Option<String> {
    // SAFETY: get_rel_name answers with null or a NUL-terminated copy.
    unsafe {
        let name = pg_sys::get_rel_name(oid);
        (!name.is_null()).then(|| std::ffi::CStr::from_ptr(name).to_string_lossy().into_owned())
    }
}
