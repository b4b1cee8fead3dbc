//! Recall of our graph over 8-bit codes, its candidates re-ranked by exact distances, against FAISS's graph with the same
//! M, efConstruction and efSearch, on real vectors. Data as in `recall`; needs no server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ann::hnsw::{Beam, BuiltGraph, Codes, Graph, Grid, GridQuery, HnswParams, build, descend};
use ann::{Job, Metric};
use gauge::truth::Truth;
use gauge::vectors::{Dataset, Metric as Measure, Vectors};

const REQUIREMENTS: &[&str] = &["faiss-cpu==1.15.1", "numpy"];
const K: usize = 10;
const WIDTHS: [usize; 4] = [32, 64, 128, 256];
/// How far below FAISS is a failure.
const SLACK: f64 = 0.01;

#[test]
fn sift() {
    compare("sift-200k", Measure::L2, (40_000, 500), 16, 64);
}

#[test]
fn word_vectors() {
    compare("glove100-60k", Measure::Cosine, (30_000, 500), 16, 64);
}

#[test]
fn text_embeddings() {
    compare("minilm-100k", Measure::Cosine, (20_000, 500), 16, 64);
}

#[test]
fn long_text_embeddings() {
    if full() {
        compare("mpnet768-20k", Measure::Cosine, (20_000, 500), 32, 200);
    }
}

fn full() -> bool {
    std::env::var_os("PGFAISS_FULL").is_some_and(|v| v == "1")
}

fn load(name: &str, measure: Measure, (rows, queries): (usize, usize)) -> Option<Dataset> {
    let given = std::env::var_os("PGFAISS_DATA").map(PathBuf::from);
    let dir = given.unwrap_or_else(|| xtask::build::repository().join("../shared/data"));
    if !dir.join(name).exists() {
        eprintln!("{name} skipped: not in {} (PGFAISS_DATA)", dir.display());
        return None;
    }
    let set = xtask::bench::input::load(name, Some(&dir), Some(measure)).unwrap();
    Some(if full() { set } else { set.cut(rows, queries) })
}

fn compare(name: &str, measure: Measure, part: (usize, usize), m: usize, ef_construction: usize) {
    let Some(mut set) = load(name, measure, part) else { return };
    if measure == Measure::Cosine {
        set.base = set.base.normalised();
        set.queries = set.queries.normalised();
    }
    let truth = Truth::compute(&set, K, 2);
    let theirs = faiss(&set, &truth, m, ef_construction);
    let ours = ours(&set, &truth, m, ef_construction);
    for ((width, ours), theirs) in WIDTHS.into_iter().zip(ours).zip(theirs) {
        eprintln!("{name} M {m}, ef {width}: recall@10 {ours:.4}, FAISS {theirs:.4}");
        assert!(ours >= theirs - SLACK, "{name}, ef {width}: {ours:.4}, FAISS {theirs:.4}");
    }
}

struct Walk<'a> {
    graph: &'a BuiltGraph,
    of: Codes<'a>,
    query: &'a GridQuery,
}

impl Graph for Walk<'_> {
    type Error = ();

    fn links(&mut self, node: u32, level: usize, out: &mut Vec<u32>) -> Result<(), ()> {
        out.extend(self.graph.links(node, level));
        Ok(())
    }

    fn keys(&mut self, nodes: &[u32], out: &mut Vec<f32>) -> Result<(), ()> {
        self.query.keys(self.of, nodes, &mut Vec::new(), out);
        Ok(())
    }
}

fn ours(set: &Dataset, truth: &Truth, m: usize, ef_construction: usize) -> Vec<f64> {
    let (dims, rows) = (set.base.dims(), set.base.as_flat());
    let metric = if set.metric == Measure::L2 { Metric::L2 } else { Metric::Cosine };
    let grid = Grid::train(metric, dims, rows);
    let mut codes = vec![0; set.base.len() * grid.size()];
    let coded = set.base.rows().zip(codes.chunks_mut(grid.size()));
    let biases: Vec<f32> = coded.map(|(row, code)| grid.encode(row, code)).collect();
    let params = HnswParams { m, ef_construction, seed: 1234 };
    let graph = build(&grid, &codes, &biases, &params, &Job::default()).unwrap();
    let of = Codes { codes: &codes, stride: grid.size(), biases: &biases };
    let (mut beam, mut found) = (Beam::new(), Vec::new());
    let mut recall = |width| {
        let mut sum = 0.0;
        for (q, query) in set.queries.rows().enumerate() {
            let coded = grid.query(query);
            let mut walk = Walk { graph: &graph, of, query: &coded };
            let entry = descend(&mut walk, graph.entry, graph.level(graph.entry), 0).unwrap();
            beam.begin(set.base.len());
            beam.push_entry(entry);
            beam.tranche(&mut walk, 0, width, &mut found).unwrap();
            let distance = |id: u32| set.metric.distance(query, set.base.row(id as usize));
            found.sort_by(|a, b| distance(a.node).total_cmp(&distance(b.node)));
            let ids: Vec<u32> = found.iter().map(|near| near.node).collect();
            sum += truth.recall(set, q, &ids);
        }
        sum / set.queries.len() as f64
    };
    WIDTHS.map(&mut recall).to_vec()
}

fn write(path: &Path, vectors: &Vectors) {
    let bytes: Vec<u8> = vectors.as_flat().iter().flat_map(|x| x.to_le_bytes()).collect();
    fs::write(path, bytes).unwrap();
}

fn faiss(set: &Dataset, truth: &Truth, m: usize, ef_construction: usize) -> Vec<f64> {
    let python = xtask::python::environment("faiss", REQUIREMENTS).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (base, queries) = (dir.path().join("base"), dir.path().join("queries"));
    write(&base, &set.base);
    write(&queries, &set.queries);
    let widths: Vec<String> = WIDTHS.iter().map(usize::to_string).collect();
    let out = Command::new(python.join("bin/python"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python/graph.py"))
        .args([&base, &queries])
        .args([&set.base.dims().to_string(), set.metric.name(), &K.to_string()])
        .args([widths.join(","), m.to_string(), ef_construction.to_string()])
        // Threads that wait for each other by spinning take minutes on a busy machine.
        .env("OMP_NUM_THREADS", "1")
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let said = String::from_utf8(out.stdout).unwrap();
    let mut sums = vec![0.0; WIDTHS.len()];
    for line in said.lines() {
        let numbers: Vec<i64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
        let at = WIDTHS.iter().position(|width| *width as i64 == numbers[0]).unwrap();
        let ids: Vec<u32> = numbers[2..].iter().filter_map(|id| u32::try_from(*id).ok()).collect();
        sums[at] += truth.recall(set, numbers[1] as usize, &ids);
    }
    sums.into_iter().map(|sum| sum / set.queries.len() as f64).collect()
}
