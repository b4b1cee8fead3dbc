//! What all black-box tests stand on: one private server per test program, one database per test.
//!
//! ```no_run
//! let db = checks::Database::new("my_test");
//! let mut client = db.connect();
//! client.batch_execute("CREATE TABLE t (v vector(3))").unwrap();
//! ```
//!
//! A test that crashes its server, or adds a standby, starts a cluster of its own: [`cluster`].

use std::process::Command;
use std::sync::OnceLock;

use postgres::Client;
use xtask::build::Flavor;
use xtask::cluster::{Builder, Cluster};
use xtask::pg::PgConfig;
use xtask::servers;

/// A private copy of PostgreSQL with the extension as users get it, built now if need be.
pub fn release() -> &'static PgConfig {
    static PG: OnceLock<PgConfig> = OnceLock::new();
    PG.get_or_init(|| server(Flavor::Release))
}

/// The same with the tests that run inside a backend.
pub fn pg_test() -> &'static PgConfig {
    static PG: OnceLock<PgConfig> = OnceLock::new();
    PG.get_or_init(|| server(Flavor::PgTest))
}

fn server(flavor: Flavor) -> PgConfig {
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
    CLUSTER.get_or_init(|| cluster().start().unwrap_or_else(|e| panic!("{e:#}")))
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
        .and_then(|mut c| Ok(c.batch_execute("CREATE EXTENSION pgfaiss")?));
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
