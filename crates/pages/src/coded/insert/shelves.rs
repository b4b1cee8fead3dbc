//! New shelves of a list.

use crate::coded::directory::{self, Entry};
use crate::coded::insert::Insertion;
use crate::coded::marks::settle_first;
use crate::coded::shelf;
use crate::error::Error;
use crate::page::{Blkno, INVALID_BLKNO, PageKind};
use crate::store::Pages;

impl<P: Pages> Insertion<'_, P> {
    /// The first shelf of the list: exclusive on the DIRECTORY page, then the new pages.
    pub(super) fn first_shelf(&self) -> Result<Blkno, Error> {
        let (blkno, at) = directory::place(self.meta, self.row.list_no)?;
        let mut page = self.pages.lock(blkno)?;
        let entry = directory::locked_entry(&page, self.meta, self.row.list_no)?;
        if entry.shelf_first != INVALID_BLKNO {
            return Ok(entry.insert_shelf);
        }
        let others = self.other_pages()?;
        let mut head = self.pages.allocate()?;
        let first = self.pages.blkno(&head);
        self.pages.edit(&mut [&mut page, &mut head], |images| {
            if let [page, head] = images {
                shelf::init(head, self.row.list_no, self.layout(), &others);
                let entry = Entry { shelf_first: first, insert_shelf: first, ..entry };
                directory::put_entry(page, at, entry);
            }
            Ok(())
        })?;
        Ok(first)
    }

    /// Links an empty shelf behind the last one, unless somebody else just did.
    pub(super) fn extend(&self, last: Blkno) -> Result<(), Error> {
        let mut tail = self.pages.lock(last)?;
        tail.check(last, PageKind::Shelf, self.row.list_no)?;
        if shelf::next_of(&tail) != INVALID_BLKNO {
            return Ok(());
        }
        let others = self.other_pages()?;
        let mut head = self.pages.allocate()?;
        let next = self.pages.blkno(&head);
        self.pages.edit(&mut [&mut tail, &mut head], |images| {
            if let [tail, head] = images {
                shelf::init(head, self.row.list_no, self.layout(), &others);
                settle_first(tail, &self.coded, self.row.list_no);
                shelf::put_next(tail, next);
            }
            Ok(())
        })
    }

    /// The further pages of a new shelf, empty; nobody refers to them yet.
    fn other_pages(&self) -> Result<Vec<Blkno>, Error> {
        let mut blknos = Vec::new();
        for _ in 1..self.layout().shelf_pages {
            let mut page = self.pages.allocate()?;
            blknos.push(self.pages.blkno(&page));
            self.pages.edit(&mut [&mut page], |images| {
                images.iter_mut().for_each(|page| shelf::init_codes(page, self.row.list_no));
                Ok(())
            })?;
        }
        Ok(blknos)
    }
}
