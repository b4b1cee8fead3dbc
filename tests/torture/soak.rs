//! Eight sessions at once: four that write, VACUUM, one that builds indexes anew, one that looks for rows which are always there, and
//! one that compares. Nobody may wait for somebody who waits for him.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use checks::agreement::{Indexed, assert_sound, is_gone};
use checks::catalogue::{Deal, Kind};
use checks::pressure::{Pressure, drop_remains, joined};
use checks::random::Random;
use checks::watch::{Watchdog, assert_never_crashed};
use checks::workload::{self, Writer};
use checks::{create_database, describe};
use postgres::Client;
use postgres::error::SqlState;
use xtask::cluster::Cluster;

use crate::Turn;
use crate::account::Account;

const DATABASE: &str = "together";
const WRITERS: usize = 4;
/// Rows that stay as they are: every scan must find them. Keys beside those of any writer.
const ANCHORS: i64 = 200;
const FIRST_ANCHOR: i64 = 900_000_000;

/// One server for `turn.lasting`.
pub fn run(turn: &Turn, account: &mut Account) {
    let mut random = Random::new(turn.seed);
    let deal = Deal::new(turn.seed, "t", turn.dims());
    account.begin("minutes with 8 sessions", &deal);
    let cluster = server(turn);
    let _watchdog = Watchdog::new(&cluster, turn.limit);
    let (mut client, writers) = prepare(&cluster, &deal, &mut random);
    let queries = deal.queries(&mut client, 2);
    let over = Arc::new(AtomicBool::new(false));
    let others = bystanders(&cluster, &over, &deal, &queries);
    // No ANALYZE: it and CREATE INDEX CONCURRENTLY wait for each other, whatever the index.
    let vacuum = ["VACUUM t", "VACUUM (PARALLEL 2, TRUNCATE off) t"];
    let vacuum = vacuum.map(str::to_owned).to_vec();
    let load = Pressure::start(&cluster, DATABASE, writers, &[vacuum]);
    load.wait_for(u64::MAX / 2, turn.lasting);
    let commits = load.commits();
    let mut writers = load.end();
    over.store(true, Ordering::Relaxed);
    account.note("commits of writers beside each other", commits);
    for (what, other) in others {
        let (n, counted) = joined(other);
        account.note(what, counted);
        if counted < n {
            account.note("known rows found by a wider beam", n - counted);
        }
    }
    let own: Vec<String> = deal.kinds.iter().map(|k| k.indexed.index.clone()).collect();
    drop_remains(&mut client, "t", &own);
    writers.iter_mut().for_each(|w| w.settle(&mut client));
    for _ in 0..2 {
        deal.assert_fine(&mut client, &queries);
        client.batch_execute("VACUUM t").unwrap_or_else(|e| panic!("{}", describe(&e)));
    }
    let rows: usize = writers.iter().map(Writer::len).sum();
    println!(
        "soak seed {}: {} s, {commits} commits, {rows} rows",
        turn.seed,
        turn.lasting.as_secs()
    );
    count_waits(&cluster, &mut client, account);
    assert_never_crashed(&cluster);
    account.end();
}

/// Waiting for a lock this long means that two wait for each other.
fn server(turn: &Turn) -> Cluster {
    let cluster = turn
        .forced(checks::cluster())
        .set("shared_buffers", "4MB")
        .set("lock_timeout", "180s")
        .set("statement_timeout", "400s")
        .set("log_lock_waits", "on")
        .set("min_parallel_index_scan_size", "0")
        .set("autovacuum", if turn.seed.is_multiple_of(2) { "off" } else { "on" })
        .set("autovacuum_naptime", "1s")
        .set("max_wal_size", "256MB")
        .checksums()
        .evidence(&turn.evidence)
        .start();
    cluster.unwrap_or_else(|e| panic!("{e:#}"))
}

fn prepare(cluster: &Cluster, deal: &Deal, random: &mut Random) -> (Client, Vec<Writer>) {
    create_database(cluster, DATABASE);
    let mut client = connect(cluster);
    workload::install(&mut client);
    Writer::create_table_of(&mut client, "t", &deal.column());
    let last = FIRST_ANCHOR + ANCHORS - 1;
    run_one(
        &mut client,
        &format!(
            "INSERT INTO t SELECT k, 0, made(k, {}) FROM generate_series({FIRST_ANCHOR}, {last}) k",
            deal.dims
        ),
    );
    deal.create(&mut client);
    let (batch, many) = if deal.dims == 16 { (25, 2400) } else { (3, 100) };
    let writer = |no| Writer::new("t", deal.dims, no, batch, random).at_most(many / WRITERS);
    (client, (0..WRITERS).map(writer).collect())
}

/// What is counted, and a session that returns how often it tried and how often it counts.
type Counted = (&'static str, JoinHandle<(u64, u64)>);
/// True if it counts.
type Work = Box<dyn FnMut(&mut Client, u64) -> bool + Send>;

fn bystanders(
    cluster: &Cluster,
    over: &Arc<AtomicBool>,
    deal: &Deal,
    queries: &[String],
) -> Vec<Counted> {
    let again = |what, mut work: Work| -> Counted {
        let (mut client, over) = (connect(cluster), Arc::clone(over));
        let thread = thread::spawn(move || {
            let (mut n, mut counted) = (0, 0);
            while n == 0 || !over.load(Ordering::Relaxed) {
                counted += u64::from(work(&mut client, n));
                n += 1;
            }
            (n, counted)
        });
        (what, thread)
    };
    let (built, found, compared) = (deal.clone(), deal.clone(), deal.clone());
    let queries = queries.to_owned();
    vec![
        again("indexes built anew", Box::new(move |client, n| rebuild(client, &built, n))),
        again(
            "known rows found at once",
            Box::new(move |client, n| find_anchor(client, &found, n)),
        ),
        again(
            "whole tables compared",
            Box::new(move |client, n| {
                let kinds = &compared.kinds;
                let index = &kinds[n as usize / 3 % kinds.len()].indexed;
                match n % 3 {
                    0 => index.assert_exact(client, &queries),
                    1 => index.assert_batch_exact(client, &queries),
                    _ => sound_unless_gone(client, index),
                }
                true
            }),
        ),
    ]
}

fn run_one(client: &mut Client, statement: &str) {
    client.batch_execute(statement).unwrap_or_else(|e| panic!("{statement}: {}", describe(&e)));
}

/// The second index is partial, so that no query takes it.
fn rebuild(client: &mut Client, deal: &Deal, n: u64) -> bool {
    let Kind { indexed, definition, .. } = &deal.kinds[n as usize % deal.kinds.len()];
    run_one(client, &format!("REINDEX INDEX CONCURRENTLY {}", indexed.index));
    let other = format!("CREATE INDEX CONCURRENTLY other ON t {definition} WHERE id >= 0");
    run_one(client, &other);
    assert_sound(client, "other");
    run_one(client, "DROP INDEX CONCURRENTLY other");
    true
}

/// The row nearest to an anchor's own vector is the anchor, but for the inner product. True if a beam of moderate width found it, too:
/// in a graph that is no promise.
fn find_anchor(client: &mut Client, deal: &Deal, n: u64) -> bool {
    let key = FIRST_ANCHOR + (n % ANCHORS as u64) as i64;
    let Indexed { operator, index, .. } = &deal.kinds[n as usize % deal.kinds.len()].indexed;
    if operator == "<#>" {
        return true;
    }
    run_one(
        client,
        "SET enable_seqscan = off; SET faiss.nprobe = 65536; SET faiss.k_factor = 1024",
    );
    let sql = format!("SELECT id FROM t ORDER BY v {operator} made({key}, {}) LIMIT 1", deal.dims);
    let mut nearest = |ef_search: u32| -> i64 {
        run_one(client, &format!("SET faiss.efSearch = {ef_search}"));
        let row = client.query_one(&sql, &[]);
        row.unwrap_or_else(|e| panic!("{index}: {}", describe(&e))).get(0)
    };
    let is_found = nearest(200) == key;
    assert!(
        is_found || nearest(65536) == key,
        "{index} has lost row {key}, which was always there"
    );
    is_found
}

fn sound_unless_gone(client: &mut Client, Indexed { index, .. }: &Indexed) {
    let sql = format!("SELECT blkno || ': ' || problem FROM faiss.check('{index}')");
    match client.query(&sql, &[]) {
        Ok(rows) => {
            let problems: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            assert!(problems.is_empty(), "{index} is broken: {problems:?}");
        }
        // It does not wait for a session that builds the index anew.
        Err(e) if is_gone(&e) || e.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {}
        Err(e) => panic!("{index}: {}", describe(&e)),
    }
}

/// Counts who waited for a lock for more than a second; fails at a deadlock.
fn count_waits(cluster: &Cluster, client: &mut Client, account: &mut Account) {
    let log = fs::read(cluster.log_path()).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines = |sign: &str| log.lines().filter(|line| line.contains(sign)).count() as u64;
    account.note("waits for a lock of more than a second", lines("still waiting for"));
    let sql = "SELECT sum(deadlocks)::bigint FROM pg_stat_database";
    let row = client.query_one(sql, &[]).unwrap_or_else(|e| panic!("{}", describe(&e)));
    let deadlocks = lines("deadlock detected").max(row.get::<_, i64>(0) as u64);
    account.note("deadlocks", deadlocks);
    assert_eq!(deadlocks, 0, "sessions waited for each other");
}

fn connect(cluster: &Cluster) -> Client {
    cluster.connect(DATABASE).unwrap_or_else(|e| panic!("{e:#}"))
}
