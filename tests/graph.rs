//! Recall of our graph over 8-bit codes, its candidates re-ranked by exact distances, against FAISS's graph with the same
//! M, efConstruction and efSearch, on real vectors. Data as in `recall`; needs no server.
//!
//! Two graphs that differ only by the seed of their levels find shares that differ by half a hundredth over a thousand
//! queries, FAISS's among themselves no less than ours: so the means over several seeds are compared, and rows that
//! are left out of a set are queries beside its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ann::hnsw::{
    Beam, BuiltGraph, Codes, Factors, Graph, Grid, GridQuery, HnswParams, Points, build, descend,
};
use ann::{Job, Metric};
use gauge::truth::Truth;
use gauge::vectors::{Dataset, Metric as Measure, Vectors};

const REQUIREMENTS: &[&str] = &["faiss-cpu==1.15.1", "numpy"];
const K: usize = 10;
const WIDTHS: [usize; 4] = [32, 64, 128, 256];
/// Graphs of each kind.
const SEEDS: [u64; 2] = [1, 2];
/// How far the mean may be below FAISS's.
const SLACK: f64 = 0.005;

#[test]
fn sift() {
    compare("sift-200k", Measure::L2, (40_000, 3000), 16, 64);
}

#[test]
fn word_vectors() {
    compare("glove100-60k", Measure::Cosine, (30_000, 5000), 16, 64);
}

#[test]
fn text_embeddings() {
    compare("minilm-100k", Measure::Cosine, (20_000, 3000), 16, 64);
}

#[test]
fn long_text_embeddings() {
    if full() {
        compare("mpnet768-20k", Measure::Cosine, (16_000, 3000), 32, 200);
        compare("mpnet768-20k", Measure::Cosine, (16_000, 3000), 16, 64);
    }
}

fn full() -> bool {
    std::env::var_os("PGFAISS_FULL").is_some_and(|v| v == "1")
}

/// A part of a set: its own queries first, then rows that are not in the part. All of them if wanted, but for these rows.
fn load(name: &str, measure: Measure, (rows, queries): (usize, usize)) -> Option<Dataset> {
    let given = std::env::var_os("PGFAISS_DATA").map(PathBuf::from);
    let dir = given.unwrap_or_else(|| xtask::build::repository().join("../shared/data"));
    if !dir.join(name).exists() {
        eprintln!("{name} skipped: not in {} (PGFAISS_DATA)", dir.display());
        return None;
    }
    let set = xtask::bench::input::load(name, Some(&dir), Some(measure)).unwrap();
    let more = queries.saturating_sub(set.queries.len());
    let rows = if full() { set.base.len() - more } else { rows };
    let (dims, all) = (set.base.dims(), set.base.as_flat());
    let mut asked = set.queries.as_flat().to_vec();
    asked.extend_from_slice(&all[(set.base.len() - more) * dims..]);
    let mut part = set.cut(rows, 0);
    part.queries = Vectors::new(dims, asked).unwrap();
    part.given = None;
    Some(part)
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

/// The mean recall at each width.
fn ours(set: &Dataset, truth: &Truth, m: usize, ef_construction: usize) -> Vec<f64> {
    let (dims, rows) = (set.base.dims(), set.base.as_flat());
    let metric = if set.metric == Measure::L2 { Metric::L2 } else { Metric::Cosine };
    let grid = Grid::train(metric, dims, rows);
    let mut codes = vec![0; set.base.len() * grid.size()];
    let coded = set.base.rows().zip(codes.chunks_mut(grid.size()));
    let factors: Vec<Factors> = coded.map(|(row, code)| grid.encode(row, code)).collect();
    let of = Codes { codes: &codes, stride: grid.size(), factors: &factors };
    let mut sums = vec![0.0; WIDTHS.len()];
    for seed in SEEDS {
        let params = HnswParams { m, ef_construction, seed };
        let graph = build(&grid, Points::Codes(of), &params, &Job::default()).unwrap();
        for (sum, width) in sums.iter_mut().zip(WIDTHS) {
            *sum += found(set, truth, &graph, of, &grid, width);
        }
    }
    sums.into_iter().map(|sum| sum / SEEDS.len() as f64).collect()
}

/// The mean recall of a search of that width.
fn found(
    set: &Dataset,
    truth: &Truth,
    graph: &BuiltGraph,
    of: Codes<'_>,
    grid: &Grid,
    width: usize,
) -> f64 {
    let (mut beam, mut found) = (Beam::new(), Vec::new());
    let mut sum = 0.0;
    for (q, query) in set.queries.rows().enumerate() {
        let coded = grid.query(query);
        let mut walk = Walk { graph, of, query: &coded };
        let entry = descend(&mut walk, graph.entry, graph.level(graph.entry), 0).unwrap();
        beam.begin(set.base.len());
        beam.push_entry(entry);
        beam.tranche(&mut walk, 0, width, &mut found).unwrap();
        let distance = |id: u32| set.metric.distance(query, set.base.row(id as usize));
        let mut near: Vec<_> = found.iter().map(|near| (distance(near.node), near.node)).collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0));
        let ids: Vec<u32> = near.into_iter().map(|(_, id)| id).collect();
        sum += truth.recall(set, q, &ids);
    }
    sum / set.queries.len() as f64
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
        .args(SEEDS.map(|seed| seed.to_string()))
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
    let n = (SEEDS.len() * set.queries.len()) as f64;
    sums.into_iter().map(|sum| sum / n).collect()
}
