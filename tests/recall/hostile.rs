//! Hostile tables: no index finds less than FAISS's own, none is broken, nothing fails on the way. `cargo xtask hostile` runs
//! all of them, or those it is told.

use checks::Database;
use checks::hostile::plan::Plan;
use checks::hostile::{report, trial};

/// What is tried where nothing else is said: the kinds and indexes of which each once failed.
const SHORT: &str = "\
kind=heavy tails,one row x 1e20,a few rows x 100,dimension x 1000,by topic,placeholders,lognormal .5
index=faisshnsw flat,faissivf flat,faissivf pqfs
queries=30
";

#[test]
fn hostile_tables() {
    let chosen = std::env::var("PGFAISS_HOSTILE").unwrap_or_else(|_| SHORT.to_owned());
    let plan = Plan::chosen(&chosen).unwrap_or_else(|e| panic!("PGFAISS_HOSTILE: {e}"));
    let db = Database::new("hostile_tables");
    let cells = trial::run(&mut db.connect(), &plan, &mut |cell| eprintln!("{cell}"));
    let failed = cells.iter().filter(|cell| cell.fails()).count();
    let table = report::table(&cells);
    if let Ok(path) = std::env::var("PGFAISS_HOSTILE_REPORT") {
        std::fs::write(&path, &table).unwrap_or_else(|e| panic!("{path}: {e}"));
    }
    let worst: Vec<&str> = table.lines().take(failed.min(40) + 2).collect();
    assert!(failed == 0, "{failed} of {} cells fail:\n{}", cells.len(), worst.join("\n"));
}
