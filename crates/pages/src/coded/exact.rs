//! Keys of candidates better than the codes': the query, and the vectors that the index stores itself.

use ann::element::Element;
use ann::kernels::{cosine_from, dot, l1, l2_sqr, norm_sqr, prefetch_at};
use ann::metric::Metric;
use ann::topk::Hit;
use bytemuck::Pod;

use crate::bytes::u32_at;
use crate::coded::layout::CodeLayout;
use crate::coded::probe::Place;
use crate::coded::rerank::Exact;
use crate::error::Error;
use crate::geometry::Geometry;
use crate::meta::{Coded, META_BLKNO, Meta};
use crate::page::{BODY_START, Blkno, NO_OWNER, Page, PageKind};
use crate::store::Pages;

/// Candidates whose pages are asked for together: about as many cache misses as a core can wait for at a time.
const TOGETHER: usize = 8;

/// A query, as the user gave it.
#[derive(Debug, Clone)]
pub struct ExactQuery {
    metric: Metric,
    query: Vec<f32>,
    norm_sqr: f32,
}

impl ExactQuery {
    /// Keys are to be measured so.
    pub fn new(metric: Metric, query: &[f32]) -> Self {
        Self { metric, query: query.to_vec(), norm_sqr: norm_sqr(query) }
    }

    /// The key of a row: orders as the operator's distance, bit for bit.
    #[inline]
    pub fn key<E: Element>(&self, row: &[E]) -> f64 {
        match self.metric {
            Metric::L2 => f64::from(l2_sqr(&self.query, row)),
            Metric::L1 => f64::from(l1(&self.query, row)),
            Metric::InnerProduct => -f64::from(dot(&self.query, row)),
            Metric::Cosine => cosine_from(dot(&self.query, row), self.norm_sqr, norm_sqr(row)),
        }
    }

    /// The operator's distance of a key.
    pub fn distance_of(&self, key: f64) -> f64 {
        if self.metric == Metric::L2 { key.sqrt() } else { key }
    }
}

/// Where the stored vector of a candidate is.
#[derive(Debug, Clone, Copy)]
pub struct StoredAt {
    /// The page with the slice asked for.
    pub blkno: Blkno,
    /// The row there.
    pub lane: usize,
    /// The owner that the page must have; None: that of a shelf.
    pub owner: Option<u32>,
}

/// Finds the stored vectors of candidates.
pub trait Locate {
    /// How they are stored.
    fn geometry(&self) -> Geometry;
    /// Where slice `j` of the vector is that a [`Hit::at`] stands for. No lock is held.
    fn locate<P: Pages>(&self, pages: &P, at: u64, j: usize) -> Result<StoredAt, Error>;
}

/// The vectors, made of `E`, that an index stores beside its codes, and how they are measured.
pub struct StoredRows<'a, P: Pages, E, F, L> {
    pages: &'a P,
    places: L,
    key: F,
    /// A vector put together from its slices.
    row: Vec<E>,
}

impl<'a, P: Pages, E: Pod, F: Fn(&[E]) -> f64> StoredRows<'a, P, E, F, ListVectors> {
    /// The vectors of an index of lists; an error if it stores none of this type. `key` gets the stored elements.
    pub fn new(pages: &'a P, meta: &Meta, key: F) -> Result<Self, Error> {
        let stored = meta.coded.and_then(|coded| Some((coded, coded.layout.vectors?)));
        let places = stored.map(|(coded, geometry)| ListVectors { coded, geometry });
        Self::at(pages, places, key)
    }
}

impl<'a, P: Pages, E: Pod, F: Fn(&[E]) -> f64, L: Locate> StoredRows<'a, P, E, F, L> {
    /// The vectors at these places; an error if there are none of this type.
    pub(crate) fn at(pages: &'a P, places: Option<L>, key: F) -> Result<Self, Error> {
        match places.filter(|places| places.geometry().element_size == size_of::<E>()) {
            Some(places) => Ok(Self { pages, places, key, row: Vec::new() }),
            None => Err(Error::corrupted(META_BLKNO, "index stores no such vectors")),
        }
    }

    /// The part of a row that lies on page `j` of its block.
    fn slice<'p>(
        geometry: &Geometry,
        page: &'p Page,
        j: usize,
        stored: StoredAt,
    ) -> Result<&'p [E], Error> {
        let StoredAt { blkno, lane, owner } = stored;
        page.check(blkno, PageKind::Data, owner.unwrap_or_else(|| page.owner()))?;
        let rows = geometry.rows::<E>(page, j, lane + 1);
        let row = rows.and_then(|rows| rows.get(lane * geometry.slice(j).len()..));
        row.ok_or_else(|| Error::corrupted(blkno, "DATA page has no room for its rows"))
    }

    /// The key of a vector that goes over several pages.
    fn key_of_slices(&mut self, geometry: &Geometry, at: u64) -> Result<f64, Error> {
        let mut row = std::mem::take(&mut self.row);
        row.clear();
        for j in 0..geometry.block_pages {
            let stored = self.places.locate(self.pages, at, j)?;
            let page = self.pages.read(stored.blkno)?;
            row.extend_from_slice(Self::slice(geometry, &page, j, stored)?);
        }
        let key = (self.key)(&row);
        self.row = row;
        Ok(key)
    }

    /// The keys of a few vectors that lie on one page each: all pages are pinned and on their way into the caches before
    /// the first is read. One lock at a time.
    fn keys_of_pages(
        &self,
        geometry: &Geometry,
        candidates: &[Hit],
        first: usize,
        each: &mut dyn FnMut(usize, f64),
    ) -> Result<(), Error> {
        let mut pinned = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let stored = self.places.locate(self.pages, candidate.at, 0)?;
            let pin = self.pages.pin(stored.blkno)?;
            let page = self.pages.address(&pin);
            let row = page.start.wrapping_add(BODY_START + geometry.row_start(0, stored.lane));
            prefetch_at(row..row.wrapping_add(geometry.row_size(0)));
            // What Page::check looks at.
            prefetch_at(page.start..page.start.wrapping_add(1));
            prefetch_at(page.end.wrapping_sub(1)..page.end);
            pinned.push((pin, stored));
        }
        for (i, (pin, stored)) in (first..).zip(pinned) {
            let page = self.pages.share(pin)?;
            each(i, (self.key)(Self::slice(geometry, &page, 0, stored)?));
        }
        Ok(())
    }
}

/// The vectors that an index of lists stores for `refine`.
pub struct ListVectors {
    coded: Coded,
    geometry: Geometry,
}

impl Locate for ListVectors {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn locate<P: Pages>(&self, pages: &P, at: u64, j: usize) -> Result<StoredAt, Error> {
        let (v, p) = (self.geometry.block_vectors, self.geometry.block_pages);
        match Place::of(at) {
            Place::Packed(slot) => {
                let block = (slot / v as u64 * p as u64) as Blkno;
                let blkno = self.coded.vectors_first.wrapping_add(block + j as Blkno);
                Ok(StoredAt { blkno, lane: (slot % v as u64) as usize, owner: Some(NO_OWNER) })
            }
            Place::Shelf(blkno, slot) => {
                let page = pages.read(blkno)?;
                page.check(blkno, PageKind::Shelf, page.owner())?;
                let blkno = shelf_vector(page.body(), &self.coded.layout, slot / v * p + j);
                Ok(StoredAt { blkno, lane: slot % v, owner: None })
            }
        }
    }
}

fn shelf_vector(body: &[u8], layout: &CodeLayout, i: usize) -> Blkno {
    u32_at(body, layout.shelf_vector_at(i))
}

impl<P: Pages, E: Pod, F: Fn(&[E]) -> f64, L: Locate> Exact for StoredRows<'_, P, E, F, L> {
    fn keys(&mut self, candidates: &[Hit], each: &mut dyn FnMut(usize, f64)) -> Result<(), Error> {
        let geometry = self.places.geometry();
        for (group, first) in candidates.chunks(TOGETHER).zip((0..).step_by(TOGETHER)) {
            if geometry.block_pages == 1 {
                self.keys_of_pages(&geometry, group, first, each)?;
            } else {
                for (i, candidate) in (first..).zip(group) {
                    each(i, self.key_of_slices(&geometry, candidate.at)?);
                }
            }
            self.pages.breathe();
        }
        Ok(())
    }
}
