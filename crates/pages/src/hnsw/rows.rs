//! The exact vectors of nodes, as re-ranking reads them.

use bytemuck::Pod;

use crate::coded::exact::{Locate, StoredAt, StoredRows};
use crate::error::Error;
use crate::geometry::Geometry;
use crate::hnsw::View;
use crate::meta::META_BLKNO;
use crate::page::Blkno;
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
        let (chunk, lane) = meta.shape.place(at as u32);
        let Some((first, row)) = meta.shape.data_place(lane) else {
            return Err(Error::corrupted(META_BLKNO, "index stores no such vectors"));
        };
        let by: Blkno = map.place(chunk).0;
        let blkno = map.existing(pages, chunk, first + j, by)?;
        Ok(StoredAt { blkno, lane: row, owner: Some(chunk) })
    }
}
