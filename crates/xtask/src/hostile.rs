//! `cargo xtask hostile`: the long form of the test that holds every index against FAISS on tables that break assumptions. The
//! tables and what is done with them are in `tests/src/hostile/`.

use std::path::PathBuf;
use std::process::ExitStatus;

use anyhow::{Context, Result};

use crate::build::{Flavor, cargo, target_dir};
use crate::servers;
use crate::setup::{self, Extra};

/// What to try: everything, unless something is named.
#[derive(clap::Args)]
pub struct Options {
    /// Only kinds of tables whose name contains one of these, for instance "far,one-hot"
    #[arg(long)]
    kind: Option<String>,
    /// Only indexes whose method or code contains one of these, for instance "hnsw,faissivf pq"
    #[arg(long)]
    index: Option<String>,
    /// Only these of l2, ip, cosine and l1
    #[arg(long)]
    metric: Option<String>,
    /// Only these of built, grown and churned
    #[arg(long)]
    history: Option<String>,
    /// Of the tables [default: 1]
    #[arg(long)]
    seed: Option<u64>,
    /// Rows of each table, instead of what suits its kind
    #[arg(long)]
    rows: Option<u64>,
    /// Queries of each table [default: 100]
    #[arg(long)]
    queries: Option<u64>,
    /// Where the table of results goes [default: target/hostile/report.md]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Options {
    /// As the test reads it from its environment.
    fn choice(&self) -> String {
        let number = |n: Option<u64>| n.map(|n| n.to_string());
        let all = [
            ("kind", self.kind.clone()),
            ("index", self.index.clone()),
            ("metric", self.metric.clone()),
            ("history", self.history.clone()),
            ("seed", number(self.seed)),
            ("rows", number(self.rows)),
            ("queries", number(self.queries)),
        ];
        let lines =
            all.into_iter().filter_map(|(name, value)| Some(format!("{name}={}\n", value?)));
        lines.collect()
    }
}

/// Runs until all is measured, and prints a line for each cell and the table at the end. True if none fails.
pub fn main(options: &Options) -> Result<bool> {
    let pg = setup::ensure(Extra::Python)?;
    servers::with_extension(&pg, Flavor::Release)?;
    let out = match &options.out {
        Some(out) => std::path::absolute(out)?,
        None => target_dir().join("hostile").join("report.md"),
    };
    if let Some(dir) = out.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let mut command = cargo();
    command.args(["test", "--locked", "--package", "checks", "--test", "recall"]);
    command.args(["--", "--exact", "hostile::hostile_tables", "--nocapture"]);
    command.env("PGFAISS_HOSTILE", options.choice()).env("PGFAISS_HOSTILE_REPORT", &out);
    let status = command.status().map(|status| ExitStatus::success(&status));
    println!("the table is in {}", out.display());
    status.context("could not run cargo")
}
