//! A row whose vector is that of a node already becomes its duplicate.

use ann::kernels::sparse::Sparse;

use super::place::Room;
use super::{Coded, ROUNDS_MAX};
use crate::error::Error;
use crate::hnsw::gather::Gathered;
use crate::hnsw::links::{self, Slot};
use crate::hnsw::nodes::{self, Lane, Nodes, State};
use crate::hnsw::sparse::RowAt;
use crate::hnsw::sparse::page::{SparsePage, vector_of};
use crate::hnsw::{INVALID_NODE, View, attributes};
use crate::page::{Blkno, Page, PageKind};
use crate::store::Pages;

/// Nodes with the same code whose vectors are compared at most.
const COMPARED_MAX: usize = 64;

/// The node among those gathered that has this row's vector.
pub(super) fn find<P: Pages>(
    pages: &P,
    view: &View<'_>,
    row: &Coded<'_>,
    around: &Gathered,
) -> Result<Option<u32>, Error> {
    let is_alike = |i: &u32| {
        let (code, factors) = around.code(*i, view.grid.size());
        let is_same = match row.sparse {
            Some(vector) => around.sparse(*i).is_some_and(|other| is_equal(vector, other)),
            None => factors == row.factors && code == row.code,
        };
        around.is_live(*i as usize) && is_same
    };
    let alike = (0..around.nodes().len() as u32).filter(is_alike).take(COMPARED_MAX);
    for i in alike {
        let Some(node) = around.nodes().get(i as usize) else { continue };
        if row.sparse.is_some() || is_stored(pages, view, *node, row.row.stored)? {
            return Ok(Some(*node));
        }
        pages.check_interrupts();
    }
    Ok(None)
}

/// Whether two vectors are the same, bit for bit.
fn is_equal(a: Sparse<'_>, b: Sparse<'_>) -> bool {
    let bits = |values| bytemuck::cast_slice::<f32, u32>(values);
    a.indices == b.indices && bits(a.values) == bits(b.values)
}

/// Whether the sparse vector of a node, which is at `at`, is this one. Share-locks its page.
fn is_row<P: Pages>(pages: &P, node: u32, at: RowAt, vector: Sparse<'_>) -> Result<bool, Error> {
    let page = pages.read(at.blkno)?;
    let row = SparsePage::new(&page, at.blkno)?.row(usize::from(at.slot))?;
    Ok(vector_of(row, node).is_some_and(|stored| is_equal(stored, vector)))
}

/// Whether the vector of a node is these bytes. Share-locks its DATA pages one by one.
fn is_stored<P: Pages>(
    pages: &P,
    view: &View<'_>,
    node: u32,
    stored: &[u8],
) -> Result<bool, Error> {
    let shape = &view.meta.shape;
    let (chunk, lane) = shape.place(node);
    let (Some((first, row)), Some(g)) = (shape.data_place(lane), shape.vectors) else {
        return Ok(true);
    };
    for j in 0..g.block_pages {
        let blkno = view.map.existing(pages, chunk, first + j, view.map.place(chunk).0)?;
        let page = pages.read(blkno)?;
        page.check(blkno, PageKind::Data, chunk)?;
        let (start, slice) = (g.row_start(j, row), g.slice(j));
        let found = page.body().get(start..start + g.row_size(j));
        if found != stored.get(slice.start * g.element_size..slice.end * g.element_size) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Adds the row to the chain of a node; false if the node is not what it was.
///
/// Locks: the NODES pages of both lanes in the order of their numbers, that of the node shared, so that it does not become
/// a ghost meanwhile; its DATA or SPARSE pages; for a moment the ATTRIBUTES page of the row, which has a record of its own; the LINKS
/// pages of both in the order of their numbers. One record for the rest.
pub(super) fn attach<P: Pages>(
    pages: &P,
    view: &View<'_>,
    row: &Coded<'_>,
    node: u32,
) -> Result<bool, Error> {
    for _ in 0..ROUNDS_MAX {
        let room = Room::find(pages, view, false)?;
        if let Some(attached) = attach_at(pages, view, row, node, &room)? {
            if attached {
                room.remember(pages, view)?;
            }
            return Ok(attached);
        }
        pages.check_interrupts();
    }
    Err(Error::corrupted(view.meta.entry_blkno, "leads to lanes that are never free"))
}

/// None if the lane is taken.
fn attach_at<P: Pages>(
    pages: &P,
    view: &View<'_>,
    row: &Coded<'_>,
    node: u32,
    room: &Room,
) -> Result<Option<bool>, Error> {
    let (shape, map) = (&view.meta.shape, view.map);
    let (chunk, lane) = shape.place(node);
    let by = map.place(chunk).0;
    let primary_nodes = map.existing(pages, chunk, shape.nodes_place(lane).0, by)?;
    let primary_links = map.existing(pages, chunk, shape.links_place(lane).0, by)?;
    let before = match primary_nodes < room.nodes {
        true => Some(pages.read(primary_nodes)?),
        false => None,
    };
    let mut nodes = pages.lock(room.nodes)?;
    let after = match primary_nodes > room.nodes {
        true => Some(pages.read(primary_nodes)?),
        false => None,
    };
    if !room.is_free(&nodes, view)? {
        return Ok(None);
    }
    let page: &Page = match (&before, &after) {
        (Some(page), _) | (_, Some(page)) => page,
        _ => &nodes,
    };
    if !is_still(pages, page, primary_nodes, view, (node, row))? {
        return Ok(Some(false));
    }
    let [first, second] = [primary_links, room.links];
    if [first, second].contains(&primary_nodes) {
        return Err(Error::locked_already(primary_nodes));
    }
    attributes::write(pages, view, (room.chunk, room.lane), row.row.attributes)?;
    let mut low = pages.lock(first.min(second))?;
    let mut high = if first == second { None } else { Some(pages.lock(first.max(second))?) };
    let (held, primary_slot) = {
        let page: &Page = match &high {
            Some(high) if first > second => high,
            _ => &low,
        };
        let (part, slot) = shape.links_place(lane);
        links::check(page, primary_links, chunk, part)?;
        (links::slot(page, primary_links, shape, slot)?, slot)
    };
    // VACUUM is about to remove it.
    if held.primary != INVALID_NODE {
        return Ok(Some(false));
    }
    let mut locked: Vec<_> = [&mut nodes, &mut low].into_iter().chain(&mut high).collect();
    pages.edit(&mut locked, |images| {
        let [nodes, low, high @ ..] = images else { return Ok(()) };
        let lane = Lane { state: State::Duplicate, tid: row.row.tid, ..Lane::FREE };
        nodes::settle_hints(nodes, shape);
        nodes::fill(nodes, shape, shape.nodes_place(room.lane).1, &lane, &[]);
        let duplicate = Slot { duplicate: held.duplicate, primary: node, ..Slot::EMPTY };
        let duplicate_slot = shape.links_place(room.lane).1;
        let primary = Slot { duplicate: room.id(view), ..held };
        match high {
            [high] if first > second => {
                links::put(low, shape, duplicate_slot, &duplicate, &[]);
                put_head(high, view, primary_slot, &primary);
            }
            [high] => {
                put_head(low, view, primary_slot, &primary);
                links::put(high, shape, duplicate_slot, &duplicate, &[]);
            }
            _ => {
                links::put(low, shape, duplicate_slot, &duplicate, &[]);
                put_head(low, view, primary_slot, &primary);
            }
        }
        Ok(())
    })?;
    Ok(Some(true))
}

/// Whether a node on a locked page still has a row, and this vector.
fn is_still<P: Pages>(
    pages: &P,
    page: &Page,
    blkno: Blkno,
    view: &View<'_>,
    (node, row): (u32, &Coded<'_>),
) -> Result<bool, Error> {
    if !is_same(page, blkno, view, node, row)? {
        return Ok(false);
    }
    let Some(vector) = row.sparse else { return is_stored(pages, view, node, row.row.stored) };
    let shape = &view.meta.shape;
    let code = nodes::code_of(page, shape, shape.nodes_place(shape.place(node).1).1);
    is_row(pages, node, RowAt::of_code(code), vector)
}

/// Whether a lane is still a node with a row and with this code; a sparse vector has none.
fn is_same(
    page: &Page,
    blkno: Blkno,
    view: &View<'_>,
    node: u32,
    row: &Coded<'_>,
) -> Result<bool, Error> {
    let shape = &view.meta.shape;
    let (chunk, lane) = shape.place(node);
    let (part, place) = shape.nodes_place(lane);
    let nodes = Nodes::new(page, blkno, shape, chunk, part)?;
    let lane = nodes.lane(blkno, place)?;
    let is_live = lane.state == State::Node && !lane.tid.is_free();
    let is_coded = || lane.factors == row.factors && nodes.code(place) == row.code;
    Ok(is_live && (row.sparse.is_some() || is_coded()))
}

/// Writes a slot and leaves its links.
fn put_head(page: &mut Page, view: &View<'_>, slot: usize, held: &Slot) {
    let shape = &view.meta.shape;
    let ids = links::links(page, shape, slot, held.n).to_vec();
    links::put(page, shape, slot, held, &ids);
}
