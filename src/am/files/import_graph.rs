//! The graph of a FAISS file for an index here: its links are taken over, vectors and codes come from the table. What the file does
//! not have, or has under ids that are no keys, is linked as in a build.

use ann::Metric;
use faissfile::index::{Body, INNER_PRODUCT, L1, L2};
use faissfile::{Error, FileGraph, Links, Span};
use pgrx::{PgSqlErrorCode, pg_sys};

use super::errors::raise;
use super::rows::KeyColumn;
use super::source::Opened;
use crate::am::build::memory_bytes_max;
use crate::am::interrupts::check_for_interrupts;
use crate::am::rel;
use crate::am::report::Report;
use crate::am::value::{Column, Value};

/// What is held of each vector of the file and of each row beside links.
const ROW_BYTES: u64 = 40;
/// Ids read at once.
const AT_ONCE: u64 = 64 << 10;
/// Rows whose vectors are held against those of the file.
const COMPARED: u64 = 1000;
/// By how much of its largest component a vector may differ: the file may be of one that was rounded or divided by its norm.
const SLACK: f32 = 1e-2;

/// What an index is.
pub struct Shape {
    pub metric: Metric,
    pub dims: usize,
    pub m: u32,
}

/// A graph that fits an index.
pub struct Fitting {
    pub links: Links,
    pub n: usize,
    /// Ids with the numbers of their vectors, in order.
    keys: Vec<(i64, u32)>,
    /// The vectors, where they are stored as they are.
    vectors: Option<Span>,
    normalizes: bool,
}

impl Fitting {
    /// Reads the graph of a file. Raises what [`raise`] says of it, 22023 where it does not fit the index, 54000 if memory has no
    /// room for it.
    pub fn read(file: &mut Opened<'_>, shape: &Shape) -> Self {
        let index = faissfile::read(file).unwrap_or_else(|e| raise(e));
        let graph = FileGraph::of(file, &index).unwrap_or_else(|e| raise(e));
        let m = graph.m(file).unwrap_or_else(|e| raise(e));
        require_fit(shape, &graph, (index.header.dims, index.header.metric, m));
        require_room(&graph);
        let links = graph.links(file).unwrap_or_else(|e| raise(e));
        let keys = keys(file, &graph).unwrap_or_else(|e| raise(e));
        let vectors = match graph.storage.body {
            Body::Flat { vectors } => Some(vectors),
            _ => None,
        };
        let normalizes = graph.normalizes || shape.metric == Metric::Cosine;
        Self { links, n: graph.len() as usize, keys, vectors, normalizes }
    }

    /// The rows of the table that have a vector in the file: tids and numbers. A few vectors are compared. 22023 where they
    /// are others.
    ///
    /// # Safety
    /// The table must be open and locked, with a snapshot active; `column`, if there is one, must be of vectors of `E`.
    pub unsafe fn rows_of<E: Column>(
        &self,
        file: &mut Opened<'_>,
        table: pg_sys::Relation,
        key: KeyColumn,
        column: Option<pg_sys::AttrNumber>,
    ) -> Vec<(u64, u32)> {
        let mut found = Vec::new();
        let step = (self.keys.len() as u64 / COMPARED).max(1);
        // SAFETY: the caller's promise; the scan and its slot are freed here or by the abort.
        unsafe {
            let slot = pg_sys::table_slot_create(table, std::ptr::null_mut());
            let (snapshot, none) = (pg_sys::GetActiveSnapshot(), std::ptr::null_mut());
            let scan = pg_sys::table_beginscan_strat(table, snapshot, 0, none, true, false);
            let forward = pg_sys::ScanDirection::ForwardScanDirection;
            while pg_sys::table_scan_getnextslot(scan, forward, slot) {
                check_for_interrupts();
                let Some(number) = key.of_slot(slot).and_then(|id| self.number(id)) else {
                    continue;
                };
                found.push((rel::tid_of(&raw mut (*slot).tts_tid).to_u64(), number));
                if let Some(column) = column.filter(|_| (found.len() as u64).is_multiple_of(step)) {
                    let mut is_null = false;
                    let value = pg_sys::slot_getattr(slot, column.into(), &mut is_null);
                    if !is_null {
                        self.compare(file, number, E::read(value).elements());
                    }
                }
            }
            pg_sys::table_endscan(scan);
            pg_sys::ExecDropSingleTupleTableSlot(slot);
        }
        found
    }

    fn number(&self, id: i64) -> Option<u32> {
        let at = self.keys.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.keys.get(at).map(|(_, number)| *number)
    }

    fn compare<E: Column>(&self, file: &mut Opened<'_>, number: u32, row: &[E]) {
        let Some(vectors) = self.vectors else { return };
        let mut ours = E::widened(row, row.len());
        let first = u64::from(number) * ours.len() as u64;
        let theirs = vectors.floats(file, first, ours.len()).unwrap_or_else(|e| raise(e));
        if self.normalizes {
            let is_unit = (ann::extent::norm(&theirs) - 1.0).abs() < f64::from(SLACK);
            if is_unit {
                ann::extent::normalize(&mut ours);
            }
        }
        let most = ours.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        if ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() <= SLACK * most) {
            return;
        }
        Report::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            "the vectors of the FAISS file are not those of the table",
        )
        .detail(format!("Vector {number} of the file has the key of a row with another vector."))
        .hint("Name the column whose values are the file's ids, or build the index anew.")
        .error()
    }
}

/// The ids and the numbers of all vectors, in order of the ids.
fn keys(file: &mut Opened<'_>, graph: &FileGraph<'_>) -> Result<Vec<(i64, u32)>, Error> {
    let n = graph.len();
    let mut keys = Vec::with_capacity(n as usize);
    for first in (0..n).step_by(AT_ONCE as usize) {
        let some = AT_ONCE.min(n - first);
        match graph.ids {
            Some(ids) => {
                let ids = ids.longs(file, first, some as usize)?;
                keys.extend(ids.into_iter().zip(first as u32..));
            }
            None => keys.extend((first..first + some).map(|i| (i as i64, i as u32))),
        }
    }
    keys.sort_unstable();
    Ok(keys)
}

fn require_fit(shape: &Shape, graph: &FileGraph<'_>, (dims, metric, m): (usize, i32, u32)) {
    let fits = match shape.metric {
        Metric::L2 => metric == L2 && !graph.normalizes,
        Metric::InnerProduct => metric == INNER_PRODUCT && !graph.normalizes,
        // Of unit vectors both have the same order.
        Metric::Cosine => metric == INNER_PRODUCT || metric == L2,
        Metric::L1 => metric == L1,
        _ => false,
    };
    let report = |detail: String| {
        Report::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            "the graph of the FAISS file does not fit the index",
        )
        .detail(detail)
    };
    if dims != shape.dims {
        let detail = format!("It is of {dims} dimensions, the index of {}.", shape.dims);
        report(detail).error();
    }
    if !fits {
        let name = shape.metric.name();
        report(format!("Its metric has number {metric}, the index has {name}.")).error();
    }
    if m > shape.m {
        report(format!("Its nodes have {m} links on each level, those of the index {}.", shape.m))
            .hint(format!("Make the index with m = {m}."))
            .error();
    }
}

fn require_room(graph: &FileGraph<'_>) {
    let needed = graph.bytes().saturating_add(graph.len().saturating_mul(ROW_BYTES));
    let room = memory_bytes_max() as u64;
    if needed <= room && graph.len() < u64::from(u32::MAX) {
        return;
    }
    Report::new(
        PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        format!("the graph of the FAISS file takes {} MB of memory", needed >> 20),
    )
    .detail(format!("maintenance_work_mem is {} MB.", room >> 20))
    .hint(format!(
        "Increase maintenance_work_mem to {} MB, which is for the build as well.",
        (needed >> 20) * 3 + 64
    ))
    .error()
}
