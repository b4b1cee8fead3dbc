//! The exact vector of a row to insert, where the index stores it.

use super::Insertion;
use crate::error::Error;
use crate::lists::extent::{Extent, VectorPages};
use crate::lists::overflow::vector_page;
use crate::page::{Blkno, INVALID_BLKNO, Page, PageKind};
use crate::store::Pages;

/// The DATA pages of a row's exact vector, locked in ascending position; none if the index stores no vectors.
pub(super) struct Vectors<W> {
    pub(super) pages: Vec<W>,
    pub(super) blknos: Vec<Blkno>,
    pub(super) lane: usize,
    pub(super) owner: u32,
    /// The pages are new, to be named on the overflow page from this place on.
    pub(super) new_at: Option<usize>,
}

impl<'a, P: Pages> Insertion<'a, P> {
    /// Locks the DATA pages of a slot. `held`: the pages of its block that are locked, of an overflow extent its first page first.
    pub(super) fn vectors(
        &self,
        extent: &Extent<'_>,
        held: &[P::Write<'a>],
        slot: u64,
    ) -> Result<Vectors<P::Write<'a>>, Error> {
        let owner = extent.vectors_owner();
        let mut vectors =
            Vectors { pages: Vec::new(), blknos: Vec::new(), lane: 0, owner, new_at: None };
        let Some(g) = self.layout().vectors else { return Ok(vectors) };
        let v = g.block_vectors as u64;
        vectors.lane = (slot % v) as usize;
        let first = (slot / v) as usize * g.block_pages;
        let is_new = match (&extent.vectors, held.first()) {
            // As it is now, under the lock. All pages of a block are named at once: an INVALID among them is refused as beyond
            // the end.
            (VectorPages::Overflow(_), Some(head)) => {
                let named = |i| vector_page(head, self.layout(), first + i);
                let is_new = (0..g.block_pages).all(|i| named(i) == INVALID_BLKNO);
                for i in (0..g.block_pages).filter(|_| !is_new) {
                    self.lock_vector(&mut vectors, held, named(i))?;
                }
                is_new
            }
            (pages, _) => {
                for i in 0..g.block_pages {
                    let blkno = pages.blkno(first + i).unwrap_or(INVALID_BLKNO);
                    self.lock_vector(&mut vectors, held, blkno)?;
                }
                false
            }
        };
        if is_new {
            for _ in 0..g.block_pages {
                let page = self.pages.allocate()?;
                vectors.blknos.push(self.pages.blkno(&page));
                vectors.pages.push(page);
            }
            vectors.new_at = Some(first);
        }
        Ok(vectors)
    }

    fn lock_vector(
        &self,
        vectors: &mut Vectors<P::Write<'a>>,
        held: &[P::Write<'a>],
        blkno: Blkno,
    ) -> Result<(), Error> {
        let is_held = held.iter().any(|page| self.pages.blkno(page) == blkno);
        if is_held || vectors.blknos.contains(&blkno) {
            return Err(Error::corrupted(blkno, "DATA page is named twice"));
        }
        let page = self.pages.lock(blkno)?;
        page.check(blkno, PageKind::Data, vectors.owner)?;
        vectors.blknos.push(blkno);
        vectors.pages.push(page);
        Ok(())
    }

    /// Writes slice `j` of the row's vector in a record of its own.
    pub(super) fn write_vector_alone(
        &self,
        vectors: &mut Vectors<P::Write<'a>>,
        j: usize,
    ) -> Result<(), Error> {
        let (lane, new_owner) = (vectors.lane, vectors.new_at.map(|_| vectors.owner));
        let Some(page) = vectors.pages.get_mut(j) else { return Ok(()) };
        self.pages.edit(&mut [page], |images| {
            images.iter_mut().for_each(|image| self.write_vector(image, j, lane, new_owner));
            Ok(())
        })
    }

    pub(super) fn write_vector(
        &self,
        image: &mut Page,
        j: usize,
        lane: usize,
        new_owner: Option<u32>,
    ) {
        if let Some(owner) = new_owner {
            image.init(PageKind::Data, owner);
            image.set_generation(self.lists.generation);
        }
        if let Some(g) = self.layout().vectors {
            g.write_row(image, j, lane, self.row.vector);
        }
    }
}
