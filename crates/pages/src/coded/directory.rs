//! DIRECTORY of a coded index: for each list its blocks in the packed area and its chain of shelves.

use crate::bytes::{f32_at, put, put_u32, u32_at};
use crate::error::Error;
use crate::ivf::directory::place_among;
use crate::meta::Meta;
use crate::page::{BODY_SIZE, Blkno, INVALID_BLKNO, NO_OWNER, Page, PageKind};
use crate::store::Pages;

/// Bytes of an entry.
pub const ENTRY_SIZE: usize = 32;
/// Entries of a page.
pub const ENTRIES: usize = BODY_SIZE / ENTRY_SIZE;

const START: usize = 0;
const N_BLOCKS: usize = 4;
const SHELF_FIRST: usize = 8;
const INSERT_SHELF: usize = 12;
const INSERT_BLOCK: usize = 16;
const RADIUS: usize = 20;

/// Where a list is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// Its first block in the packed area; never changes.
    pub start: u32,
    /// Its blocks there; never changes.
    pub n_blocks: u32,
    /// First shelf, INVALID without one; never changes once set.
    pub shelf_first: Blkno,
    /// A hint: the first shelf that may have room, INVALID without a shelf.
    pub insert_shelf: Blkno,
    /// A hint: the first of the packed blocks that may have room; `n_blocks` if none has.
    pub insert_block: u32,
    /// Largest coarse distance of a member; never lowered.
    pub radius: f32,
}

impl Entry {
    /// A list without rows.
    pub const EMPTY: Self = Self {
        start: 0,
        n_blocks: 0,
        shelf_first: INVALID_BLKNO,
        insert_shelf: INVALID_BLKNO,
        insert_block: 0,
        radius: f32::NEG_INFINITY,
    };
}

/// Number of DIRECTORY pages for `nlist` lists.
pub fn n_pages(nlist: usize) -> u64 {
    nlist.div_ceil(ENTRIES) as u64
}

/// The page and the byte offset in its body of a list's entry.
pub fn place(meta: &Meta, list_no: u32) -> Result<(Blkno, usize), Error> {
    place_among(meta, list_no, ENTRY_SIZE)
}

/// The entry at byte offset `at`, whose blocks must lie in a packed area of `n_code_blocks`.
fn entry_at(page: &Page, blkno: Blkno, at: usize, n_code_blocks: u32) -> Result<Entry, Error> {
    let body = page.body();
    let entry = Entry {
        start: u32_at(body, at + START),
        n_blocks: u32_at(body, at + N_BLOCKS),
        shelf_first: u32_at(body, at + SHELF_FIRST),
        insert_shelf: u32_at(body, at + INSERT_SHELF),
        insert_block: u32_at(body, at + INSERT_BLOCK),
        radius: f32_at(body, at + RADIUS),
    };
    let end = u64::from(entry.start) + u64::from(entry.n_blocks);
    let is_sound = end <= u64::from(n_code_blocks)
        && entry.insert_block <= entry.n_blocks
        && (entry.shelf_first == INVALID_BLKNO) == (entry.insert_shelf == INVALID_BLKNO);
    if !is_sound {
        return Err(Error::corrupted(blkno, "directory entry is out of range"));
    }
    Ok(entry)
}

/// Writes the entry at byte offset `at`, inside an edit or a build.
pub fn put_entry(page: &mut Page, at: usize, entry: Entry) {
    let body = page.body_mut();
    put_u32(body, at + START, entry.start);
    put_u32(body, at + N_BLOCKS, entry.n_blocks);
    put_u32(body, at + SHELF_FIRST, entry.shelf_first);
    put_u32(body, at + INSERT_SHELF, entry.insert_shelf);
    put_u32(body, at + INSERT_BLOCK, entry.insert_block);
    put(body, at + RADIUS, &entry.radius.to_le_bytes());
    page.set_used(page.used().max(at + ENTRY_SIZE));
}

/// Reads a list's entry under a share lock of its page, released on return.
pub fn read<P: Pages>(pages: &P, meta: &Meta, list_no: u32) -> Result<Entry, Error> {
    let (blkno, at) = place(meta, list_no)?;
    let page = pages.read(blkno)?;
    page.check(blkno, PageKind::Directory, NO_OWNER)?;
    entry_at(&page, blkno, at, meta.n_code_blocks())
}

/// Changes a list's entry under an exclusive lock of its page, if `change` says so by returning the new entry.
pub fn change<P: Pages>(
    pages: &P,
    meta: &Meta,
    list_no: u32,
    change: impl FnOnce(Entry) -> Option<Entry>,
) -> Result<(), Error> {
    let (blkno, at) = place(meta, list_no)?;
    let mut page = pages.lock(blkno)?;
    page.check(blkno, PageKind::Directory, NO_OWNER)?;
    let Some(entry) = change(entry_at(&page, blkno, at, meta.n_code_blocks())?) else {
        return Ok(());
    };
    pages.edit(&mut [&mut page], |images| {
        for image in images {
            put_entry(image, at, entry);
        }
        Ok(())
    })
}

/// Reads a list's entry from a page that the caller has locked.
pub fn locked_entry(page: &Page, meta: &Meta, list_no: u32) -> Result<Entry, Error> {
    let (blkno, at) = place(meta, list_no)?;
    page.check(blkno, PageKind::Directory, NO_OWNER)?;
    entry_at(page, blkno, at, meta.n_code_blocks())
}
