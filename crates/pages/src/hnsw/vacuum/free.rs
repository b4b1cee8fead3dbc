//! The last steps: the entry goes elsewhere, records, slots and lanes become free.

use super::Bits;
use super::lists::upper_pages;
use crate::error::Error;
use crate::hnsw::duplicates::read_lane;
use crate::hnsw::entry::Entry;
use crate::hnsw::links::Slot;
use crate::hnsw::nodes::{self, Nodes, State};
use crate::hnsw::upper::{self, Upper};
use crate::hnsw::{INVALID_NODE, Shape, View, links};
use crate::page::{Blkno, INVALID_BLKNO, Page};
use crate::store::Pages;

/// Where the entry is gone, a node of the highest level that is left takes its place.
pub(super) fn replace_entry<P: Pages>(
    pages: &P,
    view: &View<'_>,
    gone: &Bits,
) -> Result<(), Error> {
    if !gone.has(Entry::read(pages, view.meta)?.node) {
        return Ok(());
    }
    let mut best = Entry::EMPTY;
    for blkno in upper_pages(pages, view)? {
        let mut found = Vec::new();
        {
            let page = pages.read(blkno)?;
            let upper = Upper::new(&page, blkno, &view.meta.shape)?;
            for slot in 0..upper.n_used {
                let record = upper.record(slot)?;
                if !record.is_free() && !gone.has(record.node) {
                    found.push((record.level, record.node));
                }
            }
        }
        for (level, node) in found {
            let is_higher = best.node == INVALID_NODE || level > best.level;
            // A crash may have left records of nobody.
            if is_higher && node < view.map.n_nodes() {
                let (_, lane) = read_lane(pages, view, node)?;
                if lane.state == State::Node && lane.level == level {
                    best = Entry { node, level, ..best };
                }
            }
        }
        pages.check_interrupts();
    }
    if best.node == INVALID_NODE {
        best.node = any_node(pages, view, gone)?.unwrap_or(INVALID_NODE);
    }
    Entry::change(pages, view.meta, |now| match gone.has(now.node) {
        true => Entry { node: best.node, level: best.level, ..now },
        false => now,
    })?;
    Ok(())
}

/// The first node that stays, also one that an insert has just made.
fn any_node<P: Pages>(pages: &P, view: &View<'_>, gone: &Bits) -> Result<Option<u32>, Error> {
    let shape = &view.meta.shape;
    view.map.refresh(pages)?;
    for chunk in 0..view.map.n_chunks() {
        for part in 0..shape.nodes_pages {
            let blkno = view.map.block(pages, chunk, part)?;
            if blkno == INVALID_BLKNO {
                continue;
            }
            let page = pages.read(blkno)?;
            let nodes = Nodes::new(&page, blkno, shape, chunk, part)?;
            for (place, lane) in shape.lanes_of_nodes(part).enumerate().take(nodes.n_used) {
                let node = shape.node(chunk, lane);
                let found = nodes.lane(blkno, place)?;
                // Only one of level 0 is an entry without its records being looked at.
                if found.state == State::Node && found.level == 0 && !gone.has(node) {
                    return Ok(Some(node));
                }
            }
            drop(page);
            pages.check_interrupts();
        }
    }
    Ok(None)
}

/// Frees the records of nodes that are gone: a record for each UPPER page.
pub(super) fn records<P: Pages>(pages: &P, view: &View<'_>, gone: &Bits) -> Result<(), Error> {
    let shape = &view.meta.shape;
    let mut any = false;
    for blkno in upper_pages(pages, view)? {
        let slots = |page: &Page| {
            let upper = Upper::new(page, blkno, shape)?;
            let mut slots = Vec::new();
            for slot in 0..upper.n_used {
                let record = upper.record(slot)?;
                if !record.is_free() && gone.has(record.node) {
                    slots.push(slot);
                }
            }
            Ok::<_, Error>(slots)
        };
        if slots(&*pages.read(blkno)?)?.is_empty() {
            continue;
        }
        let mut page = pages.lock(blkno)?;
        let slots = slots(&page)?;
        pages.edit(&mut [&mut page], |images| {
            for image in images {
                slots.iter().for_each(|slot| upper::free(image, shape, *slot));
            }
            Ok(())
        })?;
        drop(page);
        any = true;
        pages.check_interrupts();
    }
    if any {
        Entry::change(pages, view.meta, |now| Entry { upper_room: now.upper_last, ..now })?;
    }
    Ok(())
}

/// Empties the slots of these lanes (ascending), then frees the lanes, a record for each page: as soon as a lane is free an
/// insert may write its slot. Returns how many there were.
pub(super) fn lanes<P: Pages>(pages: &P, view: &View<'_>, ids: &[u32]) -> Result<u64, Error> {
    let shape = &view.meta.shape;
    let part_of = |place: fn(&Shape, usize) -> (usize, usize), id: u32| {
        let (chunk, lane) = shape.place(id);
        (chunk, place(shape, lane).0)
    };
    let slots = |id: &u32| part_of(Shape::links_place, *id);
    for group in ids.chunk_by(|a, b| slots(a) == slots(b)) {
        let Some((chunk, part)) = group.first().map(slots) else { continue };
        let blkno = existing(pages, view, chunk, part)?;
        let mut page = pages.lock(blkno)?;
        links::check(&page, blkno, chunk, part)?;
        pages.edit(&mut [&mut page], |images| {
            for image in images {
                for id in group {
                    let slot = shape.links_place(shape.place(*id).1).1;
                    links::put(image, shape, slot, &Slot::EMPTY, &[]);
                }
            }
            Ok(())
        })?;
        drop(page);
        pages.check_interrupts();
    }
    let lanes = |id: &u32| part_of(Shape::nodes_place, *id);
    for group in ids.chunk_by(|a, b| lanes(a) == lanes(b)) {
        let Some((chunk, part)) = group.first().map(lanes) else { continue };
        free_lanes(pages, view, (chunk, part), group)?;
        pages.check_interrupts();
    }
    if let Some(first) = ids.first() {
        let (chunk, _) = shape.place(*first);
        Entry::change(pages, view.meta, |now| Entry {
            room_chunk: now.room_chunk.min(chunk),
            ..now
        })?;
    }
    Ok(ids.len() as u64)
}

/// Frees lanes of one NODES page that have no row.
fn free_lanes<P: Pages>(
    pages: &P,
    view: &View<'_>,
    (chunk, part): (u32, usize),
    ids: &[u32],
) -> Result<(), Error> {
    let shape = &view.meta.shape;
    let blkno = existing(pages, view, chunk, part)?;
    let mut page = pages.lock(blkno)?;
    let held = Nodes::new(&page, blkno, shape, chunk, part)?;
    let mut places = Vec::with_capacity(ids.len());
    for id in ids {
        let place = shape.nodes_place(shape.place(*id).1).1;
        let lane = held.lane(blkno, place)?;
        if lane.state != State::Free && lane.tid.is_free() {
            places.push(place);
        }
    }
    pages.edit(&mut [&mut page], |images| {
        for image in images {
            nodes::settle_hints(image, shape);
            places.iter().for_each(|place| nodes::free(image, shape, *place));
        }
        Ok(())
    })
}

fn existing<P: Pages>(pages: &P, view: &View<'_>, chunk: u32, part: usize) -> Result<Blkno, Error> {
    view.map.existing(pages, chunk, part, view.map.place(chunk).0)
}
