//! FAISS itself, from PyPI, on the same rows.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use gauge::truth::Truth;
use gauge::vectors::{Dataset, Vectors};

const REQUIREMENTS: &[&str] = &["faiss-cpu==1.15.1", "numpy"];

/// What to measure: indexes with as many lists each, of which the first, without a code, is trained
/// and gives its centroids to the others.
pub struct Theirs {
    pub factories: Vec<String>,
    /// For those that refine.
    pub k_factor: u32,
    pub nprobes: Vec<u32>,
}

/// The mean recall of each index at each nprobe.
pub fn recalls(set: &Dataset, truth: &Truth, theirs: &Theirs) -> Vec<Vec<f64>> {
    let python = xtask::python::environment("faiss", REQUIREMENTS).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (base, queries) = (dir.path().join("base"), dir.path().join("queries"));
    write(&base, &set.base);
    write(&queries, &set.queries);
    let nprobes: Vec<String> = theirs.nprobes.iter().map(u32::to_string).collect();
    let dims = set.base.dims().to_string();
    let out = Command::new(python.join("bin/python"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python/ivf_recall.py"))
        .args([&base, &queries])
        .args([&dims, set.metric.name(), &truth.k.to_string(), &theirs.k_factor.to_string()])
        .arg(nprobes.join(","))
        .args(&theirs.factories)
        // Threads that wait for each other by spinning take minutes on a busy machine.
        .env("OMP_NUM_THREADS", "1")
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let said = String::from_utf8(out.stdout).unwrap();
    let of = |place| theirs.nprobes.iter().map(move |&nprobe| (place, nprobe));
    let recalls = |place| of(place).map(|at| mean(set, truth, at, &said)).collect();
    (0..theirs.factories.len()).map(recalls).collect()
}

/// The lines `place nprobe query id …` of one index at one nprobe.
fn mean(set: &Dataset, truth: &Truth, (place, nprobe): (usize, u32), said: &str) -> f64 {
    let mut sum = 0.0;
    let mut n = 0;
    let start = format!("{place} {nprobe} ");
    for line in said.lines().filter_map(|line| line.strip_prefix(&start)) {
        let mut numbers = line.split(' ').map(|s| s.parse::<i64>().unwrap());
        let Some(query) = numbers.next() else { continue };
        let found: Vec<u32> = numbers.filter_map(|id| u32::try_from(id).ok()).collect();
        sum += truth.recall(set, query as usize, &found);
        n += 1;
    }
    assert_eq!(n, set.queries.len());
    sum / f64::from(n as u32)
}

fn write(path: &Path, rows: &Vectors) {
    let mut out = BufWriter::new(File::create(path).unwrap());
    for x in rows.as_flat() {
        out.write_all(&x.to_le_bytes()).unwrap();
    }
    out.flush().unwrap();
}
