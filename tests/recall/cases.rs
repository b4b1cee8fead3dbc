//! Faults that were found by doing what users report of other systems, each with its own small table: what they lost must be
//! found. Recall is that of the default settings unless a case says otherwise.

use checks::{Database, describe};
use postgres::Client;

/// Vectors, made in a language whose functions are never merged into a query: each call draws anew.
const FUNCTIONS: &str = "
    CREATE FUNCTION uniform(dims int, low float8, high float8) RETURNS vector LANGUAGE plpgsql AS $$
    BEGIN
        RETURN (SELECT array_agg(low + (high - low) * random()) FROM generate_series(1, dims))::vector;
    END $$;
    CREATE FUNCTION counts(dims int) RETURNS vector LANGUAGE plpgsql AS $$
    BEGIN
        RETURN (SELECT array_agg(least(floor(1 / (1 - random())) - 1, 1e5)) FROM generate_series(1, dims))::vector;
    END $$;
    CREATE FUNCTION moved(v vector, by float8) RETURNS vector LANGUAGE plpgsql AS $$
    BEGIN
        RETURN v + uniform(vector_dims(v), -by, by);
    END $$;
    SELECT setseed(0.5);
    CREATE TABLE asked (no serial, v vector)";

/// The bar of these cases: nearly everything.
const BAR: f64 = 0.9;

struct Case {
    client: Client,
    failures: Vec<String>,
    _db: Database,
}

impl Case {
    fn new(name: &str) -> Self {
        let db = Database::new(name);
        let mut case = Self { client: db.connect(), failures: Vec::new(), _db: db };
        case.run(FUNCTIONS);
        case
    }

    fn run(&mut self, sql: &str) {
        let done = self.client.batch_execute(sql);
        done.unwrap_or_else(|e| panic!("{sql}: {}", describe(&e)));
    }

    fn count(&mut self, sql: &str) -> i64 {
        let row = self.client.query_one(sql, &[]);
        row.unwrap_or_else(|e| panic!("{sql}: {}", describe(&e))).get(0)
    }

    /// The part of the ten nearest rows of `t` that an index returns for the vectors in `asked`.
    fn recall(&mut self, operator: &str) -> f64 {
        self.run("SET enable_indexscan = off; SET enable_seqscan = on; DROP TABLE IF EXISTS tenth");
        self.run(&format!(
            "CREATE TABLE tenth AS SELECT no, a.v, d + 1e-6 * abs(d) AS bound FROM asked a,
                 LATERAL (SELECT max(d) AS d FROM (SELECT t.v {operator} a.v AS d FROM t ORDER BY 1 LIMIT 10) x) near"
        ));
        self.run("SET enable_indexscan = on; SET enable_seqscan = off");
        let sql = format!(
            "SELECT count(*) FILTER (WHERE d <= bound)::float8 / (10 * (SELECT count(*) FROM tenth)) FROM tenth,
                 LATERAL (SELECT t.v {operator} tenth.v AS d FROM t ORDER BY t.v {operator} tenth.v LIMIT 10) near"
        );
        let plan = self.client.query(&format!("EXPLAIN {sql}"), &[]);
        let plan = plan.unwrap_or_else(|e| panic!("{}", describe(&e)));
        assert!(plan.iter().any(|row| row.get::<_, &str>(0).contains("Index Scan using t_v")));
        let row = self.client.query_one(&sql, &[]);
        row.unwrap_or_else(|e| panic!("{}", describe(&e))).get(0)
    }

    fn at_least(&mut self, operator: &str, bar: f64, what: &str) {
        let recall = self.recall(operator);
        eprintln!("{what}: recall@10 {recall:.3}, expected {bar}");
        if recall < bar {
            self.failures.push(format!("{what}: recall@10 {recall:.3}, expected {bar}"));
        }
    }

    fn expect(&mut self, what: &str, found: i64, expected: i64) {
        eprintln!("{what}: {found}, expected {expected}");
        if found != expected {
            self.failures.push(format!("{what}: {found}, expected {expected}"));
        }
    }

    fn sound(&mut self) {
        let broken = self.count("SELECT count(*) FROM faiss.check('t_v')");
        self.expect("broken invariants", broken, 0);
    }

    /// Index `t_v` of `t` needs nothing.
    fn healthy(&mut self) {
        let retrain = self.count("SELECT retrain::int::bigint FROM faiss.health('t_v')");
        self.expect("health says to train anew", retrain, 0);
    }

    fn end(self) {
        assert!(self.failures.is_empty(), "{}", self.failures.join("\n"));
    }
}

/// What reads a whole table in order gets the whole table, by whatever plan.
#[test]
fn case_01_whole_tables_in_order() {
    let mut case = Case::new("case_01");
    case.run(
        "CREATE TABLE t (id int PRIMARY KEY, v vector(32), body text);
         INSERT INTO t SELECT i, uniform(32, -1, 1), repeat('some text ', 20) FROM generate_series(1, 30000) i;
         CREATE INDEX t_v ON t USING faissivf (v) WITH (code = sq8)",
    );
    case.run("VACUUM ANALYZE t");
    let near = "v <-> array_fill(0.1, ARRAY[32])::vector";
    let whole = |case: &mut Case, method: &str| {
        case.run(&format!("CREATE TEMP TABLE made AS SELECT * FROM t ORDER BY {near}"));
        for (what, sql, expected) in [
            ("CREATE TABLE AS", "SELECT count(*) FROM made".to_owned(), 30_000),
            (
                "row_number",
                format!(
                    "SELECT count(*) FROM (SELECT id, row_number() OVER (ORDER BY {near}) FROM t OFFSET 0) x"
                ),
                30_000,
            ),
            (
                "count over all",
                format!(
                    "SELECT max(n) FROM (SELECT count(*) OVER () AS n FROM t ORDER BY {near} LIMIT 5) x"
                ),
                30_000,
            ),
            (
                "nine in ten",
                format!(
                    "SELECT count(*) FROM (SELECT id FROM t WHERE id % 10 < 9 ORDER BY {near} OFFSET 100) x"
                ),
                26_900,
            ),
            (
                "LIMIT of half",
                format!("SELECT count(*) FROM (SELECT id FROM t ORDER BY {near} LIMIT 15000) x"),
                15_000,
            ),
            (
                "LIMIT of a fifth",
                format!("SELECT count(*) FROM (SELECT id FROM t ORDER BY {near} LIMIT 6000) x"),
                6_000,
            ),
        ] {
            let found = case.count(&sql);
            case.expect(&format!("{method}: {what}"), found, expected);
        }
        case.run(&format!(
            "DROP TABLE made; BEGIN; DECLARE c CURSOR FOR SELECT id FROM t ORDER BY {near}"
        ));
        let moved = case
            .client
            .execute("MOVE ALL FROM c", &[])
            .unwrap_or_else(|e| panic!("{}", describe(&e)));
        case.expect(&format!("{method}: a cursor"), moved as i64, 30_000);
        case.run("COMMIT");
    };
    whole(&mut case, "faissivf");
    case.run("DROP INDEX t_v; CREATE INDEX t_v ON t USING faisshnsw (v) WITH (m = 8, efConstruction = 20)");
    whole(&mut case, "faisshnsw");
    case.run("SET enable_seqscan = off; SET enable_sort = off");
    whole(&mut case, "faisshnsw, no sort");
    case.end();
}

/// Placeholders first, the real vectors later: an index that was there from the beginning finds them.
#[test]
fn case_02_rows_later_than_the_graph() {
    let mut case = Case::new("case_02");
    case.run(
        "CREATE TABLE t (id int PRIMARY KEY, v vector(64) NOT NULL);
         CREATE INDEX t_v ON t USING faisshnsw (v);
         INSERT INTO t SELECT i, array_fill(0, ARRAY[64])::vector FROM generate_series(1, 1500) i;
         CREATE TABLE topic AS SELECT n, uniform(64, -1, 1) AS v FROM generate_series(0, 49) n;
         INSERT INTO t SELECT 10000 + i, l2_normalize(moved(topic.v, 0.5)) FROM generate_series(1, 5000) i JOIN topic ON n = i % 50;
         INSERT INTO asked (v) SELECT l2_normalize(moved(v, 0.05)) FROM t WHERE id BETWEEN 10001 AND 14000 AND id % 110 = 1",
    );
    case.run("VACUUM ANALYZE t");
    case.at_least("<->", BAR, "as inserted");
    case.sound();
    case.healthy();
    case.run("DELETE FROM t WHERE id < 10000");
    case.run("VACUUM t");
    case.at_least("<->", BAR, "without the placeholders");
    case.run("REINDEX INDEX t_v");
    case.at_least("<->", BAR, "built anew");
    case.end();
}

/// Unit vectors and two rows that were not normalised.
#[test]
fn case_03a_two_rows_of_another_magnitude() {
    let mut case = Case::new("case_03a");
    case.run(
        "CREATE TABLE topic AS SELECT n, uniform(64, -0.5, 0.5) AS v FROM generate_series(0, 49) n;
         CREATE TABLE t (id int PRIMARY KEY, v vector(64));
         INSERT INTO t SELECT i, l2_normalize(moved(topic.v, 0.25)) FROM generate_series(1, 5000) i JOIN topic ON n = i % 50;
         CREATE INDEX t_v ON t USING faisshnsw (v);
         INSERT INTO asked (v) SELECT moved(v, 0.001) FROM t WHERE id % 101 = 0",
    );
    case.at_least("<->", BAR, "unit vectors");
    case.run("INSERT INTO t SELECT -i, array_fill(100 * (-1) ^ i, ARRAY[64])::vector FROM generate_series(1, 2) i");
    case.at_least("<->", BAR, "two rows more");
    case.run("REINDEX INDEX t_v");
    case.at_least("<->", BAR, "two rows more, built anew");
    case.end();
}

/// A graph of a table that `t` is filled with by `select`, asked about its own rows moved by a hundredth.
fn graph_of(name: &str, select: &str, class: &str, operator: &str) {
    let mut case = Case::new(name);
    case.run(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, v vector(32));
         INSERT INTO t SELECT i, {select} FROM generate_series(1, 8000) i;
         CREATE INDEX t_v ON t USING faisshnsw (v {class}) WITH (m = 16, efConstruction = 64);
         INSERT INTO asked (v) SELECT v * uniform(32, 0.99, 1.01) FROM t WHERE id % 101 = 0"
    ));
    case.at_least(operator, BAR, name);
    case.sound();
    case.end();
}

#[test]
fn case_03b_counts_with_heavy_tails() {
    graph_of("case_03b", "counts(32)", "vector_l2_ops", "<->");
}

#[test]
fn case_03c_one_dimension_in_another_unit() {
    let wide = "uniform(1, -3000, 3000) || uniform(31, -3, 3)";
    graph_of("case_03c", wide, "vector_l2_ops", "<->");
}

#[test]
fn case_03d_one_wide_dimension_by_inner_product() {
    let wide = "uniform(1, -90, 90) || uniform(31, -3, 3)";
    graph_of("case_03d", wide, "vector_ip_ops", "<#>");
}

/// One row far from all others takes nothing from them: not where it is, and not when it has gone.
#[test]
fn case_06_one_far_row_among_lists() {
    let mut case = Case::new("case_06");
    case.run(
        "CREATE TABLE topic AS SELECT n, uniform(64, -0.5, 0.5) AS v FROM generate_series(0, 79) n;
         CREATE TABLE t (id int PRIMARY KEY, v vector(64));
         INSERT INTO t SELECT i, l2_normalize(moved(topic.v, 0.25)) FROM generate_series(1, 12000) i JOIN topic ON n = i % 80;
         CREATE INDEX t_v ON t USING faissivf (v);
         INSERT INTO asked (v) SELECT moved(v, 0.01) FROM t WHERE id % 401 = 0",
    );
    case.at_least("<->", BAR, "unit vectors");
    for far in ["2e5", "1e9", "1e20"] {
        case.run(&format!(
            "INSERT INTO t VALUES (-1, array_fill({far}, ARRAY[64])::vector); REINDEX INDEX t_v"
        ));
        case.at_least("<->", BAR, &format!("a row at {far}"));
        case.sound();
        case.run("DELETE FROM t WHERE id = -1");
        case.run("VACUUM t");
        case.at_least("<->", BAR, &format!("the row at {far} has gone"));
    }
    case.end();
}

/// Loaded topic by topic into an index that was there before.
fn by_topic(name: &str, class: &str, operator: &str) {
    let mut case = Case::new(name);
    case.run(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, v vector(64));
         CREATE INDEX t_v ON t USING faisshnsw (v {class});
         CREATE TABLE topic AS SELECT n, l2_normalize(uniform(64, -0.5, 0.5)) AS v FROM generate_series(0, 29) n;
         INSERT INTO t SELECT row_number() OVER (ORDER BY n, i), l2_normalize(moved(v, 0.0215))
             FROM topic, generate_series(1, 1200) i WHERE n = 0 OR i <= 300 ORDER BY n, i;
         INSERT INTO asked (v) SELECT moved(v, 0.01) FROM t WHERE id > 1500 AND id % 150 = 0"
    ));
    case.run("VACUUM ANALYZE t");
    case.at_least(operator, BAR, "as loaded");
    case.run("SET faiss.efSearch = 200");
    case.at_least(operator, 0.97, "as loaded, efSearch 200");
    case.run("RESET faiss.efSearch");
    case.healthy();
    case.run("REINDEX INDEX t_v");
    case.at_least(operator, BAR, "built anew");
    case.end();
}

#[test]
fn case_07_loaded_topic_by_topic() {
    by_topic("case_07", "vector_cosine_ops", "<=>");
}

#[test]
fn case_07_loaded_topic_by_topic_by_inner_product() {
    by_topic("case_07_ip", "vector_ip_ops", "<#>");
}

/// Versions of rows that nobody sees use up no candidates of a lossy code.
#[test]
fn case_08_dead_versions() {
    let mut case = Case::new("case_08");
    case.run(
        "CREATE TABLE t (id int PRIMARY KEY, seen int DEFAULT 0, v vector(64)) WITH (autovacuum_enabled = off);
         CREATE TABLE topic AS SELECT n, uniform(64, -1.5, 1.5) AS v FROM generate_series(0, 59) n;
         INSERT INTO t (id, v) SELECT i, moved(topic.v, 1.2) FROM generate_series(1, 8000) i JOIN topic ON n = i % 60;
         CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 64, nprobe = 64, code = pqfs, m = 32);
         INSERT INTO asked (v) SELECT moved(v, 0.1) FROM t WHERE id % 160 = 0",
    );
    case.at_least("<->", 0.97, "fresh");
    for times in 1..=5 {
        case.run("UPDATE t SET seen = seen + 1");
        if times == 2 || times == 5 {
            case.at_least("<->", 0.97, &format!("updated {times} times"));
        }
    }
    case.run("VACUUM t");
    case.at_least("<->", 0.97, "vacuumed");
    // What was asked about has gone, and is still in the index.
    case.run("DELETE FROM t USING topic WHERE n < 10 AND t.id % 60 = n");
    case.run("DELETE FROM asked; INSERT INTO asked (v) SELECT moved(v, 0.1) FROM topic, generate_series(1, 3) WHERE n < 10");
    let before = case.recall("<->");
    case.run("VACUUM t");
    let after = case.recall("<->");
    eprintln!("a region deleted: recall@10 {before:.3}, vacuumed {after:.3}");
    if before < after - 0.02 {
        case.failures.push(format!("a region deleted: recall@10 {before:.3}, vacuumed {after:.3}"));
    }
    case.end();
}

/// Rows of few distinct distances: LIMIT is met, in either order.
#[test]
fn case_09_one_hot_rows_up_to_the_limit() {
    let mut case = Case::new("case_09");
    case.run(
        "CREATE TABLE t (id int PRIMARY KEY, v vector(200));
         INSERT INTO t SELECT i, (array_fill(0, ARRAY[c]) || 1 || array_fill(0, ARRAY[199 - c]))::real[]::vector(200)
             FROM (SELECT i, floor(random() * 200)::int AS c FROM generate_series(1, 5000) i) x;
         CREATE INDEX t_v ON t USING faisshnsw (v) WITH (m = 16, efConstruction = 64);
         ANALYZE t; SET enable_seqscan = off; SET enable_sort = off",
    );
    for mode in ["strict_order", "relaxed_order"] {
        case.run(&format!("SET faiss.iterative_scan = {mode}"));
        let sql = "SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> (SELECT v FROM t WHERE id = 10) LIMIT 1000) x";
        let found = case.count(sql);
        case.expect(mode, found, 1_000);
    }
    case.end();
}

/// A filter whose rows lie far from the query, or are few, is met by as many rows as there are, by the plan that is chosen.
#[test]
fn case_09_filters_up_to_the_limit() {
    let mut case = Case::new("case_09_filters");
    case.run(
        "CREATE TABLE t (id int PRIMARY KEY, kept bool, v vector(32));
         INSERT INTO t SELECT i, i > 29700, CASE WHEN i > 29700 THEN uniform(32, 5, 6) ELSE uniform(32, -1, 1) END
             FROM generate_series(1, 30000) i",
    );
    for (method, options) in [
        ("faisshnsw", "m = 16, efConstruction = 64"),
        ("faissivf", "nlist = 100"),
        ("faissivf", "nlist = 100, code = pqfs, m = 16"),
        ("faissivf", "nlist = 100, code = rabitq, refine = flat"),
    ] {
        case.run(&format!("CREATE INDEX t_v ON t USING {method} (v) WITH ({options}); ANALYZE t"));
        for (condition, limit, expected) in [
            ("kept", 10, 10),
            ("kept", 400, 300),
            ("id % 1500 = 7", 20, 20),
            ("id % 7500 = 7", 20, 4),
        ] {
            let sql = format!(
                "SELECT count(*) FROM (SELECT id FROM t WHERE {condition} ORDER BY v <-> array_fill(0, ARRAY[32])::vector LIMIT {limit}) x"
            );
            let found = case.count(&sql);
            case.expect(&format!("{method} {options}, {condition} LIMIT {limit}"), found, expected);
        }
        case.run("DROP INDEX t_v");
    }
    case.end();
}

/// A few rows of a hundred times the magnitude blind no code of a table that is built with them.
#[test]
fn case_10_codes_beside_a_few_long_rows() {
    let mut case = Case::new("case_10");
    case.run(
        "CREATE TABLE topic AS SELECT n, uniform(64, -0.5, 0.5) AS v FROM generate_series(0, 49) n;
         CREATE TABLE t (id int PRIMARY KEY, v vector(64));
         INSERT INTO t SELECT i, l2_normalize(moved(topic.v, 0.25)) FROM generate_series(1, 8000) i JOIN topic ON n = i % 50;
         UPDATE t SET v = v * array_fill(100, ARRAY[64])::vector WHERE id % 1000 = 7;
         INSERT INTO asked (v) SELECT moved(v, 0.01) FROM t WHERE id % 101 = 0",
    );
    for code in ["sqfp16", "sq8", "sq4", "pqfs, m = 32", "rabitq, nbits = 4"] {
        case.run(&format!(
            "CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 50, nprobe = 25, code = {code})"
        ));
        case.at_least("<->", BAR, code);
        case.run("DROP INDEX t_v");
    }
    case.end();
}
