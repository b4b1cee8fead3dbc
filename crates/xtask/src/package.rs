//! `cargo xtask package`: what is given to users, below `target/package`. Debian packages for each PostgreSQL that has its headers
//! here, the source archive, and the bill of materials. The same commit gives the same bytes.

mod deb;
mod libraries;
mod source;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::build::{self, Flavor, repository, target_dir};
use crate::pg::{self, PgConfig};
use crate::setup::{self, Extra};
use crate::tools::DENY;
use deb::Deb;
pub use source::{archive, bill_of_materials};

/// What to make.
#[derive(clap::Args, Default)]
pub struct Options {
    /// Only for the PostgreSQL of this pg_config [default: every one that has its headers here]
    #[arg(long, value_name = "PATH")]
    pg_config: Option<PathBuf>,
    /// Only the Debian packages
    #[arg(long)]
    debs: bool,
    /// Where the files go [default: target/package]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// The command.
pub fn main(options: &Options) -> Result<()> {
    let out = options.out.clone().unwrap_or_else(|| target_dir().join("package"));
    fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
    for pg in servers(options.pg_config.as_deref())? {
        for path in debs(&pg, &out)? {
            println!("{}", path.display());
        }
    }
    if !options.debs {
        println!("{}", archive(&out)?.display());
        println!("{}", bill_of_materials(&out)?.display());
    }
    Ok(())
}

/// The Debian packages for one server.
pub fn debs(pg: &PgConfig, out: &Path) -> Result<Vec<PathBuf>> {
    let library = build::library(pg, Flavor::Release)?;
    let all = [Deb::pgfaiss(pg, &library)?, Deb::vector(pg)?];
    all.iter().map(|deb| deb.write(out)).collect()
}

fn servers(chosen: Option<&Path>) -> Result<Vec<PgConfig>> {
    if let Some(program) = chosen {
        return Ok(vec![PgConfig::locate(Some(&std::path::absolute(program)?))?]);
    }
    let found = pg::complete_of_debian();
    if found.is_empty() {
        return Ok(vec![setup::ensure(Extra::None)?]);
    }
    Ok(found)
}

/// Seconds since 1970 of the commit that is packed: every date in a package is this one.
fn time_of_commit() -> Result<String> {
    let mut git = Command::new("git");
    git.current_dir(repository()).args(["log", "-1", "--format=%ct"]);
    output(&mut git)
}

/// What a program printed.
fn output(command: &mut Command) -> Result<String> {
    let said = command.output().with_context(|| format!("could not run {command:?}"))?;
    if !said.status.success() {
        bail!("{command:?} failed\n{}", String::from_utf8_lossy(&said.stderr));
    }
    Ok(String::from_utf8(said.stdout)?.trim().to_owned())
}

/// `cargo xtask licences`: dependencies have licences that go with ours, and come from the registry.
pub fn licences() -> Result<()> {
    let mut deny = DENY.command()?;
    // The list of known faults is a repository elsewhere; the workflow `ci` looks at it.
    deny.current_dir(repository()).args(["--workspace", "check", "licenses", "bans", "sources"]);
    if !deny.status().context("could not run cargo-deny")?.success() {
        bail!("a dependency may not be used as it is");
    }
    Ok(())
}
