//! What the planner takes, and what the arithmetic says of tables too large for a test.

use pgrx::pg_test;

use super::ask::Ask;
use super::table::Table;
use super::{Prices, graph, lists};
use crate::am::testing::{plan, run};

const PRICES: Prices =
    Prices { random_page: 4.0, seq_page: 1.0, operator: 0.0025, tuple: 0.01, index_tuple: 0.005 };

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
    for all in [
        "SELECT id FROM t ORDER BY v <->",
        "SELECT id, row_number() OVER (ORDER BY v <-> '[1,1,1,1,1,1,1,1]') FROM t ORDER BY v <->",
        "SELECT id, count(*) OVER () FROM t ORDER BY v <->",
        "SELECT id FROM t WHERE id % 10 < 9 ORDER BY v <->",
    ] {
        let all = plan(&format!("{all} {q}"));
        assert!(all.contains("Sort") && all.contains("Seq Scan"), "{all}");
    }
    let page = plan(&format!("SELECT id, count(*) OVER () FROM t ORDER BY v <-> {q} LIMIT 10"));
    assert!(page.contains("Seq Scan"), "{page}");
    let ranked = "SELECT id, rank() OVER (ORDER BY v <-> '[1,1,1,1,1,1,1,1]') FROM t";
    let ranked = plan(&format!("{ranked} ORDER BY v <-> {q} LIMIT 10"));
    assert!(ranked.contains("using i "), "{ranked}");
    let counted = plan("SELECT count(*) FROM t");
    assert!(!counted.contains("using i "), "{counted}");
    let farthest = plan(&format!("SELECT id FROM t ORDER BY v <-> {q} DESC LIMIT 10"));
    assert!(!farthest.contains("using i "), "{farthest}");
    let other = plan(&format!("SELECT id FROM t ORDER BY v <#> {q} LIMIT 10"));
    assert!(!other.contains("using i "), "{other}");
}

#[pg_test]
fn pgtest_rows_near_enough_come_first() {
    table(3000);
    run("DROP INDEX i; CREATE INDEX i ON t USING faisshnsw (v)");
    let q = "'[1,1,1,1,1,1,1,1]'";
    for filter in ["v <-> Q < 0.5", "1 - (v <-> Q) > 0.5", "v <-> Q <= 0.5 AND id > 10"] {
        let filter = filter.replace('Q', q);
        let near = plan(&format!("SELECT id FROM t WHERE {filter} ORDER BY v <-> {q} LIMIT 10"));
        assert!(near.contains("using i "), "{near}");
    }
    for filter in ["v <-> Q > 0.5 AND id % 10 + 0 = 1", "v <#> Q < 0.5 AND id % 10 + 0 = 1"] {
        let filter = filter.replace('Q', q);
        let far = plan(&format!("SELECT id FROM t WHERE {filter} ORDER BY v <-> {q} LIMIT 10"));
        assert!(far.contains("Sort"), "{far}");
    }
}

#[pg_test]
fn pgtest_a_scan_that_ends_early_is_cheap_where_rows_are_limited() {
    table(3000);
    let limited = "SELECT id FROM t WHERE id < 1500 ORDER BY v <-> '[1,1,1,1,1,1,1,1]' LIMIT 200";
    let all = "SELECT id FROM t ORDER BY v <-> '[1,1,1,1,1,1,1,1]'";
    run("SET faiss.nprobe = 1");
    let goes_on = plan(limited);
    assert!(goes_on.contains("Sort"), "{goes_on}");
    run("SET faiss.iterative_scan = off");
    let ends = plan(limited);
    assert!(ends.contains("using i "), "{ends}");
    let all = plan(all);
    assert!(all.contains("Sort"), "{all}");
}

#[pg_test]
fn pgtest_a_tiny_table_is_read_whole() {
    table(10);
    let top = plan("SELECT id FROM t ORDER BY v <-> '[1,1,1,1,1,1,1,1]' LIMIT 10");
    assert!(top.contains("Seq Scan"), "{top}");
}

/// A table of `tuples` rows in `pages` pages.
struct Rows {
    tuples: f64,
    pages: f64,
    /// As of [`Table`].
    out_of_line: f64,
    width: f64,
}

/// 50,000 text embeddings of 384 dimensions, five a page.
const EMBEDDINGS: Rows =
    Rows { tuples: 50_000.0, pages: 10_000.0, out_of_line: 0.0, width: 1_560.0 };
/// 20,000 of 768 dimensions, out of line.
const APART: Rows = Rows { tuples: 20_000.0, pages: 345.0, out_of_line: 0.875, width: 100.0 };

impl Rows {
    /// Pages of `visits` visits all over the table, by Mackert and Lohman.
    fn fetched(&self, visits: f64) -> f64 {
        (2.0 * self.pages * visits / (2.0 * self.pages + visits)).min(self.pages)
    }

    /// The server's price of `limit` rows of those that pass a filter, which keeps the part `kept`, by an index scan.
    fn by_index(&self, index: &Index, kept: f64, limit: f64) -> f64 {
        let fetched = |visits: f64| self.fetched(visits);
        let passing = self.tuples * kept;
        let table = Table {
            pages: self.pages,
            tuples: self.tuples,
            kept: passing,
            out_of_line: self.out_of_line,
            fetched: &fetched,
        };
        let fraction = (limit / passing).min(1.0);
        let bound = f64::INFINITY;
        let scanned = fraction;
        let ask =
            Ask { fraction, scanned, rows: limit, said: limit.max(64.0), bound, last_first: false };
        let (startup, total) = match index {
            Index::Lists(shape) => lists::price(shape, &PRICES, &table, &ask, 1.0),
            Index::Graph(shape) => graph::price(shape, &PRICES, &table, &ask, 1.0),
        };
        let visits = self.pages.min(self.fetched(self.tuples)) * PRICES.random_page;
        let total = total + visits + self.tuples * (PRICES.tuple + PRICES.operator);
        startup + (total - startup) * fraction
    }

    /// The same where the filter is in the index: the server's visits are those of the rows that pass.
    fn by_filtered_index(&self, index: &Index, passing: f64, limit: f64) -> f64 {
        let all = self.by_index(index, passing, limit);
        let visits = |tuples: f64| {
            self.fetched(tuples) * PRICES.random_page + tuples * (PRICES.tuple + PRICES.operator)
        };
        let fraction = (limit / (self.tuples * passing)).min(1.0);
        all - fraction * (visits(self.tuples) - visits(self.tuples * passing))
    }

    /// Of all rows, and a sort.
    fn by_sequential_scan(&self, kept: f64, limit: f64) -> f64 {
        let tuples = self.tuples * (PRICES.tuple + 2.0 * PRICES.operator);
        self.pages + tuples + self.sort(self.tuples * kept, limit)
    }

    /// Of the rows that a btree finds, and a sort.
    fn by_btree(&self, kept: f64, limit: f64) -> f64 {
        let rows = self.tuples * kept;
        let pages = self.fetched(rows);
        let read = PRICES.read(pages, pages, self.pages);
        read + rows * (PRICES.tuple + 3.0 * PRICES.operator) + self.sort(rows, limit)
    }

    fn sort(&self, rows: f64, limit: f64) -> f64 {
        let compared = rows * 2.0 * PRICES.operator * (2.0 * rows.min(limit)).max(2.0).log2();
        let bytes = rows.min(limit) * (self.width + 32.0);
        // Beyond work_mem it goes through files.
        let read = PRICES.seq_page * 0.75 + PRICES.random_page * 0.25;
        let files = if bytes > 4e6 { 2.0 * bytes / 8192.0 * read } else { 0.0 };
        compared + files
    }
}

enum Index {
    Lists(lists::Shape),
    Graph(graph::Shape),
}

fn coded(rows: &Rows, dims: f64, candidates: f64) -> Index {
    Index::Lists(lists::Shape {
        tuples: rows.tuples,
        pages: rows.tuples * dims / 4.0 / 8192.0,
        nlist: 1024.0,
        nprobe: 10.0,
        dims,
        candidates,
        from_table: candidates,
        filter: lists::Filter::NONE,
    })
}

fn graph_of(rows: &Rows, dims: f64) -> Index {
    let pages = rows.tuples * (dims * 5.0 + 140.0) / 8192.0;
    let shape = graph::Shape {
        tuples: rows.tuples,
        pages,
        dims,
        m: 16.0,
        ef: 32.0,
        from_table: 0.0,
        filter: lists::Filter::NONE,
    };
    Index::Graph(shape)
}

#[pg_test]
fn pgtest_a_sort_wins_where_it_costs_less() {
    // Rows a filter keeps, LIMIT, and whether the index should win against a sequential scan and against a btree on the
    // filter's column.
    let ladder = [
        (1.0, 10.0, true, true),
        (1.0, 100.0, true, true),
        (1.0, 300.0, true, true),
        (1.0, 25_000.0, false, false),
        (1.0, 50_000.0, false, false),
        (0.5, 10.0, true, true),
        (0.5, 100.0, true, true),
        (0.5, 25_000.0, false, false),
        (0.1, 10.0, true, true),
        (0.1, 5_000.0, false, false),
        (0.01, 10.0, false, false),
        (0.01, 100.0, false, false),
        (0.001, 10.0, false, false),
    ];
    let embeddings = [coded(&EMBEDDINGS, 384.0, 8.0), graph_of(&EMBEDDINGS, 384.0)];
    for (kept, limit, against_all, against_btree) in ladder {
        for (which, index) in embeddings.iter().enumerate() {
            let cost = EMBEDDINGS.by_index(index, kept, limit);
            let all = EMBEDDINGS.by_sequential_scan(kept, limit);
            assert_eq!(cost < all, against_all, "{which} {kept} {limit}: {cost} {all}");
            let btree = EMBEDDINGS.by_btree(kept, limit);
            assert_eq!(cost < btree, against_btree, "{which} {kept} {limit}: {cost} {btree}");
        }
    }
}

#[pg_test]
fn pgtest_fetching_vectors_out_of_line_is_counted_on_both_sides() {
    let index = coded(&APART, 768.0, 12.0);
    // A sequential scan fetches every vector, although nobody says so.
    for limit in [10.0, 100.0, 1_000.0] {
        let cost = APART.by_index(&index, 1.0, limit);
        assert!(cost < APART.by_sequential_scan(1.0, limit), "{limit}: {cost}");
    }
    // Behind a filter it fetches few.
    for (kept, limit) in [(0.1, 100.0), (0.01, 10.0), (0.01, 100.0), (0.001, 10.0)] {
        let cost = APART.by_index(&index, kept, limit);
        assert!(cost > APART.by_sequential_scan(kept, limit), "{kept} {limit}: {cost}");
        assert!(cost > APART.by_btree(kept, limit), "{kept} {limit}: {cost}");
    }
}

#[pg_test]
fn pgtest_cost_grows_with_nprobe_up_to_the_whole_index() {
    let rows = Rows { tuples: 100_000.0, pages: 20_000.0, ..EMBEDDINGS };
    let costs: Vec<_> = [1.0, 10.0, 100.0, 1024.0, 4096.0]
        .map(|nprobe| {
            let Index::Lists(shape) = coded(&rows, 384.0, 0.0) else { return 0.0 };
            rows.by_index(&Index::Lists(lists::Shape { nprobe, ..shape }), 1.0, 10.0)
        })
        .into();
    assert!(costs.windows(2).all(|w| w[0] <= w[1]), "{costs:?}");
    assert!(costs.iter().all(|cost| cost.is_finite()), "{costs:?}");
    assert_eq!(costs[3], costs[4]);
}

#[pg_test]
fn pgtest_more_rows_never_cost_less() {
    let indexes = [
        coded(&EMBEDDINGS, 384.0, 0.0),
        coded(&EMBEDDINGS, 384.0, 8.0),
        graph_of(&EMBEDDINGS, 384.0),
    ];
    for (index, kept) in indexes.iter().flat_map(|index| [1.0, 0.3, 0.01].map(|kept| (index, kept)))
    {
        let costs: Vec<_> =
            (0..16).map(|power| EMBEDDINGS.by_index(index, kept, f64::from(1 << power))).collect();
        assert!(costs.windows(2).all(|w| w[0] <= w[1] + 1e-6), "{kept} {costs:?}");
    }
}

#[pg_test]
fn pgtest_one_list_costs_all_of_it_before_the_first_row() {
    let rows = Rows { tuples: 100_000.0, pages: 20_000.0, ..EMBEDDINGS };
    let one = |pages, candidates| {
        let (nlist, nprobe, dims) = (1.0, 10.0, 384.0);
        let tuples = rows.tuples;
        let (from_table, filter) = (candidates, lists::Filter::NONE);
        let shape =
            lists::Shape { tuples, pages, nlist, nprobe, dims, candidates, from_table, filter };
        Index::Lists(shape)
    };
    let flat = rows.by_index(&one(20_000.0, 0.0), 1.0, 10.0);
    assert!(flat > 20_000.0, "{flat}");
    // A quarter of the bytes, compared 32 at a time.
    let coded = rows.by_index(&one(5_000.0, 2.0), 1.0, 10.0);
    assert!(coded < flat / 3.0, "{coded} against {flat}");
    let sequential = rows.by_sequential_scan(1.0, 10.0);
    assert!(coded < sequential, "{coded} against {sequential}");
}

#[pg_test]
fn pgtest_out_of_line_vectors_do_not_spoil_the_price() {
    let rows = Rows { tuples: 1000.0, pages: 8.0, out_of_line: 1.25, width: 50.0 };
    let index = Index::Lists(lists::Shape {
        tuples: 1000.0,
        pages: 1000.0,
        nlist: 25.0,
        nprobe: 10.0,
        dims: 1536.0,
        candidates: 0.0,
        from_table: 0.0,
        filter: lists::Filter::NONE,
    });
    let cost = rows.by_index(&index, 1.0, 10.0);
    let sequential = rows.by_sequential_scan(1.0, 10.0);
    assert!(cost < sequential, "{cost} against {sequential}");
}

#[pg_test]
fn pgtest_conditions_in_the_index_cost_little() {
    let candidates = [0.0, 8.0];
    for (candidates, passing) in
        candidates.into_iter().flat_map(|c| [0.5, 0.1, 0.01].map(|p| (c, p)))
    {
        let of = |filter| {
            let Index::Lists(shape) = coded(&EMBEDDINGS, 384.0, candidates) else { unreachable!() };
            Index::Lists(lists::Shape { filter, ..shape })
        };
        let in_index = lists::Filter { passing, conditions: 1.0, bytes: 5.0, is_among: false };
        let cost = EMBEDDINGS.by_filtered_index(&of(in_index), passing, 10.0);
        let without = EMBEDDINGS.by_index(&of(lists::Filter::NONE), 1.0, 10.0);
        let afterwards = EMBEDDINGS.by_index(&of(lists::Filter::NONE), passing, 10.0);
        assert!(cost < 20.0 * without, "{candidates} {passing}: {cost} {without}");
        assert!(passing > 0.1 || cost < afterwards, "{candidates} {passing}: {cost} {afterwards}");
        assert!(
            cost < EMBEDDINGS.by_sequential_scan(passing, 10.0),
            "{candidates} {passing}: {cost}"
        );
    }
    // Of so few rows a sort costs less.
    let filter = lists::Filter { passing: 0.0005, conditions: 1.0, bytes: 5.0, is_among: false };
    let Index::Lists(shape) = coded(&EMBEDDINGS, 384.0, 8.0) else { unreachable!() };
    let cost =
        EMBEDDINGS.by_filtered_index(&Index::Lists(lists::Shape { filter, ..shape }), 0.0005, 10.0);
    assert!(cost > EMBEDDINGS.by_btree(0.0005, 10.0), "{cost}");
}

#[pg_test]
fn pgtest_the_planner_takes_the_index_with_the_filters_columns() {
    table(5000);
    run("ALTER TABLE t ADD k int, ADD x text; UPDATE t SET k = id % 100, x = 'x' || id % 20;
         CREATE INDEX with_k ON t USING faissivf (k, v); CREATE INDEX with_x ON t USING faissivf (v, k, x); ANALYZE t");
    // Of so few rows a sort of all would cost less.
    run("SET enable_seqscan = off; SET enable_sort = off");
    let q = "'[1,1,1,1,1,1,1,1]'";
    let top = |filter: &str| {
        plan(&format!("SELECT id FROM t WHERE {filter} ORDER BY v <-> {q} LIMIT 10"))
    };
    for (filter, index) in [
        ("k = 5", "with_"),
        ("k IN (5, 6)", "with_"),
        ("x = 'x3'", "with_x"),
        ("x IN ('x3', 'x4')", "with_x"),
    ] {
        let plan = top(filter);
        assert!(plan.contains(index) && plan.contains("Index Cond"), "{filter}: {plan}");
    }
    run("RESET enable_sort");
    let none = plan("SELECT id FROM t WHERE k = 5");
    assert!(none.contains("Seq Scan"), "{none}");
    let null = top("v IS NULL AND k = 5");
    assert!(null.contains("Seq Scan"), "{null}");
}
