//! Graphs: recall against FAISS's graph with the same parameters, as built and as inserted row by row.

use checks::agreement::assert_sound;
use gauge::truth::Truth;
use gauge::vectors::Dataset;
use postgres::Client;

use super::{K, faiss, recall, run};

const M: u32 = 16;
const EF_CONSTRUCTION: u32 = 64;
const EF_SEARCHES: [u32; 4] = [16, 32, 64, 128];
/// How far below FAISS is a failure. Builds on several threads differ from each other by about a hundredth at the smallest
/// efSearch, and a graph that rows left and came back to loses up to another one; program `graph` holds builds on one thread
/// against FAISS more closely.
const FAISS_SLACK: f64 = 0.03;
/// Rows of the table that go into the graph one by one are one in so many.
const INSERTED: u32 = 10;

/// Replaces index `t_v` by a graph.
pub fn measure(client: &mut Client, (name, set): (&str, &Dataset), truth: &Truth) {
    let theirs = faiss::Theirs {
        script: "hnsw_recall.py",
        factories: vec![format!("HNSW{M}")],
        number: EF_CONSTRUCTION,
        settings: EF_SEARCHES.to_vec(),
    };
    let bounds = faiss::recalls(set, truth, &theirs);
    let class = set.metric.opclass();
    let create = format!(
        "CREATE INDEX t_v ON t USING faisshnsw (v {class}) WITH (m = {M}, efConstruction = {EF_CONSTRUCTION})"
    );
    run(client, &format!("DROP INDEX t_v; {create}"));
    compare(client, (name, "built"), set, truth, &bounds[0]);
    // Away and back again.
    run(
        client,
        &format!(
            "CREATE TEMP TABLE away AS SELECT * FROM t WHERE id % {INSERTED} = 0;
             DELETE FROM t WHERE id % {INSERTED} = 0"
        ),
    );
    run(client, "VACUUM t");
    run(client, "INSERT INTO t SELECT * FROM away; DROP TABLE away");
    compare(client, (name, "changed"), set, truth, &bounds[0]);
}

fn compare(
    client: &mut Client,
    (name, state): (&str, &str),
    set: &Dataset,
    truth: &Truth,
    bounds: &[f64],
) {
    assert_sound(client, "t_v");
    for (ef, bound) in EF_SEARCHES.into_iter().zip(bounds) {
        run(client, &format!("SET faiss.efSearch = {ef}"));
        let recall = recall(client, set, truth, 1, set.queries.len());
        eprintln!(
            "{name}: graph as {state}, efSearch {ef}: recall@{K} {recall:.4}, FAISS {bound:.4}"
        );
        assert!(recall >= bound - FAISS_SLACK, "{state}: {recall:.4}, FAISS {bound:.4}");
    }
}
