//! Links to a new node from its neighbours: as many as are on up to four pages at a time, in one record.

use ann::hnsw::{Near, NodeDistances, links_least, links_pruned, prune, turn_equals};

use super::Coded;
use crate::error::Error;
use crate::hnsw::gather::Gathered;
use crate::hnsw::links::{self, UpperAt};
use crate::hnsw::shape::Shape;
use crate::hnsw::upper::{self, Upper};
use crate::hnsw::{INVALID_NODE, View};
use crate::page::{Blkno, Page};
use crate::store::{EDIT_PAGES_MAX, Pages};

/// How often a list is pruned again because others have changed it meanwhile: a link is worth no more.
const TRIES: usize = 16;

/// The node that is linked to.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewNode<'a> {
    pub(super) id: u32,
    pub(super) coded: &'a Coded<'a>,
}

/// Memory that outlives a node.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// One for each list, and some of before.
    wants: Vec<Want>,
    ids: Vec<u32>,
    around: Gathered,
    numbers: Vec<u32>,
    keys: Vec<f32>,
    list: Vec<Near>,
    kept: Vec<usize>,
}

/// A list that is to name the new node.
#[derive(Debug, Default)]
struct Want {
    at: ListAt,
    /// The key between its node and the new one.
    key: f32,
    /// What it was when `new` was made.
    seen: Vec<u32>,
    /// What it is to be.
    new: Vec<u32>,
    next: Next,
    /// Which of the pages locked together it is on.
    page: usize,
}

/// What is to be done about a list.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Next {
    #[default]
    Nothing,
    /// Append to it if there is room.
    Append,
    /// It is full: make `new` of `seen`.
    Prune,
    /// Write `new` if it is still `seen`.
    Replace,
    /// Write `new`, in this record.
    Write,
}

/// Where the links of a node on a level are.
#[derive(Debug, Default, Clone, Copy)]
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

/// Adds links from `near` to a new node on one level. A full list is pruned, which may leave the new node out; where all
/// did, the nearest takes it all the same: else nothing would lead to it. The keys that pruning takes are made without a
/// lock: a list is written if it is still what it was.
pub(super) fn link<P: Pages>(
    pages: &P,
    view: &View<'_>,
    near: &[Near],
    to: &NewNode<'_>,
    level: usize,
    node_distances: &mut NodeDistances,
    buffers: &mut Buffers,
) -> Result<(), Error> {
    if !link_from(pages, view, near, to, (level, false), node_distances, buffers)? {
        let nearest = near.get(..1).unwrap_or_default();
        link_from(pages, view, nearest, to, (level, true), node_distances, buffers)?;
    }
    Ok(())
}

/// As [`link`]; lists that `must` name the new node do. Returns whether any does now.
fn link_from<P: Pages>(
    pages: &P,
    view: &View<'_>,
    near: &[Near],
    to: &NewNode<'_>,
    (level, must): (usize, bool),
    node_distances: &mut NodeDistances,
    buffers: &mut Buffers,
) -> Result<bool, Error> {
    let mut wants = std::mem::take(&mut buffers.wants);
    let mut n = 0;
    for near in near {
        let Some(at) = locate(pages, view, near.node, level)? else { continue };
        if n == wants.len() {
            wants.push(Want::default());
        }
        if let Some(want) = wants.get_mut(n) {
            (want.at, want.key, want.next) = (at, near.key, Next::Append);
        }
        n += 1;
    }
    let all = wants.get_mut(..n).unwrap_or_default();
    all.sort_unstable_by_key(|want| want.at.blkno);
    let mut is_linked = false;
    for _ in 0..TRIES {
        for group in by_pages(all) {
            is_linked |= write(pages, view, group, to, &mut buffers.ids)?;
            pages.check_interrupts();
        }
        let mut any = false;
        for want in all.iter_mut().filter(|want| want.next == Next::Prune) {
            any = true;
            prune_list(pages, view, want, to, node_distances, buffers)?;
            if must && !want.new.contains(&to.id) {
                // Pruning leaves at least one slot.
                want.new.push(to.id);
            }
            want.next = Next::Replace;
            pages.check_interrupts();
        }
        if !any {
            break;
        }
    }
    buffers.wants = wants;
    Ok(is_linked)
}

/// Cuts lists, which are in the order of their pages, into such as are on no more pages than a record takes.
fn by_pages(mut wants: &mut [Want]) -> impl Iterator<Item = &mut [Want]> {
    std::iter::from_fn(move || {
        let mut n_pages = 0;
        let mut last = None;
        let more = |want: &Want| {
            if last.replace(want.at.blkno) != Some(want.at.blkno) {
                n_pages += 1;
            }
            n_pages > EDIT_PAGES_MAX
        };
        let end = wants.iter().position(more).unwrap_or(wants.len());
        let (group, rest) = std::mem::take(&mut wants).split_at_mut(end);
        wants = rest;
        (!group.is_empty()).then_some(group)
    })
}

/// Writes what can be written of these lists: exclusive locks in the order of the pages, one record. Returns whether one of
/// them names the new node now.
fn write<P: Pages>(
    pages: &P,
    view: &View<'_>,
    group: &mut [Want],
    to: &NewNode<'_>,
    ids: &mut Vec<u32>,
) -> Result<bool, Error> {
    let shape = &view.meta.shape;
    let mut locked = Vec::with_capacity(EDIT_PAGES_MAX);
    let mut is_linked = false;
    for lists in group.chunk_by_mut(|a, b| a.at.blkno == b.at.blkno) {
        let Some(blkno) = lists.first().map(|want| want.at.blkno) else { continue };
        if lists.iter().all(|want| want.next == Next::Nothing) {
            continue;
        }
        let page = pages.lock(blkno)?;
        for want in &mut *lists {
            if want.next != Next::Nothing {
                let is_its = read(&page, view, &want.at, ids)?;
                want.look(is_its, ids, shape.links_max(want.at.level), to.id);
                want.page = locked.len();
                let named = if want.next == Next::Write { &want.new } else { &*ids };
                is_linked |= is_its && named.contains(&to.id);
            }
        }
        if lists.iter().any(|want| want.next == Next::Write) {
            locked.push(page);
        }
    }
    if locked.is_empty() {
        return Ok(false);
    }
    pages.edit(&mut locked.iter_mut().collect::<Vec<_>>(), |images| {
        for want in group.iter_mut().filter(|want| want.next == Next::Write) {
            if let Some(image) = images.get_mut(want.page) {
                put(image, shape, &want.at, &want.new);
            }
            want.next = Next::Nothing;
        }
        Ok(())
    })?;
    Ok(is_linked)
}

impl Want {
    /// Decides what is to be done now that the list is `ids`, of at most `most`, under an exclusive lock. `is_its`: it is
    /// still that of the node.
    fn look(&mut self, is_its: bool, ids: &[u32], most: usize, to: u32) {
        self.next = if !is_its || ids.contains(&to) {
            Next::Nothing
        } else if ids.len() < most {
            self.new.clear();
            self.new.extend_from_slice(ids);
            self.new.push(to);
            Next::Write
        } else if self.next == Next::Replace && self.seen == ids {
            Next::Write
        } else {
            self.seen.clear();
            self.seen.extend_from_slice(ids);
            Next::Prune
        };
    }
}

/// Which of the links of a list, and the new one, are kept. Links that lead to no node any more are not.
fn prune_list<P: Pages>(
    pages: &P,
    view: &View<'_>,
    want: &mut Want,
    to: &NewNode<'_>,
    node_distances: &mut NodeDistances,
    buffers: &mut Buffers,
) -> Result<(), Error> {
    let Buffers { around, numbers, keys, list, kept, .. } = buffers;
    let ids = &want.seen;
    super::check_ids(pages, view, ids.iter().copied().max(), view.map.place(0).0)?;
    around.read(pages, view, std::iter::once(want.at.node).chain(ids.iter().copied()))?;
    let n = around.nodes().len() as u32;
    around.push(to.id, to.coded);
    numbers.clear();
    numbers.extend(1..n);
    keys.clear();
    node_distances.forget();
    let of = around.codes(view.grid.size());
    node_distances.keys(view.grid, of, 0, numbers, keys);
    list.clear();
    list.extend(numbers.iter().zip(&*keys).map(|(i, key)| Near { key: *key, node: *i }));
    list.retain(|near| near.key < f32::INFINITY);
    list.push(Near { key: want.key, node: n });
    list.sort_unstable_by(|a, b| a.key.total_cmp(&b.key).then(a.node.cmp(&b.node)));
    turn_equals(list, want.at.node.into());
    let number = |i: usize| list.get(i).map_or(INVALID_NODE, |near| near.node);
    let between = |i, j| node_distances.between(view.grid, of, number(i), number(j));
    let least = links_least(view.grid.metric(), view.meta.params.m, want.at.level);
    let most = links_pruned(view.grid.metric(), view.meta.shape.links_max(want.at.level));
    prune(list, (most, least), between, kept);
    want.new.clear();
    let kept = kept.iter().filter_map(|i| list.get(*i));
    want.new.extend(kept.filter_map(|near| around.nodes().get(near.node as usize)));
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
