//! ENTRY: where searches start, and where inserts look for room.

use ann::hnsw::MAX_LEVEL;

use crate::bytes::{put, put_u16, put_u32, u16_at, u32_at};
use crate::error::Error;
use crate::hnsw::INVALID_NODE;
use crate::hnsw::meta::Meta;
use crate::page::{Blkno, INVALID_BLKNO, NO_OWNER, Page, PageKind};
use crate::store::Pages;

const NODE: usize = 0;
const LEVEL: usize = 4;
const ROOM_CHUNK: usize = 8;
const UPPER_LAST: usize = 12;
const UPPER_ROOM: usize = 16;
const MISPLACED: usize = 20;
const WALKS_BY: usize = 22;
const COUNTED_FROM: usize = 24;
const SPARSE_LAST: usize = 28;
const SPARSE_ROOM: usize = 32;
const USED: usize = 36;

/// What ENTRY says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Where searches start; INVALID: there is no node.
    pub node: u32,
    /// The level it starts at: the node's own.
    pub level: u8,
    /// A hint: no chunk before this one has room for a node.
    pub room_chunk: u32,
    /// The newest UPPER page, head of their chain; INVALID: there is none.
    pub upper_last: Blkno,
    /// A hint: records freed by vacuum are on this UPPER page or on those before it; INVALID: there is no room but on
    /// `upper_last`.
    pub upper_room: Blkno,
    /// Searches go by the vectors, since codes lose too much. Never taken back.
    pub by_vectors: bool,
    /// Of the rows looked at lately, those whose codes misplaced what was nearest to them.
    pub misplaced: u16,
    /// How many ids there were when the last of these was counted.
    pub counted_from: u32,
    /// Over sparse vectors: the newest SPARSE page, head of their chain; INVALID: there is none.
    pub sparse_last: Blkno,
    /// A hint: rows freed by vacuum were on this SPARSE page or on those before it; INVALID: there is no room but on
    /// `sparse_last`.
    pub sparse_room: Blkno,
}

impl Entry {
    /// Of a graph without nodes.
    pub const EMPTY: Self = Self {
        node: INVALID_NODE,
        level: 0,
        room_chunk: 0,
        upper_last: INVALID_BLKNO,
        upper_room: INVALID_BLKNO,
        by_vectors: false,
        misplaced: 0,
        counted_from: 0,
        sparse_last: INVALID_BLKNO,
        sparse_room: INVALID_BLKNO,
    };

    /// Decodes a locked ENTRY page.
    pub fn decode(page: &Page, blkno: Blkno) -> Result<Self, Error> {
        page.check(blkno, PageKind::Entry, NO_OWNER)?;
        let body = page.body();
        let level = u16_at(body, LEVEL);
        if level > u16::from(MAX_LEVEL) {
            return Err(Error::corrupted(blkno, format!("entry is at level {level}")));
        }
        let walks_by = u16_at(body, WALKS_BY);
        if walks_by > 1 {
            return Err(Error::corrupted(blkno, format!("searches go by no known {walks_by}")));
        }
        Ok(Self {
            node: u32_at(body, NODE),
            level: level as u8,
            room_chunk: u32_at(body, ROOM_CHUNK),
            upper_last: u32_at(body, UPPER_LAST),
            upper_room: u32_at(body, UPPER_ROOM),
            by_vectors: walks_by != 0,
            misplaced: u16_at(body, MISPLACED),
            counted_from: u32_at(body, COUNTED_FROM),
            sparse_last: u32_at(body, SPARSE_LAST),
            sparse_room: u32_at(body, SPARSE_ROOM),
        })
    }

    /// Writes it into an ENTRY page, inside an edit.
    pub fn put(&self, page: &mut Page) {
        let body = page.body_mut();
        put(body, NODE, &self.node.to_le_bytes());
        put_u16(body, LEVEL, u16::from(self.level));
        put_u32(body, ROOM_CHUNK, self.room_chunk);
        put_u32(body, UPPER_LAST, self.upper_last);
        put_u32(body, UPPER_ROOM, self.upper_room);
        put_u16(body, MISPLACED, self.misplaced);
        put_u16(body, WALKS_BY, u16::from(self.by_vectors));
        put_u32(body, COUNTED_FROM, self.counted_from);
        put_u32(body, SPARSE_LAST, self.sparse_last);
        put_u32(body, SPARSE_ROOM, self.sparse_room);
        page.set_used(USED);
    }

    /// A fresh ENTRY page.
    pub fn to_page(&self) -> Page {
        let mut page = Page::new(PageKind::Entry, NO_OWNER);
        self.put(&mut page);
        page
    }

    /// Reads ENTRY under a share lock.
    pub fn read<P: Pages>(pages: &P, meta: &Meta) -> Result<Self, Error> {
        let page = pages.read(meta.entry_blkno)?;
        Self::decode(&page, meta.entry_blkno)
    }

    /// Changes ENTRY under an exclusive lock, by one record, if `change` gives something else for what it finds.
    pub fn change<P: Pages>(
        pages: &P,
        meta: &Meta,
        change: impl FnOnce(Self) -> Self,
    ) -> Result<Self, Error> {
        let mut page = pages.lock(meta.entry_blkno)?;
        let found = Self::decode(&page, meta.entry_blkno)?;
        let entry = change(found);
        if entry != found {
            pages.edit(&mut [&mut page], |images| {
                images.iter_mut().for_each(|image| entry.put(image));
                Ok(())
            })?;
        }
        Ok(entry)
    }
}
