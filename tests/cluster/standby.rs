//! Scans on a streaming standby while replay changes the pages under them. Load, crashes and promotion are in
//! `tests/torture/standby.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use checks::kinds;
use checks::random::Random;
use checks::watch::{Watchdog, assert_never_crashed};
use checks::workload::{self, Writer};
use checks::{create_database, describe, rounds};
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
                "INSERT INTO t SELECT k, 0, made(k * 1000, {DIMS}) FROM generate_series(900000, 900999) k"
            ))
            .unwrap();
        kinds::create(&mut client, "t", DIMS, 12);
        let standby = primary.standby().unwrap();
        Self { primary, standby }
    }

    /// Fails unless both give the same rows in the same order, and those are the table's.
    fn assert_equal(&self, queries: &[String]) {
        self.primary.wait_for_replay(&self.standby).unwrap();
        let mut here = self.primary.connect(DATABASE).unwrap();
        let mut there = self.standby.connect(DATABASE).unwrap();
        for index in kinds::of("t") {
            for query in queries {
                let (a, b) = (index.answers(&mut here, query), index.answers(&mut there, query));
                let (name, n, m) = (&index.index, a.len(), b.len());
                assert!(a == b, "{name} answers otherwise on the standby: {n} rows, {m} rows");
            }
        }
        kinds::assert_fine(&mut there, "t", queries);
    }
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
    let readers: Vec<_> = kinds::of("t")
        .into_iter()
        .map(|index| {
            let (mut client, queries) = (pair.standby.connect(DATABASE).unwrap(), queries.clone());
            let done = Arc::clone(&done);
            thread::spawn(move || {
                let mut scans = 0;
                while !done.load(Ordering::Relaxed) || scans == 0 {
                    let outcome = index.compare(&mut client, &queries);
                    let differ = outcome.unwrap_or_else(|e| panic!("{}", describe(&e)));
                    assert_eq!(differ, None, "{} after {scans} good scans", index.index);
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
