//! What a measurement leaves behind: one JSON object a line, so that a report can be drawn again
//! without measuring.

use anyhow::{Context, Result};
use gauge::kernels::Kernel;
use gauge::vectors::Metric;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Write};

/// Who measured what: every figure of a system carries this.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    pub dataset: String,
    pub rows: usize,
    pub system: String,
    pub family: Family,
}

/// Whose a system is; the report colours by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    Exact,
    Ours,
    Peer,
    /// Not a database: the in-memory limit.
    Memory,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Record {
    /// The machine and the server, once per run.
    Run {
        unix_time: u64,
        machine: String,
        cores: usize,
        load: String,
        server: String,
        k: usize,
    },
    /// Mean recall of the file's own ground truth under ours, where the file has one.
    Dataset {
        dataset: String,
        rows: usize,
        dims: usize,
        queries: usize,
        metric: Metric,
        agreement: Option<f64>,
    },
    Build(Build),
    Point(Point),
    /// After a restart with the data directory's pages dropped from the page cache.
    Cold {
        #[serde(flatten)]
        of: Subject,
        first_ms: f64,
        /// Mean of the nine queries after the first.
        next_ms: f64,
        evicted: bool,
    },
    Insert(Insert),
    /// VACUUM after a tenth of the rows was deleted.
    Vacuum {
        #[serde(flatten)]
        of: Subject,
        deleted: u64,
        wall_s: f64,
        cpu_s: f64,
        wal_bytes: u64,
        bytes_after: u64,
    },
    /// A system of the table that could not be measured, and why.
    Absent {
        dataset: String,
        system: String,
        reason: String,
    },
    /// Bytes per second one core reads from memory.
    Bandwidth {
        gb_per_s: f64,
    },
    Kernel(Kernel),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Build {
    #[serde(flatten)]
    pub of: Subject,
    pub statement: String,
    pub wall_s: f64,
    /// Leader, workers and threads together.
    pub cpu_s: f64,
    /// High-water mark of the leader's resident set, shared buffers it touched included.
    pub peak_rss_bytes: u64,
    /// Sampled peak of private memory over leader and workers.
    pub peak_private_bytes: u64,
    pub bytes: u64,
    pub wal_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    #[serde(flatten)]
    pub of: Subject,
    /// The knob and its value, as one would SET it; empty for a system without a knob.
    pub setting: String,
    /// Queries answered per round; fewer than the set's when the pass ran out of time.
    pub queries: usize,
    pub rounds: usize,
    pub recall: f64,
    pub qps: f64,
    pub cpu_ms: f64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    /// The planner would not have taken the index by itself.
    pub forced: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Insert {
    #[serde(flatten)]
    pub of: Subject,
    /// `insert` (a row a transaction) or `copy`.
    pub how: String,
    pub clients: usize,
    pub rows_per_s: f64,
    pub cpu_us_per_row: f64,
    pub wal_bytes_per_row: f64,
}

/// Reads JSON lines; empty lines are skipped.
pub fn read(input: impl BufRead) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for (i, line) in input.lines().enumerate() {
        let line = line?;
        if !line.trim().is_empty() {
            let record = serde_json::from_str(&line);
            records.push(record.with_context(|| format!("line {}", i + 1))?);
        }
    }
    Ok(records)
}

/// Appends one line and flushes, so that a run that is stopped keeps what it measured.
pub fn append(out: &mut impl Write, record: &Record) -> Result<()> {
    serde_json::to_writer(&mut *out, record)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_a_round_trip() {
        let of =
            Subject { dataset: "d".into(), rows: 10, system: "hnsw".into(), family: Family::Peer };
        let records = vec![
            Record::Cold { of, first_ms: 2.5, next_ms: 0.5, evicted: true },
            Record::Bandwidth { gb_per_s: 12.0 },
        ];
        let mut out = Vec::new();
        records.iter().for_each(|r| append(&mut out, r).unwrap());
        assert_eq!(read(out.as_slice()).unwrap(), records);
    }

    #[test]
    fn a_broken_line_is_named() {
        let error = read(b"\n{\"kind\":\"bandwidth\"}\n".as_slice()).unwrap_err();
        assert_eq!(error.to_string(), "line 2");
    }
}
