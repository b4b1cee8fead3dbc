//! Temporary files for the build's sort: the server's own (temp_tablespaces, temp_file_limit,
//! removed on abort).

use std::ffi::c_void;

use pages::Error;
use pages::ivf::sort::Runs;
use pgrx::pg_sys;

use super::interrupts::check_for_interrupts;

/// The runs of one sort, a file each.
#[derive(Default)]
pub struct TempRuns(Vec<TempFile>);

impl TempRuns {
    fn file(&self, run: usize) -> Result<&TempFile, Error> {
        self.0.get(run).ok_or_else(|| Error::Spill("run does not exist".into()))
    }
}

impl Runs for TempRuns {
    fn create(&mut self) -> Result<(), Error> {
        // SAFETY: closed on drop, or by the resource owner when the transaction aborts.
        self.0.push(TempFile(unsafe { pg_sys::BufFileCreateTemp(false) }));
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        check_for_interrupts();
        let file = self.file(self.0.len().wrapping_sub(1))?;
        // SAFETY: an open file; the server only reads the bytes.
        unsafe {
            let from = bytes.as_ptr().cast::<c_void>();
            #[cfg(any(feature = "pg14", feature = "pg15"))]
            pg_sys::BufFileWrite(file.0, from.cast_mut(), bytes.len());
            #[cfg(not(any(feature = "pg14", feature = "pg15")))]
            pg_sys::BufFileWrite(file.0, from, bytes.len());
        }
        Ok(())
    }

    fn rewind(&mut self, run: usize) -> Result<(), Error> {
        // SAFETY: an open file.
        let failed = unsafe { pg_sys::BufFileSeek(self.file(run)?.0, 0, 0, libc::SEEK_SET) };
        if failed == 0 { Ok(()) } else { Err(Error::Spill("could not rewind it".into())) }
    }

    fn read(&mut self, run: usize, out: &mut [u8]) -> Result<usize, Error> {
        check_for_interrupts();
        let file = self.file(run)?;
        // SAFETY: an open file and a buffer of that length.
        Ok(unsafe { pg_sys::BufFileRead(file.0, out.as_mut_ptr().cast(), out.len()) })
    }
}

/// A temporary file, written, then read.
struct TempFile(*mut pg_sys::BufFile);

impl Drop for TempFile {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: ours, closed once.
            unsafe { pg_sys::BufFileClose(self.0) };
        }
    }
}
