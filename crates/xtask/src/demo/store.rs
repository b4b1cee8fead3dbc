//! Puts the dictionary into a table and builds the index, with progress as the server reports it.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use postgres::Client;
use postgres::binary_copy::BinaryCopyInWriter;
use postgres::types::Type;

use super::dataset::{Dictionary, Entry, Rows};
use crate::cluster::Cluster;
use crate::vector::Vector;

/// Makes and fills `words` and `questions`.
pub fn load(client: &mut Client, set: &Dictionary) -> Result<()> {
    let dims = set.embeddings.dims();
    client.batch_execute(&format!(
        "CREATE TABLE words (id int PRIMARY KEY, kind text, words text, definition text, \
             embedding vector({dims}));
         CREATE TABLE questions (id int PRIMARY KEY, question text, embedding vector({dims}))"
    ))?;
    let vector = client.prepare("SELECT NULL::vector")?.columns()[0].type_().clone();
    let bar = ProgressBar::new(set.embeddings.len() as u64);
    bar.set_style(style("  {bar:40} {pos} of {len} rows")?);
    let types = [Type::INT4, Type::TEXT, Type::TEXT, Type::TEXT, vector.clone()];
    copy(client, "words", &types, &set.entries, &set.embeddings, &bar)?;
    bar.finish_and_clear();
    let questions = set.queries.iter().take_while(|q| q.kind == "question").count();
    let types = [Type::INT4, Type::TEXT, vector];
    let quiet = ProgressBar::hidden();
    copy(client, "questions", &types, &set.queries[..questions], &set.query_embeddings, &quiet)?;
    // VACUUM wants to be alone in its statement.
    for statement in ["VACUUM ANALYZE words", "ANALYZE questions"] {
        client.batch_execute(statement)?;
    }
    Ok(())
}

fn copy(
    client: &mut Client,
    table: &str,
    types: &[Type],
    entries: &[Entry],
    rows: &Rows,
    bar: &ProgressBar,
) -> Result<()> {
    let sink = client.copy_in(&format!("COPY {table} FROM STDIN (FORMAT binary)"))?;
    let mut writer = BinaryCopyInWriter::new(sink, types);
    for (i, entry) in entries.iter().enumerate() {
        let (id, embedding) = (i32::try_from(i)?, rows.vector(i));
        let vector = Vector(&embedding);
        if types.len() == 5 {
            writer.write(&[&id, &entry.kind, &entry.words, &entry.text, &vector])?;
        } else {
            writer.write(&[&id, &entry.text, &vector])?;
        }
        bar.inc(1);
    }
    writer.finish()?;
    Ok(())
}

/// Runs a CREATE INDEX in a second session and shows its progress; returns the seconds it took.
pub fn build_index(cluster: &Cluster, database: &str, statement: &str) -> Result<f64> {
    let mut builder = cluster.connect(database)?;
    let mut watcher = cluster.connect(database)?;
    let pid: i32 = builder.query_one("SELECT pg_backend_pid()", &[])?.get(0);
    let bar = ProgressBar::new(0);
    bar.set_style(style("  {bar:40} {msg}")?);
    let begin = Instant::now();
    let took = std::thread::scope(|scope| -> Result<f64> {
        let work = scope.spawn(move || {
            let outcome = builder.batch_execute(statement);
            (outcome, begin.elapsed().as_secs_f64())
        });
        let mut shown = String::new();
        while !work.is_finished() {
            if let Some((phase, done, total)) = progress(&mut watcher, pid)? {
                bar.set_length(total);
                bar.set_position(done);
                bar.set_message(phase.clone());
                if phase != shown && !std::io::stderr().is_terminal() {
                    println!("  {phase}");
                }
                shown = phase;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let (outcome, took) = work.join().ok().context("the session that builds broke off")?;
        outcome.with_context(|| statement.to_owned())?;
        Ok(took)
    })?;
    bar.finish_and_clear();
    Ok(took)
}

/// Phase, what is done of it, and of how much. Rows where the phase counts them, else blocks.
fn progress(client: &mut Client, pid: i32) -> Result<Option<(String, u64, u64)>> {
    let row = client.query_opt(
        "SELECT phase, tuples_done, tuples_total, blocks_done, blocks_total \
         FROM pg_stat_progress_create_index WHERE pid = $1",
        &[&pid],
    )?;
    Ok(row.map(|row| {
        let number = |i: usize| row.get::<_, Option<i64>>(i).unwrap_or(0).max(0) as u64;
        let (rows, blocks) = ((number(1), number(2)), (number(3), number(4)));
        let (done, total) = if rows.1 > 0 { rows } else { blocks };
        (row.get::<_, Option<String>>(0).unwrap_or_default(), done, total)
    }))
}

fn style(template: &str) -> Result<ProgressStyle> {
    Ok(ProgressStyle::with_template(template)?.progress_chars("=> "))
}
