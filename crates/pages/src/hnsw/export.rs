//! A graph as it is, for who takes it elsewhere: its rows, and the links of one node.

use crate::error::Error;
use crate::hnsw::nodes::{Lane, Nodes};
use crate::hnsw::upper::Upper;
use crate::hnsw::{INVALID_NODE, View, links};
use crate::page::INVALID_BLKNO;
use crate::store::Pages;

/// What the pages say of one node's links.
#[derive(Debug, Clone, Default)]
pub struct Linked {
    /// The node that this is a duplicate of; INVALID_NODE for a node.
    pub primary: u32,
    /// The links of each level, from 0 on.
    pub levels: Vec<Vec<u32>>,
}

/// Calls `each` with the id and the lane of every id in use, in order. No lock is held meanwhile.
pub fn for_each_lane<P: Pages>(
    pages: &P,
    view: &View<'_>,
    mut each: impl FnMut(u32, &Lane),
) -> Result<(), Error> {
    let shape = &view.meta.shape;
    let mut lanes = Vec::new();
    view.map.refresh(pages)?;
    for chunk in 0..view.map.n_chunks() {
        for part in 0..shape.nodes_pages {
            let blkno = view.map.block(pages, chunk, part)?;
            if blkno == INVALID_BLKNO {
                continue;
            }
            lanes.clear();
            let page = pages.read(blkno)?;
            let nodes = Nodes::new(&page, blkno, shape, chunk, part)?;
            for (place, lane) in shape.lanes_of_nodes(part).enumerate().take(nodes.n_used) {
                lanes.push((shape.node(chunk, lane), nodes.lane(blkno, place)?));
            }
            drop(page);
            lanes.iter().for_each(|(node, lane)| each(*node, lane));
            pages.check_interrupts();
        }
    }
    Ok(())
}

/// The links of `node` as they are now, on all levels up to `level`; one share lock at a time. What is not there has none.
pub fn links_of<P: Pages>(
    pages: &P,
    view: &View<'_>,
    node: u32,
    level: u8,
) -> Result<Linked, Error> {
    let shape = &view.meta.shape;
    let mut linked = Linked { primary: INVALID_NODE, levels: Vec::new() };
    let (chunk, lane) = shape.place(node);
    if chunk >= view.map.n_chunks() {
        return Ok(linked);
    }
    let (part, slot) = shape.links_place(lane);
    let blkno = view.map.block(pages, chunk, part)?;
    if blkno == INVALID_BLKNO {
        return Ok(linked);
    }
    let mut at = {
        let page = pages.read(blkno)?;
        let held = links::slot(&page, blkno, shape, slot)?;
        linked.primary = held.primary;
        linked.levels.push(links::links(&page, shape, slot, held.n).to_vec());
        held.upper
    };
    for _ in 0..level {
        if at.is_none() {
            break;
        }
        let page = pages.read(at.blkno)?;
        let upper = Upper::new(&page, at.blkno, shape)?;
        let record = upper.record(usize::from(at.slot))?;
        if record.node != node {
            break;
        }
        linked.levels.push(upper.links(usize::from(at.slot), record.n).to_vec());
        at = record.next;
    }
    pages.check_interrupts();
    Ok(linked)
}
