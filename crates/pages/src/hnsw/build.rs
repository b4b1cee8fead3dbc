//! Build: META's place, ENTRY, MODEL, MAP, UPPER, SPARSE, then chunk after chunk its NODES, LINKS, DATA and ATTRIBUTES pages, META. A graph made
//! in memory is laid out in an order that keeps neighbours close; every page is written once, whole.

use ann::hnsw::{Factors, Grid, MAX_NODES};

use crate::error::Error;
use crate::hnsw::entry::Entry;
use crate::hnsw::links::{self, Slot, UpperAt};
use crate::hnsw::meta::{Meta, MetaParams};
use crate::hnsw::nodes::{self, Lane, State};
use crate::hnsw::sparse::{self, RowAt};
use crate::hnsw::upper::{self, Record};
use crate::hnsw::{INVALID_NODE, attributes, map};
use crate::model;
use crate::page::META_BLKNO;
use crate::page::{Blkno, INVALID_BLKNO, NO_OWNER, Page, PageKind};
use crate::store::BulkPages;
use crate::tid::Tid;

/// A graph in memory whose nodes are numbered from 0.
pub trait Source {
    /// Where searches start; None: there is no node.
    fn entry(&self) -> Option<u32>;

    /// The highest level of a node.
    fn level(&self, node: u32) -> u8;

    /// Appends the links of a node on a level.
    fn links(&self, node: u32, level: usize, out: &mut Vec<u32>);

    /// Whether searches are to go by the vectors, which are stored, then.
    fn by_vectors(&self) -> bool;

    /// The code of a node.
    fn code(&self, node: u32) -> (&[u8], Factors);

    /// Rows with the vector of a node, at least one.
    fn n_rows(&self, node: u32) -> usize;

    /// Appends the tids of these rows.
    fn tids(&self, node: u32, out: &mut Vec<Tid>);

    /// The attributes of the `i`-th of these rows, where rows have any.
    fn attributes(&self, _node: u32, _i: usize) -> &[u8] {
        &[]
    }

    /// The vector of a node as it is stored, of `Geometry::vector_size` bytes. Called once for each node, in the order
    /// in which they are laid out, and not at all where vectors are not stored.
    fn vector(&mut self, node: u32) -> Result<&[u8], Error>;

    /// Elements that a node's sparse vector names; asked for of these only. Its bytes are what [`Source::vector`] gives.
    fn n_stored(&self, _node: u32) -> usize {
        0
    }
}

/// Builds an index into an empty sink. `order`: every node of the source once, in the order they are laid out.
pub fn build<W: BulkPages>(
    mut sink: W,
    params: &MetaParams,
    grid: &Grid,
    order: &[u32],
    source: &mut impl Source,
) -> Result<(W, Meta), Error> {
    if sink.append(&Page::new(PageKind::Free, NO_OWNER))? != META_BLKNO {
        return Err(Error::corrupted(META_BLKNO, "is already in use"));
    }
    let meta = append(&mut sink, params, grid, order, source)?;
    sink.replace(META_BLKNO, &meta.to_page())?;
    Ok((sink, meta))
}

/// Appends all pages of a graph but META to a sink that may have others already; nothing refers to them until the META
/// that this returns is written. Nobody else may extend the file meanwhile.
pub fn append<W: BulkPages>(
    sink: &mut W,
    params: &MetaParams,
    grid: &Grid,
    order: &[u32],
    source: &mut impl Source,
) -> Result<Meta, Error> {
    let unfit = || Error::corrupted(META_BLKNO, "cannot hold a graph of this shape");
    let mut meta = Meta::new(params).ok_or_else(unfit)?;
    let floats = grid.params();
    if floats.len() != params.grid_len() {
        return Err(unfit());
    }
    meta.model_first = model::write(sink, &floats)?;
    let first = meta.model_first + model::n_pages(floats.len()) as Blkno;
    let plan = Plan::new(&meta, first, order, source)?;
    (meta.entry_blkno, meta.map_first) = (plan.entry, plan.map);
    meta.build_rows = u64::from(plan.n_lanes);
    let mut out = Appended { sink, next: first };
    out.append(&plan.entry(&meta, source).to_page())?;
    plan.write_map(&meta, &mut out)?;
    plan.write_upper(&meta, &mut out, order, source)?;
    plan.write_sparse(&mut out, order, source)?;
    Writer::new(&meta, &plan).write(&mut out, order, source)?;
    Ok(meta)
}

/// Pages in order of their numbers.
struct Appended<'a, W> {
    sink: &'a mut W,
    next: Blkno,
}

impl<W: BulkPages> Appended<'_, W> {
    fn append(&mut self, page: &Page) -> Result<(), Error> {
        let blkno = self.sink.append(page)?;
        if blkno != self.next {
            return Err(Error::corrupted(blkno, "was appended out of turn"));
        }
        self.next = blkno.wrapping_add(1);
        Ok(())
    }
}

/// Where everything will be: what refers to what is known before anything is written.
struct Plan {
    /// The id of each node of the source.
    ids: Vec<u32>,
    n_lanes: u32,
    n_chunks: u32,
    entry: Blkno,
    map: Blkno,
    n_map: Blkno,
    upper: Blkno,
    n_upper: Blkno,
    /// Where the row of each node of the source will be; empty where vectors are not sparse.
    rows: Vec<RowAt>,
    sparse: Blkno,
    n_sparse: Blkno,
    chunks: Blkno,
}

impl Plan {
    /// `first`: the number of the ENTRY page.
    fn new(meta: &Meta, first: Blkno, order: &[u32], source: &impl Source) -> Result<Self, Error> {
        let full = || Error::Full { n_blocks: INVALID_BLKNO - 1 };
        let mut ids = vec![INVALID_NODE; order.len()];
        let (mut n_lanes, mut n_records) = (0u64, 0u64);
        for node in order {
            match ids.get_mut(*node as usize) {
                Some(id) if *id == INVALID_NODE => *id = n_lanes as u32,
                _ => return Err(Error::Internal(format!("node {node} is laid out twice"))),
            }
            n_lanes += source.n_rows(*node).max(1) as u64;
            n_records += u64::from(source.level(*node));
            if n_lanes > u64::from(MAX_NODES - meta.shape.chunk_nodes()) {
                return Err(full());
            }
        }
        let n_chunks = n_lanes.div_ceil(u64::from(meta.shape.chunk_nodes()));
        let n_map = n_chunks.div_ceil(map::entries_max(&meta.shape) as u64).max(1);
        let n_upper = n_records.div_ceil(upper::records_max(&meta.shape) as u64);
        let (rows, n_sparse) = match meta.params.is_sparse() {
            true => sparse_places(order, source),
            false => (Vec::new(), 0),
        };
        let end =
            n_map + n_upper + n_sparse + n_chunks * meta.shape.pages() as u64 + u64::from(first);
        if end >= u64::from(INVALID_BLKNO) {
            return Err(full());
        }
        let (n_map, n_upper, n_sparse) = (n_map as Blkno, n_upper as Blkno, n_sparse as Blkno);
        let (map, upper) = (first + 1, first + 1 + n_map);
        let (n_lanes, n_chunks) = (n_lanes as u32, n_chunks as u32);
        Ok(Self {
            ids,
            n_lanes,
            n_chunks,
            entry: first,
            map,
            n_map,
            upper,
            n_upper,
            rows,
            sparse: upper + n_upper,
            n_sparse,
            chunks: upper + n_upper + n_sparse,
        })
    }

    /// Where the sparse vector of a node is.
    fn row(&self, node: u32) -> Option<RowAt> {
        let at = self.rows.get(node as usize)?;
        Some(RowAt { blkno: self.sparse + at.blkno, slot: at.slot })
    }

    fn id(&self, node: u32) -> u32 {
        self.ids.get(node as usize).copied().unwrap_or(INVALID_NODE)
    }

    fn entry(&self, meta: &Meta, source: &impl Source) -> Entry {
        let node = source.entry();
        Entry {
            node: node.map_or(INVALID_NODE, |node| self.id(node)),
            level: node.map_or(0, |node| source.level(node)),
            room_chunk: self.n_lanes >> meta.shape.chunk_shift,
            upper_last: if self.n_upper > 0 { self.sparse - 1 } else { INVALID_BLKNO },
            sparse_last: if self.n_sparse > 0 { self.chunks - 1 } else { INVALID_BLKNO },
            sparse_room: INVALID_BLKNO,
            upper_room: INVALID_BLKNO,
            by_vectors: source.by_vectors(),
            misplaced: 0,
            counted_from: self.n_lanes,
        }
    }

    /// Lanes of a chunk that are in use.
    fn lanes(&self, meta: &Meta, chunk: u32) -> usize {
        let start = chunk << meta.shape.chunk_shift;
        self.n_lanes.saturating_sub(start).min(meta.shape.chunk_nodes()) as usize
    }

    fn write_map<W: BulkPages>(&self, meta: &Meta, out: &mut Appended<'_, W>) -> Result<(), Error> {
        let n = map::entries_max(&meta.shape) as u32;
        let mut next = self.chunks;
        for i in 0..self.n_map {
            let mut page = Page::default();
            map::init(&mut page);
            for chunk in i * n..(i * n + n).min(self.n_chunks) {
                let entry = (chunk - i * n) as usize;
                map::add_entry(&mut page, &meta.shape);
                for part in meta.shape.parts_of(self.lanes(meta, chunk)) {
                    map::set_block(&mut page, &meta.shape, entry, part, next);
                    next += 1;
                }
            }
            if i + 1 < self.n_map {
                map::set_next(&mut page, self.map + i + 1);
            }
            out.append(&page)?;
        }
        Ok(())
    }

    /// Where record number `n` of all is.
    fn record(&self, meta: &Meta, n: u32) -> UpperAt {
        let max = upper::records_max(&meta.shape) as u32;
        UpperAt { blkno: self.upper + n / max, slot: (n % max) as u16 }
    }

    /// The records of all nodes in their order, those of a node from level 1 up.
    fn write_upper<W: BulkPages>(
        &self,
        meta: &Meta,
        out: &mut Appended<'_, W>,
        order: &[u32],
        source: &impl Source,
    ) -> Result<(), Error> {
        let shape = &meta.shape;
        let (mut page, mut links, mut number) = (Page::default(), Vec::new(), 0);
        for node in order {
            let top = source.level(*node);
            for level in 1..=top {
                let at = self.record(meta, number);
                if at.slot == 0 {
                    if number > 0 {
                        out.append(&page)?;
                    }
                    let prev = if number > 0 { at.blkno - 1 } else { INVALID_BLKNO };
                    upper::init(&mut page, shape, prev);
                }
                number += 1;
                links.clear();
                source.links(*node, usize::from(level), &mut links);
                links.iter_mut().for_each(|link| *link = self.id(*link));
                let next = if level < top { self.record(meta, number) } else { UpperAt::NONE };
                let record = Record { node: self.id(*node), level, n: links.len(), next };
                upper::fill(&mut page, shape, usize::from(at.slot), &record, &links);
            }
        }
        if number > 0 { out.append(&page) } else { Ok(()) }
    }

    /// The rows of all nodes in their order.
    fn write_sparse<W: BulkPages>(
        &self,
        out: &mut Appended<'_, W>,
        order: &[u32],
        source: &mut impl Source,
    ) -> Result<(), Error> {
        let mut page = Page::default();
        for node in order {
            let Some(at) = self.row(*node) else { break };
            if at.slot == 0 {
                if at.blkno > self.sparse {
                    out.append(&page)?;
                }
                let prev = if at.blkno > self.sparse { at.blkno - 1 } else { INVALID_BLKNO };
                sparse::page::init(&mut page, prev);
            }
            sparse::page::fill(
                &mut page,
                usize::from(at.slot),
                self.id(*node),
                source.vector(*node)?,
            );
        }
        if self.n_sparse > 0 { out.append(&page) } else { Ok(()) }
    }
}

/// The page, counted from the first, and the slot of each node of the source; and how many pages there are.
fn sparse_places(order: &[u32], source: &impl Source) -> (Vec<RowAt>, u64) {
    let mut places = vec![RowAt::NONE; order.len()];
    let (mut at, mut left) = (RowAt { blkno: 0, slot: 0 }, sparse::page::ROOM);
    for node in order {
        let size = sparse::page::size_with_slot(source.n_stored(*node));
        if size > left {
            (at, left) = (RowAt { blkno: at.blkno + 1, slot: 0 }, sparse::page::ROOM);
        }
        if let Some(place) = places.get_mut(*node as usize) {
            *place = at;
        }
        (at.slot, left) = (at.slot + 1, left.saturating_sub(size));
    }
    (places, if order.is_empty() { 0 } else { u64::from(at.blkno) + 1 })
}

/// Fills the pages of one chunk after the other.
struct Writer<'a> {
    meta: &'a Meta,
    plan: &'a Plan,
    /// The pages of the chunk in the making.
    pages: Vec<Page>,
    /// The next lane, and the next record of the levels above.
    id: u32,
    record: u32,
    links: Vec<u32>,
}

impl<'a> Writer<'a> {
    fn new(meta: &'a Meta, plan: &'a Plan) -> Self {
        let pages = vec![Page::default(); meta.shape.pages()];
        Self { meta, plan, pages, id: 0, record: 0, links: Vec::new() }
    }

    fn write<W: BulkPages>(
        &mut self,
        out: &mut Appended<'_, W>,
        order: &[u32],
        source: &mut impl Source,
    ) -> Result<(), Error> {
        let mut tids = Vec::new();
        for node in order {
            tids.clear();
            source.tids(*node, &mut tids);
            let id = self.id;
            for i in 0..tids.len().max(1) {
                let tid = tids.get(i).copied().unwrap_or(Tid::FREE);
                self.begin_chunk();
                self.attributes(source.attributes(*node, i));
                let duplicate = if i + 1 < tids.len() { self.id + 1 } else { INVALID_NODE };
                match i {
                    0 => self.node(*node, tid, duplicate, source)?,
                    _ => self.duplicate(id, tid, duplicate),
                }
                self.id += 1;
                self.end_chunk(out)?;
            }
        }
        if self.id != self.plan.n_lanes {
            return Err(Error::Internal("a node has changed its number of rows".into()));
        }
        Ok(())
    }

    /// Empties the pages before the first lane of a chunk.
    fn begin_chunk(&mut self) {
        let shape = &self.meta.shape;
        let (chunk, lane) = shape.place(self.id);
        if lane == 0 {
            for (part, page) in self.pages.iter_mut().enumerate() {
                shape.init_part(page, chunk, part);
            }
        }
    }

    /// Puts the attributes of the next lane's row.
    fn attributes(&mut self, entry: &[u8]) {
        let shape = &self.meta.shape;
        let lane = shape.place(self.id).1;
        if let Some(at) = shape.attributes_place(lane)
            && let Some(page) = self.pages.get_mut(at.part)
        {
            attributes::put(page, shape, lane, entry);
        }
    }

    /// Writes the pages after the last lane of a chunk.
    fn end_chunk<W: BulkPages>(&mut self, out: &mut Appended<'_, W>) -> Result<(), Error> {
        let shape = &self.meta.shape;
        let (chunk, lane) = shape.place(self.id - 1);
        let n = self.plan.lanes(self.meta, chunk);
        if lane + 1 == n {
            for part in shape.parts_of(n) {
                if let Some(page) = self.pages.get(part) {
                    out.append(page)?;
                }
            }
        }
        Ok(())
    }

    fn node(
        &mut self,
        node: u32,
        tid: Tid,
        duplicate: u32,
        source: &mut impl Source,
    ) -> Result<(), Error> {
        let (shape, plan) = (&self.meta.shape, self.plan);
        let (_, lane) = shape.place(self.id);
        let level = source.level(node);
        let row = plan.row(node).map(RowAt::to_code);
        let (code, factors) = match &row {
            Some(code) => (&code[..], sparse::FACTORS),
            None => source.code(node),
        };
        let (part, place) = shape.nodes_place(lane);
        if let Some(page) = self.pages.get_mut(part) {
            let found = Lane { state: State::Node, tid, level, factors };
            nodes::fill(page, shape, place, &found, code);
        }
        self.links.clear();
        source.links(node, 0, &mut self.links);
        self.links.iter_mut().for_each(|link| *link = plan.id(*link));
        let (part, slot) = shape.links_place(lane);
        if let Some(page) = self.pages.get_mut(part) {
            let upper = if level > 0 { plan.record(self.meta, self.record) } else { UpperAt::NONE };
            let found = Slot { n: self.links.len(), upper, duplicate, ..Slot::EMPTY };
            links::put(page, shape, slot, &found, &self.links);
        }
        self.record += u32::from(level);
        if let (Some((part, row)), Some(g)) = (shape.data_place(lane), shape.vectors) {
            let vector = source.vector(node)?;
            for (j, page) in self.pages.iter_mut().skip(part).take(g.block_pages).enumerate() {
                g.write_row(page, j, row, vector);
            }
        }
        Ok(())
    }

    fn duplicate(&mut self, primary: u32, tid: Tid, duplicate: u32) {
        let shape = &self.meta.shape;
        let (_, lane) = shape.place(self.id);
        let (part, place) = shape.nodes_place(lane);
        if let Some(page) = self.pages.get_mut(part) {
            nodes::fill(
                page,
                shape,
                place,
                &Lane { state: State::Duplicate, tid, ..Lane::FREE },
                &[],
            );
        }
        let (part, slot) = shape.links_place(lane);
        if let Some(page) = self.pages.get_mut(part) {
            links::put(page, shape, slot, &Slot { duplicate, primary, ..Slot::EMPTY }, &[]);
        }
    }
}
