//! FAISS itself, from PyPI, on the same rows.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use gauge::truth::Truth;
use gauge::vectors::{Dataset, Vectors};

const REQUIREMENTS: &[&str] = &["faiss-cpu==1.15.1", "numpy"];

/// Mean recall of `IVF{nlist},Flat` at each of `nprobes`.
pub fn recalls(set: &Dataset, truth: &Truth, nlist: u32, nprobes: &[u32]) -> Vec<f64> {
    let python = xtask::python::environment("faiss", REQUIREMENTS).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (base, queries) = (dir.path().join("base"), dir.path().join("queries"));
    write(&base, &set.base);
    write(&queries, &set.queries);
    let list: Vec<String> = nprobes.iter().map(u32::to_string).collect();
    let numbers = [set.base.dims().to_string(), set.metric.name().to_owned(), nlist.to_string()];
    let out = Command::new(python.join("bin/python"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python/ivf_recall.py"))
        .args([&base, &queries])
        .args(numbers)
        .args([truth.k.to_string(), list.join(",")])
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let said = String::from_utf8(out.stdout).unwrap();
    nprobes.iter().map(|&nprobe| mean(set, truth, nprobe, &said)).collect()
}

/// The lines `nprobe query id …` of one nprobe.
fn mean(set: &Dataset, truth: &Truth, nprobe: u32, said: &str) -> f64 {
    let mut sum = 0.0;
    let mut n = 0;
    for line in said.lines() {
        let mut numbers = line.split(' ').map(|s| s.parse::<i64>().unwrap());
        let (Some(at), Some(query)) = (numbers.next(), numbers.next()) else { continue };
        if at == i64::from(nprobe) {
            let found: Vec<u32> = numbers.filter_map(|id| u32::try_from(id).ok()).collect();
            sum += truth.recall(set, query as usize, &found);
            n += 1;
        }
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
