//! `faiss.search`: the nearest rows of many queries, as tids, in one pass over the index.

use ann::element::Bits;
use half::f16;
use pages::search::params::Found;
use pgrx::pg_sys;

use super::error::SqlError;
use super::fmgr::{Arguments, SqlResult, export};
use super::open_index::{OpenIndex, OpenTable};
use super::queries::queries_of;
use super::rows::RowStore;
use super::tids::rows_of;
use crate::am::batch::{self, K_MAX, Wanted};
use crate::am::opclass::{ElementType, opclass_of};
use crate::am::rel;
use crate::am::report::argument_is_null;

const INDEX: usize = 0;
const QUERIES: usize = 1;
const K: usize = 2;
const NPROBE: usize = 3;
const K_FACTOR: usize = 4;
const EF_SEARCH: usize = 5;
const TIDS: usize = 6;

/// Why whoever sees some rows only may not search, and what to do instead.
const WHY_EVERY_ROW: (&str, &str) = (
    "The places and distances of rows would show that its policies hide.",
    "Search with ORDER BY and LIMIT, which respect the policies.",
);

/// `faiss.search(index regclass, queries anyarray, k int, nprobe int, k_factor int, efsearch int, tids tid[])`.
fn search(arguments: &Arguments) -> Result<Option<i32>, SqlError> {
    let mut rows = arguments.rows();
    for (argument, name) in [(INDEX, "index"), (K, "k")] {
        if arguments.is_null(argument) {
            argument_is_null(name);
        }
    }
    let table = OpenTable::of(arguments.oid(INDEX), WHY_EVERY_ROW);
    let index = OpenIndex::new(arguments.oid(INDEX), pg_sys::AccessShareLock);
    if !index.is_valid() {
        index.not_valid().error();
    }
    let k = arguments.int32(K);
    let Ok(k) = usize::try_from(k) else { batch::out_of_range("k", k.into(), (1, K_MAX)) };
    let among = if arguments.is_null(TIDS) {
        None
    } else {
        // SAFETY: declared as an array of tids; the table is open and locked.
        Some(unsafe { rows_of(table.rel, arguments.datum(TIDS))? })
    };
    let wanted = Wanted {
        k,
        nprobe: arguments.optional_int32(NPROBE),
        k_factor: arguments.optional_int32(K_FACTOR),
        ef_search: arguments.optional_int32(EF_SEARCH),
        among,
    };
    let queries = if arguments.is_null(QUERIES) {
        // array_agg of no rows.
        Vec::new()
    } else {
        // SAFETY: not NULL, and declared as an array.
        unsafe { queries_of(&index, arguments.datum(QUERIES))? }
    };
    let mut emit = |number: usize, row: Found| put(&mut rows, number, row);
    // SAFETY: both are open and locked, the operator class says what the queries' elements are, the array lives as long as
    // the call, and a query runs with an active snapshot.
    unsafe {
        match opclass_of(index.rel).element {
            ElementType::F32 => {
                batch::search::<f32>(table.rel, index.rel, &queries, wanted, &mut emit);
            }
            ElementType::Bit => {
                batch::search::<Bits>(table.rel, index.rel, &queries, wanted, &mut emit);
            }
            ElementType::Sparse => {
                batch::search_sparse(table.rel, index.rel, &queries, wanted, &mut emit);
            }
            ElementType::F16 => {
                batch::search::<f16>(table.rel, index.rel, &queries, wanted, &mut emit);
            }
        }
    }
    Ok(None)
}

fn put(rows: &mut RowStore, number: usize, row: Found) {
    let query_no = i32::try_from(number + 1).unwrap_or(i32::MAX);
    let mut tid = rel::pointer_of(row.tid);
    let tid = pg_sys::Datum::from(&raw mut tid);
    rows.put([query_no.into_datum(), Some(tid), row.distance.into_datum()]);
}

export! {
    "search" => search;
}
