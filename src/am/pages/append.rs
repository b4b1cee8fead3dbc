//! Appending to an index that others use: what nothing refers to yet.

use pages::Error;
use pages::page::{Blkno, Page};
use pages::store::{BulkPages, Pages};
use pgrx::pg_sys;

use super::PgPages;

/// New pages at the end of an index in use, one after the other, each one WAL record. Pages of the free space map are left
/// alone, so that the numbers follow each other as long as nobody else extends the index. Not to be cancelled half way:
/// what was appended by then would stay, unused. So it is for some thousand pages at most.
pub struct PgAppend(PgPages);

impl PgAppend {
    /// # Safety
    /// As [`PgPages::new`].
    pub unsafe fn new(rel: pg_sys::Relation) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { PgPages::new(rel) })
    }
}

impl BulkPages for PgAppend {
    fn append(&mut self, page: &Page) -> Result<Blkno, Error> {
        let mut new = self.0.extend()?;
        self.0.edit(&mut [&mut new], |images| {
            images.iter_mut().for_each(|image| image.copy_from(page));
            Ok(())
        })?;
        Ok(self.0.blkno(&new))
    }

    fn replace(&mut self, blkno: Blkno, page: &Page) -> Result<(), Error> {
        let mut locked = self.0.lock(blkno)?;
        self.0.edit(&mut [&mut locked], |images| {
            images.iter_mut().for_each(|image| image.copy_from(page));
            Ok(())
        })
    }
}
