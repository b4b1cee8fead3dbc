//! `ambeginscan` to `amendscan`: rows in distance order, one at a time.
//!
//! The scan's state belongs to the memory context of the scan and is dropped with it. Between two
//! calls it holds no lock and no pin: everything it keeps is its own copy.

mod asked_for;
mod given;
mod query;

use ann::element::Bits;
use ann::topk::Hit;
use half::f16;
use pages::Error;
use pages::lists::scan::Scan;
use pages::search::params::{Found, Iterative, SearchParams};
use pgrx::{PgMemoryContexts, PgSqlErrorCode, pg_guard, pg_sys};

use super::bound::Bound;
use super::filter::Conditions;
use super::graph::{self, GraphSearch};
use super::guc;
use super::last_scan::{self, LastScan, Stop, Work};
use super::left_out;
use super::limit::{is_all, rows_wanted};
use super::method::method_of;
use super::opclass::{ElementType, opclass_of};
use super::operator_order::{OperatorOrder, is_foreign};
use super::options::options_of;
use super::pages::PgPages;
use super::recall_target;
use super::refetch::HeapRows;
use super::rel;
use super::relation::{Index, cached_index};
use super::report::{Report, checked};
use super::rerank::{CodedSearch, mark};
use super::search::Search;
use super::table_end::TableEnd;
use query::{params_of, query_of};

pub use asked_for::AskedFor;
pub use query::different_dimensions;

/// Rows that are marked together, in the order of their pages, while the scan goes on.
const KILLED_MAX: usize = 1024;

/// Terms of a distance at most: the elements of a query and of a row.
const TERMS_MAX: usize = 2 * grammar::DIMS_MAX;

/// What hangs on `IndexScanDesc.opaque`.
struct ScanState {
    pages: PgPages,
    search: Search,
    /// What puts rows in the operator's order, where its distances are not ours; known once the first row was asked for.
    order: Option<OperatorOrder>,
    is_order_known: bool,
    /// How many rows the scan will be asked for, if that is known.
    wanted: Option<u64>,
    /// What the rows' filter columns must be.
    conditions: Conditions,
    /// The bound of the distance, and whether it has ended the scan.
    bound: Option<Bound>,
    is_passed: bool,
    /// None until the first row of a (re)scan is asked for.
    running: Option<Index>,
    /// What the executor gave to the last rescan, by which it knows the scan.
    orderbys: pg_sys::ScanKey,
    end: TableEnd,
    /// Rows that the executor found dead to all, until they are marked. Re-ranked searches find theirs by themselves.
    killed: Vec<Hit>,
    /// Whether the user was told that the scan ended at the user's bound.
    is_told: bool,
    /// Rows returned, and whether no more will come.
    rows: u64,
    is_over: bool,
}

impl ScanState {
    /// The next row, in the order of our distances, whatever the bound.
    fn search_on(&mut self, trusts_marks: bool) -> Result<Option<Found>, Error> {
        if self.bound.as_ref().is_some_and(Bound::is_never) {
            return Ok(None);
        }
        let filter = self.conditions.filter.as_ref();
        match &self.running {
            Some(index) if !self.conditions.is_never => {
                self.search.next(&self.pages, index, filter, trusts_marks)
            }
            _ => Ok(None),
        }
    }

    /// Tells `faiss.last_scan` what the scan did, if it was begun.
    fn remember(&self, index: pg_sys::Relation) {
        let Some(running) = &self.running else { return };
        let work = self.search.work();
        let lists = match running {
            Index::Lists(ivf) => Some(ivf.meta.nlist() as u64),
            Index::Graph(_) => None,
        };
        let is_off = || guc::iterative(options_of(index).settings) == Iterative::Off;
        let stop = match (self.is_over, work.is_cut_short) {
            (false, _) => Stop::Enough,
            (true, true) => Stop::Bound,
            (true, false) if self.is_passed => Stop::Distance,
            (true, false) if is_off() => Stop::FirstOnly,
            (true, false) => Stop::Exhausted,
        };
        // SAFETY: an open relation.
        let index = unsafe { (*index).rd_id };
        let (pages, rows) = (self.pages.count(), self.rows);
        last_scan::remember(LastScan { index, work, lists, pages, rows, stop });
    }
}

/// # Safety
/// Called by the server with an open index.
#[pg_guard]
pub unsafe extern "C-unwind" fn ambeginscan(
    index: pg_sys::Relation,
    nkeys: i32,
    norderbys: i32,
) -> pg_sys::IndexScanDesc {
    // SAFETY: the relation stays open as long as the scan; the state is freed with the context
    // that the scan descriptor itself is allocated in.
    unsafe {
        let scan = pg_sys::RelationGetIndexScan(index, nkeys, norderbys);
        // What the index stores is known when its first page is read.
        let search = Search::F32(Scan::new());
        let pages = PgPages::new(index);
        let (end, is_told, rows, is_over) = (TableEnd::default(), false, 0, false);
        let (orderbys, killed, order) = (std::ptr::null_mut(), Vec::new(), None);
        let (running, is_order_known) = (None, false);
        let state = ScanState {
            pages,
            search,
            order,
            is_order_known,
            wanted: None,
            conditions: Conditions::default(),
            bound: None,
            is_passed: false,
            running,
            orderbys,
            end,
            killed,
            is_told,
            rows,
            is_over,
        };
        (*scan).opaque =
            PgMemoryContexts::CurrentMemoryContext.leak_and_drop_on_delete(state).cast();
        scan
    }
}

/// # Safety
/// Called by the server with a scan of `ambeginscan`.
#[pg_guard]
pub unsafe extern "C-unwind" fn amrescan(
    scan: pg_sys::IndexScanDesc,
    keys: pg_sys::ScanKey,
    nkeys: i32,
    orderbys: pg_sys::ScanKey,
    norderbys: i32,
) {
    // SAFETY: keyData and orderByData have room for the numbers of keys given to ambeginscan.
    unsafe {
        let state = &mut *(*scan).opaque.cast::<ScanState>();
        mark_killed(scan, state);
        state.remember((*scan).indexRelation);
        state.running = None;
        if let Some(order) = &mut state.order {
            order.rest();
        }
        state.orderbys = orderbys;
        state.search.rest();
        let n = nkeys.min((*scan).numberOfKeys).max(0) as usize;
        if !keys.is_null() && n > 0 {
            std::ptr::copy(keys, (*scan).keyData, n);
        }
        let n = norderbys.min((*scan).numberOfOrderBys).max(0) as usize;
        if !orderbys.is_null() && n > 0 {
            std::ptr::copy(orderbys, (*scan).orderByData, n);
        }
    }
}

/// # Safety
/// Called by the server with a scan of `ambeginscan` after `amrescan`.
#[pg_guard]
pub unsafe extern "C-unwind" fn amgettuple(
    scan: pg_sys::IndexScanDesc,
    direction: pg_sys::ScanDirection::Type,
) -> bool {
    debug_assert_eq!(direction, pg_sys::ScanDirection::ForwardScanDirection);
    // SAFETY: the state of ambeginscan; nobody else refers to it during the call.
    unsafe {
        let state = &mut *(*scan).opaque.cast::<ScanState>();
        let index = (*scan).indexRelation;
        if state.running.is_none() {
            require_mvcc(scan);
            state.wanted = asked_for::rows(scan).or_else(|| rows_wanted(state.orderbys));
            state.pages.begin_count();
            (state.rows, state.is_over, state.is_passed) = (0, false, false);
            state.running = Some(start(scan, state));
            order_by_operator(scan, state);
            rel::count_scan(index);
        } else if (*scan).kill_prior_tuple {
            state.killed.extend(state.search.last_given());
            if state.killed.len() >= KILLED_MAX {
                mark_killed(scan, state);
            }
        }
        let trusts_marks = (*scan).ignore_killed_tuples;
        let found = match state.order.take() {
            // Every distance to NULL is NULL.
            Some(mut order) if (*(*scan).orderByData).sk_flags & pg_sys::SK_ISNULL as i32 == 0 => {
                let found = order.next(scan, || state.find(index, trusts_marks));
                state.order = Some(order);
                found
            }
            order => {
                state.order = order;
                state.find(index, trusts_marks)
            }
        };
        let Some(found) = checked(index, found) else {
            if let Some(visited) = state.search.visited_in_vain().filter(|_| !state.is_told) {
                state.is_told = true;
                tell_bound(index, visited);
            }
            state.is_over = true;
            return false;
        };
        state.end.require(scan, found.tid);
        state.rows += 1;
        (*scan).xs_heaptid = rel::pointer_of(found.tid);
        (*scan).xs_recheck = state.conditions.has_recheck;
        (*scan).xs_recheckorderby = false;
        true
    }
}

/// # Safety
/// Called by the server with a scan of `ambeginscan`.
#[pg_guard]
pub unsafe extern "C-unwind" fn amendscan(scan: pg_sys::IndexScanDesc) {
    // SAFETY: the state stays allocated until its memory context goes; only its buffers go now.
    unsafe {
        let state = &mut *(*scan).opaque.cast::<ScanState>();
        mark_killed(scan, state);
        state.remember((*scan).indexRelation);
        state.running = None;
        if let Some(mut order) = state.order.take() {
            order.end();
        }
        state.search.end();
        state.search = Search::F32(Scan::new());
    }
}

/// Prepares for an operator whose distances are not ours, if the scan has such a one.
///
/// # Safety
/// As [`amgettuple`], for a scan that was just started.
unsafe fn order_by_operator(scan: pg_sys::IndexScanDesc, state: &mut ScanState) {
    // SAFETY: the caller's promise; the operator of a scan stays the same from query to query.
    unsafe {
        let key = &*(*scan).orderByData;
        if !state.is_order_known {
            state.is_order_known = true;
            let class = opclass_of((*scan).indexRelation);
            state.order = is_foreign(key.sk_func.fn_oid).then(|| OperatorOrder::new(scan, class));
        }
        let may_drop = state.conditions.has_recheck || !is_all(state.orderbys);
        let wanted = state.wanted.filter(|_| !may_drop);
        let dims = state.running.as_ref().map_or(0, |cached| cached.metric_and_dims().1);
        // Of a sparse vector no more terms are added up than there are elements.
        let dims = dims.min(TERMS_MAX);
        if let Some(order) = &mut state.order
            && key.sk_flags & pg_sys::SK_ISNULL as i32 == 0
        {
            order.begin(scan, dims, wanted);
        }
    }
}

/// Marks the rows that the executor found dead to all.
///
/// # Safety
/// As [`amgettuple`].
unsafe fn mark_killed(scan: pg_sys::IndexScanDesc, state: &mut ScanState) {
    let Some(Index::Lists(ivf)) = state.running.clone().filter(|_| !state.killed.is_empty()) else {
        state.killed.clear();
        return;
    };
    // SAFETY: the rows are let go of before the scan ends; the executor has looked at the table, so that there is one.
    let (mut rows, index) = unsafe { (HeapRows::new(scan), (*scan).indexRelation) };
    rows.remember(&ivf.recent_rows);
    let marked = mark(&state.pages, &ivf, &mut rows, &mut state.killed);
    rows.end();
    checked(index, marked);
}

/// A row that vacuum may remove while we look at it is invisible only to an MVCC snapshot.
unsafe fn require_mvcc(scan: pg_sys::IndexScanDesc) {
    // SAFETY: the executor sets the snapshot before the first row is asked for.
    let (mvcc, index) = unsafe {
        let snapshot = (*scan).xs_snapshot;
        let mvcc = snapshot.is_null()
            || matches!(
                (*snapshot).snapshot_type,
                pg_sys::SnapshotType::SNAPSHOT_MVCC | pg_sys::SnapshotType::SNAPSHOT_HISTORIC_MVCC
            );
        (mvcc, (*scan).indexRelation)
    };
    if !mvcc {
        Report::new(
            PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
            format!("a {} index cannot be scanned with a non-MVCC snapshot", method_name(index)),
        )
        .error();
    }
}

/// As messages call the index's access method.
fn method_name(index: pg_sys::Relation) -> &'static str {
    method_of(index).map_or("faiss", |method| method.name)
}

/// Says that a scan ended before it had returned every row.
pub fn tell_bound(index: pg_sys::Relation, visited: u64) {
    let settings = options_of(index).settings;
    let (bound, name) = match guc::max_scan_tuples(settings) {
        // Not what it ended at.
        (tuples, _) if visited < tuples => (guc::max_probes(settings) as u64, "ivfflat.max_probes"),
        tuples => tuples,
    };
    Report::new(
        PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
        format!("scan of index \"{}\" ended before it had found all rows", rel::name(index)),
    )
    .detail(format!("It visited {visited} vectors; {name} is {bound}."))
    .hint(format!("RESET {name} to have every row, or raise it."))
    .notice();
}

/// Freezes query and search parameters for the rows to come.
unsafe fn start(scan: pg_sys::IndexScanDesc, state: &mut ScanState) -> Index {
    // SAFETY: the caller's scan; without an ORDER BY the cost estimate keeps the planner away.
    unsafe {
        let index = (*scan).indexRelation;
        if (*scan).numberOfOrderBys < 1 {
            Report::new(
                PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
                format!(
                    "a {} index cannot be scanned without an ORDER BY distance",
                    method_name(index)
                ),
            )
            .error();
        }
        let cached = cached_index(index, &state.pages);
        state.pages.remember(cached.recent());
        state.conditions = conditions(scan, &cached);
        state.take_given(scan);
        let order = &*(*scan).orderByData;
        let value = (order.sk_flags & pg_sys::SK_ISNULL as i32 == 0).then_some(order.sk_argument);
        let options = options_of(index);
        let params = SearchParams {
            nprobe: 1,
            rule: None,
            iterative: guc::iterative(options.settings),
            max_scan_tuples: guc::max_scan_tuples(options.settings).0,
            max_probes: guc::max_probes(options.settings),
            rows_wanted: state.wanted,
            memory: guc::work_mem(),
        };
        let element = opclass_of(index).element;
        let (metric, dims) = cached.metric_and_dims();
        let (query, mut params) = match element {
            ElementType::F32 => query_of::<f32>(dims, value, params),
            ElementType::F16 => query_of::<f16>(dims, value, params),
            ElementType::Bit => query_of::<Bits>(dims, value, params),
            ElementType::Sparse => (Vec::new(), params_of(value, params)),
        };
        match &cached {
            Index::Graph(graph) => {
                let tuples = recall_target::tuples_of(index);
                let ef = recall_target::widths(&options, &graph.meta, state.wanted, tuples);
                let search = graph_search(scan, state);
                if element == ElementType::Sparse {
                    let query = graph::sparse::query_of((metric, dims), value);
                    search.begin_sparse(graph, query, params, ef);
                } else {
                    search.begin(graph, element, &query, params, ef);
                }
                search.leave_out(left_out::row_of(index));
                return cached;
            }
            Index::Lists(ivf) => {
                let tuples = recall_target::tuples_of(index);
                let choice = recall_target::of_lists(&options, &ivf.meta, state.wanted, tuples);
                (params.nprobe, params.rule) = (choice.nprobe as usize, choice.rule);
                if ivf.code.is_some() {
                    let search = coded_search(scan, state);
                    search.begin(ivf, element, &query, params, choice.budget);
                    search.leave_out(left_out::row_of(index));
                    return cached;
                }
            }
        }
        state.search.begin(element, &query, params);
        cached
    }
}

/// What a scan has done so far.
///
/// # Safety
/// `scan` is one of `ambeginscan` that has not ended.
pub unsafe fn work(scan: pg_sys::IndexScanDesc) -> Work {
    // SAFETY: the caller's promise.
    unsafe { (*(*scan).opaque.cast::<ScanState>()).search.work() }
}

/// What the keys of a scan say of its filter columns.
///
/// # Safety
/// As [`amgettuple`].
unsafe fn conditions(scan: pg_sys::IndexScanDesc, cached: &Index) -> Conditions {
    let attributes = match cached {
        Index::Lists(ivf) => &ivf.meta.lists.params.attributes,
        Index::Graph(graph) => &graph.meta.params.attributes,
    };
    // SAFETY: the caller's scan; its keys were copied by amrescan.
    unsafe {
        let n = (*scan).numberOfKeys.max(0) as usize;
        let keys = if n == 0 { &[] } else { std::slice::from_raw_parts((*scan).keyData, n) };
        Conditions::of((*scan).indexRelation, attributes, keys)
    }
}

/// The scan's search of codes, made when it is first needed.
///
/// # Safety
/// As [`amgettuple`].
unsafe fn coded_search(scan: pg_sys::IndexScanDesc, state: &mut ScanState) -> &mut CodedSearch {
    loop {
        match state.search {
            Search::Coded(ref mut search) => return search,
            // SAFETY: the state does not outlive the scan.
            _ => state.search = Search::Coded(Box::new(unsafe { CodedSearch::new(scan) })),
        }
    }
}

/// The scan's search of a graph, made when it is first needed.
///
/// # Safety
/// As [`amgettuple`].
unsafe fn graph_search(scan: pg_sys::IndexScanDesc, state: &mut ScanState) -> &mut GraphSearch {
    loop {
        match state.search {
            Search::Graph(ref mut search) => return search,
            // SAFETY: the state does not outlive the scan.
            _ => state.search = Search::Graph(Box::new(unsafe { GraphSearch::new(scan) })),
        }
    }
}
