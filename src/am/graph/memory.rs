//! How much of a build fits into maintenance_work_mem.

use ann::hnsw;
use pages::hnsw::MetaParams;

use super::rows::ROW_BYTES;
use crate::am::build::memory_bytes_max;

/// Rows coded at once, unless memory is short.
const BATCH_ROWS_MAX: usize = 16_384;
/// The part of memory that a batch takes at most.
const BATCH_SHARE: usize = 8;
/// Rows that are built at once however little memory there is.
const ROWS_MIN: usize = 256;
/// Rows by which memory per row is measured.
const ROWS_MEASURED: usize = 1 << 16;

/// What a build may take, in rows and bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Rows coded at once.
    pub batch_rows: usize,
    /// Rows that a graph can be built of.
    pub rows_max: usize,
    /// What a graph of one more row takes.
    row_bytes: usize,
    /// What is left once the batch is taken off.
    bytes: usize,
}

impl Memory {
    /// `element_size` is that of the column. `by_vectors`: the graph is built of 32-bit floats, which are in memory, then.
    pub fn new(params: &MetaParams, by_vectors: bool, element_size: usize) -> Self {
        let code_bytes = params.code_bytes();
        let bytes = memory_bytes_max();
        // Elements, 32-bit floats, code and what is stored.
        let batch_row = params.dims * (2 * element_size + size_of::<f32>()) + 2 * code_bytes;
        let batch_rows = (bytes / BATCH_SHARE / batch_row).clamp(1, BATCH_ROWS_MAX);
        let bytes = bytes.saturating_sub(batch_rows * batch_row);
        let graph = hnsw::build_bytes(ROWS_MEASURED, code_bytes, params.m);
        let point_bytes = if by_vectors { params.dims * size_of::<f32>() } else { 0 };
        let row_bytes = graph.div_ceil(ROWS_MEASURED)
            + ROW_BYTES
            + point_bytes
            + params.attributes.entry_size();
        let rows_max = (bytes / row_bytes).max(ROWS_MIN);
        Self { batch_rows, rows_max, row_bytes, bytes }
    }

    /// Bytes left for the vectors of a build of `rows` rows.
    pub fn vectors(&self, rows: u64) -> usize {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX).min(self.rows_max);
        self.bytes.saturating_sub(rows.saturating_mul(self.row_bytes))
    }

    /// Bytes left for 32-bit floats of a build of `rows` rows of codes whose vectors do not stay in memory.
    pub fn points(&self, rows: u64) -> usize {
        self.vectors(rows)
    }

    /// maintenance_work_mem, in MB, that a graph of `rows` rows takes.
    pub fn megabytes_for(&self, rows: u64) -> u64 {
        let bytes = rows.saturating_mul(self.row_bytes as u64);
        (bytes + bytes / (BATCH_SHARE as u64 - 1)).div_ceil(1 << 20)
    }
}
