//! Storing search settings in an index: ALTER INDEX … SET, as the caller would type it.

use std::ffi::CStr;

use grammar::options::Settings;
use pgrx::{PgSqlErrorCode, Spi, pg_sys};

use super::open_index::relation_name;
use crate::am::measure::{SearchSetting, Tuned};
use crate::am::report::Report;

/// Raises 42501 if the caller may not alter `index`, 25006 where nothing may be written: before a long measurement.
pub fn require_may_alter(index: pg_sys::Oid) {
    require_may(index, c"ALTER INDEX");
}

/// As `require_may_alter`, for callers that build lists anew.
pub fn require_may_maintain(index: pg_sys::Oid) {
    require_may(index, c"faiss.maintain");
}

fn require_may(index: pg_sys::Oid, command: &CStr) {
    // SAFETY: a NUL-terminated command name.
    unsafe {
        pg_sys::PreventCommandIfReadOnly(command.as_ptr());
        pg_sys::PreventCommandDuringRecovery(command.as_ptr());
    }
    if !is_owner(index) {
        let name = relation_name(index).unwrap_or_default();
        Report::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("must be owner of index {name}"),
        )
        .error();
    }
}

fn is_owner(index: pg_sys::Oid) -> bool {
    // SAFETY: looks up catalogs only.
    unsafe {
        let user = pg_sys::GetUserId();
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        let is_owner = pg_sys::pg_class_ownercheck(index, user);
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        let is_owner = pg_sys::object_ownercheck(pg_sys::RelationRelationId, index, user);
        is_owner
    }
}

/// Stores settings in `index`, which heeds `settings` and must not be open. Says so where a setting of the session would hide them.
///
/// Errors: 42501 if the caller does not own it, and what else ALTER INDEX raises.
pub fn apply(index: pg_sys::Oid, settings: Settings, values: &[(SearchSetting, u32)]) {
    if values.is_empty() {
        return;
    }
    let options: Vec<String> =
        values.iter().map(|(setting, value)| format!("{} = {value}", setting.name())).collect();
    // ALTER INDEX takes a name. Under this lock nobody else can give the name to another index meanwhile.
    let lock = pg_sys::ShareUpdateExclusiveLock as pg_sys::LOCKMODE;
    // SAFETY: a relation that existed a moment ago; if it was dropped, it has no name below.
    unsafe { pg_sys::LockRelationOid(index, lock) };
    let Some(name) = qualified_name(index) else {
        Report::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            format!("index with OID {} was dropped meanwhile", index.to_u32()),
        )
        .error();
    };
    if let Err(e) = Spi::run(&format!("ALTER INDEX {name} SET ({})", options.join(", "))) {
        Report::new(
            PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
            format!("could not alter index {name}: {e}"),
        )
        .error();
    }
    for setting in values.iter().map(|(setting, _)| setting) {
        let Some(guc) = setting.winner(settings) else { continue };
        let guc = guc.to_string_lossy();
        Report::new(
            PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
            format!("{guc} is set, which wins over the index's own {}", setting.name()),
        )
        .hint(format!(
            "RESET {guc}; if that does not help, it is set for the role or the database."
        ))
        .notice();
    }
}

/// Schema and name, quoted.
fn qualified_name(index: pg_sys::Oid) -> Option<String> {
    // SAFETY: the server answers with null or a NUL-terminated copy.
    unsafe {
        let schema = pg_sys::get_namespace_name(pg_sys::get_rel_namespace(index));
        let name = pg_sys::get_rel_name(index);
        if schema.is_null() || name.is_null() {
            return None;
        }
        let quoted = pg_sys::quote_qualified_identifier(schema, name);
        Some(CStr::from_ptr(quoted).to_string_lossy().into_owned())
    }
}

/// Warns that nothing reaches the target.
pub fn say_missed(index: pg_sys::Oid, target: f64, tuned: &Tuned) {
    let name = relation_name(index).unwrap_or_default();
    let report = Report::new(
        PgSqlErrorCode::ERRCODE_WARNING,
        format!("no search setting of index \"{name}\" reaches recall {target}"),
    );
    let best = tuned.points.iter().max_by(|a, b| a.recall.total_cmp(&b.recall));
    let Some(best) = best else { return report.warning() };
    let by = if best.text.is_empty() { String::new() } else { format!(", by {}", best.text) };
    report
        .detail(format!("The best is {:.4}{by}.", best.recall))
        .hint("A code that keeps more of each vector, or vectors as they are, can reach more.")
        .warning();
}
