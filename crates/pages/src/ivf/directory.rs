//! DIRECTORY: where each inverted list starts.

use crate::bytes::{put_u32, u32_at};
use crate::error::Error;
use crate::meta::Meta;
use crate::page::{Blkno, INVALID_BLKNO, NO_OWNER, Page, PageKind};
use crate::store::Pages;

/// Bytes of an entry.
pub const ENTRY_SIZE: usize = 16;
/// Entries of a page.
pub const ENTRIES: usize = crate::page::BODY_SIZE / ENTRY_SIZE;
const FIRST: usize = 0;
const INSERT: usize = 4;

/// Where a list is. Both INVALID while the list has no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// First LIST page of the chain; never changes once set.
    pub first: Blkno,
    /// A hint: the first page of the chain that may have room. Always a page of this chain.
    pub insert: Blkno,
}

impl Entry {
    /// The entry of a list without a page.
    pub const EMPTY: Self = Self { first: INVALID_BLKNO, insert: INVALID_BLKNO };

    /// Whether the list has no page.
    pub fn is_empty(&self) -> bool {
        self.first == INVALID_BLKNO
    }
}

/// Number of DIRECTORY pages for `nlist` lists.
pub fn n_pages(nlist: usize) -> u64 {
    nlist.div_ceil(ENTRIES) as u64
}

/// The page and the byte offset in its body of a list's entry. `list_no` must be a list of `meta`.
pub fn place(meta: &Meta, list_no: u32) -> Result<(Blkno, usize), Error> {
    place_among(meta, list_no, ENTRY_SIZE)
}

/// The same where an entry has `entry_size` bytes.
pub(crate) fn place_among(
    meta: &Meta,
    list_no: u32,
    entry_size: usize,
) -> Result<(Blkno, usize), Error> {
    let (no, entries) = (list_no as usize, crate::page::BODY_SIZE / entry_size);
    if no >= meta.nlist {
        let what = format!("there is no list {list_no} among {}", meta.nlist);
        return Err(Error::corrupted(meta.directory_first, what));
    }
    // Meta::read made sure that the directory lies within the file.
    Ok((meta.directory_first.wrapping_add((no / entries) as Blkno), no % entries * entry_size))
}

/// The entry at byte offset `at` of a DIRECTORY page. An entry with only one page set is damage.
pub fn entry_at(page: &Page, blkno: Blkno, at: usize) -> Result<Entry, Error> {
    let body = page.body();
    let entry = Entry { first: u32_at(body, at + FIRST), insert: u32_at(body, at + INSERT) };
    if (entry.first == INVALID_BLKNO) != (entry.insert == INVALID_BLKNO) {
        return Err(Error::corrupted(blkno, "directory entry has a first or an insert page only"));
    }
    Ok(entry)
}

/// Writes the entry at byte offset `at`, inside an edit or a build.
pub fn put_entry(page: &mut Page, at: usize, entry: Entry) {
    put_u32(page.body_mut(), at + FIRST, entry.first);
    put_u32(page.body_mut(), at + INSERT, entry.insert);
    page.set_used(page.used().max(at + ENTRY_SIZE));
}

/// Reads a list's entry under a share lock of its page, released on return.
pub fn read<P: Pages>(pages: &P, meta: &Meta, list_no: u32) -> Result<Entry, Error> {
    let (blkno, at) = place(meta, list_no)?;
    let page = pages.read(blkno)?;
    page.check(blkno, PageKind::Directory, NO_OWNER)?;
    entry_at(&page, blkno, at)
}

/// Moves the insert hint of a list to `to`, if it still is `from`. A hint: no harm if it is lost.
pub fn move_hint<P: Pages>(
    pages: &P,
    meta: &Meta,
    list_no: u32,
    from: Blkno,
    to: Blkno,
) -> Result<(), Error> {
    let (blkno, at) = place(meta, list_no)?;
    let mut page = pages.lock(blkno)?;
    page.check(blkno, PageKind::Directory, NO_OWNER)?;
    let entry = entry_at(&page, blkno, at)?;
    if entry.insert != from || from == to || entry.is_empty() {
        return Ok(());
    }
    pages.edit(&mut [&mut page], |images| {
        for image in images {
            put_entry(image, at, Entry { insert: to, ..entry });
        }
        Ok(())
    })
}
