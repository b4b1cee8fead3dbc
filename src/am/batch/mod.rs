//! Many queries of one index at once: what `faiss.search` does.
//!
//! Queries are taken in chunks that fit in `work_mem`. The first rows (or candidates) of a chunk are found together, each list
//! read once, by worker threads; then each query goes on as a scan of its own, on this thread, until it has its k
//! visible rows. This thread alone reads pages and the table, and answers interrupts.

mod coded;
mod flat;
mod reranker;
mod single;
mod sparse;

use std::rc::Rc;
use std::sync::Arc;

use ann::topk::Hit;
use pages::lists::scan::batch::BatchParams;
use pages::search::params::{Found, SearchParams};
use pages::search::rerank::Budget;
use pages::search::row_set::RowSet;
use pgrx::{PgSqlErrorCode, pg_sys};

use super::guc::{self, EF_SEARCH_RANGE, K_FACTOR_MAX, NPROBE_RANGE};
use super::method::method_of;
use super::options::{IvfOptions, options_of};
use super::pages::PgPages;
use super::recall_target::{self, ListsChoice, Wishes};
use super::refetch::HeapRows;
use super::rel;
use super::relation::{IvfIndex, ivf_index};
use super::report::{Report, argument_out_of_range, checked};
use super::rerank::mark;
use super::rights;
use super::scan::{different_dimensions, tell_bound};
use crate::am::value::{Column, Value};

pub use sparse::search_sparse;

/// The most rows of a query.
pub const K_MAX: i32 = 65_536;

/// What is wanted of each query.
#[derive(Clone)]
pub struct Wanted {
    /// Rows, 1 to [`K_MAX`].
    pub k: usize,
    /// Lists searched first; None: as a scan would.
    pub nprobe: Option<i32>,
    /// Candidates re-ranked per row, 0 for automatic; None: as a scan would.
    pub k_factor: Option<i32>,
    /// Nodes of a graph kept in sight; None: as a scan would.
    pub ef_search: Option<i32>,
    /// The rows to search among; None: all.
    pub among: Option<Arc<RowSet>>,
}

/// Takes over a row: the number of its query from 0, the tid of its visible version, its distance.
pub type Emit<'a> = &'a mut dyn FnMut(usize, Found);

/// Finds the k nearest visible rows of each query, in the order of the queries and of their distances.
///
/// Errors: 22023 for arguments out of range or without meaning for the index, 22000 for a query of another dimension, 55000 for an index that queries may not use (yet).
///
/// # Safety
/// `table` and its index `index`, one of ours over elements `E`, must be open and locked; `queries` are values of the type
/// that it is over, and stay alive; there is an active snapshot.
pub unsafe fn search<E: Column>(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    queries: &[pg_sys::Datum],
    wanted: Wanted,
    emit: Emit<'_>,
) {
    check_wanted(index, &wanted);
    check_usable(index);
    let find = || {
        // SAFETY: the caller's promise.
        unsafe { find::<E>(table, index, queries, wanted, emit) }
    };
    // The distances of a coded index come from the table's rows, by way of the index's expression.
    if rel::key_column(index).is_none() { rights::as_owner(table, find) } else { find() }
}

/// Finds them with the rights of whoever is in place.
///
/// # Safety
/// As [`search`].
unsafe fn find<E: Column>(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    queries: &[pg_sys::Datum],
    wanted: Wanted,
    emit: Emit<'_>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        with_scan(table, index, |scan| {
            let is_graph = method_of(index).is_some_and(|method| method.is_graph);
            if is_graph || wanted.among.is_some() {
                single::search::<E>(scan, queries, &wanted, emit);
            } else {
                Batch::new(scan, wanted).run::<E>(queries, emit);
            }
        });
    }
}

/// Lets `work` have a scan of the index with one ordering key.
///
/// # Safety
/// As [`search`].
unsafe fn with_scan(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    work: impl FnOnce(pg_sys::IndexScanDesc),
) {
    // SAFETY: the caller's promise; an MVCC snapshot is active whenever a query calls a function. The scan's memory and
    // pins go with the caller's memory context and resource owner if an error unwinds.
    unsafe {
        let snapshot = pg_sys::GetActiveSnapshot();
        #[cfg(feature = "pg18")]
        let scan = pg_sys::index_beginscan(table, index, snapshot, std::ptr::null_mut(), 0, 1);
        #[cfg(not(feature = "pg18"))]
        let scan = pg_sys::index_beginscan(table, index, snapshot, 0, 1);
        work(scan);
        pg_sys::index_endscan(scan);
    }
}

/// A search of lists.
struct Batch {
    index: pg_sys::Relation,
    pages: PgPages,
    ivf: Rc<IvfIndex>,
    rows: HeapRows,
    k: usize,
    params: SearchParams,
    budget: Budget,
    workers: BatchParams,
    /// Rows that are dead to all, until they are marked.
    dead: Vec<Hit>,
    trusts_marks: bool,
    /// Whether the user was told that a query ended at the user's bound.
    is_told: bool,
}

/// Of `work_mem`, what the copies of rows may take; the rest is for the queries.
const COPIES_SHARE: usize = 4;

impl Batch {
    /// # Safety
    /// `scan` must outlive the result.
    unsafe fn new(scan: pg_sys::IndexScanDesc, wanted: Wanted) -> Self {
        // SAFETY: the caller's promise.
        let (index, mut pages, mut rows) = unsafe {
            ((*scan).indexRelation, PgPages::new((*scan).indexRelation), HeapRows::new(scan))
        };
        // SAFETY: the caller's promise.
        let trusts_marks = unsafe { (*scan).ignore_killed_tuples };
        let ivf = ivf_index(index, &pages);
        pages.remember(Rc::clone(&ivf.recent));
        rows.remember(&ivf.recent_rows);
        let options = options_of(index);
        let choice = choice(&options, &ivf, &wanted, recall_target::tuples_of(index));
        let memory = guc::work_mem() / COPIES_SHARE;
        Self {
            index,
            pages,
            rows,
            k: wanted.k,
            params: SearchParams {
                nprobe: choice.nprobe as usize,
                rule: choice.rule,
                iterative: guc::iterative(options.settings),
                max_scan_tuples: guc::max_scan_tuples(options.settings).0,
                max_probes: guc::max_probes(options.settings),
                rows_wanted: Some(wanted.k as u64),
                memory: guc::work_mem(),
            },
            budget: choice.budget,
            workers: BatchParams { threads: guc::search_threads(), memory },
            dead: Vec::new(),
            trusts_marks,
            is_told: false,
            ivf,
        }
    }

    /// # Safety
    /// As [`search`].
    unsafe fn run<E: Column>(&mut self, queries: &[pg_sys::Datum], emit: Emit<'_>) {
        rel::count_scan(self.index);
        let is_coded = self.ivf.code.is_some();
        let bytes = if is_coded { self.coded_query_bytes() } else { self.flat_query_bytes::<E>() };
        let room = guc::work_mem() - self.workers.memory;
        let some = (room / bytes.max(1)).max(1);
        for (chunk, first) in queries.chunks(some).zip((0..).step_by(some)) {
            // SAFETY: the caller's promise.
            let points: Vec<Vec<f32>> = chunk
                .iter()
                .map(|query| unsafe { elements_of::<E>(*query, Some(self.ivf.meta.dims())) })
                .collect();
            let mut emit = |number: usize, row: Found| emit(first + number, row);
            if is_coded {
                self.coded_chunk::<E>(&points, &mut emit);
            } else {
                self.flat_chunk::<E>(&points, &mut emit);
            }
            let marked = mark(&self.pages, &self.ivf, &mut self.rows, &mut self.dead);
            checked(self.index, marked);
            self.rows.rest();
        }
        self.rows.end();
    }

    /// Takes note of the rows among those just looked for that are dead to all; `at` says where number so and so is stored.
    fn note_dead(&mut self, at: impl Fn(usize) -> Option<u64>) {
        for (id, number) in self.rows.take_dead() {
            let hit = at(number as usize).map(|at| Hit { key: 0.0, id, at });
            self.dead.extend(hit);
        }
    }

    /// Says once that a query ended before it had its rows, if it did.
    fn tell_end(&mut self, is_cut_short: bool, visited: u64) {
        if is_cut_short && !self.is_told {
            self.is_told = true;
            tell_bound(self.index, visited);
        }
    }
}

/// What the queries search and re-rank of an index with about `tuples` rows.
fn choice(options: &IvfOptions, ivf: &IvfIndex, wanted: &Wanted, tuples: f64) -> ListsChoice {
    let said = Wishes::of(options);
    let wishes = Wishes {
        nprobe: wanted.nprobe.map(i32::unsigned_abs).or(said.nprobe),
        k_factor: match wanted.k_factor {
            Some(k_factor) => (k_factor > 0).then_some(k_factor.unsigned_abs()),
            None => said.k_factor,
        },
    };
    recall_target::of_wishes(wishes, options, &ivf.meta, (Some(wanted.k as u64), tuples))
}

/// The components of a query. 22000 if they are not `dims`.
///
/// # Safety
/// `query` must be a vector of `E`.
unsafe fn elements_of<E: Column>(query: pg_sys::Datum, dims: Option<usize>) -> Vec<f32> {
    // SAFETY: the caller's promise.
    let vector = unsafe { E::read(query) };
    if let Some(dims) = dims.filter(|dims| *dims != vector.dims()) {
        different_dimensions::<E>(dims, vector.dims());
    }
    E::widened(vector.elements(), vector.dims())
}

fn check_wanted(index: pg_sys::Relation, wanted: &Wanted) {
    if wanted.k == 0 || wanted.k > K_MAX as usize {
        out_of_range("k", wanted.k as i64, (1, K_MAX));
    }
    let (has_lists, is_graph) =
        method_of(index).map_or((false, false), |method| (method.has_lists, method.is_graph));
    for (name, value, range, has_meaning) in [
        ("nprobe", wanted.nprobe, NPROBE_RANGE, has_lists),
        ("k_factor", wanted.k_factor, (0, K_FACTOR_MAX), !is_graph),
        ("efSearch", wanted.ef_search, EF_SEARCH_RANGE, is_graph),
    ] {
        let Some(value) = value else { continue };
        if !(range.0..=range.1).contains(&value) {
            out_of_range(name, value.into(), range);
        }
        if !has_meaning {
            without_meaning(index, name);
        }
    }
}

/// An argument that is not in its range: 22023.
pub fn out_of_range(argument: &str, value: i64, (least, most): (i32, i32)) -> ! {
    argument_out_of_range(argument, value, &format!("{least} to {most}"))
}

fn without_meaning(index: pg_sys::Relation, argument: &str) -> ! {
    let method = method_of(index).map_or("", |method| method.name);
    Report::new(
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        format!("access method {method} has no {argument}"),
    )
    .hint("Leave the argument out.")
    .error()
}

/// The planner's own condition for using a valid index.
fn check_usable(index: pg_sys::Relation) {
    // SAFETY: an open index has its pg_index row at hand, with the system columns.
    let is_too_new = unsafe {
        let row = &*(*index).rd_index;
        let made = xmin_of((*(*index).rd_indextuple).t_data);
        row.indcheckxmin && !pg_sys::TransactionIdPrecedes(made, pg_sys::TransactionXmin)
    };
    if is_too_new {
        Report::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("index \"{}\" cannot be used by this transaction", rel::name(index)),
        )
        .detail("It was built after rows changed that this transaction may still see as they were.")
        .hint("Try again in a new transaction.")
        .error();
    }
}

/// HeapTupleHeaderGetXmin, a macro.
///
/// # Safety
/// `tuple` must be a tuple's header.
unsafe fn xmin_of(tuple: pg_sys::HeapTupleHeader) -> pg_sys::TransactionId {
    // SAFETY: the caller's promise; a tuple of a catalog is no datum.
    unsafe {
        let frozen = pg_sys::HEAP_XMIN_FROZEN as u16;
        if (*tuple).t_infomask & frozen == frozen {
            return pg_sys::FrozenTransactionId;
        }
        (*tuple).t_choice.t_heap.t_xmin
    }
}
