//! The server a run measures in: one cluster, one database for ours and one for each set of extensions of
//! the peers.

use super::procfs;
use super::record::Family;
use super::systems::SqlSystem;
use crate::cluster::Cluster;
use crate::pg::PgConfig;
use anyhow::Result;
use gauge::vectors::Dataset;
use postgres::Client;

/// A running server with the databases of a run.
pub struct Arena {
    pub cluster: Cluster,
}

impl Arena {
    /// Starts a server with enough shared buffers for `systems` copies of the set, a quarter of the
    /// machine's memory at most. WAL is written in full, but nothing waits for the disk: that would
    /// measure the disk.
    pub fn start(pg: &PgConfig, set: &Dataset, systems: usize) -> Result<Arena> {
        let data = (set.base.as_flat().len() * 4 * systems * 3) as u64;
        let buffers_mb = data.clamp(256 << 20, procfs::memory_bytes() / 4) >> 20;
        let cluster = Cluster::builder(pg)
            .set("shared_buffers", &format!("{buffers_mb}MB"))
            .set("maintenance_work_mem", "1GB")
            .set("max_parallel_maintenance_workers", "1")
            .set("wal_level", "replica")
            .set("max_wal_size", "32GB")
            .set("checkpoint_timeout", "1h")
            .set("track_io_timing", "off")
            .start()?;
        Ok(Arena { cluster })
    }

    /// Creates the database that these extensions share, if it is not there yet, and the
    /// extensions. The error is the reason to report.
    pub fn database(&self, system: &SqlSystem) -> Result<String, String> {
        let name = match system.extensions.first() {
            Some(&first) => format!("bench_{first}"),
            None => return Err("no extension brings the vector type".into()),
        };
        let mut admin = self.cluster.connect("postgres").map_err(|e| format!("{e:#}"))?;
        for extension in system.extensions {
            if !has(&mut admin, "pg_available_extensions", "name", extension)? {
                return Err(format!("not installed: extension {extension} is not available"));
            }
        }
        if system.extensions.first() == Some(&"vector") {
            check_vector(&mut admin, system)?;
        }
        if !has(&mut admin, "pg_database", "datname", &name)? {
            admin.batch_execute(&format!("CREATE DATABASE {name}")).map_err(plain)?;
        }
        let mut client = self.cluster.connect(&name).map_err(|e| format!("{e:#}"))?;
        for extension in system.extensions {
            let create = format!("CREATE EXTENSION IF NOT EXISTS {extension} CASCADE");
            client.batch_execute(&create).map_err(plain)?;
        }
        match system.index {
            Some((method, _)) if !has(&mut client, "pg_am", "amname", method)? => {
                Err(format!("not installed: there is no access method {method}"))
            }
            _ => Ok(name),
        }
    }

    /// The server's version and those of the extensions at hand.
    pub fn describe(&self) -> Result<String> {
        let mut client = self.cluster.connect("postgres")?;
        let version: String = client.query_one("SHOW server_version", &[])?.get(0);
        let text = "SELECT string_agg(name || ' ' || default_version, ', ' ORDER BY name) \
            FROM pg_available_extensions WHERE name IN ('pgfaiss', 'vector', 'vectorscale', 'vchord')";
        let extensions: Option<String> = client.query_one(text, &[])?.get(0);
        Ok(format!("PostgreSQL {version}; {}", extensions.unwrap_or_default()))
    }
}

/// A server has pgvector's extension of this name, or ours: a system is for one of them.
fn check_vector(client: &mut Client, system: &SqlSystem) -> Result<(), String> {
    let text =
        "SELECT comment LIKE '%by pgfaiss' FROM pg_available_extensions WHERE name = 'vector'";
    let is_ours: bool = client.query_one(text, &[]).map_err(plain)?.get(0);
    match (system.family == Family::Ours, is_ours) {
        (false, true) => Err("not installed: the extension vector here is that of pgfaiss".into()),
        (true, false) => Err("not installed: the extension vector here is pgvector".into()),
        _ => Ok(()),
    }
}

fn has(client: &mut Client, catalog: &str, column: &str, value: &str) -> Result<bool, String> {
    let text = format!("SELECT EXISTS (SELECT FROM {catalog} WHERE {column} = $1::text)");
    Ok(client.query_one(&text, &[&value]).map_err(plain)?.get(0))
}

/// What the server said, on one line.
pub fn plain(error: postgres::Error) -> String {
    let Some(db) = error.as_db_error() else { return error.to_string() };
    let parts = [Some(db.message()), db.detail(), db.hint()];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}
