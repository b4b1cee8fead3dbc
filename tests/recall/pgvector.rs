//! The measurements of recall in pgvector's own test suite, with its parameters and its bars: files 012, 013, 014, 024, 025, 026,
//! 041 and 044 of test/t. A bar is the least part of the exact answer's rows that an index returns, over twenty queries.

use std::sync::{Arc, Mutex};

use checks::random::Random;
use checks::{Database, describe, shared};
use postgres::{Client, NoTls};

pub const QUERIES: usize = 20;
pub const LIMIT: usize = 20;
/// What pgvector does when nothing is said.
const GRAPH: &str = "m = 16, efConstruction = 64";
const DEFAULTS: &str = "SET faiss.efSearch = 40; SET faiss.iterative_scan = off";
/// Sessions that insert at the same time, and rows of each.
pub const SESSIONS: usize = 10;
pub const INSERTS: usize = 1_000;

/// A column, how its values are drawn, and the bars: under inner product another than elsewhere.
struct Column {
    element: &'static str,
    dims: usize,
    component: &'static str,
    bar: f64,
    ip_bar: f64,
}

const SINGLE: Column = Column {
    element: "vector",
    dims: 3,
    component: "random() * random()",
    bar: 0.99,
    ip_bar: 0.97,
};
const HALF: Column = Column {
    element: "halfvec",
    dims: 10,
    component: "2 * random() * random()",
    bar: 0.98,
    ip_bar: 0.98,
};
const METRICS: [(&str, &str); 4] = [("<->", "l2"), ("<#>", "ip"), ("<=>", "cosine"), ("<+>", "l1")];

impl Column {
    fn value(&self) -> String {
        let components = vec![self.component; self.dims].join(", ");
        let Self { element, dims, .. } = self;
        format!("ARRAY[{components}]::real[]::{element}({dims})")
    }

    fn create_table(&self, client: &mut Client) {
        let Self { element, dims, .. } = self;
        run(client, &format!("CREATE TABLE tst (i serial, v {element}({dims}))"));
    }

    fn fill(&self, client: &mut Client, rows: usize) {
        let value = self.value();
        run(client, "SELECT setseed(0.25)");
        run(
            client,
            &format!("INSERT INTO tst (i, v) SELECT i, {value} FROM generate_series(1, {rows}) i"),
        );
    }

    fn bar(&self, operator: &str) -> f64 {
        if operator == "<#>" { self.ip_bar } else { self.bar }
    }

    /// Uniform in the unit cube, as literals that take their type from the column.
    fn queries(&self) -> Vec<String> {
        queries(self.dims)
    }
}

fn queries(dims: usize) -> Vec<String> {
    let mut random = Random::new(0xBA2);
    let mut one = || {
        let components: Vec<String> = (0..dims).map(|_| random.unit().to_string()).collect();
        format!("'[{}]'", components.join(","))
    };
    (0..QUERIES).map(|_| one()).collect()
}

pub fn run(client: &mut Client, sql: &str) {
    client.batch_execute(sql).unwrap_or_else(|e| panic!("{sql}: {}", describe(&e)));
}

fn ids(client: &mut Client, sql: &str) -> Vec<i32> {
    let rows = client.query(sql, &[]).unwrap_or_else(|e| panic!("{sql}: {}", describe(&e)));
    rows.iter().map(|row| row.get(0)).collect()
}

/// A question about table `tst`: a condition, or none, and an operator.
pub struct Question<'a> {
    pub filter: &'a str,
    pub operator: &'a str,
}

impl Question<'_> {
    fn by_index(&self, query: &str) -> String {
        let Self { filter, operator } = self;
        format!("SELECT i FROM tst {filter} ORDER BY v {operator} {query} LIMIT {LIMIT}")
    }

    /// The rows as near as the last of those that are asked for.
    fn exact(&self, client: &mut Client, query: &str) -> Vec<i32> {
        let Self { filter, operator } = self;
        run(client, "SET enable_indexscan = off; SET enable_seqscan = on");
        let also = if filter.is_empty() { "WHERE" } else { "AND" };
        let sql = format!(
            "SELECT i FROM tst {filter} {also} v {operator} {query} <= (SELECT max(d) FROM (
                 SELECT v {operator} {query} AS d FROM tst {filter} ORDER BY 1 LIMIT {LIMIT}) near)"
        );
        ids(client, &sql)
    }

    fn recall(&self, client: &mut Client, queries: &[String]) -> f64 {
        let mut right = 0;
        let mut asked = 0;
        for query in queries {
            let exact = self.exact(client, query);
            run(client, "SET enable_indexscan = on; SET enable_seqscan = off");
            let sql = self.by_index(query);
            let plan = client.query(&format!("EXPLAIN {sql}"), &[]);
            let plan = plan.unwrap_or_else(|e| panic!("{}", describe(&e)));
            assert!(plan.iter().any(|row| row.get::<_, &str>(0).contains("Index Scan using idx")));
            right += ids(client, &sql).iter().filter(|id| exact.contains(id)).count();
            asked += exact.len().min(LIMIT);
        }
        right as f64 / asked as f64
    }

    pub fn assert(
        &self,
        client: &mut Client,
        queries: &[String],
        bar: f64,
        what: &str,
    ) -> Option<String> {
        let recall = self.recall(client, queries);
        let said =
            format!("{what} {} {}: recall {recall:.4}, the bar {bar}", self.operator, self.filter);
        eprintln!("{said}");
        (recall < bar).then_some(said)
    }
}

pub fn none(below: Vec<String>) {
    assert!(below.is_empty(), "below pgvector's bars:\n{}", below.join("\n"));
}

/// Files 012 and 024: 10,000 rows, an index built by one thread, by several, and where memory is short.
fn built(name: &str, column: &Column) {
    let db = Database::new(name);
    let mut client = db.connect();
    run(&mut client, DEFAULTS);
    column.create_table(&mut client);
    column.fill(&mut client, 10_000);
    let mut below = Vec::new();
    for (operator, class) in METRICS {
        let create = format!(
            "CREATE INDEX idx ON tst USING faisshnsw (v {}_{class}_ops) WITH ({GRAPH})",
            column.element
        );
        let question = Question { filter: "", operator };
        let bar = column.bar(operator);
        for (threads, memory) in [(1, "64MB"), (2, "64MB"), (2, "4MB")] {
            run(
                &mut client,
                &format!(
                    "SET faiss.build_threads = {threads}; SET maintenance_work_mem = '{memory}'"
                ),
            );
            run(&mut client, &create);
            let what = format!("built by {threads} threads in {memory}");
            below.extend(question.assert(&mut client, &column.queries(), bar, &what));
            run(&mut client, "DROP INDEX idx");
        }
    }
    none(below);
}

#[test]
fn pgvector_012_graph_as_built() {
    built("pgvector_012", &SINGLE);
}

#[test]
fn pgvector_024_halfvec_graph_as_built() {
    built("pgvector_024", &HALF);
}

/// A session that remembers what the server tells it beside results.
fn attentive(database: &str, said: &Arc<Mutex<Vec<String>>>) -> Client {
    let said = Arc::clone(said);
    let mut config = shared().config(database);
    config.notice_callback(move |notice| {
        if notice.severity() == "WARNING"
            && let Ok(mut said) = said.lock()
        {
            said.push(notice.message().to_owned());
        }
    });
    config.connect(NoTls).unwrap_or_else(|e| panic!("{}", describe(&e)))
}

/// Files 013 and 025: the index first, then rows from ten sessions at once, which get no warning.
fn inserted(name: &str, column: &Column) {
    let db = Database::new(name);
    let mut client = db.connect();
    run(&mut client, DEFAULTS);
    column.create_table(&mut client);
    let insert = format!("INSERT INTO tst (v) VALUES ({})", column.value());
    let said = Arc::new(Mutex::new(Vec::new()));
    let mut below = Vec::new();
    for (operator, class) in METRICS {
        let element = column.element;
        run(
            &mut client,
            &format!(
                "CREATE INDEX idx ON tst USING faisshnsw (v {element}_{class}_ops) WITH ({GRAPH})"
            ),
        );
        let sessions = (0..SESSIONS).map(|_| attentive(name, &said));
        let threads: Vec<_> = sessions
            .map(|mut session| {
                let insert = insert.clone();
                std::thread::spawn(move || (0..INSERTS).for_each(|_| run(&mut session, &insert)))
            })
            .collect();
        threads.into_iter().for_each(checks::pressure::joined);
        let question = Question { filter: "", operator };
        let bar = column.bar(operator);
        below.extend(question.assert(&mut client, &column.queries(), bar, "inserted"));
        run(&mut client, "DROP INDEX idx; TRUNCATE tst");
    }
    let said = said.lock().map(|said| said.clone()).unwrap_or_default();
    assert!(said.is_empty(), "sessions that insert are warned: {:?}", said.first());
    none(below);
}

#[test]
fn pgvector_013_graph_filled_by_sessions() {
    inserted("pgvector_013", &SINGLE);
}

#[test]
fn pgvector_025_halfvec_graph_filled_by_sessions() {
    inserted("pgvector_025", &HALF);
}

/// Files 014 and 026: a thin graph of which three quarters are deleted, before and after VACUUM.
fn vacuumed(name: &str, element: &str) {
    let db = Database::new(name);
    let mut client = db.connect();
    run(&mut client, DEFAULTS);
    run(
        &mut client,
        &format!(
            "CREATE TABLE tst (i int, v {element}(3)) WITH (autovacuum_enabled = false); SELECT setseed(0.25);
             INSERT INTO tst SELECT i, ARRAY[random(), random(), random()]::real[]::{element}(3) FROM generate_series(1, 10000) i;
             CREATE INDEX idx ON tst USING faisshnsw (v {element}_l2_ops) WITH (m = 4, efConstruction = 8);
             DELETE FROM tst WHERE i > 2500"
        ),
    );
    let question = Question { filter: "", operator: "<->" };
    let mut below = Vec::new();
    let mut at = |client: &mut Client, ef: usize, bar, what: &str| {
        run(client, &format!("SET faiss.efSearch = {ef}"));
        below.extend(question.assert(client, &queries(3), bar, what));
    };
    at(&mut client, LIMIT, 0.18, "before VACUUM, efSearch 20");
    at(&mut client, 100, 0.93, "before VACUUM, efSearch 100");
    run(&mut client, "VACUUM tst");
    at(&mut client, LIMIT, 0.95, "after VACUUM, efSearch 20");
    none(below);
}

#[test]
fn pgvector_014_graph_after_vacuum() {
    vacuumed("pgvector_014", "vector");
}

#[test]
fn pgvector_026_halfvec_graph_after_vacuum() {
    vacuumed("pgvector_026", "halfvec");
}

/// File 041: a filter that keeps ten of 100,000 rows finds them all, or about as many as the bound of the visited rows lets it.
#[test]
fn pgvector_041_lists_under_a_filter() {
    let db = Database::new("pgvector_041");
    let mut client = db.connect();
    run(
        &mut client,
        "CREATE TABLE tst (i int PRIMARY KEY, v vector(3)); SELECT setseed(0.25);
         INSERT INTO tst SELECT i, ARRAY[random(), random(), random()]::real[]::vector(3) FROM generate_series(1, 100000) i;
         CREATE INDEX idx ON tst USING faissivf (v vector_l2_ops) WITH (nlist = 100);
         SET enable_seqscan = off; SET faiss.nprobe = 10; SET faiss.iterative_scan = relaxed_order",
    );
    let count = |client: &mut Client, row: &str| {
        let sql = format!(
            "SELECT count(*) FROM (SELECT v FROM tst WHERE i % 10000 = 0 ORDER BY v <-> ({row}) LIMIT 11) near"
        );
        let row = client.query_one(&sql, &[]).unwrap_or_else(|e| panic!("{}", describe(&e)));
        row.get::<_, i64>(0)
    };
    assert_eq!(count(&mut client, "SELECT v FROM tst LIMIT 1"), 10);
    // There a number of lists is the bound, here one of rows: of a hundred lists each has about a thousand.
    for lists in [30, 50, 70] {
        let rows = (lists - 10) * 1_000;
        run(&mut client, &format!("SET faiss.max_scan_tuples = {rows}"));
        let found =
            (1..=20).map(|i| count(&mut client, &format!("SELECT v FROM tst WHERE i = {i}")));
        let mean = found.sum::<i64>() as f64 / 20.0;
        eprintln!("{lists} lists: {mean} rows");
        let expected = f64::from(lists) / 10.0;
        assert!((mean - expected).abs() < 2.0, "{mean} rows in {lists} lists, {expected} expected");
    }
}

/// File 044: a filter that keeps a fiftieth or a five hundredth of 50,000 rows, in both orders.
#[test]
fn pgvector_044_graph_under_a_filter() {
    let db = Database::new("pgvector_044");
    let mut client = db.connect();
    run(
        &mut client,
        "CREATE TABLE tst (i int, v vector(3)); SELECT setseed(0.25);
         INSERT INTO tst SELECT i, ARRAY[random(), random(), random()]::real[]::vector(3) FROM generate_series(1, 50000) i;
         SET maintenance_work_mem = '128MB'; SET faiss.efSearch = 40",
    );
    let mut below = Vec::new();
    for (operator, class) in [("<->", "l2"), ("<=>", "cosine")] {
        run(
            &mut client,
            &format!(
                "CREATE INDEX idx ON tst USING faisshnsw (v vector_{class}_ops) WITH ({GRAPH})"
            ),
        );
        for (kept, mode) in [
            (50, "strict_order"),
            (50, "relaxed_order"),
            (500, "strict_order"),
            (500, "relaxed_order"),
        ] {
            run(&mut client, &format!("SET faiss.iterative_scan = {mode}"));
            let filter = format!("WHERE i % {kept} = 0");
            let question = Question { filter: &filter, operator };
            below.extend(question.assert(&mut client, &queries(3), 0.99, mode));
        }
        run(&mut client, "DROP INDEX idx");
    }
    none(below);
}
