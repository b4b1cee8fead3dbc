//! What looks at every index of the catalog goes on while indexes are built, rebuilt and dropped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use checks::{Database, describe, workload};
use postgres::Client;

const ROUNDS: u64 = 60;

/// Each function that monitoring asks, of every index there is.
const EVERYTHING: [&str; 4] = [
    "SELECT count(i.bytes), count(*) FILTER (WHERE NOT i.is_valid) FROM pg_class c, faiss.index_info(c.oid) i",
    "SELECT count(l.ntotal), 0::bigint FROM pg_class c, faiss.list_info(c.oid) l",
    "SELECT count(h.advice), 0::bigint FROM pg_class c, faiss.health(c.oid) h",
    "SELECT count(p.problem), count(p.problem) FROM pg_class c, faiss.check(c.oid) p",
];
const OURS: &str = "WHERE c.relam IN (SELECT oid FROM pg_am WHERE amname LIKE 'faiss%')";

fn run(client: &mut Client, statement: &str) {
    client.batch_execute(statement).unwrap_or_else(|e| panic!("{statement}: {}", describe(&e)));
}

#[test]
fn every_index_can_be_asked_at_any_time() {
    let db = Database::new("monitoring");
    let (mut monitor, mut builder, mut dropper) = (db.connect(), db.connect(), db.connect());
    workload::install(&mut monitor);
    run(
        &mut monitor,
        "SET client_min_messages = warning;
         CREATE TABLE t (id bigint, v vector(16));
         INSERT INTO t SELECT i, made(i, 16) FROM generate_series(1, 2000) i;
         CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 10);
         CREATE INDEX t_g ON t USING faisshnsw (v);
         CREATE TABLE p (v vector(16)) PARTITION BY RANGE (v);
         CREATE INDEX p_v ON p USING faissivf (v)",
    );
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                run(&mut builder, "REINDEX INDEX CONCURRENTLY t_v");
                run(
                    &mut builder,
                    "CREATE INDEX CONCURRENTLY t_c ON t USING faissflat (v) WITH (code = sq8)",
                );
                run(&mut builder, "REINDEX INDEX CONCURRENTLY t_g");
                run(&mut builder, "DROP INDEX CONCURRENTLY t_c");
            }
        });
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                run(
                    &mut dropper,
                    "CREATE TABLE u AS SELECT * FROM t LIMIT 100;
                     CREATE INDEX u_v ON u USING faissivf (v) WITH (nlist = 3);
                     CREATE TEMP TABLE mine AS SELECT * FROM u;
                     CREATE INDEX ON mine USING faissivf (v) WITH (nlist = 3)",
                );
                run(&mut dropper, "DROP TABLE mine, u");
            }
        });
        let outcome = monitored(&mut monitor);
        is_over.store(true, Ordering::Relaxed);
        outcome.unwrap_or_else(|e| panic!("{}", describe(&e)));
    });
}

fn monitored(client: &mut Client) -> Result<(), postgres::Error> {
    for _ in 0..checks::rounds(ROUNDS) {
        for (i, query) in EVERYTHING.into_iter().enumerate() {
            let row = client.query_one(&format!("{query} {OURS}"), &[])?;
            let (n, problems): (i64, i64) = (row.get(0), row.get(1));
            assert!(i == 3 || n > 0, "{query}: nothing");
            assert!(i != 3 || problems == 0, "{problems} problems");
        }
    }
    Ok(())
}
