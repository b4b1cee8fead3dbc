//! How large an index will be, before it is built: what CREATE INDEX writes, counted by the same layouts.
//!
//! Rows spread over lists unevenly, so that the last block and the last LIST page of a list are half full on average. A
//! single list is counted exactly.

use ann::codec::LANES;

use crate::coded::model;
use crate::meta::{Coded, Meta, MetaParams};
use crate::page::PAGE_SIZE;

/// Bytes of an index as CREATE INDEX writes it for `rows` rows in `nlist` lists (0 = untrained: one list without a
/// centroid, vectors as they are). None if no index has this shape.
pub fn built_bytes(params: &MetaParams, nlist: usize, rows: u64) -> Option<u64> {
    let params = MetaParams { code: params.code.filter(|_| nlist > 0), ..*params };
    let meta = Meta::new(&params, nlist)?;
    let lists = match meta.coded {
        Some(coded) => coded_pages(&meta, &coded, rows),
        None => list_pages(&meta, rows),
    };
    Some((1 + meta.centroid_pages() + meta.directory_pages() + lists) * PAGE_SIZE as u64)
}

/// MODEL, packed area and its vectors.
fn coded_pages(meta: &Meta, coded: &Coded, rows: u64) -> u64 {
    let blocks = Spread::over(meta, rows).filled(LANES).total() as u64;
    model::n_pages(coded.model_len(meta.dims))
        + coded.layout.packed_pages(blocks)
        + coded.layout.packed_vector_pages(blocks)
}

/// LIST and DATA pages.
fn list_pages(meta: &Meta, rows: u64) -> u64 {
    let blocks = Spread::over(meta, rows).filled(meta.layout.block_vectors);
    let list_pages = blocks.filled(meta.layout.n_blocks_max).total();
    (blocks.total() * meta.geometry.block_pages as f64 + list_pages) as u64
}

/// Things spread over the lists that have any.
#[derive(Clone, Copy)]
struct Spread {
    lists: f64,
    per_list: f64,
}

impl Spread {
    fn over(meta: &Meta, rows: u64) -> Self {
        let lists = (meta.nlist as f64).min(rows as f64);
        Self { lists, per_list: rows as f64 / lists.max(1.0) }
    }

    /// The containers of `size` that they fill.
    fn filled(self, size: usize) -> Self {
        let size = size as f64;
        let per_list = if self.lists > 1.0 {
            (self.per_list / size + (1.0 - 1.0 / size) / 2.0).max(1.0)
        } else {
            (self.per_list / size).ceil()
        };
        Self { per_list, ..self }
    }

    fn total(self) -> f64 {
        self.lists * self.per_list
    }
}
