//! The access methods, as far as they differ: they share every callback but the handler and amoptions.

use std::sync::atomic::AtomicU32;

use grammar::options::Settings;
use pgrx::{PgSqlErrorCode, pg_sys};

use super::options::{
    faissflat_options, faisshnsw_options, faissivf_options, hnsw_options, ivfflat_options,
};
use super::rel;
use super::report::Report;

/// The server's amoptions.
pub type AmOptions = unsafe extern "C-unwind" fn(pg_sys::Datum, bool) -> *mut pg_sys::bytea;

/// An access method.
pub struct Method {
    /// Its name in SQL.
    pub name: &'static str,
    /// Whether its indexes have inverted lists: only then there are `nlist` and `nprobe`. Without, all rows are in one list,
    /// and only a lossy code is trained.
    pub has_lists: bool,
    /// Whether its indexes are graphs: only then there are `efConstruction` and `efSearch`, `m` means links, and fewer codes
    /// are to be had. A graph of few rows is a list that is scanned whole.
    pub is_graph: bool,
    /// Whether its indexes may have filter columns beside the vector.
    pub has_filters: bool,
    /// Whether the build chooses the code where none is given. What is called flat is flat.
    pub chooses_code: bool,
    /// Which settings its scans heed besides `faiss.*`.
    pub settings: Settings,
    /// Its own callback, by which its indexes are known.
    pub options: AmOptions,
    /// The option kind that the server gave it at registration.
    pub option_kind: AtomicU32,
}

/// Inverted lists.
pub static FAISSIVF: Method = Method {
    name: "faissivf",
    has_lists: true,
    is_graph: false,
    has_filters: true,
    chooses_code: true,
    settings: Settings::Faiss,
    options: faissivf_options,
    option_kind: AtomicU32::new(0),
};

/// No lists: scanned whole.
pub static FAISSFLAT: Method = Method {
    name: "faissflat",
    has_lists: false,
    is_graph: false,
    has_filters: true,
    chooses_code: false,
    settings: Settings::Faiss,
    options: faissflat_options,
    option_kind: AtomicU32::new(0),
};

/// A graph of near neighbours.
pub static FAISSHNSW: Method = Method {
    name: "faisshnsw",
    has_lists: false,
    is_graph: true,
    has_filters: true,
    chooses_code: false,
    settings: Settings::Faiss,
    options: faisshnsw_options,
    option_kind: AtomicU32::new(0),
};

/// Inverted lists under pgvector's name, in our extension `vector`.
pub static IVFFLAT: Method = Method {
    name: "ivfflat",
    settings: Settings::Ivfflat,
    options: ivfflat_options,
    option_kind: AtomicU32::new(0),
    has_lists: true,
    is_graph: false,
    has_filters: false,
    chooses_code: false,
};

/// A graph under pgvector's name, in our extension `vector`.
pub static HNSW: Method = Method {
    name: "hnsw",
    settings: Settings::Hnsw,
    options: hnsw_options,
    option_kind: AtomicU32::new(0),
    has_lists: false,
    is_graph: true,
    has_filters: false,
    chooses_code: false,
};

/// Every access method.
pub static METHODS: [&Method; 5] = [&FAISSIVF, &FAISSFLAT, &FAISSHNSW, &IVFFLAT, &HNSW];

/// Those of the extension `pgfaiss`, whose names nobody else gives to an access method.
pub static FAISS_METHODS: [&Method; 3] = [&FAISSIVF, &FAISSFLAT, &FAISSHNSW];

/// The access method of an open index, None if it is not one of ours.
pub fn method_of(index: pg_sys::Relation) -> Option<&'static Method> {
    // SAFETY: an open relation; rd_indam is null (no index) or its access method's table.
    unsafe { (*index).rd_indam.as_ref() }.and_then(by_routine)
}

/// The access method of an open index that one of our callbacks is called for. Raises 42809 where that is not ours: somebody's
/// handler that gives our callbacks and other options cannot be told apart from none.
pub fn require_method(index: pg_sys::Relation) -> &'static Method {
    method_of(index).unwrap_or_else(|| {
        Report::new(
            PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
            format!("index \"{}\" has an access method that pgfaiss does not know", rel::name(index)),
        )
        .hint("Handlers are faiss.faissivf_handler, faiss.faissflat_handler and faiss.faisshnsw_handler, and hnswhandler and ivfflathandler of our extension vector.")
        .error()
    })
}

/// The access method with this OID, None if it is not one of ours.
pub fn method_by_oid(method: pg_sys::Oid) -> Option<&'static Method> {
    // SAFETY: null for what is no index access method, else a table in the caller's memory context.
    unsafe { pg_sys::GetIndexAmRoutineByAmId(method, true).as_ref() }.and_then(by_routine)
}

fn by_routine(routine: &pg_sys::IndexAmRoutine) -> Option<&'static Method> {
    let options = routine.amoptions?;
    METHODS.into_iter().find(|method| std::ptr::fn_addr_eq(options, method.options))
}

#[cfg(feature = "pg_test")]
#[pgrx::pg_schema]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use ann::Metric;
    use pgrx::pg_test;

    use crate::am::build::IndexSpec;
    use crate::am::options::options_of;
    use crate::am::testing::{run, with_index};

    #[pg_test]
    fn pgtest_an_unknown_handler_is_refused() {
        run("CREATE TABLE u (v vector(2)); CREATE INDEX u_v ON u USING faissivf (v)");
        with_index("u_v", |index| {
            // SAFETY: copies of an open relation and of its access method's table, alive while they are used.
            let (mut relation, mut routine) = unsafe { (*index, *(*index).rd_indam) };
            relation.rd_indam = &raw mut routine;
            assert!(IndexSpec::of(&raw mut relation, Metric::L2).method.has_lists);
            // SAFETY: it points to the copy above.
            unsafe { (*relation.rd_indam).amoptions = None };
            let index = &raw mut relation;
            assert!(catch_unwind(AssertUnwindSafe(|| IndexSpec::of(index, Metric::L2))).is_err());
            assert!(catch_unwind(AssertUnwindSafe(|| options_of(index))).is_err());
        });
    }
}
