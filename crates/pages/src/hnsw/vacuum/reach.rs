//! Nodes that no path leads to any more get a link.

use ann::hnsw::{Beam, descend};

use super::Bits;
use super::lists::upper_pages;
use crate::error::Error;
use crate::hnsw::entry::Entry;
use crate::hnsw::gather::Gathered;
use crate::hnsw::insert::back::{locate, put, read};
use crate::hnsw::upper::Upper;
use crate::hnsw::walk::{Walk, WalkBuffers, links_at};
use crate::hnsw::{INVALID_NODE, View};
use crate::store::Pages;

/// Near nodes that may link to one that no path leads to.
const NEAR: usize = 32;

/// Links of one level that lead from the entry to all nodes they reach.
struct Tree<'a, P: Pages> {
    pages: &'a P,
    view: View<'a>,
    gone: &'a Bits,
    level: usize,
    /// How each node is reached; the entry is its own. INVALID: not at all.
    parents: Vec<u32>,
    open: Vec<u32>,
    links: Vec<u32>,
}

/// Goes along all links of each level from the entry; every node of that level not met there is linked to from a near one
/// that was: without a way between far parts on the upper levels searches would not find that at level 0. Inserts at work
/// meanwhile look after their own.
pub(super) fn connect<P: Pages>(
    pages: &P,
    view: &View<'_>,
    gone: &Bits,
    nodes: &Bits,
) -> Result<(), Error> {
    let entry = Entry::read(pages, view.meta)?;
    if entry.node == INVALID_NODE {
        return Ok(());
    }
    let levels = nodes_of_levels(pages, view)?;
    let (open, links) = (Vec::new(), Vec::new());
    let mut tree = Tree { pages, view: *view, gone, level: 0, parents: Vec::new(), open, links };
    for level in (1..=usize::from(entry.level)).rev() {
        let of_level = levels.iter().filter(|(l, node)| *l >= level && nodes.has(*node));
        tree.attach_all(level, &entry, of_level.map(|(_, node)| *node))?;
    }
    tree.attach_all(0, &entry, nodes.iter())
}

/// The nodes that have records of upper levels, with the level of each record.
fn nodes_of_levels<P: Pages>(pages: &P, view: &View<'_>) -> Result<Vec<(usize, u32)>, Error> {
    let mut found = Vec::new();
    for blkno in upper_pages(pages, view)? {
        let page = pages.read(blkno)?;
        let upper = Upper::new(&page, blkno, &view.meta.shape)?;
        for slot in 0..upper.n_used {
            let record = upper.record(slot)?;
            if !record.is_free() {
                found.push((usize::from(record.level), record.node));
            }
        }
        drop(page);
        pages.breathe();
    }
    Ok(found)
}

impl<P: Pages> Tree<'_, P> {
    /// Links to every node of a level that is not reached there.
    fn attach_all(
        &mut self,
        level: usize,
        entry: &Entry,
        nodes: impl Iterator<Item = u32>,
    ) -> Result<(), Error> {
        self.level = level;
        self.parents.clear();
        self.parents.resize(self.view.map.n_nodes() as usize, INVALID_NODE);
        self.grow(entry.node, entry.node)?;
        let mut search = Search::default();
        for node in nodes {
            if self.gone.has(node) || self.is_reached(node) {
                continue;
            }
            for from in search.near(self, node)? {
                if self.is_reached(from) && self.link(from, node)? {
                    self.grow(from, node)?;
                    break;
                }
            }
            self.pages.breathe();
        }
        Ok(())
    }

    fn is_reached(&self, node: u32) -> bool {
        self.parents.get(node as usize).is_some_and(|parent| *parent != INVALID_NODE)
    }

    /// Takes in a node and all that are reached from it.
    fn grow(&mut self, parent: u32, node: u32) -> Result<(), Error> {
        self.visit(parent, node);
        while let Some(from) = self.open.pop() {
            let mut links = std::mem::take(&mut self.links);
            links.clear();
            links_at(self.pages, &self.view, from, self.level, &mut links)?;
            links.iter().for_each(|to| self.visit(from, *to));
            self.links = links;
            self.pages.breathe();
        }
        Ok(())
    }

    fn visit(&mut self, parent: u32, node: u32) {
        let slot = self.parents.get_mut(node as usize).filter(|slot| **slot == INVALID_NODE);
        if let Some(slot) = slot
            && !self.gone.has(node)
        {
            *slot = parent;
            self.open.push(node);
        }
    }

    /// Adds a link: where there is room, else in the place of the last one that nobody needs to be reached by. Exclusive
    /// lock, one record. False if every link is needed.
    fn link(&self, from: u32, to: u32) -> Result<bool, Error> {
        let (pages, view) = (self.pages, &self.view);
        let Some(at) = locate(pages, view, from, self.level)? else { return Ok(false) };
        let mut page = pages.lock(at.blkno)?;
        let mut ids = Vec::new();
        if !read(&page, view, &at, &mut ids)? {
            return Ok(false);
        }
        if ids.contains(&to) {
            return Ok(true);
        }
        let parent = |id: &u32| self.parents.get(*id as usize).copied().unwrap_or(INVALID_NODE);
        let is_spare = |id: &u32| ![from, INVALID_NODE].contains(&parent(id));
        if ids.len() < view.meta.shape.links_max(self.level) {
            ids.push(to);
        } else if let Some(last) = ids.iter_mut().rev().find(|id| is_spare(id)) {
            *last = to;
        } else {
            return Ok(false);
        }
        pages.edit(&mut [&mut page], |images| {
            images.iter_mut().for_each(|image| put(image, &view.meta.shape, &at, &ids));
            Ok(())
        })?;
        Ok(true)
    }
}

/// Finds near nodes.
#[derive(Default)]
struct Search {
    beam: Beam,
    buffers: WalkBuffers,
    around: Gathered,
}

impl Search {
    /// Nodes near one: what it is linked to itself, then what a search for it finds.
    fn near<P: Pages>(&mut self, tree: &Tree<'_, P>, node: u32) -> Result<Vec<u32>, Error> {
        let (pages, view) = (tree.pages, &tree.view);
        let mut found = Vec::new();
        links_at(pages, view, node, tree.level, &mut found)?;
        self.around.read(pages, view, [node].into_iter())?;
        let Some(query) = self.around.query(view, 0) else { return Ok(Vec::new()) };
        let entry = Entry::read(pages, view.meta)?;
        if entry.node == INVALID_NODE {
            return Ok(found);
        }
        let mut walk = Walk::new(pages, *view, &query, &mut self.buffers);
        let from = descend(&mut walk, entry.node, usize::from(entry.level), tree.level)?;
        self.beam.begin(view.map.n_nodes() as usize);
        self.beam.push_entry(from);
        let mut near = Vec::new();
        self.beam.once(&mut walk, tree.level, NEAR, &mut near)?;
        found.extend(near.iter().map(|near| near.node).filter(|id| *id != node));
        Ok(found)
    }
}
