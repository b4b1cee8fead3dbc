//! What PostgreSQL does to indexes besides: dump and restore, DROP EXTENSION, tablespaces,
//! partitions, temporary tables, cancelled builds, builds in little memory.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use checks::agreement::Indexed;
use checks::kinds;
use checks::{Database, create_database, describe, shared, workload};
use postgres::{Client, NoTls};

const FILL: &str = "
    CREATE TABLE t (id bigint, v vector(16));
    INSERT INTO t SELECT i, made(i, 16) FROM generate_series(1, 1000) i";

/// A database with table `t` and its indexes.
fn filled(name: &str) -> (Database, Client, Vec<String>) {
    let db = Database::new(name);
    let mut client = db.connect();
    workload::install(&mut client);
    run(&mut client, FILL);
    kinds::create(&mut client, "t", 16, 10);
    let queries = workload::queries(&mut client, 16, 3);
    (db, client, queries)
}

fn run(client: &mut Client, statement: &str) {
    client.batch_execute(statement).unwrap_or_else(|e| panic!("{statement}: {}", describe(&e)));
}

fn fine(client: &mut Client, queries: &[String]) {
    kinds::assert_fine(client, "t", queries);
}

#[test]
fn dump_and_restore() {
    let (_db, mut client, queries) = filled("dumped");
    run(
        &mut client,
        "ALTER INDEX t_v SET (nprobe = 7);
         CREATE INDEX t_half ON t USING faissivf ((v::halfvec(16)) halfvec_ip_ops)
             WITH (factory = 'IVF5,Flat') WHERE id > 500;
         CREATE TABLE h AS SELECT id, v::halfvec(16) AS v FROM t;
         CREATE INDEX h_v ON h USING faissivf (v halfvec_cosine_ops)",
    );
    let cluster = shared();
    run(&mut cluster.connect("postgres").unwrap(), "CREATE DATABASE restored");
    let dump = cluster.tool("pg_dump").args(["-d", &cluster.conninfo("dumped")]).output().unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let mut psql = cluster.psql("restored");
    psql.args(["-q", "-v", "ON_ERROR_STOP=1"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = psql.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&dump.stdout).unwrap();
    assert!(child.wait().unwrap().success(), "psql could not restore the dump");
    let mut restored = cluster.connect("restored").unwrap();
    fine(&mut restored, &queries);
    let definitions = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1";
    let of = |client: &mut Client| -> Vec<String> {
        client.query(definitions, &[]).unwrap().iter().map(|row| row.get(0)).collect()
    };
    assert_eq!(of(&mut client), of(&mut restored));
    assert_eq!(of(&mut client).len(), 6);
}

#[test]
fn the_extension_goes_and_comes_back() {
    let (_db, mut client, queries) = filled("dropped");
    let refused = client.batch_execute("DROP EXTENSION pgfaiss").unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "2BP01");
    fine(&mut client, &queries);
    run(&mut client, "DROP EXTENSION pgfaiss CASCADE");
    let left = "SELECT count(*) FROM pg_am WHERE amname = 'faissivf'";
    assert_eq!(client.query_one(left, &[]).unwrap().get::<_, i64>(0), 0);
    // The types are those of another extension: the table is what it was.
    run(&mut client, "CREATE EXTENSION pgfaiss");
    kinds::create(&mut client, "t", 16, 10);
    fine(&mut client, &queries);
}

#[test]
fn a_temporary_table() {
    let (_db, mut client, queries) = filled("temporary");
    run(
        &mut client,
        "CREATE TEMP TABLE mine (id bigint, v vector(16));
         CREATE INDEX mine_v ON mine USING faissivf (v);
         INSERT INTO mine SELECT * FROM t WHERE id <= 300;
         REINDEX INDEX mine_v;
         DELETE FROM mine WHERE id % 2 = 0;
         INSERT INTO mine SELECT id, v FROM t WHERE id > 700",
    );
    run(&mut client, "VACUUM mine");
    let mine = Indexed::l2("mine");
    mine.assert_sound(&mut client);
    mine.assert_exact(&mut client, &queries);
}

#[test]
fn another_tablespace() {
    let (_db, mut client, queries) = filled("tablespace");
    let dir = shared().dir().join("space");
    fs::create_dir_all(&dir).unwrap();
    shared().account().own(&dir).unwrap();
    run(&mut client, &format!("CREATE TABLESPACE elsewhere LOCATION '{}'", dir.display()));
    for space in ["elsewhere", "pg_default"] {
        for index in kinds::of("t") {
            run(&mut client, &format!("ALTER INDEX {} SET TABLESPACE {space}", index.index));
        }
        fine(&mut client, &queries);
        run(&mut client, "INSERT INTO t SELECT id + 10000, v FROM t WHERE id <= 100");
        fine(&mut client, &queries);
    }
    run(&mut client, "ALTER TABLE t SET UNLOGGED");
    fine(&mut client, &queries);
    run(&mut client, "ALTER TABLE t SET LOGGED");
    fine(&mut client, &queries);
    // A table that moves takes its index along; the index is built anew.
    run(&mut client, "ALTER TABLE t SET TABLESPACE elsewhere");
    run(&mut client, "CLUSTER");
    run(&mut client, "VACUUM FULL t");
    fine(&mut client, &queries);
}

#[test]
fn a_partitioned_table() {
    let (_db, mut client, queries) = filled("partitioned");
    run(
        &mut client,
        "CREATE TABLE p (id bigint, v vector(16)) PARTITION BY RANGE (id);
         CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (400);
         CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (400) TO (2000);
         INSERT INTO p SELECT * FROM t WHERE id < 700;
         CREATE INDEX p_v ON p USING faissivf (v);
         CREATE TABLE p3 (id bigint, v vector(16));
         INSERT INTO p3 SELECT id + 2000, v FROM t;
         ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (2000) TO (9000);
         INSERT INTO p SELECT * FROM t WHERE id >= 700",
    );
    let info = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'p_v'::regclass";
    assert_eq!(client.query_one(info, &[]).unwrap().get::<_, i64>(0), 3);
    for (partition, index) in [("p1", "p1_v_idx"), ("p2", "p2_v_idx"), ("p3", "p3_v_idx")] {
        let part = Indexed { index: index.to_owned(), ..Indexed::l2(partition) };
        part.assert_sound(&mut client);
        part.assert_exact(&mut client, &queries);
    }
    // The whole: the partitions' scans are merged in order.
    run(&mut client, "SET enable_seqscan = off; SET enable_sort = off; SET faiss.nprobe = 64");
    let sql = format!("SELECT id, v <-> {0} FROM p ORDER BY v <-> {0}", queries[0]);
    let plan = client.query(&format!("EXPLAIN (COSTS OFF) {sql}"), &[]).unwrap();
    let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
    assert!(plan[0].contains("Merge Append"), "{plan:?}");
    let merged = client.query(&sql, &[]).unwrap();
    assert_eq!(merged.len(), 2000);
    assert!(merged.is_sorted_by_key(|row| row.get::<_, f64>(1)));
}

/// The index's own default takes effect at the next query, the setting of a session wins over it.
#[test]
fn nprobe_of_an_index() {
    let (_db, mut client, queries) = filled("nprobe");
    run(&mut client, "SET enable_seqscan = off; SET faiss.iterative_scan = off");
    let sql = format!("SELECT id FROM t ORDER BY v <-> {}", queries[0]);
    let statement = client.prepare(&sql).unwrap();
    let mut other = shared().connect("nprobe").unwrap();
    let mut count = |change: &str| {
        run(&mut other, change);
        client.query(&statement, &[]).unwrap().len()
    };
    let one = count("ALTER INDEX t_v SET (nprobe = 1)");
    let three = count("ALTER INDEX t_v SET (nprobe = 3)");
    let all = count("ALTER INDEX t_v SET (nprobe = 10)");
    assert!(0 < one && one < three && three < all && all == 1000, "{one}, {three}, {all} rows");
    let again = count("ALTER INDEX t_v SET (nprobe = 1)");
    assert_eq!(again, one);
    run(&mut client, "SET faiss.nprobe = 3");
    assert_eq!(client.query(&statement, &[]).unwrap().len(), three);
}

/// Cancelled in each phase by another session; then the session goes on, and no index is there.
#[test]
fn cancelled_builds() {
    let db = Database::new("cancelled");
    let mut client = db.connect();
    workload::install(&mut client);
    run(
        &mut client,
        "CREATE TABLE t (id bigint, v vector(200));
         INSERT INTO t SELECT i, made(i, 200) FROM generate_series(1, 15000) i",
    );
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let create = "CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 400)";
    for phase in ["sampling rows", "k-means iteration 2", "assigning rows", "writing pages"] {
        cancelled_in(&mut client, &db, pid, create, phase);
        let indexes = "SELECT count(*) FROM pg_class WHERE relname = 't_v'";
        assert_eq!(client.query_one(indexes, &[]).unwrap().get::<_, i64>(0), 0, "{phase}");
    }
    // A statement's timeout takes the same road.
    run(&mut client, "SET statement_timeout = 30");
    let error = client.batch_execute(create).unwrap_err();
    assert_eq!(error.code().unwrap().code(), "57014", "{}", describe(&error));
    run(&mut client, "SET statement_timeout = 0");
    run(&mut client, "DELETE FROM t WHERE id > 5000; CREATE TABLE few AS SELECT * FROM t");
    run(&mut client, "DROP TABLE t; ALTER TABLE few RENAME TO t");
    run(&mut client, "ALTER TABLE t ALTER v TYPE vector(200)");
    kinds::create(&mut client, "t", 200, 20);
    let queries = workload::queries(&mut client, 200, 1);
    fine(&mut client, &queries);
}

/// Builds and drops until a build was cancelled while another session saw it in `phase`: a build
/// may be through before the cancel arrives.
fn cancelled_in(client: &mut Client, db: &Database, pid: i32, create: &str, phase: &str) {
    let config = shared().config("cancelled");
    let _ = db;
    for _ in 0..50 {
        let (config, phase) = (config.clone(), phase.to_owned());
        let watcher = thread::spawn(move || cancel_in_phase(&config, pid, &phase));
        let outcome = client.batch_execute(create);
        // Ends the watcher if it never saw the phase.
        let _ = client.batch_execute("DROP INDEX IF EXISTS t_v");
        let seen = watcher.join().unwrap();
        match outcome {
            Err(e) if e.code().is_some_and(|c| c.code() == "57014") => {
                assert!(seen, "cancelled by nobody");
                // The cancel may have met the DROP, or nothing; either is over now.
                run(client, "SELECT 1");
                return;
            }
            Err(e) => panic!("{}", describe(&e)),
            Ok(()) => run(client, "DROP INDEX IF EXISTS t_v"),
        }
    }
    panic!("no build was cancelled while {phase}");
}

/// Watches session `pid` while it builds; cancels it in `phase`. True if it did.
fn cancel_in_phase(config: &postgres::Config, pid: i32, phase: &str) -> bool {
    let mut watcher = config.connect(NoTls).unwrap();
    let query = "SELECT pg_cancel_backend(pid) FROM pg_stat_progress_create_index
                 WHERE pid = $1 AND phase LIKE '%' || $2 || '%'";
    let query = watcher.prepare(query).unwrap();
    let busy = "SELECT query LIKE 'CREATE INDEX%' AND state = 'active'
                FROM pg_stat_activity WHERE pid = $1";
    let busy = watcher.prepare(busy).unwrap();
    let mut idle = 0;
    // The build begins about when we do.
    while idle < 200 {
        if !watcher.query(&query, &[&pid, &phase]).unwrap().is_empty() {
            return true;
        }
        let building = watcher.query_one(&busy, &[&pid]).unwrap().get::<_, Option<bool>>(0);
        if building != Some(true) {
            idle += 1;
            thread::sleep(Duration::from_millis(1));
        }
    }
    false
}

/// 1 MB is less than a thirtieth of the rows: they are sorted in files, and nothing is missing.
#[test]
fn a_build_in_little_memory() {
    let cluster = checks::cluster().set("log_temp_files", "0").start().unwrap();
    create_database(&cluster, "memory");
    let mut client = cluster.connect("memory").unwrap();
    let set = checks::dictionary();
    checks::load(&mut client, "t", &set.base);
    let queries: Vec<String> = set.queries.rows().take(2).map(checks::literal).collect();
    for (memory, spills) in [("1MB", true), ("256MB", false)] {
        run(&mut client, &format!("SET maintenance_work_mem = '{memory}'"));
        let before = fs::read_to_string(cluster.log_path()).unwrap().len();
        kinds::create(&mut client, "t", set.base.dims(), 6);
        let log = fs::read_to_string(cluster.log_path()).unwrap();
        let files = log[before..].matches("temporary file").count();
        // Codes beside stored vectors are kept in a file of their own in any case.
        assert_eq!(files > 1, spills, "{files} files with {memory}");
        fine(&mut client, &queries);
        run(&mut client, "DROP INDEX t_v, t_fs, t_rb, t_g");
    }
}
