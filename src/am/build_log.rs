//! What a build, or the training of a model, tells those who ask with `client_min_messages` or `log_min_messages` at DEBUG1: rows, sizes, threads and
//! the time of each phase. By default it says nothing.

use std::time::Duration;

use pages::lists::sort::Sorter;
use pgrx::{PgSqlErrorCode, pg_sys};

use super::build::memory_bytes_max;
use super::guc;
use super::quantizers::Trained;
use super::rel;
use super::report::Report;
use super::sample::{Sample, Store};
use super::spill::TempRuns;

/// `subject` is an index or a model, as messages begin.
fn said(subject: &str, what: &str, took: Duration) -> Report {
    Report::new(
        PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
        format!("{subject}: {what} in {:.3} s", took.as_secs_f64()),
    )
}

fn said_of(index: pg_sys::Relation, what: &str, took: Duration) -> Report {
    said(&format!("index \"{}\"", rel::name(index)), what, took)
}

/// The first pass over the table.
pub fn sampled(subject: &str, sample: &Sample, took: Duration) {
    let memory = memory_bytes_max() >> 20;
    let place = match sample.store {
        Store::Memory(_) => "They are in memory.",
        Store::Spilled(_) => "They are in a temporary file.",
    };
    let what = format!("drew {} of {} rows to train on", sample.n, sample.rows);
    said(subject, &what, took)
        .detail(format!("maintenance_work_mem is {memory} MB. {place}"))
        .debug();
}

/// Training, part by part.
pub fn trained(subject: &str, trained: &Trained, nlist: usize, took: Duration) {
    let parts = [
        ("rotation", trained.took.rotation),
        ("lists", trained.took.lists),
        ("code", trained.took.code),
    ];
    let parts = parts.map(|(part, took)| format!("{part} {:.3} s", took.as_secs_f64()));
    let what = format!("trained {nlist} lists on {} rows", trained.rows);
    said(subject, &what, took)
        .detail(format!("{}, with {} threads.", parts.join(", "), guc::build_threads()))
        .debug();
}

/// The second pass over the table.
pub fn assigned(index: pg_sys::Relation, sorter: &Sorter<TempRuns>, took: Duration) {
    let spill = match sorter.runs() {
        0 => "Nothing was spilled.".to_owned(),
        runs => format!(
            "{} MB were spilled to temporary files in {runs} runs.",
            sorter.spilled_bytes() >> 20
        ),
    };
    let memory = sorter.memory_bytes() >> 20;
    said_of(index, &format!("assigned {} rows", sorter.len()), took)
        .detail(format!("The sort has {memory} MB of memory. {spill}"))
        .debug();
}

/// What recall costs: CPU time, unlike the others, of what the second pass did for it and of what came after.
pub fn measured(index: pg_sys::Relation, compared: Duration, took: Duration) {
    said_of(index, "measured what recall costs", compared + took)
        .detail(format!(
            "{:.3} s of CPU for exact answers, {:.3} s for those of the index.",
            compared.as_secs_f64(),
            took.as_secs_f64()
        ))
        .debug();
}

/// The pages.
pub fn written(index: pg_sys::Relation, took: Duration) {
    let n_blocks = rel::n_blocks(index);
    let bytes = u64::from(n_blocks) * u64::from(pg_sys::BLCKSZ);
    let mb = bytes as f64 / f64::from(1 << 20);
    said_of(index, &format!("wrote {n_blocks} pages, {mb:.1} MB,"), took).debug();
}
