//! One 8 kB page: PostgreSQL's header, a body, and this crate's 16-byte opaque area.
//! The byte picture is in `README.md`.

use bytemuck::{Pod, Zeroable};

use crate::error::Error;

/// Bytes of a page.
pub const PAGE_SIZE: usize = 8192;
/// Where the body starts (PostgreSQL's page header ends).
pub const BODY_START: usize = 24;
/// Where the body ends and the opaque area starts: `pd_upper` and `pd_special` of every page.
pub const BODY_END: usize = PAGE_SIZE - 16;
/// Bytes of a body.
pub const BODY_SIZE: usize = BODY_END - BODY_START;

/// A block number.
pub type Blkno = u32;
/// No block.
pub const INVALID_BLKNO: Blkno = u32::MAX;
/// Where META is.
pub const META_BLKNO: Blkno = 0;
/// Owner of the pages that belong to no inverted list.
pub const NO_OWNER: u32 = u32::MAX;

const PD_LOWER: usize = 12;
const PD_UPPER: usize = 14;
const PD_SPECIAL: usize = 16;
const PD_PAGESIZE_VERSION: usize = 18;
const PD_PRUNE_XID: usize = 20;
/// Page size 8192 and page layout version 4, as PostgreSQL packs them.
const PAGESIZE_VERSION: u16 = 8192 | 4;

const KIND: usize = BODY_END;
const OWNER: usize = BODY_END + 4;
const GENERATION: usize = BODY_END + 8;
const VERSION: usize = BODY_END + 12;
const PAGE_ID: usize = BODY_END + 14;
/// Version of the opaque area.
const OPAQUE_VERSION: u16 = 1;
/// The last two bytes of every page of this extension (as `pg_filedump` likes them).
const PAGE_ID_VALUE: u16 = 0xFA15;

/// What a page holds. The numbers are on disk and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum PageKind {
    /// Block 0.
    Meta = 1,
    /// Where each inverted list starts.
    Directory = 3,
    /// Slices of vectors.
    Data = 5,
    /// Unlinked by vacuum, may become anything.
    Free = 6,
    /// Blocks of entries: the packed area (no owner), or a further page of an overflow extent.
    Codes = 7,
    /// First page of an overflow extent: blocks that inserts added to one list.
    Overflow = 8,
    /// Trained parameters of a code.
    Model = 9,
    /// Graph: which pages each chunk of nodes has.
    Map = 10,
    /// Graph: codes, rows and states of nodes.
    Nodes = 11,
    /// Graph: links of level 0, chains of duplicates.
    Links = 12,
    /// Graph: links of the levels above.
    Upper = 13,
    /// Graph: where searches start, where inserts look for room.
    Entry = 14,
    /// Graph: vectors of any length, which name only their elements other than zero.
    Sparse = 15,
    /// Graph: attributes of rows.
    Attributes = 16,
}

impl PageKind {
    /// The kind with number `n`.
    pub fn from_u16(n: u16) -> Option<Self> {
        Some(match n {
            1 => Self::Meta,
            3 => Self::Directory,
            5 => Self::Data,
            6 => Self::Free,
            7 => Self::Codes,
            8 => Self::Overflow,
            9 => Self::Model,
            10 => Self::Map,
            11 => Self::Nodes,
            12 => Self::Links,
            13 => Self::Upper,
            14 => Self::Entry,
            15 => Self::Sparse,
            16 => Self::Attributes,
            _ => return None,
        })
    }

    /// Its name in the README and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "META",
            Self::Directory => "DIRECTORY",
            Self::Data => "DATA",
            Self::Free => "FREE",
            Self::Codes => "CODES",
            Self::Overflow => "OVERFLOW",
            Self::Model => "MODEL",
            Self::Map => "MAP",
            Self::Nodes => "NODES",
            Self::Links => "LINKS",
            Self::Upper => "UPPER",
            Self::Entry => "ENTRY",
            Self::Sparse => "SPARSE",
            Self::Attributes => "ATTRIBUTES",
        }
    }
}

/// The bytes of a page. Any bytes are a `Page`, so a shared buffer can be viewed as one in place;
/// what they mean is checked by [`Page::check`] and by each page kind's reader.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct Page([u8; PAGE_SIZE]);

const _: () = assert!(size_of::<Page>() == PAGE_SIZE && align_of::<Page>() == 8);

impl Default for Page {
    fn default() -> Self {
        Self::zeroed()
    }
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Page({:?}, owner {}, used {})", self.kind(), self.owner(), self.used())
    }
}

impl Page {
    /// A fresh page of a kind, header fields that the store sets (LSN, checksum, flags) zero.
    pub fn new(kind: PageKind, owner: u32) -> Self {
        let mut page = Self::zeroed();
        page.init(kind, owner);
        page
    }

    /// Makes it an empty page of `kind`: the header fields PageInit sets, a zero body, the opaque
    /// area. `pd_lsn`, `pd_checksum` and `pd_flags` are the store's and stay as they are.
    pub fn init(&mut self, kind: PageKind, owner: u32) {
        self.0[PD_LOWER..].fill(0);
        self.put_u16(PD_LOWER, BODY_START as u16);
        self.put_u16(PD_UPPER, BODY_END as u16);
        self.put_u16(PD_SPECIAL, BODY_END as u16);
        self.put_u16(PD_PAGESIZE_VERSION, PAGESIZE_VERSION);
        self.put_u32(PD_PRUNE_XID, 0);
        self.put_u16(KIND, kind as u16);
        self.put_u32(OWNER, owner);
        self.put_u16(VERSION, OPAQUE_VERSION);
        self.put_u16(PAGE_ID, PAGE_ID_VALUE);
    }

    /// Makes it `other`, but for the fields that are the store's: `pd_lsn`, `pd_checksum` and `pd_flags`.
    pub fn copy_from(&mut self, other: &Page) {
        self.0[PD_LOWER..].copy_from_slice(&other.0[PD_LOWER..]);
    }

    /// The kind, if this is a page of this extension.
    pub fn kind(&self) -> Option<PageKind> {
        if self.u16_at(PAGE_ID) != PAGE_ID_VALUE || self.u16_at(VERSION) != OPAQUE_VERSION {
            return None;
        }
        PageKind::from_u16(self.u16_at(KIND))
    }

    /// The list or the chunk of nodes that the page belongs to, else [`NO_OWNER`].
    pub fn owner(&self) -> u32 {
        self.u32_at(OWNER)
    }

    /// The build that the page belongs to, as META of inverted lists counts them; else 0.
    pub fn generation(&self) -> u32 {
        self.u32_at(GENERATION)
    }

    /// Says which build the page belongs to.
    pub fn set_generation(&mut self, generation: u32) {
        self.put_u32(GENERATION, generation);
    }

    /// Whether it is a page of this kind and owner.
    #[inline]
    pub fn is(&self, kind: PageKind, owner: u32) -> bool {
        self.u16_at(KIND) == kind as u16
            && self.u32_at(OWNER) == owner
            && self.u16_at(VERSION) == OPAQUE_VERSION
            && self.u16_at(PAGE_ID) == PAGE_ID_VALUE
    }

    /// Never initialised (PostgreSQL's PageIsNew): the state after an extension.
    pub fn is_new(&self) -> bool {
        self.u16_at(PD_UPPER) == 0
    }

    /// Whether a page offered by the free space map (which is not crash safe) may be overwritten:
    /// it is all zero or was freed by vacuum. Every [`crate::store::Pages::allocate`] asks this.
    pub fn is_reusable(&self) -> bool {
        if self.is_new() {
            return self.0.iter().all(|&b| b == 0);
        }
        self.is(PageKind::Free, NO_OWNER)
    }

    /// [`Error::Corrupted`] unless the page is of this kind and owner and its header is sane.
    #[inline]
    pub fn check(&self, blkno: Blkno, kind: PageKind, owner: u32) -> Result<(), Error> {
        if self.is(kind, owner) && self.has_sane_header() {
            return Ok(());
        }
        Err(self.fault(blkno, kind, owner))
    }

    #[inline]
    fn has_sane_header(&self) -> bool {
        let lower = usize::from(self.u16_at(PD_LOWER));
        (BODY_START..=BODY_END).contains(&lower)
            && usize::from(self.u16_at(PD_UPPER)) == BODY_END
            && usize::from(self.u16_at(PD_SPECIAL)) == BODY_END
    }

    /// Why [`Page::check`] refuses the page.
    #[cold]
    fn fault(&self, blkno: Blkno, kind: PageKind, owner: u32) -> Error {
        let what = match self.kind() {
            None => format!("is not a {} page", kind.name()),
            Some(found) if found != kind => {
                format!("is a {} page where a {} page belongs", found.name(), kind.name())
            }
            _ if self.owner() != owner => format!("has owner {}, not {owner}", self.owner()),
            _ => "has a damaged page header".to_owned(),
        };
        Error::corrupted(blkno, what)
    }

    /// The body, used part and hole.
    #[inline]
    pub fn body(&self) -> &[u8] {
        &self.0[BODY_START..BODY_END]
    }

    /// The body, to be written inside an edit. What lies beyond [`Page::used`] is not kept.
    #[inline]
    pub fn body_mut(&mut self) -> &mut [u8] {
        &mut self.0[BODY_START..BODY_END]
    }

    /// Sets how many bytes of the body are used (`pd_lower`), at most [`BODY_SIZE`]. The rest is
    /// the hole: neither logged nor kept.
    pub fn set_used(&mut self, len: usize) {
        self.put_u16(PD_LOWER, (BODY_START + len.min(BODY_SIZE)) as u16);
    }

    /// How many bytes of the body are used, at most [`BODY_SIZE`].
    pub fn used(&self) -> usize {
        (self.u16_at(PD_LOWER) as usize).saturating_sub(BODY_START).min(BODY_SIZE)
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8; PAGE_SIZE] {
        &self.0
    }

    /// All bytes, for the store that fills or damages them.
    pub fn bytes_mut(&mut self) -> &mut [u8; PAGE_SIZE] {
        &mut self.0
    }

    /// Zeroes the hole, as writing its WAL record does.
    pub fn clear_hole(&mut self) {
        let used = self.used();
        if let Some(hole) = self.body_mut().get_mut(used..) {
            hole.fill(0);
        }
    }

    #[inline]
    fn u16_at(&self, at: usize) -> u16 {
        crate::bytes::u16_at(&self.0, at)
    }

    #[inline]
    fn u32_at(&self, at: usize) -> u32 {
        crate::bytes::u32_at(&self.0, at)
    }

    fn put_u16(&mut self, at: usize, value: u16) {
        crate::bytes::put(&mut self.0, at, &value.to_le_bytes());
    }

    fn put_u32(&mut self, at: usize, value: u32) {
        crate::bytes::put(&mut self.0, at, &value.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn init_leaves_the_stores_fields_alone() {
        let mut page = Page::zeroed();
        page.bytes_mut().fill(0xAB);
        page.init(PageKind::Overflow, 7);
        assert!(page.bytes()[..12].iter().all(|&b| b == 0xAB));
        assert!(page.body().iter().all(|&b| b == 0));
        assert!(page.is(PageKind::Overflow, 7));
        assert_eq!(page.used(), 0);
        assert!(page.check(3, PageKind::Overflow, 7).is_ok());
        assert!(page.check(3, PageKind::Data, 7).is_err());
        assert!(page.check(3, PageKind::Overflow, 8).is_err());
    }

    #[test]
    fn only_zero_and_free_pages_are_reusable() {
        let mut page = Page::zeroed();
        assert!(page.is_new() && page.is_reusable());
        page.bytes_mut()[100] = 1;
        assert!(!page.is_reusable());
        assert!(Page::new(PageKind::Free, NO_OWNER).is_reusable());
        assert!(!Page::new(PageKind::Data, 0).is_reusable());
    }
}
