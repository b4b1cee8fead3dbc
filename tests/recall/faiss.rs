//! FAISS itself, from PyPI, on the same rows.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use gauge::truth::Truth;
use gauge::vectors::{Dataset, Vectors};

const REQUIREMENTS: &[&str] = &["faiss-cpu==1.15.1", "numpy"];

/// What to measure.
pub struct Theirs {
    /// Of `tests/python`; it says what the numbers mean.
    pub script: &'static str,
    pub factories: Vec<String>,
    pub number: u32,
    /// Search settings, one after the other.
    pub settings: Vec<u32>,
}

/// The mean recall of each index at each setting.
pub fn recalls(set: &Dataset, truth: &Truth, theirs: &Theirs) -> Vec<Vec<f64>> {
    let python = xtask::python::environment("faiss", REQUIREMENTS).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (base, queries) = (dir.path().join("base"), dir.path().join("queries"));
    write(&base, &set.base);
    write(&queries, &set.queries);
    let settings: Vec<String> = theirs.settings.iter().map(u32::to_string).collect();
    let dims = set.base.dims().to_string();
    let out = Command::new(python.join("bin/python"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(theirs.script))
        .args([&base, &queries])
        .args([&dims, set.metric.name(), &truth.k.to_string(), &theirs.number.to_string()])
        .arg(settings.join(","))
        .args(&theirs.factories)
        // Threads that wait for each other by spinning take minutes on a busy machine.
        .env("OMP_NUM_THREADS", "1")
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let said = String::from_utf8(out.stdout).unwrap();
    let of = |place| theirs.settings.iter().map(move |&setting| (place, setting));
    let recalls = |place| of(place).map(|at| mean(set, truth, at, &said)).collect();
    (0..theirs.factories.len()).map(recalls).collect()
}

/// The lines `place setting query id …` of one index at one setting.
fn mean(set: &Dataset, truth: &Truth, (place, setting): (usize, u32), said: &str) -> f64 {
    let mut sum = 0.0;
    let mut n = 0;
    let start = format!("{place} {setting} ");
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
