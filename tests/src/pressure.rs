//! Sessions that write to a table and sessions that maintain it, until they are stopped or killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use postgres::Client;
use xtask::cluster::Cluster;

use crate::describe;
use crate::workload::Writer;

/// Whether an error is the end of the session and not of a statement.
pub fn killed(error: &postgres::Error) -> bool {
    error.is_closed()
        || error.as_db_error().is_none()
        || error.code().is_some_and(|c| c.code().starts_with("57P"))
}

/// A session that runs statements over and over.
pub struct Maintenance {
    /// Process id of its backend.
    pub pid: i32,
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Maintenance {
    pub fn start(cluster: &Cluster, database: &str, statements: &[impl AsRef<str>]) -> Self {
        let (mut client, pid) = session(cluster, database);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let statements: Vec<String> = statements.iter().map(|s| s.as_ref().to_owned()).collect();
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
        Self { pid, thread: thread::spawn(work), stop }
    }

    /// Waits for the statement it is at.
    pub fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        joined(self.thread);
    }
}

/// Writers, and maintenance beside them.
pub struct Pressure {
    writers: Vec<JoinHandle<Writer>>,
    beside: Vec<Maintenance>,
    pids: Vec<i32>,
    commits: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Pressure {
    pub fn start(
        cluster: &Cluster,
        database: &str,
        writers: Vec<Writer>,
        beside: &[Vec<String>],
    ) -> Self {
        let (commits, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let mut pids = Vec::new();
        let writers = writers.into_iter().map(|mut writer| {
            let (mut client, pid) = session(cluster, database);
            pids.push(pid);
            let (commits, stop) = (Arc::clone(&commits), Arc::clone(&stop));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    match writer.step(&mut client) {
                        Ok(()) => {
                            commits.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(e) if killed(&e) => break,
                        Err(e) => panic!("{}", describe(&e)),
                    }
                }
                writer
            })
        });
        let writers = writers.collect();
        let beside: Vec<Maintenance> =
            beside.iter().map(|list| Maintenance::start(cluster, database, list)).collect();
        pids.extend(beside.iter().map(|maintenance| maintenance.pid));
        Self { writers, beside, pids, commits, stop }
    }

    /// The backends of its sessions.
    pub fn pids(&self) -> &[i32] {
        &self.pids
    }

    /// What the writers have committed so far.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Returns after so many commits, or when `patience` is at an end: an index that is being built holds writers up.
    pub fn wait_for(&self, commits: u64, patience: Duration) {
        let enough = self.commits() + commits;
        let begin = Instant::now();
        while self.commits() < enough && begin.elapsed() < patience {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Lets every session finish its statement. After a crash: collects what is left of them.
    pub fn end(self) -> Vec<Writer> {
        self.stop.store(true, Ordering::Relaxed);
        self.beside.into_iter().for_each(Maintenance::end);
        self.writers.into_iter().map(joined).collect()
    }
}

fn session(cluster: &Cluster, database: &str) -> (Client, i32) {
    let mut client = cluster.connect(database).unwrap_or_else(|e| panic!("{e:#}"));
    let pid = client.query_one("SELECT pg_backend_pid()", &[]);
    let pid = pid.unwrap_or_else(|e| panic!("{}", describe(&e))).get(0);
    (client, pid)
}

/// What a thread returned; or panics as it did.
pub fn joined<T>(thread: JoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Drops what an interrupted REINDEX CONCURRENTLY or CREATE INDEX leaves of `table`'s indexes. That is the user's to drop, and
/// may be anything but one of `own`.
pub fn drop_remains(client: &mut Client, table: &str, own: &[String]) {
    let sql = "SELECT indexrelid::regclass::text FROM pg_index
               WHERE indrelid = $1::text::regclass
                 AND (NOT indisvalid OR indexrelid::regclass::text ~ '^other$|_ccold')";
    for row in client.query(sql, &[&table]).unwrap_or_else(|e| panic!("{}", describe(&e))) {
        let name: String = row.get(0);
        assert!(!own.contains(&name), "{name} itself is not valid any more");
        let drop = client.batch_execute(&format!("DROP INDEX {name}"));
        drop.unwrap_or_else(|e| panic!("{}", describe(&e)));
    }
}
