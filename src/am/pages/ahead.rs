//! Hints about rows of the table that are read soon: from disk to memory, from memory to the CPU's
//! cache. Rows that are near to a query lie anywhere in the table, so nothing else foresees them, and
//! waiting for memory would be most of the time that it takes to read them.

use ann::kernels::prefetch_at;
use pages::tid::Tid;
use pgrx::pg_sys;

/// Bytes of a row asked for; the hardware follows longer ones by itself.
const ROW_BYTES: u32 = 1024;
/// lp_flags of a line pointer that points to another one.
const LP_REDIRECT: u32 = 2;

/// Asks for what pinning a buffer looks at.
#[inline]
pub fn ask_for_descriptor(buffer: pg_sys::Buffer) {
    // Buffers of temporary tables, which are numbered from -1 down, are pinned otherwise.
    if buffer > 0 {
        // SAFETY: the server's variable; the address is asked for only, whatever is there.
        let first: *const u8 = unsafe { pg_sys::BufferDescriptors }.cast_const().cast();
        let size = size_of::<pg_sys::BufferDescPadded>();
        let descriptor = first.wrapping_add((buffer as usize - 1) * size);
        prefetch_at(descriptor..descriptor.wrapping_add(1));
    }
}

/// Where the page of a row is thought to be. Not pinned: by the time it is used another page may lie
/// there, so what is read here decides about nothing but which addresses are asked for.
#[derive(Clone, Copy)]
pub struct PageHint(*const u8);

impl PageHint {
    /// No page.
    pub const NONE: Self = Self(std::ptr::null());

    /// Asks for what is needed to find the row at `tid`: the page itself if it is not in shared
    /// buffers, else its header and the row's line pointer.
    ///
    /// Errors: a block far past the end of the table, as reading it would.
    ///
    /// # Safety
    /// `table` must be open.
    #[inline]
    pub unsafe fn new(table: pg_sys::Relation, tid: Tid) -> Self {
        let fork = pg_sys::ForkNumber::MAIN_FORKNUM;
        // SAFETY: the caller's promise.
        let buffer = unsafe { pg_sys::PrefetchBuffer(table, fork, tid.blkno) }.recent_buffer;
        Self::in_buffer(buffer, tid)
    }

    /// As `new`, where it was last: in a buffer that the server named once.
    #[inline]
    pub fn in_buffer(buffer: pg_sys::Buffer, tid: Tid) -> Self {
        if buffer <= 0 {
            return Self::NONE;
        }
        ask_for_descriptor(buffer);
        // SAFETY: the server named the buffer, so there is such a one, and buffers stay where they are.
        let page: *const u8 = unsafe { pg_sys::BufferGetPage(buffer) }.cast_const().cast();
        prefetch_at(page..page.wrapping_add(1));
        let hint = Self(page);
        if let Some(item) = hint.item(u32::from(tid.offset)) {
            let item: *const u8 = item.cast();
            prefetch_at(item..item.wrapping_add(1));
        }
        hint
    }

    /// Asks for the row at `offset` of the page.
    #[inline]
    pub fn row(self, offset: u16) {
        let Some(mut item) = self.read(u32::from(offset)) else { return };
        if item.lp_flags() == LP_REDIRECT {
            match self.read(item.lp_off()) {
                Some(next) => item = next,
                None => return,
            }
        }
        let start = self.0.wrapping_add(item.lp_off() as usize);
        prefetch_at(start..start.wrapping_add(item.lp_len().min(ROW_BYTES) as usize));
    }

    /// The place of line pointer `offset`, from 1, if the page has room for it.
    fn item(self, offset: u32) -> Option<*const pg_sys::ItemIdData> {
        let size = size_of::<pg_sys::ItemIdData>();
        let at = size_of::<pg_sys::PageHeaderData>() + size * (offset.max(1) as usize - 1);
        let fits = !self.0.is_null() && at + size <= pg_sys::BLCKSZ as usize;
        fits.then(|| self.0.wrapping_add(at).cast())
    }

    fn read(self, offset: u32) -> Option<pg_sys::ItemIdData> {
        // SAFETY: a place inside shared buffers, which stay mapped, aligned to 4 bytes. Others may
        // write there, hence volatile; any value will do.
        self.item(offset).map(|item| unsafe { item.read_volatile() })
    }
}
