//! pgvector's regression tests: what psql shows of each file of SQL, held against what pgvector shows.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Outcome, files};
use crate::cluster::Cluster;
use crate::pg::PgConfig;

const DATABASE: &str = "regression";

/// Runs the wanted files of `test/sql`, in one database as pg_regress does.
pub fn run(pg: &PgConfig, tree: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Outcome>> {
    let mut tests = files(&tree.join("test/sql"), "sql")?;
    tests.retain(|(name, _)| wanted(&format!("sql/{name}")));
    if tests.is_empty() {
        return Ok(Vec::new());
    }
    let cluster = Cluster::new(pg)?;
    let mut client = cluster.connect("postgres")?;
    client.batch_execute(&format!("CREATE DATABASE {DATABASE}"))?;
    cluster.connect(DATABASE)?.batch_execute("CREATE EXTENSION vector")?;
    // Where the tests leave files.
    let results = cluster.dir().join("results");
    std::fs::create_dir(&results)?;
    cluster.account().own(&results)?;
    let mut outcomes = Vec::new();
    for (name, path) in tests {
        let shown = cluster.dir().join(format!("{name}.out"));
        std::fs::write(&shown, told(&cluster, &path)?)?;
        let expected = tree.join("test/expected").join(format!("{name}.out"));
        outcomes
            .push(Outcome { name: format!("sql/{name}"), found: differing(&expected, &shown)? });
    }
    Ok(outcomes)
}

/// What psql shows, run and set as pg_regress does it.
fn told(cluster: &Cluster, path: &Path) -> Result<Vec<u8>> {
    let (mut reader, writer) = std::io::pipe()?;
    let mut psql = cluster.psql(DATABASE);
    psql.args(["-a", "-q", "-v", "HIDE_TABLEAM=on", "-v", "HIDE_TOAST_COMPRESSION=on"])
        .env("PGTZ", "PST8PDT")
        .env("PGDATESTYLE", "Postgres, MDY")
        .env("PGOPTIONS", "-c intervalstyle=postgres_verbose")
        .env("PGCLIENTENCODING", "UTF8");
    psql.current_dir(cluster.dir());
    psql.stdin(File::open(path)?).stdout(writer.try_clone()?).stderr(writer);
    let mut child = psql.spawn().context("could not run psql")?;
    // Our own ends of the pipe would keep it open for ever.
    drop(psql);
    let mut output = Vec::new();
    reader.read_to_end(&mut output)?;
    child.wait()?;
    Ok(output)
}

/// The lines that differ, with the sign that diff gives them.
fn differing(expected: &Path, shown: &Path) -> Result<Vec<String>> {
    let out = Command::new("diff").arg("-U0").arg(expected).arg(shown).output()?;
    if out.status.code().is_none_or(|code| code > 1) {
        bail!("diff failed: {}", String::from_utf8_lossy(&out.stderr));
    }
    let text = String::from_utf8_lossy(&out.stdout);
    let lines = text.lines().skip(2).filter(|line| !line.starts_with("@@"));
    Ok(lines.map(str::to_owned).collect())
}
