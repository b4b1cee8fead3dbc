//! What a scan costs, for the planner.
//!
//! All of the coarse step and the first `nprobe` lists are paid before the first row comes out
//! (startup); the rest of the index is spread over the rows that the executor may still ask for.
//! The planner takes the share of it that LIMIT and the filters make likely.

mod graph;

use ann::rules::optimal_nlist;
use pages::coded::model;
use pages::ivf::scan::TRANCHE_FIRST;
use pgrx::{pg_guard, pg_sys};

use super::guc;
use super::method::method_by_oid;
use super::options::{IvfOptions, options_of};
use super::pages::PgPages;
use super::relation::{Index, IvfIndex, frozen_index};

/// Instead of infinity, which turns into NaN when the planner interpolates: more than any real
/// plan.
const UNUSABLE: f64 = 1.0e100;
/// Dimensions whose distance takes about as long as one operator call of the executor.
const DIMS_PER_OPERATOR: f64 = 256.0;
/// The part of a vector's cost that does not depend on its dimensions, in operator calls.
const OPERATORS_PER_VECTOR: f64 = 0.25;
/// A scan that goes on reads and selects again, and may run into its budget: its vectors count this
/// many times.
const CONTINUATION: f64 = 2.0;
/// A coded vector costs this part of an exact distance, and no call of its own.
const CODE_SHARE: f64 = 0.1;
/// Rows whose candidates are re-ranked before the first one comes out.
const ROWS_FIRST: f64 = 10.0;
/// Stands for the dimensions of an imagined index.
const DIMS_UNKNOWN: f64 = 512.0;

/// What an index looks like to the planner.
enum Shape {
    Lists(ListShape),
    Graph(graph::Shape),
}

/// Inverted lists, or one.
struct ListShape {
    tuples: f64,
    /// Pages of the inverted lists.
    pages: f64,
    nlist: f64,
    nprobe: f64,
    dims: f64,
    /// Candidates re-ranked by exact distances before the first row; 0 without a lossy code.
    reranked: f64,
}

/// The server's cost constants for one tablespace.
struct Prices {
    random_page: f64,
    seq_page: f64,
    operator: f64,
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

/// Startup and total cost. `reread` is the part of the first lists' pages that a repeated scan does
/// not find cached, and `heap_pages` the pages of the table.
fn price(shape: &ListShape, prices: &Prices, reread: f64, heap_pages: f64) -> (f64, f64) {
    let share = (shape.nprobe / shape.nlist).min(1.0);
    let exact = exact_distance(prices, shape.dims);
    let vector = if shape.reranked > 0.0 { exact * CODE_SHARE } else { exact };
    // Where the table keeps its vectors out of line, the server prices a sequential scan by the few
    // pages of the main table and the fetching of vectors at nothing. The first lists are priced by
    // the same measure, or no index would ever look good; going on is not, so that reading
    // everything in order is left to a sort.
    let measure = (heap_pages / shape.pages.max(1.0)).min(1.0);
    let first = shape.pages * share;
    let rest = shape.pages - first;
    // A candidate's row is fetched as any index scan fetches one; the server charges its pages to the
    // rows returned alone.
    let rerank = shape.reranked * (exact + prices.index_tuple + measure * prices.seq_page);
    let startup = shape.nlist * exact
        + rerank
        + measure * reread * prices.read(first, shape.nprobe.min(shape.nlist), shape.pages)
        + shape.tuples * share * vector;
    let going_on = prices.read(rest, shape.nlist * (1.0 - share), shape.pages)
        + shape.tuples * (1.0 - share) * vector * CONTINUATION;
    let again = if shape.nlist > 1.0 { 0.0 } else { later_tranches(shape.tuples) };
    let again = again * (shape.pages * prices.seq_page + shape.tuples * vector);
    (startup, startup + going_on + again + shape.tuples * prices.index_tuple)
}

/// An exact distance.
fn exact_distance(prices: &Prices, dims: f64) -> f64 {
    prices.operator * (OPERATORS_PER_VECTOR + dims / DIMS_PER_OPERATOR)
}

/// How often a single list is gone over again until all rows are out: each tranche takes twice as many.
fn later_tranches(tuples: f64) -> f64 {
    (tuples / TRANCHE_FIRST as f64).max(1.0).log2().ceil()
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
    if path.indexorderbys.is_null() {
        // Here enable_seqscan = off counts before any cost.
        #[cfg(feature = "pg18")]
        {
            path.path.disabled_nodes += 2;
        }
        // Without a query vector there is nothing to look for.
        return (UNUSABLE, UNUSABLE, 1.0, f64::from(index.pages));
    }
    // SAFETY: the planner's lists; the predicate counts as in every other access method.
    let selectivity = unsafe {
        let quals = pg_sys::get_quals_from_indexclauses(path.indexclauses);
        let quals = pg_sys::add_predicate_to_index_quals(index, quals);
        let relid = (*index.rel).relid as i32;
        let no_join = pg_sys::JoinType::JOIN_INNER;
        pg_sys::clauselist_selectivity(root, quals, relid, no_join, std::ptr::null_mut())
    };
    let prices = Prices::of(index.reltablespace);
    // SAFETY: the index's table is in the planner's arrays.
    let heap_pages = f64::from(unsafe { (*index.rel).pages }).max(1.0);
    // SAFETY: plain numbers and the planner's root.
    let reread = |first| unsafe { reread(root, index, first, loop_count) };
    // SAFETY: the planner's lock keeps the index open-able.
    let (startup, total) = match unsafe { shape_of(index, selectivity) } {
        Shape::Lists(shape) => {
            let first = (shape.pages * (shape.nprobe / shape.nlist).min(1.0)).max(1.0);
            price(&shape, &prices, reread(first), heap_pages)
        }
        Shape::Graph(shape) => {
            graph::price(&shape, &prices, reread(shape.first_pages()), heap_pages)
        }
    };
    (startup, total, selectivity, f64::from(index.pages))
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
unsafe fn shape_of(index: &pg_sys::IndexOptInfo, selectivity: f64) -> Shape {
    // SAFETY: the index's table is in the planner's arrays.
    let heap_tuples = unsafe { (*index.rel).tuples };
    let tuples = if index.tuples > 0.0 { index.tuples } else { heap_tuples * selectivity }.max(1.0);
    let frozen = if index.hypothetical {
        let method = method_by_oid(index.relam);
        if method.is_some_and(|method| method.is_graph) {
            return Shape::Graph(graph::Shape::guess(tuples, f64::from(index.pages).max(1.0)));
        }
        let options = IvfOptions::default();
        let has_lists = method.is_none_or(|method| method.has_lists);
        let nlist = if has_lists { optimal_nlist(tuples as u64) } else { 1 };
        Frozen::guess(nlist, guc::nprobe_for(&options))
    } else {
        // SAFETY: the planner's lock is enough, so none is taken.
        match unsafe { look_into(index.indexoid) } {
            (Index::Lists(ivf), options) => Frozen::of(&ivf, &options),
            (Index::Graph(graph), options) => {
                let pages = f64::from(index.pages).max(1.0);
                return Shape::Graph(graph::Shape::of(&graph.meta, &options, tuples, pages));
            }
        }
    };
    Shape::Lists(ListShape {
        tuples,
        pages: (f64::from(index.pages) - frozen.kept_pages).max(1.0),
        nlist: frozen.nlist.max(1.0),
        nprobe: frozen.nprobe,
        dims: frozen.dims,
        reranked: frozen.reranked.min(tuples),
    })
}

/// What does not depend on the planner's statistics.
struct Frozen {
    nlist: f64,
    nprobe: f64,
    dims: f64,
    reranked: f64,
    /// Pages that a scan does not read, because each backend keeps what they say.
    kept_pages: f64,
}

impl Frozen {
    /// For an index that an advisor only imagines.
    fn guess(nlist: u32, nprobe: u32) -> Self {
        let (nlist, nprobe) = (nlist.into(), nprobe.into());
        Self { nlist, nprobe, dims: DIMS_UNKNOWN, reranked: 0.0, kept_pages: 0.0 }
    }

    fn of(ivf: &IvfIndex, options: &IvfOptions) -> Self {
        let meta = &ivf.meta;
        let mut kept = 1 + meta.centroid_pages() + meta.directory_pages();
        let mut reranked = 0.0;
        if let Some(coded) = &meta.coded {
            kept += model::n_pages(coded.model_len(meta.dims));
            let automatic = coded.params.kind.k_factor(meta.dims) as u32;
            let k_factor = guc::k_factor_for(options).unwrap_or(automatic);
            reranked = ROWS_FIRST * f64::from(k_factor);
        }
        Self {
            nlist: meta.nlist as f64,
            nprobe: guc::nprobe_for(options).into(),
            dims: meta.dims as f64,
            reranked,
            kept_pages: kept as f64,
        }
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
        let found = (frozen_index(rel, &PgPages::new(rel)), options_of(rel));
        pg_sys::index_close(rel, no_lock);
        found
    }
}

#[cfg(feature = "pg_test")]
#[pgrx::pg_schema]
mod tests {
    use pgrx::pg_test;

    use super::{ListShape, Prices, price};
    use crate::am::testing::{plan, run};

    const PRICES: Prices =
        Prices { random_page: 4.0, seq_page: 1.0, operator: 0.0025, index_tuple: 0.005 };

    fn table(rows: u32) {
        run(&format!(
            "CREATE TABLE t (id int PRIMARY KEY, v vector(8));
             INSERT INTO t SELECT i, ARRAY(SELECT random() FROM generate_series(1, 8) WHERE i = i)::real[]::vector
               FROM generate_series(1, {rows}) i;
             CREATE INDEX i ON t USING faissivf (v);
             ANALYZE t"
        ));
    }

    #[pg_test]
    fn pgtest_the_planner_takes_the_index_for_a_plain_top_k() {
        table(1000);
        let q = "'[1,1,1,1,1,1,1,1]'";
        let top = plan(&format!("SELECT id FROM t ORDER BY v <-> {q} LIMIT 10"));
        assert!(top.contains("Index Scan using i on t"), "{top}");
        let few = plan(&format!("SELECT id FROM t WHERE id < 20 ORDER BY v <-> {q} LIMIT 10"));
        assert!(few.contains("t_pkey") && few.contains("Sort"), "{few}");
        let all = plan(&format!("SELECT id FROM t ORDER BY v <-> {q}"));
        assert!(all.contains("Sort") && all.contains("Seq Scan"), "{all}");
        let counted = plan("SELECT count(*) FROM t");
        assert!(!counted.contains("using i "), "{counted}");
        let farthest = plan(&format!("SELECT id FROM t ORDER BY v <-> {q} DESC LIMIT 10"));
        assert!(!farthest.contains("using i "), "{farthest}");
        let other = plan(&format!("SELECT id FROM t ORDER BY v <#> {q} LIMIT 10"));
        assert!(!other.contains("using i "), "{other}");
    }

    #[pg_test]
    fn pgtest_a_tiny_table_is_read_whole() {
        table(10);
        let top = plan("SELECT id FROM t ORDER BY v <-> '[1,1,1,1,1,1,1,1]' LIMIT 10");
        assert!(top.contains("Seq Scan"), "{top}");
    }

    #[pg_test]
    fn pgtest_cost_grows_with_nprobe_up_to_the_whole_index() {
        let shape = |nprobe: f64| ListShape {
            tuples: 100_000.0,
            pages: 20_000.0,
            nlist: 1024.0,
            nprobe,
            dims: 384.0,
            reranked: 0.0,
        };
        let costs: Vec<_> = [1.0, 10.0, 100.0, 1024.0, 4096.0]
            .map(|nprobe| price(&shape(nprobe), &PRICES, 1.0, 20_000.0))
            .into();
        assert!(costs.windows(2).all(|w| w[0].0 <= w[1].0), "{costs:?}");
        assert!(costs.iter().all(|c| c.0.is_finite() && c.0 < c.1), "{costs:?}");
        assert_eq!(costs[3], costs[4]);
    }

    #[pg_test]
    fn pgtest_one_list_costs_all_of_it_before_the_first_row() {
        let shape = |pages, reranked| ListShape {
            tuples: 100_000.0,
            pages,
            nlist: 1.0,
            nprobe: 10.0,
            dims: 384.0,
            reranked,
        };
        let (flat, all) = price(&shape(20_000.0, 0.0), &PRICES, 1.0, 20_000.0);
        assert!(flat > 20_000.0 && all > 10.0 * flat, "{flat} .. {all}");
        // A quarter of the bytes, compared 32 at a time.
        let (coded, _) = price(&shape(5_000.0, 20.0), &PRICES, 1.0, 20_000.0);
        assert!(coded < flat / 3.0, "{coded} against {flat}");
        // Pages and rows of the table, an operator call each, a sort of the ten nearest.
        let sequential = 20_000.0 + 100_000.0 * (0.0125 + 0.005 * 4.3);
        assert!(coded < sequential, "{coded} against {sequential}");
    }

    #[pg_test]
    fn pgtest_out_of_line_vectors_do_not_spoil_the_price() {
        let shape = ListShape {
            tuples: 1000.0,
            pages: 1000.0,
            nlist: 25.0,
            nprobe: 10.0,
            dims: 1536.0,
            reranked: 0.0,
        };
        let (startup, _) = price(&shape, &PRICES, 1.0, 8.0);
        // Eight pages of main table, 1000 rows, a top-k sort.
        let sequential = 8.0 + 1000.0 * 0.0125 + 1000.0 * 0.005 * 4.3;
        assert!(startup < sequential, "{startup} against {sequential}");
    }
}
