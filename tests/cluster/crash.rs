//! Kill -9 of all server processes at once, and of one backend, in the middle of whatever writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use checks::kinds;
use checks::random::Random;
use checks::watch::{Watchdog, assert_calm};
use checks::workload::{self, Writer};
use checks::{create_database, describe, rounds};
use postgres::{Client, NoTls};
use xtask::cluster::Cluster;

const DATABASE: &str = "crash";
const WRITERS: usize = 3;

/// What runs beside the writers when the server is killed, over and over.
const BESIDE: [&[&str]; 6] = [
    &["CHECKPOINT"],
    &["VACUUM t"],
    &["REINDEX INDEX t_v", "REINDEX INDEX t_fs", "REINDEX INDEX t_rb", "REINDEX INDEX t_g"],
    &["REINDEX INDEX CONCURRENTLY t_rb", "VACUUM t", "REINDEX INDEX CONCURRENTLY t_g"],
    &[
        "CREATE INDEX other ON t USING faissivf (v) WITH (nlist = 5, code = sq8)",
        "DROP INDEX other",
    ],
    &["VACUUM t", "CHECKPOINT", "SELECT pg_switch_wal()"],
];

/// Table and index of one test.
struct Shape {
    dims: usize,
    rows: u64,
    nlist: u32,
    batch: u64,
}

#[test]
fn killed_with_short_vectors() {
    let shape = Shape { dims: 16, rows: 1500, nlist: 8, batch: 40 };
    killed_again_and_again("killed_with_short_vectors", &shape, 101);
}

/// A row of 5000 dimensions spans five pages: an insert is several WAL records.
#[test]
fn killed_with_vectors_over_several_pages() {
    let shape = Shape { dims: 5000, rows: 60, nlist: 4, batch: 4 };
    killed_again_and_again("killed_with_vectors_over_several_pages", &shape, 202);
}

fn killed_again_and_again(name: &str, shape: &Shape, seed: u64) {
    let mut random = Random::for_test(name, seed);
    let mut cluster = server();
    let _watchdog = Watchdog::new(&cluster, Duration::from_secs(600 * rounds(1)));
    create_database(&cluster, DATABASE);
    let mut client = cluster.connect(DATABASE).unwrap();
    let mut writers = prepare(&mut client, shape, &mut random);
    let queries = workload::queries(&mut client, shape.dims, 3);
    for round in 0..rounds(BESIDE.len() as u64) {
        let beside = BESIDE[round as usize % BESIDE.len()];
        // Every third time one backend is killed, and the postmaster ends the others.
        let one_backend = round % 3 == 2;
        writers = interrupted(&mut cluster, writers, beside, one_backend, &mut random);
        let mut client = cluster.connect(DATABASE).unwrap();
        drop_remains(&mut client);
        writers.iter_mut().for_each(|w| w.settle(&mut client));
        kinds::assert_fine(&mut client, "t", &queries);
        client.batch_execute("VACUUM t").unwrap();
        kinds::assert_fine(&mut client, "t", &queries);
        let total: usize = writers.iter().map(Writer::len).sum();
        eprintln!("{name}: round {round}, {total} rows, killed beside {beside:?}");
    }
    assert_calm(&cluster);
}

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

fn prepare(client: &mut Client, shape: &Shape, random: &mut Random) -> Vec<Writer> {
    workload::install(client);
    Writer::create_table(client, "t", shape.dims);
    let writer = |no| Writer::new("t", shape.dims, no, shape.batch, random);
    let mut writers: Vec<Writer> = (0..WRITERS).map(writer).collect();
    for writer in &mut writers {
        writer.insert(client, shape.rows / WRITERS as u64).unwrap();
    }
    kinds::create(client, "t", shape.dims, shape.nlist);
    writers
}

/// Starts the writers and one more session that runs `beside`, kills the server after a random
/// number of commits and starts it again.
fn interrupted(
    cluster: &mut Cluster,
    writers: Vec<Writer>,
    beside: &'static [&'static str],
    one_backend: bool,
    random: &mut Random,
) -> Vec<Writer> {
    let commits = Arc::new(AtomicU64::new(0));
    let sessions: Vec<JoinHandle<Writer>> = writers
        .into_iter()
        .map(|writer| {
            let (client, commits) = (cluster.connect(DATABASE).unwrap(), Arc::clone(&commits));
            thread::spawn(move || write_until_killed(writer, client, &commits))
        })
        .collect();
    let maintenance = Maintenance::start(cluster, beside);
    let (enough, moment) = (random.between(10, 120), random.between(0, 40));
    // REINDEX holds the writers up: then a random moment comes instead.
    let patience = Duration::from_millis(random.between(300, 1500));
    let begin = Instant::now();
    while commits.load(Ordering::Relaxed) < enough && begin.elapsed() < patience {
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(Duration::from_millis(moment));
    if one_backend {
        cluster.kill_backend(maintenance.pid.load(Ordering::Relaxed)).unwrap();
    } else {
        cluster.crash().unwrap();
        cluster.start().unwrap();
    }
    maintenance.end();
    sessions.into_iter().map(|s| s.join().unwrap()).collect()
}

fn write_until_killed(mut writer: Writer, mut client: Client, commits: &AtomicU64) -> Writer {
    loop {
        match writer.step(&mut client) {
            Ok(()) => {
                commits.fetch_add(1, Ordering::Relaxed);
            }
            Err(e) if killed(&e) => return writer,
            Err(e) => panic!("{}", describe(&e)),
        }
    }
}

/// Whether an error is the end of the session and not of a statement.
fn killed(error: &postgres::Error) -> bool {
    error.is_closed()
        || error.as_db_error().is_none()
        || error.code().is_some_and(|c| c.code().starts_with("57P"))
}

/// The session that runs beside the writers.
struct Maintenance {
    pid: AtomicI32,
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Maintenance {
    fn start(cluster: &Cluster, statements: &'static [&'static str]) -> Self {
        let mut client = cluster.config(DATABASE).connect(NoTls).unwrap();
        let pid = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let work = move || {
            for statement in statements.iter().cycle() {
                match client.batch_execute(statement) {
                    Ok(()) if stopped.load(Ordering::Relaxed) => return,
                    Ok(()) => {}
                    Err(e) if killed(&e) => return,
                    Err(e) => panic!("{statement}: {}", describe(&e)),
                }
            }
        };
        Self { pid: AtomicI32::new(pid), thread: thread::spawn(work), stop }
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

/// What an interrupted REINDEX CONCURRENTLY leaves is the user's to drop, and may be anything but
/// the index itself.
fn drop_remains(client: &mut Client) {
    let sql = "SELECT indexrelid::regclass::text FROM pg_index
               WHERE indrelid = 't'::regclass
                 AND (NOT indisvalid OR indexrelid::regclass::text ~ '^other$|_ccold')";
    for row in client.query(sql, &[]).unwrap() {
        let name: String = row.get(0);
        let own = kinds::of("t").iter().any(|kind| kind.index == name);
        assert!(!own, "{name} itself is not valid any more");
        client.batch_execute(&format!("DROP INDEX {name}")).unwrap();
    }
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
        let building = Maintenance::start(&cluster, build);
        wait_for_phase(&cluster, building.pid.load(Ordering::Relaxed), phase);
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
    for _ in 0..200_000 {
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
