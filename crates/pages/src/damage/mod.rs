//! Indexes that are damaged on purpose, for tests and fuzz targets: [`victims`] makes a small index of every kind,
//! [`faults`] damages it, [`verbs`] asks everything of it that there is to ask. Whatever the bytes, each verb ends in a
//! result or an error; this module is in no build of the extension.

pub mod coding;
pub mod faults;
pub mod marks;
pub mod models;
pub mod opened;
pub mod rows;
pub mod search;
mod sparse;
pub mod verbs;
pub mod victims;

#[cfg(test)]
mod tests;

use crate::checker::{Problem, Severity};
use crate::error::Error;
use crate::hnsw;
use crate::lists;
use crate::mem::MemPages;
use crate::page::META_BLKNO;
use crate::store::Pages;

pub use faults::{Dice, Fault};
pub use opened::Opened;
pub use victims::{Victim, victims};

/// Locks that everything asked of one small index may take: what needs more never ends.
const LOCKS_MAX: usize = 2_000_000;

/// What became of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It cannot be opened.
    Refused,
    /// Something that was asked of it ended in an error.
    Failed,
    /// Only the check says that something is wrong.
    Noticed,
    /// Nobody noticed: the bytes of a vector, or nothing that is in use.
    Unnoticed,
}

/// Every problem but leaked pages and nodes that no link leads to.
pub fn damage_of(mem: &MemPages) -> Vec<Problem> {
    let is_graph = mem.read(META_BLKNO).is_ok_and(|page| hnsw::Meta::is_graph(&page));
    let mut problems = if is_graph { hnsw::check::check(mem) } else { lists::check::check(mem) };
    problems.retain(|problem| problem.severity == Severity::Damage);
    problems
}

/// Opens an index, or takes it as somebody knows it who opened it before it was damaged, and asks everything of it. Panics
/// if something ends in another error than one of damage, or does not end.
pub fn ask(mem: &MemPages, known: Option<&Opened>) -> Outcome {
    mem.limit_locks(LOCKS_MAX);
    let problems = damage_of(mem);
    let opened;
    let index = match known {
        Some(known) => known,
        None => match Opened::read(mem) {
            Ok(index) => {
                opened = index;
                &opened
            }
            Err(error) => {
                assert_is_damage(&error, true);
                return Outcome::Refused;
            }
        },
    };
    let errors = verbs::all(index, mem);
    errors.iter().for_each(|error| assert_is_damage(error, false));
    damage_of(mem);
    match (errors.is_empty(), problems.is_empty()) {
        (false, _) => Outcome::Failed,
        (true, false) => Outcome::Noticed,
        (true, true) => Outcome::Unnoticed,
    }
}

/// Where the version stands, damage looks like another version.
fn assert_is_damage(error: &Error, is_meta: bool) {
    let is_damage = matches!(error, Error::Corrupted { .. });
    let is_version = is_meta && matches!(error, Error::Version { .. });
    assert!(is_damage || is_version, "{error:?}");
}
