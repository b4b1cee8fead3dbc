//! Hostile tables: no index finds less than FAISS's own, none is broken, nothing fails on the way. `cargo xtask hostile` runs
//! all of them, or those it is told.

use checks::Database;
use checks::hostile::plan::Plan;
use checks::hostile::report::Cell;
use checks::hostile::{report, trial};
use postgres::Client;

/// What is tried where nothing else is said: the kinds and indexes of which each once failed.
const SHORT: &str = "\
kind=heavy tails,one row x 1e20,a few rows x 100,dimension x 1000,by topic,placeholders,lognormal .5
index=faisshnsw flat,faissivf flat,faissivf pqfs
queries=30
";
/// Tables that decide where the first one is below FAISS: with some tens of queries one table says little.
const TABLES: u64 = 3;

#[test]
fn hostile_tables() {
    let chosen = std::env::var("PGFAISS_HOSTILE").unwrap_or_else(|_| SHORT.to_owned());
    let plan = Plan::chosen(&chosen).unwrap_or_else(|e| panic!("PGFAISS_HOSTILE: {e}"));
    let db = Database::new("hostile_tables");
    let mut client = db.connect();
    let mut cells = trial::run(&mut client, &plan, &mut |cell| eprintln!("{cell}"));
    for cell in cells.iter_mut().filter(|cell| cell.is_below()) {
        repeat(&mut client, &plan, cell);
    }
    let failed = cells.iter().filter(|cell| cell.fails()).count();
    let table = report::table(&cells);
    if let Ok(path) = std::env::var("PGFAISS_HOSTILE_REPORT") {
        std::fs::write(&path, &table).unwrap_or_else(|e| panic!("{path}: {e}"));
    }
    let worst: Vec<&str> = table.lines().take(failed.min(40) + 2).collect();
    assert!(failed == 0, "{failed} of {} cells fail:\n{}", cells.len(), worst.join("\n"));
}

/// Measures a cell on tables of other seeds as well, and puts the means in it.
fn repeat(client: &mut Client, plan: &Plan, cell: &mut Cell) {
    let mut measured = vec![(cell.ours, cell.theirs)];
    for seed in plan.seed + 1..plan.seed + TABLES {
        let mut one = Plan { seed, ..plan.clone() };
        one.kinds.retain(|kind| kind.name == cell.kind);
        one.indexes.retain(|index| index.name() == cell.index);
        one.metrics.retain(|metric| metric.name == cell.metric);
        one.histories.retain(|history| *history == cell.history);
        for again in trial::run(client, &one, &mut |_| {}) {
            cell.problems.extend(again.problems);
            measured.push((again.ours, again.theirs));
        }
    }
    let mean = |values: Vec<Option<f64>>| {
        let n = values.len() as f64;
        values.into_iter().sum::<Option<f64>>().map(|sum| sum / n)
    };
    cell.ours = mean(measured.iter().map(|both| both.0).collect());
    cell.theirs = mean(measured.iter().map(|both| both.1).collect());
    eprintln!("mean of {}: {cell}", measured.len());
}
