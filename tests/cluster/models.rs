//! Trained models on their way through the world: dumped and restored, by superusers and by others, in unlogged indexes
//! after a crash, and cancelled while they are trained.

use std::io::Write;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use checks::agreement::Indexed;
use checks::{Database, create_database, describe, shared, workload};
use postgres::{Client, NoTls};
use xtask::cluster::Cluster;

/// Model, factory string, metric; operator and operator class of the index with it.
const MODELS: [(&str, &str, &str, &str, &str); 3] = [
    ("lists", "IVF10,Flat", "l2", "<->", "vector_l2_ops"),
    ("turned", "RR,IVF10,RaBitQ,Refine(SQ8)", "cosine", "<=>", "vector_cosine_ops"),
    ("flat", "OPQ4,PQ4x4,RFlat", "inner_product", "<#>", "vector_ip_ops"),
];

/// The bytes of an index's trained parameters (MODEL pages, kind 9) and centroids: the DATA pages (kind 5) before the first
/// CODES page of the coarse quantizer.
const TRAINED_PAGES: &str = "
    SELECT md5(string_agg(substr(page, 25, 8152), NULL ORDER BY no))
    FROM (SELECT no, substr(file, no * 8192 + 1, 8192) AS page,
                 get_byte(file, 24 + 156) + 256 * get_byte(file, 24 + 157) AS codes_first
          FROM pg_read_binary_file(pg_relation_filepath($1::text::regclass)) file,
               generate_series(0, length(file) / 8192 - 1) no) p
    WHERE get_byte(page, 8176) = 9 OR get_byte(page, 8176) = 5 AND no < codes_first";

const STORED: &str = "
    SELECT format('%s %s', m, md5(parameters)) FROM faiss.models m
    JOIN faiss.model_parameters USING (name) ORDER BY 1";

fn run(client: &mut Client, statement: &str) {
    client.batch_execute(statement).unwrap_or_else(|e| panic!("{statement}: {}", describe(&e)));
}

fn texts(client: &mut Client, query: &str) -> Vec<String> {
    client.query(query, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

fn trained_pages(client: &mut Client, index: &str) -> String {
    run(client, "CHECKPOINT");
    client.query_one(TRAINED_PAGES, &[&index]).unwrap().get(0)
}

/// The indexes that [`create`] makes on `table`.
fn indexes(table: &str) -> Vec<Indexed> {
    let of = |(name, factory, _, operator, _): (&str, &str, &str, &str, &str)| Indexed {
        index: format!("{table}_{name}"),
        operator: operator.to_owned(),
        is_coded: !factory.ends_with(",Flat"),
        ..Indexed::l2(table)
    };
    MODELS.into_iter().map(of).collect()
}

/// Makes table `t` and the models of its rows.
fn train(client: &mut Client) {
    workload::install(client);
    run(
        client,
        "CREATE TABLE t (id bigint, v vector(16));
         INSERT INTO t SELECT i, made(i, 16) FROM generate_series(1, 1500) i",
    );
    for (name, factory, metric, ..) in MODELS {
        run(client, &format!("SELECT faiss.train('{name}', 't', 'v', '{factory}', '{metric}')"));
    }
}

/// An index of `table` with each model.
fn create(client: &mut Client, table: &str) {
    for (name, factory, _, _, class) in MODELS {
        let method = if factory.contains("IVF") { "faissivf" } else { "faissflat" };
        run(
            client,
            &format!(
                "CREATE INDEX {table}_{name} ON {table} USING {method} (v {class}) WITH (model = {name})"
            ),
        );
    }
}

fn assert_fine(client: &mut Client, table: &str, queries: &[String]) {
    for index in indexes(table) {
        index.assert_sound(client);
        index.assert_exact(client, queries);
    }
}

/// What pg_dump says of `from`, as `user`, fed to psql on `to`.
fn copy(cluster: &Cluster, from: &str, to: &str, user: &str) {
    let conninfo = |dbname: &str| format!("{} user={user}", cluster.conninfo(dbname));
    let dump = cluster.tool("pg_dump").args(["-d", &conninfo(from)]).output().unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let mut psql = cluster.tool("psql");
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &conninfo(to)]);
    let mut child = psql.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&dump.stdout).unwrap();
    assert!(child.wait().unwrap().success(), "psql could not restore the dump");
}

/// Built again in another database, an index has the same centroids and codebooks, to the last bit.
#[test]
fn models_are_dumped_and_restored() {
    let db = Database::new("models");
    let mut client = db.connect();
    train(&mut client);
    create(&mut client, "t");
    run(
        &mut client,
        "CREATE TABLE p (id bigint, v vector(16)) PARTITION BY RANGE (id);
         CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (700);
         CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (700) TO (9000);
         INSERT INTO p SELECT * FROM t;
         CREATE INDEX p_v ON p USING faissivf (v) WITH (model = lists)",
    );
    let cluster = shared();
    run(&mut client, "CREATE DATABASE models_restored");
    copy(cluster, "models", "models_restored", &cluster.account().name);
    let mut restored = cluster.connect("models_restored").unwrap();
    assert_eq!(texts(&mut client, STORED), texts(&mut restored, STORED));
    assert_eq!(texts(&mut client, STORED).len(), MODELS.len());
    for index in ["t_lists", "t_turned", "t_flat", "p1_v_idx", "p2_v_idx"] {
        let pages = trained_pages(&mut client, index);
        assert_eq!(pages, trained_pages(&mut restored, index), "{index}");
        run(&mut restored, &format!("REINDEX INDEX {index}"));
        assert_eq!(pages, trained_pages(&mut restored, index), "{index} built again");
    }
    let queries = workload::queries(&mut restored, 16, 3);
    assert_fine(&mut restored, "t", &queries);
}

/// Whoever installed the trusted extension may dump the database and restore it.
#[test]
fn a_database_owner_dumps_and_restores() {
    let cluster = shared();
    let mut superuser = cluster.connect("postgres").unwrap();
    run(&mut superuser, "CREATE ROLE plain LOGIN");
    for name in ["plain_models", "plain_restored"] {
        run(&mut superuser, &format!("CREATE DATABASE {name} OWNER plain"));
        // What pg_dump says of this schema's owner only a superuser may repeat.
        let mut there = cluster.connect(name).unwrap();
        run(&mut there, "ALTER SCHEMA public OWNER TO plain");
    }
    let connect = |name: &str| cluster.config(name).user("plain").connect(NoTls).unwrap();
    let mut client = connect("plain_models");
    run(&mut client, "CREATE EXTENSION pgfaiss CASCADE");
    train(&mut client);
    create(&mut client, "t");
    copy(cluster, "plain_models", "plain_restored", "plain");
    let mut restored = connect("plain_restored");
    assert_eq!(texts(&mut client, STORED), texts(&mut restored, STORED));
    let owners = "SELECT DISTINCT owner::text FROM faiss.models";
    assert_eq!(texts(&mut restored, owners), ["plain"]);
    let queries = workload::queries(&mut restored, 16, 2);
    assert_fine(&mut restored, "t", &queries);
    run(&mut restored, "DROP TABLE t; SELECT faiss.drop_model(name) FROM faiss.models");
}

/// The empty index that a crash leaves of an unlogged one is trained, too.
#[test]
fn unlogged_indexes_keep_their_model() {
    let mut cluster = checks::cluster().start().unwrap();
    create_database(&cluster, "unlogged");
    let mut client = cluster.connect("unlogged").unwrap();
    train(&mut client);
    run(&mut client, "CREATE UNLOGGED TABLE u AS SELECT * FROM t");
    create(&mut client, "t");
    create(&mut client, "u");
    let queries = workload::queries(&mut client, 16, 3);
    assert_fine(&mut client, "u", &queries);
    let trained = |client: &mut Client, table: &str| -> Vec<String> {
        indexes(table).iter().map(|index| trained_pages(client, &index.index)).collect()
    };
    let logged = trained(&mut client, "t");
    cluster.crash().unwrap();
    cluster.start().unwrap();
    let mut client = cluster.connect("unlogged").unwrap();
    assert_eq!(client.query_one("SELECT count(*) FROM u", &[]).unwrap().get::<_, i64>(0), 0);
    assert_eq!(logged, trained(&mut client, "u"));
    run(&mut client, "INSERT INTO u SELECT * FROM t");
    assert_fine(&mut client, "u", &queries);
}

/// Training shows in the progress view, and ends when it is cancelled; nothing is left of it.
#[test]
fn training_is_cancelled() {
    let db = Database::new("training");
    let mut client = db.connect();
    workload::install(&mut client);
    run(
        &mut client,
        "CREATE TABLE t (id bigint, v vector(200));
         INSERT INTO t SELECT i, made(i, 200) FROM generate_series(1, 15000) i",
    );
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    for phase in ["sampling rows", "k-means iteration"] {
        let train = "SELECT faiss.train('m', 't', 'v', 'IVF400,Flat')";
        cancel_in(phase, &mut client, pid, train, "SELECT faiss.drop_model('m')");
        assert!(texts(&mut client, "SELECT name FROM faiss.models").is_empty());
    }
    run(&mut client, "SELECT faiss.train('m', 't', 'v', 'IVF10,Flat')");
    run(&mut client, "CREATE INDEX t_v ON t USING faissivf (v) WITH (model = m)");
    for phase in ["sampling rows", "comparing rows", "measuring settings"] {
        cancel_in(phase, &mut client, pid, "SELECT faiss.tune('t_v')", "SELECT 1");
    }
    run(&mut client, "SELECT faiss.recall('t_v', queries => 5)");
}

/// Runs `long` until it is cancelled in `phase`; it may be through before the cancel arrives, then `undo` is run.
fn cancel_in(phase: &'static str, client: &mut Client, pid: i32, long: &str, undo: &str) {
    let config = shared().config("training");
    let watcher = thread::spawn(move || cancel_in_phase(&config, pid, phase));
    while !watcher.is_finished() {
        match client.batch_execute(long) {
            Ok(()) => run(client, undo),
            Err(e) => assert_eq!(e.code().unwrap().code(), "57014", "{}", describe(&e)),
        }
    }
    watcher.join().unwrap();
    // The cancel may have come between two statements, or be on its way.
    let _ = client.batch_execute("SELECT pg_sleep(0.01)");
}

/// Cancels session `pid` once it is in `phase`.
fn cancel_in_phase(config: &postgres::Config, pid: i32, phase: &str) {
    let mut watcher = config.connect(NoTls).unwrap();
    let query = "SELECT pg_cancel_backend(pid) FROM pg_stat_progress_create_index
                 WHERE pid = $1 AND relid = 't'::regclass AND phase LIKE '%' || $2 || '%'";
    let query = watcher.prepare(query).unwrap();
    while watcher.query(&query, &[&pid, &phase]).unwrap().is_empty() {
        thread::sleep(Duration::from_millis(1));
    }
}
