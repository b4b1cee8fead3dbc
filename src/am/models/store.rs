//! The table of trained models, read and written for anybody: only these functions decide who may.
//!
//! Statements run as the owner of the table, so they name every object and operator with its schema: whatever the
//! caller's search_path is, none of the caller's own functions can run here.

use std::ffi::CString;

use pages::ModelName;
use pgrx::datum::DatumWithOid;
use pgrx::spi::{SpiClient, SpiResult};
use pgrx::{PgSqlErrorCode, Spi, pg_sys};

use super::super::method::METHODS;
use super::super::report::Report;

/// What the table says of a model besides its parameters.
pub struct Provenance<'a> {
    pub name: &'a ModelName,
    pub method: &'a str,
    pub factory: &'a str,
    pub metric: &'a str,
    pub dims: i32,
    /// None where there are no lists.
    pub nlist: Option<i32>,
    /// None for what came from a file.
    pub source: Option<Source<'a>>,
    pub trained_rows: i64,
    pub seed: i64,
    pub coarse_error: Option<f64>,
    pub code_error: Option<f64>,
}

/// What a model was trained on.
pub struct Source<'a> {
    /// The relation, its schema named, and its column.
    pub relation: &'a str,
    pub column: &'a str,
    pub element_type: &'a str,
    pub rows: i64,
}

/// The owner and the bytes of a model, None if there is none.
pub fn load(name: &ModelName) -> Option<(String, Vec<u8>)> {
    let sql = "SELECT m.owner::pg_catalog.text, m.parameters FROM faiss.model_parameters m
               WHERE m.name OPERATOR(pg_catalog.=) $1";
    as_owner(|| {
        Spi::connect(|client| {
            let table = client.select(sql, Some(1), &[name.as_str().into()])?;
            if table.is_empty() {
                return Ok(None);
            }
            let row = table.first();
            Ok(row.get(1)?.zip(row.get(2)?))
        })
    })
}

/// Keeps others from adding models, after those who are at it, until the transaction ends or [`let_writers_in`].
pub fn lock_out_writers() {
    // SAFETY: a lock needs no open relation.
    unsafe { pg_sys::LockRelationOid(table(), pg_sys::ShareLock as pg_sys::LOCKMODE) };
}

/// Ends [`lock_out_writers`].
pub fn let_writers_in() {
    // SAFETY: as above.
    unsafe { pg_sys::UnlockRelationOid(table(), pg_sys::ShareLock as pg_sys::LOCKMODE) };
}

/// The owner of a model, None if there is no such model.
pub fn owner(name: &ModelName) -> Option<String> {
    let sql = "SELECT m.owner::pg_catalog.text FROM faiss.model_parameters m
               WHERE m.name OPERATOR(pg_catalog.=) $1";
    as_owner(|| Spi::connect(|client| texts(client, sql, name))).pop()
}

/// The indexes of this database whose options name the model.
pub fn users(name: &ModelName) -> Vec<String> {
    let methods = METHODS.map(|method| method.name).join(",");
    let sql = format!(
        "SELECT c.oid::pg_catalog.regclass::pg_catalog.text
         FROM pg_catalog.pg_class c, pg_catalog.pg_am a
         WHERE a.oid OPERATOR(pg_catalog.=) c.relam
           AND a.amname OPERATOR(pg_catalog.=) ANY ('{{{methods}}}'::pg_catalog.name[])
           AND pg_catalog.concat('model=', $1) OPERATOR(pg_catalog.=) ANY (c.reloptions)
         ORDER BY 1"
    );
    as_owner(|| Spi::connect(|client| texts(client, &sql, name)))
}

/// Adds a model of the current role. Raises 42710 if the name is taken.
pub fn insert(model: &Provenance<'_>, parameters: &[u8]) {
    let role = current_role();
    let sql = "INSERT INTO faiss.model_parameters
        (name, owner, method, factory, metric, dims, nlist, relation, column_name, element_type,
         total_rows, trained_rows, seed, coarse_error, code_error, parameters)
        VALUES ($1, $2::pg_catalog.name, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        ON CONFLICT (name) DO NOTHING";
    let (name, source) = (model.name.as_str(), model.source.as_ref());
    let is_new = as_owner(|| {
        Spi::connect_mut(|client| {
            let bytes: DatumWithOid<'_> = parameters.into();
            let arguments = [
                name.into(),
                role.as_str().into(),
                model.method.into(),
                model.factory.into(),
                model.metric.into(),
                model.dims.into(),
                model.nlist.into(),
                source.map(|source| source.relation).into(),
                source.map(|source| source.column).into(),
                source.map(|source| source.element_type).into(),
                source.map(|source| source.rows).into(),
                model.trained_rows.into(),
                model.seed.into(),
                model.coarse_error.into(),
                model.code_error.into(),
                bytes,
            ];
            Ok(!client.update(sql, None, &arguments)?.is_empty())
        })
    });
    if !is_new {
        taken(model.name);
    }
}

/// Raises 42710.
pub fn taken(name: &ModelName) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_DUPLICATE_OBJECT,
        format!("model \"{name}\" already exists"),
    )
    .hint("Choose another name, or drop it first with faiss.drop_model.")
    .error()
}

/// Removes a model.
pub fn delete(name: &ModelName) {
    let sql = "DELETE FROM faiss.model_parameters m WHERE m.name OPERATOR(pg_catalog.=) $1";
    as_owner(|| {
        Spi::connect_mut(|client| {
            client.update(sql, None, &[name.as_str().into()]).map(|_deleted| ())
        })
    });
}

/// Whether the current role is `owner` or a member of it. What belongs to a role that is gone is the superusers'.
pub fn has_privileges_of(owner: &str) -> bool {
    let Ok(owner) = CString::new(owner) else { return false };
    // SAFETY: looks up catalogs only.
    unsafe {
        let role = pg_sys::get_role_oid(owner.as_ptr(), true);
        if role == pg_sys::InvalidOid {
            return pg_sys::superuser();
        }
        pg_sys::has_privs_of_role(pg_sys::GetUserId(), role)
    }
}

/// The name of the current role.
pub fn current_role() -> String {
    // SAFETY: the current role exists; the answer is a NUL-terminated copy.
    unsafe {
        let name = pg_sys::GetUserNameFromId(pg_sys::GetUserId(), false);
        std::ffi::CStr::from_ptr(name).to_string_lossy().into_owned()
    }
}

/// The first column of all rows of a query about a model.
fn texts(client: &SpiClient<'_>, sql: &str, name: &ModelName) -> SpiResult<Vec<String>> {
    let mut found = Vec::new();
    for row in client.select(sql, None, &[name.as_str().into()])? {
        found.extend(row.get(1)?);
    }
    Ok(found)
}

/// Runs statements as the owner of the table. After an error the abort of the (sub)transaction makes the caller
/// itself again.
fn as_owner<T>(run: impl FnOnce() -> SpiResult<T>) -> T {
    let owner = owner_of(table());
    let (mut user, mut context) = (pg_sys::InvalidOid, 0);
    // SAFETY: the server's own state, given back below. The statement that builds an index began before another session
    // committed the model that this one has waited for, and at the end of a transaction, where indexes of temporary tables
    // are built, there is no snapshot at all.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
        let local = pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32;
        pg_sys::SetUserIdAndSecContext(owner, context | local);
        pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot());
    }
    let result = run();
    // SAFETY: what was set above.
    unsafe {
        pg_sys::PopActiveSnapshot();
        pg_sys::SetUserIdAndSecContext(user, context);
    }
    result.unwrap_or_else(|e| {
        Report::new(
            PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
            format!("could not use table faiss.model_parameters: {e}"),
        )
        .error()
    })
}

/// The table. Raises 42P01 where the extension does not have it.
fn table() -> pg_sys::Oid {
    // SAFETY: looks up catalogs only.
    let table = unsafe {
        let schema = pg_sys::get_namespace_oid(c"faiss".as_ptr(), true);
        pg_sys::get_relname_relid(c"model_parameters".as_ptr(), schema)
    };
    if table == pg_sys::InvalidOid {
        no_table();
    }
    table
}

/// Raises 42P01 if it is gone.
fn owner_of(table: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: looks up catalogs only; the tuple stays pinned until it is released.
    unsafe {
        let cache = pg_sys::SysCacheIdentifier::RELOID as i32;
        let tuple = pg_sys::SearchSysCache1(cache, pg_sys::Datum::from(table));
        if tuple.is_null() {
            no_table();
        }
        let owner = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>()).relowner;
        pg_sys::ReleaseSysCache(tuple);
        owner
    }
}

fn no_table() -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE,
        "table faiss.model_parameters does not exist",
    )
    .hint("Update the extension with ALTER EXTENSION pgfaiss UPDATE.")
    .error()
}
