//! `pages::Pages` over shared buffers and generic WAL. Every page pointer lives and dies here; `ahead.rs` and
//! `heap_pins.rs` have the only other raw buffers.
//!
//! A guard owns a pin and a content lock. On an ERROR the server's longjmp arrives as a Rust panic:
//! then guards do nothing on drop, because transaction abort releases locks and pins itself and
//! calling the server while it unwinds is not allowed.

pub mod ahead;
mod append;
mod bulk;
pub mod heap_pins;
mod hint;
mod logged;
pub mod roots;
#[cfg(feature = "pg_test")]
mod tests;

use std::cell::{Cell, RefCell};
use std::ffi::c_int;
use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::rc::Rc;

use pages::Error;
use pages::page::{Blkno, INVALID_BLKNO, PAGE_SIZE, Page};
use pages::store::{EDIT_PAGES_MAX, Pages};
use pgrx::pg_sys;

use super::interrupts::check_for_interrupts;
use super::recent::RecentBuffers;
use super::rel;

pub use append::PgAppend;
pub use bulk::PgBulk;

const _: () = assert!(PAGE_SIZE == pg_sys::BLCKSZ as usize);
const _: () = assert!(INVALID_BLKNO == pg_sys::InvalidBlockNumber);
const _: () = assert!(EDIT_PAGES_MAX == pg_sys::MAX_GENERIC_XLOG_PAGES as usize);
#[cfg(target_endian = "big")]
compile_error!("the page format is little-endian and read in place");

/// How many reads without a miss it takes until prefetching is thought useless.
const WARM_AFTER: u32 = 64;

/// What `check_interrupts` does between pages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    Interactive,
    /// Vacuum's cost-based delay as well.
    Vacuum,
}

/// The main fork of an open index. The relation stays open and locked by the caller.
pub struct PgPages {
    rel: pg_sys::Relation,
    pace: Pace,
    strategy: pg_sys::BufferAccessStrategy,
    /// The length when last asked: blocks below it exist.
    n_blocks: Cell<Blkno>,
    /// Pages read since somebody began to count.
    read: Cell<u64>,
    /// Counts down from WARM_AFTER after each buffer miss.
    cold: Cell<u32>,
    /// Where this backend last found the blocks.
    recent: Option<Rc<RecentBuffers>>,
    /// Blocks that are locked exclusively by guards of this store: the server would wait for itself.
    written: RefCell<Vec<Blkno>>,
}

// Called once or twice for every page of a scan, where pgrx's guard against errors costs as much as
// the call. Neither raises one for a pinned buffer, a valid mode and fewer than 200 locks held.
unsafe extern "C-unwind" {
    fn LockBuffer(buffer: pg_sys::Buffer, mode: c_int);
    fn UnlockReleaseBuffer(buffer: pg_sys::Buffer);
}

impl PgPages {
    /// The pages of `rel` for scans and inserts.
    ///
    /// # Safety
    /// `rel` must be an open index that outlives the result.
    pub unsafe fn new(rel: pg_sys::Relation) -> Self {
        Self {
            rel,
            pace: Pace::Interactive,
            strategy: std::ptr::null_mut(),
            n_blocks: Cell::new(0),
            read: Cell::new(0),
            cold: Cell::new(0),
            recent: None,
            written: RefCell::default(),
        }
    }

    /// Counts the pages read from now on.
    pub fn begin_count(&self) {
        self.read.set(0);
    }

    /// Pages read, each time one was.
    pub fn count(&self) -> u64 {
        self.read.get()
    }

    /// Looks for blocks where they were last.
    pub fn remember(&mut self, recent: Rc<RecentBuffers>) {
        self.recent = Some(recent);
    }

    /// The pages of `rel` for VACUUM, read through its buffer ring.
    ///
    /// # Safety
    /// As [`PgPages::new`]; `strategy` must stay valid as long.
    pub unsafe fn for_vacuum(
        rel: pg_sys::Relation,
        strategy: pg_sys::BufferAccessStrategy,
    ) -> Self {
        // SAFETY: the caller's promise.
        Self { pace: Pace::Vacuum, strategy, ..unsafe { Self::new(rel) } }
    }

    fn exists(&self, blkno: Blkno) -> Result<(), Error> {
        if blkno < self.n_blocks.get() || blkno < self.n_blocks()? {
            return Ok(());
        }
        let n = self.n_blocks.get();
        Err(Error::corrupted(blkno, format!("block {blkno} lies past the end ({n} blocks)")))
    }

    /// An error for a block that is locked exclusively already.
    #[inline]
    fn not_written(&self, blkno: Blkno) -> Result<(), Error> {
        let is_written = self.written.borrow().contains(&blkno);
        if is_written { Err(Error::locked_already(blkno)) } else { Ok(()) }
    }

    /// The guard of an exclusive lock just taken.
    fn write_page(&self, buffer: pg_sys::Buffer, fresh: bool) -> WritePage<'_> {
        // SAFETY: the caller's pin.
        let blkno = unsafe { pg_sys::BufferGetBlockNumber(buffer) };
        self.written.borrow_mut().push(blkno);
        WritePage { pages: self, blkno, guard: Guard::new(buffer), fresh }
    }

    /// Pins `blkno`.
    fn pin_block(&self, blkno: Blkno) -> pg_sys::Buffer {
        self.read.set(self.read.get() + 1);
        let Some(recent) = &self.recent else { return self.look_up(blkno) };
        if let Some(buffer) = recent.get(blkno) {
            let fork = pg_sys::ForkNumber::MAIN_FORKNUM;
            // SAFETY: the relation is open; the server checks that the buffer exists and still
            // holds this block before it pins it.
            if unsafe { pg_sys::ReadRecentBuffer(rel::locator(self.rel), fork, blkno, buffer) } {
                return buffer;
            }
        }
        let buffer = self.look_up(blkno);
        recent.set(blkno, buffer);
        buffer
    }

    /// Pins `blkno` (INVALID_BLKNO: a new page at the end) through the buffer table.
    fn look_up(&self, blkno: Blkno) -> pg_sys::Buffer {
        // SAFETY: the relation is open (constructor); the server raises errors as panics.
        unsafe {
            let misses = pg_sys::pgBufferUsage.shared_blks_read;
            let mode = pg_sys::ReadBufferMode::RBM_NORMAL;
            let fork = pg_sys::ForkNumber::MAIN_FORKNUM;
            let buffer = pg_sys::ReadBufferExtended(self.rel, fork, blkno, mode, self.strategy);
            if pg_sys::pgBufferUsage.shared_blks_read != misses {
                self.cold.set(WARM_AFTER);
            } else {
                self.cold.set(self.cold.get().saturating_sub(1));
            }
            buffer
        }
    }

    /// Pins `blkno` and takes its content lock.
    fn pin_and_lock(&self, blkno: Blkno, mode: u32) -> pg_sys::Buffer {
        let buffer = self.pin_block(blkno);
        // SAFETY: pinned just now.
        unsafe { LockBuffer(buffer, mode as c_int) };
        buffer
    }

    /// A page of the free space map that is really free, exclusive-locked.
    fn recycle(&self) -> Option<WritePage<'_>> {
        loop {
            // SAFETY: the relation is open.
            let blkno = unsafe { pg_sys::GetFreeIndexPage(self.rel) };
            if blkno == INVALID_BLKNO {
                return None;
            }
            // The map is not crash safe: it may name blocks that do not exist or are in use.
            if self.exists(blkno).is_err() {
                continue;
            }
            let buffer = self.look_up(blkno);
            // Somebody else may hold the page (a scan that followed an old link, or an insert that
            // got it from the map as well); a wait could break the lock order.
            // SAFETY: the buffer is pinned by us.
            if unsafe { !pg_sys::ConditionalLockBuffer(buffer) } {
                // SAFETY: our pin, not locked.
                unsafe { pg_sys::ReleaseBuffer(buffer) };
                continue;
            }
            let page = self.write_page(buffer, true);
            if page.is_reusable() {
                return Some(page);
            }
        }
    }

    /// Makes a locked page `page`, with a full image in the log: a standby may not have the block yet.
    fn put(&self, locked: &mut WritePage<'_>, page: &Page) -> Result<(), Error> {
        locked.fresh = true;
        self.edit(&mut [locked], |images| {
            images.iter_mut().for_each(|image| image.copy_from(page));
            Ok(())
        })
    }

    fn extend(&self) -> Result<WritePage<'_>, Error> {
        if self.n_blocks()? >= INVALID_BLKNO - 1 {
            return Err(Error::Full { n_blocks: INVALID_BLKNO - 1 });
        }
        let shared = rel::is_shared(self.rel);
        let mode = pg_sys::ExclusiveLock as pg_sys::LOCKMODE;
        // SAFETY: the relation is open; the new page gets its content lock before the extension
        // lock is released, so nobody can take it for an unused one first.
        unsafe {
            if shared {
                pg_sys::LockRelationForExtension(self.rel, mode);
            }
            let buffer = self.look_up(INVALID_BLKNO);
            LockBuffer(buffer, pg_sys::BUFFER_LOCK_EXCLUSIVE as c_int);
            if shared {
                pg_sys::UnlockRelationForExtension(self.rel, mode);
            }
            Ok(self.write_page(buffer, true))
        }
    }
}

/// A pinned and locked buffer.
struct Guard<'a> {
    buffer: pg_sys::Buffer,
    page: *const Page,
    pages: PhantomData<&'a PgPages>,
}

impl Guard<'_> {
    /// Takes over the caller's pin and lock of `buffer`.
    fn new(buffer: pg_sys::Buffer) -> Self {
        // SAFETY: the buffer is pinned, so its page has a fixed address.
        let page = unsafe { pg_sys::BufferGetPage(buffer) }.cast_const().cast();
        Self { buffer, page, pages: PhantomData }
    }

    fn page(&self) -> &Page {
        // SAFETY: `Page` is a transparent wrapper of BLCKSZ bytes; a page is that long and 8-byte
        // aligned. Others do not write it while we hold its content lock, and our own edit takes
        // the guard mutably, so no reference from here is alive then. Under a share lock there are
        // hints: single bits of bytes whose other bits stay, and readers of these bytes copy them
        // before they look at them.
        unsafe { &*self.page }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: pin and lock are ours, and the transaction is not being aborted.
            unsafe { UnlockReleaseBuffer(self.buffer) };
        }
    }
}

/// A pinned buffer, not locked.
pub struct PinnedPage<'a> {
    buffer: pg_sys::Buffer,
    pages: PhantomData<&'a PgPages>,
}

impl Drop for PinnedPage<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: the pin is ours, and the transaction is not being aborted.
            unsafe { pg_sys::ReleaseBuffer(self.buffer) };
        }
    }
}

/// A page under a share lock.
pub struct ReadPage<'a>(Guard<'a>);

impl Deref for ReadPage<'_> {
    type Target = Page;
    fn deref(&self) -> &Page {
        self.0.page()
    }
}

/// A page under an exclusive lock.
pub struct WritePage<'a> {
    pages: &'a PgPages,
    blkno: Blkno,
    guard: Guard<'a>,
    /// Not referred to by anything yet: its first edit is logged as a full image.
    fresh: bool,
}

impl Deref for WritePage<'_> {
    type Target = Page;
    fn deref(&self) -> &Page {
        self.guard.page()
    }
}

impl Drop for WritePage<'_> {
    fn drop(&mut self) {
        self.pages.written.borrow_mut().retain(|blkno| *blkno != self.blkno);
    }
}

impl Pages for PgPages {
    type Pin<'a> = PinnedPage<'a>;
    type Read<'a> = ReadPage<'a>;
    type Write<'a> = WritePage<'a>;

    fn n_blocks(&self) -> Result<Blkno, Error> {
        let fork = pg_sys::ForkNumber::MAIN_FORKNUM;
        // SAFETY: the relation is open.
        let n = unsafe { pg_sys::RelationGetNumberOfBlocksInFork(self.rel, fork) };
        self.n_blocks.set(n);
        Ok(n)
    }

    fn read(&self, blkno: Blkno) -> Result<ReadPage<'_>, Error> {
        self.exists(blkno)?;
        self.not_written(blkno)?;
        Ok(ReadPage(Guard::new(self.pin_and_lock(blkno, pg_sys::BUFFER_LOCK_SHARE))))
    }

    fn pin(&self, blkno: Blkno) -> Result<PinnedPage<'_>, Error> {
        self.exists(blkno)?;
        let buffer = self.pin_block(blkno);
        Ok(PinnedPage { buffer, pages: PhantomData })
    }

    fn share<'a>(&'a self, pin: PinnedPage<'a>) -> Result<ReadPage<'a>, Error> {
        if !self.written.borrow().is_empty() {
            // SAFETY: the guard's pin.
            self.not_written(unsafe { pg_sys::BufferGetBlockNumber(pin.buffer) })?;
        }
        // SAFETY: the guard's pin.
        unsafe { LockBuffer(pin.buffer, pg_sys::BUFFER_LOCK_SHARE as c_int) };
        let buffer = std::mem::ManuallyDrop::new(pin).buffer;
        Ok(ReadPage(Guard::new(buffer)))
    }

    fn address(&self, pin: &PinnedPage<'_>) -> Range<*const u8> {
        // SAFETY: the buffer is pinned, so its page has a fixed address. Nothing is read there.
        let start: *const u8 = unsafe { pg_sys::BufferGetPage(pin.buffer) }.cast_const().cast();
        start..start.wrapping_add(PAGE_SIZE)
    }

    fn lock(&self, blkno: Blkno) -> Result<WritePage<'_>, Error> {
        self.exists(blkno)?;
        self.not_written(blkno)?;
        Ok(self.write_page(self.pin_and_lock(blkno, pg_sys::BUFFER_LOCK_EXCLUSIVE), false))
    }

    fn allocate(&self) -> Result<WritePage<'_>, Error> {
        self.recycle().map_or_else(|| self.extend(), Ok)
    }

    fn blkno(&self, page: &WritePage<'_>) -> Blkno {
        page.blkno
    }

    fn edit(
        &self,
        locked: &mut [&mut WritePage<'_>],
        change: impl FnOnce(&mut [&mut Page]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        debug_assert!(locked.len() <= EDIT_PAGES_MAX);
        // SAFETY: every buffer is pinned and exclusive-locked by its guard until after Finish;
        // the images are private copies of BLCKSZ bytes owned by `state`, one for each buffer
        // (the guards are distinct borrows, so no buffer comes twice). Without Finish the copies
        // go with the memory context and nothing has happened.
        unsafe {
            let state = pg_sys::GenericXLogStart(self.rel);
            let mut images: Vec<&mut Page> = Vec::with_capacity(locked.len());
            for page in locked.iter() {
                let flags = if page.fresh { pg_sys::GENERIC_XLOG_FULL_IMAGE } else { 0 };
                let buffer = page.guard.buffer;
                let image = pg_sys::GenericXLogRegisterBuffer(state, buffer, flags as i32);
                images.push(&mut *image.cast::<Page>());
            }
            if let Err(e) = change(&mut images) {
                pg_sys::GenericXLogAbort(state);
                return Err(e);
            }
            pg_sys::GenericXLogFinish(state);
        }
        for page in locked {
            page.fresh = false;
        }
        Ok(())
    }

    fn hint(&self, page: &ReadPage<'_>, places: &[usize]) {
        // SAFETY: the buffer is pinned and share-locked by the guard.
        unsafe { hint::set(page.0.buffer, places) };
    }

    fn extend_by(&self, n: Blkno) -> Result<Blkno, Error> {
        let shared = rel::is_shared(self.rel);
        let mode = pg_sys::ExclusiveLock as pg_sys::LOCKMODE;
        // SAFETY: the relation is open. Who holds the lock alone extends it, so that the pages follow each other; they stay
        // zero, which nobody takes for anything else than unused.
        unsafe {
            if shared {
                pg_sys::LockRelationForExtension(self.rel, mode);
            }
            let first = self.n_blocks();
            let has_room = first.as_ref().is_ok_and(|first| n < INVALID_BLKNO - 1 - *first);
            for _ in 0..n * Blkno::from(has_room) {
                pg_sys::ReleaseBuffer(self.look_up(INVALID_BLKNO));
            }
            if shared {
                pg_sys::UnlockRelationForExtension(self.rel, mode);
            }
            if has_room { first } else { Err(Error::Full { n_blocks: INVALID_BLKNO - 1 }) }
        }
    }

    fn claim(&self, blkno: Blkno, page: &Page) -> Result<bool, Error> {
        let mut locked = self.lock(blkno)?;
        let is_free = locked.is_reusable();
        if is_free {
            self.put(&mut locked, page)?;
        }
        Ok(is_free)
    }

    fn overwrite(&self, blkno: Blkno, page: &Page) -> Result<(), Error> {
        self.put(&mut self.lock(blkno)?, page)
    }

    fn release(&self, blkno: Blkno) {
        // SAFETY: the relation is open.
        unsafe { pg_sys::RecordFreeIndexPage(self.rel, blkno) };
    }

    fn prefetch(&self, blkno: Blkno) {
        let recent = self.recent.as_ref().and_then(|recent| recent.peek(blkno));
        if let Some(buffer) = recent {
            ahead::ask_for_descriptor(buffer);
        } else if self.cold.get() > 0 {
            let fork = pg_sys::ForkNumber::MAIN_FORKNUM;
            // SAFETY: the relation is open; a block past the end is harmless here.
            unsafe { pg_sys::PrefetchBuffer(self.rel, fork, blkno) };
        }
    }

    fn check_interrupts(&self) {
        check_for_interrupts();
        if self.pace == Pace::Vacuum {
            // SAFETY: no lock is held here (contract of `check_interrupts`).
            unsafe {
                #[cfg(feature = "pg18")]
                pg_sys::vacuum_delay_point(false);
                #[cfg(not(feature = "pg18"))]
                pg_sys::vacuum_delay_point();
            }
        }
    }
}
