//! Building the extension's shared library with plain cargo.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::pg::PgConfig;

/// Which library to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// What users install: optimised.
    Release,
    /// Unoptimised, with checks.
    Debug,
    /// The release code with the tests that run inside a backend.
    PgTest,
}

/// The root of the repository, found from this crate's own place in it.
pub fn repository() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// Where cargo puts what it builds, as an absolute path.
pub fn target_dir() -> PathBuf {
    let Some(named) = std::env::var_os("CARGO_TARGET_DIR") else {
        return repository().join("target");
    };
    std::path::absolute(&named).unwrap_or_else(|_| PathBuf::from(named))
}

/// The cargo that runs us, else the one in the PATH.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // We run it elsewhere than the user ran us: a relative directory must stay the same one.
    command.current_dir(repository()).env("CARGO_TARGET_DIR", target_dir());
    command
}

/// Builds the library for `pg` and returns its path. Cargo's own messages go to the terminal.
///
/// Every major version has a target directory of its own: the server's bindings would otherwise be
/// rebuilt at each switch.
pub fn library(pg: &PgConfig, flavor: Flavor) -> Result<PathBuf> {
    let target = extension_target_dir(pg);
    let feature = pg.feature();
    let features = if flavor == Flavor::PgTest { format!("{feature},pg_test") } else { feature };
    let mut command = cargo();
    command.args(["build", "--locked", "--package", "pgfaiss", "--no-default-features"]);
    command.arg("--features").arg(&features).arg("--target-dir").arg(&target);
    command.env("PGRX_PG_CONFIG_PATH", &pg.program);
    if flavor != Flavor::Debug {
        command.arg("--release");
    }
    let status = command.status().context("could not run cargo")?;
    if !status.success() {
        bail!("building the extension for {} failed", pg.version);
    }
    let profile = if flavor == Flavor::Debug { "debug" } else { "release" };
    let suffix = if cfg!(target_os = "macos") { "dylib" } else { "so" };
    Ok(target.join(profile).join(format!("libpgfaiss.{suffix}")))
}

/// The target directory of the extension built for `pg`.
pub fn extension_target_dir(pg: &PgConfig) -> PathBuf {
    target_dir().join(pg.feature())
}
