//! Another build in place of the one that an index has, beside scans and inserts.
//!
//! The new build lies on pages of its own, which nothing refers to until [`switch`] makes META say so in one record. Scans that
//! began before go on reading the old pages. These are freed by [`free_others`] once no scan can stand on them: every page of
//! lists says which build it belongs to, so that those of other builds, and of such as failed, can be told.
//!
//! 1. [`begin`] takes the next number of a build: META, one record.
//! 2. The caller reads the rows of the index, trains, assigns and codes. Inserts go on meanwhile.
//! 3. [`reserve`] finds pages that follow each other, and `Builder::without_meta` fills them.
//! 4. The caller inserts what came meanwhile ([`missing`]) into the new lists: at last under a lock that keeps inserts out.
//! 5. Under the same lock, [`switch`].
//! 6. [`retire`] says from which transaction on nobody can have read the old META.
//!
//! One rebuild runs at a time, and neither VACUUM nor another [`free_others`] beside it. A crash before the last step leaves
//! the index as it was, and pages of a build that never came, which the next [`free_others`] finds.

use crate::error::Error;
use crate::lists::InvertedLists;
use crate::lists::meta::{Builds, Meta};
use crate::lists::vacuum::for_each_tid;
use crate::page::{Blkno, META_BLKNO, NO_OWNER, Page, PageKind};
use crate::store::{BulkPages, Pages};
use crate::tid::Tid;
use crate::tid_set::TidSet;

/// All tids of the lists, with no lock held.
pub fn tids<P: Pages>(pages: &P, lists: &InvertedLists) -> Result<TidSet, Error> {
    let mut tids = Vec::new();
    for_each_tid(pages, lists, |_list_no, tid| tids.push(tid.to_u64()))?;
    Ok(TidSet::new(tids))
}

/// The rows of the lists that `known` lacks, in the order of the table; with no lock held.
pub fn missing<P: Pages>(
    pages: &P,
    lists: &InvertedLists,
    known: &TidSet,
) -> Result<Vec<Tid>, Error> {
    let mut tids = Vec::new();
    for_each_tid(pages, lists, |_list_no, tid| {
        if !known.contains(tid) {
            tids.push(tid);
        }
    })?;
    tids.sort_unstable();
    Ok(tids)
}

/// Takes the number of the build that is about to begin.
pub fn begin<P: Pages>(pages: &P) -> Result<u32, Error> {
    let full = || Error::Internal("the index has no number left for a rebuild".into());
    let mut generation = 0;
    change(pages, |builds| {
        let last_begun = builds.last_begun.checked_add(1).ok_or_else(full)?;
        generation = last_begun;
        Ok(Builds { last_begun, ..builds })
    })?;
    Ok(generation)
}

/// Makes META describe the lists of another build. From which transaction on the old pages are unread is still to be said.
pub fn switch<P: Pages>(pages: &P, meta: &Meta) -> Result<(), Error> {
    let builds = Builds { retired_xid: Builds::UNSETTLED, ..meta.builds };
    pages.overwrite(META_BLKNO, &Meta { builds, ..meta.clone() }.to_page())
}

/// Says when the lists before were replaced: `next_xid` is the next transaction id, read after the record of [`switch`] was
/// written. A snapshot that was taken before that record, here or on a standby while it was replayed, is not younger.
pub fn retire<P: Pages>(pages: &P, next_xid: u64) -> Result<(), Error> {
    change(pages, |builds| Ok(Builds { retired_xid: next_xid, ..builds }))
}

/// Changes what META says of builds.
fn change<P: Pages>(
    pages: &P,
    change: impl FnOnce(Builds) -> Result<Builds, Error>,
) -> Result<(), Error> {
    let meta = Meta::read(pages)?;
    let builds = change(meta.builds)?;
    pages.overwrite(META_BLKNO, &Meta { builds, ..meta }.to_page())
}

/// Frees every page of another build than the one that META describes. No scan may stand on one of them, on a standby
/// neither. Returns how many were freed.
pub fn free_others<P: Pages>(pages: &P) -> Result<u64, Error> {
    let Some(generation) = Meta::generation(pages)? else {
        return Err(Error::corrupted(META_BLKNO, "is not a metapage of inverted lists"));
    };
    let mut freed = 0;
    for blkno in META_BLKNO + 1..pages.n_blocks()? {
        pages.check_interrupts();
        let (is_free, is_other) = {
            let page = pages.read(blkno)?;
            (page.is_reusable(), page.generation() != generation)
        };
        if !is_free {
            if !is_other {
                continue;
            }
            // Nobody else changes a page of another build.
            let mut page = pages.lock(blkno)?;
            pages.edit(&mut [&mut page], |images| {
                images.iter_mut().for_each(|image| image.init(PageKind::Free, NO_OWNER));
                Ok(())
            })?;
            freed += 1;
        }
        pages.release(blkno);
    }
    change(pages, |builds| Ok(Builds { retired_xid: 0, last_begun: builds.generation, ..builds }))?;
    Ok(freed)
}

/// The length that the file could be cut to: nothing behind it is in use.
pub fn used_blocks<P: Pages>(pages: &P) -> Result<Blkno, Error> {
    let mut end = pages.n_blocks()?;
    while end > META_BLKNO + 1 && pages.read(end - 1)?.is_reusable() {
        end -= 1;
        pages.check_interrupts();
    }
    Ok(end)
}

/// `n` pages that follow each other for the build `generation`: free ones, or new ones at the end.
pub fn reserve<P: Pages>(pages: &P, n: Blkno, generation: u32) -> Result<InPlace<'_, P>, Error> {
    let mut mark = Page::new(PageKind::Codes, NO_OWNER);
    mark.set_generation(generation);
    let mut from = META_BLKNO + 1;
    while let Some(first) = free_run(pages, from, n)? {
        let mut claimed = 0;
        while claimed < n && pages.claim(first + claimed, &mark)? {
            claimed += 1;
            pages.check_interrupts();
        }
        if claimed == n {
            return Ok(InPlace { pages, generation, next: first, end: first + n });
        }
        // An insert took one of them.
        for blkno in first..first + claimed {
            pages.overwrite(blkno, &Page::new(PageKind::Free, NO_OWNER))?;
            pages.release(blkno);
        }
        from = first + claimed + 1;
    }
    let first = pages.extend_by(n)?;
    Ok(InPlace { pages, generation, next: first, end: first + n })
}

/// The first of `n` unused pages in a row, from a page on.
fn free_run<P: Pages>(pages: &P, from: Blkno, n: Blkno) -> Result<Option<Blkno>, Error> {
    let end = pages.n_blocks()?;
    let mut first = from;
    for blkno in from..end {
        if end - first < n {
            break;
        }
        if !pages.read(blkno)?.is_reusable() {
            first = blkno + 1;
        } else if blkno + 1 - first == n {
            return Ok(Some(first));
        }
        pages.check_interrupts();
    }
    Ok(None)
}

/// Takes the pages of a build into an index in use, each one WAL record.
pub struct InPlace<'p, P: Pages> {
    pages: &'p P,
    generation: u32,
    next: Blkno,
    end: Blkno,
}

impl<P: Pages> InPlace<'_, P> {
    /// Whether all of them are written.
    pub fn is_full(&self) -> bool {
        self.next == self.end
    }
}

impl<P: Pages> BulkPages for InPlace<'_, P> {
    fn append(&mut self, page: &Page) -> Result<Blkno, Error> {
        if self.is_full() {
            return Err(Error::Internal("a rebuild has more pages than were counted".into()));
        }
        self.pages.check_interrupts();
        let mut page = *page;
        page.set_generation(self.generation);
        self.pages.overwrite(self.next, &page)?;
        self.next += 1;
        Ok(self.next - 1)
    }

    fn replace(&mut self, blkno: Blkno, _page: &Page) -> Result<(), Error> {
        Err(Error::Internal(format!("a rebuild does not write block {blkno} twice")))
    }
}
