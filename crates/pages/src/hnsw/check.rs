//! Check: every invariant of a graph, over whatever bytes there are. Ends in a list of broken ones, never in an error, a
//! panic or a loop.

mod chunks;
mod paths;
mod sparse;

use crate::checker::{Checker, Problem, Severity};
use crate::error::Error;
use crate::hnsw::entry::Entry;
use crate::hnsw::links::{Slot, UpperAt};
use crate::hnsw::nodes::State;
use crate::hnsw::sparse::RowAt;
use crate::hnsw::upper::{self, Upper};
use crate::hnsw::{INVALID_NODE, Map, Meta, View};
use crate::model;
use crate::page::META_BLKNO;
use crate::page::{Blkno, INVALID_BLKNO};
use crate::store::Pages;

/// Checks a whole graph. Call it under a lock that keeps insert and vacuum out: what changes meanwhile would look broken.
/// Holds one share lock at a time; memory is about 40 bytes a node.
pub fn check<P: Pages>(pages: &P) -> Vec<Problem> {
    let mut checker = Checker::new(pages);
    let opened = Meta::read(pages).and_then(|meta| Ok((meta, pages.n_blocks()?)));
    match opened {
        Ok((meta, n_blocks)) => graph(&mut checker, &meta, n_blocks),
        Err(error) => checker.error(META_BLKNO, &error),
    }
    checker.problems
}

fn graph<P: Pages>(checker: &mut Checker<'_, P>, meta: &Meta, n_blocks: Blkno) {
    checker.start(n_blocks);
    checker.meet(meta.entry_blkno, META_BLKNO);
    for i in 0..model::n_pages(meta.params.grid_len()) as Blkno {
        checker.meet(meta.model_first.wrapping_add(i), META_BLKNO);
    }
    let opened = meta.read_grid(checker.pages).and_then(|grid| {
        let map = Map::read(checker.pages, meta)?;
        Ok((grid, map, Entry::read(checker.pages, meta)?))
    });
    let (grid, map, entry) = match opened {
        Ok(opened) => opened,
        Err(error) => return checker.error(META_BLKNO, &error),
    };
    for blkno in map.map_pages() {
        checker.meet(blkno, META_BLKNO);
    }
    let view = View::new(meta, &grid, &map);
    let mut found = Found::new(map.n_nodes());
    chunks::all(checker, &view, &mut found);
    records(checker, meta, &entry, &mut found);
    if meta.params.is_sparse() {
        sparse::rows(checker, &view, &entry, &found);
    }
    paths::duplicates(checker, &view, &found);
    paths::levels(checker, &view, &mut found);
    paths::reachable(checker, &view, &entry, &found);
    checker.end();
}

/// What is known of an id.
#[derive(Debug, Clone, Copy)]
struct Id {
    state: State,
    level: u8,
    has_row: bool,
    slot: Slot,
    /// Of a node of a sparse vector: where that is.
    vector: RowAt,
}

/// What the pages of a graph hold, by id.
struct Found {
    ids: Vec<Id>,
    /// Records of the levels above in use, and whether a node has claimed them.
    records: Vec<(UpperAt, Claim)>,
}

#[derive(Debug, Clone, Copy)]
struct Claim {
    node: u32,
    level: u8,
    next: UpperAt,
    is_claimed: bool,
}

impl Found {
    fn new(n_nodes: u32) -> Self {
        let (slot, vector) = (Slot::EMPTY, RowAt::NONE);
        let free = Id { state: State::Free, level: 0, has_row: false, slot, vector };
        Self { ids: vec![free; n_nodes as usize], records: Vec::new() }
    }

    fn get(&self, node: u32) -> Option<&Id> {
        self.ids.get(node as usize)
    }

    fn is_node(&self, node: u32) -> bool {
        self.get(node).is_some_and(|id| id.state == State::Node)
    }

    fn record(&mut self, at: UpperAt) -> Option<&mut Claim> {
        let order = |(found, _): &(UpperAt, Claim)| (found.blkno, found.slot);
        let i = self.records.binary_search_by_key(&(at.blkno, at.slot), order).ok()?;
        self.records.get_mut(i).map(|(_, claim)| claim)
    }
}

/// The chain of UPPER pages.
fn records<P: Pages>(checker: &mut Checker<'_, P>, meta: &Meta, entry: &Entry, found: &mut Found) {
    let (mut by, mut blkno) = (meta.entry_blkno, entry.upper_last);
    let mut has_room_page = entry.upper_room == INVALID_BLKNO;
    // A cycle ends here: its first page was met before.
    while blkno != INVALID_BLKNO && checker.meet(blkno, by) {
        has_room_page |= blkno == entry.upper_room;
        by = blkno;
        match records_of_page(checker, meta, blkno, found) {
            Ok(prev) => blkno = prev,
            Err(error) => return checker.error(by, &error),
        }
        checker.pages.check_interrupts();
    }
    if !has_room_page {
        let what =
            format!("page {} with room is not in the chain of UPPER pages", entry.upper_room);
        checker.damage(meta.entry_blkno, what);
    }
    found.records.sort_unstable_by_key(|(at, _)| (at.blkno, at.slot));
}

fn records_of_page<P: Pages>(
    checker: &mut Checker<'_, P>,
    meta: &Meta,
    blkno: Blkno,
    found: &mut Found,
) -> Result<Blkno, Error> {
    let page = checker.pages.read(blkno)?;
    let upper = Upper::new(&page, blkno, &meta.shape)?;
    let mut wrong = Vec::new();
    let mut n_free = 0;
    for slot in 0..upper.n_used.min(upper::records_max(&meta.shape)) {
        let record = upper.record(slot)?;
        if record.is_free() {
            n_free += 1;
            continue;
        }
        let links = upper.links(slot, record.n);
        wrong.extend(bad_link(found, links).map(|id| format!("record {slot} names node {id}")));
        let claim =
            Claim { node: record.node, level: record.level, next: record.next, is_claimed: false };
        found.records.push((UpperAt { blkno, slot: slot as u16 }, claim));
    }
    let (counted, prev) = (upper.n_free, upper.prev);
    drop(page);
    if counted != n_free {
        wrong.push(format!("UPPER page counts {counted} free records of {n_free}"));
    }
    wrong.into_iter().for_each(|what| checker.damage(blkno, what));
    Ok(prev)
}

/// A link beyond the map.
fn bad_link(found: &Found, links: &[u32]) -> Option<u32> {
    links.iter().copied().find(|link| *link as usize >= found.ids.len())
}

/// Where the links of a node are, for messages.
fn links_blkno(view: &View<'_>, node: u32) -> Blkno {
    let shape = &view.meta.shape;
    let (chunk, lane) = shape.place(node);
    view.map.cached(chunk, shape.links_place(lane).0)
}

/// Whether there is anything but the entry to look at.
fn is_none(node: u32) -> bool {
    node == INVALID_NODE
}

/// What is not damage, but worth a word.
fn remark<P: Pages>(checker: &mut Checker<'_, P>, blkno: Blkno, severity: Severity, what: String) {
    checker.problem(blkno, severity, what);
}
