//! DIRECTORY: for each list its slots in the packed area and its chain of overflow extents.

use ann::codec::LANES;

use crate::bytes::{f32_at, put, put_u32, u32_at, u64_at};
use crate::error::Error;
use crate::lists::InvertedLists;
use crate::lists::extent::{Extent, ExtentPages, VectorPages};
use crate::page::{BODY_SIZE, Blkno, INVALID_BLKNO, NO_OWNER, Page, PageKind};
use crate::store::Pages;

/// Bytes of an entry.
pub const ENTRY_SIZE: usize = 32;
/// Entries of a page.
pub const ENTRIES: usize = BODY_SIZE / ENTRY_SIZE;

const FIRST: usize = 0;
const N_SLOTS: usize = 8;
const OVERFLOW_FIRST: usize = 12;
const INSERT_OVERFLOW: usize = 16;
const INSERT_SLOT: usize = 20;
const RADIUS: usize = 24;

/// Where a list is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// Its first slot in the packed area; never changes.
    pub first: u64,
    /// Its slots there; never changes.
    pub n_slots: u32,
    /// First overflow extent, INVALID without one; never changes once set.
    pub overflow_first: Blkno,
    /// A hint: the first overflow extent that may have room, INVALID without one.
    pub insert_overflow: Blkno,
    /// A hint: the first of the packed slots that may be free, counted from `first`; `n_slots` if none is.
    pub insert_slot: u32,
    /// Largest coarse distance of a member; never lowered.
    pub radius: f32,
}

impl Entry {
    /// A list without rows.
    pub const EMPTY: Self = Self {
        first: 0,
        n_slots: 0,
        overflow_first: INVALID_BLKNO,
        insert_overflow: INVALID_BLKNO,
        insert_slot: 0,
        radius: f32::NEG_INFINITY,
    };

    /// Its slots in the packed area.
    pub fn packed(&self, lists: &InvertedLists, list_no: u32) -> Extent<'static> {
        let vectors = match lists.layout.vectors {
            Some(_) => VectorPages::Packed(lists.vectors_first),
            None => VectorPages::None,
        };
        Extent {
            pages: ExtentPages::Packed(lists.codes_first),
            vectors,
            list_no,
            header: 0,
            block_units: lists.layout.block_units,
            first: self.first,
            end: self.first + u64::from(self.n_slots),
        }
    }
}

/// Number of DIRECTORY pages for `nlist` lists.
pub fn n_pages(nlist: usize) -> u64 {
    nlist.div_ceil(ENTRIES) as u64
}

/// The page and the byte offset in its body of a list's entry.
pub fn place(lists: &InvertedLists, list_no: u32) -> Result<(Blkno, usize), Error> {
    let no = list_no as usize;
    if no >= lists.nlist {
        let what = format!("there is no list {list_no} among {}", lists.nlist);
        return Err(Error::corrupted(lists.directory_first, what));
    }
    // Whoever read the metapage made sure that the directory lies within the file.
    let blkno = lists.directory_first.wrapping_add((no / ENTRIES) as Blkno);
    Ok((blkno, no % ENTRIES * ENTRY_SIZE))
}

/// The entry at byte offset `at`, whose slots must lie in the packed area.
fn entry_at(page: &Page, blkno: Blkno, at: usize, lists: &InvertedLists) -> Result<Entry, Error> {
    let body = page.body();
    let entry = Entry {
        first: u64_at(body, at + FIRST),
        n_slots: u32_at(body, at + N_SLOTS),
        overflow_first: u32_at(body, at + OVERFLOW_FIRST),
        insert_overflow: u32_at(body, at + INSERT_OVERFLOW),
        insert_slot: u32_at(body, at + INSERT_SLOT),
        radius: f32_at(body, at + RADIUS),
    };
    let n = u64::from(entry.n_slots);
    let is_aligned = !lists.layout.has_code
        || entry.first.is_multiple_of(LANES as u64) && n.is_multiple_of(LANES as u64);
    let is_sound = entry.first.checked_add(n).is_some_and(|end| end <= lists.n_slots)
        && is_aligned
        && entry.insert_slot <= entry.n_slots
        && (entry.overflow_first == INVALID_BLKNO) == (entry.insert_overflow == INVALID_BLKNO);
    if !is_sound {
        return Err(Error::corrupted(blkno, "directory entry is out of range"));
    }
    Ok(entry)
}

/// Writes the entry at byte offset `at`, inside an edit or a build.
pub fn put_entry(page: &mut Page, at: usize, entry: Entry) {
    let body = page.body_mut();
    put(body, at + FIRST, &entry.first.to_le_bytes());
    put_u32(body, at + N_SLOTS, entry.n_slots);
    put_u32(body, at + OVERFLOW_FIRST, entry.overflow_first);
    put_u32(body, at + INSERT_OVERFLOW, entry.insert_overflow);
    put_u32(body, at + INSERT_SLOT, entry.insert_slot);
    put(body, at + RADIUS, &entry.radius.to_le_bytes());
    page.set_used(page.used().max(at + ENTRY_SIZE));
}

/// Reads a list's entry under a share lock of its page, released on return.
pub fn read<P: Pages>(pages: &P, lists: &InvertedLists, list_no: u32) -> Result<Entry, Error> {
    let (blkno, _) = place(lists, list_no)?;
    let page = pages.read(blkno)?;
    locked_entry(&page, lists, list_no)
}

/// Reads a list's entry from a page that the caller has locked.
pub fn locked_entry(page: &Page, lists: &InvertedLists, list_no: u32) -> Result<Entry, Error> {
    let (blkno, at) = place(lists, list_no)?;
    page.check(blkno, PageKind::Directory, NO_OWNER)?;
    entry_at(page, blkno, at, lists)
}

/// Changes a list's entry under an exclusive lock of its page, if `change` says so by returning the new entry.
pub fn change<P: Pages>(
    pages: &P,
    lists: &InvertedLists,
    list_no: u32,
    change: impl FnOnce(Entry) -> Option<Entry>,
) -> Result<(), Error> {
    let (blkno, at) = place(lists, list_no)?;
    let mut page = pages.lock(blkno)?;
    let Some(entry) = change(locked_entry(&page, lists, list_no)?) else { return Ok(()) };
    pages.edit(&mut [&mut page], |images| {
        for image in images {
            put_entry(image, at, entry);
        }
        Ok(())
    })
}
