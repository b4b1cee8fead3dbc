//! Trained models: rotation, centroids and code under a name, for any number of indexes.
//!
//! `store.rs` keeps them in the table `faiss.model_parameters`, `column.rs` and `rows.rs` read what they are trained on,
//! `training.rs` makes them, `from_file.rs` takes them from FAISS's files and writes these, `restore.rs` is for builds before their model is restored. A model's bytes are the
//! business of `pages::blob`. An index is complete without its model: it needs it only when it is built again.

mod column;
mod from_file;
mod restore;
mod rows;
mod store;
mod training;

use pages::ModelName;
use pages::blob::{BlobError, TrainedModel};
use pgrx::{PgSqlErrorCode, pg_sys};

use super::build::IndexSpec;
use super::quantizers::Trained;
use super::report::Report;

pub use from_file::{export, import};
pub use restore::warn as warn_untrained;
pub use training::{Request, train};

/// What becomes of the option `model` in a build.
pub enum Lookup {
    /// There is no such option, or this build does without.
    None,
    Found(TrainedModel),
    /// A restore has not brought it yet: the index is to stay untrained.
    Awaited,
}

/// The model that `spec` names, if it names one. Raises 42704 if there is no such model, 42501 if the current role (in a
/// build the owner of the table) may not use it, 22023 if it is for other indexes.
///
/// pg_upgrade builds indexes while all tables, also that of the models, are empty, and then puts the old server's files in
/// the place of what was built: there the index does without.
pub fn load_for(spec: &IndexSpec) -> Lookup {
    // SAFETY: a plain variable of the server, set at its start.
    let is_upgrade = unsafe { pg_sys::IsBinaryUpgrade };
    let Some(name) = spec.model.filter(|_| !is_upgrade) else { return Lookup::None };
    let is_restore = restore::is_running();
    let found =
        store::load(&name).or_else(|| is_restore.then(|| restore::wait_for(&name)).flatten());
    let Some((owner, bytes)) = found else {
        if is_restore {
            return Lookup::Awaited;
        }
        missing(&name)
            .hint("Train it with faiss.train, or take the option away with ALTER INDEX … RESET (model).")
            .error()
    };
    require_owner(&name, &owner);
    let model = TrainedModel::from_bytes(&bytes).unwrap_or_else(|e| damaged(&name, &e));
    require_fit(spec, &name, &model);
    Lookup::Found(model)
}

/// What it was trained to.
pub fn trained(spec: &IndexSpec, model: TrainedModel) -> Trained {
    Trained::of_model(model).unwrap_or_else(|| {
        let e = BlobError::Damaged("its parameters make no code");
        spec.model.map_or_else(Trained::untrained, |name| damaged(&name, &e))
    })
}

/// Removes a model. Raises 42704 if there is none, 42501 if it is another's, 2BP01 if an index names it.
pub fn drop(name: &ModelName) {
    // SAFETY: raises 25006 where nothing can be written.
    unsafe { pg_sys::PreventCommandIfReadOnly(c"faiss.drop_model()".as_ptr()) };
    let Some(owner) = store::owner(name) else { missing(name).error() };
    require_owner(name, &owner);
    let users = store::users(name);
    if !users.is_empty() {
        Report::new(
            PgSqlErrorCode::ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
            format!("cannot drop model \"{name}\" because indexes name it"),
        )
        .detail(format!("Named by {}.", listed(&users)))
        .hint("Take the option away with ALTER INDEX … RESET (model) first. The indexes stay as they are until they are built again.")
        .error();
    }
    store::delete(name);
}

fn missing(name: &ModelName) -> Report {
    Report::new(
        PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
        format!("model \"{name}\" does not exist"),
    )
}

/// A model tells about the rows it was trained on, and so does an index built with it.
fn require_owner(name: &ModelName, owner: &str) {
    if store::has_privileges_of(owner) {
        return;
    }
    Report::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        format!("permission denied for model \"{name}\""),
    )
    .detail(format!(
        "It belongs to role \"{owner}\", of which role \"{}\" is no member.",
        store::current_role()
    ))
    .error()
}

/// Raises 22023 where the model is for other indexes, and says what both are.
fn require_fit(spec: &IndexSpec, name: &ModelName, model: &TrainedModel) {
    let wanted = (spec.method.has_lists, spec.dims, spec.metric);
    if (model.has_lists, model.dims, model.metric) == wanted {
        return;
    }
    let is_for = |has_lists: bool, dims: usize, metric: ann::Metric| {
        let method = if has_lists { "faissivf" } else { "faissflat" };
        format!("access method {method}, {dims} dimensions and metric {}", metric.name())
    };
    Report::new(
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        format!("model \"{name}\" does not fit the index"),
    )
    .detail(format!(
        "The model is for {}; the index has {}.",
        is_for(model.has_lists, model.dims, model.metric),
        is_for(spec.method.has_lists, spec.dims, spec.metric)
    ))
    .hint("Train a model for this column and operator class, or leave out \"model\".")
    .error()
}

/// Raises XX001, 0A000 or 54000.
fn damaged(name: &ModelName, e: &BlobError) -> ! {
    let (code, message) = match e {
        BlobError::Damaged(_) => {
            (PgSqlErrorCode::ERRCODE_DATA_CORRUPTED, format!("model \"{name}\" is damaged"))
        }
        BlobError::Version { .. } => (
            PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
            format!("model \"{name}\" is of another version of pgfaiss"),
        ),
        BlobError::TooLarge { .. } => (
            PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            format!("model \"{name}\" is too large"),
        ),
    };
    let hint = match e {
        BlobError::TooLarge { .. } => "Choose fewer lists.",
        _ => "Drop it with faiss.drop_model and train it again.",
    };
    let what = e.to_string();
    let mut detail: String = what.chars().take(1).flat_map(char::to_uppercase).collect();
    detail.extend(what.chars().skip(1));
    Report::new(code, message).detail(format!("{detail}.")).hint(hint).error()
}

/// The first few names.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
