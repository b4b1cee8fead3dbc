//! Copies of a cluster: a streaming standby, and a base backup that replays an archive of the WAL.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{Cluster, run_quietly};

/// Replay follows writing within milliseconds; only a stuck standby takes this long.
const REPLAY_TIMEOUT: Duration = Duration::from_secs(120);

/// A line of postgresql.conf that keeps all WAL in [`Cluster::archive_dir`].
pub const ARCHIVE_COMMAND: &str = "mkdir -p ../archive && cp %p ../archive/%f";

impl Cluster {
    /// Copies this cluster while it runs and starts the copy as a hot standby that streams from it.
    pub fn standby(&self) -> Result<Cluster> {
        let mut standby = self.backup()?;
        let source = self.conninfo("postgres");
        standby.recover_as("standby.signal", &format!("primary_conninfo = '{source}'\n"))?;
        Ok(standby)
    }

    /// Copies this cluster while it runs. The copy has not been started.
    pub fn backup(&self) -> Result<Cluster> {
        let copy = Cluster::prepare(self.pg.clone(), None)?;
        let mut backup = self.tool("pg_basebackup");
        backup.arg("--pgdata").arg(copy.data_dir());
        backup.args(["-d", &self.conninfo("postgres")]);
        backup.args(["--wal-method=stream", "--checkpoint=fast"]);
        run_quietly(&mut backup)?;
        Ok(copy)
    }

    /// Starts a [`Cluster::backup`] of `source`, which has [`ARCHIVE_COMMAND`], replays its archive to a named restore point and goes on from there.
    pub fn restore(&mut self, source: &Cluster, restore_point: &str) -> Result<()> {
        let archive = source.archive_dir();
        let settings = format!(
            "archive_mode = off\nrestore_command = 'cp {}/%f %p'\nrecovery_target_name = '{restore_point}'\n\
             recovery_target_action = promote\n",
            archive.display()
        );
        self.recover_as("recovery.signal", &settings)?;
        let begin = Instant::now();
        let mut client = self.connect("postgres")?;
        while client.query_one("SELECT pg_is_in_recovery()", &[])?.get::<_, bool>(0) {
            if begin.elapsed() > REPLAY_TIMEOUT {
                bail!("recovery does not reach {restore_point}\n{}", self.log_tail(30));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Where [`ARCHIVE_COMMAND`] keeps the WAL.
    pub fn archive_dir(&self) -> PathBuf {
        self.dir.join("archive")
    }

    /// Starts a copy with settings of its own on top of those it came with.
    fn recover_as(&mut self, signal: &str, settings: &str) -> Result<()> {
        let conf = fs::read_to_string(self.data_dir().join("private.conf"))?;
        let others = conf.lines().filter(|line| !line.starts_with("unix_socket_directories"));
        let conf: String = others.flat_map(|line| [line, "\n"]).collect();
        let socket = self.socket_dir.display();
        self.write_config(&format!(
            "{conf}unix_socket_directories = '{socket}'\nhot_standby = on\n{settings}"
        ))?;
        let signal = self.data_dir().join(signal);
        fs::write(&signal, "")?;
        self.account.own(&signal)?;
        self.start()
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
