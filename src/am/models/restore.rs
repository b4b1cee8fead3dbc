//! Builds of a restore that come before their model.
//!
//! An index depends on its table for pg_dump, and not on the row of its model: with several jobs, or a part at a time, pg_restore
//! may build the index before the models are loaded, or while they are. In the second case the build waits. In the first it makes
//! an untrained index, and a trigger of the table builds that again when its model arrives (`sql/85-models.sql`). The table
//! stays locked against new rows until the build is committed, so that the trigger sees the index.

use pages::ModelName;
use pgrx::{PgSqlErrorCode, pg_sys};

use super::super::rel;
use super::super::report::Report;
use super::store;

/// Whether statements come from a dump. Every restore sets this, and it means that what a statement names may come later.
pub fn is_running() -> bool {
    // SAFETY: a plain variable of the server.
    unsafe { !pg_sys::check_function_bodies }
}

/// A model that another session was loading. None if there is none, and none will come before the transaction ends.
pub fn wait_for(name: &ModelName) -> Option<(String, Vec<u8>)> {
    store::lock_out_writers();
    store::load(name).inspect(|_found| store::let_writers_in())
}

/// Says what is to be done if the model comes from elsewhere than the dump.
pub fn warn(index: pg_sys::Relation, name: &ModelName) {
    Report::new(
        PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
        format!("index \"{}\" is untrained until model \"{name}\" is restored", rel::name(index)),
    )
    .hint(format!(
        "If the dump does not have the model, train or copy it, and run: REINDEX INDEX {};",
        rel::qualified_name(index)
    ))
    .warning();
}
