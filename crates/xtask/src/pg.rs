//! A PostgreSQL installation as its `pg_config` describes it, and a private copy of one.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Versions the extension has bindings for.
pub const SUPPORTED_MAJORS: std::ops::RangeInclusive<u32> = 14..=18;

/// One PostgreSQL installation.
#[derive(Clone, Debug)]
pub struct PgConfig {
    /// The `pg_config` program this was read from.
    pub program: PathBuf,
    /// As printed, for instance `PostgreSQL 15.20 (Debian 15.20-0+deb12u1)`.
    pub version: String,
    /// 15 for 15.20.
    pub major: u32,
    pub bindir: PathBuf,
    pub pkglibdir: PathBuf,
    pub sharedir: PathBuf,
    pub includedir_server: PathBuf,
    /// Libraries that the programs need and the system does not have: a Python wheel brings them along.
    pub libraries: Option<PathBuf>,
}

impl PgConfig {
    /// Reads what the given `pg_config` program says.
    pub fn read(program: &Path) -> Result<Self> {
        let out = Command::new(program)
            .output()
            .with_context(|| format!("could not run {}", program.display()))?;
        if !out.status.success() {
            let said = String::from_utf8_lossy(&out.stderr);
            bail!("{} failed: {}", program.display(), said.trim());
        }
        Self::parse(program, &String::from_utf8(out.stdout)?)
    }

    fn parse(program: &Path, text: &str) -> Result<Self> {
        let value = |name: &str| {
            text.lines()
                .filter_map(|line| line.split_once(" = "))
                .find(|(n, _)| *n == name)
                .map(|(_, v)| v.to_owned())
                .with_context(|| format!("{} does not report {name}", program.display()))
        };
        let version = value("VERSION")?;
        let major = major_of(&version)
            .with_context(|| format!("could not read a version number from \"{version}\""))?;
        let bindir = PathBuf::from(value("BINDIR")?);
        Ok(Self {
            program: program.to_owned(),
            major,
            version,
            libraries: libraries_of_wheel(&bindir),
            bindir,
            pkglibdir: value("PKGLIBDIR")?.into(),
            sharedir: value("SHAREDIR")?.into(),
            includedir_server: value("INCLUDEDIR-SERVER")?.into(),
        })
    }

    /// Finds a PostgreSQL: the given `pg_config`, else the one in `PGRX_PG_CONFIG_PATH`, in the PATH,
    /// or the newest that Debian's layout has. Only a complete one (server and headers, a supported
    /// version) is taken, unless it was named on the command line.
    pub fn locate(explicit: Option<&Path>) -> Result<Self> {
        if let Some(program) = explicit {
            let pg = Self::read(program)?;
            if let Some(reason) = pg.what_is_missing() {
                bail!("{} cannot be used: {reason}", program.display());
            }
            return Ok(pg);
        }
        let mut reasons = Vec::new();
        for program in candidates() {
            match Self::read(&program).map(|pg| (pg.what_is_missing(), pg)) {
                Ok((None, pg)) => return Ok(pg),
                Ok((Some(reason), _)) => reasons.push(format!("{}: {reason}", program.display())),
                Err(e) => reasons.push(format!("{e:#}")),
            }
        }
        reasons.dedup();
        bail!("found no usable PostgreSQL\n  {}", reasons.join("\n  "))
    }

    /// Why the extension cannot be built for and run in this installation, if it cannot.
    pub fn what_is_missing(&self) -> Option<String> {
        if !SUPPORTED_MAJORS.contains(&self.major) {
            let (low, high) = (SUPPORTED_MAJORS.start(), SUPPORTED_MAJORS.end());
            return Some(format!("{} is outside {low} to {high}", self.version));
        }
        if !self.includedir_server.join("postgres.h").exists() {
            return Some(format!("no server headers in {}", self.includedir_server.display()));
        }
        if !self.bindir.join("postgres").exists() {
            return Some(format!("no server program in {}", self.bindir.display()));
        }
        None
    }

    /// The cargo feature that selects this major version.
    pub fn feature(&self) -> String {
        format!("pg{}", self.major)
    }

    /// A program of this installation.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bindir.join(name)
    }

    /// Where control and SQL files of extensions lie.
    pub fn extension_dir(&self) -> PathBuf {
        self.sharedir.join("extension")
    }

    /// The same installation with what is installed into it below `root`, as in a package.
    pub fn below(&self, root: &Path) -> Self {
        let moved = |dir: &Path| root.join(dir.strip_prefix("/").unwrap_or(dir));
        Self { pkglibdir: moved(&self.pkglibdir), sharedir: moved(&self.sharedir), ..self.clone() }
    }

    /// Copies the programs, libraries and shared files of this installation below `root`, keeping
    /// their relative places, by which PostgreSQL finds them again. The extension can then be
    /// installed there without touching the system. An existing copy of the same version is reused.
    pub fn copy_to(&self, root: &Path) -> Result<Self> {
        let prefix = common_ancestor(&[&self.bindir, &self.pkglibdir, &self.sharedir]);
        let moved = |dir: &Path| root.join(dir.strip_prefix(&prefix).unwrap_or(dir));
        let copy = Self {
            program: moved(&self.bindir).join("pg_config"),
            bindir: moved(&self.bindir),
            pkglibdir: moved(&self.pkglibdir),
            sharedir: moved(&self.sharedir),
            libraries: self.libraries.as_ref().map(|_| root.join("libraries")),
            ..self.clone()
        };
        let stamp = root.join("version");
        let wanted = format!("{}\n{}\n", self.version, self.bindir.display());
        if fs::read_to_string(&stamp).is_ok_and(|s| s == wanted) {
            return Ok(copy);
        }
        if root.exists() {
            fs::remove_dir_all(root)
                .with_context(|| format!("could not remove {}", root.display()))?;
        }
        for (from, to) in [
            (&self.bindir, &copy.bindir),
            (&self.pkglibdir, &copy.pkglibdir),
            (&self.sharedir, &copy.sharedir),
        ] {
            copy_tree(from, to)?;
        }
        if let Some((from, to)) = self.libraries.as_ref().zip(copy.libraries.as_ref()) {
            copy_tree(from, to)?;
        }
        fs::write(&stamp, wanted)?;
        Ok(copy)
    }
}

/// Every installation in Debian's place that is complete, the oldest first.
pub fn complete_of_debian() -> Vec<PgConfig> {
    SUPPORTED_MAJORS
        .filter_map(|major| PgConfig::read(&of_debian(major)).ok())
        .filter(|pg| pg.what_is_missing().is_none())
        .collect()
}

fn of_debian(major: u32) -> PathBuf {
    PathBuf::from(format!("/usr/lib/postgresql/{major}/bin/pg_config"))
}

fn candidates() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    found.extend(std::env::var_os("PGRX_PG_CONFIG_PATH").map(PathBuf::from));
    if let Some(path) = std::env::var_os("PATH") {
        found.extend(std::env::split_paths(&path).map(|dir| dir.join("pg_config")));
    }
    found.extend(SUPPORTED_MAJORS.rev().map(of_debian));
    found.retain(|program| program.exists());
    found
}

/// 15 from `PostgreSQL 15.20 (Debian …)`, 19 from `PostgreSQL 19beta1`.
fn major_of(version: &str) -> Option<u32> {
    let number = version.split_whitespace().nth(1)?;
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..digits].parse().ok()
}

fn common_ancestor(paths: &[&Path]) -> PathBuf {
    let first = paths.first().copied().unwrap_or(Path::new("/"));
    first
        .ancestors()
        .find(|dir| paths.iter().all(|p| p.starts_with(dir)))
        .unwrap_or(Path::new("/"))
        .to_owned()
}

/// Where wheels have their libraries: `NAME.libs` beside `NAME`, which the programs find by their place in it. A copy of
/// the programs does not.
fn libraries_of_wheel(bindir: &Path) -> Option<PathBuf> {
    let package = bindir.ancestors().nth(2)?;
    let name = package.file_name()?.to_str()?;
    let dir = package.with_file_name(format!("{name}.libs"));
    dir.is_dir().then_some(dir)
}

/// Copies a directory. Bitcode (for just-in-time inlining) and the build system of extensions are
/// left out: they are most of the bytes and no server needs them.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("could not create {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("could not read {}", from.display()))? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if [OsStr::new("bitcode"), OsStr::new("pgxs"), OsStr::new("man")]
            .contains(&entry.file_name().as_os_str())
        {
            continue;
        }
        // Through links: a copy must not depend on what the original points at.
        let kind = fs::metadata(&source);
        if kind.as_ref().is_ok_and(fs::Metadata::is_dir) {
            copy_tree(&source, &target)?;
        } else if kind.is_ok() {
            fs::copy(&source, &target)
                .with_context(|| format!("could not copy {}", source.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(major_of("PostgreSQL 15.20 (Debian 15.20-0+deb12u1)"), Some(15));
        assert_eq!(major_of("PostgreSQL 19beta1"), Some(19));
        assert_eq!(major_of("PostgreSQL"), None);
    }

    #[test]
    fn ancestor_of_debian_directories() {
        let dirs = ["/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/15/lib", "/usr/share/x"];
        let dirs: Vec<&Path> = dirs.iter().map(Path::new).collect();
        assert_eq!(common_ancestor(&dirs), Path::new("/usr"));
    }

    #[test]
    fn a_missing_line_is_named() {
        let text = "VERSION = PostgreSQL 17.9\nBINDIR = /x/bin\n";
        let error = PgConfig::parse(Path::new("pg_config"), text).unwrap_err().to_string();
        assert!(error.contains("PKGLIBDIR"), "{error}");
    }
}
