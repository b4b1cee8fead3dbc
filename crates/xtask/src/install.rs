//! Putting a built library, the control file and the schema where a PostgreSQL looks for them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::account::is_root;
use crate::build::{self, Flavor, repository};
use crate::pg::PgConfig;

/// The version of the extension: that of the crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Builds the extension for `pg` and installs it there.
pub fn build_and_install(pg: &PgConfig, flavor: Flavor) -> Result<()> {
    let library = build::library(pg, flavor)?;
    install(pg, &library)
}

/// Installs `library` and the extension's SQL into `pg`, through sudo for the files in directories
/// this user may not write to.
pub fn install(pg: &PgConfig, library: &Path) -> Result<()> {
    let stage = tempfile::tempdir()?;
    let control = stage.path().join("pgfaiss.control");
    fs::write(&control, control_text()?)?;
    let script = stage.path().join("schema.sql");
    fs::write(&script, schema()?)?;
    let share = pg.extension_dir();
    place(library, &library_path(pg), "755")?;
    place(&control, &share.join("pgfaiss.control"), "644")?;
    place(&script, &share.join(format!("pgfaiss--{VERSION}.sql")), "644")?;
    for upgrade in upgrade_scripts()? {
        if let Some(name) = upgrade.file_name() {
            place(&upgrade, &share.join(name), "644")?;
        }
    }
    Ok(())
}

/// Where `pg` looks for the library.
pub fn library_path(pg: &PgConfig) -> PathBuf {
    // From 16 on PostgreSQL loads .dylib on macOS; everywhere else it is .so.
    let suffix = if cfg!(target_os = "macos") && pg.major >= 16 { "dylib" } else { "so" };
    pg.pkglibdir.join(format!("pgfaiss.{suffix}"))
}

/// The control file with the version filled in.
fn control_text() -> Result<String> {
    let path = repository().join("pgfaiss.control");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(text.replace("@CARGO_VERSION@", VERSION))
}

/// The schema script: `sql/[0-9]*.sql`, one after the other in the order of their names.
pub fn schema() -> Result<String> {
    let mut text =
        String::from("\\echo Use \"CREATE EXTENSION pgfaiss\" to load this file. \\quit\n");
    for part in sql_files(|name| name.starts_with(|c: char| c.is_ascii_digit()))? {
        text.push('\n');
        text.push_str(&fs::read_to_string(&part).with_context(|| part.display().to_string())?);
    }
    Ok(text)
}

/// The scripts `pgfaiss--A--B.sql` that lead from one version to the next.
fn upgrade_scripts() -> Result<Vec<PathBuf>> {
    sql_files(|name| name.starts_with("pgfaiss--"))
}

fn sql_files(wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let dir = repository().join("sql");
    let mut files = Vec::new();
    if !dir.exists() {
        return Ok(files);
    }
    for entry in fs::read_dir(&dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
        if name.ends_with(".sql") && wanted(name) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Copies `from` under a new name beside `to`, then renames it over `to`: a server that has the old
/// library mapped keeps it whole.
fn place(from: &Path, to: &Path, mode: &str) -> Result<()> {
    let dir = to.parent().context("a path without a directory")?;
    let fresh = PathBuf::from(format!("{}.new", to.display()));
    let sudo = needs_sudo(dir);
    let install = Command::new("install");
    run(sudo, install, &["-m".as_ref(), mode.as_ref(), from.as_os_str(), fresh.as_os_str()])?;
    run(sudo, Command::new("mv"), &["-f".as_ref(), fresh.as_os_str(), to.as_os_str()])
}

/// Whether this process may not create files in `dir` by itself.
fn needs_sudo(dir: &Path) -> bool {
    !is_root() && tempfile::NamedTempFile::new_in(dir).is_err()
}

fn run(sudo: bool, mut command: Command, arguments: &[&OsStr]) -> Result<()> {
    command.args(arguments);
    let mut command = if sudo { through_sudo(&command) } else { command };
    let out = command.output().with_context(|| format!("could not run {command:?}"))?;
    if !out.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(())
}

/// The same command, as root.
pub fn through_sudo(command: &Command) -> Command {
    let mut sudo = Command::new("sudo");
    sudo.arg(command.get_program()).args(command.get_args());
    sudo
}
