//! Recall and response times of the demo's table. A taste, not a benchmark: `cargo xtask bench` is
//! that.

use std::time::Instant;

use anyhow::{Result, ensure};
use postgres::Client;

use super::NEAREST;
use super::dataset::Dictionary;
use crate::vector::Vector;

const K: usize = 10;

/// One way to answer the queries.
pub struct Contestant {
    name: String,
    build_seconds: Option<f64>,
    /// What is SET before.
    settings: Vec<(&'static str, String)>,
    /// How many of the queries are enough for a steady figure.
    queries: usize,
}

impl Contestant {
    /// Without an index: every row is looked at.
    pub fn exact() -> Self {
        Self {
            name: "exact scan".to_owned(),
            build_seconds: None,
            settings: Vec::new(),
            queries: 100,
        }
    }

    /// The index at its default and at a more thorough setting.
    pub fn indexed(build_seconds: f64) -> Vec<Self> {
        [10, 40]
            .into_iter()
            .map(|nprobe| Self {
                name: format!("faissivf, nprobe = {nprobe}"),
                build_seconds: Some(build_seconds),
                settings: vec![("faiss.nprobe", nprobe.to_string())],
                queries: usize::MAX,
            })
            .collect()
    }
}

/// A line of the table.
pub struct Figures {
    name: String,
    build_seconds: Option<f64>,
    bytes_per_vector: Option<f64>,
    recall: f64,
    p50_ms: f64,
    p95_ms: f64,
}

/// Asks the queries, one at a time, and compares with the exact answers.
pub fn figures(client: &mut Client, set: &Dictionary, contestant: &Contestant) -> Result<Figures> {
    for (name, value) in &contestant.settings {
        client.batch_execute(&format!("SET {name} = {value}"))?;
    }
    let indexed = contestant.build_seconds.is_some();
    let statement = client.prepare(NEAREST)?;
    let plan = plan(client, set)?;
    ensure!(
        indexed == plan.contains("Index Scan using words_embedding_idx"),
        "the plan is\n{plan}"
    );
    let queries = contestant.queries.min(set.queries.len());
    let (mut recall, mut times) = (0.0, Vec::new());
    // The first round warms the caches and is not measured.
    for round in 0..2 {
        let number = if round == 0 { queries.min(50) } else { queries };
        for query in 0..number {
            let embedding = set.query_embeddings.vector(query);
            let begin = Instant::now();
            let rows = client.query(&statement, &[&Vector(&embedding)])?;
            if round == 1 {
                times.push(begin.elapsed().as_secs_f64() * 1000.0);
                let found: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
                recall += set.recall(query, K, &found);
            }
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(Figures {
        name: contestant.name.clone(),
        build_seconds: contestant.build_seconds,
        bytes_per_vector: indexed.then(|| bytes_per_vector(client, set)).transpose()?,
        recall: recall / queries as f64,
        p50_ms: times[times.len() / 2],
        p95_ms: times[times.len() * 95 / 100],
    })
}

fn plan(client: &mut Client, set: &Dictionary) -> Result<String> {
    let embedding = set.query_embeddings.vector(0);
    let rows = client.query(&format!("EXPLAIN {NEAREST}"), &[&Vector(&embedding)])?;
    let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    Ok(lines.join("\n"))
}

fn bytes_per_vector(client: &mut Client, set: &Dictionary) -> Result<f64> {
    let row = client.query_one("SELECT pg_relation_size('words_embedding_idx')", &[])?;
    Ok(row.get::<_, i64>(0) as f64 / set.embeddings.len() as f64)
}

impl Figures {
    pub fn print(table: &[Self]) {
        println!(
            "\n  {:<22} {:>8} {:>13} {:>10} {:>8} {:>8}",
            "", "build s", "bytes/vector", "recall@10", "p50 ms", "p95 ms"
        );
        for line in table {
            let number = |value: Option<f64>, digits: usize| {
                value.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"))
            };
            println!(
                "  {:<22} {:>8} {:>13} {:>10.3} {:>8.2} {:>8.2}",
                line.name,
                number(line.build_seconds, 1),
                number(line.bytes_per_vector, 0),
                line.recall,
                line.p50_ms,
                line.p95_ms
            );
        }
    }
}
