//! The operating-system account a private server runs under. PostgreSQL refuses to run as root, so
//! root hands its servers to an ordinary account; everybody else runs them as themselves.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Who runs the servers of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Login name, which is also the name of the database superuser in a private cluster.
    pub name: String,
    /// Set only when this process is root and must become somebody else: user id and group id.
    switch_to: Option<(u32, u32)>,
}

impl Account {
    /// The account for this process: itself, or `postgres` (else `nobody`) when it is root.
    pub fn for_servers() -> Result<Self> {
        if !is_root() {
            return Ok(Self { name: id("-un", None)?, switch_to: None });
        }
        for name in ["postgres", "nobody"] {
            if let (Ok(uid), Ok(gid)) = (id("-u", Some(name)), id("-g", Some(name))) {
                let switch_to = Some((uid.parse()?, gid.parse()?));
                return Ok(Self { name: name.to_owned(), switch_to });
            }
        }
        bail!("a server must not run as root, and neither \"postgres\" nor \"nobody\" exists here")
    }

    /// Makes `command` run under this account, in a directory it can enter and without the variables
    /// that would change what a server or a client does.
    pub fn apply(&self, command: &mut Command) {
        if let Some((uid, gid)) = self.switch_to {
            // Setting a user id as root also drops root's supplementary groups.
            command.uid(uid).gid(gid).env("HOME", "/").env("USER", &self.name);
        }
        command.current_dir("/");
        // A backtrace in DETAIL would make the errors of the extension unstable.
        command.env_remove("RUST_BACKTRACE").env_remove("RUST_LIB_BACKTRACE");
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|n| n.starts_with("PG") && !n.starts_with("PGFAISS")) {
                command.env_remove(&name);
            }
        }
        command.env("LC_ALL", "C").env("TZ", "UTC");
    }

    /// Gives `path` to this account.
    pub fn own(&self, path: &Path) -> Result<()> {
        match self.switch_to {
            Some((uid, gid)) => std::os::unix::fs::chown(path, Some(uid), Some(gid))
                .with_context(|| format!("could not give {} to {}", path.display(), self.name)),
            None => Ok(()),
        }
    }

    /// Whether this account can enter `dir`, which need not exist yet: its nearest existing ancestor
    /// is tried.
    pub fn can_enter(&self, dir: &Path) -> bool {
        let existing = dir.ancestors().find(|d| d.exists()).unwrap_or(Path::new("/"));
        if self.switch_to.is_none() {
            return true;
        }
        let mut test = Command::new("test");
        self.apply(&mut test);
        test.arg("-x").arg(existing).status().is_ok_and(|s| s.success())
    }
}

/// Whether this process may do everything on the machine.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn id(what: &str, user: Option<&str>) -> Result<String> {
    let out = Command::new("id").arg(what).args(user).output().context("could not run id")?;
    if !out.status.success() {
        bail!("id {what} {}: {}", user.unwrap_or(""), String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(String::from_utf8(out.stdout)?.trim().to_owned())
}
