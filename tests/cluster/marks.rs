//! Marks of rows that are dead to all, on a standby: they come with full-page images, and its snapshots do not believe them.

use std::time::Duration;

use checks::create_database;
use checks::watch::assert_never_crashed;
use postgres::Client;
use xtask::cluster::Cluster;

const DATABASE: &str = "marks";
/// A table for each kind of index.
const TABLES: [(&str, &str); 4] = [
    ("vectors", "faissflat (v vector_l2_ops)"),
    ("codes", "faissivf (v vector_l2_ops) WITH (nlist = 4, nprobe = 4, code = sq8)"),
    ("graph", "faisshnsw (v vector_l2_ops) WITH (m = 8, code = sq8)"),
    ("narrowed", "faisshnsw (v vector_l2_ops) WITH (m = 8)"),
];
/// How often a scan is tried until it may mark: who is just connecting holds back what is dead to all.
const TRIES: usize = 100;

/// The nearest rows, by the index or by a scan of the table.
fn nearest(client: &mut Client, table: &str, by_index: bool) -> Vec<i32> {
    let (index, scan) = if by_index { ("on", "off") } else { ("off", "on") };
    client
        .batch_execute(&format!(
            "SET enable_indexscan = {index}; SET enable_seqscan = {scan};
             SET faiss.efSearch = 1000; SET faiss.k_factor = 50"
        ))
        .unwrap();
    let query = format!("SELECT id FROM {table} ORDER BY v <-> '[0,0,0,0]' LIMIT 60");
    client.query(&query, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

/// What the files of the indexes hold, once all pages are written.
fn files(client: &mut Client) -> Vec<String> {
    client.batch_execute("CHECKPOINT").unwrap();
    let md5 = |(table, _): (&str, &str)| {
        let file = format!("SELECT md5(pg_read_binary_file(pg_relation_filepath('{table}_v')))");
        client.query_one(&file, &[]).unwrap().get(0)
    };
    TABLES.map(md5).into()
}

/// Pages with so much room are not pruned, so that replay has no conflict with the old snapshot of the standby.
fn create(client: &mut Client) {
    for (table, index) in TABLES {
        client
            .batch_execute(&format!(
                "CREATE TABLE {table} (id int, v vector(4)) WITH (fillfactor = 70);
                 INSERT INTO {table} SELECT i, ARRAY[sin(i), cos(i * 3), sin(i * 7), i / 3000.0]::vector
                     FROM generate_series(1, 3000) i;
                 CREATE INDEX {table}_v ON {table} USING {index}"
            ))
            .unwrap();
    }
}

/// Scans until there are marks in every index.
fn mark(primary: &Cluster) {
    let mut client = primary.connect(DATABASE).unwrap();
    let before = files(&mut client);
    for _ in 0..TRIES {
        // Without a new transaction id, what is dead to all is not computed anew.
        client.batch_execute("SELECT pg_current_xact_id()").unwrap();
        for (table, _) in TABLES {
            nearest(&mut client, table, true);
        }
        let now = files(&mut client);
        if before.iter().zip(&now).all(|(a, b)| a != b) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no scan has marked anything");
}

#[test]
fn a_standby_does_not_believe_marks_of_the_primary() {
    let primary = checks::cluster()
        .set("wal_log_hints", "on")
        .set("full_page_writes", "on")
        .set("max_standby_streaming_delay", "-1")
        .start()
        .unwrap();
    create_database(&primary, DATABASE);
    let mut client = primary.connect(DATABASE).unwrap();
    create(&mut client);
    let standby = primary.standby().unwrap();
    primary.wait_for_replay(&standby).unwrap();
    let mut old = standby.connect(DATABASE).unwrap();
    old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").unwrap();
    let seen = TABLES.map(|(table, _)| nearest(&mut old, table, false));
    for (table, _) in TABLES {
        client.batch_execute(&format!("DELETE FROM {table} WHERE id % 3 > 0")).unwrap();
    }
    client.batch_execute("CHECKPOINT").unwrap();
    primary.wait_for_replay(&standby).unwrap();
    let mut new = standby.connect(DATABASE).unwrap();
    let before = files(&mut new);
    mark(&primary);
    primary.wait_for_replay(&standby).unwrap();
    let after = files(&mut new);
    assert!(before.iter().zip(&after).all(|(a, b)| a != b), "marks have not come");
    for ((table, _), seen) in TABLES.iter().zip(&seen) {
        assert_eq!(&nearest(&mut old, table, true), seen, "{table} under the old snapshot");
        let live = nearest(&mut new, table, false);
        assert!(live.iter().all(|id| id % 3 == 0));
        assert_eq!(nearest(&mut new, table, true), live, "{table}");
    }
    let promoted: bool = new.query_one("SELECT pg_promote(true, 300)", &[]).unwrap().get(0);
    assert!(promoted);
    for ((table, _), seen) in TABLES.iter().zip(&seen) {
        assert_eq!(&nearest(&mut old, table, true), seen, "{table} after the promotion");
        let live = nearest(&mut new, table, false);
        assert_eq!(nearest(&mut new, table, true), live, "{table} after the promotion");
        let problems = new.query(&format!("SELECT * FROM faiss.check('{table}_v')"), &[]).unwrap();
        assert!(problems.is_empty(), "{table}: {problems:?}");
    }
    assert_never_crashed(&standby);
}
