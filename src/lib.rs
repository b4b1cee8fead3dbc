//! pgfaiss: FAISS index families as PostgreSQL index access methods.
::pgrx::pg_module_magic!();

mod am;
mod backtraces;
mod sql;

/// The server calls this when it loads the library into a backend.
#[pgrx::pg_guard]
pub extern "C-unwind" fn _PG_init() {
    backtraces::switch_off();
    am::guc::register();
    am::options::register();
    am::limit::register();
    am::custom::register();
}
