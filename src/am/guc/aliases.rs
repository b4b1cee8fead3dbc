//! pgvector's settings, `hnsw.*` and `ivfflat.*`, for the indexes of our access methods `hnsw` and `ivfflat`.
//!
//! One that is not set has no effect: the settings `faiss.*` apply then, and what pgvector would do by default is all that these show. If both are set, the
//! narrower one applies (session before role, role before database), and `faiss.*` if both were set in the same place.

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};
use pgrx::{PgSqlErrorCode, pg_sys};

use super::{IterativeScan, Sourced, assign, keep_source, reserve_prefix};
use crate::am::report::Report;

/// How scans of `hnsw` go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PostgresGucEnum)]
pub enum PgvectorScan {
    #[name = c"off"]
    Off,
    #[name = c"relaxed_order"]
    RelaxedOrder,
    #[name = c"strict_order"]
    StrictOrder,
}

impl From<PgvectorScan> for IterativeScan {
    fn from(scan: PgvectorScan) -> Self {
        match scan {
            PgvectorScan::Off => Self::Off,
            PgvectorScan::RelaxedOrder => Self::RelaxedOrder,
            PgvectorScan::StrictOrder => Self::StrictOrder,
        }
    }
}

pub(super) static EF_SEARCH: Sourced<i32> = Sourced::new(GucSetting::<i32>::new(40));
pub(super) static PROBES: Sourced<i32> = Sourced::new(GucSetting::<i32>::new(1));
pub(super) static HNSW_SCAN: Sourced<PgvectorScan> =
    Sourced::new(GucSetting::<PgvectorScan>::new(PgvectorScan::StrictOrder));
pub(super) static IVFFLAT_SCAN: Sourced<PgvectorScan> =
    Sourced::new(GucSetting::<PgvectorScan>::new(PgvectorScan::StrictOrder));
pub(super) static MAX_SCAN_TUPLES: Sourced<i32> = Sourced::new(GucSetting::<i32>::new(i32::MAX));
pub(super) static MAX_PROBES: Sourced<i32> = Sourced::new(GucSetting::<i32>::new(PROBES_MAX));
static SCAN_MEM_MULTIPLIER: GucSetting<f64> = GucSetting::<f64>::new(1.0);

const PROBES_MAX: i32 = 32_768;
const EF_SEARCH_MAX: i32 = 1000;

thread_local! {
    static IS_REGISTERED: Cell<bool> = const { Cell::new(false) };
}

assign!(assign_ef_search => EF_SEARCH);
assign!(assign_probes => PROBES);
assign!(assign_hnsw_scan => HNSW_SCAN);
assign!(assign_ivfflat_scan => IVFFLAT_SCAN);
assign!(assign_max_scan_tuples => MAX_SCAN_TUPLES);
assign!(assign_max_probes => MAX_PROBES);

/// Defines the settings, once per backend. Raises 55000 where another library has defined them.
pub fn register() {
    if IS_REGISTERED.get() {
        return;
    }
    require_undefined();
    for (name, about, setting, (least, most), assign) in [
        (
            c"hnsw.ef_search",
            c"As faiss.efSearch, for indexes of access method hnsw.",
            &EF_SEARCH,
            (1, EF_SEARCH_MAX),
            assign_ef_search as Assign,
        ),
        (
            c"hnsw.max_scan_tuples",
            c"As faiss.max_scan_tuples, for indexes of access method hnsw.",
            &MAX_SCAN_TUPLES,
            (1, i32::MAX),
            assign_max_scan_tuples,
        ),
        (
            c"ivfflat.probes",
            c"As faiss.nprobe, for indexes of access method ivfflat.",
            &PROBES,
            (1, PROBES_MAX),
            assign_probes,
        ),
        (
            c"ivfflat.max_probes",
            c"Inverted lists that one scan of access method ivfflat searches at most.",
            &MAX_PROBES,
            (1, PROBES_MAX),
            assign_max_probes,
        ),
    ] {
        define_integer(name, about, setting, (least, most), assign);
    }
    define_scan(
        c"hnsw.iterative_scan",
        c"As faiss.iterative_scan, for indexes of access method hnsw.",
        &HNSW_SCAN,
        assign_hnsw_scan,
    );
    define_scan(
        c"ivfflat.iterative_scan",
        c"As faiss.iterative_scan, for indexes of access method ivfflat.",
        &IVFFLAT_SCAN,
        assign_ivfflat_scan,
    );
    GucRegistry::define_float_guc(
        c"hnsw.scan_mem_multiplier",
        c"Has no effect: a scan keeps within work_mem and returns every row nevertheless.",
        c"It is there for clients that set it.",
        &SCAN_MEM_MULTIPLIER,
        1.0,
        1000.0,
        GucContext::Userset,
        GucFlags::default(),
    );
    reserve_prefix(c"hnsw");
    reserve_prefix(c"ivfflat");
    IS_REGISTERED.set(true);
}

/// Raises 55000 if pgvector's library is in this backend, which defines the same names and reads them alone.
fn require_undefined() {
    const FIRST: &CStr = c"hnsw.ef_search";
    // SAFETY: looks up a setting by name; null if there is none of the name.
    let is_defined = unsafe {
        let flags = pg_sys::GetConfigOptionFlags(FIRST.as_ptr(), true);
        let is_placeholder = flags & pg_sys::GUC_CUSTOM_PLACEHOLDER as c_int != 0;
        !pg_sys::GetConfigOption(FIRST.as_ptr(), true, false).is_null() && !is_placeholder
    };
    if is_defined {
        Report::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "settings of access method hnsw are defined by another library",
        )
        .detail("The library of pgvector is loaded in this session, and this database has the extension vector of pgfaiss.")
        .hint("Take vector out of shared_preload_libraries, session_preload_libraries and local_preload_libraries.")
        .error();
    }
}

type Assign = unsafe extern "C-unwind" fn(c_int, *mut c_void);

const UNSET: &CStr = c"If it is not set, the setting faiss.* applies. If both are set, the narrower one applies: session before role, role before database, database before configuration file. If both were set in the same place, faiss.* applies.";

fn define_integer(
    name: &'static CStr,
    about: &'static CStr,
    setting: &'static Sourced<i32>,
    (least, most): (i32, i32),
    assign: Assign,
) {
    // SAFETY: the hooks have the signatures asked for and are static.
    unsafe {
        GucRegistry::define_int_guc_with_hooks(
            name,
            about,
            UNSET,
            &setting.value,
            least,
            most,
            GucContext::Userset,
            GucFlags::EXPLAIN,
            Some(keep_source),
            Some(assign),
            None,
        );
    }
}

fn define_scan(
    name: &'static CStr,
    about: &'static CStr,
    setting: &'static Sourced<PgvectorScan>,
    assign: Assign,
) {
    // SAFETY: as above.
    unsafe {
        GucRegistry::define_enum_guc_with_hooks(
            name,
            about,
            UNSET,
            &setting.value,
            GucContext::Userset,
            GucFlags::EXPLAIN,
            Some(keep_source),
            Some(assign),
            None,
        );
    }
}
