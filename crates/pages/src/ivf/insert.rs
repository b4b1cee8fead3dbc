//! Insert one row. Locks and WAL atoms are in `README.md`.

use ann::element::Element;

use crate::error::Error;
use crate::ivf::directory::{self, Entry};
use crate::ivf::list::{Chain, ListHeader};
use crate::meta::{META_BLKNO, Meta};
use crate::page::{Blkno, INVALID_BLKNO, NO_OWNER, PageKind};
use crate::store::{EDIT_PAGES_MAX, Pages};
use crate::tid::Tid;

/// Adds a row to list `list_no` (0 when untrained). `vector` has the index's dimension and element
/// type, `norm_sqr` is its squared norm by the canonical kernel, `coarse_distance` what the coarse
/// quantizer gave (under cosine for the unit vector; 0 when untrained). When it returns, the row is
/// in the index; if it fails or the server dies on the way, it is not, and no page is worse than
/// leaked.
pub fn insert<P: Pages, E: Element>(
    pages: &P,
    meta: &Meta,
    list_no: u32,
    tid: Tid,
    vector: &[E],
    norm_sqr: f32,
    coarse_distance: f32,
) -> Result<(), Error> {
    let bytes: &[u8] = bytemuck::cast_slice(vector);
    if meta.element != E::TAG || bytes.len() != meta.geometry.vector_size() || tid.is_free() {
        return Err(Error::corrupted(META_BLKNO, "row does not fit the metapage"));
    }
    let row = Row { list_no, tid, bytes, norm_sqr, coarse_distance };
    let hint = first_page(pages, meta, list_no)?.insert;
    let mut blkno = hint;
    let mut chain = Chain::new(blkno);
    loop {
        // A share lock first: walking over full pages must not hold up their readers.
        let next = {
            let page = pages.read(blkno)?;
            let header = ListHeader::read(&page, blkno, list_no, &meta.layout)?;
            if header.has_room(&meta.layout) { None } else { Some(header.next) }
        };
        match next {
            Some(next) if next != INVALID_BLKNO => {
                chain.advance(blkno, next)?;
                blkno = next;
                pages.breathe();
            }
            Some(_) => extend_chain(pages, meta, blkno, list_no)?,
            None if put_row(pages, meta, blkno, &row)? => break,
            // Somebody else took the last slot between the two locks.
            None => {}
        }
    }
    if blkno != hint {
        directory::move_hint(pages, meta, list_no, hint, blkno)?;
    }
    Ok(())
}

struct Row<'a> {
    list_no: u32,
    tid: Tid,
    bytes: &'a [u8],
    norm_sqr: f32,
    coarse_distance: f32,
}

/// The list's directory entry, after giving the list its first page if it has none: exclusive on
/// the DIRECTORY page, then the new page, both in one record.
fn first_page<P: Pages>(pages: &P, meta: &Meta, list_no: u32) -> Result<Entry, Error> {
    let entry = directory::read(pages, meta, list_no)?;
    if !entry.is_empty() {
        return Ok(entry);
    }
    let (blkno, at) = directory::place(meta, list_no)?;
    let mut page = pages.lock(blkno)?;
    page.check(blkno, PageKind::Directory, NO_OWNER)?;
    let entry = directory::entry_at(&page, blkno, at)?;
    if !entry.is_empty() {
        return Ok(entry);
    }
    let mut list = pages.allocate()?;
    let first = pages.blkno(&list);
    let entry = Entry { first, insert: first };
    pages.edit(&mut [&mut page, &mut list], |images| {
        if let [page, list] = images {
            list.init(PageKind::List, list_no);
            ListHeader::default().write(list, &meta.layout);
            directory::put_entry(page, at, entry);
        }
        Ok(())
    })?;
    Ok(entry)
}

/// Links an empty page behind the last page of the chain, unless somebody else just did.
fn extend_chain<P: Pages>(pages: &P, meta: &Meta, last: Blkno, list_no: u32) -> Result<(), Error> {
    let mut tail = pages.lock(last)?;
    let header = ListHeader::read(&tail, last, list_no, &meta.layout)?;
    if header.next != INVALID_BLKNO {
        return Ok(());
    }
    let mut page = pages.allocate()?;
    let next = pages.blkno(&page);
    pages.edit(&mut [&mut tail, &mut page], |images| {
        if let [tail, page] = images {
            page.init(PageKind::List, list_no);
            ListHeader::default().write(page, &meta.layout);
            ListHeader { next, ..header }.write(tail, &meta.layout);
        }
        Ok(())
    })
}

/// Puts the row into a slot of LIST page `blkno`, under its exclusive lock; false if it is full.
/// The record that names the tid is the last one.
fn put_row<P: Pages>(pages: &P, meta: &Meta, blkno: Blkno, row: &Row<'_>) -> Result<bool, Error> {
    let layout = &meta.layout;
    let mut list = pages.lock(blkno)?;
    let mut header = ListHeader::read(&list, blkno, row.list_no, layout)?;
    if !header.has_room(layout) {
        return Ok(false);
    }
    header.widen(row.coarse_distance);
    let slot = if header.n_free > 0 {
        header.n_free -= 1;
        (0..header.n_slots)
            .find(|slot| layout.tid_of(&list, *slot).is_free())
            .ok_or_else(|| Error::corrupted(blkno, "LIST page miscounts its free slots"))?
    } else {
        header.n_slots += 1;
        header.n_slots - 1
    };
    let (block, lane) = (slot / layout.block_vectors, slot % layout.block_vectors);
    let is_new = block == header.n_blocks;
    header.n_blocks += usize::from(is_new);

    let n = layout.block_pages;
    let mut blknos = Vec::with_capacity(n);
    let mut locked: Vec<P::Write<'_>> = Vec::with_capacity(EDIT_PAGES_MAX);
    for j in 0..n {
        let page = if is_new {
            pages.allocate()?
        } else {
            let data = layout.page_of(&list, block, j);
            lock_data(pages, data, row.list_no, &blknos, blkno)?
        };
        blknos.push(pages.blkno(&page));
        locked.push(page);
        // More pages than one record takes: write these now, nobody refers to the slot yet.
        if n >= EDIT_PAGES_MAX && (locked.len() == EDIT_PAGES_MAX || j + 1 == n) {
            let first = j + 1 - locked.len();
            let mut refs: Vec<_> = locked.iter_mut().collect();
            pages.edit(&mut refs, |images| {
                write_rows(meta, row, lane, is_new, first, images);
                Ok(())
            })?;
            locked.clear();
        }
    }
    let mut refs: Vec<_> = locked.iter_mut().collect();
    refs.push(&mut list);
    pages.edit(&mut refs, |images| {
        let Some((list, data)) = images.split_last_mut() else { return Ok(()) };
        write_rows(meta, row, lane, is_new, 0, data);
        if is_new {
            layout.put_block(list, block, &blknos);
        }
        layout.put_slot(list, slot, row.tid, row.norm_sqr);
        header.write(list, layout);
        Ok(())
    })?;
    Ok(true)
}

/// Exclusive-locks a DATA page that a LIST page names. A damaged LIST page may name a page twice:
/// waiting for a lock one holds already would never end.
fn lock_data<'p, P: Pages>(
    pages: &'p P,
    data: Blkno,
    list_no: u32,
    held: &[Blkno],
    list: Blkno,
) -> Result<P::Write<'p>, Error> {
    if data == list || held.contains(&data) {
        return Err(Error::corrupted(list, "LIST page names a page twice"));
    }
    let page = pages.lock(data)?;
    page.check(data, PageKind::Data, list_no)?;
    Ok(page)
}

/// Writes the slices of pages `first ..` of the block into their images.
fn write_rows(
    meta: &Meta,
    row: &Row<'_>,
    lane: usize,
    is_new: bool,
    first: usize,
    images: &mut [&mut crate::page::Page],
) {
    for (j, image) in images.iter_mut().enumerate() {
        if is_new {
            image.init(PageKind::Data, row.list_no);
        }
        meta.geometry.write_row(image, first + j, lane, row.bytes);
    }
}
