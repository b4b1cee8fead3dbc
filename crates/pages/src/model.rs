//! MODEL: trained parameters, a run of pages full of floats, written at build and never changed.

use crate::error::Error;
use crate::page::{BODY_SIZE, Blkno, INVALID_BLKNO, NO_OWNER, Page, PageKind};
use crate::store::{BulkPages, Pages};

/// Floats of a page.
const PAGE_FLOATS: usize = BODY_SIZE / size_of::<f32>();

/// Pages that `len` floats take.
pub fn n_pages(len: usize) -> u64 {
    len.div_ceil(PAGE_FLOATS) as u64
}

/// Appends the parameters; returns the first page (INVALID when there are none).
pub fn write<W: BulkPages>(sink: &mut W, floats: &[f32]) -> Result<Blkno, Error> {
    let mut first = INVALID_BLKNO;
    for part in floats.chunks(PAGE_FLOATS) {
        let mut page = Page::new(PageKind::Model, NO_OWNER);
        let bytes: &[u8] = bytemuck::cast_slice(part);
        crate::bytes::put(page.body_mut(), 0, bytes);
        page.set_used(bytes.len());
        let blkno = sink.append(&page)?;
        if first == INVALID_BLKNO {
            first = blkno;
        }
    }
    Ok(first)
}

/// Reads `len` parameters from page `first` on, one share lock at a time. Whoever read the metapage has bounded `len` by
/// the length of the file.
pub fn read<P: Pages>(pages: &P, first: Blkno, len: usize) -> Result<Vec<f32>, Error> {
    let mut floats = Vec::with_capacity(len);
    for i in 0..n_pages(len) as Blkno {
        let blkno = first.wrapping_add(i);
        let page = pages.read(blkno)?;
        page.check(blkno, PageKind::Model, NO_OWNER)?;
        let wanted = (len - floats.len()).min(PAGE_FLOATS);
        let bytes = page.body().get(..wanted * size_of::<f32>()).unwrap_or_default();
        floats.extend(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)));
        drop(page);
        pages.check_interrupts();
    }
    if floats.iter().any(|x| !x.is_finite()) {
        return Err(Error::corrupted(first, "a trained parameter is not finite"));
    }
    Ok(floats)
}
