//! Nodes that no path leads to any more get a link.

use ann::hnsw::links_spare;

use super::Bits;
use super::lists::upper_pages;
use super::search::Search;
use crate::error::Error;
use crate::hnsw::entry::Entry;
use crate::hnsw::insert::back::{locate, put, read};
use crate::hnsw::upper::Upper;
use crate::hnsw::walk::links_at;
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
    /// Reached nodes, the latest last: all that may have room for a link.
    roomy: Vec<u32>,
    links: Vec<u32>,
}

/// Where a link to a node that nothing leads to may be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a list that is not nearly full.
    Open,
    /// In any list with room.
    Room,
    /// Over the last link that nobody needs to be reached by.
    Spare,
}

/// Goes along all links of each level from the entry; every node of that level not met there is linked to from one that was,
/// a near one if there is room: without a way between far parts on the upper levels searches would not find that at level 0.
/// Full lists keep what they have where it can be: under inner product the lists of the few long vectors are full, near to
/// every other node, and what all searches go through. Inserts at work meanwhile look after their own.
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
    let (parents, open, roomy, links) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut tree = Tree { pages, view: *view, gone, level: 0, parents, open, roomy, links };
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
        pages.check_interrupts();
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
        self.roomy.clear();
        self.parents.clear();
        self.parents.resize(self.view.map.n_nodes() as usize, INVALID_NODE);
        self.grow(entry.node, entry.node)?;
        let mut search = Search::default();
        for node in nodes {
            if self.gone.has(node) || self.is_reached(node) {
                continue;
            }
            let found = self.near(&mut search, node)?;
            if let Some(from) = self.attach(&found, node)? {
                self.grow(from, node)?;
            }
            self.pages.check_interrupts();
        }
        Ok(())
    }

    /// Reached nodes near one: what it is linked to itself, then what a search for it finds.
    fn near(&mut self, search: &mut Search, node: u32) -> Result<Vec<u32>, Error> {
        let mut found = Vec::new();
        links_at(self.pages, &self.view, node, self.level, &mut found)?;
        let near = search.near(self.pages, &self.view, (node, self.level), NEAR)?;
        found.extend(near.iter().map(|near| near.node));
        found.retain(|from| self.is_reached(*from));
        Ok(found)
    }

    /// Links to a node; returns from where.
    fn attach(&mut self, found: &[u32], node: u32) -> Result<Option<u32>, Error> {
        for from in found {
            if self.link(*from, node, Place::Open)? {
                return Ok(Some(*from));
            }
        }
        while let Some(from) = self.roomy.last().copied() {
            if self.link(from, node, Place::Room)? {
                return Ok(Some(from));
            }
            self.roomy.pop();
        }
        for from in found.iter().rev() {
            if self.link(*from, node, Place::Spare)? {
                return Ok(Some(*from));
            }
        }
        Ok(None)
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
            self.pages.check_interrupts();
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
            self.roomy.push(node);
        }
    }

    /// Adds a link if that place can be had: exclusive lock, one record, but only where a look under a share lock says so.
    fn link(&self, from: u32, to: u32, place: Place) -> Result<bool, Error> {
        let (pages, view) = (self.pages, &self.view);
        let Some(at) = locate(pages, view, from, self.level)? else { return Ok(false) };
        let mut ids = Vec::new();
        if !read(&*pages.read(at.blkno)?, view, &at, &mut ids)? || !self.is_there(&ids, from, place)
        {
            return Ok(false);
        }
        let mut page = pages.lock(at.blkno)?;
        if !read(&page, view, &at, &mut ids)? {
            return Ok(false);
        }
        if ids.contains(&to) {
            return Ok(true);
        }
        if ids.len() < view.meta.shape.links_max(self.level) {
            ids.push(to);
        } else if let Some(last) = ids.iter_mut().rev().find(|id| self.is_spare(from, **id))
            && place == Place::Spare
        {
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

    /// Whether a list of these links has that place.
    fn is_there(&self, ids: &[u32], from: u32, place: Place) -> bool {
        let most = self.view.meta.shape.links_max(self.level);
        match place {
            Place::Open => ids.len() + links_spare(most) <= most,
            Place::Room => ids.len() < most,
            Place::Spare => ids.len() < most || ids.iter().any(|id| self.is_spare(from, *id)),
        }
    }

    /// Whether a link is none that a reached node needs.
    fn is_spare(&self, from: u32, to: u32) -> bool {
        let parent = self.parents.get(to as usize).copied().unwrap_or(INVALID_NODE);
        ![from, INVALID_NODE].contains(&parent)
    }
}
