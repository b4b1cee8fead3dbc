//! Where the exact vectors of an index of lists are.

use bytemuck::Pod;

use crate::error::Error;
use crate::geometry::Geometry;
use crate::lists::InvertedLists;
use crate::lists::extent::Place;
use crate::lists::overflow;
use crate::page::{Blkno, NO_OWNER, PageKind};
use crate::search::exact::{Locate, StoredAt, StoredRows};
use crate::store::Pages;

/// The vectors that an index of lists stores; a candidate is found by the place of its slot.
pub struct ListVectors {
    lists: InvertedLists,
    geometry: Geometry,
}

impl ListVectors {
    /// Those of `lists`; None if these store none.
    pub fn of(lists: &InvertedLists) -> Option<Self> {
        lists.layout.vectors.map(|geometry| Self { lists: *lists, geometry })
    }
}

impl<'a, P: Pages, E: Pod, F: Fn(&[E]) -> f64> StoredRows<'a, P, E, F, ListVectors> {
    /// The vectors of an index of lists; an error if it stores none of this type. `key` gets the stored elements.
    pub fn new(pages: &'a P, lists: &InvertedLists, key: F) -> Result<Self, Error> {
        Self::at(pages, ListVectors::of(lists), key)
    }
}

impl<'a, P: Pages, E: Pod> StoredRows<'a, P, E, (), ListVectors> {
    /// As `new`, to be visited only.
    pub fn unmeasured(pages: &'a P, lists: &InvertedLists) -> Result<Self, Error> {
        Self::at(pages, ListVectors::of(lists), ())
    }
}

impl Locate for ListVectors {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn locate<P: Pages>(&self, pages: &P, at: u64, j: usize) -> Result<StoredAt, Error> {
        let (v, p) = (self.geometry.block_vectors as u64, self.geometry.block_pages as u64);
        let page = |slot: u64| slot / v * p + j as u64;
        match Place::of(at) {
            Place::Packed(slot) => {
                let blkno = self.lists.vectors_first.wrapping_add(page(slot) as Blkno);
                Ok(StoredAt { blkno, lane: (slot % v) as usize, owner: NO_OWNER })
            }
            Place::Overflow(first, slot) => {
                let head = pages.read(first)?;
                head.check(first, PageKind::Overflow, head.owner())?;
                let blkno = overflow::vector_page(&head, &self.lists.layout, page(slot) as usize);
                Ok(StoredAt { blkno, lane: (slot % v) as usize, owner: head.owner() })
            }
        }
    }
}
