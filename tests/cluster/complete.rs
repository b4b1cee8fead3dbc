//! A scan by an index returns exactly the rows of a scan of the table, each once: with every method and code, in both orders,
//! whatever is asked of it, on ordinary and on hostile tables, after updates nobody vacuumed, and beside sessions that write.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use checks::hostile::tables::{KINDS, Kind};
use checks::kinds::{self, EACH};
use checks::pressure::Pressure;
use checks::random::Random;
use checks::watch::{Watchdog, assert_never_crashed};
use checks::workload::Writer;
use checks::{Database, describe, rounds, shortened, workload};
use postgres::Client;

/// Method and options; `m = 16` stands for half of the dimension.
const INDEXES: [(&str, &str); 9] = [
    ("faissflat", "code = flat"),
    ("faissflat", "factory = 'RR,RaBitQ'"),
    ("faissivf", "nlist = 20, nprobe = 4"),
    ("faissivf", "nlist = 20, nprobe = 4, code = sq8"),
    ("faissivf", "nlist = 20, nprobe = 4, code = pqfs, m = 16"),
    ("faissivf", "nlist = 20, nprobe = 4, code = rabitq, refine = flat"),
    ("faisshnsw", "m = 8, efConstruction = 32, efSearch = 20"),
    ("faisshnsw", "m = 8, efConstruction = 32, efSearch = 20, code = sqfp16"),
    ("faisshnsw", "m = 8, efConstruction = 32, efSearch = 20, code = sq8"),
];
const MODES: [&str; 2] = ["strict_order", "relaxed_order"];
/// Rows of a table.
const ROWS: usize = 1_800;
/// Rows beyond this one are those that nobody touches.
const STILL: i64 = 50_000_000;

fn run(client: &mut Client, sql: &str) {
    client.batch_execute(sql).unwrap_or_else(|e| panic!("{sql}: {}", describe(&e)));
}

fn ids(client: &mut Client, sql: &str) -> Vec<i64> {
    asked(client, sql).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

/// The rows that come, or why none does.
fn asked(client: &mut Client, sql: &str) -> Result<Vec<i64>, String> {
    let rows = client.query(sql, &[]).map_err(|e| shortened(&describe(&e)))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// What is asked of table `t`, and the rows that may come.
struct Question {
    what: &'static str,
    sql: String,
    /// Rows of the table that satisfy this may come.
    condition: String,
    /// How many of them come, if not all.
    count: Option<usize>,
}

fn questions(client: &mut Client, operator: &str, query: &str) -> Vec<Question> {
    let distance = format!("v {operator} {query}");
    let far =
        format!("SELECT percentile_disc(0.99) WITHIN GROUP (ORDER BY {distance})::text FROM t");
    let far = client.query_one(&far, &[]).unwrap_or_else(|e| panic!("{}", describe(&e)));
    let far = format!("{distance} >= '{}'::float8", far.get::<_, &str>(0));
    let n = client.query_one("SELECT count(*) FROM t", &[]).unwrap().get::<_, i64>(0) as usize;
    let ask = |what, select: &str, condition: &str, rest: String, count| Question {
        what,
        sql: format!("SELECT {select} FROM t WHERE {condition} {rest}"),
        condition: condition.to_owned(),
        count,
    };
    let by = format!("ORDER BY {distance}");
    let most = n - n / 10;
    vec![
        ask("no LIMIT", "id", "true", by.clone(), None),
        ask("a window", &format!("id, row_number() OVER ({by})"), "true", String::new(), None),
        ask("LIMIT of all rows", "id", "true", format!("{by} LIMIT {n}"), None),
        ask("LIMIT of half", "id", "true", format!("{by} LIMIT {}", n / 2), Some(n / 2)),
        ask("most rows, OFFSET", "id", "id % 10 <> 0", format!("{by} OFFSET 50"), Some(most - 50)),
        ask("few rows far away", "id", &far, by.clone(), None),
        ask("ten of few far away", "id", &far, format!("{by} LIMIT 10"), Some(10)),
    ]
}

/// What is wrong with the answer, if anything.
fn wrong(client: &mut Client, question: &Question) -> Option<String> {
    let possible = format!("SELECT id FROM t WHERE {}", question.condition);
    run(client, "SET enable_indexscan = off; SET enable_seqscan = on");
    let possible: BTreeSet<i64> = ids(client, &possible).into_iter().collect();
    by_index(client);
    let plan = match client.query(&format!("EXPLAIN {}", question.sql), &[]) {
        Ok(plan) => plan,
        Err(e) => return Some(shortened(&describe(&e))),
    };
    if !plan.iter().any(|row| row.get::<_, &str>(0).contains("Index Scan using t_v")) {
        return Some("the plan has no scan of the index".to_owned());
    }
    match asked(client, &question.sql) {
        Ok(came) => difference(&came, &possible, question.count),
        Err(e) => Some(e),
    }
}

fn by_index(client: &mut Client) {
    run(client, "SET enable_indexscan = on; SET enable_seqscan = off; SET enable_sort = off");
}

fn difference(came: &[i64], possible: &BTreeSet<i64>, count: Option<usize>) -> Option<String> {
    let expected = count.map_or(possible.len(), |count| count.min(possible.len()));
    let distinct: BTreeSet<i64> = came.iter().copied().collect();
    let strangers = distinct.difference(possible).count();
    let twice = came.len() - distinct.len();
    (came.len() != expected || twice > 0 || strangers > 0).then(|| {
        format!("{} rows of {expected}, {twice} of them twice, {strangers} wrong", came.len())
    })
}

/// All rows of a cursor, in pieces.
fn fetched(client: &mut Client, declare: &str) -> Result<Vec<i64>, String> {
    client.batch_execute(declare).map_err(|e| shortened(&describe(&e)))?;
    let mut came = Vec::new();
    for piece in [1, 7, 100].into_iter().chain(std::iter::repeat(500)) {
        let rows = asked(client, &format!("FETCH {piece} FROM c"))?;
        if rows.is_empty() {
            break;
        }
        came.extend(rows);
    }
    Ok(came)
}

/// The whole table through a cursor that is read in pieces.
fn through_a_cursor(client: &mut Client, operator: &str, query: &str) -> Option<String> {
    run(client, "SET enable_indexscan = off; SET enable_seqscan = on");
    let possible: BTreeSet<i64> = ids(client, "SELECT id FROM t").into_iter().collect();
    by_index(client);
    let declare = format!("DECLARE c CURSOR FOR SELECT id FROM t ORDER BY v {operator} {query}");
    run(client, "BEGIN");
    let came = fetched(client, &declare);
    run(client, "ROLLBACK");
    match came {
        Ok(came) => difference(&came, &possible, None),
        Err(e) => Some(e),
    }
}

/// Asks everything of one index; what is wrong goes to `failures`.
fn ask_everything(
    client: &mut Client,
    (operator, query): (&str, &str),
    when: &str,
    failures: &mut Vec<String>,
) {
    for mode in MODES {
        run(client, &format!("SET faiss.iterative_scan = {mode}"));
        for question in questions(client, operator, query) {
            if let Some(what) = wrong(client, &question) {
                failures.push(format!("{when}, {mode}, {}: {what}", question.what));
            }
        }
        if let Some(what) = through_a_cursor(client, operator, query) {
            failures.push(format!("{when}, {mode}, a cursor: {what}"));
        }
    }
}

fn fill(client: &mut Client, kind: &Kind) -> String {
    let table = kind.table(5, Some(ROWS), 1);
    checks::load(client, "raw", &table.rows);
    let column = format!("{}({})", kind.element, kind.dims);
    run(
        client,
        &format!(
            "DROP TABLE IF EXISTS t; CREATE TABLE t (id bigint PRIMARY KEY, seen int, v {column}) WITH (autovacuum_enabled = off);
             INSERT INTO t SELECT id, 0, v::{column} FROM raw ORDER BY id; DROP TABLE raw; ANALYZE t"
        ),
    );
    format!("{}::{}", checks::literal(table.queries.row(0)), kind.element)
}

fn complete_on(name: &str, table: &str) {
    let db = Database::new(name);
    let mut client = db.connect();
    let kind = KINDS.iter().find(|kind| kind.name == table);
    let kind = kind.unwrap_or_else(|| panic!("no kind of table is called {table}"));
    let mut failures = Vec::new();
    let query = fill(&mut client, kind);
    for (method, options) in INDEXES {
        let options = options.replace("m = 16", &format!("m = {}", kind.dims / 2));
        for (operator, class) in [("<->", "l2"), ("<#>", "ip")] {
            let element = kind.element;
            let create = format!(
                "CREATE INDEX t_v ON t USING {method} (v {element}_{class}_ops) WITH ({options})"
            );
            let when = format!("{method} {options}, {class}");
            match client.batch_execute(&create) {
                Ok(()) => ask_everything(&mut client, (operator, &query), &when, &mut failures),
                Err(e) => failures.push(format!("{when}: {}", shortened(&describe(&e)))),
            }
            run(&mut client, "DROP INDEX IF EXISTS t_v");
        }
    }
    none(failures);
}

fn none(failures: Vec<String>) {
    let shown: Vec<&str> = failures.iter().take(30).map(String::as_str).collect();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), shown.join("\n"));
}

#[test]
fn every_row_of_an_ordinary_table() {
    complete_on("complete_ordinary", "ordinary");
}

#[test]
fn every_row_of_few_distances() {
    complete_on("complete_one_hot", "one-hot");
}

#[test]
fn every_row_of_a_table_of_placeholders() {
    complete_on("complete_placeholders", "placeholders first");
}

#[test]
fn every_row_beside_rows_of_2e38() {
    complete_on("complete_2e38", "two rows of 2e38");
}

#[test]
fn every_row_of_duplicates() {
    complete_on("complete_duplicates", "duplicates in thousands");
}

/// Each row has six versions, five of them dead, and none was vacuumed.
#[test]
fn every_row_among_dead_versions() {
    let db = Database::new("complete_dead");
    let mut client = db.connect();
    let mut failures = Vec::new();
    for (method, options) in INDEXES {
        let query = fill(&mut client, &KINDS[0]);
        run(&mut client, &format!("CREATE INDEX t_v ON t USING {method} (v) WITH ({options})"));
        // An index on the counter: no update is heap-only.
        run(&mut client, "CREATE INDEX t_seen ON t (seen)");
        (0..5).for_each(|_| run(&mut client, "UPDATE t SET seen = seen + 1"));
        ask_everything(&mut client, ("<->", &query), &format!("{method} {options}"), &mut failures);
    }
    none(failures);
}

/// Rows that were there before and that nobody touches come once in every scan, while others are inserted, updated, deleted and
/// vacuumed away.
#[test]
fn every_row_that_nobody_touches() {
    let name = "complete_pressed";
    let db = Database::new(name);
    let mut client = db.connect();
    workload::install(&mut client);
    let mut random = Random::for_test(name, 31);
    let _watchdog = Watchdog::new(checks::shared(), Duration::from_secs(900));
    let mut failures = Vec::new();
    for kind in EACH {
        let (table, dims) = (kind.name, kinds::Kind::DIMS);
        Writer::create_table(&mut client, table, dims);
        run(
            &mut client,
            &format!(
                "INSERT INTO {table} SELECT {STILL} + i, 0, made(i, {dims}) FROM generate_series(1, 1500) i; {}",
                kind.create_index("")
            ),
        );
        let writer =
            |no, random: &mut Random| Writer::new(table, dims, no, 20, random).at_most(400);
        let writers = (0..2).map(|no| writer(no, &mut random)).collect();
        let beside = [vec![format!("VACUUM {table}"), "SELECT pg_sleep(0.05)".to_owned()]];
        let pressure = Pressure::start(checks::shared(), name, writers, &beside);
        let begin = Instant::now();
        let mut scans = 0;
        while scans < rounds(6) || begin.elapsed() < Duration::from_secs(2) {
            let mode = MODES[(scans % 2) as usize];
            by_index(&mut client);
            run(&mut client, &format!("SET faiss.iterative_scan = {mode}"));
            let sql =
                format!("SELECT id FROM {table} ORDER BY v <-> made({}, {dims})", -(scans as i64));
            let came = ids(&mut client, &sql);
            let distinct: BTreeSet<i64> = came.iter().copied().collect();
            let still = distinct.iter().filter(|id| **id > STILL).count();
            if still != 1500 || distinct.len() != came.len() {
                let twice = came.len() - distinct.len();
                failures.push(format!(
                    "{table}, {mode}: {still} rows of 1500 came, {twice} rows twice"
                ));
            }
            scans += 1;
        }
        pressure.end();
    }
    assert_never_crashed(checks::shared());
    none(failures);
}
