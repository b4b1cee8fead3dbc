//! Python packages for the tests and the bench, in a virtual environment below `target/`. The
//! extension itself never needs Python.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use crate::build::target_dir;

/// Tests ask for the same environment on several threads.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The directory of a virtual environment called `name` that holds exactly the given pip
/// requirements; made on first use, made anew when they change.
pub fn environment(name: &str, requirements: &[&str]) -> Result<PathBuf> {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = target_dir().join("python").join(name);
    let stamp = dir.join("requirements");
    let wanted = requirements.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|s| s == wanted) {
        return Ok(dir);
    }
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    println!("installing {} from PyPI", requirements.join(", "));
    run(Command::new("python3").args(["-m", "venv"]).arg(&dir)).context(
        "a virtual environment is needed; on Debian and Ubuntu it is in the package python3-venv",
    )?;
    let mut pip = Command::new(dir.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
    run(pip.args(requirements))?;
    fs::write(stamp, wanted)?;
    Ok(dir)
}

fn run(command: &mut Command) -> Result<()> {
    command.stdin(Stdio::null());
    let out = command.output().with_context(|| format!("could not run {command:?}"))?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stdout);
        bail!("{command:?} failed\n{said}{}", String::from_utf8_lossy(&out.stderr));
    }
    Ok(())
}
