//! Blocks of a list outside of its pages, for worker threads: copied with the locks of a scan, and none of them cut.

use std::sync::OnceLock;

use ann::codec::{Coding, LANES, UNIT};

use crate::ahead::Ahead;
use crate::error::Error;
use crate::lists::BlockLayout;
use crate::lists::extent::Extent;
use crate::lists::heads::Unit;
use crate::lists::lanes::{Rows, passing};
use crate::lists::overflow::Overflow;
use crate::lists::scanner::View;
use crate::lists::walk::{Extents, pieces};
use crate::search::filter::Filter;
use crate::store::Pages;

/// Whole blocks of a list.
#[derive(Default)]
pub struct Blocks {
    units: Vec<Unit>,
    /// Of each block, the place of its first slot.
    places: Vec<u64>,
    /// Live rows, counted by who asks first.
    live: OnceLock<u64>,
    /// The centroid of the list, where codes are of residuals.
    centroid: Vec<f32>,
}

impl Blocks {
    /// Each block with the place of its first slot.
    pub fn iter(&self, layout: &BlockLayout) -> impl Iterator<Item = (&[u8], u64)> {
        let units = self.units.chunks_exact(layout.block_units.max(1));
        units.map(bytemuck::cast_slice).zip(self.places.iter().copied())
    }

    /// The centroid of the list, where codes are of residuals.
    pub fn centroid(&self) -> &[f32] {
        &self.centroid
    }

    /// Rows in them that pass the filter: whoever asks has the same view.
    pub fn live(&self, view: &View<'_>) -> u64 {
        let count = |(units, _)| {
            let rows = Rows::of(units, view.trusts_marks);
            let lanes = |filter: &Filter| rows.lanes() & passing(filter, units);
            view.filter.map_or_else(|| rows.count(), |filter| lanes(filter).count_ones().into())
        };
        *self.live.get_or_init(|| self.iter(&view.lists.layout).map(count).sum())
    }

    fn clear(&mut self) {
        self.units.clear();
        self.places.clear();
        self.live.take();
    }

    /// Bytes of the blocks.
    pub fn bytes(&self) -> usize {
        self.units.len() * UNIT
    }

    /// Appends the blocks of an extent.
    fn append<'p, P: Pages>(
        &mut self,
        ahead: &mut Ahead<'p, P>,
        extent: &Extent<'_>,
    ) -> Result<(), Error> {
        let (start, blocks, u) = (self.units.len(), extent.blocks(), extent.block_units);
        let n = (blocks.end - blocks.start) as usize;
        self.units.resize(start + n * u, Unit::default());
        self.places.extend(blocks.clone().map(|block| extent.place(block * LANES as u64)));
        let units: &mut [u8] =
            bytemuck::cast_slice_mut(self.units.get_mut(start..).unwrap_or_default());
        pieces(ahead, extent, |piece| {
            let block = (piece.block - blocks.start) as usize * u * UNIT;
            if let Some(block) = units.get_mut(block..block + u * UNIT) {
                piece.copy_to(block, 0);
            }
            true
        })
    }
}

/// [`crate::lists::scanner::ListScanner::copy_list`] of codes.
pub fn copy_list<P: Pages>(
    pages: &P,
    view: &View<'_>,
    list_no: u32,
    room: usize,
    part: &mut Blocks,
    give: &mut dyn FnMut(&mut Blocks),
) -> Result<(), Error> {
    let mut centroid = Vec::new();
    if let (Some(codec), Some(quantizer)) = (view.codec, view.quantizer)
        && codec.by_residual()
    {
        quantizer.centroid(pages, list_no, &mut centroid)?;
    }
    let mut hand_out = |part: &mut Blocks| {
        part.centroid.clone_from(&centroid);
        give(part);
        part.clear();
    };
    part.clear();
    let some = room / (view.lists.layout.block_units * UNIT).max(1);
    let mut ahead = Ahead::new(pages);
    let mut overflow = Overflow::default();
    let mut extents = Extents::open(pages, view.lists, list_no)?;
    while let Some(extent) = extents.next(&mut overflow)? {
        for stretch in extent.stretches(some) {
            part.append(&mut ahead, &stretch)?;
            if part.bytes() >= room {
                hand_out(part);
            }
        }
    }
    if !part.places.is_empty() {
        hand_out(part);
    }
    Ok(())
}
