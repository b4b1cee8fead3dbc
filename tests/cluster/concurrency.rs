//! Who waits for whom. What sessions do to each other at random is in `tests/torture/soak.rs`.

use checks::{Database, kinds, rounds, workload};

/// REINDEX CONCURRENTLY waits for the snapshots of all that began before it: who has one, as every caller of a function, and
/// waits for it, would wait for ever.
#[test]
fn a_check_does_not_wait_for_a_rebuild() {
    let db = Database::new("check_beside_rebuild");
    let (mut rebuilding, mut checking) = (db.connect(), db.connect());
    workload::install(&mut rebuilding);
    rebuilding
        .batch_execute(
            "CREATE TABLE t (id bigint, v vector(16));
             INSERT INTO t SELECT i, made(i, 16) FROM generate_series(1, 300) i",
        )
        .unwrap();
    kinds::create(&mut rebuilding, "t", 16, 4);
    for kind in kinds::of("t") {
        let index = kind.index;
        let check = format!("SELECT FROM faiss.check('{index}')");
        // The lock that REINDEX CONCURRENTLY has on the index.
        rebuilding.batch_execute(&format!("BEGIN; COMMENT ON INDEX {index} IS 'locked'")).unwrap();
        assert!(checking.query(&check, &[]).unwrap().is_empty());
        rebuilding.batch_execute("COMMIT").unwrap();
        assert!(checking.query(&check, &[]).unwrap().is_empty());
    }
}

/// Of those whose inserts find the list long enough one makes the graph; the others go on, and their clients hear nothing of it.
#[test]
fn inserts_make_a_graph_in_silence() {
    let db = Database::new("list_to_graph");
    db.connect()
        .batch_execute("CREATE TABLE t (v vector(3)); CREATE INDEX i ON t USING faisshnsw (v)")
        .unwrap();
    let insert = ["-c", "INSERT INTO t VALUES (ARRAY[random(), random(), random()])"];
    for _ in 0..rounds(8) {
        db.connect().batch_execute("TRUNCATE t").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let said = db.psql().arg("-q").args(insert.repeat(140)).output().unwrap();
                    assert!(said.status.success() && said.stderr.is_empty(), "{said:?}");
                });
            }
        });
        let problems = db.connect().query("SELECT FROM faiss.check('i')", &[]).unwrap();
        assert!(problems.is_empty());
    }
}
