//! A database of pgvector moves to a server with our extension `vector`, and back, by pg_dump and psql alone.

use std::io::Write;
use std::process::Stdio;

use anyhow::{Result, bail};
use postgres::Client;
use xtask::cluster::Cluster;

use crate::place::Place;

const TABLES: &str = "
    CREATE EXTENSION vector;
    CREATE TABLE items (id int PRIMARY KEY, embedding vector(16), half halfvec(16));
    INSERT INTO items SELECT i, v::vector(16), v::halfvec(16) FROM (
        SELECT i, array_agg(sin(i * j)::real ORDER BY j) AS v
        FROM generate_series(1, 1000) i, generate_series(1, 16) j GROUP BY i
    ) AS made;
    CREATE INDEX items_graph ON items USING hnsw (embedding vector_l2_ops) WITH (m = 12, ef_construction = 80);
    CREATE INDEX items_plain ON items USING hnsw (embedding vector_cosine_ops);
    CREATE INDEX items_lists ON items USING ivfflat (half halfvec_l2_ops) WITH (lists = 10);
    CREATE INDEX items_halves ON items USING hnsw ((embedding::halfvec(16)) halfvec_ip_ops);
";
const CONTENTS: &str = "SELECT count(*) || md5(string_agg(i::text, '|' ORDER BY id)) FROM items i";
const INDEXES: &str = "SELECT string_agg(indexdef, E'\\n' ORDER BY indexdef) FROM pg_indexes WHERE tablename = 'items'";
const NEAREST: &str = "
    SET enable_seqscan = off;
    SELECT id FROM items ORDER BY embedding <-> (SELECT embedding FROM items WHERE id = 500) LIMIT 5";

/// Rows, indexes with their options, and answers are the same in both.
pub fn both_ways() -> Result<()> {
    let (pgvector, ours) = (Place::Beside.cluster()?, Place::DropIn.cluster()?);
    create(pgvector, "dump_from_pgvector")?.batch_execute(TABLES)?;
    move_to(pgvector, ours, "dump_from_pgvector")?;
    create(ours, "dump_from_ours")?.batch_execute(TABLES)?;
    move_to(ours, pgvector, "dump_from_ours")?;
    Ok(())
}

fn create(cluster: &Cluster, name: &str) -> Result<Client> {
    cluster.connect("postgres")?.batch_execute(&format!("CREATE DATABASE {name}"))?;
    cluster.connect(name)
}

fn move_to(from: &Cluster, to: &Cluster, name: &str) -> Result<()> {
    let dump = from.tool("pg_dump").args(["-d", &from.conninfo(name)]).output()?;
    if !dump.status.success() {
        bail!("{name}: {}", String::from_utf8_lossy(&dump.stderr));
    }
    let mut text = String::from_utf8(dump.stdout)?;
    if from.pg().major > to.pg().major {
        // An older server does not know it. That has nothing to do with us: nobody promises that a dump can go there.
        text = text.replace("SET transaction_timeout = 0;\n", "");
    }
    let mut target = create(to, name)?;
    restore(to, name, &text)?;
    let mut source = from.connect(name)?;
    for query in [CONTENTS, INDEXES] {
        let (was, is): (String, String) =
            (source.query_one(query, &[])?.get(0), target.query_one(query, &[])?.get(0));
        if was != is {
            bail!("{name}: {was}\nbecame\n{is}");
        }
    }
    let (was, is) = (nearest(&mut source)?, nearest(&mut target)?);
    if was != is || was.len() != 5 {
        bail!("{name}: nearest were {was:?} and are {is:?}");
    }
    Ok(())
}

/// Any error ends psql, and fails.
fn restore(to: &Cluster, name: &str, dump: &str) -> Result<()> {
    let mut psql = to.psql(name);
    psql.args(["-q", "-v", "ON_ERROR_STOP=1"]).stdin(Stdio::piped());
    psql.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = psql.spawn()?;
    if let Some(mut pipe) = child.stdin.take() {
        // A psql that has ended says itself why.
        let _ = pipe.write_all(dump.as_bytes());
    }
    let out = child.wait_with_output()?;
    if !out.status.success() {
        bail!("{name}: {}", String::from_utf8_lossy(&out.stderr));
    }
    Ok(())
}

fn nearest(session: &mut Client) -> Result<Vec<i32>> {
    let (setting, query) = NEAREST.split_once(';').unwrap_or_default();
    session.batch_execute(setting)?;
    Ok(session.query(query, &[])?.iter().map(|row| row.get(0)).collect())
}
