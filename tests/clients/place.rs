//! The servers that clients are used on: one where our extension `vector` stands for pgvector, and one that has pgvector
//! with our access methods beside it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::Result;
use xtask::bench::peers::{self, Wheel};
use xtask::build::{self, Flavor};
use xtask::cluster::Cluster;
use xtask::install::{self, VectorFiles};
use xtask::pg::PgConfig;

/// What owns the databases: an ordinary role.
const OWNER: &str = "client";

/// Where a client finds itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A server without pgvector's files. The client makes the extension itself.
    DropIn,
    /// A server with them, where an administrator has made `vector` and `pgfaiss`.
    Beside,
}

impl Place {
    pub const ALL: [Place; 2] = [Place::DropIn, Place::Beside];

    pub fn name(self) -> &'static str {
        match self {
            Self::DropIn => "drop-in",
            Self::Beside => "beside",
        }
    }

    /// Why there is no such server.
    pub fn hindrance(self) -> Option<String> {
        self.server().as_ref().err().cloned()
    }

    /// The server, for what has more than one database.
    pub fn cluster(self) -> Result<&'static Cluster> {
        let server = self.server().as_ref().map_err(|reason| anyhow::anyhow!("{reason}"))?;
        Ok(&server.cluster)
    }

    fn server(self) -> &'static Result<Server, String> {
        static DROP_IN: OnceLock<Result<Server, String>> = OnceLock::new();
        static BESIDE: OnceLock<Result<Server, String>> = OnceLock::new();
        let (place, pg): (_, &dyn Fn() -> Result<PgConfig>) = match self {
            Self::DropIn => (&DROP_IN, &|| Ok(checks::release().clone())),
            Self::Beside => (&BESIDE, &with_pgvector),
        };
        place.get_or_init(|| pg().and_then(|pg| Server::start(&pg)).map_err(|e| format!("{e:#}")))
    }

    /// An empty database, or, beside pgvector, one with both extensions.
    pub fn database(self, name: &str) -> Result<Database, String> {
        let server = self.server().as_ref().map_err(String::clone)?;
        let made = || -> Result<()> {
            let mut session = server.cluster.connect("postgres")?;
            session.batch_execute(&format!("CREATE DATABASE {name} OWNER {OWNER}"))?;
            if self == Self::Beside {
                let mut session = server.cluster.connect(name)?;
                session.batch_execute("CREATE EXTENSION vector; CREATE EXTENSION pgfaiss")?;
            }
            Ok(())
        };
        made().map_err(|e| format!("{e:#}"))?;
        Ok(Database { place: self, server, name: name.to_owned() })
    }
}

/// The server of a wheel that has pgvector, with our library and our extension `pgfaiss` installed into it.
fn with_pgvector() -> Result<PgConfig> {
    let pg = peers::server(Wheel::Pg18)?;
    let library = build::library(&pg, Flavor::Release)?;
    let files = install::install(&pg, &library)?;
    anyhow::ensure!(files == VectorFiles::Pgvector, "{} has no pgvector", pg.version);
    Ok(pg)
}

struct Server {
    cluster: Cluster,
    password: String,
}

impl Server {
    /// Every plan that runs is logged, with the name of its database.
    fn start(pg: &PgConfig) -> Result<Self> {
        let cluster = Cluster::builder(pg)
            .tcp()?
            .set("shared_preload_libraries", "auto_explain")
            .set("auto_explain.log_min_duration", "0")
            .set("log_line_prefix", "db=%d ")
            .start()?;
        let password =
            format!("{:016x}", std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0));
        let role = format!("CREATE ROLE {OWNER} LOGIN PASSWORD '{password}'");
        cluster.connect("postgres")?.batch_execute(&role)?;
        Ok(Self { cluster, password })
    }
}

/// A database for one script.
pub struct Database {
    place: Place,
    server: &'static Server,
    name: String,
}

impl Database {
    /// Gives `script` what it needs to get here.
    pub fn describe_to(&self, script: &mut Command) {
        let log: PathBuf = self.server.cluster.log_path();
        script.env("PGHOST", "127.0.0.1").env("PGPORT", self.server.cluster.port().to_string());
        script.env("PGUSER", OWNER).env("PGPASSWORD", &self.server.password);
        script.env("PGDATABASE", &self.name);
        script.env("PGFAISS_CLIENT", self.place.name()).env("PGFAISS_CLIENT_LOG", log);
    }
}
