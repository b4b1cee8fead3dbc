//! Where the files of a cluster lie.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Whether the path of a socket in `dir` stays within what the system allows (108 bytes).
pub fn socket_fits(dir: &Path) -> bool {
    dir.as_os_str().len() + ".s.PGSQL.65535.lock".len() < 104
}

/// A new directory with a short path: TMPDIR may be too long for a socket.
pub fn short_temporary_dir() -> Result<PathBuf> {
    let usual = std::env::temp_dir();
    let base = if usual.as_os_str().len() > 40 { Path::new("/tmp").to_owned() } else { usual };
    let dir = tempfile::Builder::new()
        .prefix("pgfaiss-")
        .tempdir_in(&base)
        .with_context(|| format!("could not create a directory in {}", base.display()))?;
    Ok(dir.keep())
}
