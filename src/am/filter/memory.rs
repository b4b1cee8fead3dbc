//! Memory for what computing with the server's values takes: arrays taken apart, values that were compressed or out of line.

use pgrx::pg_sys;

/// A memory context of our own.
pub struct Memory(pg_sys::MemoryContext);

impl Memory {
    /// Below the current one, with which it goes at the latest.
    pub fn new() -> Self {
        // SAFETY: the server's current memory context; the name is a constant.
        Self(unsafe {
            pg_sys::AllocSetContextCreateInternal(
                pg_sys::CurrentMemoryContext,
                c"pgfaiss attributes".as_ptr(),
                pg_sys::ALLOCSET_SMALL_MINSIZE as usize,
                pg_sys::ALLOCSET_SMALL_INITSIZE as usize,
                pg_sys::ALLOCSET_SMALL_MAXSIZE as usize,
            )
        })
    }

    /// Makes it the current one; returns the one before.
    pub fn enter(&self) -> pg_sys::MemoryContext {
        // SAFETY: the context is ours.
        unsafe { pg_sys::MemoryContextSwitchTo(self.0) }
    }

    /// Goes back to the context before, and frees what was taken meanwhile: none of it may be in use.
    pub fn leave(&self, before: pg_sys::MemoryContext) {
        // SAFETY: the caller's own context before, and ours.
        unsafe {
            pg_sys::MemoryContextSwitchTo(before);
            pg_sys::MemoryContextReset(self.0);
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: made in `new`; an error frees it with the context above it.
            unsafe { pg_sys::MemoryContextDelete(self.0) };
        }
    }
}
