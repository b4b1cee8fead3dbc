//! The rows of many nodes: first where they are, from NODES pages, then they themselves, page by page.

use std::collections::VecDeque;

use ann::hnsw::SparseQuery;
use ann::kernels::prefetch_at;
use ann::kernels::sparse::Sparse;
use ann::topk::Hit;

use super::RowAt;
use super::page::{SparsePage, vector_of};
use crate::error::Error;
use crate::hnsw::walk::{by_page, each_page};
use crate::hnsw::{View, node_of, nodes};
use crate::page::{BODY_START, PageKind};
use crate::search::rerank::Exact;
use crate::store::Pages;

/// Memory of reading that outlives it.
#[derive(Debug, Default)]
pub struct ReadBuffers {
    order: Vec<u64>,
    places: Vec<RowAt>,
}

/// Calls `look` with the number among `nodes` and the vector of each; not for what is no node any more. One share lock at a
/// time.
pub fn visit<P: Pages>(
    pages: &P,
    view: &View<'_>,
    nodes: &[u32],
    buffers: &mut ReadBuffers,
    look: impl FnMut(usize, Sparse<'_>),
) -> Result<(), Error> {
    let ReadBuffers { order, places } = buffers;
    locate(pages, view, nodes, order, places)?;
    visit_at(pages, nodes, places, order, look)
}

/// Where the row of each node is: none for what is no node.
fn locate<P: Pages>(
    pages: &P,
    view: &View<'_>,
    asked: &[u32],
    order: &mut Vec<u64>,
    places: &mut Vec<RowAt>,
) -> Result<(), Error> {
    let shape = &view.meta.shape;
    by_page(pages, view, asked, order)?;
    places.clear();
    places.resize(asked.len(), RowAt::NONE);
    let place_of = |entry: u64| {
        let node = asked.get(entry as u32 as usize).copied().unwrap_or_default();
        let (chunk, lane) = shape.place(node);
        (chunk, shape.nodes_place(lane).1)
    };
    let ask = |page: *const u8, entry: u64| {
        for range in nodes::read_for_key(shape, place_of(entry).1) {
            let start = page.wrapping_add(BODY_START + range.start);
            prefetch_at(start..start.wrapping_add(range.len()));
        }
    };
    each_page(pages, &mut VecDeque::new(), order, ask, |page, blkno, group| {
        for entry in group {
            let (chunk, place) = place_of(*entry);
            if !page.is(PageKind::Nodes, chunk) {
                page.check(blkno, PageKind::Nodes, chunk)?;
            }
            if let (Some(to), Some((code, _))) =
                (places.get_mut(*entry as u32 as usize), nodes::coded(page, shape, place))
            {
                *to = RowAt::of_code(code);
            }
        }
        Ok(())
    })
}

/// As [`visit`], for nodes whose rows are, or were a moment ago, at `places`.
pub fn visit_at<P: Pages>(
    pages: &P,
    nodes: &[u32],
    places: &[RowAt],
    order: &mut Vec<u64>,
    mut look: impl FnMut(usize, Sparse<'_>),
) -> Result<(), Error> {
    order.clear();
    let there = places.iter().zip(0u64..).filter(|(at, _)| !at.is_none());
    order.extend(there.map(|(at, i)| u64::from(at.blkno) << 32 | i));
    order.sort_unstable();
    let ask = |_: *const u8, _: u64| {};
    each_page(pages, &mut VecDeque::new(), order, ask, |page, blkno, group| {
        let found = SparsePage::new(page, blkno)?;
        for entry in group {
            let i = *entry as u32 as usize;
            let (Some(at), Some(node)) = (places.get(i), nodes.get(i)) else { continue };
            // Of a node that VACUUM has just freed the slot may be gone as well.
            if usize::from(at.slot) >= found.n_slots {
                continue;
            }
            if let Some(vector) = vector_of(found.row(usize::from(at.slot))?, *node) {
                look(i, vector);
            }
        }
        Ok(())
    })
}

/// Exact keys of the nodes of candidates.
pub struct SparseNodes<'a, P: Pages> {
    pages: &'a P,
    view: View<'a>,
    query: &'a SparseQuery,
    nodes: Vec<u32>,
    buffers: ReadBuffers,
}

impl<'a, P: Pages> SparseNodes<'a, P> {
    /// By the rows of a graph over sparse vectors.
    pub fn new(pages: &'a P, view: View<'a>, query: &'a SparseQuery) -> Self {
        Self { pages, view, query, nodes: Vec::new(), buffers: ReadBuffers::default() }
    }
}

impl<P: Pages> Exact for SparseNodes<'_, P> {
    fn keys(&mut self, candidates: &[Hit], each: &mut dyn FnMut(usize, f64)) -> Result<(), Error> {
        let Self { pages, view, query, nodes, buffers } = self;
        nodes.clear();
        nodes.extend(candidates.iter().map(|hit| node_of(hit.at)));
        visit(*pages, view, nodes, buffers, |i, row| each(i, query.exact(row)))
    }
}
