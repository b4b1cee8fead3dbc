//! `cargo xtask demo`: from nothing to questions answered. A reverse dictionary on a private server,
//! which is left running for the user to go on with.

mod dataset;
mod measure;
mod store;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use postgres::Client;

use crate::account::Account;
use crate::build::{Flavor, target_dir};
use crate::cluster::Cluster;
use crate::servers;
use crate::setup::{self, Extra};
use crate::vector::Vector;
use dataset::Dictionary;
use measure::{Contestant, Figures};

const DATABASE: &str = "demo";
const INDEX: &str =
    "CREATE INDEX words_embedding_idx ON words USING faissivf (embedding vector_cosine_ops)";
/// As a user would type it; `$1` is the embedding of a question.
const NEAREST: &str = "SELECT id, words, definition, embedding <=> $1 AS distance \
                       FROM words ORDER BY embedding <=> $1 LIMIT 10";
const SHOWN_QUESTIONS: [&str; 6] = [
    "fear of heights",
    "someone who studies the stars",
    "the sad feeling of missing home",
    "a place with water in the desert",
    "a song to make a baby fall asleep",
    "money demanded for a captured person",
];

/// Builds, starts, loads, indexes, searches, measures, and says how to go on.
pub fn run() -> Result<()> {
    let set = Dictionary::read()?;
    step("PostgreSQL");
    let system = setup::ensure(Extra::None)?;
    println!("  {}", system.version);
    step("building the extension (some minutes the first time)");
    let pg = servers::with_extension(&system, Flavor::Release)?;
    step("starting a private server");
    let dir = directory()?;
    if dir.exists() {
        stop()?;
    }
    let cluster = Cluster::builder(&pg)
        .durable()
        .detached()
        .dir(&dir)
        .set("shared_buffers", "256MB")
        .set("maintenance_work_mem", "256MB")
        .start()?;
    println!("  in {}, as {}", dir.display(), cluster.account().name);
    let outcome = show(&cluster, &set);
    if let Err(e) = outcome {
        bail!("{e:#}\n{}", cluster.log_tail(30));
    }
    farewell(&cluster);
    cluster.leave_running();
    Ok(())
}

/// Leaves in a database what the demo does: the extension, the tables and the index.
pub fn fill(client: &mut Client) -> Result<()> {
    let set = Dictionary::read()?;
    client.batch_execute("CREATE EXTENSION pgfaiss CASCADE")?;
    store::load(client, &set)?;
    client.batch_execute(INDEX)?;
    client.batch_execute("ANALYZE words")?;
    Ok(())
}

fn show(cluster: &Cluster, set: &Dictionary) -> Result<()> {
    let mut client = cluster.connect("postgres")?;
    client.batch_execute(&format!("CREATE DATABASE {DATABASE}"))?;
    let mut client = cluster.connect(DATABASE)?;
    client.batch_execute("CREATE EXTENSION pgfaiss CASCADE")?;
    let (rows, dims) = (set.embeddings.len(), set.embeddings.dims());
    step(&format!(
        "loading {rows} dictionary definitions and their embeddings ({dims} dimensions)"
    ));
    store::load(&mut client, set)?;
    println!("  the exact scan, for comparison");
    let exact = measure::figures(&mut client, set, &Contestant::exact())?;
    step(INDEX);
    let seconds = store::build_index(cluster, DATABASE, INDEX)?;
    println!("  {seconds:.1} s");
    client.batch_execute("ANALYZE words")?;
    step("asking in plain English");
    search(&mut client, set)?;
    step(&format!("measuring with all {} queries", set.queries.len()));
    let mut table = vec![exact];
    for contestant in Contestant::indexed(seconds) {
        table.push(measure::figures(&mut client, set, &contestant)?);
    }
    Figures::print(&table);
    step("writing a report of the index, to look at in a browser");
    let page: String = client
        .query_one("SELECT faiss.report($1::text::regclass)", &[&"words_embedding_idx"])?
        .get(0);
    let path = target_dir().join("demo.html");
    fs::write(&path, page).with_context(|| path.display().to_string())?;
    println!("  {}", path.display());
    Ok(())
}

/// Prints a few questions and the words found.
fn search(client: &mut Client, set: &Dictionary) -> Result<()> {
    let statement = client.prepare(NEAREST)?;
    for question in SHOWN_QUESTIONS {
        let Some(number) = set.queries.iter().position(|q| q.text == question) else { continue };
        let embedding = set.query_embeddings.vector(number);
        println!("  {question}?");
        for row in client.query(&statement, &[&Vector(&embedding)])?.iter().take(3) {
            let (words, text): (String, String) = (row.get(1), row.get(2));
            let distance: f64 = row.get(3);
            println!("    {distance:.3}  {words}: {}", shortened(&text, 70));
        }
    }
    Ok(())
}

fn shortened(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    text.chars().take(length - 1).chain(['…']).collect()
}

/// How to go on without us.
fn farewell(cluster: &Cluster) {
    let (host, user) = (cluster.socket_dir().display(), &cluster.account().name);
    let psql = if setup::has_program("psql") {
        PathBuf::from("psql")
    } else {
        cluster.pg().program("psql")
    };
    println!("\nThe server stays up. Open psql on it:\n");
    println!("  {} -h {host} -U {user} {DATABASE}\n", psql.display());
    println!("and type, for instance:\n");
    println!("  SELECT words, definition FROM words ORDER BY embedding <=>");
    println!(
        "    (SELECT embedding FROM questions WHERE question = 'a hot spicy pepper') LIMIT 5;"
    );
    println!("  SELECT q.question, w.words FROM questions q CROSS JOIN LATERAL");
    println!("    (SELECT words FROM words ORDER BY embedding <=> q.embedding LIMIT 1) w;");
    println!("  SELECT * FROM faiss.index_info('words_embedding_idx');");
    println!("  SET faiss.nprobe = 40;  -- search more lists: better recall, slower\n");
    println!("Stop it and remove its files: cargo xtask demo --stop");
}

/// Stops the server an earlier demo left running and removes its files.
pub fn stop() -> Result<()> {
    let dir = directory()?;
    if !dir.exists() {
        println!("  no demo server in {}", dir.display());
        return Ok(());
    }
    let data = dir.join("data");
    if data.join("postmaster.pid").exists() {
        let mut pg_ctl = Command::new(pg_ctl_of(&data)?);
        Account::for_servers()?.apply(&mut pg_ctl);
        pg_ctl.arg("stop").arg("-D").arg(&data).args(["-m", "fast", "-s"]);
        // A stale file of a server that is gone makes pg_ctl fail; the files may go all the same.
        if !pg_ctl.status().context("could not run pg_ctl")?.success() {
            println!("  no server answered in {}", data.display());
        }
    }
    fs::remove_dir_all(&dir).with_context(|| format!("could not remove {}", dir.display()))?;
    println!("  stopped the demo server and removed {}", dir.display());
    Ok(())
}

fn directory() -> Result<PathBuf> {
    Ok(servers::home()?.join("demo"))
}

/// The pg_ctl of the copy whose `postgres` was started: postmaster.opts holds its path.
fn pg_ctl_of(data: &Path) -> Result<PathBuf> {
    let options = fs::read_to_string(data.join("postmaster.opts"))?;
    let postgres = options.split_whitespace().next().context("an empty postmaster.opts")?;
    Ok(Path::new(postgres.trim_matches('"')).with_file_name("pg_ctl"))
}

fn step(what: &str) {
    println!("\n• {what}");
}
