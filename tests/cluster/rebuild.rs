//! Lists that are built anew in place: beside sessions that write and read, under cursors that were opened before, killed half
//! way, and on a standby. The same at random, for every kind of index, is in `tests/torture`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use checks::kinds;
use checks::random::Random;
use checks::watch::{Watchdog, assert_never_crashed};
use checks::workload::{self, Writer};
use checks::{Database, create_database, describe, rounds};
use postgres::{Client, IsolationLevel};
use xtask::cluster::Cluster;

const DATABASE: &str = "rebuild";
const DIMS: usize = 24;

/// A server on which every VACUUM builds lists anew.
fn server() -> Cluster {
    let server = checks::cluster()
        .set("faiss.debug_rebuild", "on")
        .set("faiss.training_rows", "100")
        .set("max_standby_streaming_delay", "-1")
        .set("autovacuum", "off")
        .set("shared_buffers", "4MB");
    server.start().unwrap()
}

/// A table of which all indexes were made before its rows.
fn prepare(cluster: &Cluster) -> Client {
    create_database(cluster, DATABASE);
    let mut client = cluster.connect(DATABASE).unwrap();
    workload::install(&mut client);
    Writer::create_table(&mut client, "t", DIMS);
    kinds::create(&mut client, "t", DIMS, 12);
    client
}

fn is_trained(client: &mut Client, index: &str) -> bool {
    let sql = format!("SELECT is_trained FROM faiss.index_info('{index}')");
    client.query_one(&sql, &[]).unwrap().get(0)
}

/// Inserts train the lists, VACUUM after VACUUM replaces them, and sessions that write and read beside notice nothing.
#[test]
fn sessions_beside_rebuilds() {
    let mut random = Random::for_test("sessions_beside_rebuilds", 71);
    let cluster = server();
    let _watchdog = Watchdog::new(&cluster, Duration::from_secs(600 * rounds(1)));
    let mut client = prepare(&cluster);
    let standby = cluster.standby().unwrap();
    let queries = workload::queries(&mut client, DIMS, 2);
    let done = AtomicBool::new(false);
    let mut writers: Vec<Writer> =
        (0..2).map(|no| Writer::new("t", DIMS, no, 40, &mut random).at_most(1500)).collect();
    thread::scope(|scope| {
        let writing: Vec<_> = writers
            .iter_mut()
            .map(|writer| {
                let (mut client, done) = (cluster.connect(DATABASE).unwrap(), &done);
                scope.spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        writer.step(&mut client).unwrap_or_else(|e| panic!("{}", describe(&e)));
                    }
                })
            })
            .collect();
        for server in [&cluster, &standby] {
            for index in kinds::of("t") {
                let (mut client, done) = (server.connect(DATABASE).unwrap(), &done);
                let queries = &queries;
                scope.spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        let differ = index.compare(&mut client, queries);
                        let differ = differ.unwrap_or_else(|e| panic!("{}", describe(&e)));
                        assert_eq!(differ, None, "{}", index.index);
                    }
                });
            }
        }
        let vacuum = |client: &mut Client| {
            thread::sleep(Duration::from_millis(100));
            client.batch_execute("VACUUM t")
        };
        let outcome: Result<(), postgres::Error> =
            (0..rounds(12)).try_for_each(|_| vacuum(&mut client));
        // The others end also if this one failed.
        done.store(true, Ordering::Relaxed);
        outcome.unwrap_or_else(|e| panic!("{}", describe(&e)));
        writing.into_iter().for_each(|writer| writer.join().unwrap());
    });
    kinds::assert_fine(&mut client, "t", &queries);
    assert!(is_trained(&mut client, "t_v") && is_trained(&mut client, "t_fs"));
    cluster.wait_for_replay(&standby).unwrap();
    kinds::assert_fine(&mut standby.connect(DATABASE).unwrap(), "t", &queries);
    assert_never_crashed(&standby);
}

/// A snapshot of a standby sees rows that no snapshot of the primary needs any more: a rebuild leaves them out, so its lists
/// reach the standby once nobody looks at it with such a snapshot.
#[test]
fn rows_that_only_a_standby_sees() {
    let cluster = server();
    let _watchdog = Watchdog::new(&cluster, Duration::from_secs(600));
    let mut client = prepare(&cluster);
    let mut writer = Writer::new("t", DIMS, 0, 40, &mut Random::new(73));
    writer.insert(&mut client, 570).unwrap();
    // The pages from before the training, which nobody on the standby stands on, do not make replay wait.
    writer.insert(&mut client, 1).unwrap();
    let standby = cluster.standby().unwrap();
    cluster.wait_for_replay(&standby).unwrap();
    let queries = workload::queries(&mut client, DIMS, 2);
    let mut reading = standby.connect(DATABASE).unwrap();
    let isolation = IsolationLevel::RepeatableRead;
    let mut transaction = reading.build_transaction().isolation_level(isolation).start().unwrap();
    transaction.batch_execute("SELECT count(*) FROM t").unwrap();
    // Neither VACUUM nor a full page, whose dead rows any reader removes: both make replay wait by themselves.
    client.batch_execute("DELETE FROM t WHERE id > (SELECT max(id) - 5 FROM t)").unwrap();
    for index in ["t_v", "t_fs", "t_rb"] {
        let sql = format!("SELECT rebuilt FROM faiss.maintain('{index}')");
        assert!(client.query_one(&sql, &[]).unwrap().get::<_, bool>(0), "{index}");
    }
    // Time for replay to go as far as it can.
    for _ in 0..10 {
        for index in kinds::of("t") {
            let differ = index.compare_in(&mut transaction, &queries).unwrap();
            assert_eq!(differ, None, "{}", index.index);
        }
        thread::sleep(Duration::from_millis(100));
    }
    transaction.commit().unwrap();
    cluster.wait_for_replay(&standby).unwrap();
    kinds::assert_fine(&mut reading, "t", &queries);
}

/// A killed rebuild leaves the lists as they were, or new ones, and what it had written is used again.
#[test]
fn killed_during_a_rebuild() {
    let mut random = Random::for_test("killed_during_a_rebuild", 72);
    let mut cluster = server();
    let _watchdog = Watchdog::new(&cluster, Duration::from_secs(600 * rounds(1)));
    let mut client = prepare(&cluster);
    let mut writer = Writer::new("t", DIMS, 0, 40, &mut random);
    writer.insert(&mut client, 3000).unwrap();
    let queries = workload::queries(&mut client, DIMS, 2);
    let size = |client: &mut Client| -> i64 {
        client.query_one("SELECT pg_relation_size('t_v')", &[]).unwrap().get(0)
    };
    client.batch_execute("VACUUM t").unwrap();
    let at_first = size(&mut client);
    for _ in 0..rounds(12) {
        let vacuum = checks::pressure::Maintenance::start(&cluster, DATABASE, &["VACUUM t"]);
        thread::sleep(Duration::from_millis(20 + random.below(200)));
        cluster.crash().unwrap();
        cluster.start().unwrap();
        vacuum.end();
        let mut client = cluster.connect(DATABASE).unwrap();
        writer.insert(&mut client, 3).unwrap();
        kinds::assert_fine(&mut client, "t", &queries);
    }
    let mut client = cluster.connect(DATABASE).unwrap();
    for _ in 0..4 {
        client.batch_execute("SELECT txid_current()").unwrap();
        client.batch_execute("VACUUM t").unwrap();
    }
    kinds::assert_fine(&mut client, "t", &queries);
    let at_last = size(&mut client);
    assert!(at_last < 4 * at_first, "{at_first} bytes became {at_last}");
}

/// A cursor goes on over the lists that it began with; their pages are free once it is closed, and not before.
#[test]
fn a_cursor_opened_before_a_rebuild() {
    let db = Database::new("cursor_and_rebuild");
    let (mut reading, mut writing) = (db.connect(), db.connect());
    workload::install(&mut writing);
    writing
        .batch_execute(
            "CREATE TABLE t (id bigint, v vector(16)) WITH (autovacuum_enabled = off);
             INSERT INTO t SELECT i, made(i, 16) FROM generate_series(1, 3000) i;
             CREATE INDEX i ON t USING faissivf (v) WITH (nlist = 20);
             SET faiss.debug_rebuild = on; SET faiss.training_rows = 100",
        )
        .unwrap();
    reading
        .batch_execute(
            "SET enable_seqscan = off; SET enable_sort = off; SET faiss.nprobe = 1; BEGIN;
             DECLARE c CURSOR FOR SELECT id FROM t ORDER BY v <-> (SELECT v FROM t WHERE id = 7)",
        )
        .unwrap();
    let mut ids: Vec<i64> = Vec::new();
    let mut fetch = |reading: &mut Client, n: u32| {
        let rows = reading.query(&format!("FETCH {n} FROM c"), &[]).unwrap();
        ids.extend(rows.iter().map(|row| row.get::<_, i64>(0)));
    };
    let freed = |writing: &mut Client| -> i64 {
        writing.query_one("SELECT pages_freed FROM faiss.maintain('i')", &[]).unwrap().get(0)
    };
    fetch(&mut reading, 5);
    for _ in 0..3 {
        for sql in ["DELETE FROM t WHERE id % 10 = 0", "VACUUM t"] {
            writing.batch_execute(sql).unwrap();
        }
        assert_eq!(freed(&mut writing), 0);
        writing
            .batch_execute("INSERT INTO t SELECT i, made(i, 16) FROM generate_series(4001, 4500) i")
            .unwrap();
        fetch(&mut reading, 500);
    }
    fetch(&mut reading, 5000);
    ids.sort_unstable();
    assert_eq!(ids, (1..=3000).collect::<Vec<i64>>());
    reading.batch_execute("COMMIT").unwrap();
    writing.batch_execute("SELECT txid_current()").unwrap();
    assert!(freed(&mut writing) > 0);
    let problems = writing.query("SELECT * FROM faiss.check('i')", &[]).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
}
