//! Going over the extents of a list, and over the blocks of an extent page by page.

use ann::codec::UNIT;

use crate::ahead::Ahead;
use crate::bytes::put;
use crate::chain::Chain;
use crate::error::Error;
use crate::lists::InvertedLists;
use crate::lists::directory::{self, Entry};
use crate::lists::extent::{Extent, Part};
use crate::lists::layout::TID_UNITS;
use crate::lists::overflow::Overflow;
use crate::page::{Blkno, INVALID_BLKNO, Page};
use crate::store::Pages;

/// The extents of a list: its slots in the packed area, then its overflow extents.
pub struct Extents<'p, P: Pages> {
    pages: &'p P,
    lists: &'p InvertedLists,
    list_no: u32,
    /// The slots in the packed area, until they had their turn.
    packed: Option<Extent<'static>>,
    next: Blkno,
    chain: Chain,
}

impl<'p, P: Pages> Extents<'p, P> {
    /// All extents of a list; reads its entry.
    pub fn open(pages: &'p P, lists: &'p InvertedLists, list_no: u32) -> Result<Self, Error> {
        let entry = directory::read(pages, lists, list_no)?;
        Ok(Self::of(pages, lists, list_no, &entry))
    }

    /// As `open`, by an entry that was read before.
    pub fn of(pages: &'p P, lists: &'p InvertedLists, list_no: u32, entry: &Entry) -> Self {
        let packed = Some(entry.packed(lists, list_no)).filter(|extent| extent.n_slots() > 0);
        let overflow = Self::overflow(pages, lists, list_no, entry.overflow_first);
        Self { packed, ..overflow }
    }

    /// The overflow extents from the one at `first` on.
    pub fn overflow(pages: &'p P, lists: &'p InvertedLists, list_no: u32, first: Blkno) -> Self {
        let (packed, chain) = (None, Chain::new(first));
        Self { pages, lists, list_no, packed, next: first, chain }
    }

    /// The next extent; None at the end. An overflow extent is read into `overflow` under a share lock.
    pub fn next<'o>(&mut self, overflow: &'o mut Overflow) -> Result<Option<Extent<'o>>, Error> {
        if let Some(packed) = self.packed.take() {
            return Ok(Some(packed));
        }
        let blkno = self.next;
        if blkno == INVALID_BLKNO {
            return Ok(None);
        }
        overflow.read(self.pages, blkno, self.list_no, &self.lists.layout)?;
        if overflow.next != INVALID_BLKNO {
            self.chain.advance(blkno, overflow.next)?;
        }
        self.next = overflow.next;
        Ok(Some(overflow.extent(self.list_no, &self.lists.layout)))
    }
}

/// Units of a block as they lie on a page.
pub struct Piece<'a> {
    /// The block.
    pub block: u64,
    /// Where in the block and on the page.
    pub part: Part,
    /// The units.
    pub units: &'a [u8],
}

impl Piece<'_> {
    /// Copies those of its units that belong to `to`, whose first unit is unit `start` of the block.
    pub fn copy_to(&self, to: &mut [u8], start: usize) {
        let end = start + to.len() / UNIT;
        let (first, last) = (self.part.first_unit, self.part.first_unit + self.part.len);
        let (from, until) = (first.max(start), last.min(end));
        if from < until {
            let units = self.units.get((from - first) * UNIT..(until - first) * UNIT);
            put(to, (from - start) * UNIT, units.unwrap_or_default());
        }
    }
}

/// The number of page `i` of an extent.
pub fn blkno_of(extent: &Extent<'_>, i: usize) -> Result<Blkno, Error> {
    let missing = || Error::corrupted(INVALID_BLKNO, "overflow extent ends before its blocks");
    extent.blkno(i).ok_or_else(missing)
}

/// Page `i` of an extent, share-locked.
pub fn read_page<'p, P: Pages>(
    pages: &'p P,
    extent: &Extent<'_>,
    i: usize,
) -> Result<P::Read<'p>, Error> {
    let blkno = blkno_of(extent, i)?;
    let page = pages.read(blkno)?;
    let (kind, owner) = extent.identity(i);
    page.check(blkno, kind, owner)?;
    Ok(page)
}

/// What a page has of a part's block, as a piece.
pub fn piece_of(page: &Page, block: u64, part: Part) -> Piece<'_> {
    // A part's range lies within a body by construction.
    Piece { block, part, units: page.body().get(part.range()).unwrap_or_default() }
}

/// Refuses an overflow extent that names one page twice in a row: its holder would wait for itself.
pub fn refuse_twice(extent: &Extent<'_>, i: usize) -> Result<(), Error> {
    let blkno = blkno_of(extent, i)?;
    if i > 0 && extent.blkno(i - 1) == Some(blkno) {
        return Err(Error::corrupted(blkno, "overflow extent names a page twice"));
    }
    Ok(())
}

/// Shows the pieces of an extent's blocks, in order, until `visit` says false; each under a share lock of its page, the next
/// page pinned before. One lock at a time, except where a page ends amid the tids of a block: then it stays locked until
/// the next one is, as halves of two tids that a lane had one after the other would make a third. `visit` must not
/// touch pages. Interrupts are served wherever no lock is held.
pub fn pieces<'p, P: Pages>(
    ahead: &mut Ahead<'p, P>,
    extent: &Extent<'_>,
    mut visit: impl FnMut(Piece<'_>) -> bool,
) -> Result<(), Error> {
    let range = extent.page_range();
    let end = range.end;
    let mut cut = None;
    for i in range {
        let blkno = blkno_of(extent, i)?;
        let next = if i + 1 < end { extent.blkno(i + 1) } else { None };
        if cut.is_some() {
            refuse_twice(extent, i)?;
        }
        let (page, _) = ahead.read(blkno, next)?;
        drop(cut.take());
        let (kind, owner) = extent.identity(i);
        if !page.is(kind, owner) {
            page.check(blkno, kind, owner)?;
        }
        let mut is_cut = false;
        for (block, part) in extent.parts(i) {
            if !visit(piece_of(&page, block, part)) {
                return Ok(());
            }
            is_cut = part.first_unit + part.len < TID_UNITS;
        }
        if is_cut {
            cut = Some(page);
        } else {
            drop(page);
            ahead.pages.check_interrupts();
        }
    }
    Ok(())
}
