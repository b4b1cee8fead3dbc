//! Four private servers, and a table of words on three of them and on one.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use checks::{create_database, load};
use gauge::vectors::Vectors;
use postgres::{Client, NoTls};
use xtask::cluster::Cluster;

pub const DATABASE: &str = "words";
pub const SHARDS: usize = 3;
/// What is waited for happens at once, but for a machine that is very busy.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Servers {
    pub coordinator: Cluster,
    pub shards: Vec<Cluster>,
}

impl Servers {
    /// Four servers with an empty database each, in which the extensions are.
    pub fn start() -> Self {
        let start = || checks::cluster().start().unwrap_or_else(|e| panic!("{e:#}"));
        let servers = Self { coordinator: start(), shards: (0..SHARDS).map(|_| start()).collect() };
        for cluster in servers.all() {
            create_database(cluster, DATABASE);
        }
        servers
    }

    /// The same with the tables of [`Servers::fill`], and this number of rows of the dictionary.
    pub fn with_rows(rows: usize) -> Self {
        let words = checks::dictionary();
        let servers = Self::start();
        servers.fill(&words.base, rows);
        servers
    }

    /// Those that tests share which neither stop nor change anything.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Servers> = OnceLock::new();
        SHARED.get_or_init(|| Self::with_rows(12_000))
    }

    pub fn all(&self) -> impl Iterator<Item = &Cluster> {
        std::iter::once(&self.coordinator).chain(&self.shards)
    }

    pub fn connect(&self) -> Client {
        connect(&self.coordinator)
    }

    /// A session of the coordinator that keeps what the server says beside its answers.
    pub fn listening(&self) -> (Client, Arc<Mutex<Vec<String>>>) {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = heard.clone();
        let mut config = self.coordinator.config(DATABASE);
        config.notice_callback(move |notice| {
            let text = format!("{} {}", notice.severity(), notice.message());
            ear.lock().unwrap().push(text);
        });
        (config.connect(NoTls).unwrap(), heard)
    }

    /// `one` here; `doc` in three parts, one on each shard, under the names `doc`. `held` is the same through a view of the
    /// shard that waits for an advisory lock.
    pub fn fill(&self, vectors: &Vectors, rows: usize) {
        let dims = vectors.dims();
        for shard in &self.shards {
            connect(shard)
                .batch_execute(&format!(
                    "CREATE TABLE doc (id bigint PRIMARY KEY, tenant int, v vector({dims}));
                     CREATE VIEW held AS SELECT * FROM doc
                     WHERE (SELECT pg_advisory_xact_lock_shared(7)) IS NOT NULL"
                ))
                .unwrap();
        }
        let mut client = self.connect();
        client
            .batch_execute(&format!(
                "SET client_min_messages = warning; CREATE EXTENSION pgfaiss_shards CASCADE;
                 CREATE TABLE doc (id bigint, tenant int, v vector({dims})) PARTITION BY HASH (id);
                 CREATE TABLE held (id bigint, tenant int, v vector({dims})) PARTITION BY HASH (id)"
            ))
            .unwrap();
        for (i, shard) in self.shards.iter().enumerate() {
            let (n, host) = (i + 1, shard.socket_dir().display());
            let user = &shard.account().name;
            client
                .batch_execute(&format!(
                    "CREATE SERVER s{n} FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{host}', port '{}',
                       dbname '{DATABASE}', extensions 'vector, pgfaiss', async_capable 'true', batch_size '500');
                     CREATE USER MAPPING FOR PUBLIC SERVER s{n} OPTIONS (user '{user}');
                     CREATE FOREIGN TABLE doc_{n} PARTITION OF doc
                       FOR VALUES WITH (MODULUS {SHARDS}, REMAINDER {i}) SERVER s{n} OPTIONS (table_name 'doc', fetch_size '10');
                     CREATE FOREIGN TABLE held_{n} PARTITION OF held
                       FOR VALUES WITH (MODULUS {SHARDS}, REMAINDER {i}) SERVER s{n} OPTIONS (table_name 'held')",
                    shard.port()
                ))
                .unwrap();
        }
        load(&mut client, "one", &vectors.first(rows));
        client
            .batch_execute(
                "ALTER TABLE one ADD tenant int; UPDATE one SET tenant = id % 7;
                 INSERT INTO doc SELECT id, tenant, v FROM one; ANALYZE doc, one, held",
            )
            .unwrap();
    }

    /// Trains one model over all shards, takes it to each, and builds the same index everywhere, on `one` as well.
    pub fn index(&self, factory: &str) {
        let mut client = self.connect();
        client.execute("SELECT faiss.train('words', 'doc', 'v', $1)", &[&factory]).unwrap();
        let model: Vec<u8> =
            client.query_one("SELECT faiss.export_model('words')", &[]).unwrap().get(0);
        for shard in &self.shards {
            let mut client = connect(shard);
            client.execute("SELECT faiss.import_model('words', $1::bytea)", &[&model]).unwrap();
            client
                .batch_execute(
                    "CREATE INDEX doc_v ON doc USING faissivf (v) WITH (model = words); ANALYZE doc",
                )
                .unwrap();
        }
        client
            .batch_execute(
                "CREATE INDEX one_v ON one USING faissivf (v) WITH (model = words); ANALYZE one",
            )
            .unwrap();
    }

    /// Keeps every scan of `held` waiting on a shard until the session ends.
    pub fn hold(shard: &Cluster) -> Client {
        let mut client = connect(shard);
        client.execute("SELECT pg_advisory_lock(7)", &[]).unwrap();
        client
    }

    /// Returns when this number of sessions of each of these shards wait for a lock, all at the same time.
    pub fn await_held(shards: &[&Cluster], sessions: i64) {
        let mut clients: Vec<Client> = shards.iter().map(|shard| connect(shard)).collect();
        let begin = Instant::now();
        let query = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        loop {
            let waiting: Vec<i64> =
                clients.iter_mut().map(|c| c.query_one(query, &[]).unwrap().get(0)).collect();
            if waiting.iter().all(|n| *n == sessions) {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "{waiting:?} sessions wait, not {sessions} each");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Who counts the sessions that wait on a shared shard is the only one who makes them wait.
pub fn alone() -> MutexGuard<'static, ()> {
    static HOLDING: Mutex<()> = Mutex::new(());
    HOLDING.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn connect(cluster: &Cluster) -> Client {
    cluster.connect(DATABASE).unwrap_or_else(|e| panic!("{e:#}"))
}

/// A statement that takes the query as a parameter, as one with a literal.
pub fn with_query(statement: &str, query: &[f32]) -> String {
    statement.replace("$1", &checks::literal(query))
}
