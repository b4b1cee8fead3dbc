//! pgfaiss: FAISS index families as PostgreSQL index access methods.
::pgrx::pg_module_magic!();

mod am;
