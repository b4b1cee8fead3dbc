//! A streaming standby of a cluster.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{Cluster, run_quietly};

/// Replay follows writing within milliseconds; only a stuck standby takes this long.
const REPLAY_TIMEOUT: Duration = Duration::from_secs(120);

impl Cluster {
    /// Copies this cluster while it runs and starts the copy as a hot standby that streams from it.
    pub fn standby(&self) -> Result<Cluster> {
        let mut standby = Cluster::prepare(self.pg.clone(), None)?;
        let mut backup = self.tool("pg_basebackup");
        backup.arg("--pgdata").arg(standby.data_dir());
        backup.args(["-d", &self.conninfo("postgres")]);
        backup.args(["--wal-method=stream", "--checkpoint=fast", "--write-recovery-conf"]);
        run_quietly(&mut backup)?;
        let path = standby.data_dir().join("private.conf");
        let (from, to) = (self.socket_dir.display(), standby.socket_dir.display());
        let text = fs::read_to_string(&path)?.replace(&format!("'{from}'"), &format!("'{to}'"));
        standby.write_config(&format!("{text}hot_standby = on\n"))?;
        standby.start()?;
        Ok(standby)
    }

    /// Waits until `standby` has replayed everything written here so far.
    pub fn wait_for_replay(&self, standby: &Cluster) -> Result<()> {
        // A switch of the WAL file also ships what an asynchronous commit left unwritten.
        let target: String = self
            .connect("postgres")?
            .query_one("SELECT pg_switch_wal(), pg_current_wal_lsn()::text", &[])?
            .get(1);
        let mut client = standby.connect("postgres")?;
        let begin = Instant::now();
        let query =
            format!("SELECT coalesce(pg_last_wal_replay_lsn() >= '{target}'::pg_lsn, false)");
        while !client.query_one(&query, &[])?.get::<_, bool>(0) {
            if begin.elapsed() > REPLAY_TIMEOUT {
                bail!("the standby does not reach {target}\n{}", standby.log_tail(30));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}
