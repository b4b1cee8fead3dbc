//! What a scan costs, for the planner.
//!
//! All of the coarse step and the first `nprobe` lists are paid before the first row comes out (startup). What the rows
//! after it cost depends on how many are asked for in the end, which LIMIT and the filters make likely: see [`ask`]. The
//! server knows a line from the first row to the last, so it gets the line through the costs of as many.

mod among;
mod ask;
mod graph;
mod lists;
mod table;
#[cfg(feature = "pg_test")]
mod tests;

use ann::element::{Bits, Element};
use ann::factory::Refine;
use ann::kernels::sparse;
use ann::rules::optimal_nlist;
use grammar::options::Settings;
use pages::search::params::Iterative;
use pgrx::{pg_guard, pg_sys};

#[cfg(not(any(feature = "pg17", feature = "pg18")))]
use super::filter::clauses;
use super::guc;
use super::method::method_by_oid;
use super::options::{IvfOptions, options_of};
use super::pages::PgPages;
use super::recall_target;
use super::relation::{Index, IvfIndex, cached_index};
pub use among::among;
use ask::Ask;
use table::Table;

/// Instead of infinity, which turns into NaN when the planner interpolates: more than any real
/// plan.
const UNUSABLE: f64 = 1.0e100;
/// Dimensions whose distance takes about as long as one operator call of the executor.
const DIMS_PER_OPERATOR: f64 = 256.0;
/// The part of a vector's cost that does not depend on its dimensions, in operator calls.
const OPERATORS_PER_VECTOR: f64 = 0.25;
/// A coded vector costs this part of an exact distance, and no call of its own.
const CODE_SHARE: f64 = 0.1;
/// Where the index stores better vectors than its codes, one candidate in this many is looked up in the table.
const NARROWING: f64 = 4.0;
/// Stands for the dimensions of an imagined index.
const DIMS_UNKNOWN: f64 = 512.0;

/// A distance of sparse vectors costs about as much as one of this many dimensions, unless the vectors have fewer.
const FLOATS_OF_SPARSE: f64 = 512.0;

/// What an index looks like to the planner.
enum Shape {
    Lists(lists::Shape),
    Graph(graph::Shape),
}

impl Shape {
    /// The rows that a scan finds which does not go on: those of the first lists, or as many as the walk is wide.
    fn first_rows(&self, ask: &Ask) -> f64 {
        match self {
            Self::Lists(shape) => shape.passing() * shape.share(),
            Self::Graph(shape) => shape.ef.max(ask.rows),
        }
    }
}

/// The server's cost constants for one tablespace.
struct Prices {
    random_page: f64,
    seq_page: f64,
    operator: f64,
    tuple: f64,
    index_tuple: f64,
}

impl Prices {
    fn of(tablespace: pg_sys::Oid) -> Self {
        let (mut random_page, mut seq_page) = (0.0, 0.0);
        // SAFETY: two out-parameters; the constants are plain variables of this thread's server.
        unsafe {
            pg_sys::get_tablespace_page_costs(tablespace, &mut random_page, &mut seq_page);
            Self {
                random_page,
                seq_page,
                operator: pg_sys::cpu_operator_cost,
                tuple: pg_sys::cpu_tuple_cost,
                index_tuple: pg_sys::cpu_index_tuple_cost,
            }
        }
    }

    /// Reading `pages` pages of an index of `all` in `runs` pieces. A list lies in one piece, so
    /// its first page is a random access and the others follow; the larger the part of the index,
    /// the closer the pieces are.
    fn read(&self, pages: f64, runs: f64, all: f64) -> f64 {
        let apart = 1.0 - (pages / all.max(1.0)).min(1.0).sqrt();
        pages * self.seq_page
            + runs.min(pages) * (self.random_page - self.seq_page).max(0.0) * apart
    }
}

/// An exact distance.
fn exact_distance(prices: &Prices, dims: f64) -> f64 {
    prices.operator * (OPERATORS_PER_VECTOR + dims / DIMS_PER_OPERATOR)
}

/// Putting rows in order by keys that are there: half of what the server reckons for a sort, which compares by calls.
fn in_order(prices: &Prices, rows: f64) -> f64 {
    rows * rows.max(1.0).log2() * prices.operator
}

/// The server's amcostestimate.
///
/// # Safety
/// Called by the planner, which holds a lock on the index.
#[pg_guard]
#[expect(clippy::too_many_arguments, reason = "the server's signature")]
pub unsafe extern "C-unwind" fn amcostestimate(
    root: *mut pg_sys::PlannerInfo,
    path: *mut pg_sys::IndexPath,
    loop_count: f64,
    index_startup_cost: *mut pg_sys::Cost,
    index_total_cost: *mut pg_sys::Cost,
    index_selectivity: *mut pg_sys::Selectivity,
    index_correlation: *mut f64,
    index_pages: *mut f64,
) {
    // SAFETY: the planner's nodes are valid while it calls us.
    let (startup, total, selectivity, pages) = unsafe { estimate(root, path, loop_count) };
    // SAFETY: the planner's out-parameters.
    unsafe {
        *index_startup_cost = startup;
        *index_total_cost = total;
        *index_selectivity = selectivity;
        // The order of distances has nothing to do with the order of the table.
        *index_correlation = 0.0;
        *index_pages = pages;
    }
}

/// Startup cost, total cost, selectivity, pages.
///
/// # Safety
/// `root` and `path` are the planner's, and it holds a lock on the index.
unsafe fn estimate(
    root: *mut pg_sys::PlannerInfo,
    path: *mut pg_sys::IndexPath,
    loop_count: f64,
) -> (f64, f64, f64, f64) {
    // SAFETY: the caller's promise.
    let (path, index) = unsafe { (&mut *path, &mut *(*path).indexinfo) };
    // SAFETY: the planner's nodes.
    if path.indexorderbys.is_null() || unsafe { wants_no_vector(path) } {
        // Here enable_seqscan = off counts before any cost.
        #[cfg(feature = "pg18")]
        {
            path.path.disabled_nodes += 2;
        }
        // Without a query vector there is nothing to look for, nor among rows without one.
        return (UNUSABLE, UNUSABLE, 1.0, f64::from(index.pages));
    }
    #[cfg(not(any(feature = "pg17", feature = "pg18")))]
    if !index.indrestrictinfo.is_null() {
        // SAFETY: the planner's nodes.
        unsafe { clauses::complete(root, path) };
    }
    // SAFETY: the planner's lists; the predicate counts as in every other access method.
    let (of_index, in_index, filter) = unsafe {
        let relid = (*index.rel).relid as i32;
        let part = |quals| {
            let no_join = pg_sys::JoinType::JOIN_INNER;
            pg_sys::clauselist_selectivity(root, quals, relid, no_join, std::ptr::null_mut())
        };
        let quals = pg_sys::get_quals_from_indexclauses(path.indexclauses);
        let (passing, conditions) = (part(quals), f64::from(pg_sys::list_length(quals)));
        let filter = lists::Filter { passing, conditions, bytes: 0.0, is_among: false };
        let filter = filter.among(among::part());
        let in_index = part(pg_sys::add_predicate_to_index_quals(index, std::ptr::null_mut()));
        (part(pg_sys::add_predicate_to_index_quals(index, quals)), in_index, filter)
    };
    let selectivity = of_index * among::part().unwrap_or(1.0);
    let prices = Prices::of(index.reltablespace);
    // SAFETY: plain numbers and the planner's root.
    let reread = |first| unsafe { reread(root, index, first, loop_count) };
    let fetched = |rows: f64| {
        // SAFETY: the index's table is in the planner's arrays.
        unsafe {
            let pages = (*index.rel).pages.max(1);
            pg_sys::index_pages_fetched(rows.max(1.0), pages, f64::from(index.pages), root)
        }
    };
    // SAFETY: the planner's lock keeps the index open-able.
    let (shape, settings) = unsafe { shape_of(index, in_index, filter, rows_wanted(root)) };
    let dims = match &shape {
        Shape::Lists(shape) => shape.dims,
        Shape::Graph(shape) => shape.dims,
    };
    // SAFETY: the planner's nodes.
    let (table, mut ask) = unsafe {
        (
            Table::of(root, index, vector_of(path), dims, &fetched),
            Ask::of(root, index, path.indexorderbys, settings),
        )
    };
    // Only where rows are limited: a statement that wants all of them is not to be lured into a scan that has few.
    if guc::iterative(settings) == Iterative::Off && ask.fraction < 1.0 {
        ask.bound = ask.bound.min(shape.first_rows(&ask));
    }
    let (startup, total) = match shape {
        Shape::Lists(shape) => {
            lists::price(&shape, &prices, &table, &ask, reread(shape.first_pages()))
        }
        Shape::Graph(shape) => {
            graph::price(&shape, &prices, &table, &ask, reread(shape.first_pages()))
        }
    };
    let startup = if ask.last_first { total } else { startup };
    // A bound of the user's own ends the scan, and with it the visits of rows that the server reckons with.
    let visited = (ask.bound / f64::max(1.0, index.tuples)).min(1.0);
    (startup, total, selectivity * visited, f64::from(index.pages))
}

/// Whether a path looks for rows whose vector is NULL: the index has none of them.
///
/// # Safety
/// `path` is the planner's, and gives an order.
unsafe fn wants_no_vector(path: &pg_sys::IndexPath) -> bool {
    // SAFETY: the caller's promise; a clause has one condition at least, and the tag says what it is.
    unsafe {
        (0..pg_sys::list_length(path.indexclauses)).any(|i| {
            let clause = &*pg_sys::list_nth(path.indexclauses, i).cast::<pg_sys::IndexClause>();
            let condition = (*clause.rinfo).clause.cast::<pg_sys::NullTest>();
            usize::try_from(clause.indexcol) == Ok(vector_of(path))
                && (*condition).xpr.type_ == pg_sys::NodeTag::T_NullTest
                && (*condition).nulltesttype == pg_sys::NullTestType::IS_NULL
        })
    }
}

/// Which of an index's columns a path orders by: the vector.
///
/// # Safety
/// `path` is the planner's.
unsafe fn vector_of(path: &pg_sys::IndexPath) -> usize {
    // SAFETY: the caller's promise; there is a column for each ORDER BY, which is one.
    let column = unsafe { pg_sys::list_nth_int(path.indexorderbycols, 0) };
    usize::try_from(column).unwrap_or(0)
}

/// The rows that a query's LIMIT wants, where it is a number that the planner knows.
///
/// # Safety
/// `root` is the planner's.
unsafe fn rows_wanted(root: *mut pg_sys::PlannerInfo) -> Option<u64> {
    // SAFETY: the caller's promise.
    let wanted = unsafe { (*root).limit_tuples };
    (wanted >= 1.0).then_some(wanted as u64)
}

/// The part of the `first` pages of each of `loop_count` scans that is not cached.
///
/// # Safety
/// `root` is the planner's.
unsafe fn reread(
    root: *mut pg_sys::PlannerInfo,
    index: &pg_sys::IndexOptInfo,
    first: f64,
    loop_count: f64,
) -> f64 {
    if loop_count <= 1.0 {
        return 1.0;
    }
    let all = first * loop_count;
    // SAFETY: plain numbers and the planner's root.
    let fetched =
        unsafe { pg_sys::index_pages_fetched(all, index.pages, f64::from(index.pages), root) };
    (fetched / all).min(1.0)
}

/// # Safety
/// The planner holds a lock on the index.
unsafe fn shape_of(
    index: &pg_sys::IndexOptInfo,
    in_index: f64,
    filter: lists::Filter,
    rows: Option<u64>,
) -> (Shape, Settings) {
    // SAFETY: the index's table is in the planner's arrays.
    let heap_tuples = unsafe { (*index.rel).tuples };
    let tuples = if index.tuples > 0.0 { index.tuples } else { heap_tuples * in_index }.max(1.0);
    let passing = filter.passing.clamp(1.0 / tuples, 1.0);
    let filter = lists::Filter { passing, ..filter };
    let (stored, settings) = if index.hypothetical {
        let method = method_by_oid(index.relam);
        let settings = method.map_or(Settings::Faiss, |method| method.settings);
        let options = IvfOptions { settings, ..IvfOptions::default() };
        if method.is_some_and(|method| method.is_graph) {
            let pages = f64::from(index.pages).max(1.0);
            let ef = recall_target::ef_search(&options, None, rows, tuples);
            return (Shape::Graph(graph::Shape::guess(ef, tuples, pages, filter)), settings);
        }
        let has_lists = method.is_none_or(|method| method.has_lists);
        let nlist = if has_lists { optimal_nlist(tuples as u64) } else { 1 };
        (Stored::guess(nlist, recall_target::nprobe_unmeasured(&options, nlist)), settings)
    } else {
        // SAFETY: the planner's lock is enough, so none is taken.
        match unsafe { look_into(index.indexoid) } {
            (Index::Lists(ivf), options) => {
                (Stored::of(&ivf, &options, rows, tuples), options.settings)
            }
            (Index::Graph(graph), options) => {
                let pages = f64::from(index.pages).max(1.0);
                let ef = recall_target::ef_search(&options, Some(&graph.meta), rows, tuples);
                let shape = graph::Shape::of(&graph.meta, ef, tuples, pages, filter);
                return (Shape::Graph(shape), options.settings);
            }
        }
    };
    // Short lists share pages, but each is read by itself: its entries, and without a code its vectors.
    let reads = if stored.candidates > 0.0 { 1.0 } else { 2.0 };
    let nlist = stored.nlist.max(1.0);
    let shape = lists::Shape {
        tuples,
        pages: (f64::from(index.pages) - stored.fixed_pages).max(reads * nlist),
        nlist,
        nprobe: stored.nprobe,
        dims: stored.dims,
        candidates: stored.candidates,
        from_table: stored.from_table,
        filter: lists::Filter { bytes: stored.attributes, ..filter },
    };
    (Shape::Lists(shape), settings)
}

/// What does not depend on the planner's statistics.
struct Stored {
    nlist: f64,
    nprobe: f64,
    dims: f64,
    /// Candidates per row asked for, and how many of them are looked up in the table.
    candidates: f64,
    from_table: f64,
    /// Pages that hold no rows.
    fixed_pages: f64,
    /// Bytes of the attributes of an entry.
    attributes: f64,
}

impl Stored {
    /// For an index that an advisor only imagines.
    fn guess(nlist: u32, nprobe: u32) -> Self {
        let (nlist, nprobe) = (nlist.into(), nprobe.into());
        let (candidates, from_table) = (0.0, 0.0);
        Self {
            nlist,
            nprobe,
            dims: DIMS_UNKNOWN,
            candidates,
            from_table,
            fixed_pages: 0.0,
            attributes: 0.0,
        }
    }

    fn of(ivf: &IvfIndex, options: &IvfOptions, rows: Option<u64>, tuples: f64) -> Self {
        let meta = &ivf.meta;
        let choice = recall_target::of_lists(options, meta, rows, tuples);
        let (mut candidates, mut from_table) = (0.0, 0.0);
        let dims = meta.dims();
        if let Some(code) = meta.code() {
            candidates = choice.budget.per_row;
            from_table = match code.refine {
                Refine::Heap => candidates,
                Refine::Flat => 0.0,
                Refine::SqFp16 | Refine::Sq8 => candidates / NARROWING,
            };
        }
        Self {
            nlist: meta.nlist() as f64,
            nprobe: choice.nprobe.into(),
            dims: floats_of(dims, meta.lists.params.element),
            candidates,
            from_table,
            fixed_pages: meta.fixed_pages() as f64,
            attributes: meta.lists.params.attributes.entry_size() as f64,
        }
    }
}

/// The dimensions of a vector of 32-bit floats that is as long: distances cost about as much.
fn floats_of(dims: usize, element: u8) -> f64 {
    match element {
        sparse::TAG => (dims as f64).min(FLOATS_OF_SPARSE),
        Bits::TAG => (dims as f64 / (8 * size_of::<f32>()) as f64).max(1.0),
        _ => dims as f64,
    }
}

/// What an index is made of, and its options.
///
/// # Safety
/// The planner holds a lock on the index.
unsafe fn look_into(index: pg_sys::Oid) -> (Index, IvfOptions) {
    let no_lock = pg_sys::NoLock as pg_sys::LOCKMODE;
    // SAFETY: the caller's promise; the relation outlives its pages.
    unsafe {
        let rel = pg_sys::index_open(index, no_lock);
        let found = (cached_index(rel, &PgPages::new(rel)), options_of(rel));
        pg_sys::index_close(rel, no_lock);
        found
    }
}
