//! Python packages for the tests and the bench, in a virtual environment below `target/`. The
//! extension itself never needs Python.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use crate::build::target_dir;

/// Tests ask for the same environment on several threads.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The directory of a virtual environment called `name` that holds exactly the given pip
/// requirements; made on first use, made anew when they change.
pub fn environment(name: &str, requirements: &[&str]) -> Result<PathBuf> {
    made(name, &requirements.join(", "), &requirements.join("\n"), requirements)
}

/// As `environment`, with the packages of a requirements file that names every one of them and its version: pip has nothing to
/// decide.
pub fn pinned(name: &str, file: &Path) -> Result<PathBuf> {
    let wanted = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let path = file.to_str().context("a path that is no text")?;
    let what = format!("the packages of {path}");
    // What is never imported need not be compiled.
    made(name, &what, &wanted, &["--no-deps", "--no-compile", "--requirement", path])
}

/// Gives `arguments` to pip unless the environment was made from the same `wanted`.
fn made(name: &str, what: &str, wanted: &str, arguments: &[&str]) -> Result<PathBuf> {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = target_dir().join("python").join(name);
    let stamp = dir.join("requirements");
    if fs::read_to_string(&stamp).is_ok_and(|s| s == wanted) {
        return Ok(dir);
    }
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    println!("installing {what} from PyPI");
    run(Command::new("python3").args(["-m", "venv"]).arg(&dir)).context(
        "a virtual environment is needed; on Debian and Ubuntu it is in the package python3-venv",
    )?;
    let mut pip = Command::new(dir.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
    run(pip.args(arguments))?;
    fs::write(stamp, wanted)?;
    Ok(dir)
}

/// Runs a program to its end; what it said is in the error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    command.stdin(Stdio::null());
    let out = command.output().with_context(|| format!("could not run {command:?}"))?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stdout);
        bail!("{command:?} failed\n{said}{}", String::from_utf8_lossy(&out.stderr));
    }
    Ok(())
}
