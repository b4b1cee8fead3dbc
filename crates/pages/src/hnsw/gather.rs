//! Codes or vectors of several nodes, copied from their pages so that they can be compared with each other without a lock.

use std::collections::VecDeque;

use ann::hnsw::{Codes, Factors, NodeQuery, Points, SparsePoints, SparseRows, Vectors};
use ann::kernels::prefetch_at;
use ann::kernels::sparse::Sparse;
use ann::metric::Metric;

use crate::error::Error;
use crate::hnsw::View;
use crate::hnsw::insert::Coded;
use crate::hnsw::nodes::{Nodes, State, read_for_key};
use crate::hnsw::rows::visit;
use crate::hnsw::sparse::{RowAt, read};
use crate::hnsw::walk::{by_page, each_page};
use crate::page::BODY_START;
use crate::store::Pages;

/// What nodes are compared by.
#[derive(Debug, Default, Clone, Copy)]
enum By {
    #[default]
    Codes,
    /// Vectors, by this metric, of this number of dimensions.
    Vectors(Metric, usize),
    Sparse(Metric),
}

/// Nodes with their codes, and with their vectors if they are to be compared by these. What is no node (any more) has an
/// infinite bias, and a vector of no numbers.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    nodes: Vec<u32>,
    codes: Vec<u8>,
    factors: Vec<Factors>,
    /// As the column has them; empty where codes are compared.
    vectors: Vec<f32>,
    /// Sparse vectors as the column has them.
    sparse: SparseRows,
    by: By,
    /// Whether it is a node with a row.
    live: Vec<bool>,
    order: Vec<u64>,
}

impl Gathered {
    pub(super) fn clear(&mut self) {
        self.nodes.clear();
        self.codes.clear();
        self.factors.clear();
        self.vectors.clear();
        self.sparse.clear();
        self.live.clear();
    }

    /// Reads nodes, page by page.
    pub(super) fn read<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        nodes: impl Iterator<Item = u32>,
    ) -> Result<(), Error> {
        let (shape, size) = (&view.meta.shape, view.grid.size());
        self.clear();
        self.nodes.extend(nodes);
        self.codes.resize(self.nodes.len() * size, 0);
        self.factors.resize(self.nodes.len(), Factors::NONE);
        self.live.resize(self.nodes.len(), false);
        by_page(pages, view, &self.nodes, &mut self.order)?;
        let Self { nodes, codes, factors, live, order, .. } = self;
        let place_of = |entry: u64| {
            let node = nodes.get(entry as u32 as usize).copied().unwrap_or_default();
            let (chunk, lane) = shape.place(node);
            (chunk, shape.nodes_place(lane))
        };
        let ask = |page: *const u8, entry: u64| {
            for range in read_for_key(shape, place_of(entry).1.1) {
                let start = page.wrapping_add(BODY_START + range.start);
                prefetch_at(start..start.wrapping_add(range.len()));
            }
        };
        each_page(pages, &mut VecDeque::new(), order, ask, |page, blkno, group| {
            for entry in group {
                let (chunk, (part, place)) = place_of(*entry);
                let found = Nodes::new(page, blkno, shape, chunk, part)?;
                let lane = found.lane(blkno, place)?;
                let i = *entry as u32 as usize;
                if lane.state != State::Node {
                    continue;
                }
                if let (Some(code), Some(factors), Some(live)) =
                    (codes.get_mut(i * size..(i + 1) * size), factors.get_mut(i), live.get_mut(i))
                {
                    *factors = lane.factors;
                    *live = !lane.tid.is_free();
                    let stored = found.code(place);
                    code.iter_mut().zip(stored).for_each(|(to, from)| *to = *from);
                }
            }
            Ok(())
        })?;
        let params = &view.meta.params;
        if params.is_sparse() {
            self.by = By::Sparse(params.metric);
            return self.read_sparse(pages, size);
        }
        self.by = By::Codes;
        if view.by_vectors {
            self.by = By::Vectors(params.metric, params.dims);
            self.read_vectors(pages, view)?;
        }
        Ok(())
    }

    fn read_sparse<P: Pages>(&mut self, pages: &P, size: usize) -> Result<(), Error> {
        let Self { nodes, codes, factors, sparse, order, live, .. } = self;
        let coded = codes.chunks_exact(size.max(1)).zip(&*factors);
        let place = |(code, factors): (&[u8], &Factors)| match factors.bias.is_finite() {
            true => RowAt::of_code(code),
            false => RowAt::NONE,
        };
        let places: Vec<RowAt> = coded.map(place).collect();
        sparse.resize(nodes.len());
        read::visit_at(pages, nodes, &places, order, |i, row| sparse.set(i, row))?;
        // VACUUM has freed it since its lane was read.
        for i in (0..nodes.len()).filter(|i| sparse.get(*i).is_none()) {
            if let (Some(factors), Some(live)) = (factors.get_mut(i), live.get_mut(i)) {
                (*factors, *live) = (Factors::NONE, false);
            }
        }
        Ok(())
    }

    fn read_vectors<P: Pages>(&mut self, pages: &P, view: &View<'_>) -> Result<(), Error> {
        let dims = view.meta.params.dims;
        let Self { nodes, factors, vectors, order, .. } = self;
        vectors.resize(nodes.len() * dims, f32::NAN);
        visit(pages, view, nodes, order, |i, row| {
            let is_node = factors.get(i).is_some_and(|factors| factors.bias.is_finite());
            if let Some(to) = vectors.get_mut(i * dims..(i + 1) * dims)
                && is_node
            {
                row.widen(to);
            }
        })
    }

    /// The nodes, in the order they were asked for.
    pub(super) fn nodes(&self) -> &[u32] {
        &self.nodes
    }

    /// Whether number `i` is a node with a row.
    pub(super) fn is_live(&self, i: usize) -> bool {
        self.live.get(i).is_some_and(|live| *live)
    }

    /// The code, of `size` bytes, and the factors of number `i`.
    pub(super) fn code(&self, i: u32, size: usize) -> (&[u8], Factors) {
        Codes { codes: &self.codes, stride: size, factors: &self.factors }.node(i, size)
    }

    /// The sparse vector of number `i`.
    pub(super) fn sparse(&self, i: u32) -> Option<Sparse<'_>> {
        self.sparse.get(i as usize)
    }

    /// What they are compared by, by the nodes' numbers here: codes of `size` bytes, or vectors.
    pub(super) fn codes(&self, size: usize) -> Points<'_> {
        match self.by {
            By::Vectors(metric, dims) => {
                Points::Vectors(Vectors { metric, dims, rows: &self.vectors })
            }
            By::Sparse(metric) => Points::Sparse(SparsePoints { metric, rows: &self.sparse }),
            By::Codes => {
                Points::Codes(Codes { codes: &self.codes, stride: size, factors: &self.factors })
            }
        }
    }

    /// What others are compared with to find what is near number `i`; None where it is no node.
    pub(super) fn query(&self, view: &View<'_>, i: u32) -> Option<NodeQuery> {
        if !self.code(i, view.grid.size()).1.bias.is_finite() {
            return None;
        }
        let mut query = NodeQuery::unaimed(view.grid);
        query.aim(view.grid, self.codes(view.grid.size()), i);
        Some(query)
    }

    /// Adds one more, which is not in the index yet.
    pub(super) fn push(&mut self, node: u32, row: &Coded<'_>) {
        self.nodes.push(node);
        self.codes.extend_from_slice(row.code);
        self.factors.push(row.factors);
        match self.by {
            By::Codes => {}
            By::Vectors(..) => self.vectors.extend_from_slice(row.vector),
            By::Sparse(_) => self.sparse.push(row.sparse.unwrap_or_default()),
        }
        self.live.push(true);
    }
}
