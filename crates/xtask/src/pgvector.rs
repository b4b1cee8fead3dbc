//! `cargo xtask pgvector-suite`: pgvector's own tests against our extension `vector`.
//!
//! The tests come from a pgvector source tree that the user has; nothing of it is kept here. Where our answers differ on
//! purpose, `tests/pgvector/differences.txt` says so and why: the run fails at a difference that is not there, and at one that is
//! there and did not occur.

mod differences;
mod regress;
mod tap;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::build::{Flavor, repository, target_dir};
use crate::pg::PgConfig;
use crate::servers;
use crate::setup::{self, Extra};
use differences::{Differences, Verdict};

/// What to run: everything, unless something is named.
#[derive(clap::Args)]
pub struct Options {
    /// A pgvector source tree
    #[arg(value_name = "PATH")]
    tree: PathBuf,
    /// Only tests whose name contains one of these, for instance "sql/hnsw" or "t/041"
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// The pg_config of the PostgreSQL to test with [default: the newest that is complete]
    #[arg(long, value_name = "PATH")]
    pg_config: Option<PathBuf>,
}

/// A test of pgvector's, and how ours differs.
struct Outcome {
    /// `sql/NAME` or `t/NAME`.
    name: String,
    /// Lines that differ, or assertions that fail.
    found: Vec<String>,
}

/// Runs them; whether every difference is an expected one.
pub fn main(options: &Options) -> Result<bool> {
    let base = match &options.pg_config {
        Some(program) => PgConfig::read(program)?,
        None => setup::ensure(Extra::None)?,
    };
    let pg = servers::with_extension(&base, Flavor::Release)?;
    let tree = fs::canonicalize(&options.tree)
        .with_context(|| format!("there is no {}", options.tree.display()))?;
    if !tree.join("test/sql").is_dir() || !tree.join("test/t").is_dir() {
        bail!("{} is no pgvector source tree: it has no test/sql and test/t", tree.display());
    }
    let wanted = |name: &str| {
        options.only.is_empty() || options.only.iter().any(|part| name.contains(part.as_str()))
    };
    let mut outcomes = regress::run(&pg, &tree, &wanted)?;
    outcomes.extend(tap::run(&base, &pg, &tree, &wanted)?);
    if outcomes.is_empty() {
        bail!("no test has such a name");
    }
    report(&outcomes)
}

/// Says what was found, and keeps all differences in the form of the reviewed list.
fn report(outcomes: &[Outcome]) -> Result<bool> {
    let reviewed = repository().join("tests/pgvector/differences.txt");
    let expected = Differences::read(&reviewed)?;
    let mut is_good = true;
    for outcome in outcomes {
        match expected.verdict(&outcome.name, &outcome.found) {
            Verdict::Same => println!("ok        {}", outcome.name),
            Verdict::Expected(n) => println!("expected  {}: {n} differences", outcome.name),
            Verdict::Unexpected(lines) => {
                is_good = false;
                println!("DIFFERS   {}", outcome.name);
                lines.iter().for_each(|line| println!("    {line}"));
            }
        }
    }
    let kept = target_dir().join("pgvector-suite.txt");
    fs::write(&kept, differences::listed(outcomes))?;
    println!("all differences are in {}", kept.display());
    Ok(is_good)
}

/// The files of `dir` with this extension, by name.
fn files(dir: &Path, extension: &str) -> Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).map(str::to_owned);
        if let Some(name) = name.filter(|_| path.extension().is_some_and(|e| e == extension)) {
            files.push((name, path));
        }
    }
    files.sort();
    Ok(files)
}
