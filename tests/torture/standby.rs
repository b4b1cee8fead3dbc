//! A streaming standby under load: at the same place in the WAL it answers as the primary does, page by page and row by row; it may
//! be killed meanwhile, and takes over in the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use checks::catalogue::Deal;
use checks::pressure::{Pressure, drop_remains, joined, killed};
use checks::random::Random;
use checks::watch::{Watchdog, assert_calm, assert_never_crashed};
use checks::workload::{self, Writer};
use checks::{create_database, describe};
use postgres::Client;
use xtask::cluster::Cluster;

use crate::Turn;
use crate::account::Account;

const DATABASE: &str = "standby";
const WRITERS: usize = 3;

struct Pair {
    primary: Cluster,
    standby: Cluster,
    deal: Deal,
    queries: Vec<String>,
}

/// A pair of servers of its own for `turn.cycles` rounds; then the standby is promoted.
pub fn run(turn: &Turn, account: &mut Account) {
    let mut random = Random::new(turn.seed);
    let deal = Deal::new(turn.seed, "t", turn.dims());
    account.begin("standby", &deal);
    let (mut pair, mut writers) = Pair::start(turn, deal, &mut random);
    let _watchdogs =
        [Watchdog::new(&pair.primary, turn.limit), Watchdog::new(&pair.standby, turn.limit)];
    for round in 0..turn.cycles {
        let is_killed = random.below(3) == 0;
        let fault = if is_killed { "standby killed" } else { "standby" };
        account.begin(fault, &pair.deal);
        writers = pair.round(writers, is_killed, &mut random, account);
        pair.assert_equal(&mut writers);
        println!("standby seed {} round {round}: {fault}", turn.seed);
        account.end();
    }
    account.begin("promoted", &pair.deal);
    pair.promote(writers, &mut random);
    println!("standby seed {}: promoted", turn.seed);
    account.end();
}

impl Pair {
    /// Queries on the standby are never cancelled for the sake of replay: replay waits.
    fn start(turn: &Turn, deal: Deal, random: &mut Random) -> (Self, Vec<Writer>) {
        let primary = turn
            .forced(checks::with_images(checks::cluster()))
            .set("full_page_writes", "on")
            .set("max_standby_streaming_delay", "-1")
            .set("shared_buffers", "4MB")
            .set("max_wal_size", "256MB")
            .checksums()
            .evidence(&turn.evidence)
            .start()
            .unwrap_or_else(|e| panic!("{e:#}"));
        create_database(&primary, DATABASE);
        let mut client = connect(&primary);
        workload::install(&mut client);
        Writer::create_table_of(&mut client, "t", &deal.column());
        let (rows, batch) = if deal.dims == 16 { (1500, 40) } else { (90, 4) };
        let writer = |no| {
            let writer = Writer::new("t", deal.dims, no, batch, random);
            writer.duplicates(1 + turn.seed as i64 % 3).at_most(rows / WRITERS)
        };
        let mut writers: Vec<Writer> = (0..WRITERS).map(writer).collect();
        for writer in &mut writers {
            // With a third of them a graph is a list at first.
            let first = rows / WRITERS * [1, 2][turn.seed as usize % 2] / 3;
            let inserted = writer.insert(&mut client, first as u64);
            inserted.unwrap_or_else(|e| panic!("{}", describe(&e)));
        }
        deal.create(&mut client);
        let queries = deal.queries(&mut client, 2);
        let standby = primary.standby().unwrap_or_else(|e| panic!("{e:#}"));
        (Self { primary, standby, deal, queries }, writers)
    }

    /// Load on the primary, with somebody who compares on the standby, or with the standby killed amid its replay.
    fn round(
        &mut self,
        writers: Vec<Writer>,
        is_killed: bool,
        random: &mut Random,
        account: &mut Account,
    ) -> Vec<Writer> {
        let index = self.deal.any(random).to_owned();
        let builds = [
            vec![format!("REINDEX INDEX CONCURRENTLY {index}"), "VACUUM t".to_owned()],
            vec!["VACUUM t".to_owned(), "CHECKPOINT".to_owned()],
            vec![format!("REINDEX INDEX {index}"), "VACUUM t".to_owned()],
        ];
        let beside = [random.pick(&builds).clone()];
        let over = Arc::new(AtomicBool::new(false));
        let reader = (!is_killed).then(|| self.reader(&over));
        let load = Pressure::start(&self.primary, DATABASE, writers, &beside);
        load.wait_for(random.between(30, 150), Duration::from_secs(5));
        if is_killed {
            let again = self.standby.crash().and_then(|()| self.standby.start());
            again.unwrap_or_else(|e| panic!("the killed standby: {e:#}"));
            load.wait_for(random.between(5, 50), Duration::from_secs(2));
        }
        let writers = load.end();
        over.store(true, Ordering::Relaxed);
        let compared = reader.map_or(0, joined);
        account.note("comparisons on the standby during replay", compared);
        writers
    }

    /// Each scan on the standby must see exactly its snapshot, whatever replay does to the pages.
    fn reader(&self, over: &Arc<AtomicBool>) -> JoinHandle<u64> {
        let mut client = connect(&self.standby);
        let (over, deal, queries) = (Arc::clone(over), self.deal.clone(), self.queries.clone());
        thread::spawn(move || {
            let mut n = 0;
            while n == 0 || !over.load(Ordering::Relaxed) {
                let index = &deal.kinds[n as usize % deal.kinds.len()].indexed;
                match index.compare(&mut client, &queries[..1]) {
                    Ok(differ) => assert_eq!(differ, None, "{} on the standby", index.index),
                    Err(e) if killed(&e) => break,
                    Err(e) => panic!("{} on the standby: {}", index.index, describe(&e)),
                }
                index.assert_batch_exact(&mut client, &queries);
                n += 1;
            }
            n
        })
    }

    /// Both give the same rows in the same order, and those are the table's.
    fn assert_equal(&self, writers: &mut [Writer]) {
        let mut here = connect(&self.primary);
        let own: Vec<String> = self.deal.kinds.iter().map(|k| k.indexed.index.clone()).collect();
        drop_remains(&mut here, "t", &own);
        self.primary.wait_for_replay(&self.standby).unwrap_or_else(|e| panic!("{e:#}"));
        let mut there = connect(&self.standby);
        for kind in &self.deal.kinds {
            for query in &self.queries {
                let index = &kind.indexed;
                let (a, b) = (index.answers(&mut here, query), index.answers(&mut there, query));
                let (name, n, m) = (&index.index, a.len(), b.len());
                assert!(a == b, "{name} answers otherwise on the standby: {n} rows, {m} rows");
            }
        }
        self.deal.assert_fine(&mut there, &self.queries);
        writers.iter_mut().for_each(|w| w.settle(&mut there));
        assert_never_crashed(&self.primary);
        assert_calm(&self.standby);
    }

    /// The standby takes over, and writers go on there.
    fn promote(&self, writers: Vec<Writer>, random: &mut Random) {
        let mut there = connect(&self.standby);
        let done = there.query_one("SELECT pg_promote(true, 300)", &[]);
        let done: bool = done.unwrap_or_else(|e| panic!("{}", describe(&e))).get(0);
        assert!(done, "the standby was not promoted");
        let index = self.deal.any(random);
        let beside = [vec!["VACUUM t".to_owned(), format!("REINDEX INDEX CONCURRENTLY {index}")]];
        let load = Pressure::start(&self.standby, DATABASE, writers, &beside);
        load.wait_for(50, Duration::from_secs(5));
        let mut writers = load.end();
        writers.iter_mut().for_each(|w| w.settle(&mut there));
        self.deal.assert_fine(&mut there, &self.queries);
        assert_calm(&self.standby);
    }
}

fn connect(cluster: &Cluster) -> Client {
    cluster.connect(DATABASE).unwrap_or_else(|e| panic!("{e:#}"))
}
