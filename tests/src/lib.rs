//! What all black-box tests stand on: one private server per test program, one database per test.
//!
//! ```no_run
//! let db = checks::Database::new("my_test");
//! let mut client = db.connect();
//! client.batch_execute("CREATE TABLE t (v vector(3))").unwrap();
//! ```
//!
//! A test that crashes its server, or adds a standby, starts a cluster of its own: [`cluster`].

pub mod agreement;
pub mod catalogue;
pub mod hostile;
pub mod kinds;
pub mod pressure;
pub mod random;
pub mod watch;
pub mod workload;

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use gauge::vectors::{Dataset, Metric, Vectors};
use postgres::Client;
use xtask::bench::load;
use xtask::build::Flavor;
use xtask::cluster::{Builder, Cluster};
use xtask::pg::PgConfig;
use xtask::servers;

/// A private copy of PostgreSQL with the extension as users get it, built now if need be.
pub fn release() -> &'static PgConfig {
    static PG: OnceLock<PgConfig> = OnceLock::new();
    let is_debug = std::env::var_os("PGFAISS_DEBUG").is_some_and(|value| value == "1");
    PG.get_or_init(|| server(if is_debug { Flavor::Debug } else { Flavor::Release }))
}

/// The same with the tests that run inside a backend.
pub fn pg_test() -> &'static PgConfig {
    static PG: OnceLock<PgConfig> = OnceLock::new();
    PG.get_or_init(|| server(Flavor::PgTest))
}

fn server(flavor: Flavor) -> PgConfig {
    if let Some(program) = std::env::var_os("PGFAISS_INSTALLED") {
        return PgConfig::read(Path::new(&program)).unwrap_or_else(|e| panic!("{e:#}"));
    }
    PgConfig::locate(None)
        .and_then(|pg| servers::with_extension(&pg, flavor))
        .unwrap_or_else(|e| panic!("{e:#}"))
}

/// A cluster of its own for one test; end it with `.start()`.
pub fn cluster() -> Builder {
    Cluster::builder(release())
}

/// The cluster that the tests of this program share.
pub fn shared() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER
        .get_or_init(|| Followed::prepared(cluster()).start().unwrap_or_else(|e| panic!("{e:#}")))
}

/// With `PGFAISS_FOLLOWED=1` a standby of the server that tests share. Every page that generic WAL changes is logged whole beside
/// the change, and compared with it when the standby replays it.
pub struct Followed(Option<(&'static Cluster, Cluster)>);

impl Followed {
    fn is_wanted() -> bool {
        std::env::var_os("PGFAISS_FOLLOWED").is_some_and(|v| v == "1")
    }

    /// What a server that may be followed needs.
    pub fn prepared(builder: Builder) -> Builder {
        match Self::is_wanted() {
            true => with_images(builder),
            false => builder,
        }
    }

    /// From now on, if that is wanted.
    pub fn new(cluster: &'static Cluster) -> Self {
        let standby = || cluster.standby().unwrap_or_else(|e| panic!("{e:#}"));
        Self(Self::is_wanted().then(|| (cluster, standby())))
    }

    /// Fails if replay came upon a page that is not what its image says, or broke off.
    pub fn assert_replayed(&self) {
        if let Some((cluster, standby)) = &self.0 {
            cluster.wait_for_replay(standby).unwrap_or_else(|e| panic!("{e:#}"));
            watch::assert_calm(standby);
            eprintln!("a standby has replayed it all, page by page");
        }
    }
}

/// Has every page that generic WAL changes logged whole beside the change, and WAL kept until a standby has replayed it.
pub fn with_images(builder: Builder) -> Builder {
    builder.set("wal_consistency_checking", "generic").set("wal_keep_size", "2GB")
}

/// A fresh database of the shared cluster, with the extension in it.
pub struct Database {
    cluster: &'static Cluster,
    name: String,
}

impl Database {
    /// `name` must be used once per test program; the name of the test is.
    pub fn new(name: &str) -> Self {
        Self::on(shared(), name)
    }

    /// The same in another cluster.
    pub fn on(cluster: &'static Cluster, name: &str) -> Self {
        create_database(cluster, name);
        Self { cluster, name: name.to_owned() }
    }

    /// A session.
    pub fn connect(&self) -> Client {
        self.cluster.connect(&self.name).unwrap_or_else(|e| panic!("{e:#}"))
    }

    /// psql on this database.
    pub fn psql(&self) -> Command {
        self.cluster.psql(&self.name)
    }

    /// For clients that are not written in Rust.
    pub fn conninfo(&self) -> String {
        self.cluster.conninfo(&self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.cluster.log_tail(40));
        }
    }
}

/// Makes a database with the extension in any cluster.
pub fn create_database(cluster: &Cluster, name: &str) {
    let made = cluster
        .connect("postgres")
        .and_then(|mut c| Ok(c.batch_execute(&format!("CREATE DATABASE \"{name}\""))?))
        .and_then(|()| cluster.connect(name))
        .and_then(|mut c| Ok(c.batch_execute("CREATE EXTENSION pgfaiss CASCADE")?));
    made.unwrap_or_else(|e| panic!("{e:#}\n{}", cluster.log_tail(40)));
}

/// What went wrong in the server, with detail, hint and place.
pub fn describe(error: &postgres::Error) -> String {
    let Some(db) = error.as_db_error() else { return error.to_string() };
    let mut text = format!("{}: {} ({})", db.severity(), db.message(), db.code().code());
    for (label, part) in [("DETAIL", db.detail()), ("HINT", db.hint()), ("CONTEXT", db.where_())] {
        if let Some(part) = part {
            text.push_str(&format!("\n{label}: {part}"));
        }
    }
    if let (Some(file), Some(line)) = (db.file(), db.line()) {
        text.push_str(&format!("\nLOCATION: {file}:{line}"));
    }
    text
}

/// The beginning of a text that may be very long.
pub fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

/// How often a randomised test repeats its rounds: `usual` times `PGFAISS_ROUNDS` (1).
pub fn rounds(usual: u64) -> u64 {
    let factor = std::env::var("PGFAISS_ROUNDS").ok().and_then(|s| s.parse().ok());
    usual * factor.unwrap_or(1)
}

/// The dictionary that comes with the sources: 30,000 embeddings and 547 questions.
pub fn dictionary() -> Dataset {
    let dir = xtask::build::repository().join("data");
    xtask::bench::input::load("wordnet-30k", Some(&dir), Some(Metric::Cosine))
        .unwrap_or_else(|e| panic!("{e:#}"))
}

/// Makes `table (id int, v vector)` and fills it; ids count from 0.
pub fn load(client: &mut Client, table: &str, rows: &Vectors) {
    load::create_table(client, table, rows.dims())
        .and_then(|()| add(client, table, rows, 0))
        .unwrap_or_else(|e| panic!("{e:#}"));
}

/// Adds the rows from number `first` on.
pub fn add(client: &mut Client, table: &str, rows: &Vectors, first: usize) -> anyhow::Result<()> {
    let numbered = rows.rows().enumerate().skip(first);
    load::copy(client, table, numbered.map(|(i, row)| (i as i32, row)))?;
    Ok(())
}

/// A vector as an SQL literal.
pub fn literal(vector: &[f32]) -> String {
    format!("{}::vector", load::literal(vector))
}
