//! Nodes that no path leads to any more get a link.

use ann::hnsw::{Beam, GridQuery, descend};

use super::Bits;
use crate::error::Error;
use crate::hnsw::entry::Entry;
use crate::hnsw::gather::Gathered;
use crate::hnsw::walk::{Walk, WalkBuffers, links_at};
use crate::hnsw::{INVALID_NODE, View, links};
use crate::store::Pages;

/// Near nodes that may link to one that no path leads to.
const NEAR: usize = 32;

/// Links that lead from the entry to all nodes they reach.
struct Tree<'a, P: Pages> {
    pages: &'a P,
    view: View<'a>,
    gone: &'a Bits,
    /// How each node is reached; the entry is its own. INVALID: not at all.
    parents: Vec<u32>,
    open: Vec<u32>,
    links: Vec<u32>,
}

/// Goes along all links of level 0 from the entry; every node not met there is linked to from a near one that was. Inserts
/// at work meanwhile look after their own.
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
    let parents = vec![INVALID_NODE; view.map.n_nodes() as usize];
    let (open, links) = (Vec::new(), Vec::new());
    let mut tree = Tree { pages, view: *view, gone, parents, open, links };
    tree.grow(entry.node, entry.node)?;
    let mut search = Search::default();
    for node in nodes.iter().filter(|node| !gone.has(*node)) {
        if tree.is_reached(node) {
            continue;
        }
        for from in search.near(&tree, node)? {
            if tree.is_reached(from) && tree.link(from, node)? {
                tree.grow(from, node)?;
                break;
            }
        }
        pages.breathe();
    }
    Ok(())
}

impl<P: Pages> Tree<'_, P> {
    fn is_reached(&self, node: u32) -> bool {
        self.parents.get(node as usize).is_some_and(|parent| *parent != INVALID_NODE)
    }

    /// Takes in a node and all that are reached from it.
    fn grow(&mut self, parent: u32, node: u32) -> Result<(), Error> {
        self.visit(parent, node);
        while let Some(from) = self.open.pop() {
            let mut links = std::mem::take(&mut self.links);
            links.clear();
            links_at(self.pages, &self.view, from, 0, &mut links)?;
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
        let shape = &self.view.meta.shape;
        let (chunk, lane) = shape.place(from);
        let (part, slot) = shape.links_place(lane);
        let map = self.view.map;
        let blkno = map.existing(self.pages, chunk, part, map.place(chunk).0)?;
        let mut page = self.pages.lock(blkno)?;
        links::check(&page, blkno, chunk, part)?;
        let held = links::slot(&page, blkno, shape, slot)?;
        let mut ids = links::links(&page, shape, slot, held.n).to_vec();
        if held.primary != INVALID_NODE {
            return Ok(false);
        }
        if ids.contains(&to) {
            return Ok(true);
        }
        let parent = |id: &u32| self.parents.get(*id as usize).copied().unwrap_or(INVALID_NODE);
        let is_spare = |id: &u32| ![from, INVALID_NODE].contains(&parent(id));
        if ids.len() < shape.links_max(0) {
            ids.push(to);
        } else if let Some(last) = ids.iter_mut().rev().find(|id| is_spare(id)) {
            *last = to;
        } else {
            return Ok(false);
        }
        self.pages.edit(&mut [&mut page], |images| {
            images.iter_mut().for_each(|image| links::put_links(image, shape, slot, &ids));
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
        links_at(pages, view, node, 0, &mut found)?;
        self.around.read(pages, view, [node].into_iter())?;
        let (code, bias) = self.around.codes(view.grid.size()).node(0, view.grid.size());
        if !bias.is_finite() {
            return Ok(Vec::new());
        }
        let query: GridQuery = view.grid.query_of_code(code, bias);
        let entry = Entry::read(pages, view.meta)?;
        if entry.node == INVALID_NODE {
            return Ok(found);
        }
        let mut walk = Walk::new(pages, *view, &query, &mut self.buffers);
        let from = descend(&mut walk, entry.node, usize::from(entry.level), 0)?;
        self.beam.begin(view.map.n_nodes() as usize);
        self.beam.push_entry(from);
        let mut near = Vec::new();
        self.beam.once(&mut walk, 0, NEAR, &mut near)?;
        found.extend(near.iter().map(|near| near.node).filter(|id| *id != node));
        Ok(found)
    }
}
