//! Temporary files for the build's sort: the server's own (temp_tablespaces, temp_file_limit,
//! removed on abort).

use std::ffi::c_void;

use pages::Error;
use pages::lists::sort::Runs;
use pgrx::pg_sys;

use super::interrupts::check_for_interrupts;

/// The runs of one sort, a file each.
#[derive(Default)]
pub struct TempRuns(Vec<TempFile>);

impl TempRuns {
    fn file(&self, run: usize) -> Result<&TempFile, Error> {
        self.0.get(run).ok_or_else(|| Error::Internal("run does not exist".into()))
    }
}

impl Runs for TempRuns {
    fn create(&mut self) -> Result<usize, Error> {
        self.0.push(TempFile::new());
        Ok(self.0.len() - 1)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file(self.0.len().wrapping_sub(1))?.append(bytes)
    }

    fn rewind(&mut self, run: usize) -> Result<(), Error> {
        self.file(run)?.seek(0)
    }

    fn read(&mut self, run: usize, out: &mut [u8]) -> Result<usize, Error> {
        self.file(run)?.read(out)
    }

    fn check_interrupts(&self) {
        check_for_interrupts();
    }
}

/// A temporary file, written, then read.
pub struct TempFile(*mut pg_sys::BufFile);

impl TempFile {
    pub fn new() -> Self {
        // SAFETY: closed on drop, or by the resource owner when the transaction aborts.
        Self(unsafe { pg_sys::BufFileCreateTemp(false) })
    }

    /// Writes where the file is at: at its end, unless it was read.
    pub fn append(&self, bytes: &[u8]) -> Result<(), Error> {
        check_for_interrupts();
        // SAFETY: an open file; the server only reads the bytes.
        unsafe {
            let from = bytes.as_ptr().cast::<c_void>();
            #[cfg(any(feature = "pg14", feature = "pg15"))]
            pg_sys::BufFileWrite(self.0, from.cast_mut(), bytes.len());
            #[cfg(not(any(feature = "pg14", feature = "pg15")))]
            pg_sys::BufFileWrite(self.0, from, bytes.len());
        }
        Ok(())
    }

    /// Overwrites what was written from `offset` on, which is the end at most, and goes on beyond it.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.seek(offset as i64)?;
        self.append(bytes)
    }

    fn seek(&self, offset: i64) -> Result<(), Error> {
        // SAFETY: an open file; the server finds the segment of an offset beyond the first.
        let failed = unsafe { pg_sys::BufFileSeek(self.0, 0, offset, libc::SEEK_SET) };
        if failed == 0 { Ok(()) } else { Err(Error::Spill("could not seek in it".into())) }
    }

    /// Fewer bytes than asked for only at the end.
    fn read(&self, out: &mut [u8]) -> Result<usize, Error> {
        check_for_interrupts();
        // SAFETY: an open file and a buffer of that length.
        Ok(unsafe { pg_sys::BufFileRead(self.0, out.as_mut_ptr().cast(), out.len()) })
    }

    /// Fills `out` with what was written from `offset` on.
    pub fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        self.seek(offset as i64)?;
        match self.read(out)? {
            n if n == out.len() => Ok(()),
            n => Err(Error::Spill(format!("it ends {} bytes early", out.len() - n))),
        }
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: ours, closed once.
            unsafe { pg_sys::BufFileClose(self.0) };
        }
    }
}
