//! Private copies of the PostgreSQL at hand, with the extension in them: what tests and demo run
//! needs no place in the system's directories, and no sudo.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::account::Account;
use crate::build::{self, Flavor};
use crate::install;
use crate::pg::PgConfig;

/// Builds the extension for `pg`, and installs it into a private copy of `pg` which is returned.
/// Each flavor has its own copy, so that they can serve at the same time.
pub fn with_extension(pg: &PgConfig, flavor: Flavor) -> Result<PgConfig> {
    let library = build::library(pg, flavor)?;
    let kind = match flavor {
        Flavor::Release => "release",
        Flavor::Debug => "debug",
        Flavor::PgTest => "pg_test",
    };
    let home = home()?;
    // Two test programs may come here at once.
    let lock = fs::File::create(home.join(format!("{kind}.lock")))?;
    lock.lock()?;
    let copy = pg.copy_to(&home.join(format!("{}-{kind}", pg.feature())))?;
    install::install(&copy, &library)?;
    Ok(copy)
}

/// A directory of this working copy for servers and clusters: below `target/`, or, where the account
/// that runs servers cannot get there (root's home is closed to it), a fixed one in /tmp.
pub fn home() -> Result<PathBuf> {
    let target = build::target_dir();
    let account = Account::for_servers()?;
    let dir = if account.can_enter(&target) {
        target.join("servers")
    } else {
        let mut hasher = DefaultHasher::new();
        target.hash(&mut hasher);
        Path::new("/tmp").join(format!("pgfaiss-{:016x}", hasher.finish()))
    };
    fs::create_dir_all(&dir).with_context(|| format!("could not create {}", dir.display()))?;
    // Anyone may have made a directory of that name in /tmp before us.
    if fs::symlink_metadata(&dir)?.uid() != rustix::process::geteuid().as_raw() {
        bail!("{} belongs to somebody else; remove it", dir.display());
    }
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))?;
    Ok(dir)
}
