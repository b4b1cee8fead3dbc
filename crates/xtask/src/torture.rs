//! `cargo xtask torture`: the long form of the tests that kill, copy, restore and crowd servers. What is done is in `tests/torture/`.

use std::process::ExitStatus;

use anyhow::{Context, Result};

use crate::build::{Flavor, cargo};
use crate::servers;
use crate::setup::{self, Extra};

/// Damages of each kind of index when nothing else is said, and how many the short forms of the tests do.
const DAMAGES: u64 = 1000;
const MEMORY_DAMAGES: u64 = 40;
const SERVER_DAMAGES: u64 = 10;

/// What to do, and for how long.
#[derive(clap::Args)]
pub struct Options {
    /// crash, standby, pitr, soak [default: one of these after the other] or damage
    #[arg(long)]
    kind: Option<String>,
    /// How many crashes, rounds, restores or soaks of three minutes, of each kind; damages of each kind of index
    #[arg(long, value_name = "N")]
    cycles: Option<u64>,
    /// How long, all kinds together
    #[arg(long, value_name = "N")]
    minutes: Option<u64>,
    /// Of the first table; each further one takes the next [default: 1000]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
}

/// Damages each kind of index in memory, then on a server.
fn damage(options: &Options) -> Result<bool> {
    let damages = options.cycles.unwrap_or(DAMAGES);
    let mut is_good = true;
    for (package, test, usual) in [
        ("pages", ["--lib", "damage::"], MEMORY_DAMAGES),
        ("checks", ["--test=cluster", "damage::"], SERVER_DAMAGES),
    ] {
        let mut command = cargo();
        command.args(["test", "--locked", "--package", package]).args(test);
        command.args(["--", "--nocapture"]);
        command.env("PGFAISS_ROUNDS", damages.div_ceil(usual).to_string());
        if let Some(seed) = options.seed {
            command.env("PGFAISS_SEED", seed.to_string());
        }
        is_good &= command.status().context("could not run cargo")?.success();
    }
    Ok(is_good)
}

/// Runs until all is done, and prints a line for each cycle and the account at the end. True if nothing was lost.
pub fn main(options: &Options) -> Result<bool> {
    let pg = setup::ensure(Extra::None)?;
    servers::with_extension(&pg, Flavor::Release)?;
    if options.kind.as_deref() == Some("damage") {
        return damage(options);
    }
    let mut command = cargo();
    command.args(["test", "--locked", "--package", "checks", "--test", "torture", "--", "long"]);
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
