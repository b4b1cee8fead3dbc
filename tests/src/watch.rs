//! What a test asks of a server as a whole: it neither hangs nor breaks.

use std::fs;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use xtask::cluster::Cluster;

/// Ends the program, with what the sessions were waiting for, if it is not dropped in time: two
/// backends that wait for each other's page locks wait for ever, and no timeout of the server's
/// applies. The time is far beyond what any machine needs.
pub struct Watchdog(#[allow(dead_code, reason = "dropping it is the message")] Sender<()>);

impl Watchdog {
    pub fn new(cluster: &Cluster, limit: Duration) -> Self {
        let (sender, receiver) = channel();
        let (config, log) = (cluster.config("postgres"), cluster.log_path());
        std::thread::spawn(move || {
            if receiver.recv_timeout(limit) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            eprintln!("nothing ended within {limit:?}; see {}", log.display());
            let query = "SELECT coalesce(wait_event, '-') || ' ' || query FROM pg_stat_activity";
            if let Ok(mut client) = config.connect(postgres::NoTls) {
                for row in client.query(query, &[]).unwrap_or_default() {
                    eprintln!("{}", row.get::<_, String>(0));
                }
            }
            std::process::exit(101);
        });
        Self(sender)
    }
}

/// Fails if the log tells of a panic of the server or of ours, or of a failed assertion, or if valgrind is looking on and has seen
/// an access to memory out of place.
pub fn assert_calm(cluster: &Cluster) {
    assert_log_without(cluster, &["PANIC:", "TRAP:", "panicked at", "Assertion failed"]);
    let faults = cluster.memory_faults().unwrap_or_else(|e| panic!("{e:#}"));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Fails if, beyond that, any server process died.
pub fn assert_never_crashed(cluster: &Cluster) {
    assert_calm(cluster);
    assert_log_without(cluster, &["terminated by signal", "exited with exit code 2"]);
}

fn assert_log_without(cluster: &Cluster, signs: &[&str]) {
    let log = fs::read(cluster.log_path()).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let line = log.lines().find(|line| signs.iter().any(|sign| line.contains(sign)));
    assert_eq!(line, None, "the server's log tells of a failure");
}
