//! A private PostgreSQL cluster: initdb, start, stop, crash, restart, standby. It listens on a unix
//! socket only, belongs to an ordinary account ([`crate::account`]) and is gone when its owner is.

mod guardian;
mod memcheck;
mod place;
mod process;
mod reach;
mod standby;
#[cfg(test)]
mod tests;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use postgres::{Client, NoTls};

use crate::account::Account;
use crate::pg::PgConfig;
use guardian::Guardian;
use place::{short_temporary_dir, socket_fits};
pub use standby::ARCHIVE_COMMAND;

const PORT: u16 = 5432;
/// A crashed server may have much WAL to replay before it answers.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// How to end a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Sessions are ended and a checkpoint is written.
    Fast,
    /// No checkpoint: the next start recovers from the WAL.
    Immediate,
}

/// What a new cluster looks like; see [`Cluster::builder`].
pub struct Builder {
    pg: PgConfig,
    dir: Option<PathBuf>,
    port: u16,
    settings: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    detached: bool,
    checksums: bool,
    evidence: Option<PathBuf>,
}

impl Builder {
    /// Lives in `dir` (created if absent, an existing cluster there is started again) and stays when
    /// dropped, instead of in a temporary directory that goes away.
    pub fn dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    /// A line of postgresql.conf.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A variable of the server's environment.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The server's own defaults instead of those for tests: what is committed is on disk.
    pub fn durable(mut self) -> Self {
        self.settings.clear();
        self
    }

    /// Out of reach of the terminal's Ctrl-C, for a server that is to be left running.
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }

    /// Every page has a checksum.
    pub fn checksums(mut self) -> Self {
        self.checksums = true;
        self
    }

    /// If a test panics, its files are left in `dir` instead of being removed.
    pub fn evidence(mut self, dir: &Path) -> Self {
        self.evidence = Some(dir.to_owned());
        self
    }

    /// Makes the cluster and starts its server.
    pub fn start(self) -> Result<Cluster> {
        let mut cluster = Cluster::prepare(self.pg, self.dir)?;
        cluster.port = self.port;
        cluster.detached = self.detached;
        cluster.evidence = self.evidence;
        cluster.environment = self.environment;
        if !cluster.data_dir().join("PG_VERSION").exists() {
            cluster.initdb(self.checksums)?;
        }
        cluster.configure(&self.settings)?;
        cluster.start()?;
        Ok(cluster)
    }
}

/// A cluster with at most one running server. Dropping it stops the server and, unless
/// [`Builder::dir`] was used, removes every file of it.
pub struct Cluster {
    pg: PgConfig,
    account: Account,
    /// `data/`, `log` and, if the path is short enough, the socket.
    dir: PathBuf,
    socket_dir: PathBuf,
    port: u16,
    temporary: bool,
    detached: bool,
    server: Option<Child>,
    /// Ends the server and removes the files even if this process is killed.
    guardian: Option<Guardian>,
    evidence: Option<PathBuf>,
    environment: Vec<(String, String)>,
}

impl Cluster {
    /// A cluster of the given PostgreSQL, in a temporary directory, made for tests: nothing is
    /// flushed to disk (a killed server loses nothing by that, only a machine would).
    pub fn builder(pg: &PgConfig) -> Builder {
        let settings = [
            ("fsync", "off"),
            ("synchronous_commit", "off"),
            ("full_page_writes", "off"),
            ("max_connections", "40"),
            ("autovacuum", "off"),
            ("log_checkpoints", "off"),
        ];
        Builder {
            pg: pg.clone(),
            dir: None,
            port: PORT,
            detached: false,
            checksums: false,
            evidence: None,
            environment: Vec::new(),
            settings: settings.map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
        }
    }

    /// [`Cluster::builder`] with nothing special.
    pub fn new(pg: &PgConfig) -> Result<Self> {
        Self::builder(pg).start()
    }

    fn prepare(pg: PgConfig, dir: Option<PathBuf>) -> Result<Self> {
        let account = Account::for_servers()?;
        let temporary = dir.is_none();
        let dir = match dir {
            Some(dir) => dir,
            None => short_temporary_dir()?,
        };
        fs::create_dir_all(&dir).with_context(|| format!("could not create {}", dir.display()))?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))?;
        account.own(&dir)?;
        let socket_dir = if socket_fits(&dir) {
            dir.clone()
        } else {
            let short = short_temporary_dir()?;
            fs::set_permissions(&short, fs::Permissions::from_mode(0o755))?;
            account.own(&short)?;
            short
        };
        let guardian = temporary.then(|| Guardian::watch(&dir)).transpose()?;
        Ok(Self {
            pg,
            account,
            dir,
            socket_dir,
            port: PORT,
            temporary,
            detached: false,
            server: None,
            guardian,
            evidence: None,
            environment: Vec::new(),
        })
    }

    fn initdb(&self, checksums: bool) -> Result<()> {
        let mut initdb = self.tool("initdb");
        if checksums {
            initdb.arg("--data-checksums");
        } else if self.pg.major >= 18 {
            // There they are the default.
            initdb.arg("--no-data-checksums");
        }
        initdb.arg("--pgdata").arg(self.data_dir());
        initdb.args([
            "-N",
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--locale=C",
            "--encoding=UTF8",
        ]);
        initdb.arg("-U").arg(&self.account.name);
        run_quietly(&mut initdb)
    }

    fn configure(&self, settings: &[(String, String)]) -> Result<()> {
        let mut text = format!(
            "port = {}\nlisten_addresses = ''\nunix_socket_directories = '{}'\n",
            self.port,
            self.socket_dir.display()
        );
        for (name, value) in settings {
            text.push_str(&format!("{name} = '{}'\n", value.replace('\'', "''")));
        }
        self.write_config(&text)
    }

    /// Writes the settings of this cluster to a file that postgresql.conf includes.
    fn write_config(&self, text: &str) -> Result<()> {
        let ours = self.data_dir().join("private.conf");
        fs::write(&ours, text)?;
        self.account.own(&ours)?;
        let main = self.data_dir().join("postgresql.conf");
        let include = "include 'private.conf'\n";
        let had = fs::read_to_string(&main)?;
        if !had.ends_with(include) {
            fs::write(&main, had + include)?;
        }
        Ok(())
    }

    /// Starts the server and waits until it takes connections.
    pub fn start(&mut self) -> Result<()> {
        self.launch()?;
        self.wait_until_ready()
    }

    /// Starts the server and kills it, as [`Cluster::crash`] does, a moment later: in the middle of its recovery, or just after.
    pub fn start_and_crash(&mut self, moment: Duration) -> Result<()> {
        self.launch()?;
        std::thread::sleep(moment);
        self.crash()
    }

    fn launch(&mut self) -> Result<()> {
        if self.server.is_some() {
            bail!("the server in {} runs already", self.dir.display());
        }
        let log = fs::File::options().create(true).append(true).open(self.log_path())?;
        self.account.own(&self.log_path())?;
        let mut postgres = self.server_command();
        postgres.arg("-D").arg(self.data_dir());
        postgres.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        if self.detached {
            postgres.process_group(0);
        }
        self.server = Some(postgres.spawn().context("could not start postgres")?);
        Ok(())
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let begin = Instant::now();
        loop {
            let last = match self.connect("postgres") {
                Ok(_) => return Ok(()),
                Err(e) => e,
            };
            let exited = match &mut self.server {
                Some(child) => child.try_wait()?,
                None => bail!("the server was not started"),
            };
            if let Some(status) = exited {
                self.server = None;
                bail!("the server ended at its start ({status})\n{}", self.log_tail(30));
            }
            if begin.elapsed() > START_TIMEOUT {
                bail!("the server does not answer: {last:#}\n{}", self.log_tail(30));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the server and waits until it is gone. Does nothing when none runs.
    pub fn stop(&mut self, how: Shutdown) -> Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        process::signal(server.id(), how)?;
        server.wait()?;
        Ok(())
    }

    /// Stops and starts again.
    pub fn restart(&mut self) -> Result<()> {
        self.stop(Shutdown::Fast)?;
        self.start()
    }

    /// Kills the server and all its children at once with SIGKILL, as a power cut would (of the
    /// processes, not of the disk). [`Cluster::start`] then recovers.
    pub fn crash(&mut self) -> Result<()> {
        let Some(mut server) = self.server.take() else { bail!("no server runs") };
        process::kill_family(server.id())?;
        server.wait()?;
        self.remove_cut_locks()
    }

    /// A server killed while it writes its lock files leaves them empty, and then refuses to start until somebody has
    /// removed them.
    fn remove_cut_locks(&self) -> Result<()> {
        let socket = self.socket_dir().join(format!(".s.PGSQL.{}.lock", self.port));
        for lock in [socket, self.data_dir().join("postmaster.pid")] {
            if fs::metadata(&lock).is_ok_and(|file| file.len() == 0) {
                fs::remove_file(&lock).with_context(|| format!("removing {}", lock.display()))?;
            }
        }
        Ok(())
    }

    /// Kills one backend with SIGKILL; the server then ends all sessions and recovers by itself.
    /// Returns when it answers again.
    pub fn kill_backend(&mut self, pid: i32) -> Result<()> {
        let mut witness = self.connect("postgres")?;
        process::kill(u32::try_from(pid)?)?;
        // Until the postmaster has noticed and ends all sessions, a connection says nothing about
        // recovery.
        let begin = Instant::now();
        while witness.batch_execute("SELECT 1").is_ok() {
            if begin.elapsed() > START_TIMEOUT {
                bail!("the server survives the end of process {pid}\n{}", self.log_tail(30));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.wait_until_ready()
    }

    /// Changes a setting by ALTER SYSTEM and reloads. Some settings need [`Cluster::restart`] on top.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        let mut client = self.connect("postgres")?;
        let value = value.replace('\'', "''");
        client.batch_execute(&format!("ALTER SYSTEM SET {name} = '{value}'"))?;
        client.batch_execute("SELECT pg_reload_conf()")?;
        Ok(())
    }

    /// A session in database `dbname`.
    pub fn connect(&self, dbname: &str) -> Result<Client> {
        self.config(dbname).connect(NoTls).with_context(|| format!("connecting to {dbname}"))
    }

    /// psql in database `dbname`, without the user's own psqlrc, as the account of the server.
    pub fn psql(&self, dbname: &str) -> Command {
        let mut psql = self.tool("psql");
        psql.args(["-X", "-d", &self.conninfo(dbname)]);
        psql
    }

    /// A program of this PostgreSQL, run as the account of the server.
    pub fn tool(&self, name: &str) -> Command {
        self.prepared(Command::new(self.pg.program(name)))
    }

    fn prepared(&self, mut command: Command) -> Command {
        command.envs(self.pg.libraries.as_ref().map(|dir| ("LD_LIBRARY_PATH", dir)));
        self.account.apply(&mut command);
        command
    }

    fn server_command(&self) -> Command {
        let mut command = if memcheck::is_wanted() {
            let mut command = self.prepared(memcheck::command(&self.dir));
            command.arg(self.pg.program("postgres"));
            command
        } else {
            self.tool("postgres")
        };
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Accesses to memory out of place that valgrind has seen below the extension's functions, if the server runs under it.
    pub fn memory_faults(&self) -> Result<Vec<String>> {
        let library = crate::install::library_path(&self.pg);
        let name = library.file_name().unwrap_or_default().to_string_lossy();
        memcheck::faults(&self.dir, &format!("/{name}<"))
    }

    /// The PostgreSQL this cluster runs on.
    pub fn pg(&self) -> &PgConfig {
        &self.pg
    }

    /// The account that owns the files and runs the server; also the database superuser.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The directory of all files of this cluster.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// PGDATA.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Process id of the postmaster.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// The server's log.
    pub fn log_path(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// The last lines of the server's log, for messages about failures.
    pub fn log_tail(&self, lines: usize) -> String {
        let bytes = fs::read(self.log_path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let all: Vec<&str> = text.lines().collect();
        let tail = all[all.len().saturating_sub(lines)..].join("\n");
        format!("--- end of {} ---\n{tail}", self.log_path().display())
    }

    /// Copies the files of a stopped server.
    fn leave_in(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir)?;
        run_quietly(Command::new("cp").arg("-a").arg(self.dir.join(".")).arg(dir))
    }

    /// Leaves the server running when this value and this process end.
    pub fn leave_running(mut self) {
        self.server = None;
        self.temporary = false;
        if let Some(guardian) = self.guardian.take() {
            guardian.dismiss();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log_tail(40));
        }
        let how = if self.temporary { Shutdown::Immediate } else { Shutdown::Fast };
        if let Err(e) = self.stop(how) {
            eprintln!("could not stop the server in {}: {e:#}", self.dir.display());
        }
        if let Some(evidence) = self.evidence.take().filter(|_| std::thread::panicking()) {
            match self.leave_in(&evidence) {
                Ok(()) => eprintln!("the files of the server are in {}", evidence.display()),
                Err(e) => eprintln!("could not keep {}: {e:#}", self.dir.display()),
            }
        }
        if self.temporary {
            // What cannot be removed now the guardian tries again.
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

fn run_quietly(command: &mut Command) -> Result<()> {
    let out = command.output().with_context(|| format!("could not run {command:?}"))?;
    if !out.status.success() {
        let (said, failed) = (&out.stdout, String::from_utf8_lossy(&out.stderr));
        bail!("{command:?} failed\n{}{failed}", String::from_utf8_lossy(said));
    }
    Ok(())
}
