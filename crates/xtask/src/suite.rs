//! `cargo xtask test`: every test of the project, the cheapest first, and one line of totals.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::build::{Flavor, cargo, extension_target_dir, repository};
use crate::pg::PgConfig;
use crate::setup::{self, Extra};
use crate::{python, servers};

const TYPOS: &str = "typos==1.52.0";
const ZIZMOR: &str = "zizmor==1.32.0";
/// Parts that need no server and stand for something else than one test program of `tests/`.
const STATIC_PARTS: [&str; 3] = ["lint", "unit", "xtask"];

/// Tests that ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: u64,
    pub failed: u64,
}

/// The parts of the suite: three fixed ones and each test program of the package `checks`.
pub fn parts() -> Result<Vec<String>> {
    let path = repository().join("tests/Cargo.toml");
    let manifest = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let programs = manifest.split("[[test]]").skip(1).filter_map(|section| {
        let line = section.lines().find(|l| l.starts_with("name = "))?;
        Some(line.split('"').nth(1)?.to_owned())
    });
    Ok(STATIC_PARTS.map(str::to_owned).into_iter().chain(programs).collect())
}

/// Runs the chosen parts (all of them if none is named) and prints what came of each. True when
/// nothing failed. `pg_config` names the PostgreSQL to test with; else one is found, or installed.
pub fn run(chosen: &[String], pg_config: Option<&Path>) -> Result<bool> {
    let known = parts()?;
    if let Some(stranger) = chosen.iter().find(|c| !known.contains(c)) {
        bail!("no part of the tests is called \"{stranger}\"; there are {}", known.join(", "));
    }
    let pg = match pg_config {
        Some(program) => PgConfig::locate(Some(&std::path::absolute(program)?))?,
        None => setup::ensure(Extra::Python)?,
    };
    println!("testing with {}", pg.version);
    let mut results = Vec::new();
    for part in known {
        if chosen.is_empty() || chosen.contains(&part) {
            let begin = Instant::now();
            println!("\n=== {part}");
            let tally = run_part(&part, &pg);
            results.push((part, tally, begin.elapsed()));
        }
    }
    Ok(report(&results))
}

fn report(results: &[(String, Tally, Duration)]) -> bool {
    println!();
    let mut total = Tally::default();
    for (part, tally, took) in results {
        let (passed, failed, seconds) = (tally.passed, tally.failed, took.as_secs_f64());
        println!("{part:<10} {passed:>5} passed {failed:>3} failed {seconds:>7.1} s");
        total.passed += passed;
        total.failed += failed;
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    total.failed == 0
}

fn run_part(part: &str, pg: &PgConfig) -> Tally {
    match part {
        "lint" => lint(pg),
        "unit" => unit(),
        // Of the tools, and of what the tests share.
        "xtask" => {
            let tools = ["--package", "xtask", "--package", "gauge", "--package", "checks"];
            tests(&[&tools[..], &["--lib"]].concat(), Some(pg))
        }
        "tidy" => tests(&["--package", "checks", "--test", "tidy"], Some(pg)),
        program => {
            let flavor = if program == "pg" { Flavor::PgTest } else { Flavor::Release };
            if let Err(e) = servers::with_extension(pg, flavor) {
                println!("{e:#}");
                return Tally { passed: 0, failed: 1 };
            }
            tests(&["--package", "checks", "--test", program], Some(pg))
        }
    }
}

/// The tests of the pure crates: no server, no bindings.
pub fn unit() -> Tally {
    let pure = ["ann", "pages", "grammar", "faissfile", "report"];
    tests(&pure.map(|package| ["--package", package]).concat(), None)
}

/// Formatting, lints and spelling; each tool counts as one test.
fn lint(pg: &PgConfig) -> Tally {
    let mut format = cargo();
    format.args(["fmt", "--all", "--check"]);
    let mut tools = vec![("cargo fmt", Ok(format)), ("typos", typos()), ("workflows", workflows())];
    let mut pure = cargo();
    pure.args(["clippy", "--locked", "--all-targets", "--package", "ann", "--package", "pages"]);
    pure.args(["--package", "grammar", "--package", "faissfile", "--package", "report"]);
    pure.args(["--package", "xtask"]);
    pure.args(["--package", "gauge"]);
    pure.args(["--package", "checks"]);
    pure.args(["--", "-D", "warnings"]);
    tools.push(("clippy", Ok(pure)));
    for features in [pg.feature(), format!("{},pg_test", pg.feature())] {
        // The profile and directory of the real build: its generated bindings are used again.
        let mut extension = cargo();
        extension.args(["clippy", "--locked", "--release", "--package", "pgfaiss", "--target-dir"]);
        extension.arg(extension_target_dir(pg)).args(["--no-default-features", "--features"]);
        extension.arg(features).args(["--", "-D", "warnings"]);
        extension.env("PGRX_PG_CONFIG_PATH", &pg.program);
        tools.push(("clippy of the extension", Ok(extension)));
    }
    let mut tally = Tally::default();
    for (name, command) in tools {
        let outcome = command.and_then(|mut c| Ok(c.status()?.success()));
        match outcome {
            Ok(true) => tally.passed += 1,
            Ok(false) => tally.failed += 1,
            Err(ref e) => {
                tally.failed += 1;
                println!("{e:#}");
            }
        }
        println!("{name}: {}", if matches!(outcome, Ok(true)) { "ok" } else { "FAILED" });
    }
    tally
}

fn typos() -> Result<Command> {
    let environment = python::environment("typos", &[TYPOS])?;
    let mut command = Command::new(environment.join("bin/typos"));
    command.current_dir(repository());
    Ok(command)
}

/// A check of the workflows in `.github`, which nothing runs here.
fn workflows() -> Result<Command> {
    let environment = python::environment("zizmor", &[ZIZMOR])?;
    let mut command = Command::new(environment.join("bin/zizmor"));
    command.args(["--offline", "--quiet", "--min-severity", "medium", ".github"]);
    command.current_dir(repository());
    Ok(command)
}

/// Runs `cargo test` with the given arguments and counts what the test programs report. They find `pg` as we did.
fn tests(arguments: &[&str], pg: Option<&PgConfig>) -> Tally {
    let mut command = cargo();
    command.envs(pg.map(|pg| ("PGRX_PG_CONFIG_PATH", &pg.program)));
    command.args(["test", "--locked", "--no-fail-fast"]).args(arguments);
    counted(&mut command).unwrap_or_else(|e| {
        println!("{e:#}");
        Tally { passed: 0, failed: 1 }
    })
}

fn counted(command: &mut Command) -> Result<Tally> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("could not run cargo")?;
    let mut tally = Tally::default();
    if let Some(pipe) = child.stdout.take() {
        for line in BufReader::new(pipe).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            if let Some((passed, failed)) = totals(&line) {
                tally.passed += passed;
                tally.failed += failed;
            }
        }
    }
    if !child.wait()?.success() && tally.failed == 0 {
        // It did not compile, or a test program died before it could report.
        tally.failed = 1;
    }
    Ok(tally)
}

/// 5 and 1 from `test result: FAILED. 5 passed; 1 failed; 0 ignored; …`.
fn totals(line: &str) -> Option<(u64, u64)> {
    let rest = line.trim().strip_prefix("test result: ")?;
    let number = |label: &str| {
        let before = &rest[..rest.find(label)?];
        before.rsplit(' ').next()?.parse().ok()
    };
    Some((number(" passed")?, number(" failed")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_of_a_test_program() {
        let line = "test result: FAILED. 5 passed; 1 failed; 0 ignored; 0 measured";
        assert_eq!(totals(line), Some((5, 1)));
        assert_eq!(totals("test result_of_something ... ok"), None);
    }

    #[test]
    fn parts_are_named_once() {
        let mut names = parts().unwrap();
        assert!(names.contains(&"sql".to_owned()));
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
