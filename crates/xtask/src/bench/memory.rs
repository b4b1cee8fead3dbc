//! FAISS in a Python process of its own: the in-memory limit on the same rows.

use super::record::{Build, Family, Subject};
use super::sweep::{Limits, Measured, Pass};
use super::systems::{MemorySystem, Shape};
use crate::python;
use anyhow::{Context, Result, bail};
use gauge::vectors::{Dataset, Vectors};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const WORKER: &str = include_str!("worker.py");
const REQUIREMENTS: &[&str] = &["faiss-cpu==1.15.1", "numpy"];

/// The rows of a data set as plain files, and an interpreter that has FAISS.
pub struct Ground {
    dir: tempfile::TempDir,
    python: PathBuf,
}

impl Ground {
    /// Writes the files; installs FAISS into a virtual environment if need be.
    pub fn prepare(set: &Dataset) -> Result<Ground> {
        let python = python::environment("faiss", REQUIREMENTS)?.join("bin/python");
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("worker.py"), WORKER)?;
        write(&dir.path().join("base"), &set.base)?;
        write(&dir.path().join("queries"), &set.queries)?;
        Ok(Ground { dir, python })
    }
}

fn write(path: &Path, rows: &Vectors) -> Result<()> {
    let mut out = std::io::BufWriter::new(std::fs::File::create(path)?);
    for x in rows.as_flat() {
        out.write_all(&x.to_le_bytes())?;
    }
    Ok(out.flush()?)
}

/// One index in one process.
pub struct MemorySubject {
    of: Subject,
    settings: Vec<String>,
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

#[derive(serde::Deserialize)]
struct Built {
    wall_s: f64,
    cpu_s: f64,
    peak: u64,
    added: u64,
    bytes: u64,
}

#[derive(serde::Deserialize)]
struct Done {}

impl MemorySubject {
    /// Starts the process and builds the index with all cores.
    pub fn build(ground: &Ground, set: &Dataset, system: &MemorySystem) -> Result<(Self, Build)> {
        let mut process = Command::new(&ground.python)
            .arg(ground.dir.path().join("worker.py"))
            // Threads that wait would otherwise spin, and count as CPU time of the build.
            .env("OMP_WAIT_POLICY", "passive")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("could not start Python")?;
        let requests = process.stdin.take().context("no pipe to Python")?;
        let answers = BufReader::new(process.stdout.take().context("no pipe from Python")?);
        let of = Subject {
            dataset: set.name.clone(),
            rows: set.base.len(),
            system: system.name.to_owned(),
            family: Family::Memory,
        };
        let settings = system.knob.settings();
        let mut subject = MemorySubject { of: of.clone(), settings, process, requests, answers };
        let shape = Shape { rows: set.base.len(), dims: set.base.dims() };
        let factory = shape.fill(system.factory);
        let built: Built = subject.ask(json!({
            "do": "build", "factory": factory, "before": system.before, "dims": set.base.dims(),
            "metric": set.metric.name(), "base": ground.dir.path().join("base"),
            "queries": ground.dir.path().join("queries"),
        }))?;
        let build = Build {
            of,
            statement: [factory.as_str(), system.before].join(" ").trim().to_owned(),
            wall_s: built.wall_s,
            cpu_s: built.cpu_s,
            peak_rss_bytes: built.peak,
            peak_private_bytes: built.added,
            bytes: built.bytes,
            wal_bytes: 0,
        };
        Ok((subject, build))
    }

    fn ask<T: DeserializeOwned>(&mut self, request: Value) -> Result<T> {
        writeln!(self.requests, "{request}")?;
        self.requests.flush()?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line).context("the FAISS process ended")?;
        if let Some(error) = answer.get("error") {
            bail!("FAISS: {error}");
        }
        Ok(serde_json::from_value(answer)?)
    }
}

impl Measured for MemorySubject {
    fn of(&self) -> &Subject {
        &self.of
    }

    fn settings(&self) -> &[String] {
        &self.settings
    }

    fn apply(&mut self, setting: &str, _: &[f32]) -> Result<bool> {
        self.ask::<Done>(json!({ "do": "set", "setting": setting }))?;
        Ok(false)
    }

    fn pass(&mut self, queries: &Vectors, limits: Limits) -> Result<Pass> {
        self.ask(json!({
            "do": "search", "k": limits.k, "limit": queries.len(),
            "seconds": limits.seconds, "least": limits.least,
        }))
    }
}

impl Drop for MemorySubject {
    fn drop(&mut self) {
        // It holds nothing that a clean end would save.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
