//! A candidate as a CREATE INDEX that runs as it stands.

use std::fmt::Write;

use ann::codec::CodeKind;
use ann::factory::{Factory, Refine, RotationKind};
use ann::tuning::pilot::SHORTEST;

use super::choice::Candidate;
use super::column::Column;

/// The statement, its names quoted and found whatever the search path. `recall_target`: the index's own, if it has one.
pub fn create_index(
    column: &Column,
    opclass: &str,
    candidate: &Candidate,
    recall_target: Option<f64>,
) -> String {
    let mut options = structure(&candidate.factory);
    options.extend(recall_target.map(|target| format!("recall_target = {target}")));
    let mut sql = format!(
        "CREATE INDEX ON {} USING {} ({} {opclass})",
        column.relation, candidate.method.name, column.key
    );
    if !options.is_empty() {
        // Writing to a string cannot fail.
        let _ = write!(sql, " WITH ({})", options.join(", "));
    }
    sql.push(';');
    sql
}

/// None where the build chooses the same by itself; options where they can say it, so that the number of lists follows the rows of each partition and of each REINDEX; else
/// the factory string.
fn structure(factory: &Factory) -> Vec<String> {
    let Some(code) = factory.code else { return Vec::new() };
    if (factory.rotation, code, factory.refine) == (RotationKind::Hadamard, SHORTEST, Refine::Heap)
    {
        return Vec::new();
    }
    let mut options = vec![format!("code = {}", code.name())];
    options.extend(code.m().map(|m| format!("m = {m}")));
    if let CodeKind::Pq { nbits, .. } = code
        && nbits != 8
    {
        options.push(format!("nbits = {nbits}"));
    }
    match factory.rotation {
        RotationKind::None => {}
        RotationKind::Opq { m } if code.m() == Some(m) => options.push("opq = on".to_owned()),
        _ => return vec![format!("factory = '{factory}'")],
    }
    if factory.refine != Refine::Heap {
        options.push(format!("refine = {}", factory.refine.name()));
    }
    options
}
