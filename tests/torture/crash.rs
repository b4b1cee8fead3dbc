//! Kill -9 of all server processes at once, of one of them, and once more while the server recovers, beneath sessions that write,
//! build and clean up.

use std::time::Duration;

use checks::catalogue::Deal;
use checks::pressure::{Pressure, drop_remains};
use checks::random::Random;
use checks::watch::{Watchdog, assert_calm};
use checks::workload::{self, Writer};
use checks::{create_database, describe};
use postgres::Client;
use xtask::cluster::Cluster;

use crate::Turn;
use crate::account::Account;

const DATABASE: &str = "crash";
const WRITERS: usize = 3;
const FAULTS: [&str; 4] =
    ["server killed", "and once more in recovery", "session killed", "any process killed"];

struct World {
    cluster: Cluster,
    deal: Deal,
    queries: Vec<String>,
    random: Random,
}

/// A table of its own server, killed `turn.cycles` times.
pub fn run(turn: &Turn, account: &mut Account) {
    let mut world = World {
        cluster: server(turn),
        deal: Deal::new(turn.seed, "t", turn.dims()),
        queries: Vec::new(),
        random: Random::new(turn.seed),
    };
    account.begin("server killed", &world.deal);
    let _watchdog = Watchdog::new(&world.cluster, turn.limit);
    let mut writers = world.prepare();
    for cycle in 0..turn.cycles {
        let fault = *world.random.pick(&FAULTS);
        account.begin(fault, &world.deal);
        let beside = world.beside();
        writers = world.interrupted(writers, &beside, fault);
        world.compare(&mut writers);
        let rows: usize = writers.iter().map(Writer::len).sum();
        println!(
            "crash seed {} cycle {cycle}: {fault}, {rows} rows, beside {}",
            turn.seed,
            beside.iter().map(|list| list.join("; ")).collect::<Vec<_>>().join(" | ")
        );
        account.end();
    }
}

/// Writes much WAL between checkpoints that come often; recovery compares every page that it makes with an image of it.
fn server(turn: &Turn) -> Cluster {
    // What a transaction has made itself is then not logged, but written when it commits.
    let is_minimal = turn.seed % 5 == 4;
    let cluster = turn
        .forced(checks::cluster())
        .set("wal_level", if is_minimal { "minimal" } else { "replica" })
        .set("max_wal_senders", if is_minimal { "0" } else { "4" })
        .set("wal_consistency_checking", "generic")
        .set("synchronous_commit", "on")
        .set("full_page_writes", "on")
        .set("max_wal_size", "64MB")
        .set("shared_buffers", "3MB")
        .set("maintenance_work_mem", "4MB")
        .set("bgwriter_delay", "10ms")
        .set("min_parallel_index_scan_size", "0")
        .set("autovacuum", if turn.seed.is_multiple_of(2) { "off" } else { "on" })
        .set("autovacuum_naptime", "1s")
        .checksums()
        .evidence(&turn.evidence)
        .start();
    cluster.unwrap_or_else(|e| panic!("{e:#}"))
}

impl World {
    fn connect(&self) -> Client {
        self.cluster.connect(DATABASE).unwrap_or_else(|e| panic!("{e:#}"))
    }

    /// Few rows leave indexes untrained; just below 1,000 a graph is still a list.
    fn prepare(&mut self) -> Vec<Writer> {
        create_database(&self.cluster, DATABASE);
        let mut client = self.connect();
        workload::install(&mut client);
        Writer::create_table_of(&mut client, "t", &self.deal.column());
        let is_short = self.deal.dims == 16;
        let rows = match is_short {
            true => *self.random.pick(&[30, 960, 960, 1300, 2000]),
            false => *self.random.pick(&[10, 60, 120]),
        };
        let (batch, duplicates) = (if is_short { 40 } else { 4 }, *self.random.pick(&[1, 1, 3]));
        let many = if is_short { 2400 } else { 150 } / WRITERS;
        let random = &mut self.random;
        let writer = |no| {
            Writer::new("t", self.deal.dims, no, batch, random).duplicates(duplicates).at_most(many)
        };
        let mut writers: Vec<Writer> = (0..WRITERS).map(writer).collect();
        for writer in &mut writers {
            let inserted = writer.insert(&mut client, rows / WRITERS as u64);
            inserted.unwrap_or_else(|e| panic!("{}", describe(&e)));
        }
        self.deal.create(&mut client);
        self.queries = self.deal.queries(&mut client, 2);
        writers
    }

    /// What two more sessions do meanwhile, over and over.
    fn beside(&mut self) -> [Vec<String>; 2] {
        let other = &self.random.pick(&self.deal.kinds).definition;
        let index = self.deal.any(&mut self.random);
        let builds = match self.random.below(8) {
            0 => vec![format!("REINDEX INDEX {index}")],
            1 | 2 => vec![format!("REINDEX INDEX CONCURRENTLY {index}")],
            3 => vec![
                format!("CREATE INDEX other ON t {other} WHERE id >= 0"),
                "DROP INDEX other".to_owned(),
            ],
            4 => vec![
                format!("CREATE INDEX CONCURRENTLY other ON t {other} WHERE id >= 0"),
                "DROP INDEX CONCURRENTLY other".to_owned(),
            ],
            5 => vec!["VACUUM FULL t".to_owned(), "SELECT pg_sleep(0.1)".to_owned()],
            6 => vec!["VACUUM (PARALLEL 2, TRUNCATE off) t".to_owned()],
            _ => vec!["VACUUM t".to_owned()],
        };
        let quiet: &[&str] = match self.random.below(4) {
            0 => &["CHECKPOINT", "SELECT pg_sleep(0.05)"],
            1 => &["VACUUM t", "CHECKPOINT", "SELECT pg_switch_wal()"],
            2 => &["VACUUM t"],
            _ => &["SELECT pg_sleep(0.1)"],
        };
        [builds, quiet.iter().map(|s| (*s).to_owned()).collect()]
    }

    /// Lets them all work, strikes after a random number of commits, and brings the server back.
    fn interrupted(
        &mut self,
        writers: Vec<Writer>,
        beside: &[Vec<String>],
        fault: &str,
    ) -> Vec<Writer> {
        let load = Pressure::start(&self.cluster, DATABASE, writers, beside);
        let patience = Duration::from_millis(self.random.between(50, 900));
        load.wait_for(self.random.between(3, 100), patience);
        std::thread::sleep(Duration::from_micros(self.random.below(30_000)));
        let outcome = match fault {
            "session killed" => self.cluster.kill_backend(*self.random.pick(load.pids())),
            "any process killed" => {
                let pid = any_process(&self.cluster, &mut self.random);
                self.cluster.kill_backend(pid)
            }
            "server killed" => self.cluster.crash().and_then(|()| self.cluster.start()),
            _ => {
                let moment = Duration::from_millis(self.random.between(1, 250));
                let twice = self.cluster.crash();
                let twice = twice.and_then(|()| self.cluster.start_and_crash(moment));
                twice.and_then(|()| self.cluster.start())
            }
        };
        outcome.unwrap_or_else(|e| panic!("after \"{fault}\": {e:#}"));
        load.end()
    }

    /// Nothing that was committed is lost, nothing else is there, and every index is whole.
    fn compare(&self, writers: &mut [Writer]) {
        let mut client = self.connect();
        let own: Vec<String> = self.deal.kinds.iter().map(|k| k.indexed.index.clone()).collect();
        drop_remains(&mut client, "t", &own);
        writers.iter_mut().for_each(|w| w.settle(&mut client));
        self.deal.assert_fine(&mut client, &self.queries);
        client.batch_execute("VACUUM t").unwrap_or_else(|e| panic!("{}", describe(&e)));
        self.deal.assert_fine(&mut client, &self.queries[..1]);
        assert_calm(&self.cluster);
    }
}

/// A process of the server, also those that serve nobody: the checkpointer, the one that writes the WAL …
fn any_process(cluster: &Cluster, random: &mut Random) -> i32 {
    let mut client = cluster.connect("postgres").unwrap_or_else(|e| panic!("{e:#}"));
    let sql = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type <> 'parallel worker'";
    let rows = client.query(sql, &[]).unwrap_or_else(|e| panic!("{}", describe(&e)));
    random.pick(&rows).get(0)
}
