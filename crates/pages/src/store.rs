//! The store an index lives in: pages by number, read under a share lock, changed under exclusive
//! locks by one atomic WAL record. `src/am/pages.rs` implements it over shared buffers, `MemPages`
//! in memory.

use std::ops::{Deref, Range};

use crate::error::Error;
use crate::page::{Blkno, Page};

/// The most pages one atomic edit can change (generic WAL's limit).
pub const EDIT_PAGES_MAX: usize = 4;

/// Pages of one index. Guards hold a pin and a content lock until dropped. Only numbers in damaged pages lead back to a page
/// that this caller has locked exclusively: asking for it again is [`Error::Corrupted`], and no wait for itself. To lock a
/// page exclusively that it has share-locked is a bug.
pub trait Pages {
    /// A page that stays in memory where it is, not locked.
    type Pin<'a>
    where
        Self: 'a;
    /// A page under a share lock.
    type Read<'a>: Deref<Target = Page>
    where
        Self: 'a;
    /// A page under an exclusive lock; it changes only through [`Pages::edit`].
    type Write<'a>: Deref<Target = Page>
    where
        Self: 'a;

    /// Number of pages now. Others may extend the index at any time, nobody shrinks it.
    fn n_blocks(&self) -> Result<Blkno, Error>;

    /// Share-locks a page. A block past the end is [`Error::Corrupted`], not a panic.
    fn read(&self, blkno: Blkno) -> Result<Self::Read<'_>, Error>;

    /// Brings a page into memory and keeps it there. A block past the end is [`Error::Corrupted`].
    fn pin(&self, blkno: Blkno) -> Result<Self::Pin<'_>, Error>;

    /// Share-locks a pinned page.
    fn share<'a>(&'a self, pin: Self::Pin<'a>) -> Result<Self::Read<'a>, Error>;

    /// Where a pinned page is in memory: an address for the CPU's prefetch, not to be read.
    fn address(&self, pin: &Self::Pin<'_>) -> Range<*const u8>;

    /// Exclusive-locks a page.
    fn lock(&self, blkno: Blkno) -> Result<Self::Write<'_>, Error>;

    /// A page that nothing refers to (from the free space map or by extension), exclusive-locked.
    /// Its contents are to be overwritten: the first edit of it must call `Page::init`.
    fn allocate(&self) -> Result<Self::Write<'_>, Error>;

    /// The number of a locked page.
    fn blkno(&self, page: &Self::Write<'_>) -> Blkno;

    /// One atomic WAL record over at most [`EDIT_PAGES_MAX`] locked pages. `change` gets private
    /// images in the same order; if it returns an error nothing has happened.
    fn edit(
        &self,
        pages: &mut [&mut Self::Write<'_>],
        change: impl FnOnce(&mut [&mut Page]) -> Result<(), Error>,
    ) -> Result<(), Error>;

    /// Sets [`crate::tid::HINTED`] in some bytes of the body of a share-locked page: as a hint, which is not logged, may be
    /// lost, and is seen by others who hold a share lock meanwhile.
    fn hint(&self, page: &Self::Read<'_>, places: &[usize]);

    /// Adds `n` pages of zeros at the end, one after the other, which the free space map is not told of; returns the
    /// number of the first. Nothing is logged: pages that are not overwritten are leaked by a crash.
    fn extend_by(&self, n: Blkno) -> Result<Blkno, Error>;

    /// Writes a page whole, as one WAL record, unless it is in use: false if it is neither all zero nor FREE.
    fn claim(&self, blkno: Blkno, page: &Page) -> Result<bool, Error>;

    /// Writes a page whole, as one WAL record: one that the caller has claimed or added.
    fn overwrite(&self, blkno: Blkno, page: &Page) -> Result<(), Error>;

    /// Tells the free space map that a page (already of kind FREE, or all zero; unlocked) may be reused.
    fn release(&self, blkno: Blkno);

    /// A hint that the page will be read soon. Must be cheap when it is in memory already.
    fn prefetch(&self, blkno: Blkno);

    /// Called between pages with no lock held: interrupts, and vacuum's cost delay.
    fn check_interrupts(&self);
}

/// A sink for a bulk build: pages are written once, whole, in order of their numbers.
pub trait BulkPages {
    /// Appends a page and returns its number: 0, 1, 2, …
    fn append(&mut self, page: &Page) -> Result<Blkno, Error>;
    /// Overwrites a page appended before (only the metapage, at the end).
    fn replace(&mut self, blkno: Blkno, page: &Page) -> Result<(), Error>;
}
