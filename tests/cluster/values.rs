//! Whatever the types accept, to the largest finite value and the smallest above zero: models are trained of it, indexes built,
//! searched, checked and inserted into, and nothing is called damaged.

use checks::{Database, describe, shortened};
use postgres::Client;

/// What two rows of otherwise ordinary tables hold.
const VALUES: [&str; 5] = ["1e20", "-1e20", "2e38", "3.4e38", "1e-40"];
const FACTORIES: [&str; 6] = [
    "IVF16,Flat",
    "IVF16,SQ8",
    "IVF16,SQfp16",
    "IVF16,PQ4x4fs,Refine(SQ8)",
    "RR,IVF16,RaBitQ",
    "OPQ4,IVF16,PQ4",
];
const METRICS: [(&str, &str, &str); 3] =
    [("l2", "l2", "<->"), ("inner_product", "ip", "<#>"), ("cosine", "cosine", "<=>")];
/// What an index of such values may answer with besides rows: too large for single precision is not a fault of the disk.
const DAMAGED: [&str; 3] = ["XX000", "XX001", "XX002"];

fn run(client: &mut Client, sql: &str) {
    client.batch_execute(sql).unwrap_or_else(|e| panic!("{sql}: {}", describe(&e)));
}

fn database(name: &str) -> (Database, Client) {
    let db = Database::new(name);
    let mut client = db.connect();
    run(
        &mut client,
        "CREATE TABLE t (id int PRIMARY KEY, v vector(8)); SELECT setseed(0.5);
         INSERT INTO t SELECT i, array(SELECT random() * 2 - 1 + 0 * i FROM generate_series(1, 8))::vector
             FROM generate_series(1, 2000) i",
    );
    (db, client)
}

/// Two rows, one of a value in every component and one of its negative.
fn odd_rows(client: &mut Client, value: &str) {
    run(
        client,
        &format!(
            "DELETE FROM t WHERE id < 0;
             INSERT INTO t SELECT -i, array_fill({value}::float8 * (-1) ^ i, ARRAY[8])::real[]::vector FROM generate_series(1, 2) i"
        ),
    );
}

/// Runs a statement; if it fails, that goes to `failures`, with `what`.
fn attempt(client: &mut Client, what: &str, sql: &str, failures: &mut Vec<String>) -> bool {
    match client.batch_execute(sql) {
        Ok(()) => true,
        Err(e) => {
            failures.push(format!("{what}: {sql}: {}", shortened(&describe(&e))));
            false
        }
    }
}

fn none(failures: Vec<String>) {
    let shown = failures.iter().take(30).map(String::as_str).collect::<Vec<_>>();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), shown.join("\n"));
}

/// A model is trained of what the table holds, and an index is built from it.
#[test]
fn models_of_any_finite_values() {
    let (_db, mut client) = database("values_models");
    let mut failures = Vec::new();
    for value in VALUES {
        odd_rows(&mut client, value);
        for (factory, (metric, class, _)) in FACTORIES.iter().flat_map(|f| METRICS.map(|m| (f, m)))
        {
            let what = format!("{value} {factory} {metric}");
            let train =
                format!("SELECT faiss.train('m', 't', 'v', '{factory}', metric => '{metric}')");
            if attempt(&mut client, &what, &train, &mut failures) {
                let create = format!(
                    "CREATE INDEX t_v ON t USING faissivf (v vector_{class}_ops) WITH (model = m)"
                );
                attempt(&mut client, &what, &create, &mut failures);
                run(&mut client, "DROP INDEX IF EXISTS t_v; SELECT faiss.drop_model('m')");
            }
        }
    }
    none(failures);
}

/// An index is built, checked, inserted into and searched; ordinary rows are found, the odd ones too.
fn lives(
    client: &mut Client,
    what: &str,
    create: &str,
    operator: &str,
    failures: &mut Vec<String>,
) {
    if !attempt(client, what, create, failures) {
        return;
    }
    attempt(client, what, "INSERT INTO t VALUES (10001, '[1,2,3,4,5,6,7,8]')", failures);
    run(client, "SET enable_seqscan = off; SET enable_sort = off");
    let sql = format!("SELECT id FROM t ORDER BY v {operator} '[1,2,3,4,5,6,7,8]' LIMIT 1");
    attempt(client, what, &sql, failures);
    // Under cosine a vector whose squares vanish has no direction, so it may be absent.
    let sql = format!(
        "SELECT count(*) FROM (SELECT id FROM t WHERE id > 0 ORDER BY v {operator} '[1,2,3,4,5,6,7,8]') x"
    );
    match client.query_one(&sql, &[]) {
        Ok(row) if row.get::<_, i64>(0) == 2_001 => {}
        Ok(row) => failures.push(format!("{what}: {} rows of 2001", row.get::<_, i64>(0))),
        Err(e) => failures.push(format!("{what}: {}", shortened(&describe(&e)))),
    }
    for sql in [
        "SELECT faiss.index_info('t_v')",
        "SELECT faiss.health('t_v')",
        "SELECT faiss.recall('t_v')",
    ] {
        attempt(client, what, sql, failures);
    }
    match client.query("SELECT problem FROM faiss.check('t_v')", &[]) {
        Ok(rows) => failures
            .extend(rows.first().map(|row| format!("{what}: check: {}", row.get::<_, &str>(0)))),
        Err(e) => failures.push(format!("{what}: check: {}", shortened(&describe(&e)))),
    }
    attempt(client, what, "DELETE FROM t WHERE id = 10001", failures);
    attempt(client, what, "VACUUM t", failures);
    run(client, "DROP INDEX IF EXISTS t_v; DELETE FROM t WHERE id = 10001");
}

#[test]
fn lists_of_any_finite_values() {
    let (_db, mut client) = database("values_lists");
    let mut failures = Vec::new();
    for value in VALUES {
        odd_rows(&mut client, value);
        for (factory, (_, class, operator)) in
            FACTORIES.iter().flat_map(|f| METRICS.map(|m| (f, m)))
        {
            let create = format!(
                "CREATE INDEX t_v ON t USING faissivf (v vector_{class}_ops) WITH (factory = '{factory}')"
            );
            lives(
                &mut client,
                &format!("{value} {factory} {class}"),
                &create,
                operator,
                &mut failures,
            );
        }
    }
    none(failures);
}

#[test]
fn graphs_of_any_finite_values() {
    let (_db, mut client) = database("values_graphs");
    let mut failures = Vec::new();
    for value in VALUES {
        odd_rows(&mut client, value);
        let metrics = METRICS.into_iter().chain([("l1", "l1", "<+>")]);
        for (code, (_, class, operator)) in
            metrics.flat_map(|m| ["flat", "sqfp16", "sq8"].map(|c| (c, m)))
        {
            let create = format!(
                "CREATE INDEX t_v ON t USING faisshnsw (v vector_{class}_ops) WITH (m = 8, efConstruction = 32, code = {code})"
            );
            lives(
                &mut client,
                &format!("{value} graph {code} {class}"),
                &create,
                operator,
                &mut failures,
            );
        }
    }
    none(failures);
}

/// An index that was there first takes the odd rows, and whatever fails is no damage.
#[test]
fn odd_rows_into_a_sound_index() {
    let (_db, mut client) = database("values_inserted");
    let mut failures = Vec::new();
    for create in [
        "USING faissivf (v vector_cosine_ops) WITH (factory = 'IVF16,PQ4x4fs,Refine(SQ8)')",
        "USING faissivf (v) WITH (factory = 'IVF16,SQ8')",
        "USING faissivf (v vector_ip_ops) WITH (factory = 'RR,IVF16,RaBitQ4')",
        "USING faissflat (v) WITH (factory = 'SQfp16')",
        "USING faisshnsw (v)",
    ] {
        run(&mut client, "DELETE FROM t WHERE id < 0");
        run(&mut client, &format!("CREATE INDEX t_v ON t {create}"));
        for value in VALUES {
            let insert = format!(
                "INSERT INTO t SELECT -1 - count(*), array_fill({value}, ARRAY[8])::real[]::vector FROM t WHERE id < 0"
            );
            if let Err(e) = client.batch_execute(&insert) {
                let code = e.code().map_or("", |code| code.code()).to_owned();
                let kind =
                    if DAMAGED.contains(&code.as_str()) { "called damaged" } else { "refused" };
                failures.push(format!("{create}: {value} is {kind}: {}", shortened(&describe(&e))));
            }
        }
        let broken = client.query("SELECT problem FROM faiss.check('t_v')", &[]);
        let broken = broken.unwrap_or_else(|e| panic!("{create}: {}", describe(&e)));
        failures.extend(broken.first().map(|row| format!("{create}: {}", row.get::<_, &str>(0))));
        run(&mut client, "DROP INDEX t_v");
    }
    none(failures);
}
