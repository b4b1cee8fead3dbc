//! Graphs over sparse vectors: kill -9 in the middle of inserts, deletes and VACUUM, an unlogged index after a crash, and a
//! standby that replays them.

use std::thread;
use std::time::Duration;

use checks::agreement::Indexed;
use checks::create_database;
use checks::pressure::Maintenance;
use checks::random::Random;
use checks::watch::{Watchdog, assert_calm};
use checks::workload;
use postgres::Client;
use xtask::cluster::Cluster;

const DATABASE: &str = "sparse";
const CRASHES: u64 = 4;

/// Vectors of [`workload`] of which about every second component is left; positions lie far apart.
const SPARSE: &str = "CREATE FUNCTION thinned(i bigint) RETURNS sparsevec LANGUAGE sql VOLATILE AS $$
    SELECT format('{%s}/1000000000', string_agg(n * 31000000 || ':' || x, ',' ORDER BY n))::sparsevec
    FROM unnest(made(i, 32)::real[]) WITH ORDINALITY AS u (x, n) WHERE x <> 0 AND (n * 7 + i) % 2 = 0 $$";

fn server() -> Cluster {
    let cluster = checks::cluster()
        .set("synchronous_commit", "on")
        .set("full_page_writes", "on")
        .set("max_wal_size", "32MB")
        .set("shared_buffers", "4MB")
        .start()
        .unwrap();
    create_database(&cluster, DATABASE);
    let mut client = cluster.connect(DATABASE).unwrap();
    workload::install(&mut client);
    client.batch_execute(SPARSE).unwrap();
    cluster
}

fn create(client: &mut Client, kind: &str, n: u32) {
    client
        .batch_execute(&format!(
            "CREATE {kind} TABLE t (id bigint, v sparsevec(1000000000));
             INSERT INTO t SELECT i, thinned(i) FROM generate_series(1, {n}) i;
             CREATE INDEX t_v ON t USING faisshnsw (v) WITH (m = 8, efConstruction = 40)"
        ))
        .unwrap();
}

/// Queries that the planner can fold.
fn queries(client: &mut Client) -> Vec<String> {
    let rows = client.query("SELECT thinned(i)::text FROM generate_series(90001, 90003) i", &[]);
    rows.unwrap().iter().map(|row| format!("'{}'::sparsevec", row.get::<_, String>(0))).collect()
}

fn assert_fine(client: &mut Client, queries: &[String]) {
    let index = Indexed { is_coded: true, ..Indexed::l2("t") };
    index.assert_sound(client);
    index.assert_exact(client, queries);
}

#[test]
fn sparse_rows_outlive_crashes() {
    let mut random = Random::for_test("sparse_rows_outlive_crashes", 404);
    let mut cluster = server();
    let _watchdog = Watchdog::new(&cluster, Duration::from_secs(600));
    let mut client = cluster.connect(DATABASE).unwrap();
    create(&mut client, "", 1500);
    let queries = queries(&mut client);
    for _ in 0..CRASHES {
        let working = Maintenance::start(
            &cluster,
            DATABASE,
            &[
                "INSERT INTO t SELECT i, thinned(i) FROM (SELECT 10000 + (random() * 10000)::bigint AS i FROM generate_series(1, 50)) s",
                "DELETE FROM t WHERE id % 17 = (random() * 16)::int",
                "VACUUM t",
            ],
        );
        thread::sleep(Duration::from_millis(200 + random.below(800)));
        cluster.crash().unwrap();
        cluster.start().unwrap();
        working.end();
        let mut client = cluster.connect(DATABASE).unwrap();
        assert_fine(&mut client, &queries);
    }
    let mut client = cluster.connect(DATABASE).unwrap();
    let more = "DELETE FROM t WHERE id % 3 = 0;
        INSERT INTO t SELECT i, thinned(i) FROM generate_series(30000, 30500) i";
    client.batch_execute(more).unwrap();
    client.batch_execute("VACUUM t").unwrap();
    assert_fine(&mut client, &queries);
    assert_calm(&cluster);
}

#[test]
fn an_unlogged_sparse_index_is_empty_after_a_crash() {
    let mut cluster = server();
    let mut client = cluster.connect(DATABASE).unwrap();
    create(&mut client, "UNLOGGED", 300);
    let queries = queries(&mut client);
    assert_fine(&mut client, &queries);
    cluster.crash().unwrap();
    cluster.start().unwrap();
    let mut client = cluster.connect(DATABASE).unwrap();
    assert_eq!(client.query("SELECT FROM t", &[]).unwrap().len(), 0);
    assert_fine(&mut client, &queries);
    let again = "INSERT INTO t SELECT i, thinned(i) FROM generate_series(1, 200) i";
    client.batch_execute(again).unwrap();
    assert_fine(&mut client, &queries);
    assert_calm(&cluster);
}

#[test]
fn a_standby_has_the_same_sparse_rows() {
    let primary = server();
    let mut client = primary.connect(DATABASE).unwrap();
    create(&mut client, "", 800);
    let queries = queries(&mut client);
    let standby = primary.standby().unwrap();
    for round in 0..3 {
        let change = format!(
            "DELETE FROM t WHERE id % 5 = {round};
             INSERT INTO t SELECT i, thinned(i) FROM generate_series({0}, {0} + 300) i",
            10_000 * (round + 1)
        );
        client.batch_execute(&change).unwrap();
        client.batch_execute("VACUUM t").unwrap();
        primary.wait_for_replay(&standby).unwrap();
        assert_fine(&mut standby.connect(DATABASE).unwrap(), &queries);
    }
    assert_fine(&mut client, &queries);
    assert_calm(&primary);
}
