//! The access-method handler: the table of properties and callbacks that the server asks for.

use pgrx::{pg_guard, pg_sys};

use super::guc::aliases;
use super::method::{FAISSFLAT, FAISSHNSW, FAISSIVF, HNSW, IVFFLAT, Method};
use super::{build, cost, insert, opclass, progress, scan, vacuum, validate};

/// An access method's handler: the SQL function of this name.
macro_rules! handler {
    ($name:ident, $info:ident => $answer:expr) => {
        /// # Safety
        /// Called by the server's function manager.
        #[unsafe(no_mangle)]
        #[pg_guard]
        pub unsafe extern "C-unwind" fn $name(_fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
            $answer
        }

        #[doc(hidden)]
        #[unsafe(no_mangle)]
        pub extern "C-unwind" fn $info() -> &'static pg_sys::Pg_finfo_record {
            &VERSION_1
        }
    };
}

static VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };

handler!(faissivf_handler, pg_finfo_faissivf_handler => answer(&FAISSIVF));
handler!(faissflat_handler, pg_finfo_faissflat_handler => answer(&FAISSFLAT));
handler!(faisshnsw_handler, pg_finfo_faisshnsw_handler => answer(&FAISSHNSW));
handler!(pgfaiss_ivfflat_handler, pg_finfo_pgfaiss_ivfflat_handler => answer_alias(&IVFFLAT));
handler!(pgfaiss_hnsw_handler, pg_finfo_pgfaiss_hnsw_handler => answer_alias(&HNSW));

/// As `answer`, under pgvector's name. The settings of these names exist from here on: no earlier, because pgvector, which
/// defines them as well, may be in the same server, but not in a database that has these methods.
fn answer_alias(method: &Method) -> pg_sys::Datum {
    aliases::register();
    answer(method)
}

fn answer(method: &Method) -> pg_sys::Datum {
    // SAFETY: palloc gives memory of this size, aligned for every type, in the caller's context.
    let routine = unsafe {
        let at =
            pg_sys::palloc(size_of::<pg_sys::IndexAmRoutine>()).cast::<pg_sys::IndexAmRoutine>();
        at.write(routine(method));
        at
    };
    pg_sys::Datum::from(routine)
}

/// No default fills a gap here: a field that a new server version adds is a compile error until
/// somebody has thought about it.
fn routine(method: &Method) -> pg_sys::IndexAmRoutine {
    // Each index is vacuumed by one process alone; cleanup after a bulk deletion only reads counts.
    let parallel_vacuum =
        pg_sys::VACUUM_OPTION_PARALLEL_BULKDEL | pg_sys::VACUUM_OPTION_PARALLEL_COND_CLEANUP;
    pg_sys::IndexAmRoutine {
        type_: pg_sys::NodeTag::T_IndexAmRoutine,
        amstrategies: opclass::N_STRATEGIES,
        amsupport: opclass::N_SUPPORT_PROCS,
        amoptsprocnum: 0,
        // Rows come in the order of an operator, not of the column.
        amcanorder: false,
        amcanorderbyop: true,
        #[cfg(feature = "pg18")]
        amcanhash: false,
        #[cfg(feature = "pg18")]
        amconsistentequality: false,
        #[cfg(feature = "pg18")]
        amconsistentordering: false,
        amcanbackward: false,
        amcanunique: false,
        // Beside the vector there may be filter columns.
        amcanmulticol: method.has_filters,
        // ORDER BY col <op> $1 has no WHERE clause on the column.
        amoptionalkey: true,
        amsearcharray: method.has_filters,
        amsearchnulls: method.has_filters,
        amstorage: false,
        amclusterable: false,
        // Serializable transactions lock the whole index.
        ampredlocks: false,
        amcanparallel: false,
        // Builds use threads of the one backend, not parallel workers.
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        amcanbuildparallel: false,
        amcaninclude: false,
        // VACUUM of an index needs no more than a page's worth of memory.
        amusemaintenanceworkmem: false,
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        amsummarizing: false,
        amparallelvacuumoptions: parallel_vacuum as u8,
        // The index stores what the column has.
        amkeytype: pg_sys::InvalidOid,
        ambuild: Some(build::ambuild),
        ambuildempty: Some(build::ambuildempty),
        aminsert: Some(insert::aminsert),
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        aminsertcleanup: None,
        ambulkdelete: Some(vacuum::ambulkdelete),
        amvacuumcleanup: Some(vacuum::amvacuumcleanup),
        // A vector is not given back from the index: no index-only scans.
        amcanreturn: None,
        amcostestimate: Some(cost::amcostestimate),
        #[cfg(feature = "pg18")]
        amgettreeheight: None,
        amoptions: Some(method.options),
        amproperty: None,
        ambuildphasename: Some(progress::ambuildphasename),
        amvalidate: Some(validate::amvalidate),
        // The server's default dependencies of operators and functions on their class are right.
        amadjustmembers: None,
        ambeginscan: Some(scan::ambeginscan),
        amrescan: Some(scan::amrescan),
        amgettuple: Some(scan::amgettuple),
        // A bitmap would lose the order, the only thing a scan is for.
        amgetbitmap: None,
        amendscan: Some(scan::amendscan),
        ammarkpos: None,
        amrestrpos: None,
        amestimateparallelscan: None,
        aminitparallelscan: None,
        amparallelrescan: None,
        #[cfg(feature = "pg18")]
        amtranslatestrategy: None,
        #[cfg(feature = "pg18")]
        amtranslatecmptype: None,
    }
}
