//! Links to a new node from its neighbours.

use ann::hnsw::{Judge, Near, prune};

use crate::error::Error;
use crate::hnsw::gather::Gathered;
use crate::hnsw::links::{self, UpperAt};
use crate::hnsw::shape::Shape;
use crate::hnsw::upper::{self, Upper};
use crate::hnsw::{INVALID_NODE, View};
use crate::page::{Blkno, Page};
use crate::store::Pages;

/// How often a list is pruned again because others have changed it meanwhile: a link is worth no more.
const TRIES: usize = 4;

/// The node that is linked to.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewNode<'a> {
    pub(super) id: u32,
    /// The key between it and the node that links.
    pub(super) key: f32,
    pub(super) code: &'a [u8],
    pub(super) bias: f32,
}

/// Memory that outlives a link.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    ids: Vec<u32>,
    /// What `pruned` was made of.
    seen: Vec<u32>,
    around: Gathered,
    numbers: Vec<u32>,
    keys: Vec<f32>,
    list: Vec<Near>,
    kept: Vec<usize>,
    pruned: Vec<u32>,
}

/// Where the links of a node on a level are.
#[derive(Debug, Clone, Copy)]
pub(in crate::hnsw) struct ListAt {
    node: u32,
    level: usize,
    pub(in crate::hnsw) blkno: Blkno,
    slot: usize,
}

/// The list of a node on a level; None if it has none any more. Reads what lies below the level under one share lock after
/// the other.
pub(in crate::hnsw) fn locate<P: Pages>(
    pages: &P,
    view: &View<'_>,
    node: u32,
    level: usize,
) -> Result<Option<ListAt>, Error> {
    let shape = &view.meta.shape;
    let (chunk, lane) = shape.place(node);
    let (part, slot) = shape.links_place(lane);
    let blkno = view.map.existing(pages, chunk, part, view.map.place(chunk).0)?;
    let mut at = ListAt { node, level: 0, blkno, slot };
    while at.level < level {
        let page = pages.read(at.blkno)?;
        let Some(next) = above(&page, view, &at)?.filter(|next| !next.is_none()) else {
            return Ok(None);
        };
        at = ListAt { level: at.level + 1, blkno: next.blkno, slot: usize::from(next.slot), ..at };
    }
    Ok(Some(at))
}

/// The record of the level above; None if the list is another node's by now.
fn above(page: &Page, view: &View<'_>, at: &ListAt) -> Result<Option<UpperAt>, Error> {
    let shape = &view.meta.shape;
    if at.level > 0 {
        let record = Upper::new(page, at.blkno, shape)?.record(at.slot)?;
        let is_its = record.node == at.node && usize::from(record.level) == at.level;
        return Ok(is_its.then_some(record.next));
    }
    let (chunk, lane) = shape.place(at.node);
    links::check(page, at.blkno, chunk, shape.links_place(lane).0)?;
    let held = links::slot(page, at.blkno, shape, at.slot)?;
    Ok((held.primary == INVALID_NODE).then_some(held.upper))
}

/// The links of a list; false if it is another node's by now.
pub(in crate::hnsw) fn read(
    page: &Page,
    view: &View<'_>,
    at: &ListAt,
    out: &mut Vec<u32>,
) -> Result<bool, Error> {
    let shape = &view.meta.shape;
    out.clear();
    if above(page, view, at)?.is_none() {
        return Ok(false);
    }
    if at.level > 0 {
        let upper = Upper::new(page, at.blkno, shape)?;
        out.extend_from_slice(upper.links(at.slot, upper.record(at.slot)?.n));
    } else {
        let held = links::slot(page, at.blkno, shape, at.slot)?;
        out.extend_from_slice(links::links(page, shape, at.slot, held.n));
    }
    Ok(true)
}

/// Writes a list, inside an edit.
pub(in crate::hnsw) fn put(page: &mut Page, shape: &Shape, at: &ListAt, ids: &[u32]) {
    match at.level {
        0 => links::put_links(page, shape, at.slot, ids),
        _ => upper::put_links(page, shape, at.slot, ids),
    }
}

/// Adds a link from `from` to a new node; a full list is pruned, which may leave the new node out unless it `must` be
/// linked to. The keys that pruning takes are made without a lock: the list is written if it is still what it was. Returns
/// whether there is a link now.
#[expect(clippy::too_many_arguments, reason = "two of them are memory")]
pub(super) fn link<P: Pages>(
    pages: &P,
    view: &View<'_>,
    from: u32,
    to: &NewNode<'_>,
    level: usize,
    must: bool,
    judge: &mut Judge,
    buffers: &mut Buffers,
) -> Result<bool, Error> {
    let Some(at) = locate(pages, view, from, level)? else { return Ok(false) };
    let mut is_pruned = false;
    for _ in 0..TRIES {
        {
            let mut page = pages.lock(at.blkno)?;
            std::mem::swap(&mut buffers.ids, &mut buffers.seen);
            let is_its = read(&page, view, &at, &mut buffers.ids)?;
            if !is_its || buffers.ids.contains(&to.id) {
                return Ok(is_its);
            }
            let has_room = buffers.ids.len() < view.meta.shape.links_max(level);
            if has_room {
                buffers.pruned.clear();
                buffers.pruned.extend_from_slice(&buffers.ids);
                buffers.pruned.push(to.id);
            }
            if has_room || (is_pruned && buffers.seen == buffers.ids) {
                let ids = &buffers.pruned;
                pages.edit(&mut [&mut page], |images| {
                    images.iter_mut().for_each(|page| put(page, &view.meta.shape, &at, ids));
                    Ok(())
                })?;
                return Ok(ids.contains(&to.id));
            }
        }
        prune_list(pages, view, from, to, level, judge, buffers)?;
        if must && !buffers.pruned.contains(&to.id) {
            // Pruning leaves at least one slot.
            buffers.pruned.push(to.id);
        }
        is_pruned = true;
    }
    Ok(false)
}

/// Which of the links read from a node, and the new one, are kept. Links that lead to no node any more are not.
fn prune_list<P: Pages>(
    pages: &P,
    view: &View<'_>,
    from: u32,
    to: &NewNode<'_>,
    level: usize,
    judge: &mut Judge,
    buffers: &mut Buffers,
) -> Result<(), Error> {
    let Buffers { ids, around, numbers, keys, list, kept, pruned, .. } = buffers;
    super::check_ids(pages, view, ids.iter().copied().max(), view.map.place(0).0)?;
    around.read(pages, view, std::iter::once(from).chain(ids.iter().copied()))?;
    let n = around.nodes().len() as u32;
    around.push(to.id, to.code, to.bias);
    numbers.clear();
    numbers.extend(1..n);
    keys.clear();
    judge.forget();
    let of = around.codes(view.grid.size());
    judge.keys(view.grid, of, 0, numbers, keys);
    list.clear();
    list.extend(numbers.iter().zip(&*keys).map(|(i, key)| Near { key: *key, node: *i }));
    list.retain(|near| near.key < f32::INFINITY);
    list.push(Near { key: to.key, node: n });
    list.sort_unstable_by(|a, b| a.key.total_cmp(&b.key).then(a.node.cmp(&b.node)));
    let number = |i: usize| list.get(i).map_or(INVALID_NODE, |near| near.node);
    let between = |i, j| judge.between(view.grid, of, number(i), number(j));
    prune(list, view.meta.shape.links_max(level), between, kept);
    pruned.clear();
    let kept = kept.iter().filter_map(|i| list.get(*i));
    pruned.extend(kept.filter_map(|near| around.nodes().get(near.node as usize)));
    Ok(())
}

/// Adds links to the list of a node as far as there is room.
pub(super) fn add_links<P: Pages>(
    pages: &P,
    view: &View<'_>,
    node: u32,
    level: usize,
    ids: &[u32],
) -> Result<(), Error> {
    let Some(at) = locate(pages, view, node, level)? else { return Ok(()) };
    let mut held = Vec::new();
    let mut page = pages.lock(at.blkno)?;
    if !read(&page, view, &at, &mut held)? {
        return Ok(());
    }
    let before = held.len();
    for id in ids {
        if held.len() < view.meta.shape.links_max(level) && !held.contains(id) {
            held.push(*id);
        }
    }
    if held.len() == before {
        return Ok(());
    }
    pages.edit(&mut [&mut page], |images| {
        images.iter_mut().for_each(|page| put(page, &view.meta.shape, &at, &held));
        Ok(())
    })
}
