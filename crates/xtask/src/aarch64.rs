//! `cargo xtask aarch64`: the tests of the pure crates on another architecture, in an emulator. Installs what it needs.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::build::{cargo, repository};
use crate::setup;

const TARGET: &str = "aarch64-unknown-linux-gnu";
const LINKER: &str = "aarch64-linux-gnu-gcc";
const EMULATOR: &str = "qemu-aarch64";
/// Where Debian has the libraries of that architecture.
const LIBRARIES: &str = "/usr/aarch64-linux-gnu";
const PACKAGES: [&str; 3] = ["qemu-user", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"];

/// Runs them; `filter` chooses by parts of their names.
pub fn main(packages: &[String], filter: &[String]) -> Result<()> {
    let is_there = setup::has_program(LINKER) && setup::has_program(EMULATOR);
    if !is_there || !std::path::Path::new(LIBRARIES).join("lib").exists() {
        setup::install_packages(&PACKAGES)?;
    }
    add_target()?;
    let mut test = cargo();
    test.args(["test", "--locked", "--target", TARGET, "--no-fail-fast"]);
    let all = ["ann", "pages", "grammar", "report"].map(str::to_owned);
    for package in if packages.is_empty() { &all[..] } else { packages } {
        test.args(["--package", package]);
    }
    test.arg("--").args(filter);
    test.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER);
    let runner = format!("{EMULATOR} -L {LIBRARIES}");
    test.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", runner);
    if !test.status().context("could not run cargo")?.success() {
        bail!("tests failed on {TARGET}");
    }
    Ok(())
}

/// Installs the standard library of the target for the compiler that the repository uses.
fn add_target() -> Result<()> {
    let mut rustup = Command::new("rustup");
    rustup.current_dir(repository()).args(["target", "add", TARGET]);
    let said = rustup.output().context("could not run rustup")?;
    if !said.status.success() {
        bail!("rustup target add {TARGET} failed\n{}", String::from_utf8_lossy(&said.stderr));
    }
    Ok(())
}
