//! How large an index of lists will be, before it is built: what CREATE INDEX writes, counted by the same layouts.
//!
//! Where lists begin at blocks, rows spread over lists unevenly, so that the last block of a list is half full on average. A
//! single list is counted exactly.

use ann::codec::LANES;

use crate::lists::{InvertedLists, ListsParams, quantizer};
use crate::page::PAGE_SIZE;

/// Bytes of an index as CREATE INDEX writes it for `rows` rows in `nlist` lists (0 = untrained: one list without a
/// centroid, vectors as they are). None if no index has this shape.
pub fn built_bytes(params: &ListsParams, nlist: usize, rows: u64) -> Option<u64> {
    let rows_pages = |params: &ListsParams, nlist: usize| {
        let lists = InvertedLists::new(params, nlist)?;
        let slots = if lists.layout.has_code { slots_of_blocks(nlist, rows) } else { rows };
        Some(lists.built_pages(slots))
    };
    let pages = match nlist {
        0 => rows_pages(&ListsParams { code: None, ..*params }, 1)?,
        _ => {
            let centroids = InvertedLists::new(&quantizer::params(params, nlist), 1)?;
            let slots = centroids.layout.next_start(nlist as u64);
            centroids.built_pages(slots) + rows_pages(params, nlist)?
        }
    };
    // META is one more.
    Some((1 + pages) * PAGE_SIZE as u64)
}

/// Slots of the blocks that rows spread over lists take.
fn slots_of_blocks(nlist: usize, rows: u64) -> u64 {
    if nlist <= 1 {
        return rows.next_multiple_of(LANES as u64);
    }
    let (lanes, lists) = (LANES as f64, (nlist as f64).min(rows as f64));
    let per_list = (rows as f64 / lists.max(1.0) / lanes + (1.0 - 1.0 / lanes) / 2.0).max(1.0);
    (lists * per_list * lanes) as u64
}
