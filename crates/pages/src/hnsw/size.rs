//! How large a graph will be, before it is built: what CREATE INDEX writes, counted by the same shapes.

use crate::hnsw::{Meta, MetaParams, map, upper};
use crate::model;
use crate::page::PAGE_SIZE;

/// Bytes of a graph as CREATE INDEX writes it for `rows` rows, no two of them equal. None if no graph has this shape.
pub fn built_bytes(params: &MetaParams, rows: u64) -> Option<u64> {
    let shape = Meta::new(params)?.shape;
    let c = u64::from(shape.chunk_nodes());
    let (full, rest) = (rows / c, (rows % c) as usize);
    let chunks = full * shape.pages() as u64 + shape.parts_of(rest).count() as u64;
    let map_pages = rows.div_ceil(c).div_ceil(map::entries_max(&shape) as u64).max(1);
    // Of the nodes one in m goes up to each next level.
    let records = rows / (params.m as u64 - 1).max(1);
    let upper_pages = records.div_ceil(upper::records_max(&shape) as u64);
    // META and ENTRY.
    let fixed = 2 + model::n_pages(params.grid_len());
    Some((fixed + map_pages + chunks + upper_pages) * PAGE_SIZE as u64)
}
