//! The nightly compiler, for what no other can: fuzz targets, Miri and AddressSanitizer. Whatever lacks is installed.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::build::repository;

const TOOLCHAIN: &str = "nightly";

/// A program in the repository that whatever cargo runs us with does not decide for.
fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.current_dir(repository());
    for variable in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "CARGO_TARGET_DIR"] {
        command.env_remove(variable);
    }
    command
}

/// The cargo of the nightly compiler.
pub fn cargo() -> Command {
    let mut command = program("rustup");
    command.args(["run", TOOLCHAIN, "cargo"]);
    command
}

/// The machine, as that compiler names it.
pub fn host() -> Result<String> {
    let mut rustc = program("rustup");
    rustc.args(["run", TOOLCHAIN, "rustc", "--print", "host-tuple"]);
    let out = rustc.output().context("could not run rustup")?;
    if !out.status.success() {
        bail!("{rustc:?} failed");
    }
    Ok(String::from_utf8(out.stdout)?.trim().to_owned())
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Runs a command to its end; an error if it fails.
pub fn execute(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("could not run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed");
    }
    Ok(())
}

/// Installs the compiler, if it lacks, and these of its components.
pub fn ensure(components: &[&str]) -> Result<()> {
    if !succeeds(program("rustup").args(["run", TOOLCHAIN, "rustc", "--version"])) {
        println!("installing the {TOOLCHAIN} compiler");
        let arguments = ["toolchain", "install", TOOLCHAIN, "--profile", "minimal"];
        execute(program("rustup").args(arguments))?;
    }
    let list = ["component", "list", "--installed", "--toolchain", TOOLCHAIN];
    let installed = program("rustup").args(list).output().context("could not run rustup")?;
    let installed = String::from_utf8_lossy(&installed.stdout).into_owned();
    let lacks = |name: &&&str| !installed.lines().any(|line| line.starts_with(**name));
    for component in components.iter().filter(lacks) {
        println!("installing {component}");
        let arguments = ["component", "add", component, "--toolchain", TOOLCHAIN];
        execute(program("rustup").args(arguments))?;
    }
    Ok(())
}

/// Installs a cargo command from the crate of the same name, if it lacks.
pub fn ensure_command(name: &str) -> Result<()> {
    if !succeeds(program("cargo").args([name, "--version"])) {
        println!("installing cargo-{name}");
        let package = format!("cargo-{name}");
        execute(program("cargo").args(["install", &package, "--locked"]))?;
    }
    Ok(())
}
