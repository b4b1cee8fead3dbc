//! SHELF: blocks of one list that inserts have added; a chain of shelves per list, each with room for the same number of
//! blocks.

use crate::bytes::{put_u32, u32_at};
use crate::coded::layout::{CodeLayout, Run, shelf_run};
use crate::error::Error;
use crate::page::{BODY_SIZE, Blkno, INVALID_BLKNO, Page, PageKind};
use crate::store::Pages;

const NEXT: usize = 0;

/// The first page of a shelf, decoded. The buffers are reused.
#[derive(Debug, Default, Clone)]
pub struct Shelf {
    /// The next shelf of the chain.
    pub next: Blkno,
    /// Its pages, the first included.
    pub pages: Vec<Blkno>,
    /// DATA pages of its vectors, in order; INVALID where no row needed one yet.
    pub vectors: Vec<Blkno>,
}

impl Shelf {
    /// Takes over what the first page of a shelf of `list_no` says; the caller holds its lock.
    pub fn decode(
        &mut self,
        page: &Page,
        blkno: Blkno,
        list_no: u32,
        layout: &CodeLayout,
    ) -> Result<(), Error> {
        page.check(blkno, PageKind::Shelf, list_no)?;
        let body = page.body();
        self.next = u32_at(body, NEXT);
        self.pages.clear();
        self.pages.push(blkno);
        let others = (1..layout.shelf_pages).map(|i| u32_at(body, layout.shelf_page_at(i)));
        self.pages.extend(others);
        self.vectors.clear();
        let vectors = 0..layout.shelf_vector_pages();
        self.vectors.extend(vectors.map(|i| u32_at(body, layout.shelf_vector_at(i))));
        Ok(())
    }

    /// As [`Shelf::decode`], under a share lock released on return.
    pub fn read<P: Pages>(
        &mut self,
        pages: &P,
        blkno: Blkno,
        list_no: u32,
        layout: &CodeLayout,
    ) -> Result<(), Error> {
        let page = pages.read(blkno)?;
        self.decode(&page, blkno, list_no, layout)
    }

    /// Its blocks.
    pub fn run(&self, list_no: u32, layout: &CodeLayout) -> Run<'_> {
        shelf_run(&self.pages, list_no, layout)
    }
}

/// Makes `page` the empty first page of a shelf, inside an edit. Its whole body counts as used, so that rows can be
/// written anywhere.
pub fn init(page: &mut Page, list_no: u32, layout: &CodeLayout, others: &[Blkno]) {
    page.init(PageKind::Shelf, list_no);
    page.set_used(BODY_SIZE);
    let body = page.body_mut();
    put_u32(body, NEXT, INVALID_BLKNO);
    for (i, blkno) in (1..layout.shelf_pages).zip(others) {
        put_u32(body, layout.shelf_page_at(i), *blkno);
    }
    for i in 0..layout.shelf_vector_pages() {
        put_u32(body, layout.shelf_vector_at(i), INVALID_BLKNO);
    }
}

/// Makes `page` a further page of a shelf (of `list_no`) or of the packed area (owner NO_OWNER).
pub fn init_codes(page: &mut Page, owner: u32) {
    page.init(PageKind::Codes, owner);
    page.set_used(BODY_SIZE);
}

/// Links `next` behind a shelf, inside an edit.
pub fn put_next(page: &mut Page, next: Blkno) {
    put_u32(page.body_mut(), NEXT, next);
}

/// The shelf behind this one.
pub fn next_of(page: &Page) -> Blkno {
    u32_at(page.body(), NEXT)
}

/// Names the `i`-th DATA page of a shelf's vectors, inside an edit.
pub fn put_vector_page(page: &mut Page, layout: &CodeLayout, i: usize, blkno: Blkno) {
    put_u32(page.body_mut(), layout.shelf_vector_at(i), blkno);
}
