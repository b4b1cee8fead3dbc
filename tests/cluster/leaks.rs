//! Ten thousand rescans, and as many aborted transactions, in one session: its memory does not grow.

use std::fs;

use checks::kinds::{EACH, Kind};
use checks::{Database, describe, shared, workload};
use postgres::Client;

/// How often everything is done before memory is looked at first, and then until it is looked at again.
const WARM: u32 = 1000;
const TIMES: u32 = 10_000;
/// What may come on top: the server's caches, and what its allocator keeps.
const CONTEXTS_MAX: i64 = 256 << 10;
const RESIDENT_MAX: i64 = 2 << 20;

/// Bytes in the server's memory contexts, and bytes of the process that belong to nobody else.
fn memory(client: &mut Client) -> (i64, i64) {
    let sql = "SELECT sum(total_bytes)::bigint, pg_backend_pid() FROM pg_backend_memory_contexts";
    let row = client.query_one(sql, &[]).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", row.get::<_, i32>(1))).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    let kilobytes: i64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    (row.get(0), kilobytes << 10)
}

fn run(client: &mut Client, statement: &str) {
    client.batch_execute(statement).unwrap_or_else(|e| panic!("{statement}: {}", describe(&e)));
}

/// A session on a database with an index of each kind.
fn session(name: &str) -> (Database, Client) {
    let db = Database::new(name);
    let mut client = db.connect();
    workload::install(&mut client);
    for kind in EACH {
        kind.create_table(&mut client, 400);
        run(&mut client, &kind.create_index(""));
    }
    run(&mut client, "SET enable_seqscan = off; SET enable_sort = off; SET jit = off");
    (db, client)
}

/// Does `what` with a number of times, and fails if memory grows by it.
fn assert_steady(client: &mut Client, what: &str, mut work: impl FnMut(&mut Client, u32)) {
    work(client, WARM);
    let before = memory(client);
    work(client, TIMES);
    let after = memory(client);
    let (contexts, resident) = (after.0 - before.0, after.1 - before.1);
    eprintln!("{what}: {contexts} bytes in contexts, {} kB resident", resident >> 10);
    assert!(contexts <= CONTEXTS_MAX, "{what}: {contexts} bytes more in memory contexts");
    assert!(resident <= RESIDENT_MAX, "{what}: {resident} bytes more in the process");
}

/// The inner side of a nested loop, looked at before its query ends.
#[test]
fn rescans_take_no_memory() {
    let (_db, mut client) = session("rescans");
    for kind in EACH {
        let name = kind.name;
        // A new query each time, so that nothing is kept from one to the next.
        let sql = format!(
            "DECLARE c CURSOR FOR SELECT q.i, n.id FROM generate_series(1, {}) q(i),
             LATERAL (SELECT id FROM {name} ORDER BY v <-> array_fill((q.i % 97)::real, ARRAY[{}])::vector LIMIT 1) n",
            2 * (WARM + TIMES),
            Kind::DIMS
        );
        run(&mut client, &format!("BEGIN; {sql}"));
        assert_steady(&mut client, &format!("{name}: rescans"), |client, times| {
            run(client, &format!("MOVE {times} FROM c"));
        });
        run(&mut client, "COMMIT");
    }
}

/// Subtransactions that an error ends in the middle of a scan, of a batch, of an insert or of a build.
#[test]
fn aborted_subtransactions_take_no_memory() {
    let (_db, mut client) = session("subtransactions");
    for kind in EACH {
        let name = kind.name;
        let failing = [
            // The first row is there, the scan is open.
            (
                1,
                format!(
                    "PERFORM 1 / (id - id) FROM (SELECT id FROM {name} ORDER BY v <-> q LIMIT 3) s"
                ),
            ),
            (1, format!("PERFORM id FROM {name} ORDER BY v <-> '[1,2]'::vector LIMIT 1")),
            (
                2,
                format!(
                    "PERFORM 1 / (query_no - query_no) FROM faiss.search('{name}_v', ARRAY[q], 3)"
                ),
            ),
            (2, format!("PERFORM FROM faiss.search('{name}_v', ARRAY['[1,2]'::vector], 3)")),
            (10, format!("INSERT INTO {name} VALUES (0, q); PERFORM 1 / 0")),
            (
                100,
                format!(
                    "PERFORM 1 / (n_queries - n_queries) FROM faiss.recall('{name}_v', queries => 5)"
                ),
            ),
            (200, format!("DROP INDEX {name}_v; {}; PERFORM 1 / 0", kind.create_index(""))),
        ];
        for (share, statement) in failing {
            let what = format!("{name}: {statement}");
            assert_steady(&mut client, &what, |client, times| {
                let block = format!(
                    "DO $do$ DECLARE q vector := array_fill(3::real, ARRAY[{}])::vector; BEGIN
                     FOR i IN 1 .. {} LOOP
                         BEGIN {statement}; EXCEPTION WHEN division_by_zero OR data_exception THEN NULL; END;
                     END LOOP; END $do$",
                    Kind::DIMS,
                    times / share
                );
                run(client, &block);
            });
        }
        kind.indexed().assert_sound(&mut client);
    }
}

/// The same with transactions of their own.
#[test]
fn aborted_transactions_take_no_memory() {
    let (_db, mut client) = session("transactions");
    let queries = workload::queries(&mut client, Kind::DIMS, 1);
    for kind in EACH {
        let name = kind.name;
        let scan = format!(
            "SELECT 1 / (id - id) FROM (SELECT id FROM {name} ORDER BY v <-> {} LIMIT 3) s",
            queries[0]
        );
        assert_steady(&mut client, &format!("{name}: transactions"), |client, times| {
            for i in 0..times / EACH.len() as u32 {
                let statement = match i % 3 {
                    0 => scan.clone(),
                    1 => format!("INSERT INTO {name} VALUES (0, '[1,2]')"),
                    _ => format!(
                        "BEGIN; DECLARE c CURSOR FOR SELECT id FROM {name} ORDER BY v <-> {}; MOVE 3 FROM c; SELECT 1 / 0",
                        queries[0]
                    ),
                };
                let refused = client.batch_execute(&statement).expect_err("an error");
                let code = refused.code().map(|c| c.code());
                assert!(matches!(code, Some("22012" | "22000")), "{}", describe(&refused));
                run(client, "ROLLBACK");
            }
        });
    }
    assert!(shared().pid().is_some());
}
