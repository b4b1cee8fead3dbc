//! Settings of builds: their threads, and when an index is built that was made before its rows.

use pages::lists::due;
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::pg_sys;

use super::threads_beside;

/// Smallest and largest `faiss.training_rows`.
const TRAINING_ROWS_RANGE: (i32, i32) = (100, 1_000_000_000);
const TRAINING_ROWS_DEFAULT: i32 = due::TRAINING_ROWS as i32;

static BUILD_THREADS: GucSetting<i32> = GucSetting::<i32>::new(0);
static TRAINING_ROWS: GucSetting<i32> = GucSetting::<i32>::new(TRAINING_ROWS_DEFAULT);
static DEBUG_REBUILD: GucSetting<bool> = GucSetting::<bool>::new(false);

/// The worker threads of a build: `faiss.build_threads`, where 0 stands for
/// `max_parallel_maintenance_workers` + 1, at most the cores.
pub fn build_threads() -> usize {
    let threads = BUILD_THREADS.get().unsigned_abs() as usize;
    if threads > 0 {
        return threads;
    }
    // SAFETY: a plain variable of the server, changed by this thread only.
    threads_beside(unsafe { pg_sys::max_parallel_maintenance_workers })
}

/// The rows from which on an index that was made before them is trained.
pub fn training_rows() -> u64 {
    TRAINING_ROWS.get().unsigned_abs().into()
}

/// Whether VACUUM builds lists anew each time.
pub fn debug_rebuild() -> bool {
    DEBUG_REBUILD.get()
}

/// Defines the settings.
pub fn register() {
    GucRegistry::define_int_guc(
        c"faiss.training_rows",
        c"Rows from which on an index that was made before them is trained.",
        c"Fewer train it sooner, on a smaller sample, until VACUUM trains it anew; more leave it longer a single list that every query compares whole. VACUUM does not build lists of fewer rows anew.",
        &TRAINING_ROWS,
        TRAINING_ROWS_RANGE.0,
        TRAINING_ROWS_RANGE.1,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"faiss.debug_rebuild",
        c"Builds lists anew in every VACUUM, for tests.",
        c"On shows what goes wrong beside rebuilds sooner and makes every VACUUM as expensive as a REINDEX.",
        &DEBUG_REBUILD,
        GucContext::Userset,
        GucFlags::NO_SHOW_ALL,
    );
    GucRegistry::define_int_guc(
        c"faiss.build_threads",
        c"Threads that CREATE INDEX and REINDEX use for training and assignment.",
        c"More threads build faster and take cores from other sessions. 0 means max_parallel_maintenance_workers + 1, at most the number of cores.",
        &BUILD_THREADS,
        0,
        1024,
        GucContext::Userset,
        GucFlags::default(),
    );
}
