//! Reading pages one after the other, the next one on its way.

use std::ops::Range;

use crate::error::Error;
use crate::page::Blkno;
use crate::store::Pages;

/// Pages in the order they are read, each pinned before the one before it is locked: what it
/// costs to bring it into memory and into the caches passes while distances are computed.
pub struct Ahead<'p, P: Pages + 'p> {
    /// The store.
    pub pages: &'p P,
    next: Option<(Blkno, P::Pin<'p>)>,
}

impl<'p, P: Pages> Ahead<'p, P> {
    /// Nothing pinned yet.
    pub fn new(pages: &'p P) -> Self {
        Self { pages, next: None }
    }

    /// Pins `next`, then share-locks `blkno`. Also says where `next` is. A `next` that does not
    /// exist is an error only when it is read.
    pub fn read(
        &mut self,
        blkno: Blkno,
        next: Option<Blkno>,
    ) -> Result<(P::Read<'p>, Range<*const u8>), Error> {
        let pin = match self.next.take() {
            Some((pinned, pin)) if pinned == blkno => pin,
            _ => self.pages.pin(blkno)?,
        };
        self.next = next.and_then(|next| Some((next, self.pages.pin(next).ok()?)));
        let place = match &self.next {
            Some((_, pin)) => self.pages.address(pin),
            None => [].as_ptr_range(),
        };
        Ok((self.pages.share(pin)?, place))
    }
}
