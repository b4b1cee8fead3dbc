//! Where a new node or duplicate goes: a free lane, and the pages of that lane.

use ann::hnsw::{MAX_NODES, Near};

use super::{Coded, ROUNDS_MAX, records};
use crate::error::Error;
use crate::hnsw::entry::Entry;
use crate::hnsw::links::{self, Slot};
use crate::hnsw::nodes::{self, Lane, Nodes, State};
use crate::hnsw::{View, attributes, map, sparse};
use crate::page::{Blkno, INVALID_BLKNO, Page, PageKind};
use crate::store::{EDIT_PAGES_MAX, Pages};

/// A lane that was free when it was looked at, whose pages exist.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) chunk: u32,
    pub(super) lane: usize,
    pub(super) nodes: Blkno,
    pub(super) links: Blkno,
    /// The chunk that the search for room began with.
    hint: u32,
}

impl Room {
    /// Finds a lane and makes the pages that a row needs: `with_vector` also those of its vector. No lock may be held.
    pub(super) fn find<P: Pages>(
        pages: &P,
        view: &View<'_>,
        with_vector: bool,
    ) -> Result<Room, Error> {
        let shape = &view.meta.shape;
        let hint = Entry::read(pages, view.meta)?.room_chunk.min(view.map.n_chunks());
        let (chunk, lane) = free_lane(pages, view, hint)?;
        let nodes = ensure(pages, view, chunk, shape.nodes_place(lane).0)?;
        let links = ensure(pages, view, chunk, shape.links_place(lane).0)?;
        if let (Some((first, _)), Some(g)) = (shape.data_place(lane), shape.vectors)
            && with_vector
        {
            for part in first..first + g.block_pages {
                ensure(pages, view, chunk, part)?;
            }
        }
        if let Some(at) = shape.attributes_place(lane) {
            ensure(pages, view, chunk, at.part)?;
        }
        Ok(Room { chunk, lane, nodes, links, hint })
    }

    pub(super) fn id(&self, view: &View<'_>) -> u32 {
        view.meta.shape.node(self.chunk, self.lane)
    }

    /// Whether the lane is still free on the locked NODES page.
    pub(super) fn is_free(&self, page: &Page, view: &View<'_>) -> Result<bool, Error> {
        let shape = &view.meta.shape;
        let (part, place) = shape.nodes_place(self.lane);
        let nodes = Nodes::new(page, self.nodes, shape, self.chunk, part)?;
        Ok(nodes.lane(self.nodes, place)?.state == State::Free)
    }

    /// Moves the hint on to where there was room, unless somebody else moved it.
    pub(super) fn remember<P: Pages>(&self, pages: &P, view: &View<'_>) -> Result<(), Error> {
        if self.chunk > self.hint {
            Entry::change(pages, view.meta, |now| match now.room_chunk == self.hint {
                true => Entry { room_chunk: self.chunk, ..now },
                false => now,
            })?;
        }
        Ok(())
    }
}

/// Gives a node a lane with its code, links and vector, and records on its upper levels; returns its id. Nobody links to
/// it yet.
pub(super) fn node<P: Pages>(
    pages: &P,
    view: &View<'_>,
    row: &Coded<'_>,
    chosen: &[Vec<Near>],
) -> Result<u32, Error> {
    for _ in 0..ROUNDS_MAX {
        let room = Room::find(pages, view, true)?;
        if fill(pages, view, row, chosen, &room)? {
            room.remember(pages, view)?;
            return Ok(room.id(view));
        }
        pages.check_interrupts();
    }
    Err(Error::corrupted(view.meta.entry_blkno, "leads to lanes that are never free"))
}

/// Locks, in this order: NODES, then for a moment ATTRIBUTES, then for a sparse vector a SPARSE page or ENTRY and a new one, then for each record an UPPER page or ENTRY and a new UPPER page, LINKS, DATA. Where these
/// are more pages than a record takes, DATA are written first: nobody refers to the lane before the last record.
fn fill<P: Pages>(
    pages: &P,
    view: &View<'_>,
    row: &Coded<'_>,
    chosen: &[Vec<Near>],
    room: &Room,
) -> Result<bool, Error> {
    let shape = &view.meta.shape;
    let mut nodes = pages.lock(room.nodes)?;
    if !room.is_free(&nodes, view)? {
        return Ok(false);
    }
    attributes::write(pages, view, (room.chunk, room.lane), row.row.attributes)?;
    let at = match row.sparse {
        Some(vector) => Some(sparse::put::put(pages, view, room.id(view), vector)?.to_code()),
        None => None,
    };
    let code = at.as_ref().map_or(row.code, |code| &code[..]);
    let ids = |level: usize| -> Vec<u32> {
        chosen.get(level).into_iter().flatten().map(|near| near.node).collect()
    };
    let upper = records::put_all(pages, view, room.id(view), row.level, ids)?;
    let (part, slot_no) = shape.links_place(room.lane);
    let mut links = pages.lock(room.links)?;
    links::check(&links, room.links, room.chunk, part)?;
    let mut data = Vec::with_capacity(EDIT_PAGES_MAX);
    if let (Some((first, lane)), Some(g)) = (shape.data_place(room.lane), shape.vectors) {
        for j in 0..g.block_pages {
            let blkno = view.map.cached(room.chunk, first + j);
            let page = pages.lock(blkno)?;
            page.check(blkno, PageKind::Data, room.chunk)?;
            data.push(page);
            if g.block_pages + 2 > EDIT_PAGES_MAX {
                pages.edit(&mut data.iter_mut().collect::<Vec<_>>(), |images| {
                    images.iter_mut().for_each(|page| g.write_row(page, j, lane, row.row.stored));
                    Ok(())
                })?;
                data.clear();
            }
        }
    }
    let mut locked: Vec<_> = [&mut nodes, &mut links].into_iter().chain(&mut data).collect();
    pages.edit(&mut locked, |images| {
        let [nodes, links, data @ ..] = images else { return Ok(()) };
        let (tid, level, factors) = (row.row.tid, row.level, row.factors);
        let place = shape.nodes_place(room.lane).1;
        let held = Lane { state: State::Node, tid, level, factors };
        nodes::settle_hints(nodes, shape);
        nodes::fill(nodes, shape, place, &held, code);
        let ids = ids(0);
        let slot = Slot { n: ids.len(), upper, ..Slot::EMPTY };
        links::put(links, shape, slot_no, &slot, &ids);
        if let (Some((_, lane)), Some(g)) = (shape.data_place(room.lane), shape.vectors) {
            for (j, page) in data.iter_mut().enumerate() {
                g.write_row(page, j, lane, row.row.stored);
            }
        }
        Ok(())
    })?;
    Ok(true)
}

/// A free lane in the first chunk from `chunk` on that has one, or in a new chunk.
fn free_lane<P: Pages>(pages: &P, view: &View<'_>, mut chunk: u32) -> Result<(u32, usize), Error> {
    let (shape, map) = (&view.meta.shape, view.map);
    loop {
        if chunk >= map.n_chunks() {
            map.refresh(pages)?;
        }
        while chunk >= map.n_chunks() {
            add_chunk(pages, view)?;
        }
        for part in 0..shape.nodes_pages {
            let blkno = map.block(pages, chunk, part)?;
            let start = shape.lanes_of_nodes(part).start;
            if blkno == INVALID_BLKNO {
                return Ok((chunk, start));
            }
            let page = pages.read(blkno)?;
            let nodes = Nodes::new(&page, blkno, shape, chunk, part)?;
            if nodes.has_room(part)
                && let Some(place) = nodes.free_place(part)
            {
                return Ok((chunk, start + place));
            }
        }
        chunk += 1;
        pages.check_interrupts();
    }
}

/// Adds an empty chunk to the MAP, unless somebody else just did.
fn add_chunk<P: Pages>(pages: &P, view: &View<'_>) -> Result<(), Error> {
    let (shape, map) = (&view.meta.shape, view.map);
    {
        let (blkno, known) = (map.last_page(), map.n_chunks());
        let mut last = pages.lock(blkno)?;
        let n = map::n_entries(&last, blkno, shape)?;
        let max = map::entries_max(shape);
        let before = (map.map_pages().len() - 1) * max;
        let is_news = map::next(&last) != INVALID_BLKNO || before + n != known as usize;
        if !is_news && known >= (MAX_NODES >> shape.chunk_shift) {
            return Err(Error::Full { n_blocks: pages.n_blocks()? });
        }
        if !is_news && n < max {
            pages.edit(&mut [&mut last], |images| {
                images.iter_mut().for_each(|page| map::add_entry(page, shape));
                Ok(())
            })?;
        } else if !is_news {
            let mut page = pages.allocate()?;
            let next = pages.blkno(&page);
            pages.edit(&mut [&mut last, &mut page], |images| {
                if let [last, page] = images {
                    map::init(page);
                    map::add_entry(page, shape);
                    map::set_next(last, next);
                }
                Ok(())
            })?;
        }
    }
    map.refresh(pages)
}

/// Page `part` of a chunk, made if there is none: MAP is locked first, so that nobody makes it twice, and the new page is
/// known to nobody.
fn ensure<P: Pages>(pages: &P, view: &View<'_>, chunk: u32, part: usize) -> Result<Blkno, Error> {
    let (shape, map) = (&view.meta.shape, view.map);
    let known = map.block(pages, chunk, part)?;
    if known != INVALID_BLKNO {
        return Ok(known);
    }
    let (blkno, entry) = map.place(chunk);
    let found = {
        let mut page = pages.lock(blkno)?;
        if entry >= map::n_entries(&page, blkno, shape)? {
            return Err(Error::corrupted(blkno, "MAP page has lost entries"));
        }
        match map::block(&page, shape, entry, part) {
            INVALID_BLKNO => {
                let mut new = pages.allocate()?;
                let made = pages.blkno(&new);
                pages.edit(&mut [&mut page, &mut new], |images| {
                    if let [page, new] = images {
                        shape.init_part(new, chunk, part);
                        map::set_block(page, shape, entry, part, made);
                    }
                    Ok(())
                })?;
                made
            }
            found => found,
        }
    };
    map.learn(chunk, part, found);
    Ok(found)
}
