//! MAP: which pages each chunk of nodes has. A backend keeps a copy: entries are only added, and a block number, once
//! set, never changes.

use std::cell::{Ref, RefCell};

use ann::hnsw::MAX_NODES;

use crate::bytes::{put_u16, put_u32, u16_at, u32_at};
use crate::chain::Chain;
use crate::error::Error;
use crate::hnsw::meta::Meta;
use crate::hnsw::shape::Shape;
use crate::page::{BODY_SIZE, Blkno, INVALID_BLKNO, NO_OWNER, Page, PageKind};
use crate::store::Pages;

const NEXT: usize = 0;
const N_ENTRIES: usize = 4;
const ENTRIES: usize = 8;

/// Entries that a MAP page has room for.
pub fn entries_max(shape: &Shape) -> usize {
    (BODY_SIZE - ENTRIES) / (4 * shape.pages())
}

/// An empty MAP page, inside an edit.
pub fn init(page: &mut Page) {
    page.init(PageKind::Map, NO_OWNER);
    put_u32(page.body_mut(), NEXT, INVALID_BLKNO);
    page.set_used(ENTRIES);
}

/// The MAP page after this one.
pub fn next(page: &Page) -> Blkno {
    u32_at(page.body(), NEXT)
}

/// Links the MAP page after this one, inside an edit.
pub fn set_next(page: &mut Page, next: Blkno) {
    put_u32(page.body_mut(), NEXT, next);
}

/// Entries of a locked MAP page.
pub fn n_entries(page: &Page, blkno: Blkno, shape: &Shape) -> Result<usize, Error> {
    page.check(blkno, PageKind::Map, NO_OWNER)?;
    let n = usize::from(u16_at(page.body(), N_ENTRIES));
    if n > entries_max(shape) {
        return Err(Error::corrupted(blkno, format!("MAP page counts {n} entries")));
    }
    Ok(n)
}

/// Block number of page `part` of the chunk in an entry.
pub fn block(page: &Page, shape: &Shape, entry: usize, part: usize) -> Blkno {
    u32_at(page.body(), ENTRIES + 4 * (entry * shape.pages() + part))
}

/// Names page `part` of the chunk in an entry, inside an edit.
pub fn set_block(page: &mut Page, shape: &Shape, entry: usize, part: usize, blkno: Blkno) {
    put_u32(page.body_mut(), ENTRIES + 4 * (entry * shape.pages() + part), blkno);
}

/// Adds an entry without pages, inside an edit. The caller has looked for room.
pub fn add_entry(page: &mut Page, shape: &Shape) {
    let entry = usize::from(u16_at(page.body(), N_ENTRIES));
    page.set_used(ENTRIES + 4 * (entry + 1) * shape.pages());
    (0..shape.pages()).for_each(|part| set_block(page, shape, entry, part, INVALID_BLKNO));
    put_u16(page.body_mut(), N_ENTRIES, entry as u16 + 1);
}

/// A backend's copy of the MAP. What it does not know yet it looks up.
#[derive(Debug)]
pub struct Map {
    shape: Shape,
    first: Blkno,
    known: RefCell<Known>,
}

/// Every method that reads pages borrows this only while it holds no page.
#[derive(Debug, Default)]
struct Known {
    /// The MAP pages.
    pages: Vec<Blkno>,
    /// Block numbers, W of each chunk.
    blocks: Vec<Blkno>,
}

impl Map {
    /// Reads the MAP, one share lock at a time.
    pub fn read<P: Pages>(pages: &P, meta: &Meta) -> Result<Self, Error> {
        let (shape, first) = (meta.shape, meta.map_first);
        let map = Self { shape, first, known: RefCell::default() };
        map.refresh(pages)?;
        Ok(map)
    }

    /// Reads what was added since. No lock may be held.
    pub fn refresh<P: Pages>(&self, pages: &P) -> Result<(), Error> {
        let mut known = self.known.borrow_mut();
        let (mut chain, mut by, mut blkno) = match known.pages.last() {
            Some(last) => (Chain::new(*last), *last, *last),
            None => (Chain::new(self.first), self.first, self.first),
        };
        if known.pages.is_empty() {
            known.pages.push(blkno);
        }
        loop {
            let (words, next) = {
                let page = pages.read(blkno)?;
                let n = n_entries(&page, blkno, &self.shape)?;
                (self.copy(&page, n), next(&page))
            };
            let start = (known.pages.len() - 1) * self.page_words();
            known.blocks.truncate(start);
            known.blocks.extend(words);
            if next == INVALID_BLKNO {
                break;
            }
            if known.blocks.len() < known.pages.len() * self.page_words() {
                return Err(Error::corrupted(blkno, "MAP page with room is not the last one"));
            }
            by = std::mem::replace(&mut blkno, next);
            chain.advance(by, next)?;
            known.pages.push(next);
        }
        if known.blocks.len() / self.shape.pages() > (MAX_NODES >> self.shape.chunk_shift) as usize
        {
            return Err(Error::corrupted(by, "MAP names more nodes than there can be"));
        }
        Ok(())
    }

    fn copy(&self, page: &Page, n_entries: usize) -> Vec<Blkno> {
        (0..n_entries * self.shape.pages()).map(|i| u32_at(page.body(), ENTRIES + 4 * i)).collect()
    }

    fn page_words(&self) -> usize {
        entries_max(&self.shape) * self.shape.pages()
    }

    /// Chunks known so far.
    pub fn n_chunks(&self) -> u32 {
        (self.known.borrow().blocks.len() / self.shape.pages()) as u32
    }

    /// Nodes of the chunks known so far: every id of a node is below.
    pub fn n_nodes(&self) -> u32 {
        self.n_chunks() << self.shape.chunk_shift
    }

    /// The block numbers known so far, for many look-ups: see [`Blocks`]. Nothing else of the map may be asked meanwhile.
    #[inline]
    pub fn blocks(&self) -> Blocks<'_> {
        Blocks { blocks: self.known.borrow(), pages: self.shape.pages() }
    }

    /// Page `part` of a chunk as far as known; INVALID: it is not.
    #[inline]
    pub fn cached(&self, chunk: u32, part: usize) -> Blkno {
        self.blocks().get(chunk, part)
    }

    /// Page `part` of a chunk; what is not known is looked up, so that no lock may be held. INVALID: there is none yet.
    pub fn block<P: Pages>(&self, pages: &P, chunk: u32, part: usize) -> Result<Blkno, Error> {
        let known = self.cached(chunk, part);
        if known != INVALID_BLKNO {
            return Ok(known);
        }
        if chunk >= self.n_chunks() {
            self.refresh(pages)?;
            return Ok(self.cached(chunk, part));
        }
        let (blkno, entry) = self.place(chunk);
        let found = {
            let page = pages.read(blkno)?;
            let n = n_entries(&page, blkno, &self.shape)?;
            if entry >= n {
                return Err(Error::corrupted(blkno, "MAP page has lost entries"));
            }
            block(&page, &self.shape, entry, part)
        };
        self.learn(chunk, part, found);
        Ok(found)
    }

    /// As [`Map::block`] for a page that something refers to: INVALID is damage, blamed on block `by`.
    pub fn existing<P: Pages>(
        &self,
        pages: &P,
        chunk: u32,
        part: usize,
        by: Blkno,
    ) -> Result<Blkno, Error> {
        match self.block(pages, chunk, part)? {
            INVALID_BLKNO => {
                let what = format!("refers to page {part} of chunk {chunk}, which there is not");
                Err(Error::corrupted(by, what))
            }
            blkno => Ok(blkno),
        }
    }

    /// The MAP page and the entry of a known chunk.
    pub fn place(&self, chunk: u32) -> (Blkno, usize) {
        let n = entries_max(&self.shape);
        let known = self.known.borrow();
        let page = known.pages.get(chunk as usize / n).copied();
        (page.unwrap_or(INVALID_BLKNO), chunk as usize % n)
    }

    /// The last MAP page known: the one that takes the next entry, unless others were added.
    pub fn last_page(&self) -> Blkno {
        self.known.borrow().pages.last().copied().unwrap_or(self.first)
    }

    /// All MAP pages known so far.
    pub fn map_pages(&self) -> Vec<Blkno> {
        self.known.borrow().pages.clone()
    }

    /// Notes the number of a page, as found or set under a lock of its MAP page.
    pub fn learn(&self, chunk: u32, part: usize, blkno: Blkno) {
        let at = chunk as usize * self.shape.pages() + part;
        if let Some(word) = self.known.borrow_mut().blocks.get_mut(at) {
            *word = blkno;
        }
    }
}

/// The block numbers that a [`Map`] knows.
pub struct Blocks<'m> {
    blocks: Ref<'m, Known>,
    pages: usize,
}

impl Blocks<'_> {
    /// Page `part` of a chunk; INVALID: not known.
    #[inline]
    pub fn get(&self, chunk: u32, part: usize) -> Blkno {
        let at = chunk as usize * self.pages + part;
        self.blocks.blocks.get(at).copied().unwrap_or(INVALID_BLKNO)
    }
}
