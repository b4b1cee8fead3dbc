//! How a search is asked for and what it gives, whatever the family of the index.

use ann::tuning::probing::ProbeRule;

use crate::tid::Tid;

/// What happens when the rows that a search looked at first are used up: `faiss.iterative_scan`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Iterative {
    /// The search goes on. Rows that are nearer than one returned before follow at the end.
    Strict,
    /// The search goes on. Rows are returned as soon as they are found.
    Relaxed,
    /// The search ends.
    Off,
}

/// How to search inverted lists.
#[derive(Debug, Clone, Copy)]
pub struct SearchParams {
    /// Lists to search first, at least 1.
    pub nprobe: usize,
    /// How many each query searches first, if nprobe is the number of a mean query; None: all search nprobe.
    pub rule: Option<ProbeRule>,
    /// What happens after them.
    pub iterative: Iterative,
    /// No further list is begun once this many tuples were visited beyond the first nprobe lists.
    pub max_scan_tuples: u64,
    /// No further list is begun once this many were searched.
    pub max_probes: usize,
    /// Rows that the scan will be asked for, if that is known: the LIMIT above it. It may be asked for more.
    pub rows_wanted: Option<u64>,
    /// Bytes for hits that are not returned yet. A scan that finds more goes over its lists again.
    pub memory: usize,
}

/// A row found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Its heap tuple.
    pub tid: Tid,
    /// The operator's value, bit for bit; NaN if the query has no direction.
    pub distance: f64,
}
