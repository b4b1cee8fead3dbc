//! Blocks of a list outside of its pages, for worker threads: copied with the locks of a scan, and none of them cut.

use std::sync::OnceLock;

use ann::codec::{LANES, UNIT};

use crate::ahead::Ahead;
use crate::bytes::put;
use crate::coded::directory;
use crate::coded::layout::{CodeLayout, Run};
use crate::coded::probe::{ON_SHELF, Rows};
use crate::coded::shelf::Shelf;
use crate::coded::walk::{Shelves, packed_run, pieces};
use crate::error::Error;
use crate::ivf::lists::View;
use crate::meta::META_BLKNO;
use crate::store::Pages;

/// A unit, aligned for the factors in it.
type Unit = [u64; UNIT / size_of::<u64>()];

/// Whole blocks of a list.
#[derive(Default)]
pub struct Blocks {
    units: Vec<Unit>,
    /// Of each block, the place of its first slot.
    places: Vec<u64>,
    /// Live rows, counted by who asks first.
    live: OnceLock<u64>,
}

impl Blocks {
    /// Each block with the place of its first slot.
    pub fn iter(&self, layout: &CodeLayout) -> impl Iterator<Item = (&[u8], u64)> {
        let units = self.units.chunks_exact(layout.block_units.max(1));
        units.map(bytemuck::cast_slice).zip(self.places.iter().copied())
    }

    /// Rows in them: whoever asks trusts marks, or nobody does.
    pub fn live(&self, layout: &CodeLayout, trusts_marks: bool) -> u64 {
        let count = |(units, _)| Rows::of(units, trusts_marks).count();
        *self.live.get_or_init(|| self.iter(layout).map(count).sum())
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

    /// Appends the blocks of a run; `first` is the place of its first slot.
    fn append<'p, P: Pages>(
        &mut self,
        ahead: &mut Ahead<'p, P>,
        run: &Run<'_>,
        first: u64,
    ) -> Result<(), Error> {
        let start = self.units.len();
        self.units.resize(start + run.n_blocks * run.block_units, [0; _]);
        self.places.extend((0..run.n_blocks).map(|block| first + (block * LANES) as u64));
        let units: &mut [u8] =
            bytemuck::cast_slice_mut(self.units.get_mut(start..).unwrap_or_default());
        pieces(ahead, run, |piece| {
            let unit = piece.block * run.block_units + piece.part.first_unit;
            put(units, unit * UNIT, piece.units);
            true
        })
    }
}

/// [`crate::ivf::lists::Lists::copy_list`] of codes.
pub fn copy_list<P: Pages>(
    pages: &P,
    view: &View<'_>,
    list_no: u32,
    room: usize,
    part: &mut Blocks,
    give: &mut dyn FnMut(&mut Blocks),
) -> Result<(), Error> {
    let Some(coded) = view.meta.coded else {
        return Err(Error::corrupted(META_BLKNO, "index has no codes"));
    };
    let layout = &coded.layout;
    part.clear();
    let entry = directory::read(pages, view.meta, list_no)?;
    let mut ahead = Ahead::new(pages);
    let some = (room / (layout.block_units * UNIT).max(1)).max(1);
    let mut take = |run: &Run<'_>, first: u64| -> Result<(), Error> {
        for block in (0..run.n_blocks).step_by(some) {
            let base = run.base + (block * run.block_units) as u64;
            let run = Run { base, n_blocks: some.min(run.n_blocks - block), ..*run };
            part.append(&mut ahead, &run, first + (block * LANES) as u64)?;
            if part.bytes() >= room {
                give(part);
                part.clear();
            }
        }
        Ok(())
    };
    if entry.n_blocks > 0 {
        let run = packed_run(&entry, list_no, layout, coded.codes_first);
        take(&run, u64::from(entry.start) * LANES as u64)?;
    }
    let mut shelf = Shelf::default();
    let mut shelves = Shelves::new(pages, layout, list_no, entry.shelf_first);
    while let Some(blkno) = shelves.next(&mut shelf)? {
        take(&shelf.run(list_no, layout), ON_SHELF | u64::from(blkno) << 16)?;
    }
    if !part.places.is_empty() {
        give(part);
        part.clear();
    }
    Ok(())
}
