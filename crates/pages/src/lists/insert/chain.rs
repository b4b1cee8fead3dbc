//! Overflow extents that a list gets.

use super::Insertion;
use crate::error::Error;
use crate::lists::directory::{self, Entry};
use crate::lists::marks::settle_first;
use crate::lists::overflow;
use crate::page::{Blkno, INVALID_BLKNO, Page, PageKind};
use crate::store::Pages;

impl<P: Pages> Insertion<'_, P> {
    /// The first overflow extent of the list: exclusive on the DIRECTORY page, then the new pages.
    pub(super) fn first_extent(&self) -> Result<Blkno, Error> {
        let (blkno, at) = directory::place(self.lists, self.row.list_no)?;
        let mut page = self.pages.lock(blkno)?;
        let entry = directory::locked_entry(&page, self.lists, self.row.list_no)?;
        if entry.overflow_first != INVALID_BLKNO {
            return Ok(entry.insert_overflow);
        }
        let others = self.other_pages()?;
        let mut head = self.pages.allocate()?;
        let first = self.pages.blkno(&head);
        self.pages.edit(&mut [&mut page, &mut head], |images| {
            if let [page, head] = images {
                self.init_head(head, &others);
                let entry = Entry { overflow_first: first, insert_overflow: first, ..entry };
                directory::put_entry(page, at, entry);
            }
            Ok(())
        })?;
        Ok(first)
    }

    /// Links an empty overflow extent behind the last one, unless somebody else just did.
    pub(super) fn extend(&self, last: Blkno) -> Result<(), Error> {
        let mut tail = self.pages.lock(last)?;
        tail.check(last, PageKind::Overflow, self.row.list_no)?;
        if overflow::next_of(&tail) != INVALID_BLKNO {
            return Ok(());
        }
        let others = self.other_pages()?;
        let mut head = self.pages.allocate()?;
        let next = self.pages.blkno(&head);
        self.pages.edit(&mut [&mut tail, &mut head], |images| {
            if let [tail, head] = images {
                self.init_head(head, &others);
                settle_first(tail, self.lists, self.row.list_no);
                overflow::put_next(tail, next);
            }
            Ok(())
        })
    }

    /// Makes `page` the empty first page of an overflow extent with these other pages.
    fn init_head(&self, page: &mut Page, others: &[Blkno]) {
        overflow::init(page, self.row.list_no, self.layout(), others);
        page.set_generation(self.lists.generation);
    }

    /// The further pages of a new overflow extent, empty; nobody refers to them yet.
    fn other_pages(&self) -> Result<Vec<Blkno>, Error> {
        let mut blknos = Vec::new();
        for _ in 1..self.layout().overflow_pages {
            let mut page = self.pages.allocate()?;
            blknos.push(self.pages.blkno(&page));
            self.pages.edit(&mut [&mut page], |images| {
                for page in images {
                    overflow::init_codes(page, self.row.list_no);
                    page.set_generation(self.lists.generation);
                }
                Ok(())
            })?;
        }
        Ok(blknos)
    }
}
