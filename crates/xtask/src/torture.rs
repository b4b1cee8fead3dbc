//! `cargo xtask torture`: the long form of the tests that kill, copy, restore and crowd servers. What is done is in `tests/torture/`.

use std::process::ExitStatus;

use anyhow::{Context, Result};

use crate::build::{Flavor, cargo};
use crate::servers;
use crate::setup::{self, Extra};

/// What to do, and for how long.
#[derive(clap::Args)]
pub struct Options {
    /// crash, standby, pitr or soak [default: one after the other]
    #[arg(long)]
    kind: Option<String>,
    /// How many crashes, rounds, restores or soaks of three minutes, of each kind
    #[arg(long, value_name = "N")]
    cycles: Option<u64>,
    /// How long, all kinds together
    #[arg(long, value_name = "N")]
    minutes: Option<u64>,
    /// Of the first table; each further one takes the next [default: 1000]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
}

/// Runs until all is done, and prints a line for each cycle and the account at the end. True if nothing was lost.
pub fn main(options: &Options) -> Result<bool> {
    let pg = setup::ensure(Extra::None)?;
    servers::with_extension(&pg, Flavor::Release)?;
    let mut command = cargo();
    command.args([
        "test",
        "--locked",
        "--quiet",
        "--package",
        "checks",
        "--test",
        "torture",
        "--",
        "long",
    ]);
    if let Some(kind) = &options.kind {
        command.args(["--kind", kind]);
    }
    for (name, value) in
        [("--cycles", options.cycles), ("--minutes", options.minutes), ("--seed", options.seed)]
    {
        if let Some(value) = value {
            command.args([name, &value.to_string()]);
        }
    }
    command.status().map(|status| ExitStatus::success(&status)).context("could not run cargo")
}
