//! recall@10 on real vectors: against the exact answers, against what is stored in baselines.txt, and
//! against FAISS's index of the same factory string. A row as near as the tenth counts as right.
//!
//! The sets beside the dictionary are looked for in `PGFAISS_DATA` (else `../shared/data` beside the
//! repository) and passed over, saying so, where absent. By default a part of each is used, with
//! `PGFAISS_FULL=1` all of it. `UPDATE_EXPECT=1` writes the baselines.

mod baselines;
mod bits;
mod cases;
mod codes;
mod faiss;
mod graphs;
mod growth;
mod hostile;
mod memory;
mod pgvector;
mod target;

use std::path::PathBuf;

use checks::Database;
use checks::agreement::{Indexed, assert_sound};
use gauge::truth::Truth;
use gauge::vectors::{Dataset, Metric};
use postgres::Client;
use xtask::vector::Vector;

const K: usize = 10;
const NPROBES: [u32; 6] = [1, 5, 10, 20, 40, 80];
/// At fewer lists than this the noise between two clusterings is larger than any bound worth having.
const COMPARED_FROM: u32 = 10;
/// How far below FAISS is a failure.
const FAISS_SLACK: f64 = 0.01;
/// Queries asked with every list probed.
const EXACT_QUERIES: usize = 30;

/// A data set under one metric, and how much of it is used by default.
struct Case {
    set: &'static str,
    metric: Metric,
    rows: usize,
    queries: usize,
}

#[test]
fn dictionary() {
    let set = checks::dictionary();
    measure("dictionary", &set);
}

#[test]
fn sift() {
    case(&Case { set: "sift-200k", metric: Metric::L2, rows: 40_000, queries: 500 });
}

#[test]
fn text_embeddings() {
    case(&Case { set: "minilm-100k", metric: Metric::Cosine, rows: 20_000, queries: 500 });
}

/// Long vectors, for which codes are made: only in full, where there are enough of them.
#[test]
fn long_text_embeddings() {
    if full() {
        let (set, metric) = ("mpnet768-20k", Metric::Cosine);
        case(&Case { set, metric, rows: 20_000, queries: 500 });
    }
}

#[test]
fn word_vectors_by_l2() {
    case(&Case { set: "glove100-60k", metric: Metric::L2, rows: 30_000, queries: 500 });
}

#[test]
fn word_vectors_by_cosine() {
    case(&Case { set: "glove100-60k", metric: Metric::Cosine, rows: 30_000, queries: 500 });
}

fn full() -> bool {
    std::env::var_os("PGFAISS_FULL").is_some_and(|v| v == "1")
}

fn data_dir() -> PathBuf {
    let given = std::env::var_os("PGFAISS_DATA").map(PathBuf::from);
    given.unwrap_or_else(|| xtask::build::repository().join("../shared/data"))
}

/// The set, or None (and a line that says so) where it is absent.
fn load(case: &Case) -> Option<Dataset> {
    let dir = data_dir();
    if !dir.join(case.set).exists() {
        eprintln!("{} skipped: not in {} (PGFAISS_DATA)", case.set, dir.display());
        return None;
    }
    let set = xtask::bench::input::load(case.set, Some(&dir), Some(case.metric));
    let set = set.unwrap_or_else(|e| panic!("{e:#}"));
    Some(if full() { set } else { set.cut(case.rows, case.queries) })
}

fn case(case: &Case) {
    if let Some(set) = load(case) {
        measure(&format!("{}_{}", case.set, case.metric.name()), &set);
    }
}

/// Builds an index with the automatic number of lists and asks all queries at each nprobe.
fn measure(name: &str, set: &Dataset) {
    let truth = Truth::compute(set, K, 2);
    let db = Database::new(name);
    let mut client = db.connect();
    checks::load(&mut client, "t", &set.base);
    create_index(&mut client, set.metric);
    let nlist = nlist(&mut client);
    let codes = codes::of(set.base.dims(), nlist, name == "dictionary");
    // The first, without a code, is trained and gives its centroids to the others.
    let mut theirs = faiss::Theirs {
        script: "ivf_recall.py",
        factories: vec![format!("IVF{nlist},Flat")],
        number: codes::K_FACTOR,
        settings: NPROBES.to_vec(),
    };
    theirs.factories.extend(codes.iter().map(|code| code.theirs.clone()));
    let bounds = faiss::recalls(set, &truth, &theirs);
    let stored = baselines::of(name, set.base.len(), set.queries.len(), nlist);
    let mut ours = Vec::new();
    for (nprobe, theirs) in NPROBES.into_iter().zip(&bounds[0]) {
        let recall = recall(&mut client, set, &truth, nprobe, set.queries.len());
        eprintln!(
            "{name}: {} rows, nlist {nlist}, nprobe {nprobe}: recall@10 {recall:.4}, FAISS {theirs:.4}",
            set.base.len()
        );
        assert!(
            nprobe < COMPARED_FROM || recall >= theirs - FAISS_SLACK,
            "recall {recall:.4} at nprobe {nprobe}, FAISS {theirs:.4}"
        );
        // A longer search has seen everything the shorter one saw.
        assert!(ours.last().is_none_or(|&(_, before)| recall >= before), "{ours:?}, {recall}");
        ours.push((nprobe, recall));
    }
    exact_with_every_list(&mut client, set, &truth, nlist);
    stored.check(&ours);
    for (code, bounds) in codes.iter().zip(&bounds[1..]) {
        codes::measure(&mut client, (name, set), &truth, code, bounds);
    }
    graphs::measure(&mut client, (name, set), &truth);
}

fn exact_with_every_list(client: &mut Client, set: &Dataset, truth: &Truth, nlist: u32) {
    let queries = EXACT_QUERIES.min(set.queries.len());
    let recall = recall(client, set, truth, nlist, queries);
    assert!(recall == 1.0, "recall {recall} with all {nlist} lists probed");
    let two: Vec<String> = set.queries.rows().take(2).map(checks::literal).collect();
    indexed(set.metric).assert_exact(client, &two);
    assert_sound(client, "t_v");
}

fn indexed(metric: Metric) -> Indexed {
    Indexed { operator: metric.operator().to_owned(), ..Indexed::l2("t") }
}

fn create_index(client: &mut Client, metric: Metric) {
    let class = metric.opclass();
    run(client, "SET maintenance_work_mem = '512MB'");
    run(client, &format!("CREATE INDEX t_v ON t USING faissivf (v {class}) WITH (code = flat)"));
    run(client, "VACUUM ANALYZE t");
}

fn nlist(client: &mut Client) -> u32 {
    let row = client.query_one("SELECT nlist FROM faiss.index_info('t_v')", &[]).unwrap();
    u32::try_from(row.get::<_, i32>(0)).unwrap()
}

/// Mean recall@10 of the first `n` queries, by a plan that must use the index.
fn recall(client: &mut Client, set: &Dataset, truth: &Truth, nprobe: u32, n: usize) -> f64 {
    run(client, &format!("SET faiss.nprobe = {nprobe}; SET enable_seqscan = off"));
    let operator = set.metric.operator();
    let sql = format!("SELECT id FROM t ORDER BY v {operator} $1 LIMIT {K}");
    let statement = client.prepare(&sql).unwrap();
    let first = Vector(set.queries.row(0));
    let plan = client.query(&format!("EXPLAIN (COSTS OFF) {sql}"), &[&first]).unwrap();
    let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
    assert!(plan.iter().any(|line| line.contains("Index Scan using t_v")), "{plan:?}");
    let mut sum = 0.0;
    for query in 0..n {
        let rows = client.query(&statement, &[&Vector(set.queries.row(query))]).unwrap();
        let found: Vec<u32> = rows.iter().map(|row| row.get::<_, i32>(0) as u32).collect();
        assert_eq!(found.len(), K);
        sum += truth.recall(set, query, &found);
    }
    sum / n as f64
}

fn run(client: &mut Client, statement: &str) {
    let done = client.batch_execute(statement);
    done.unwrap_or_else(|e| panic!("{statement}: {}", checks::describe(&e)));
}
