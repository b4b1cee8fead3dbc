//! An index as somebody sees it who has just opened it.

use ann::element::Element;
use ann::hnsw::Grid;

use super::coding::{CodedRow, code_row, point_of};
use crate::error::Error;
use crate::hnsw;
use crate::lists::ListsIndex;
use crate::page::META_BLKNO;
use crate::store::Pages;
use crate::tid::Tid;

/// The part of an index that never changes.
pub enum Opened {
    /// Inverted lists, or a single one.
    Lists(Box<ListsIndex>),
    /// A graph.
    Graph(Box<Graph>),
}

/// Of a graph.
pub struct Graph {
    pub meta: hnsw::Meta,
    pub grid: Grid,
}

impl Opened {
    /// Reads it from its pages.
    pub fn read<P: Pages>(pages: &P) -> Result<Self, Error> {
        let is_graph = hnsw::Meta::is_graph(&*pages.read(META_BLKNO)?);
        if is_graph {
            let meta = hnsw::Meta::read(pages)?;
            let grid = meta.read_grid(pages)?;
            return Ok(Self::Graph(Box::new(Graph { meta, grid })));
        }
        Ok(Self::Lists(Box::new(ListsIndex::open(pages)?)))
    }
}

/// A row as an index takes it, assigned by the centroids in its pages.
pub fn coded<E: Element, P: Pages>(
    index: &ListsIndex,
    pages: &P,
    tid: Tid,
    vector: &[E],
) -> Result<CodedRow, Error> {
    let (params, code) = (&index.meta.lists.params, index.code.as_ref());
    let point = point_of(params, code, vector);
    let (mut list, mut centroid) = ((0, 0.0), Vec::new());
    if let Some(quantizer) = &index.quantizer {
        list = quantizer.assign(pages, &point, &mut quantizer.query())?;
        quantizer.centroid(pages, list.0, &mut centroid)?;
    }
    Ok(code_row(params, code, (tid, vector), &point, list, &centroid))
}
