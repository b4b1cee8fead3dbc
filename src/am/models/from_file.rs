//! Models from FAISS's files, and back: what was trained elsewhere builds indexes here.

use ann::Metric;
use faissfile::model_file;
use pages::ModelName;
use pages::blob::{BlobError, SIZE_MAX, TrainedModel};
use pgrx::{PgSqlErrorCode, pg_sys};

use super::super::files::{Assembly, Given, Opened, raise};
use super::super::method::{FAISSFLAT, FAISSIVF};
use super::super::report::Report;
use super::store::{self, Provenance};
use super::{damaged, missing, require_owner};

/// What came of a file.
pub struct Imported {
    pub factory: String,
    pub metric: Metric,
    /// Vectors that the file holds besides.
    pub ntotal: u64,
    /// Bytes of the parameters.
    pub bytes: usize,
}

/// Stores what the index in a file was trained to as a model of the current role. Raises 42710 if the name is taken, and what
/// [`raise`] says of the file.
///
/// # Safety
/// As [`Opened::new`].
pub unsafe fn import(name: &ModelName, given: &Given, metric: Option<Metric>) -> Imported {
    // SAFETY: raises 25006 where nothing can be written.
    unsafe { pg_sys::PreventCommandIfReadOnly(c"faiss.import_model()".as_ptr()) };
    if store::owner(name).is_some() {
        store::taken(name);
    }
    // SAFETY: the caller's promise.
    let mut file = unsafe { Opened::new(given) };
    let index = faissfile::read(&mut file).unwrap_or_else(|e| raise(e));
    let found = faissfile::import(&mut file, &index, metric).unwrap_or_else(|e| raise(e));
    let model = found.model;
    let bytes = match model.to_bytes() {
        Ok(bytes) if bytes.len() <= SIZE_MAX => bytes,
        Ok(bytes) => damaged(name, &BlobError::TooLarge { bytes: bytes.len() }),
        Err(e) => damaged(name, &e),
    };
    let factory = model.factory().to_string();
    let about = Provenance {
        name,
        method: if model.has_lists { FAISSIVF.name } else { FAISSFLAT.name },
        factory: &factory,
        metric: model.metric.name(),
        dims: model.dims as i32,
        nlist: model.has_lists.then_some(model.nlist() as i32),
        source: None,
        trained_rows: model.trained_rows as i64,
        seed: model.seed as i64,
        coarse_error: None,
        code_error: None,
    };
    store::insert(&about, &bytes);
    Imported { factory, metric: model.metric, ntotal: found.ntotal, bytes: bytes.len() }
}

/// A model as a trained FAISS index without vectors. Raises 42704 if there is none, 42501 if it is another's.
pub fn export(name: &ModelName) -> Assembly {
    let Some((owner, bytes)) = store::load(name) else { missing(name).error() };
    require_owner(name, &owner);
    let model = TrainedModel::from_bytes(&bytes).unwrap_or_else(|e| damaged(name, &e));
    let (file, is_lost) = model_file(&model);
    if is_lost {
        Report::new(
            PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
            format!("model \"{name}\" is written without its refinement"),
        )
        .detail(
            "Its 8-bit vectors are not normalised, as FAISS would have them for cosine distance.",
        )
        .notice();
    }
    Assembly::of(file)
}
