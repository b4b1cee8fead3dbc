//! A base backup taken under load, and the archived WAL up to a named restore point: what was there then is there again, and nothing
//! of what came later.

use std::time::{Duration, Instant};

use checks::catalogue::Deal;
use checks::pressure::{Pressure, drop_remains};
use checks::random::Random;
use checks::watch::{Watchdog, assert_calm, assert_never_crashed};
use checks::workload::{self, Writer};
use checks::{create_database, describe};
use postgres::Client;
use xtask::cluster::{ARCHIVE_COMMAND, Cluster};

use crate::Turn;
use crate::account::Account;

const DATABASE: &str = "pitr";
const WRITERS: usize = 3;
const FAULT: &str = "restored";

/// `turn.cycles` backups of one server, each restored.
pub fn run(turn: &Turn, account: &mut Account) {
    let mut random = Random::new(turn.seed);
    let deal = Deal::new(turn.seed, "t", turn.dims());
    account.begin(FAULT, &deal);
    let primary = server(turn);
    let _watchdog = Watchdog::new(&primary, turn.limit);
    create_database(&primary, DATABASE);
    let mut client = connect(&primary);
    workload::install(&mut client);
    Writer::create_table_of(&mut client, "t", &deal.column());
    let (rows, batch) = if deal.dims == 16 { (1500, 40) } else { (90, 4) };
    let writer = |no| {
        let writer = Writer::new("t", deal.dims, no, batch, &mut random);
        writer.duplicates(1 + turn.seed as i64 % 3).at_most(rows / WRITERS)
    };
    let mut writers: Vec<Writer> = (0..WRITERS).map(writer).collect();
    for writer in &mut writers {
        let inserted = writer.insert(&mut client, (rows / WRITERS * 2 / 3) as u64);
        inserted.unwrap_or_else(|e| panic!("{}", describe(&e)));
    }
    deal.create(&mut client);
    for cycle in 0..turn.cycles {
        account.begin(FAULT, &deal);
        writers = restored(&primary, &deal, writers, &mut random);
        println!("pitr seed {} cycle {cycle}: {FAULT}", turn.seed);
        account.end();
    }
    assert_never_crashed(&primary);
}

fn server(turn: &Turn) -> Cluster {
    let cluster = turn
        .forced(checks::cluster())
        .set("wal_consistency_checking", "generic")
        .set("full_page_writes", "on")
        .set("archive_mode", "on")
        .set("archive_command", ARCHIVE_COMMAND)
        .set("shared_buffers", "4MB")
        .set("max_wal_size", "64MB")
        .checksums()
        .evidence(&turn.evidence)
        .start();
    cluster.unwrap_or_else(|e| panic!("{e:#}"))
}

/// Load, a backup in the middle of it, load, the restore point, load; then the backup up to the restore point.
fn restored(
    primary: &Cluster,
    deal: &Deal,
    writers: Vec<Writer>,
    random: &mut Random,
) -> Vec<Writer> {
    let index = deal.any(random);
    let beside = [vec!["VACUUM t".to_owned(), format!("REINDEX INDEX CONCURRENTLY {index}")]];
    let mut load = Pressure::start(primary, DATABASE, writers, &beside);
    load.wait_for(20, Duration::from_secs(2));
    let mut copy = primary.backup().unwrap_or_else(|e| panic!("{e:#}"));
    load.wait_for(random.between(20, 80), Duration::from_secs(5));
    let mut then = load.end();
    let mut client = connect(primary);
    let own: Vec<String> = deal.kinds.iter().map(|k| k.indexed.index.clone()).collect();
    drop_remains(&mut client, "t", &own);
    then.iter_mut().for_each(|w| w.settle(&mut client));
    let queries = deal.queries(&mut client, 2);
    let answers = answers(&mut client, deal, &queries);
    let name = format!("point_{}", random.bits());
    let point = client.query_one("SELECT pg_create_restore_point($1)::text", &[&name]);
    let point: String = point.unwrap_or_else(|e| panic!("{}", describe(&e))).get(0);
    load = Pressure::start(primary, DATABASE, then.clone(), &beside);
    load.wait_for(random.between(20, 80), Duration::from_secs(5));
    let now = load.end();
    wait_for_archive(&mut client, &point);

    copy.restore(primary, &name).unwrap_or_else(|e| panic!("{e:#}"));
    let mut there = connect(&copy);
    then.iter_mut().for_each(|w| w.settle(&mut there));
    assert!(self::answers(&mut there, deal, &queries) == answers, "other answers than at {name}");
    deal.assert_fine(&mut there, &queries);
    let load = Pressure::start(&copy, DATABASE, then, &beside);
    load.wait_for(30, Duration::from_secs(3));
    let mut then = load.end();
    then.iter_mut().for_each(|w| w.settle(&mut there));
    deal.assert_fine(&mut there, &queries[..1]);
    assert_calm(&copy);
    now
}

fn answers(client: &mut Client, deal: &Deal, queries: &[String]) -> Vec<Vec<(i64, f64)>> {
    let each = deal.kinds.iter().flat_map(|kind| queries.iter().map(move |q| (kind, q)));
    each.map(|(kind, query)| kind.indexed.answers(client, query)).collect()
}

/// Returns when the WAL that holds position `lsn` is in the archive.
fn wait_for_archive(client: &mut Client, lsn: &str) {
    let begin = Instant::now();
    let sql = format!(
        "SELECT pg_switch_wal(), coalesce(last_archived_wal >= pg_walfile_name('{lsn}'), false)
         FROM pg_stat_archiver"
    );
    loop {
        let row = client.query_one(&sql, &[]).unwrap_or_else(|e| panic!("{}", describe(&e)));
        if row.get(1) {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(120), "the WAL is not archived");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn connect(cluster: &Cluster) -> Client {
    cluster.connect(DATABASE).unwrap_or_else(|e| panic!("{e:#}"))
}
