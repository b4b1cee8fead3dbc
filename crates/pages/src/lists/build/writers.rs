//! What a build writes page by page.

use ann::codec::UNIT;

use crate::bytes::put;
use crate::error::Error;
use crate::geometry::Geometry;
use crate::lists::layout::{PAGE_UNITS, UNITS_START};
use crate::lists::overflow;
use crate::page::{Blkno, INVALID_BLKNO, NO_OWNER, Page, PageKind};
use crate::store::BulkPages;

/// Appends a page; `first` is where the run begins that it belongs to.
pub(super) fn append<W: BulkPages>(
    sink: &mut W,
    page: &Page,
    first: &mut Blkno,
) -> Result<(), Error> {
    let blkno = sink.append(page)?;
    if *first == INVALID_BLKNO {
        *first = blkno;
    }
    Ok(())
}

/// Lays units out over pages without a gap.
pub(super) struct UnitWriter {
    page: Page,
    at: usize,
}

impl UnitWriter {
    pub(super) fn new() -> Self {
        Self { page: Self::fresh(), at: 0 }
    }

    fn fresh() -> Page {
        let mut page = Page::default();
        overflow::init_codes(&mut page, NO_OWNER);
        page
    }

    pub(super) fn push(
        &mut self,
        mut units: &[u8],
        mut emit: impl FnMut(&Page) -> Result<(), Error>,
    ) -> Result<(), Error> {
        while !units.is_empty() {
            let (now, rest) = units.split_at(units.len().min((PAGE_UNITS - self.at) * UNIT));
            put(self.page.body_mut(), UNITS_START + self.at * UNIT, now);
            self.at += now.len() / UNIT;
            units = rest;
            if self.at == PAGE_UNITS {
                self.finish(&mut emit)?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(
        &mut self,
        mut emit: impl FnMut(&Page) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.at > 0 {
            emit(&self.page)?;
            *self = Self::new();
        }
        Ok(())
    }
}

/// Writes exact vectors by their slots in the packed area. Slots without a row keep their place.
pub(super) struct VectorWriter {
    geometry: Geometry,
    pages: Vec<Page>,
    /// The DATA block in the making.
    number: u64,
}

impl VectorWriter {
    pub(super) fn new(geometry: Geometry) -> Self {
        let pages = vec![Page::new(PageKind::Data, NO_OWNER); geometry.block_pages];
        Self { geometry, pages, number: 0 }
    }

    pub(super) fn put<W: BulkPages>(
        &mut self,
        sink: &mut W,
        slot: u64,
        vector: &[u8],
        first: &mut Blkno,
    ) -> Result<(), Error> {
        let v = self.geometry.block_vectors as u64;
        self.up_to(sink, slot / v, first)?;
        for (j, page) in self.pages.iter_mut().enumerate() {
            self.geometry.write_row(page, j, (slot % v) as usize, vector);
        }
        Ok(())
    }

    /// Writes DATA blocks until `number` is the one in the making.
    fn up_to<W: BulkPages>(
        &mut self,
        sink: &mut W,
        number: u64,
        first: &mut Blkno,
    ) -> Result<(), Error> {
        while self.number < number {
            for page in &mut self.pages {
                append(sink, page, first)?;
                page.init(PageKind::Data, NO_OWNER);
            }
            self.number += 1;
        }
        Ok(())
    }

    pub(super) fn finish<W: BulkPages>(
        &mut self,
        sink: &mut W,
        n_slots: u64,
        first: &mut Blkno,
    ) -> Result<(), Error> {
        self.up_to(sink, n_slots.div_ceil(self.geometry.block_vectors as u64), first)
    }
}
