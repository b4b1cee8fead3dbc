//! Ends the server of a process that ended without doing so itself. Test programs leave through
//! `exit`, by a signal or by a crash; no destructor runs then, but the pipe to this shell closes.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// `$1` is the directory of the cluster. The first line of postmaster.pid is the process to end.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
read -r order
[ "$order" = leave ] && exit 0
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ] && kill -QUIT "$pid" 2>/dev/null; then
    n=0
    while [ -e "$1/data/postmaster.pid" ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
fi
rm -rf "$1"
"#;

pub struct Guardian(Child);

impl Guardian {
    /// Watches over the cluster in `dir` until this process ends.
    pub fn watch(dir: &Path) -> Result<Self> {
        let child = Command::new("sh")
            .arg("-c")
            .arg(SCRIPT)
            .arg("guardian")
            .arg(dir)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("could not start sh")?;
        Ok(Self(child))
    }

    /// Lets the server live on.
    pub fn dismiss(mut self) {
        if let Some(mut pipe) = self.0.stdin.take() {
            let _ = std::io::Write::write_all(&mut pipe, b"leave\n");
        }
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        // Closing the pipe makes the shell go; waiting leaves no zombie behind.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
