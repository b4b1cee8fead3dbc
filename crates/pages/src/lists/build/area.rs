//! The pages of one set of inverted lists as a build writes them: MODEL, DATA, CODES, DIRECTORY.

use ann::codec::{Codec, Coding, LANES, UNIT};

use super::writers::{UnitWriter, VectorWriter, append};
use super::{Entry, Parts, Payload};
use crate::bytes::put;
use crate::error::Error;
use crate::lists::InvertedLists;
use crate::lists::directory::{self, Entry as DirectoryEntry};
use crate::lists::layout::{BlockLayout, tid_places};
use crate::lists::sort::Runs;
use crate::model;
use crate::page::{INVALID_BLKNO, NO_OWNER, PAGE_SIZE, Page, PageKind};
use crate::search::attributes::AttributeBytes;
use crate::store::BulkPages;

/// Writes inverted lists from entries that come grouped by ascending list.
pub struct AreaWriter<'a> {
    lists: InvertedLists,
    codec: Option<&'a Codec>,
    payload: Payload,
    directory: Vec<DirectoryEntry>,
    list_no: u32,
    /// The block in the making, and how many of its lanes are used.
    block: Vec<u8>,
    lanes: usize,
    units: UnitWriter,
    vectors: Option<VectorWriter>,
    /// Where the pages of blocks wait, if exact vectors are written before them.
    waiting: Option<Waiting>,
}

impl<'a> AreaWriter<'a> {
    /// Starts the pages of `lists`; writes the trained parameters.
    pub fn new<W: BulkPages>(
        sink: &mut W,
        lists: &InvertedLists,
        codec: Option<&'a Codec>,
        model: &[f32],
    ) -> Result<Self, Error> {
        let lists = InvertedLists { model_first: model::write(sink, model)?, ..*lists };
        Ok(Self {
            lists,
            codec,
            payload: Payload::new(&lists.layout, codec.map_or(0, Coding::bare_size)),
            directory: vec![DirectoryEntry::EMPTY; lists.nlist],
            list_no: 0,
            block: vec![0; lists.layout.block_units * UNIT],
            lanes: 0,
            units: UnitWriter::new(),
            vectors: lists.layout.vectors.map(VectorWriter::new),
            waiting: lists.layout.vectors.map(|_| Waiting::default()),
        })
    }

    /// The slot after the last one written.
    fn slot(&self) -> u64 {
        self.lists.n_slots + self.lanes as u64
    }

    /// Adds an entry.
    pub fn add<W: BulkPages, R: Runs>(
        &mut self,
        sink: &mut W,
        spool: &mut R,
        entry: &Entry<'_>,
    ) -> Result<(), Error> {
        let in_order = entry.list_no >= self.list_no;
        let parts = self.payload.split(entry.payload).filter(|_| in_order);
        let (Some(parts), true) = (parts, (entry.list_no as usize) < self.lists.nlist) else {
            let what = format!("row for list {} does not belong here", entry.list_no);
            return Err(Error::Internal(what));
        };
        if self.lanes == LANES
            || entry.list_no != self.list_no && self.lists.layout.has_code && self.lanes > 0
        {
            self.end_block(sink, spool)?;
        }
        self.list_no = entry.list_no;
        let slot = self.slot();
        write_lane(&mut self.block, &self.lists.layout, self.lanes, entry, &parts);
        if let Some(codec) = self.codec {
            let codes = self.block.get_mut(self.lists.layout.first_code_unit() * UNIT..);
            codec.pack(parts.code, self.lanes, 0, codes.unwrap_or_default());
        }
        if let Some(vectors) = &mut self.vectors {
            vectors.put(sink, slot, parts.vector, &mut self.lists.vectors_first)?;
        }
        self.note(slot, entry)?;
        self.lanes += 1;
        Ok(())
    }

    /// Counts the entry to its list.
    fn note(&mut self, slot: u64, entry: &Entry<'_>) -> Result<(), Error> {
        let Some(list) = self.directory.get_mut(entry.list_no as usize) else { return Ok(()) };
        if list.n_slots == 0 {
            list.first = slot;
        }
        let full = || Error::Full { n_blocks: INVALID_BLKNO - 1 };
        list.n_slots = list.n_slots.checked_add(1).ok_or_else(full)?;
        list.radius = list.radius.max(entry.coarse_distance);
        Ok(())
    }

    /// Writes what is pending and the directory; returns the lists as they lie.
    pub fn finish<W: BulkPages, R: Runs>(
        mut self,
        sink: &mut W,
        spool: &mut R,
    ) -> Result<InvertedLists, Error> {
        let n_slots = self.slot();
        if self.lanes > 0 {
            self.end_block(sink, spool)?;
        }
        self.lists.n_slots = self.lists.layout.next_start(n_slots);
        if let Some(vectors) = &mut self.vectors {
            let n_slots = self.lists.n_slots;
            vectors.finish(sink, n_slots, &mut self.lists.vectors_first)?;
        }
        self.end_codes(sink, spool)?;
        for entries in self.directory.chunks(directory::ENTRIES) {
            let mut page = Page::new(PageKind::Directory, NO_OWNER);
            for (i, entry) in entries.iter().enumerate() {
                let entry = settled(&self.lists.layout, *entry)?;
                directory::put_entry(&mut page, i * directory::ENTRY_SIZE, entry);
            }
            append(sink, &page, &mut self.lists.directory_first)?;
        }
        Ok(self.lists)
    }

    fn end_block<W: BulkPages, R: Runs>(
        &mut self,
        sink: &mut W,
        spool: &mut R,
    ) -> Result<(), Error> {
        self.lists.n_slots += LANES as u64;
        self.lanes = 0;
        let (first, waiting) = (&mut self.lists.codes_first, &mut self.waiting);
        self.units.push(&self.block, |page| match waiting {
            Some(waiting) => waiting.push(spool, page),
            None => append(sink, page, first),
        })?;
        self.block.fill(0);
        Ok(())
    }

    /// The last page of the packed area, and all of it if it was spooled.
    fn end_codes<W: BulkPages, R: Runs>(
        &mut self,
        sink: &mut W,
        spool: &mut R,
    ) -> Result<(), Error> {
        let first = &mut self.lists.codes_first;
        let Some(mut waiting) = self.waiting.take() else {
            return self.units.finish(|page| append(sink, page, first));
        };
        self.units.finish(|page| waiting.push(spool, page))?;
        waiting.each(spool, |page| append(sink, page, first))
    }
}

/// Pages that wait for others to be written before them: in memory, and from [`PAGES_HELD`] on in a temporary file.
#[derive(Default)]
struct Waiting {
    pages: Vec<Page>,
    run: Option<usize>,
    n_spooled: u64,
}

/// Pages that wait in memory at most: half a megabyte.
const PAGES_HELD: usize = 64;

impl Waiting {
    fn push<R: Runs>(&mut self, spool: &mut R, page: &Page) -> Result<(), Error> {
        if self.pages.len() < PAGES_HELD {
            self.pages.push(*page);
            return Ok(());
        }
        if self.run.is_none() {
            self.run = Some(spool.create()?);
        }
        self.n_spooled += 1;
        spool.append(page.bytes())
    }

    /// Shows them in the order in which they came.
    fn each<R: Runs>(
        &self,
        spool: &mut R,
        mut each: impl FnMut(&Page) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.pages.iter().try_for_each(&mut each)?;
        let Some(run) = self.run else { return Ok(()) };
        spool.rewind(run)?;
        let mut page = Page::new(PageKind::Codes, NO_OWNER);
        for _ in 0..self.n_spooled {
            if spool.read(run, page.bytes_mut())? != PAGE_SIZE {
                return Err(Error::Spill("spooled codes end too early".into()));
            }
            each(&page)?;
        }
        Ok(())
    }
}

/// A list's entry once its last row was added: it owns the rest of its last block, if lists begin at blocks.
fn settled(layout: &BlockLayout, entry: DirectoryEntry) -> Result<DirectoryEntry, Error> {
    let insert_slot = entry.n_slots;
    let n_slots = layout.next_start(u64::from(entry.n_slots));
    let full = |_| Error::Full { n_blocks: INVALID_BLKNO - 1 };
    Ok(DirectoryEntry { n_slots: u32::try_from(n_slots).map_err(full)?, insert_slot, ..entry })
}

/// Writes tid, factors and attributes of a row into its lane of a whole block.
fn write_lane(
    block: &mut [u8],
    layout: &BlockLayout,
    lane: usize,
    entry: &Entry<'_>,
    parts: &Parts<'_>,
) {
    let (heap_block, offset) = tid_places(lane);
    put(block, heap_block, &entry.tid.blkno.to_le_bytes());
    put(block, offset, &entry.tid.offset.to_le_bytes());
    for (f, factor) in parts.factors.chunks_exact(size_of::<f32>()).enumerate() {
        put(block, layout.factor_place(lane, f), factor);
    }
    layout.place_attributes(lane, parts.attributes, |at, piece| match piece {
        AttributeBytes::Value(value) => put(block, at, value),
        AttributeBytes::Null { bit, is_null } => {
            if let Some(byte) = block.get_mut(at).filter(|_| is_null) {
                *byte |= bit;
            }
        }
    });
}
