//! Who waits for whom. What sessions do to each other at random is in `tests/torture/soak.rs`.

use checks::{Database, kinds, workload};
use postgres::error::SqlState;

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
        let refused = checking.query(&check, &[]).unwrap_err();
        assert_eq!(refused.code(), Some(&SqlState::LOCK_NOT_AVAILABLE), "{refused}");
        rebuilding.batch_execute("COMMIT").unwrap();
        assert!(checking.query(&check, &[]).unwrap().is_empty());
    }
}
