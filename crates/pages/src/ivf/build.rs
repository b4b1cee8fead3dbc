//! Build: every page once, full, META last.
//!
//! The LIST page of a group of blocks is written after its DATA pages and links to the LIST page
//! written before it: so the chain starts with the one page that still has room, which is where
//! the first insert goes, and no page is ever revisited.

use crate::error::Error;
use crate::ivf::centroids::write_centroids;
use crate::ivf::directory::{self, Entry as DirectoryEntry};
use crate::ivf::list::ListHeader;
use crate::meta::{META_BLKNO, Meta, MetaParams};
use crate::page::{Blkno, INVALID_BLKNO, NO_OWNER, Page, PageKind};
use crate::store::BulkPages;
use crate::tid::Tid;

/// A row on its way into an index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry<'a> {
    /// The inverted list it was assigned to.
    pub list_no: u32,
    /// Its heap tuple.
    pub tid: Tid,
    /// `norm_sqr` of the vector by the canonical kernel. Kept under cosine only.
    pub norm_sqr: f32,
    /// The distance to the list's centroid as the coarse quantizer gives it
    /// (under cosine of the unit vector); 0 when untrained.
    pub coarse_distance: f32,
    /// The vector's elements as stored: dims × element size bytes, little-endian.
    pub vector: &'a [u8],
}

/// Writes an index from entries that come grouped by ascending list.
pub struct Builder<W: BulkPages> {
    sink: W,
    meta: Meta,
    entries: Vec<DirectoryEntry>,
    /// The list being written.
    list_no: u32,
    /// Its LIST page in the making, and that page's header.
    list: Page,
    header: ListHeader,
    /// The block in the making, P pages.
    block: Vec<Page>,
    /// Vectors in it.
    lanes: usize,
}

impl<W: BulkPages> Builder<W> {
    /// Starts an index: reserves META, writes the centroids (nlist × dims row-major; none = an
    /// untrained index of one list). The sink must be empty.
    pub fn new(mut sink: W, params: &MetaParams, centroids: &[f32]) -> Result<Self, Error> {
        let nlist = centroids.len().checked_div(params.dims).unwrap_or(0);
        let meta = Meta::new(params, nlist).filter(|m| nlist * m.dims == centroids.len());
        let Some(mut meta) = meta else {
            return Err(Error::corrupted(META_BLKNO, "cannot hold vectors of this shape"));
        };
        // A reserved page is no META page until the end: whatever reads it before is refused.
        if sink.append(&Page::new(PageKind::Free, NO_OWNER))? != META_BLKNO {
            return Err(Error::corrupted(META_BLKNO, "is already in use"));
        }
        meta.centroids_first = write_centroids(&mut sink, &meta, centroids)?;
        let block = vec![Page::new(PageKind::Data, 0); meta.geometry.block_pages];
        Ok(Self {
            sink,
            entries: vec![DirectoryEntry::EMPTY; meta.nlist],
            list_no: 0,
            list: Page::new(PageKind::List, 0),
            header: ListHeader::default(),
            block,
            lanes: 0,
            meta,
        })
    }

    /// Adds a row. Lists must come in ascending order; within a list any order will do.
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<(), Error> {
        let in_order = entry.list_no >= self.list_no && (entry.list_no as usize) < self.meta.nlist;
        if !in_order || entry.vector.len() != self.meta.geometry.vector_size() {
            let what = format!("row for list {} does not belong here", entry.list_no);
            return Err(Error::Internal(what));
        }
        if entry.list_no != self.list_no {
            self.end_list()?;
            self.start_list(entry.list_no);
        }
        let layout = self.meta.layout;
        if self.header.n_slots == layout.n_slots_max() {
            self.end_list_page()?;
        }
        let slot = self.header.n_slots;
        for (j, page) in self.block.iter_mut().enumerate() {
            self.meta.geometry.write_row(page, j, self.lanes, entry.vector);
        }
        layout.put_slot(&mut self.list, slot, entry.tid, entry.norm_sqr);
        self.header.widen(entry.coarse_distance);
        self.header.n_slots += 1;
        self.meta.build_rows += 1;
        self.lanes += 1;
        if self.lanes == layout.block_vectors {
            self.end_block()?;
        }
        Ok(())
    }

    /// Writes what is pending, the directory and META; returns the sink and the metapage.
    pub fn finish(mut self) -> Result<(W, Meta), Error> {
        self.end_list()?;
        for entries in self.entries.chunks(directory::ENTRIES) {
            let mut page = Page::new(PageKind::Directory, NO_OWNER);
            for (i, entry) in entries.iter().enumerate() {
                directory::put_entry(&mut page, i * directory::ENTRY_SIZE, *entry);
            }
            let blkno = self.sink.append(&page)?;
            if self.meta.directory_first == INVALID_BLKNO {
                self.meta.directory_first = blkno;
            }
        }
        self.sink.replace(META_BLKNO, &self.meta.to_page())?;
        Ok((self.sink, self.meta))
    }

    fn start_list(&mut self, list_no: u32) {
        self.list_no = list_no;
        self.list.init(PageKind::List, list_no);
        self.header = ListHeader::default();
        for page in &mut self.block {
            page.init(PageKind::Data, list_no);
        }
    }

    fn end_list(&mut self) -> Result<(), Error> {
        if self.header.n_slots > 0 { self.end_list_page().map(drop) } else { Ok(()) }
    }

    /// Writes the LIST page and starts the next one, linked to it.
    fn end_list_page(&mut self) -> Result<Blkno, Error> {
        self.end_block()?;
        self.header.write(&mut self.list, &self.meta.layout);
        let blkno = self.sink.append(&self.list)?;
        if let Some(entry) = self.entries.get_mut(self.list_no as usize) {
            *entry = DirectoryEntry { first: blkno, insert: blkno };
        }
        self.list.init(PageKind::List, self.list_no);
        self.header = ListHeader { next: blkno, ..ListHeader::default() };
        Ok(blkno)
    }

    /// Writes the pages of the block in the making and names them in the LIST page.
    fn end_block(&mut self) -> Result<(), Error> {
        if self.lanes == 0 {
            return Ok(());
        }
        let mut blknos = Vec::with_capacity(self.block.len());
        for page in &mut self.block {
            blknos.push(self.sink.append(page)?);
            page.init(PageKind::Data, self.list_no);
        }
        self.meta.layout.put_block(&mut self.list, self.header.n_blocks, &blknos);
        self.header.n_blocks += 1;
        self.lanes = 0;
        Ok(())
    }
}
