//! The first queries after a restart, when nothing of the data directory is in memory.

use super::record::Record;
use super::sql::SqlSubject;
use super::sweep::Measured;
use crate::cluster::{Cluster, Shutdown};
use anyhow::{Context, Result};
use gauge::vectors::Dataset;
use rustix::fs::{Advice, fadvise};
use std::fs;
use std::path::Path;

/// Restarts the server on an empty cache, then asks every subject ten queries at its middle
/// setting, one subject after the other, each in a new session.
pub fn measure(
    cluster: &mut Cluster,
    subjects: &mut [SqlSubject],
    set: &Dataset,
    k: usize,
    emit: &mut impl FnMut(Record) -> Result<()>,
) -> Result<()> {
    cluster.stop(Shutdown::Fast)?;
    let evicted = evict(&cluster.data_dir()).is_ok();
    cluster.start()?;
    for subject in subjects {
        subject.reconnect(cluster, k)?;
        let middle = subject.settings().get(subject.settings().len() / 2).cloned();
        let first = set.queries.row(0);
        subject.apply(&middle.unwrap_or_default(), first).context("cold")?;
        let first_ms = subject.one(first)?;
        let mut next_ms = Vec::new();
        for query in set.queries.rows().skip(1).take(9) {
            next_ms.push(subject.one(query)?);
        }
        let next_ms = next_ms.iter().sum::<f64>() / next_ms.len().max(1) as f64;
        emit(Record::Cold { of: subject.of.clone(), first_ms, next_ms, evicted })?;
    }
    Ok(())
}

/// Writes every file below `dir` to disk and asks the kernel to forget its pages: nobody else's
/// cache is touched, and no privilege is needed.
fn evict(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let kind = fs::symlink_metadata(&path)?;
        if kind.is_dir() {
            evict(&path)?;
        } else if kind.is_file() {
            let file = fs::File::open(&path)?;
            file.sync_all()?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}
