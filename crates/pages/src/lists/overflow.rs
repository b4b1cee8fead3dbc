//! OVERFLOW: extents of one list that inserts have added, a chain of them per list, each with the same number of blocks.

use crate::bytes::{put_u32, u32_at};
use crate::error::Error;
use crate::lists::extent::{Extent, ExtentPages, VectorPages};
use crate::lists::layout::BlockLayout;
use crate::page::{BODY_SIZE, Blkno, INVALID_BLKNO, Page, PageKind};
use crate::store::Pages;

const NEXT: usize = 0;

/// The first page of an overflow extent, decoded. The buffers are reused.
#[derive(Debug, Default, Clone)]
pub struct Overflow {
    /// The next overflow extent of the chain.
    pub next: Blkno,
    /// Its pages, the first included.
    pub pages: Vec<Blkno>,
    /// DATA pages of its vectors, in order; INVALID where no row needed one yet.
    pub vectors: Vec<Blkno>,
}

impl Overflow {
    /// Takes over what the first page of an overflow extent of `list_no` says; the caller holds its lock.
    pub fn decode(
        &mut self,
        page: &Page,
        blkno: Blkno,
        list_no: u32,
        layout: &BlockLayout,
    ) -> Result<(), Error> {
        page.check(blkno, PageKind::Overflow, list_no)?;
        let body = page.body();
        self.next = u32_at(body, NEXT);
        self.pages.clear();
        self.pages.push(blkno);
        let others = (1..layout.overflow_pages).map(|i| u32_at(body, layout.overflow_page_at(i)));
        self.pages.extend(others);
        self.vectors.clear();
        let vectors = 0..layout.overflow_vector_pages();
        self.vectors.extend(vectors.map(|i| u32_at(body, layout.overflow_vector_at(i))));
        Ok(())
    }

    /// As [`Overflow::decode`], under a share lock released on return.
    pub fn read<P: Pages>(
        &mut self,
        pages: &P,
        blkno: Blkno,
        list_no: u32,
        layout: &BlockLayout,
    ) -> Result<(), Error> {
        let page = pages.read(blkno)?;
        self.decode(&page, blkno, list_no, layout)
    }

    /// Its slots.
    pub fn extent(&self, list_no: u32, layout: &BlockLayout) -> Extent<'_> {
        let vectors = match layout.vectors {
            Some(_) => VectorPages::Overflow(&self.vectors),
            None => VectorPages::None,
        };
        Extent { vectors, ..extent_on(&self.pages, list_no, layout) }
    }
}

/// The slots of an overflow extent with these pages, its vectors left out.
pub fn extent_on<'a>(pages: &'a [Blkno], list_no: u32, layout: &BlockLayout) -> Extent<'a> {
    Extent {
        pages: ExtentPages::Overflow(pages),
        vectors: VectorPages::None,
        list_no,
        header: layout.overflow_header,
        block_units: layout.block_units,
        first: 0,
        end: layout.overflow_slots() as u64,
    }
}

/// Makes `page` the empty first page of an overflow extent, inside an edit. Its whole body counts as used, so that rows can
/// be written anywhere.
pub fn init(page: &mut Page, list_no: u32, layout: &BlockLayout, others: &[Blkno]) {
    page.init(PageKind::Overflow, list_no);
    page.set_used(BODY_SIZE);
    let body = page.body_mut();
    put_u32(body, NEXT, INVALID_BLKNO);
    for (i, blkno) in (1..layout.overflow_pages).zip(others) {
        put_u32(body, layout.overflow_page_at(i), *blkno);
    }
    for i in 0..layout.overflow_vector_pages() {
        put_u32(body, layout.overflow_vector_at(i), INVALID_BLKNO);
    }
}

/// Makes `page` a further page of an overflow extent (of `list_no`) or of the packed area (owner NO_OWNER).
pub fn init_codes(page: &mut Page, owner: u32) {
    page.init(PageKind::Codes, owner);
    page.set_used(BODY_SIZE);
}

/// Links `next` behind an overflow extent, inside an edit.
pub fn put_next(page: &mut Page, next: Blkno) {
    put_u32(page.body_mut(), NEXT, next);
}

/// The overflow extent behind this one.
pub fn next_of(page: &Page) -> Blkno {
    u32_at(page.body(), NEXT)
}

/// The `i`-th DATA page of an overflow extent's vectors, by its first page.
pub fn vector_page(page: &Page, layout: &BlockLayout, i: usize) -> Blkno {
    u32_at(page.body(), layout.overflow_vector_at(i))
}

/// Names the `i`-th DATA page of an overflow extent's vectors, inside an edit.
pub fn put_vector_page(page: &mut Page, layout: &BlockLayout, i: usize, blkno: Blkno) {
    put_u32(page.body_mut(), layout.overflow_vector_at(i), blkno);
}
