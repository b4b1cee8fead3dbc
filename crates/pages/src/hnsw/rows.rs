//! The exact vectors of nodes, as re-ranking reads them: from DATA pages, or of bits from NODES pages.

use ann::element::{Bits, Element};
use ann::hnsw::VectorQuery;
use bytemuck::Pod;
use half::f16;

use crate::error::Error;
use crate::geometry::Geometry;
use crate::hnsw::{View, node_of};
use crate::page::META_BLKNO;
use crate::page::{Blkno, PageKind};
use crate::search::exact::{Locate, StoredAt, StoredRows};
use crate::store::Pages;

/// The vectors, made of `E`, that a graph stores, and how they are measured.
pub type NodeRows<'a, P, E, F> = StoredRows<'a, P, E, F, NodeVectors<'a>>;

/// Where the vectors of nodes are: a candidate is found at the number of its node.
pub struct NodeVectors<'v> {
    view: View<'v>,
    geometry: Geometry,
}

impl<'a, P: Pages, E: Pod, F: Fn(&[E]) -> f64> StoredRows<'a, P, E, F, NodeVectors<'a>> {
    /// The vectors of a graph; an error if it stores none of this type. `key` gets the stored elements.
    pub fn of_nodes(pages: &'a P, view: View<'a>, key: F) -> Result<Self, Error> {
        let places = view.meta.shape.vectors.map(|geometry| NodeVectors { view, geometry });
        Self::at(pages, places, key)
    }
}

impl Locate for NodeVectors<'_> {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn locate<P: Pages>(&self, pages: &P, at: u64, j: usize) -> Result<StoredAt, Error> {
        let View { meta, map, .. } = self.view;
        let (chunk, lane) = meta.shape.place(node_of(at));
        let Some((first, row)) = meta.shape.data_place(lane) else {
            return Err(Error::corrupted(META_BLKNO, "index stores no such vectors"));
        };
        let by: Blkno = map.place(chunk).0;
        let blkno = map.existing(pages, chunk, first + j, by)?;
        Ok(StoredAt { blkno, lane: row, owner: chunk })
    }
}

/// The vectors of bits of a graph, which are its codes.
pub type NodeBits<'a, P, F> = StoredRows<'a, P, Bits, F, NodeCodes<'a>>;

/// Where the codes of nodes are: a candidate is found at the number of its node.
pub struct NodeCodes<'v> {
    view: View<'v>,
}

impl<'a, P: Pages, F: Fn(&[Bits]) -> f64> StoredRows<'a, P, Bits, F, NodeCodes<'a>> {
    /// The vectors of a graph over bits; an error if it is of other vectors. `key` gets the bits, and zeros up to the next code.
    pub fn of_bits(pages: &'a P, view: View<'a>, key: F) -> Result<Self, Error> {
        let is_of_bits = view.meta.params.element == Bits::TAG;
        Self::at(pages, is_of_bits.then_some(NodeCodes { view }), key)
    }
}

impl Locate for NodeCodes<'_> {
    const KIND: PageKind = PageKind::Nodes;

    fn geometry(&self) -> Geometry {
        // Codes begin where rows do, and follow each other as rows do.
        Geometry::of_bytes(self.view.meta.shape.stride, self.view.meta.shape.node_lanes)
    }

    fn locate<P: Pages>(&self, pages: &P, at: u64, _j: usize) -> Result<StoredAt, Error> {
        let View { meta, map, .. } = self.view;
        let (chunk, lane) = meta.shape.place(at as u32);
        let (part, place) = meta.shape.nodes_place(lane);
        let blkno = map.existing(pages, chunk, part, map.place(chunk).0)?;
        Ok(StoredAt { blkno, lane: place, owner: chunk })
    }
}

/// The stored elements of a vector.
#[derive(Debug, Clone, Copy)]
pub(super) enum Elements<'a> {
    F32(&'a [f32]),
    F16(&'a [f16]),
}

impl Elements<'_> {
    /// Its key.
    #[inline]
    pub(super) fn key(self, query: &VectorQuery) -> f32 {
        match self {
            Self::F32(row) => query.key(row),
            Self::F16(row) => query.key(row),
        }
    }

    /// Writes it as 32-bit floats.
    pub(super) fn widen(self, out: &mut [f32]) {
        match self {
            Self::F32(row) => f32::widen(row, out),
            Self::F16(row) => f16::widen(row, out),
        }
    }
}

/// Calls `look` with the place among `nodes` and the vector of each, in the order of the nodes' numbers, so that a page is
/// visited once: whatever was stored last at the node's place, which may be free by now. `order` is scratch.
pub(super) fn visit<P: Pages>(
    pages: &P,
    view: &View<'_>,
    nodes: &[u32],
    order: &mut Vec<u64>,
    mut look: impl FnMut(usize, Elements<'_>),
) -> Result<(), Error> {
    let places = view.meta.shape.vectors.map(|geometry| NodeVectors { view: *view, geometry });
    order.clear();
    order.extend(nodes.iter().zip(0u64..).map(|(node, i)| u64::from(*node) << 32 | i));
    order.sort_unstable();
    let place = |i: usize| order.get(i).map_or(0, |entry| *entry as u32 as usize);
    let node = |entry: &u64| entry >> 32;
    if places.as_ref().is_some_and(|places| places.geometry.element_size == size_of::<f16>()) {
        let rows = StoredRows::<P, f16, (), _>::at(pages, places, ())?;
        rows.visit(order, node, |i, row| look(place(i), Elements::F16(row)))
    } else {
        let rows = StoredRows::<P, f32, (), _>::at(pages, places, ())?;
        rows.visit(order, node, |i, row| look(place(i), Elements::F32(row)))
    }
}
