//! With nothing set, recall@10 on queries that were never rows is what `faiss.recall_target` says: for the usual codes and a graph,
//! with `PGFAISS_KINDS=all` for every code and more graphs.

use checks::{Database, describe};
use gauge::truth::Truth;
use gauge::vectors::{Dataset, Metric};
use postgres::Client;
use xtask::bench::procfs::{cpu_s, running_ms};
use xtask::vector::Vector;

use super::{Case, K, load, run};

/// How far recall may lie from the target. Parts of a set have fewer rows, and queries of which each counts for more.
const SLACK: f64 = 0.02;
/// Targets asked for, the first by setting nothing.
const TARGETS: [f64; 2] = [0.95, 0.99];

/// What an index is made of: its access method and options.
fn kinds(dims: usize, nlist: i32) -> Vec<(&'static str, String)> {
    let factory = |before: &str, after: &str| {
        ("faissivf", format!("WITH (factory = '{before}IVF{nlist},{after}')"))
    };
    let code = |options: &str| ("faissivf", format!("WITH ({options})"));
    let m = if dims.is_multiple_of(16) { 16 } else { dims / 5 };
    let mut kinds = vec![
        ("faissivf", String::new()),
        code("code = flat"),
        code("code = sq8"),
        code(&format!("code = pqfs, m = {}", dims / 2)),
        factory("RR,", "RaBitQ"),
        ("faisshnsw", String::new()),
    ];
    if std::env::var_os("PGFAISS_KINDS").is_some_and(|kinds| kinds == "all") {
        kinds.extend([
            code("code = sqfp16"),
            code("code = sq4"),
            code(&format!("code = pq, m = {m}")),
            code(&format!("code = pq, m = {m}, refine = flat")),
            factory("RR,", "RaBitQ4"),
            factory("RR,", "RaBitQ2"),
            factory("RR,", "RaBitQ,RFlat"),
            factory("HR,", "RaBitQ"),
            ("faissflat", "WITH (code = sq8)".to_owned()),
            ("faissflat", format!("WITH (code = pqfs, m = {})", dims / 2)),
            ("faisshnsw", "WITH (code = sq8)".to_owned()),
            ("faisshnsw", "WITH (m = 16, efConstruction = 64)".to_owned()),
        ]);
    }
    kinds
}

#[test]
fn target_sift() {
    case(&Case { set: "sift-200k", metric: Metric::L2, rows: 40_000, queries: 500 });
}

#[test]
fn target_minilm() {
    case(&Case { set: "minilm-100k", metric: Metric::Cosine, rows: 20_000, queries: 500 });
}

#[test]
fn target_glove() {
    case(&Case { set: "glove100-60k", metric: Metric::Cosine, rows: 30_000, queries: 500 });
}

#[test]
fn target_mpnet() {
    case(&Case { set: "mpnet768-20k", metric: Metric::Cosine, rows: 8_000, queries: 300 });
}

#[test]
fn target_dictionary() {
    measure("dictionary", &checks::dictionary());
}

fn case(case: &Case) {
    if let Some(set) = load(case) {
        measure(case.set, &set);
    }
}

fn measure(name: &str, set: &Dataset) {
    let truth = Truth::compute(set, K, 2);
    let db = Database::new(&format!("target_{name}"));
    let mut client = db.connect();
    checks::load(&mut client, "t", &set.base);
    run(&mut client, "SET maintenance_work_mem = '512MB'; SET enable_seqscan = off");
    let only = std::env::var("PGFAISS_ONLY").unwrap_or_default();
    let mut failures = Vec::new();
    let nlist = client
        .query_one("SELECT faiss.optimal_nlist((SELECT count(*) FROM t))", &[])
        .unwrap_or_else(|e| panic!("{}", describe(&e)))
        .get(0);
    for (method, options) in kinds(set.base.dims(), nlist) {
        let what = format!("{name}, {} rows: {method} {options}", set.base.len());
        if !what.contains(&only) {
            continue;
        }
        build(&mut client, method, &options, set.metric);
        let chosen: String = client
            .query_one("SELECT search FROM faiss.index_info('t_v')", &[])
            .unwrap_or_else(|e| panic!("{}", describe(&e)))
            .get(0);
        let by_rows: f64 = client
            .query_one("SELECT recall FROM faiss.recall('t_v', queries => 1000)", &[])
            .unwrap_or_else(|e| panic!("{}", describe(&e)))
            .get(0);
        eprintln!("{what}: recall by rows {by_rows:.4}");
        for target in TARGETS {
            if target != TARGETS[0] {
                run(&mut client, &format!("SET faiss.recall_target = {target}"));
            }
            let (recall, ms) = recall(&mut client, set, &truth);
            eprintln!("{what}: target {target}: recall@{K} {recall:.4}, {ms:.3} ms; {chosen}");
            // A portion of candidates is the least that codes can be given more of.
            if recall < target - SLACK {
                failures.push(format!("{what}: target {target}: recall@{K} {recall:.4}"));
            }
        }
        run(&mut client, "RESET faiss.recall_target");
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Builds index `t_v`, and says what it took.
fn build(client: &mut Client, method: &str, options: &str, metric: Metric) {
    let pid = backend(client);
    let before = cpu_s(pid).unwrap();
    let class = metric.opclass();
    let create = format!("CREATE INDEX t_v ON t USING {method} (v {class}) {options}");
    run(client, &format!("DROP INDEX IF EXISTS t_v; {create}"));
    eprintln!("{method} {options}: built in {:.1} s of CPU", cpu_s(pid).unwrap() - before);
    run(client, "VACUUM ANALYZE t");
}

fn backend(client: &mut Client) -> u32 {
    client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get::<_, i32>(0) as u32
}

/// Mean recall@10 of all queries with the settings as they are, and the CPU milliseconds of a query once the index is in memory.
fn recall(client: &mut Client, set: &Dataset, truth: &Truth) -> (f64, f64) {
    let sql = format!("SELECT id FROM t ORDER BY v {} $1 LIMIT {K}", set.metric.operator());
    let statement = client.prepare(&sql).unwrap();
    let pid = backend(client);
    let n = set.queries.len();
    let (mut sum, mut ms) = (0.0, 0.0);
    for pass in 0..2 {
        let before = running_ms(pid).unwrap();
        for query in 0..n {
            let rows = client.query(&statement, &[&Vector(set.queries.row(query))]).unwrap();
            if pass == 0 {
                let found: Vec<u32> = rows.iter().map(|row| row.get::<_, i32>(0) as u32).collect();
                assert_eq!(found.len(), K);
                sum += truth.recall(set, query, &found);
            }
        }
        ms = (running_ms(pid).unwrap() - before) / n as f64;
    }
    (sum / n as f64, ms)
}
