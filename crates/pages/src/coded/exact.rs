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

/// The vectors that the index stores for `refine`, made of `E`, and how they are measured.
pub struct StoredRows<'a, P: Pages, E, F> {
    pages: &'a P,
    coded: Coded,
    geometry: Geometry,
    key: F,
    /// A vector put together from its slices.
    row: Vec<E>,
}

impl<'a, P: Pages, E: Pod, F: Fn(&[E]) -> f64> StoredRows<'a, P, E, F> {
    /// The vectors of this index; an error if it stores none of this type. `key` gets the stored elements.
    pub fn new(pages: &'a P, meta: &Meta, key: F) -> Result<Self, Error> {
        let stored = meta.coded.and_then(|coded| Some((coded, coded.layout.vectors?)));
        match stored.filter(|(_, geometry)| geometry.element_size == size_of::<E>()) {
            Some((coded, geometry)) => Ok(Self { pages, coded, geometry, key, row: Vec::new() }),
            None => Err(Error::corrupted(META_BLKNO, "index stores no such vectors")),
        }
    }

    /// Where a candidate's slot is: its lane, and the owner that its pages must have (None: that of a shelf).
    fn lane(&self, place: Place) -> (usize, Option<u32>) {
        let v = self.geometry.block_vectors;
        match place {
            Place::Packed(slot) => ((slot % v as u64) as usize, Some(NO_OWNER)),
            Place::Shelf(_, slot) => (slot % v, None),
        }
    }

    /// The part of a row that lies on page `j` of its block.
    fn slice<'p>(
        &self,
        page: &'p Page,
        blkno: Blkno,
        j: usize,
        (lane, owner): (usize, Option<u32>),
    ) -> Result<&'p [E], Error> {
        page.check(blkno, PageKind::Data, owner.unwrap_or_else(|| page.owner()))?;
        let rows = self.geometry.rows::<E>(page, j, lane + 1);
        let row = rows.and_then(|rows| rows.get(lane * self.geometry.slice(j).len()..));
        row.ok_or_else(|| Error::corrupted(blkno, "DATA page has no room for its rows"))
    }

    /// The key of a vector that goes over several pages.
    fn key_of_slices(&mut self, place: Place) -> Result<f64, Error> {
        let lane = self.lane(place);
        let mut row = std::mem::take(&mut self.row);
        row.clear();
        for j in 0..self.geometry.block_pages {
            let blkno = vector_page(self.pages, &self.coded, &self.geometry, place, j)?;
            let page = self.pages.read(blkno)?;
            row.extend_from_slice(self.slice(&page, blkno, j, lane)?);
        }
        let key = (self.key)(&row);
        self.row = row;
        Ok(key)
    }

    /// The keys of a few vectors that lie on one page each: all pages are pinned and on their way into the caches before
    /// the first is read. One lock at a time.
    fn keys_of_pages(
        &self,
        candidates: &[Hit],
        first: usize,
        each: &mut dyn FnMut(usize, f64),
    ) -> Result<(), Error> {
        let mut pinned = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let place = Place::of(candidate.at);
            let lane = self.lane(place);
            let blkno = vector_page(self.pages, &self.coded, &self.geometry, place, 0)?;
            let pin = self.pages.pin(blkno)?;
            let page = self.pages.address(&pin);
            let row = page.start.wrapping_add(BODY_START + self.geometry.row_start(0, lane.0));
            prefetch_at(row..row.wrapping_add(self.geometry.row_size(0)));
            // What Page::check looks at.
            prefetch_at(page.start..page.start.wrapping_add(1));
            prefetch_at(page.end.wrapping_sub(1)..page.end);
            pinned.push((pin, blkno, lane));
        }
        for (i, (pin, blkno, lane)) in (first..).zip(pinned) {
            let page = self.pages.share(pin)?;
            each(i, (self.key)(self.slice(&page, blkno, 0, lane)?));
        }
        Ok(())
    }
}

/// The DATA page that holds slice `j` of the vector in a slot.
fn vector_page<P: Pages>(
    pages: &P,
    coded: &Coded,
    geometry: &Geometry,
    place: Place,
    j: usize,
) -> Result<Blkno, Error> {
    let (v, p) = (geometry.block_vectors, geometry.block_pages);
    match place {
        Place::Packed(slot) => {
            let block = slot / v as u64;
            Ok(coded.vectors_first.wrapping_add((block * p as u64) as Blkno + j as Blkno))
        }
        Place::Shelf(blkno, slot) => {
            let page = pages.read(blkno)?;
            page.check(blkno, PageKind::Shelf, page.owner())?;
            Ok(shelf_vector(page.body(), &coded.layout, slot / v * p + j))
        }
    }
}

fn shelf_vector(body: &[u8], layout: &CodeLayout, i: usize) -> Blkno {
    u32_at(body, layout.shelf_vector_at(i))
}

impl<P: Pages, E: Pod, F: Fn(&[E]) -> f64> Exact for StoredRows<'_, P, E, F> {
    fn keys(&mut self, candidates: &[Hit], each: &mut dyn FnMut(usize, f64)) -> Result<(), Error> {
        for (group, first) in candidates.chunks(TOGETHER).zip((0..).step_by(TOGETHER)) {
            if self.geometry.block_pages == 1 {
                self.keys_of_pages(group, first, each)?;
            } else {
                for (i, candidate) in (first..).zip(group) {
                    each(i, self.key_of_slices(Place::of(candidate.at))?);
                }
            }
            self.pages.breathe();
        }
        Ok(())
    }
}
