//! A streaming standby: equal pages give equal answers, also while they change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use checks::agreement::Indexed;
use checks::random::Random;
use checks::watch::{Watchdog, assert_never_crashed};
use checks::workload::{self, Writer};
use checks::{create_database, describe, rounds};
use postgres::Client;
use xtask::cluster::Cluster;

const DATABASE: &str = "standby";
const DIMS: usize = 24;

struct Pair {
    primary: Cluster,
    standby: Cluster,
}

impl Pair {
    /// Queries on the standby are never cancelled for the sake of replay: replay waits.
    fn start() -> Self {
        let primary = checks::cluster()
            .set("full_page_writes", "on")
            .set("max_standby_streaming_delay", "-1")
            .set("shared_buffers", "4MB")
            .start()
            .unwrap();
        create_database(&primary, DATABASE);
        let mut client = primary.connect(DATABASE).unwrap();
        workload::install(&mut client);
        Writer::create_table(&mut client, "t", DIMS);
        client
            .batch_execute(&format!(
                "INSERT INTO t SELECT k, 0, made(k * 1000, {DIMS}) FROM generate_series(900000, 900999) k;
                 CREATE INDEX t_v ON t USING faissivf (v) WITH (nlist = 12)"
            ))
            .unwrap();
        let standby = primary.standby().unwrap();
        Self { primary, standby }
    }

    /// Fails unless both give the same rows in the same order, and those are the table's.
    fn assert_equal(&self, queries: &[String]) {
        self.primary.wait_for_replay(&self.standby).unwrap();
        let mut here = self.primary.connect(DATABASE).unwrap();
        let mut there = self.standby.connect(DATABASE).unwrap();
        let index = Indexed::l2("t");
        for query in queries {
            let (a, b) = (index.answers(&mut here, query), index.answers(&mut there, query));
            assert!(a == b, "the standby answers otherwise: {} rows, {} rows", a.len(), b.len());
        }
        index.assert_exact(&mut there, queries);
        index.assert_sound(&mut there);
    }
}

#[test]
fn a_standby_answers_equally_and_takes_over() {
    let mut random = Random::for_test("a_standby_answers_equally_and_takes_over", 11);
    let pair = Pair::start();
    let _watchdog = Watchdog::new(&pair.primary, Duration::from_secs(600 * rounds(1)));
    let mut client = pair.primary.connect(DATABASE).unwrap();
    let queries = workload::queries(&mut client, DIMS, 3);
    let mut writer = Writer::new("t", DIMS, 1, 30, &mut random);
    for round in 0..rounds(4) {
        for _ in 0..40 {
            writer.step(&mut client).unwrap();
        }
        pair.assert_equal(&queries);
        let lists = round % 3 + 5;
        for statement in [
            "DELETE FROM t WHERE id % 3 = 0 AND id < 1000000",
            "VACUUM t",
            "REINDEX INDEX t_v",
            &format!("ALTER INDEX t_v SET (nlist = {lists})"),
            "REINDEX INDEX CONCURRENTLY t_v",
        ] {
            client.batch_execute(statement).unwrap();
            pair.assert_equal(&queries);
        }
        writer.settle(&mut client);
    }
    let mut there = pair.standby.connect(DATABASE).unwrap();
    promoted(&pair, &mut there);
    writer.settle(&mut there);
    for _ in 0..60 {
        writer.step(&mut there).unwrap();
    }
    there.batch_execute("VACUUM t").unwrap();
    writer.settle(&mut there);
    Indexed::l2("t").assert_exact(&mut there, &queries);
    Indexed::l2("t").assert_sound(&mut there);
    assert_never_crashed(&pair.primary);
    assert_never_crashed(&pair.standby);
}

fn promoted(pair: &Pair, there: &mut Client) {
    pair.primary.wait_for_replay(&pair.standby).unwrap();
    let done: bool = there.query_one("SELECT pg_promote(true, 300)", &[]).unwrap().get(0);
    assert!(done, "the standby was not promoted");
}

/// Replay changes pages under running scans; each must still see exactly its snapshot.
#[test]
fn scans_on_a_standby_while_the_primary_vacuums() {
    let mut random = Random::for_test("scans_on_a_standby_while_the_primary_vacuums", 12);
    let pair = Pair::start();
    let _watchdog = Watchdog::new(&pair.primary, Duration::from_secs(600 * rounds(1)));
    let mut client = pair.primary.connect(DATABASE).unwrap();
    let queries = workload::queries(&mut client, DIMS, 2);
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (mut client, queries) = (pair.standby.connect(DATABASE).unwrap(), queries.clone());
            let done = Arc::clone(&done);
            thread::spawn(move || {
                let mut scans = 0;
                while !done.load(Ordering::Relaxed) || scans == 0 {
                    let outcome = Indexed::l2("t").compare(&mut client, &queries);
                    let differ = outcome.unwrap_or_else(|e| panic!("{}", describe(&e)));
                    assert_eq!(differ, None, "after {scans} good scans");
                    scans += 1;
                }
                scans
            })
        })
        .collect();
    let mut writer = Writer::new("t", DIMS, 1, 60, &mut random);
    for _ in 0..rounds(12) {
        for _ in 0..15 {
            writer.step(&mut client).unwrap();
        }
        client.batch_execute("VACUUM t").unwrap();
    }
    done.store(true, Ordering::Relaxed);
    let scans: Vec<u32> = readers.into_iter().map(|r| r.join().unwrap()).collect();
    eprintln!("comparisons on the standby: {scans:?}");
    pair.assert_equal(&queries);
    assert_never_crashed(&pair.standby);
}
