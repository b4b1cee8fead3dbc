//! The exact vector of a row to insert, where the index stores it.

use crate::bytes::u32_at;
use crate::coded::insert::Insertion;
use crate::error::Error;
use crate::page::{Blkno, INVALID_BLKNO, NO_OWNER, Page, PageKind};
use crate::store::Pages;

/// The DATA pages of a row's exact vector, locked in ascending position; none if the index stores no vectors.
pub(super) struct Vectors<W> {
    pub(super) pages: Vec<W>,
    pub(super) blknos: Vec<Blkno>,
    pub(super) lane: usize,
    pub(super) owner: u32,
    /// The pages are new, to be named on the shelf from this place on.
    pub(super) new_at: Option<usize>,
}

impl<'a, P: Pages> Insertion<'a, P> {
    /// `held`: the pages of codes that are locked.
    pub(super) fn packed_vectors(
        &self,
        held: &[P::Write<'a>],
        slot: u64,
    ) -> Result<Vectors<P::Write<'a>>, Error> {
        let mut vectors = self.no_vectors(NO_OWNER);
        let Some(g) = self.layout().vectors else { return Ok(vectors) };
        let (v, p) = (g.block_vectors as u64, g.block_pages as u64);
        let first = self.coded.vectors_first.wrapping_add((slot / v * p) as Blkno);
        vectors.lane = (slot % v) as usize;
        for j in 0..p as Blkno {
            self.lock_vector(&mut vectors, held, first.wrapping_add(j))?;
        }
        Ok(vectors)
    }

    /// `held`: the pages of codes that are locked, the shelf's first page first.
    pub(super) fn shelf_vectors(
        &self,
        held: &[P::Write<'a>],
        slot: usize,
    ) -> Result<Vectors<P::Write<'a>>, Error> {
        let mut vectors = self.no_vectors(self.row.list_no);
        let Some(g) = self.layout().vectors else { return Ok(vectors) };
        vectors.lane = slot % g.block_vectors;
        let first = slot / g.block_vectors * g.block_pages;
        let Some(head) = held.first() else { return Ok(vectors) };
        let named: Vec<Blkno> = (first..first + g.block_pages)
            .map(|i| u32_at(head.body(), self.layout().shelf_vector_at(i)))
            .collect();
        if named.iter().any(|blkno| *blkno != INVALID_BLKNO) {
            // All pages of a block are named at once: an INVALID among them is refused as beyond the end.
            for blkno in named {
                self.lock_vector(&mut vectors, held, blkno)?;
            }
            return Ok(vectors);
        }
        for _ in named {
            let page = self.pages.allocate()?;
            vectors.blknos.push(self.pages.blkno(&page));
            vectors.pages.push(page);
        }
        vectors.new_at = Some(first);
        Ok(vectors)
    }

    fn no_vectors(&self, owner: u32) -> Vectors<P::Write<'a>> {
        Vectors { pages: Vec::new(), blknos: Vec::new(), lane: 0, owner, new_at: None }
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
        }
        if let Some(g) = self.layout().vectors {
            g.write_row(image, j, lane, self.row.vector);
        }
    }
}
