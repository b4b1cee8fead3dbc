//! Kill -9 of all server processes in the middle of a build, and what is left of an unlogged index. Crashes at random are in
//! `tests/torture/crash.rs`.

use std::thread;
use std::time::{Duration, Instant};

use checks::kinds;
use checks::pressure::Maintenance;
use checks::random::Random;
use checks::watch::{Watchdog, assert_calm};
use checks::workload::{self, Writer};
use checks::{create_database, rounds};
use xtask::cluster::Cluster;

const DATABASE: &str = "crash";

/// Writes much WAL between checkpoints that come often.
fn server() -> Cluster {
    checks::cluster()
        .set("synchronous_commit", "on")
        .set("full_page_writes", "on")
        .set("max_wal_size", "32MB")
        .set("shared_buffers", "2MB")
        .set("maintenance_work_mem", "4MB")
        .set("bgwriter_delay", "10ms")
        .start()
        .unwrap()
}

/// A killed CREATE INDEX leaves no index, and the next one finds all rows.
#[test]
fn killed_during_a_build() {
    let mut random = Random::for_test("killed_during_a_build", 303);
    let mut cluster = server();
    let _watchdog = Watchdog::new(&cluster, Duration::from_secs(600 * rounds(1)));
    create_database(&cluster, DATABASE);
    let mut client = cluster.connect(DATABASE).unwrap();
    workload::install(&mut client);
    Writer::create_table(&mut client, "t", 64);
    let mut writer = Writer::new("t", 64, 0, 1, &mut random);
    writer.insert(&mut client, 12_000).unwrap();
    let queries = workload::queries(&mut client, 64, 2);
    let phases = [
        ("sampling rows", BUILD_FLAT),
        ("k-means", BUILD_CODED),
        ("assigning rows", BUILD_CODED),
        ("writing pages", BUILD_FLAT),
        ("writing pages", BUILD_CODED),
        ("building graph", BUILD_GRAPH),
        ("writing pages", BUILD_GRAPH),
    ];
    for round in 0..rounds(phases.len() as u64) {
        let (phase, build) = phases[round as usize % phases.len()];
        let building = Maintenance::start(&cluster, DATABASE, build);
        wait_for_phase(&cluster, building.pid, phase);
        thread::sleep(Duration::from_millis(random.below(30)));
        cluster.crash().unwrap();
        cluster.start().unwrap();
        building.end();
        let mut client = cluster.connect(DATABASE).unwrap();
        client.batch_execute("DROP INDEX IF EXISTS built").unwrap();
        writer.settle(&mut client);
    }
    let mut client = cluster.connect(DATABASE).unwrap();
    kinds::create(&mut client, "t", 64, 100);
    kinds::assert_fine(&mut client, "t", &queries);
    assert_calm(&cluster);
}

const BUILD_FLAT: &[&str] =
    &["CREATE INDEX built ON t USING faissivf (v) WITH (nlist = 100)", "DROP INDEX built"];
const BUILD_CODED: &[&str] = &[
    "CREATE INDEX built ON t USING faissivf (v) WITH (factory = 'OPQ16,IVF100,PQ16x4fs,RFlat')",
    "DROP INDEX built",
];

/// On a busy machine a build may take a minute.
const PATIENCE: Duration = Duration::from_secs(200);

const BUILD_GRAPH: &[&str] = &[
    "CREATE INDEX built ON t USING faisshnsw (v) WITH (m = 8, efConstruction = 20)",
    "DROP INDEX built",
];

/// Returns when the build of session `pid` has been seen in a phase whose name holds `phase`. A
/// phase may be over before anyone looks; then the next build shows it.
fn wait_for_phase(cluster: &Cluster, pid: i32, phase: &str) {
    let mut client = cluster.connect(DATABASE).unwrap();
    let query = "SELECT phase FROM pg_stat_progress_create_index WHERE pid = $1";
    let statement = client.prepare(query).unwrap();
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let row = client.query_opt(&statement, &[&pid]).unwrap();
        let now = row.and_then(|row| row.get::<_, Option<String>>(0)).unwrap_or_default();
        if now.contains(phase) {
            return;
        }
    }
    panic!("no build was ever seen in phase {phase:?}");
}

#[test]
fn an_unlogged_index_is_empty_after_a_crash() {
    let mut cluster = server();
    create_database(&cluster, DATABASE);
    let mut client = cluster.connect(DATABASE).unwrap();
    workload::install(&mut client);
    client
        .batch_execute(
            "CREATE UNLOGGED TABLE t (id bigint, v vector(16));
             INSERT INTO t SELECT i, made(i, 16) FROM generate_series(1, 1000) i",
        )
        .unwrap();
    kinds::create(&mut client, "t", 16, 10);
    let queries = workload::queries(&mut client, 16, 3);
    kinds::assert_fine(&mut client, "t", &queries);
    cluster.crash().unwrap();
    cluster.start().unwrap();
    let mut client = cluster.connect(DATABASE).unwrap();
    assert_eq!(client.query("SELECT FROM t", &[]).unwrap().len(), 0);
    kinds::assert_fine(&mut client, "t", &queries);
    client
        .batch_execute("INSERT INTO t SELECT i, made(i, 16) FROM generate_series(1, 500) i")
        .unwrap();
    kinds::assert_fine(&mut client, "t", &queries);
    client.batch_execute("REINDEX TABLE t").unwrap();
    kinds::assert_fine(&mut client, "t", &queries);
    assert_calm(&cluster);
}
