//! A statement that is stopped in the middle, by statement_timeout, pg_cancel_backend or pg_terminate_backend: it ends in 57014
//! or 57P01, soon, and leaves every index sound.

use std::thread;
use std::time::{Duration, Instant};

use checks::kinds::{EACH, Kind};
use checks::random::Random;
use checks::watch::assert_never_crashed;
use checks::{create_database, describe, rounds, workload};
use postgres::{Client, NoTls};
use xtask::cluster::Cluster;

const DATABASE: &str = "cancel";
const ROWS: u32 = 3000;

#[derive(Clone, Copy, Debug)]
enum Stop {
    Timeout,
    Cancel,
    Terminate,
}

const STOPS: [Stop; 3] = [Stop::Timeout, Stop::Cancel, Stop::Terminate];

/// What is done to one kind of index; `prepare` is left alone.
struct Work {
    what: &'static str,
    prepare: String,
    statement: String,
}

/// Everything that takes long, each at its own stage of an index's life.
fn works(kind: &Kind) -> Vec<Work> {
    let name = kind.name;
    let work = |what, prepare: &str, statement: String| Work {
        what,
        prepare: prepare.replace("NAME", name),
        statement,
    };
    let queries = format!("SELECT array_agg(v) FROM (SELECT v FROM {name} LIMIT 300) q");
    let mut works = vec![
        work("build", "DROP INDEX IF EXISTS NAME_v", kind.create_index("")),
        work("reindex", "", format!("REINDEX INDEX {name}_v")),
        work(
            "insert",
            "",
            format!("INSERT INTO {name} SELECT id + 10000, v FROM {name} WHERE id <= 1500"),
        ),
        work(
            "scan",
            "SET enable_seqscan = off; SET enable_sort = off",
            format!(
                "SELECT count(*) FROM {name} q, LATERAL (SELECT FROM {name} t ORDER BY t.v <-> q.v LIMIT 10) n"
            ),
        ),
        work(
            "batch search",
            "",
            format!("SELECT count(*) FROM faiss.search('{name}_v', ({queries}), 100)"),
        ),
        work("tune", "", format!("SELECT count(*) FROM faiss.tune('{name}_v')")),
        work("health", "", format!("SELECT count(*) FROM faiss.health('{name}_v')")),
        work("export", "", format!("SELECT octet_length(faiss.export('{name}_v', 'id'))")),
        work("check", "", format!("SELECT count(*) FROM faiss.check('{name}_v')")),
        work(
            "vacuum",
            "DELETE FROM NAME WHERE ctid = ANY (ARRAY(SELECT ctid FROM NAME TABLESAMPLE BERNOULLI (20)))",
            format!("VACUUM {name}"),
        ),
    ];
    if kind.method == "faissivf" {
        let train =
            format!("SELECT faiss.train('m' || nextval('models'), '{name}', 'v', 'IVF16,PQ4x4')");
        works.push(work("train", "", train));
    }
    works
}

#[test]
fn a_statement_that_is_stopped_leaves_the_index_sound() {
    let mut random = Random::for_test("a_statement_that_is_stopped_leaves_the_index_sound", 57);
    let cluster = checks::cluster().start().unwrap();
    create_database(&cluster, DATABASE);
    let mut client = cluster.connect(DATABASE).unwrap();
    workload::install(&mut client);
    run(&mut client, "CREATE SEQUENCE models");
    let queries = workload::queries(&mut client, Kind::DIMS, 2);
    let mut slowest = (Duration::ZERO, String::new());
    for kind in EACH {
        kind.create_table(&mut client, ROWS);
        for work in works(&kind) {
            let took = undisturbed(&mut client, &work);
            for stop in (0..rounds(1)).flat_map(|_| STOPS) {
                run(&mut client, &work.prepare);
                let after = Duration::from_micros(random.below(took.as_micros() as u64).max(500));
                let late = stopped(&cluster, &mut client, &work, stop, after);
                if late > slowest.0 {
                    slowest = (
                        late,
                        format!("{stop:?} of {} of {} after {after:?}", work.what, kind.name),
                    );
                }
                if client.is_closed() {
                    client = cluster.connect(DATABASE).unwrap();
                }
                if exists(&mut client, &kind) {
                    kind.indexed().assert_sound(&mut client);
                }
            }
            if !exists(&mut client, &kind) {
                run(&mut client, &kind.create_index(""));
            }
        }
        kind.assert_fine(&mut client, &queries);
        run(&mut client, &format!("DROP TABLE {}", kind.name));
    }
    eprintln!("the slowest answer came after {:?}: {}", slowest.0, slowest.1);
    assert_never_crashed(&cluster);
}

fn run(client: &mut Client, statement: &str) {
    client.batch_execute(statement).unwrap_or_else(|e| panic!("{statement}: {}", describe(&e)));
}

fn exists(client: &mut Client, kind: &Kind) -> bool {
    let index = format!("{}_v", kind.name);
    client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&index]).unwrap().get(0)
}

/// How long the statement takes if nobody stops it.
fn undisturbed(client: &mut Client, work: &Work) -> Duration {
    run(client, &work.prepare);
    let begin = Instant::now();
    run(client, &work.statement);
    begin.elapsed()
}

/// Stops the statement some time after its begin, unless it is through before; returns how long it then went on.
fn stopped(
    cluster: &Cluster,
    client: &mut Client,
    work: &Work,
    stop: Stop,
    after: Duration,
) -> Duration {
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let by_timeout = matches!(stop, Stop::Timeout);
    if by_timeout {
        run(client, &format!("SET statement_timeout = {}", after.as_millis().max(1)));
    }
    let config = cluster.config("postgres");
    let begin = Instant::now();
    let other = thread::spawn(move || {
        let function = match stop {
            Stop::Timeout => return begin + after.max(Duration::from_millis(1)),
            Stop::Cancel => "pg_cancel_backend",
            Stop::Terminate => "pg_terminate_backend",
        };
        let mut client = config.connect(NoTls).unwrap();
        thread::sleep(after.saturating_sub(begin.elapsed()));
        client.execute(&format!("SELECT {function}($1)"), &[&pid]).unwrap();
        Instant::now()
    });
    let outcome = client.batch_execute(&work.statement);
    let ended = Instant::now();
    let asked = other.join().unwrap();
    let what = || format!("{stop:?} of {}", work.statement);
    match &outcome {
        // The connection may notice its end before it reads the message, or when it sends the statement.
        Err(e) if e.code().is_none() => assert!(matches!(stop, Stop::Terminate), "{}", what()),
        Err(e) => {
            let code = e.code().map(|c| c.code());
            let expected = if matches!(stop, Stop::Terminate) { "57P01" } else { "57014" };
            assert_eq!(code, Some(expected), "{}: {}", what(), describe(e));
        }
        Ok(()) => (),
    }
    settle(client, by_timeout);
    if outcome.is_err() { ended.saturating_duration_since(asked) } else { Duration::ZERO }
}

/// Lets a signal that came after the statement's end take effect now.
fn settle(client: &mut Client, by_timeout: bool) {
    for _ in 0..20 {
        let _ = client.batch_execute("SELECT pg_sleep(0.001)");
    }
    if by_timeout && !client.is_closed() {
        run(client, "SET statement_timeout = 0");
    }
}
