//! A system reached through SQL: its table, its index, its session, and one query at a time.

use super::arena::plain;
use super::load::{self, Encoded};
use super::procfs;
use super::record::{Build, Subject};
use super::sweep::{Limits, Measured, Pass};
use super::systems::{Shape, SqlSystem};
use crate::cluster::Cluster;
use anyhow::{Context, Result, anyhow, ensure};
use gauge::vectors::{Dataset, Metric, Vectors};
use postgres::{Client, Statement};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a session is set to before anything is measured in it.
const SESSION: &str = "SET max_parallel_workers_per_gather = 0; SET jit = off; \
    SET client_min_messages = error; SET statement_timeout = 0";

/// What a build is bounded by, and how many rows its queries will ask for.
#[derive(Clone, Copy, Debug)]
pub struct BuildLimits {
    pub seconds: u32,
    pub k: usize,
}

/// One system over its own copy of the table.
pub struct SqlSubject {
    pub of: Subject,
    pub database: String,
    pub table: String,
    indexed: bool,
    metric: Metric,
    settings: Vec<String>,
    /// Rows asked for.
    k: usize,
    session: Session,
}

/// A connection with its backend's process id and the prepared query.
struct Session {
    client: Client,
    pid: u32,
    query: Statement,
}

impl SqlSubject {
    /// Fills the table, builds the index and measures that. `number` tells the tables apart.
    pub fn build(
        cluster: &Cluster,
        database: &str,
        set: &Dataset,
        system: &SqlSystem,
        number: usize,
        limits: BuildLimits,
    ) -> Result<(Self, Option<Build>)> {
        let table = format!("bench_{number}");
        let mut loader = cluster.connect(database)?;
        load::create_table(&mut loader, &table, set.base.dims())?;
        let rows = set.base.rows().enumerate().map(|(i, v)| (i as i32, v));
        let copied = load::copy(&mut loader, &table, rows)?;
        ensure!(copied == set.base.len() as u64, "{copied} rows were copied");
        loader.batch_execute(&format!("VACUUM ANALYZE {table}"))?;
        drop(loader);
        let of = Subject {
            dataset: set.name.clone(),
            rows: set.base.len(),
            system: system.name.to_owned(),
            family: system.family,
        };
        let shape = Shape { rows: set.base.len(), dims: set.base.dims() };
        let statement = system.create_index(&table, set.metric, shape);
        let built = match &statement {
            Some(statement) => {
                Some(measure_build(cluster, database, &of, &table, statement, limits.seconds)?)
            }
            None => None,
        };
        let session = Session::open(cluster, database, &table, set.metric, limits.k)?;
        let subject = SqlSubject {
            of,
            database: database.to_owned(),
            table,
            indexed: statement.is_some(),
            metric: set.metric,
            settings: system.knob.settings(),
            k: limits.k,
            session,
        };
        Ok((subject, built))
    }

    /// Opens a fresh session, after a restart of the server or for another number of rows.
    pub fn reconnect(&mut self, cluster: &Cluster, k: usize) -> Result<()> {
        self.k = k;
        self.session = Session::open(cluster, &self.database, &self.table, self.metric, k)?;
        Ok(())
    }

    /// Milliseconds of one query.
    pub fn one(&mut self, query: &[f32]) -> Result<f64> {
        let query = Encoded::new(query);
        let start = Instant::now();
        self.session.client.query(&self.session.query, &[&query])?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    }

    /// Whether the planner answers `probe` from the index.
    fn takes_index(&mut self, probe: &[f32]) -> Result<bool> {
        let (table, operator, k) = (&self.table, self.metric.operator(), self.k);
        let literal = load::literal(probe);
        let explain =
            format!("EXPLAIN SELECT id FROM {table} ORDER BY v {operator} {literal} LIMIT {k}");
        let plan = self.session.client.query(&explain, &[])?;
        let index = format!("using {table}_v");
        Ok(plan.iter().any(|line| line.get::<_, String>(0).contains(&index)))
    }
}

impl Session {
    fn open(c: &Cluster, database: &str, table: &str, metric: Metric, k: usize) -> Result<Self> {
        let mut client = c.connect(database)?;
        client.batch_execute(SESSION)?;
        let pid = backend_pid(&mut client)?;
        let operator = metric.operator();
        let query = client
            .prepare(&format!("SELECT id FROM {table} ORDER BY v {operator} $1 LIMIT {k}"))?;
        Ok(Session { client, pid, query })
    }
}

impl Measured for SqlSubject {
    fn of(&self) -> &Subject {
        &self.of
    }

    fn settings(&self) -> &[String] {
        &self.settings
    }

    fn apply(&mut self, setting: &str, probe: &[f32]) -> Result<bool> {
        let client = &mut self.session.client;
        client.batch_execute("RESET enable_seqscan")?;
        for one in setting.split(';').filter(|s| !s.trim().is_empty()) {
            client.batch_execute(&format!("SET {one}"))?;
        }
        if !self.indexed || self.takes_index(probe)? {
            return Ok(false);
        }
        self.session.client.batch_execute("SET enable_seqscan = off")?;
        ensure!(self.takes_index(probe)?, "the planner cannot use the index for this query");
        Ok(true)
    }

    fn pass(&mut self, queries: &Vectors, limits: Limits) -> Result<Pass> {
        let Session { client, pid, query } = &mut self.session;
        let (mut ids, mut latencies_ms) = (Vec::new(), Vec::new());
        let queries: Vec<Encoded> = queries.rows().map(Encoded::new).collect();
        let before = procfs::running_ms(*pid)?;
        let begin = Instant::now();
        for (i, q) in queries.iter().enumerate() {
            if i >= limits.least && begin.elapsed().as_secs_f64() > limits.seconds {
                break;
            }
            let start = Instant::now();
            let rows = client.query(&*query, &[q])?;
            latencies_ms.push(start.elapsed().as_secs_f64() * 1e3);
            ids.push(rows.iter().map(|r| r.get::<_, i32>(0) as u32).collect());
        }
        let cpu_ms = procfs::running_ms(*pid)? - before;
        Ok(Pass { ids, latencies_ms, cpu_ms })
    }
}

/// The process id of the backend that serves `client`.
pub fn backend_pid(client: &mut Client) -> Result<u32> {
    Ok(u32::try_from(client.query_one("SELECT pg_backend_pid()", &[])?.get::<_, i32>(0))?)
}

/// Bytes of WAL written so far.
pub fn wal_bytes(client: &mut Client) -> Result<u64> {
    let text = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint";
    Ok(u64::try_from(client.query_one(text, &[])?.get::<_, i64>(0))?)
}

/// Bytes of the table's index, 0 if it has none.
pub fn index_bytes(client: &mut Client, table: &str) -> Result<u64> {
    let text = format!("SELECT coalesce(pg_total_relation_size(to_regclass('{table}_v')), 0)");
    Ok(u64::try_from(client.query_one(&text, &[])?.get::<_, i64>(0))?)
}

fn measure_build(
    cluster: &Cluster,
    database: &str,
    of: &Subject,
    table: &str,
    statement: &str,
    seconds: u32,
) -> Result<Build> {
    let postmaster = cluster.pid().context("the server does not run")?;
    let mut client = cluster.connect(database)?;
    client.batch_execute(SESSION)?;
    client.batch_execute(&format!("SET statement_timeout = '{seconds}s'"))?;
    let leader = backend_pid(&mut client)?;
    let wal = wal_bytes(&mut client)?;
    let (own, reaped) = (procfs::cpu_s(leader)?, procfs::reaped_cpu_s(postmaster)?);
    let start = Instant::now();
    let (outcome, peak_private_bytes) =
        watch_private(postmaster, leader, || client.batch_execute(statement));
    let wall_s = start.elapsed().as_secs_f64();
    outcome.map_err(|e| anyhow!(plain(e)))?;
    // Workers have ended; the postmaster waits for them a moment later.
    std::thread::sleep(Duration::from_millis(200));
    let cpu_s = procfs::cpu_s(leader)? - own + procfs::reaped_cpu_s(postmaster)? - reaped;
    Ok(Build {
        of: of.clone(),
        statement: statement.to_owned(),
        wall_s,
        cpu_s,
        peak_rss_bytes: procfs::status_bytes(leader, "VmHWM")?,
        peak_private_bytes,
        bytes: index_bytes(&mut client, table)?,
        wal_bytes: wal_bytes(&mut client)? - wal,
    })
}

/// Runs `work` while sampling the private memory of the leader and of the processes that the server
/// starts meanwhile.
fn watch_private<T>(postmaster: u32, leader: u32, work: impl FnOnce() -> T) -> (T, u64) {
    let before: BTreeSet<u32> = procfs::children(postmaster).into_iter().flatten().collect();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut peak = 0;
            while !done.load(Ordering::Relaxed) {
                let all = procfs::children(postmaster).unwrap_or_default();
                let ours = all.iter().filter(|&&pid| pid == leader || !before.contains(&pid));
                let sum = ours.filter_map(|&p| procfs::status_bytes(p, "RssAnon").ok()).sum();
                peak = u64::max(peak, sum);
                std::thread::sleep(Duration::from_millis(25));
            }
            peak
        });
        let value = work();
        done.store(true, Ordering::Relaxed);
        (value, sampler.join().unwrap_or(0))
    })
}
