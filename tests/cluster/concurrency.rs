//! Writers, VACUUM, scans, REINDEX CONCURRENTLY and CREATE INDEX CONCURRENTLY at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use checks::agreement::{Indexed, assert_sound};
use checks::kinds;
use checks::random::Random;
use checks::watch::{Watchdog, assert_never_crashed};
use checks::workload::{self, Writer};
use checks::{create_database, describe, rounds};
use postgres::Client;
use xtask::cluster::Cluster;

const DATABASE: &str = "together";
const WRITERS: usize = 4;
/// Rows that stay as they are: every scan must find them. Keys beside those of any writer.
const ANCHORS: i64 = 300;
const FIRST_ANCHOR: i64 = 900_000_000;

#[test]
fn everything_at_once_with_short_vectors() {
    everything_at_once("everything_at_once_with_short_vectors", 16, 25, 300, 21);
}

#[test]
fn everything_at_once_with_vectors_over_several_pages() {
    everything_at_once("everything_at_once_with_vectors_over_several_pages", 5000, 3, 150, 22);
}

/// Each writer runs `steps` statements of at most `batch` rows; everybody else goes on until the
/// writers are through.
fn everything_at_once(name: &str, dims: usize, batch: u64, steps: u64, seed: u64) {
    let mut random = Random::for_test(name, seed);
    let cluster = server();
    let _watchdog = Watchdog::new(&cluster, Duration::from_secs(600 * rounds(1)));
    let mut client = prepare(&cluster, dims);
    let queries = workload::queries(&mut client, dims, 2);
    let over = Arc::new(AtomicBool::new(false));
    let others = bystanders(&cluster, &over, dims, &queries);
    let writers: Vec<JoinHandle<Writer>> = (0..WRITERS)
        .map(|no| {
            let mut writer = Writer::new("t", dims, no, batch, &mut random);
            let mut client = cluster.connect(DATABASE).unwrap();
            thread::spawn(move || {
                for _ in 0..rounds(steps) {
                    writer.step(&mut client).unwrap_or_else(|e| panic!("{}", describe(&e)));
                }
                writer
            })
        })
        .collect();
    let writers: Vec<_> = writers.into_iter().map(JoinHandle::join).collect();
    over.store(true, Ordering::Relaxed);
    for (what, other) in others {
        eprintln!("{name}: {} × {what}", other.join().unwrap());
    }
    let mut rows = 0;
    for writer in writers {
        let mut writer = writer.unwrap();
        writer.settle(&mut client);
        rows += writer.len();
    }
    eprintln!("{name}: {rows} rows in the end");
    for _ in 0..2 {
        kinds::assert_fine(&mut client, "t", &queries);
        client.batch_execute("VACUUM t").unwrap();
    }
    assert_never_crashed(&cluster);
}

/// Waiting for a lock this long means that two wait for each other.
fn server() -> Cluster {
    checks::cluster()
        .set("shared_buffers", "4MB")
        .set("lock_timeout", "180s")
        .set("statement_timeout", "400s")
        .start()
        .unwrap()
}

fn prepare(cluster: &Cluster, dims: usize) -> Client {
    create_database(cluster, DATABASE);
    let mut client = cluster.connect(DATABASE).unwrap();
    workload::install(&mut client);
    Writer::create_table(&mut client, "t", dims);
    let last = FIRST_ANCHOR + ANCHORS - 1;
    client
        .batch_execute(&format!(
            "INSERT INTO t SELECT k, 0, made(k, {dims}) FROM generate_series({FIRST_ANCHOR}, {last}) k"
        ))
        .unwrap();
    kinds::create(&mut client, "t", dims, 8);
    client
}

type Counted = (&'static str, JoinHandle<u64>);
type Work = Box<dyn FnMut(&mut Client, u64) + Send>;

fn bystanders(
    cluster: &Cluster,
    over: &Arc<AtomicBool>,
    dims: usize,
    queries: &[String],
) -> Vec<Counted> {
    let again = |what, mut work: Work| -> Counted {
        let (mut client, over) = (cluster.connect(DATABASE).unwrap(), Arc::clone(over));
        let thread = thread::spawn(move || {
            let mut n = 0;
            while n == 0 || !over.load(Ordering::Relaxed) {
                work(&mut client, n);
                n += 1;
            }
            n
        });
        (what, thread)
    };
    let batch = queries.to_owned();
    let queries = queries.to_owned();
    vec![
        again(
            "batch compared",
            Box::new(move |client, n| {
                let kinds = kinds::of("t");
                batch_is_exact(client, &kinds[n as usize % kinds.len()], &batch);
            }),
        ),
        again("VACUUM", Box::new(|client, _| run(client, "VACUUM t"))),
        again("rebuild", Box::new(rebuild)),
        again("known row", Box::new(move |client, n| find_anchor(client, dims, n))),
        again(
            "whole table compared",
            Box::new(move |client, n| {
                let kinds = kinds::of("t");
                kinds[n as usize % kinds.len()].assert_exact(client, &queries);
            }),
        ),
    ]
}

fn run(client: &mut Client, statement: &str) {
    client.batch_execute(statement).unwrap_or_else(|e| panic!("{statement}: {}", describe(&e)));
}

/// The second index is partial, so that no query takes it.
fn rebuild(client: &mut Client, n: u64) {
    let (kind, code) = [("t_v", "rabitq"), ("t_fs", "flat"), ("t_rb", "sq4")][n as usize % 3];
    run(client, &format!("REINDEX INDEX CONCURRENTLY {kind}"));
    run(
        client,
        &format!(
            "CREATE INDEX CONCURRENTLY other ON t USING faissivf (v)
             WITH (nlist = 3, code = {code}) WHERE id >= 0"
        ),
    );
    assert_sound(client, "other");
    run(client, "DROP INDEX CONCURRENTLY other");
    run(client, "REINDEX INDEX CONCURRENTLY t_g");
}

/// The row nearest to an anchor's own vector is the anchor; under cosine and in a graph, too.
fn find_anchor(client: &mut Client, dims: usize, n: u64) {
    let key = FIRST_ANCHOR + (n % ANCHORS as u64) as i64;
    let operator = ["<->", "<=>", "<+>"][(n % 3) as usize];
    let sql = format!(
        "SET enable_seqscan = off; SET faiss.nprobe = 8;
         PREPARE nearest AS SELECT id FROM t ORDER BY v {operator} made({key}, {dims}) LIMIT 1"
    );
    run(client, &sql);
    let row = client.query("EXECUTE nearest", &[]);
    let row = row.unwrap_or_else(|e| panic!("{}", describe(&e)));
    assert_eq!(row.len(), 1);
    assert_eq!(row[0].get::<_, i64>(0), key, "a row that was always there was not found");
    run(client, "DEALLOCATE nearest");
}

/// With every list probed, or every node in sight, and many candidates a batch gives, in its statement's snapshot, the distances of a sort, each that of
/// the row at its tid.
fn batch_is_exact(client: &mut Client, index: &Indexed, queries: &[String]) {
    let Indexed { index, operator, .. } = index;
    let queries = queries.join(", ");
    let sql = format!(
        "WITH q AS MATERIALIZED (SELECT no, v FROM unnest(ARRAY[{queries}]) WITH ORDINALITY u(v, no)),
         found AS (
             SELECT q.no, s.distance, t.v {operator} q.v AS real, row_number() OVER (PARTITION BY q.no ORDER BY s.distance) AS rank
             FROM faiss.search('{index}', ARRAY[{queries}], 10) s LEFT JOIN t ON t.ctid = s.tid JOIN q ON q.no = s.query_no),
         exact AS (
             SELECT q.no, e.distance, row_number() OVER (PARTITION BY q.no ORDER BY e.distance) AS rank
             FROM q, LATERAL (SELECT t.v {operator} q.v AS distance FROM t ORDER BY 1 LIMIT 10) e)
         SELECT count(*) FROM found FULL JOIN exact USING (no, rank)
         WHERE found.distance IS DISTINCT FROM exact.distance OR found.distance IS DISTINCT FROM found.real"
    );
    // As settings: an argument that the access method has no use for is an error.
    run(
        client,
        "SET enable_indexscan = off; SET faiss.nprobe = 65536; SET faiss.k_factor = 1024; SET faiss.efSearch = 65536",
    );
    match client.query_one(&sql, &[]) {
        Ok(row) => assert_eq!(row.get::<_, i64>(0), 0, "{index}: a batch differs"),
        // REINDEX CONCURRENTLY has dropped the index that the name stood for when the statement was read.
        Err(e) if describe(&e).contains("relation with OID") => {}
        Err(e) => panic!("{index}: {}", describe(&e)),
    }
}
