//! Programs from crates.io that developer commands need, below `target/`: installed when they are first asked for.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::build::{cargo, target_dir};

/// A program and the version that is known to do.
pub struct Tool {
    pub package: &'static str,
    pub version: &'static str,
    pub program: &'static str,
}

/// Makes the site.
pub const MDBOOK: Tool = Tool { package: "mdbook", version: "0.5.4", program: "mdbook" };
/// Checks licences and sources of dependencies.
pub const DENY: Tool = Tool { package: "cargo-deny", version: "0.20.2", program: "cargo-deny" };
/// Writes the bill of materials.
pub const CYCLONEDX: Tool =
    Tool { package: "cargo-cyclonedx", version: "0.5.9", program: "cargo-cyclonedx" };

impl Tool {
    /// Its path; installs it first where it is missing.
    pub fn ensure(&self) -> Result<PathBuf> {
        let root = target_dir().join("tools");
        let path = root.join("bin").join(self.program);
        if path.exists() {
            return Ok(path);
        }
        println!("installing {} {} from crates.io (some minutes)", self.package, self.version);
        let mut install = cargo();
        install.args(["install", self.package, "--version", self.version, "--locked", "--debug"]);
        install.arg("--root");
        // Unoptimised it is there in half the time. What it is compiled in is its own, as tools may be installed side by side,
        // and is not kept; the profile of our builds is not meant for it.
        let build = root.join(format!("build-{}", self.package));
        install.arg(&root).env("CARGO_TARGET_DIR", &build);
        for name in ["LTO", "CODEGEN_UNITS", "DEBUG", "INCREMENTAL"] {
            install.env_remove(format!("CARGO_PROFILE_RELEASE_{name}"));
        }
        let status = install.status()?;
        // A half compiled tool is of no use.
        std::fs::remove_dir_all(build).ok();
        if !status.success() {
            bail!("installing {} failed", self.package);
        }
        Ok(path)
    }

    /// A command that runs it.
    pub fn command(&self) -> Result<Command> {
        Ok(Command::new(self.ensure()?))
    }
}
