//! Rows among a bitmap of another index, and within a bound, while others change them.

use std::time::Duration;

use checks::Database;
use postgres::Client;

/// What a query gives, each row as one text.
fn rows(client: &mut Client, query: &str) -> Vec<String> {
    let lines = client.query(query, &[]).unwrap();
    lines.iter().map(|row| row.get(0)).collect()
}

fn create(client: &mut Client) {
    client
        .batch_execute(
            "CREATE TABLE t (id int PRIMARY KEY, v vector(4), a int, note text);
             INSERT INTO t SELECT k, ARRAY[sin(k), cos(k), sin(k * 3), cos(k * 7)]::real[]::vector, k % 50, ''
                 FROM generate_series(1, 5000) k;
             CREATE INDEX t_a ON t (a);
             CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 10, seed = 1, code = flat);
             ANALYZE t",
        )
        .unwrap();
}

/// `FOR UPDATE` waits for who changes a row, and asks the conditions again of what became of it: at READ COMMITTED a row that
/// passes no longer is left out, and the others come as they are now.
#[test]
fn a_row_that_changed_while_it_was_waited_for_is_asked_again() {
    let db = Database::new("filtered_scan_recheck");
    create(&mut db.connect());
    let with_bound = "a = 3 AND v <-> '[1,0,0,0]' < 5";
    for (condition, node) in [("a = 3", "Bitmap Index Scan"), (with_bound, "Distance Bound")] {
        let query = format!(
            "SELECT id || ' ' || a || note FROM t WHERE {condition} ORDER BY v <-> '[1,0,0,0]' LIMIT 3"
        );
        let locking = format!("{query} FOR UPDATE");
        let mut changing = db.connect();
        let mut waiting = db.connect();
        waiting.batch_execute("SET enable_sort = off; SET enable_seqscan = off").unwrap();
        let plan = rows(&mut waiting, &format!("EXPLAIN (COSTS OFF) {locking}")).join("\n");
        assert!(plan.contains("Faiss Filtered Scan") && plan.contains(node), "{plan}");
        let before = rows(&mut waiting, &query);
        let id = |n: usize| before[n].split(' ').next().unwrap().to_owned();
        changing
            .batch_execute(&format!(
                "BEGIN; UPDATE t SET a = 4 WHERE id = {}; UPDATE t SET note = 'changed' WHERE id = {}",
                id(0),
                id(1)
            ))
            .unwrap();
        let after = std::thread::scope(|scope| {
            let asked = scope.spawn(|| rows(&mut waiting, &locking));
            let waits = "SELECT count(*)::text FROM pg_locks WHERE NOT granted";
            while rows(&mut changing, waits) == ["0"] {
                assert!(!asked.is_finished(), "it did not wait");
                std::thread::sleep(Duration::from_millis(5));
            }
            changing.batch_execute("COMMIT").unwrap();
            asked.join().unwrap()
        });
        assert!(!after.iter().any(|row| row.starts_with(&format!("{} ", id(0)))), "{after:?}");
        assert_eq!(after[0], format!("{} 3changed", id(1)));
        assert!(after[1..].contains(&before[2]), "{after:?} after {before:?}");
        assert_eq!(after.len(), 3, "another row took the place of the one that changed");
    }
}

/// A node whose query is cancelled or fails leaves nothing behind that a later scan would take for its own.
#[test]
fn what_a_failed_query_was_given_is_forgotten() {
    let db = Database::new("filtered_scan_failed");
    let mut client = db.connect();
    create(&mut client);
    client.batch_execute("SET enable_sort = off; SET enable_seqscan = off").unwrap();
    let failing = "SELECT id / (a - 3) FROM t WHERE a = 3 ORDER BY v <-> '[1,0,0,0]' LIMIT 3";
    let all =
        "SELECT count(*)::text FROM (SELECT id FROM t ORDER BY v <-> '[1,0,0,0]' LIMIT 4000) x";
    for _ in 0..20 {
        assert!(client.query(failing, &[]).is_err());
        assert_eq!(rows(&mut client, all), ["4000"]);
    }
}
