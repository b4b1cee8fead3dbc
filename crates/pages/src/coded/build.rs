//! Build: META's place, CENTROIDS, MODEL, exact vectors (if stored), the packed area, DIRECTORY, META.

use ann::codec::{Codec, Coding, LANES, UNIT};

use crate::bytes::put;
use crate::coded::directory::{self, Entry as DirectoryEntry};
use crate::coded::layout::{CodeLayout, TID_UNITS, factor_place, tid_places};
use crate::coded::model;
use crate::error::Error;
use crate::ivf::build::Entry;
use crate::ivf::centroids::write_centroids;
use crate::ivf::sort::Runs;
use crate::meta::{Coded, META_BLKNO, Meta, MetaParams};
use crate::page::{Blkno, INVALID_BLKNO, NO_OWNER, PAGE_SIZE, Page, PageKind};
use crate::store::BulkPages;

mod writers;

use writers::{UnitWriter, VectorWriter};

/// How a row's payload is divided: its code, its factors, its exact vector (if the index stores it).
#[derive(Debug, Clone, Copy)]
pub struct Payload {
    /// Bytes of the bare code.
    pub code: usize,
    /// Bytes of the factors.
    pub factors: usize,
    /// Bytes of the exact vector.
    pub vector: usize,
}

impl Payload {
    /// The payload of a code and a layout.
    pub fn new(codec: &Codec, layout: &CodeLayout) -> Self {
        let factors = layout.n_factors * size_of::<f32>();
        let vector = layout.vectors.map_or(0, |g| g.vector_size());
        Self { code: codec.bare_size(), factors, vector }
    }

    /// All of it.
    pub fn size(&self) -> usize {
        self.code + self.factors + self.vector
    }

    /// Code, factors and vector of a payload of this size.
    pub fn split<'a>(&self, payload: &'a [u8]) -> Option<(&'a [u8], &'a [u8], &'a [u8])> {
        let (code, rest) = payload.split_at_checked(self.code)?;
        let (factors, vector) = rest.split_at_checked(self.factors)?;
        (vector.len() == self.vector).then_some((code, factors, vector))
    }
}

/// Writes an index from entries that come grouped by ascending list; `Entry::vector` is the row's [`Payload`].
pub struct CodedBuilder<'a, W: BulkPages, R: Runs> {
    sink: W,
    /// Takes the packed area while exact vectors are written before it.
    spool: R,
    meta: Meta,
    coded: Coded,
    codec: &'a Codec,
    payload: Payload,
    entries: Vec<DirectoryEntry>,
    list_no: u32,
    /// The block in the making, and how many lanes it has.
    block: Vec<u8>,
    lanes: usize,
    units: UnitWriter,
    vectors: Option<VectorWriter>,
}

impl<'a, W: BulkPages, R: Runs> CodedBuilder<'a, W, R> {
    /// Starts an index. `centroids`: nlist × dims, at least one; `model`: rotation and parameters as
    /// [`Coded::model_len`] counts them. The sink must be empty.
    pub fn new(
        mut sink: W,
        mut spool: R,
        params: &MetaParams,
        centroids: &[f32],
        model: &[f32],
        codec: &'a Codec,
    ) -> Result<Self, Error> {
        let unfit = || Error::corrupted(META_BLKNO, "cannot hold codes of this shape");
        let nlist = centroids.len().checked_div(params.dims).unwrap_or(0);
        let mut meta = Meta::new(params, nlist).ok_or_else(unfit)?;
        let mut coded = meta.coded.ok_or_else(unfit)?;
        if nlist == 0 || model.len() != coded.model_len(params.dims) {
            return Err(unfit());
        }
        if sink.append(&Page::new(PageKind::Free, NO_OWNER))? != META_BLKNO {
            return Err(Error::corrupted(META_BLKNO, "is already in use"));
        }
        meta.centroids_first = write_centroids(&mut sink, &meta, centroids)?;
        coded.model_first = model::write(&mut sink, model)?;
        if coded.layout.vectors.is_some() {
            spool.create()?;
        }
        Ok(Self {
            sink,
            spool,
            coded,
            codec,
            payload: Payload::new(codec, &coded.layout),
            entries: vec![DirectoryEntry::EMPTY; nlist],
            list_no: 0,
            block: vec![0; coded.layout.block_units * UNIT],
            lanes: 0,
            units: UnitWriter::new(),
            vectors: coded.layout.vectors.map(VectorWriter::new),
            meta,
        })
    }

    /// Adds a row. Lists must come in ascending order; within a list any order will do.
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<(), Error> {
        let in_order = entry.list_no >= self.list_no;
        let parts = self.payload.split(entry.vector).filter(|_| in_order);
        let (Some((code, factors, vector)), true) =
            (parts, (entry.list_no as usize) < self.entries.len())
        else {
            let what = format!("row for list {} does not belong here", entry.list_no);
            return Err(Error::Internal(what));
        };
        if entry.list_no != self.list_no || self.lanes == LANES {
            self.end_block()?;
            self.list_no = entry.list_no;
        }
        let lane = self.lanes;
        write_lane(&mut self.block, lane, entry, factors);
        let codes = self.block.get_mut(self.coded.layout.first_code_unit() * UNIT..);
        self.codec.pack(code, lane, 0, codes.unwrap_or_default());
        if let Some(vectors) = &mut self.vectors {
            let slot = u64::from(self.coded.n_code_blocks) * LANES as u64 + lane as u64;
            vectors.put(&mut self.sink, slot, vector, &mut self.coded.vectors_first)?;
        }
        if let Some(list) = self.entries.get_mut(entry.list_no as usize) {
            list.radius = list.radius.max(entry.coarse_distance);
        }
        self.lanes += 1;
        self.meta.build_rows += 1;
        Ok(())
    }

    /// Writes what is pending, the directory and META; returns the sink and the metapage.
    pub fn finish(mut self) -> Result<(W, Meta), Error> {
        self.end_block()?;
        if let Some(vectors) = &mut self.vectors {
            vectors.finish(
                &mut self.sink,
                self.coded.n_code_blocks,
                &mut self.coded.vectors_first,
            )?;
        }
        self.end_codes()?;
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
        self.meta.coded = Some(self.coded);
        self.sink.replace(META_BLKNO, &self.meta.to_page())?;
        Ok((self.sink, self.meta))
    }

    fn end_block(&mut self) -> Result<(), Error> {
        if self.lanes == 0 {
            return Ok(());
        }
        let number = self.coded.n_code_blocks;
        if number == u32::MAX {
            return Err(Error::Full { n_blocks: INVALID_BLKNO - 1 });
        }
        if let Some(list) = self.entries.get_mut(self.list_no as usize) {
            if list.n_blocks == 0 {
                list.start = number;
            }
            list.n_blocks += 1;
            // Only the last block of a list has lanes left.
            let is_full = self.lanes == LANES;
            list.insert_block = if is_full { list.n_blocks } else { list.n_blocks - 1 };
        }
        self.coded.n_code_blocks += 1;
        self.lanes = 0;
        let spooled = self.vectors.is_some();
        let (sink, spool) = (&mut self.sink, &mut self.spool);
        let first = &mut self.coded.codes_first;
        self.units.push(&self.block, |page| match spooled {
            true => spool.append(page.bytes()),
            false => append(sink, page, first),
        })?;
        self.block.fill(0);
        Ok(())
    }

    /// The last page of the packed area, and all of it if it was spooled.
    fn end_codes(&mut self) -> Result<(), Error> {
        let first = &mut self.coded.codes_first;
        if self.vectors.is_none() {
            return self.units.finish(|page| append(&mut self.sink, page, first));
        }
        self.units.finish(|page| self.spool.append(page.bytes()))?;
        self.spool.rewind(0)?;
        let mut page = Page::new(PageKind::Codes, NO_OWNER);
        for _ in 0..self.coded.layout.packed_pages(u64::from(self.coded.n_code_blocks)) {
            if self.spool.read(0, page.bytes_mut())? != PAGE_SIZE {
                return Err(Error::Spill("spooled codes end too early".into()));
            }
            append(&mut self.sink, &page, first)?;
        }
        Ok(())
    }
}

pub(super) fn append<W: BulkPages>(
    sink: &mut W,
    page: &Page,
    first: &mut Blkno,
) -> Result<(), Error> {
    let blkno = sink.append(page)?;
    if *first == INVALID_BLKNO {
        *first = blkno;
    }
    Ok(())
}

/// Writes tid and factors of a row into its lane of a whole block.
fn write_lane(block: &mut [u8], lane: usize, entry: &Entry<'_>, factors: &[u8]) {
    let (heap_block, offset) = tid_places(lane);
    put(block, heap_block, &entry.tid.blkno.to_le_bytes());
    put(block, offset, &entry.tid.offset.to_le_bytes());
    for (f, factor) in factors.chunks_exact(size_of::<f32>()).enumerate() {
        put(block, factor_place(lane, f), factor);
    }
}

const _: () = assert!(TID_UNITS * UNIT == LANES * 6);
