//! Installing what a bare machine lacks for building the extension and running a server: with apt on
//! Debian and Ubuntu; elsewhere it says what to install. Costs nothing when everything is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::account::is_root;
use crate::install::through_sudo;
use crate::pg::PgConfig;

/// What is needed beyond the server, its headers, libclang and a C compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    None,
    /// Virtual environments, for tests against Python clients.
    Python,
}

/// Makes sure everything is there and returns the PostgreSQL to use.
pub fn ensure(extra: Extra) -> Result<PgConfig> {
    let missing = Missing::find(extra);
    if missing.nothing() {
        return PgConfig::locate(None);
    }
    if !has_program("apt-get") {
        bail!("{}", missing.advice());
    }
    let packages = missing.debian_packages()?;
    println!("installing {}", packages.join(" "));
    if install(&packages).is_err() {
        // The package lists may be absent or old; fetching them takes minutes, so only now.
        apt(&["update"], &[])?;
        install(&missing.debian_packages()?)?;
    }
    let still = Missing::find(extra);
    if !still.nothing() {
        bail!("{}", still.advice());
    }
    PgConfig::locate(None)
}

/// Installs packages of Debian that a command needs; elsewhere says what they are called there.
pub fn install_packages(packages: &[&str]) -> Result<()> {
    if !has_program("apt-get") {
        bail!("install what Debian has as {}", packages.join(", "));
    }
    let packages: Vec<String> = packages.iter().map(|&package| package.to_owned()).collect();
    println!("installing {}", packages.join(" "));
    install(&packages).or_else(|_| {
        // The package lists may be absent or old; fetching them takes minutes, so only now.
        apt(&["update"], &[])?;
        install(&packages)
    })
}

fn install(packages: &[String]) -> Result<()> {
    apt(&["install", "-y", "--no-install-recommends"], packages)
}

/// What this machine lacks.
#[derive(Debug)]
struct Missing {
    postgres: Option<String>,
    libclang: bool,
    compiler: bool,
    venv: bool,
}

impl Missing {
    fn find(extra: Extra) -> Self {
        Self {
            postgres: PgConfig::locate(None).err().map(|e| format!("{e:#}")),
            libclang: !has_libclang(),
            compiler: !has_program("cc"),
            venv: extra == Extra::Python && !has_venv(),
        }
    }

    fn nothing(&self) -> bool {
        self.postgres.is_none() && !self.libclang && !self.compiler && !self.venv
    }

    /// The packages that bring it on Debian and its descendants. The headers' package depends on the
    /// clang whose runtime library the binding generator loads.
    fn debian_packages(&self) -> Result<Vec<String>> {
        let mut packages = Vec::new();
        if self.postgres.is_some() || self.libclang {
            let major = match installed_server() {
                Some(major) => major,
                None => offered_server()?,
            };
            packages.push(format!("postgresql-{major}"));
            packages.push(format!("postgresql-server-dev-{major}"));
        }
        if self.compiler {
            packages.extend(["gcc".to_owned(), "libc6-dev".to_owned()]);
        }
        if self.venv {
            packages.extend(["python3".to_owned(), "python3-venv".to_owned()]);
        }
        Ok(packages)
    }

    fn advice(&self) -> String {
        let mut lines = vec!["something is missing on this machine:".to_owned()];
        lines.extend(self.postgres.as_ref().map(|reason| format!("- PostgreSQL: {reason}")));
        for (lacks, what) in [
            (self.libclang, "libclang, by which the bindings to the server are made"),
            (self.compiler, "a C compiler called cc"),
            (self.venv, "Python 3 with venv"),
        ] {
            lines.extend(lacks.then(|| format!("- {what}")));
        }
        lines.push("on Fedora:  sudo dnf install postgresql-server postgresql-server-devel clang-libs gcc python3".to_owned());
        lines.push("on Arch:    sudo pacman -S postgresql clang gcc python".to_owned());
        lines.push("on macOS:   brew install postgresql@17 llvm python".to_owned());
        lines.push(
            "then set PGRX_PG_CONFIG_PATH to its pg_config if that is not in the PATH".to_owned(),
        );
        lines.join("\n")
    }
}

/// Runs apt-get as root, showing what it says.
fn apt(arguments: &[&str], packages: &[String]) -> Result<()> {
    let mut apt = Command::new("env");
    apt.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300"]);
    apt.arg("--quiet").args(arguments).args(packages);
    let mut apt = if is_root() { apt } else { through_sudo(&apt) };
    let shown: Vec<_> = apt.get_args().map(|a| a.to_string_lossy()).collect();
    println!("running {} {}", apt.get_program().display(), shown.join(" "));
    let status = apt.stdin(Stdio::inherit()).status().context("could not run apt-get")?;
    if !status.success() {
        bail!("apt-get {} failed", arguments.join(" "));
    }
    Ok(())
}

/// The newest server that is installed in Debian's place, perhaps without headers.
fn installed_server() -> Option<u32> {
    crate::pg::SUPPORTED_MAJORS
        .rev()
        .find(|major| Path::new(&format!("/usr/lib/postgresql/{major}/bin/postgres")).exists())
}

/// The major version that the distribution's package `postgresql` stands for.
fn offered_server() -> Result<u32> {
    if let Some(major) = depends_of_postgresql() {
        return Ok(major);
    }
    apt(&["update"], &[])?;
    depends_of_postgresql().context("the package lists have no package \"postgresql\"")
}

fn depends_of_postgresql() -> Option<u32> {
    let out = Command::new("apt-cache").args(["depends", "postgresql"]).output().ok()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let line = text.lines().find(|l| l.trim_start().starts_with("Depends: postgresql-"))?;
    line.trim().trim_start_matches("Depends: postgresql-").parse().ok()
}

/// Whether the PATH has a program of that name.
pub fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(name).is_file())
}

fn has_venv() -> bool {
    let mut python = Command::new("python3");
    python.args(["-c", "import venv, ensurepip"]).stdout(Stdio::null()).stderr(Stdio::null());
    python.status().is_ok_and(|s| s.success())
}

/// Looks where the binding generator looks.
fn has_libclang() -> bool {
    if std::env::var_os("LIBCLANG_PATH").is_some() || cfg!(target_os = "macos") {
        return true;
    }
    let mut dirs: Vec<PathBuf> =
        ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/lib/llvm/lib"].map(PathBuf::from).into();
    let architecture = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    dirs.push(PathBuf::from(architecture));
    for entry in fs::read_dir("/usr/lib").into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("llvm-") {
            dirs.push(entry.path().join("lib"));
        }
    }
    dirs.iter().any(|dir| {
        fs::read_dir(dir).into_iter().flatten().flatten().any(|file| {
            let name = file.file_name().to_string_lossy().into_owned();
            // Not libclang-cpp, which is another library.
            let versioned = name.strip_prefix("libclang-").and_then(|v| v.chars().next());
            name.contains(".so")
                && (name.starts_with("libclang.so")
                    || versioned.is_some_and(|c| c.is_ascii_digit()))
        })
    })
}
