//! Putting a built library, the control file and the schema where a PostgreSQL looks for them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::account::is_root;
use crate::build::{self, Flavor, repository};
use crate::pg::PgConfig;

/// The version of the extension `pgfaiss`: that of the crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The version of our extension `vector`: that of the pgvector whose SQL it has, because clients compare it.
pub const VECTOR_VERSION: &str = "0.8.6";
/// What our control files have and pgvector's has not: our library.
const OUR_LIBRARY: &str = "$libdir/pgfaiss";

/// An extension that the library serves.
struct Extension {
    name: &'static str,
    version: &'static str,
}

/// The access methods and the schema `faiss`.
const PGFAISS: Extension = Extension { name: "pgfaiss", version: VERSION };
/// A search of several servers, in SQL only.
const SHARDS: Extension = Extension { name: "pgfaiss_shards", version: VERSION };
/// The types, for servers without pgvector.
const VECTOR: Extension = Extension { name: "vector", version: VECTOR_VERSION };

/// Whose files of the extension `vector` a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VectorFiles {
    Ours,
    Pgvector,
}

impl VectorFiles {
    /// What `install` tells the user.
    pub fn describe(self) -> String {
        match self {
            Self::Ours => format!("extension \"vector\": {VECTOR_VERSION}, that of pgfaiss"),
            Self::Pgvector => "extension \"vector\": pgvector's, left as it is".to_owned(),
        }
    }
}

/// Builds the extensions for `pg` and installs them there.
pub fn build_and_install(pg: &PgConfig, flavor: Flavor) -> Result<VectorFiles> {
    let library = build::library(pg, flavor)?;
    install(pg, &library)
}

/// Installs `library` and the extensions' SQL into `pg`, through sudo for the files in directories this user may not
/// write to. Where pgvector is installed its extension `vector` stays, and ours is left out.
pub fn install(pg: &PgConfig, library: &Path) -> Result<VectorFiles> {
    place(library, &library_path(pg), "755")?;
    let vector = vector_files(pg)?;
    if vector == VectorFiles::Ours {
        VECTOR.install(pg)?;
    }
    PGFAISS.install(pg)?;
    SHARDS.install(pg)?;
    Ok(vector)
}

/// Puts the library and the extensions `pgfaiss` and `pgfaiss_shards` at their places in `pg`, which is the tree of a package.
pub fn lay_out_pgfaiss(pg: &PgConfig, library: &Path) -> Result<()> {
    make_directories(pg)?;
    place(library, &library_path(pg), "644")?;
    PGFAISS.install(pg)?;
    SHARDS.install(pg)
}

/// As `lay_out_pgfaiss`, for our extension `vector`.
pub fn lay_out_vector(pg: &PgConfig) -> Result<()> {
    make_directories(pg)?;
    VECTOR.install(pg)
}

fn make_directories(pg: &PgConfig) -> Result<()> {
    for dir in [&pg.pkglibdir, &pg.extension_dir()] {
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    Ok(())
}

/// Whose files of the extension `vector` are to be in `pg`: pgvector's where they are there, else ours.
fn vector_files(pg: &PgConfig) -> Result<VectorFiles> {
    let path = VECTOR.control_in(pg);
    if !path.exists() {
        return Ok(VectorFiles::Ours);
    }
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(if text.contains(OUR_LIBRARY) { VectorFiles::Ours } else { VectorFiles::Pgvector })
}

/// Where `pg` looks for the library.
pub fn library_path(pg: &PgConfig) -> PathBuf {
    // From 16 on PostgreSQL loads .dylib on macOS; everywhere else it is .so.
    let suffix = if cfg!(target_os = "macos") && pg.major >= 16 { "dylib" } else { "so" };
    pg.pkglibdir.join(format!("pgfaiss.{suffix}"))
}

impl Extension {
    fn install(&self, pg: &PgConfig) -> Result<()> {
        let Self { name, version } = self;
        let stage = tempfile::tempdir()?;
        let control = stage.path().join("control");
        fs::write(&control, self.control_text()?)?;
        let script = stage.path().join("schema.sql");
        fs::write(&script, self.schema()?)?;
        let share = pg.extension_dir();
        place(&control, &self.control_in(pg), "644")?;
        place(&script, &share.join(format!("{name}--{version}.sql")), "644")?;
        for upgrade in self.sql_files(|file| file.starts_with(&format!("{name}--")))? {
            if let Some(name) = upgrade.file_name() {
                place(&upgrade, &share.join(name), "644")?;
            }
        }
        Ok(())
    }

    /// Where `pg` looks for the control file.
    fn control_in(&self, pg: &PgConfig) -> PathBuf {
        pg.extension_dir().join(format!("{}.control", self.name))
    }

    /// The control file with the version filled in.
    fn control_text(&self) -> Result<String> {
        let path = repository().join(format!("{}.control", self.name));
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(text.replace("@VERSION@", self.version))
    }

    /// The schema script: `sql/NAME/[0-9]*.sql`, one after the other in the order of their names.
    fn schema(&self) -> Result<String> {
        let name = self.name;
        let mut text =
            format!("\\echo Use \"CREATE EXTENSION {name}\" to load this file. \\quit\n");
        for part in self.sql_files(|file| file.starts_with(|c: char| c.is_ascii_digit()))? {
            text.push('\n');
            text.push_str(&fs::read_to_string(&part).with_context(|| part.display().to_string())?);
        }
        Ok(text)
    }

    /// The files of `sql/NAME` whose names are wanted, in the order of their names.
    fn sql_files(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
        let dir = repository().join("sql").join(self.name);
        let mut files = Vec::new();
        for entry in fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
            let path = entry?.path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
            if name.ends_with(".sql") && wanted(name) {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }
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
