//! A graph (HNSW) in pages: searches go by 8-bit codes that lie densely on pages of their own, apart from links and from
//! exact vectors; or by the vectors, where codes lose too much or where vectors are sparse and have none. Reading order: [`shape`], [`meta`], [`map`], [`nodes`], [`links`], [`upper`], [`entry`], [`sparse`]; then the
//! verbs [`build`], [`insert`], [`scan`], [`vacuum`], [`check`], [`info`]; [`due`] when what recall costs is measured again, [`size`] foretells how large a graph will be.

mod attributes;
pub mod build;
pub mod check;
pub mod due;
mod duplicates;
pub mod entry;
pub mod export;
mod gather;
pub mod info;
pub mod insert;
pub mod links;
pub mod map;
pub mod marks;
pub mod meta;
pub mod nodes;
pub mod rows;
pub mod scan;
pub mod shape;
pub mod size;
pub mod sparse;
pub mod upper;
pub mod vacuum;
pub mod walk;

#[cfg(test)]
mod tests;

use ann::extent;
use ann::hnsw::{Grid, NodeQuery, VectorQuery};
use ann::metric::Metric;

use crate::error::Error;
use crate::search::filter::Filter;
use crate::store::Pages;

pub use duplicates::node_of;
pub use map::Map;
pub use meta::{Code, Measured, Meta, MetaParams};
pub use shape::Shape;

/// The most bits of a vector that a graph takes: as many as a code on a NODES page has room for.
pub const BITS_MAX: usize = 64_768;

/// No node.
pub const INVALID_NODE: u32 = u32::MAX;

/// What every verb has to know of its graph.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The metapage.
    pub meta: &'a Meta,
    /// What turns vectors into codes.
    pub grid: &'a Grid,
    /// Where the pages of each chunk are.
    pub map: &'a Map,
    /// Nodes are compared by their vectors, since codes lose too much; see [`View::now`].
    pub by_vectors: bool,
    /// Whether marked entries are no rows: what scans on a primary believe.
    pub trusts_marks: bool,
    /// What a row must be for a scan to return it; None: anything.
    pub filter: Option<&'a Filter>,
}

impl<'a> View<'a> {
    /// A view of a graph, by codes until [`View::now`] says otherwise.
    pub fn new(meta: &'a Meta, grid: &'a Grid, map: &'a Map) -> Self {
        Self { meta, grid, map, by_vectors: false, trusts_marks: false, filter: None }
    }

    /// As `new`, for a scan that may believe marks, or may not.
    pub fn trusting(self, trusts_marks: bool) -> Self {
        Self { trusts_marks, ..self }
    }

    /// The same for a scan of those rows alone that pass a filter.
    pub fn filtered(self, filter: Option<&'a Filter>) -> Self {
        Self { filter, ..self }
    }

    /// As `trusting`, with what ENTRY says now about codes. A verb asks once, when it begins: keys of codes and of vectors cannot be
    /// compared.
    pub fn now<P: Pages>(self, pages: &P) -> Result<Self, Error> {
        let entry = entry::Entry::read(pages, self.meta)?;
        let is_sparse = self.meta.params.is_sparse();
        let by_vectors = is_sparse || entry.by_vectors && self.meta.shape.vectors.is_some();
        Ok(Self { by_vectors, ..self })
    }

    /// What nodes are compared with in a search for a vector, of any length. Codes are made of shortened vectors, and vectors
    /// are stored at their own length.
    pub fn query(&self, vector: &[f32]) -> NodeQuery {
        let metric = self.meta.params.metric;
        let mut point = vector.to_vec();
        if !self.by_vectors || metric == Metric::Cosine {
            to_coded(metric, &mut point);
        }
        match self.by_vectors {
            true => NodeQuery::Vector(VectorQuery::new(metric, &point)),
            false => NodeQuery::Code(self.grid.query(&point)),
        }
    }
}

/// Makes of a vector what codes are made of: of length 1 under cosine, else not too long (`ann::extent`).
fn to_coded(metric: Metric, point: &mut [f32]) {
    match metric {
        Metric::Cosine => extent::normalize(point),
        _ => extent::shorten(point),
    }
}
