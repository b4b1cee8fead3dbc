//! FAISS, from PyPI, on the rows of a hostile table: what each of its indexes finds.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use gauge::vectors::Vectors;

use super::indexes::{EF_CONSTRUCTION, EF_SEARCH, K_FACTOR, NPROBE};
use super::plan::Plan;
use super::tables::{Table, is_deleted};

/// It says what its arguments and lines mean.
const SCRIPT: &str = include_str!("../../python/hostile.py");
const REQUIREMENTS: &[&str] = &["faiss-cpu==1.15.1", "numpy"];

/// How the line ends that names an index FAISS could not build or search.
pub const REFUSED: &str = ": it ended in an error";

/// Lines `state metric factory query id`, separated by tabs; and what FAISS says besides.
pub struct Found {
    pub lines: String,
    pub refusals: String,
}

/// Asks FAISS for ten rows of each query, with every index of the plan; what it said once is kept below `target/`, for it says
/// the same again.
pub fn found(plan: &Plan, table: &Table) -> Found {
    let dims = table.kind.dims;
    let mut hasher = DefaultHasher::new();
    (SCRIPT, table.kind.element, dims, table.first, plan.states(), jobs(plan, dims))
        .hash(&mut hasher);
    (EF_CONSTRUCTION, EF_SEARCH, NPROBE, K_FACTOR).hash(&mut hasher);
    let values = table.rows.as_flat().iter().chain(table.queries.as_flat());
    values.for_each(|x| x.to_bits().hash(&mut hasher));
    let dir = xtask::build::target_dir().join("hostile");
    let kept = dir.join(format!("{:016x}", hasher.finish()));
    if let Ok(lines) = fs::read_to_string(&kept) {
        return Found { lines, refusals: String::new() };
    }
    let found = ask(plan, table);
    let written = fs::create_dir_all(&dir).and_then(|()| fs::write(&kept, &found.lines));
    written.unwrap_or_else(|e| panic!("{}: {e}", kept.display()));
    found
}

fn ask(plan: &Plan, table: &Table) -> Found {
    let python =
        xtask::python::environment("faiss", REQUIREMENTS).unwrap_or_else(|e| panic!("{e:#}"));
    let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
    let dims = table.kind.dims;
    let rows = write(dir.path(), "rows", &table.rows);
    let queries = write(dir.path(), "queries", &table.queries);
    let mut command = Command::new(python.join("bin/python"));
    command.args(["-c", SCRIPT]);
    command.arg(rows).arg(queries).args([&dims.to_string(), table.kind.element]);
    command.args([EF_CONSTRUCTION, EF_SEARCH, NPROBE, K_FACTOR].map(|n| n.to_string()));
    command.args([table.first.to_string(), deleted(table.first)]);
    command.args([plan.states().join(","), jobs(plan, dims)]);
    // Threads that wait for each other by spinning take minutes on a busy machine.
    let out = command.env("OMP_NUM_THREADS", "1").output();
    let out = out.unwrap_or_else(|e| panic!("could not run FAISS: {e}"));
    let refusals = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{refusals}");
    Found { lines: String::from_utf8_lossy(&out.stdout).into_owned(), refusals }
}

fn deleted(first: usize) -> String {
    let deleted = (0..first).filter(|&id| is_deleted(id)).map(|id| id.to_string());
    deleted.collect::<Vec<_>>().join(",")
}

/// `metric:factory` of each index, once.
fn jobs(plan: &Plan, dims: usize) -> String {
    let mut jobs: Vec<String> = Vec::new();
    for metric in &plan.metrics {
        for index in plan.indexes.iter().filter(|index| index.has(*metric)) {
            let job = format!("{}:{}", metric.name, index.theirs(dims));
            if !jobs.contains(&job) {
                jobs.push(job);
            }
        }
    }
    jobs.join(" ")
}

fn write(dir: &Path, name: &str, rows: &Vectors) -> PathBuf {
    let path = dir.join(name);
    let written = File::create(&path).and_then(|file| {
        let mut out = BufWriter::new(file);
        rows.as_flat().iter().try_for_each(|x| out.write_all(&x.to_le_bytes()))?;
        out.flush()
    });
    written.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    path
}
