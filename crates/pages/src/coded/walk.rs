//! Going over the blocks of a list, page by page.

use crate::ahead::Ahead;
use crate::coded::directory::Entry;
use crate::coded::layout::{CodeLayout, Part, Run, RunPages, TID_UNITS};
use crate::coded::shelf::Shelf;
use crate::error::Error;
use crate::ivf::list::Chain;
use crate::page::{Blkno, INVALID_BLKNO};
use crate::store::Pages;

/// Units of a block as they lie on a page.
pub struct Piece<'a> {
    /// The block, counted from the start of the run.
    pub block: usize,
    /// Where in the block and on the page.
    pub part: Part,
    /// The units.
    pub units: &'a [u8],
}

/// The blocks of a list in the packed area.
pub fn packed_run(
    entry: &Entry,
    list_no: u32,
    layout: &CodeLayout,
    codes_first: Blkno,
) -> Run<'static> {
    Run {
        pages: RunPages::Packed(codes_first),
        list_no,
        base: u64::from(entry.start) * layout.block_units as u64,
        n_blocks: entry.n_blocks as usize,
        block_units: layout.block_units,
    }
}

/// Shows the pieces of a run's blocks, in order, until `visit` says false; each under a share lock of its page, the next
/// page pinned before. One lock at a time, except where a page ends amid the tids of a block: then it stays locked until
/// the next one is, as halves of two tids that a lane had one after the other would make a third. `visit` must not
/// touch pages. Breathes wherever no lock is held.
pub fn pieces<'p, P: Pages>(
    ahead: &mut Ahead<'p, P>,
    run: &Run<'_>,
    mut visit: impl FnMut(Piece<'_>) -> bool,
) -> Result<(), Error> {
    let range = run.page_range();
    let end = range.end;
    let mut cut = None;
    for i in range {
        let Some(blkno) = run.blkno(i) else {
            return Err(Error::corrupted(INVALID_BLKNO, "shelf ends before its blocks"));
        };
        let next = if i + 1 < end { run.blkno(i + 1) } else { None };
        if cut.is_some() && run.blkno(i - 1) == Some(blkno) {
            return Err(Error::corrupted(blkno, "shelf names a page twice"));
        }
        let (page, _) = ahead.read(blkno, next)?;
        drop(cut.take());
        let (kind, owner) = run.identity(i);
        if !page.is(kind, owner) {
            page.check(blkno, kind, owner)?;
        }
        let mut is_cut = false;
        for (block, part) in run.parts(i) {
            // A part's range lies within a body by construction.
            let units = page.body().get(part.range()).unwrap_or_default();
            if !visit(Piece { block, part, units }) {
                return Ok(());
            }
            is_cut = part.first_unit + part.len < TID_UNITS;
        }
        if is_cut {
            cut = Some(page);
        } else {
            drop(page);
            ahead.pages.breathe();
        }
    }
    Ok(())
}

/// The shelves of a list, one after the other, each read under its own share lock.
pub struct Shelves<'p, P: Pages> {
    pages: &'p P,
    layout: CodeLayout,
    list_no: u32,
    next: Blkno,
    chain: Chain,
}

impl<'p, P: Pages> Shelves<'p, P> {
    /// From shelf `first` (INVALID: none) on.
    pub fn new(pages: &'p P, layout: &CodeLayout, list_no: u32, first: Blkno) -> Self {
        Self { pages, layout: *layout, list_no, next: first, chain: Chain::new(first) }
    }

    /// Reads the next shelf into `shelf`; None at the end of the chain.
    pub fn next(&mut self, shelf: &mut Shelf) -> Result<Option<Blkno>, Error> {
        let blkno = self.next;
        if blkno == INVALID_BLKNO {
            return Ok(None);
        }
        shelf.read(self.pages, blkno, self.list_no, &self.layout)?;
        if shelf.next != INVALID_BLKNO {
            self.chain.advance(blkno, shelf.next)?;
        }
        self.next = shelf.next;
        Ok(Some(blkno))
    }
}
