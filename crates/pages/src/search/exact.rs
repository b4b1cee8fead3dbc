//! Keys of candidates better than the codes': the query, and the vectors that the index stores itself.

use std::marker::PhantomData;

use ann::element::{Element, Query};
use ann::kernels::jaccard_from;
use ann::kernels::{cosine_from, prefetch_at};
use ann::metric::Metric;
use ann::topk::Hit;
use bytemuck::Pod;

use crate::error::Error;
use crate::geometry::Geometry;
use crate::page::{BODY_START, Blkno, META_BLKNO, Page, PageKind};
use crate::search::rerank::Exact;
use crate::store::Pages;

/// Candidates whose pages are asked for together: about as many cache misses as a core can wait for at a time.
const TOGETHER: usize = 8;

/// A query, as the user gave it.
#[derive(Debug, Clone)]
pub struct ExactQuery {
    metric: Metric,
    query: Query,
}

impl ExactQuery {
    /// Keys are to be measured so.
    pub fn new(metric: Metric, query: &[f32]) -> Self {
        let mut prepared = Query::default();
        prepared.set(query);
        prepared.prepare(metric);
        Self { metric, query: prepared }
    }

    /// How keys are measured.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// The key of a row: orders as the operator's distance, bit for bit.
    #[inline]
    pub fn key<E: Element>(&self, row: &[E]) -> f64 {
        let sum = E::sum(self.metric, &self.query, row);
        match self.metric {
            Metric::L2 | Metric::L1 | Metric::Hamming => f64::from(sum),
            Metric::InnerProduct => -f64::from(sum),
            Metric::Cosine => cosine_from(sum, self.query.norm_sqr(), E::norm_sqr(row)),
            Metric::Jaccard => jaccard_from(sum, self.query.norm_sqr(), E::norm_sqr(row)),
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
    /// The owner that the page must have.
    pub owner: u32,
}

/// Finds the stored vectors of candidates.
pub trait Locate {
    /// The pages they are on.
    const KIND: PageKind = PageKind::Data;
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
    element: PhantomData<E>,
}

impl<'a, P: Pages, E: Pod, F, L: Locate> StoredRows<'a, P, E, F, L> {
    /// The vectors at these places; an error if there are none of this type.
    pub(crate) fn at(pages: &'a P, places: Option<L>, key: F) -> Result<Self, Error> {
        match places.filter(|places| places.geometry().element_size == size_of::<E>()) {
            Some(places) => Ok(Self { pages, places, key, element: PhantomData }),
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
        page.check(blkno, L::KIND, owner)?;
        let rows = geometry.rows::<E>(page, j, lane + 1);
        let row = rows.and_then(|rows| rows.get(lane * geometry.slice(j).len()..));
        row.ok_or_else(|| Error::corrupted(blkno, "DATA page has no room for its rows"))
    }

    /// Calls `look` with the number and the vector of each of `candidates`, in their order; `at` says their [`Hit::at`]. It
    /// sees the elements during the call only, under the lock of their page. Where candidates that follow each other lie on
    /// one page, it is pinned and locked once for several of them.
    pub fn visit<T>(
        &self,
        candidates: &[T],
        at: impl Fn(&T) -> u64,
        mut look: impl FnMut(usize, &[E]),
    ) -> Result<(), Error> {
        let geometry = self.places.geometry();
        let mut row = Vec::new();
        let mut places = [0; TOGETHER];
        for (group, first) in candidates.chunks(TOGETHER).zip((0..).step_by(TOGETHER)) {
            for (place, candidate) in places.iter_mut().zip(group) {
                *place = at(candidate);
            }
            let places = places.get(..group.len()).unwrap_or_default();
            if geometry.block_pages == 1 {
                self.visit_pages(&geometry, places, first, &mut look)?;
            } else {
                for (i, &at) in (first..).zip(places) {
                    self.put_together(&geometry, at, &mut row)?;
                    look(i, &row);
                }
            }
            self.pages.check_interrupts();
        }
        Ok(())
    }

    /// Replaces `row` by a vector that goes over several pages.
    fn put_together(&self, geometry: &Geometry, at: u64, row: &mut Vec<E>) -> Result<(), Error> {
        row.clear();
        for j in 0..geometry.block_pages {
            let stored = self.places.locate(self.pages, at, j)?;
            let page = self.pages.read(stored.blkno)?;
            row.extend_from_slice(Self::slice(geometry, &page, j, stored)?);
        }
        Ok(())
    }

    /// A few vectors that lie on one page each: all pages are pinned and on their way into the caches before the first is
    /// read. One lock at a time.
    fn visit_pages(
        &self,
        geometry: &Geometry,
        places: &[u64],
        mut first: usize,
        look: &mut impl FnMut(usize, &[E]),
    ) -> Result<(), Error> {
        let mut stored = Vec::with_capacity(places.len());
        for &at in places {
            stored.push(self.places.locate(self.pages, at, 0)?);
        }
        let mut pinned = Vec::with_capacity(places.len());
        for same in stored.chunk_by(|a, b| a.blkno == b.blkno) {
            let Some(one) = same.first() else { continue };
            let pin = self.pages.pin(one.blkno)?;
            let page = self.pages.address(&pin);
            for stored in same {
                let row = page.start.wrapping_add(BODY_START + geometry.row_start(0, stored.lane));
                prefetch_at(row..row.wrapping_add(geometry.row_size(0)));
            }
            // What Page::check looks at.
            prefetch_at(page.start..page.start.wrapping_add(1));
            prefetch_at(page.end.wrapping_sub(1)..page.end);
            pinned.push((pin, same));
        }
        for (pin, same) in pinned {
            let page = self.pages.share(pin)?;
            for stored in same {
                look(first, Self::slice(geometry, &page, 0, *stored)?);
                first += 1;
            }
        }
        Ok(())
    }
}

impl<P: Pages, E: Pod, F: Fn(&[E]) -> f64, L: Locate> Exact for StoredRows<'_, P, E, F, L> {
    fn keys(&mut self, candidates: &[Hit], each: &mut dyn FnMut(usize, f64)) -> Result<(), Error> {
        self.visit(candidates, |candidate| candidate.at, |i, row| each(i, (self.key)(row)))
    }
}
