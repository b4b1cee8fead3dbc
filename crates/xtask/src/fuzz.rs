//! `cargo xtask fuzz`: looks for inputs that break something. The targets are in `fuzz/`; what they need besides, a nightly
//! compiler and cargo-fuzz, is installed when it lacks.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::build::target_dir;
use crate::nightly;

/// Seconds for each target where neither time nor number of runs is given.
const SECONDS: u64 = 60;

/// A fuzz target.
struct Target {
    name: &'static str,
    /// Whether it goes through the kernels' unsafe code: then accesses to memory are checked, which takes time.
    is_checked: bool,
}

const TARGETS: [Target; 9] = [
    Target { name: "text", is_checked: false },
    Target { name: "binary", is_checked: false },
    Target { name: "sparse", is_checked: false },
    Target { name: "typmod", is_checked: false },
    Target { name: "factory", is_checked: false },
    Target { name: "options", is_checked: false },
    Target { name: "faissfile", is_checked: false },
    Target { name: "model", is_checked: true },
    Target { name: "pages", is_checked: true },
];

/// What to run, and how long.
#[derive(Args, Debug, Clone)]
pub struct Options {
    /// Targets [default: all]: text, binary, sparse, typmod, factory, options, faissfile, model, pages
    targets: Vec<String>,
    /// Seconds for each target
    #[arg(long, conflicts_with = "runs")]
    seconds: Option<u64>,
    /// Executions of each target
    #[arg(long)]
    runs: Option<u64>,
}

/// Runs the targets one after the other. An error if one found something.
pub fn main(options: &Options) -> Result<()> {
    let known = TARGETS.map(|target| target.name);
    if let Some(stranger) = options.targets.iter().find(|t| !known.contains(&t.as_str())) {
        bail!("no fuzz target is called \"{stranger}\"; there are {}", known.join(", "));
    }
    nightly::ensure(&[])?;
    nightly::ensure_command("fuzz")?;
    let chosen = |target: &&Target| {
        options.targets.is_empty() || options.targets.iter().any(|name| name == target.name)
    };
    let mut lines = Vec::new();
    for target in TARGETS.iter().filter(chosen) {
        let executions = run(target, options)?;
        lines.push(format!("{:<10} {executions:>12} executions", target.name));
    }
    println!("{}", lines.join("\n"));
    Ok(())
}

/// Runs a target; returns how many inputs it tried. What it learns stays below the target directory, what breaks it
/// also: the message says where.
fn run(target: &Target, options: &Options) -> Result<u64> {
    let dir = target_dir().join("fuzz");
    let (corpus, found) = (dir.join("corpus").join(target.name), dir.join("found"));
    for dir in [&corpus, &found] {
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    let seeds = Path::new("fuzz/seeds").join(target.name);
    let mut command = nightly::cargo();
    command.args(["fuzz", "run", "--fuzz-dir", "fuzz", "--target-dir"]);
    command.arg(&dir).args(["--sanitizer", if target.is_checked { "address" } else { "none" }]);
    command.arg(target.name).arg(&corpus).arg(&seeds).arg("--");
    match (options.runs, options.seconds) {
        (Some(runs), _) => command.arg(format!("-runs={runs}")),
        (None, seconds) => command.arg(format!("-max_total_time={}", seconds.unwrap_or(SECONDS))),
    };
    // Nothing that is tried takes so much memory or time, unless it is a bug.
    command.args(["-rss_limit_mb=4096", "-malloc_limit_mb=256", "-timeout=60"]);
    command.args(["-print_final_stats=1", "-verbosity=1"]);
    command.arg(format!("-artifact_prefix={}/{}-", found.display(), target.name));
    let mut child = command.stderr(Stdio::piped()).spawn().context("could not run cargo fuzz")?;
    let mut executions = 0;
    if let Some(pipe) = child.stderr.take() {
        for line in BufReader::new(pipe).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            if let Some(number) = line.strip_prefix("stat::number_of_executed_units:") {
                executions = number.trim().parse().unwrap_or(0);
            }
            eprintln!("{line}");
        }
    }
    if !child.wait()?.success() {
        bail!("target {} found something, see {}", target.name, found.display());
    }
    Ok(executions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::repository;

    #[test]
    fn every_target_is_a_program_with_seeds() {
        let manifest = std::fs::read_to_string(repository().join("fuzz/Cargo.toml")).unwrap();
        for Target { name, .. } in TARGETS {
            assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "{name}");
            let seeds = repository().join("fuzz/seeds").join(name);
            assert!(std::fs::read_dir(seeds).unwrap().count() > 0, "{name}");
        }
        assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
    }
}
