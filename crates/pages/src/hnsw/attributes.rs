//! ATTRIBUTES: the attributes of the rows of a chunk, apart from everything else, so that a filter finds the rows that pass on
//! few pages.

use ann::codec::LANES;

use crate::error::Error;
use crate::hnsw::{Shape, View};
use crate::page::{INVALID_BLKNO, Page, PageKind};
use crate::search::attributes::AttributeBytes;
use crate::search::filter::Filter;
use crate::store::Pages;
use crate::tid::Tid;

/// Writes the attributes of the row in a lane, inside an edit of the lane's ATTRIBUTES page.
pub(super) fn put(page: &mut Page, shape: &Shape, lane: usize, entry: &[u8]) {
    let Some(at) = shape.attributes_place(lane) else { return };
    let body = page.body_mut();
    shape.attributes.place(at.lane, entry, |offset, piece| match piece {
        AttributeBytes::Value(value) => crate::bytes::put(body, at.start + offset, value),
        AttributeBytes::Null { bit, is_null } => {
            if let Some(byte) = body.get_mut(at.start + offset) {
                *byte = if is_null { *byte | bit } else { *byte & !bit };
            }
        }
    });
}

/// Writes the attributes of a row whose lane nobody else can take: its NODES page is locked. One record; the page exists.
pub(super) fn write<P: Pages>(
    pages: &P,
    view: &View<'_>,
    (chunk, lane): (u32, usize),
    entry: &[u8],
) -> Result<(), Error> {
    let shape = &view.meta.shape;
    let Some(at) = shape.attributes_place(lane) else { return Ok(()) };
    let blkno = view.map.cached(chunk, at.part);
    let mut page = pages.lock(blkno)?;
    page.check(blkno, PageKind::Attributes, chunk)?;
    pages.edit(&mut [&mut page], |images| {
        images.iter_mut().for_each(|page| put(page, shape, lane, entry));
        Ok(())
    })
}

/// Whether the row with this tid, in the lane of this id, passes the filter of a view.
pub(super) fn passes<P: Pages>(
    pages: &P,
    view: &View<'_>,
    id: u32,
    tid: Tid,
) -> Result<bool, Error> {
    let Some(filter) = view.filter else { return Ok(true) };
    if !filter.allows(tid) {
        return Ok(false);
    }
    let (chunk, lane) = view.meta.shape.place(id);
    let Some(at) = view.meta.shape.attributes_place(lane).filter(|_| filter.has_tests()) else {
        return Ok(true);
    };
    let blkno = view.map.existing(pages, chunk, at.part, view.map.place(chunk).0)?;
    let page = pages.read(blkno)?;
    page.check(blkno, PageKind::Attributes, chunk)?;
    let lanes = filter.by_attributes(at.block(&page), 1 << at.lane);
    Ok(lanes != 0)
}

/// The lanes of a chunk that pass by their attributes.
#[derive(Debug, Default)]
pub(super) struct Passing(Vec<u32>);

impl Passing {
    /// Asks the filter about a whole chunk. Lanes that nobody uses may pass, too.
    pub(super) fn read<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        filter: &Filter,
        chunk: u32,
    ) -> Result<(), Error> {
        let shape = &view.meta.shape;
        let n = (shape.chunk_nodes() as usize).div_ceil(LANES);
        self.0.clear();
        self.0.resize(n, u32::MAX);
        if !filter.has_tests() {
            return Ok(());
        }
        let blocks = shape.attribute_blocks;
        for (i, lanes) in self.0.chunks_mut(blocks.max(1)).enumerate() {
            let blkno = view.map.block(pages, chunk, shape.attributes_part() + i)?;
            if blkno == INVALID_BLKNO {
                lanes.fill(0);
                continue;
            }
            let page = pages.read(blkno)?;
            page.check(blkno, PageKind::Attributes, chunk)?;
            for (block, lanes) in lanes.iter_mut().enumerate() {
                *lanes = filter.by_attributes(shape.attributes_block(&page, block), u32::MAX);
            }
        }
        Ok(())
    }

    /// Whether a lane passes.
    #[inline]
    pub(super) fn has(&self, lane: usize) -> bool {
        self.0.get(lane / LANES).is_some_and(|lanes| lanes & 1 << (lane % LANES) != 0)
    }

    /// Whether any lane passes.
    pub(super) fn any(&self) -> bool {
        self.0.iter().any(|lanes| *lanes != 0)
    }

    /// How many of the first lanes pass.
    pub(super) fn count(&self, lanes: usize) -> usize {
        (0..lanes).filter(|lane| self.has(*lane)).count()
    }
}
