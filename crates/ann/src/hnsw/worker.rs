//! One thread of a build: searches for a node's neighbours, selects among them, writes links there and back.

use super::beam::Beam;
use super::build::HnswParams;
use super::distance::{NodeQuery, Points};
use super::grid::Grid;
use super::levels::{links_least, links_max, links_pruned};
use super::links::{Links, NONE};
use super::node_distances::NodeDistances;
use super::select::{prune, select, turn_equals};
use super::walk::{Graph, Near, descend};
use crate::kernels::prefetch_near;
use std::sync::atomic::Ordering;

/// What all threads share.
pub(super) struct Site<'a> {
    pub(super) grid: &'a Grid,
    pub(super) of: Points<'a>,
    pub(super) params: &'a HnswParams,
    pub(super) links: Links,
}

/// What each thread has for itself.
pub(super) struct Worker<'a> {
    pub(super) site: &'a Site<'a>,
    beam: Beam,
    /// The node that neighbours are searched for.
    query: NodeQuery,
    node_distances: NodeDistances,
    sums: Vec<i32>,
    found: Vec<Near>,
    chosen: Vec<Near>,
    links: Vec<u32>,
    keys: Vec<f32>,
    list: Vec<Near>,
    kept: Vec<usize>,
}

/// The graph as a search walks over it.
struct Walk<'a> {
    site: &'a Site<'a>,
    query: &'a NodeQuery,
    sums: &'a mut Vec<i32>,
}

impl Graph for Walk<'_> {
    type Error = std::convert::Infallible;

    #[inline]
    fn links(&mut self, node: u32, level: usize, out: &mut Vec<u32>) -> Result<(), Self::Error> {
        self.site.links.read(node, level, out);
        Ok(())
    }

    #[inline]
    fn keys(&mut self, nodes: &[u32], out: &mut Vec<f32>) -> Result<(), Self::Error> {
        self.query.keys(self.site.of, nodes, self.sums, out);
        Ok(())
    }

    #[inline]
    fn hint(&mut self, node: u32, level: usize) {
        prefetch_near(self.site.links.slots(node, level));
    }
}

impl<'a> Worker<'a> {
    pub(super) fn new(site: &'a Site<'a>) -> Self {
        let query = NodeQuery::unaimed(site.grid);
        let mut beam = Beam::new();
        beam.fit(site.grid.metric());
        Worker {
            site,
            beam,
            node_distances: NodeDistances::new(site.grid),
            query,
            sums: Vec::new(),
            found: Vec::new(),
            chosen: Vec::new(),
            links: Vec::new(),
            keys: Vec::new(),
            list: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// Aims the search at a node.
    pub(super) fn aim(&mut self, node: u32) {
        self.query.aim(self.site.grid, self.site.of, node);
    }

    /// The candidates for neighbours of the node aimed at on a level that a search from `entry` finds, nearest first.
    pub(super) fn search(&mut self, entry: Near, level: usize) -> &[Near] {
        self.beam.begin(self.site.links.len());
        self.beam.push_entry(entry);
        let mut walk = Walk { site: self.site, query: &self.query, sums: &mut self.sums };
        let ef = self.site.params.ef_construction;
        let Ok(()) = self.beam.once(&mut walk, level, ef, &mut self.found);
        &self.found
    }

    /// The way from the entry down to where `level` is searched from.
    pub(super) fn descend(&mut self, entry: u32, level: usize) -> Near {
        let top = self.site.links.level(entry);
        let mut walk = Walk { site: self.site, query: &self.query, sums: &mut self.sums };
        let Ok(near) = descend(&mut walk, entry, top, level);
        near
    }

    /// The key between two nodes.
    pub(super) fn between(&mut self, a: u32, b: u32) -> f32 {
        self.node_distances.between(self.site.grid, self.site.of, a, b)
    }

    /// Links a node, which is not the entry, on all its levels. `from`: where the search begins, as `descend` gives it, or
    /// the entry with key +∞.
    pub(super) fn insert(&mut self, node: u32, from: Near) {
        self.aim(node);
        let level = self.site.links.level(node);
        let is_down = from.key < f32::INFINITY;
        let mut near = if is_down { from } else { self.descend(from.node, level) };
        for level in (0..=level).rev() {
            self.search(near, level);
            // Other threads may have linked to this node already, from a level where it is done.
            self.found.retain(|found| found.node != node);
            if let Some(nearest) = self.found.first() {
                near = *nearest;
            }
            turn_equals(&mut self.found, node.into());
            self.choose(level);
            self.write(node, level);
            for i in 0..self.chosen.len() {
                if let Some(Near { key, node: from }) = self.chosen.get(i).copied() {
                    self.link_back(from, Near { key, node }, level);
                }
            }
        }
    }

    /// Selects neighbours from what was found.
    fn choose(&mut self, level: usize) {
        let cap = links_max(self.site.params.m, level);
        let Worker { site, found, node_distances, kept, chosen, .. } = self;
        let node = |i: usize| found.get(i).map_or(NONE, |near| near.node);
        let between = |i, j| node_distances.between(site.grid, site.of, node(i), node(j));
        let least = links_least(site.grid.metric(), site.params.m, level);
        select(found, (cap, least), between, kept);
        chosen.clear();
        chosen.extend(kept.iter().filter_map(|i| found.get(*i)));
    }

    /// Writes the chosen links of a node, beside those that others gave it meanwhile.
    fn write(&mut self, node: u32, level: usize) {
        let links = &self.site.links;
        let Some(_lock) = links.lock(node) else { return };
        self.links.clear();
        links.read(node, level, &mut self.links);
        let slots = links.slots(node, level).iter().skip(self.links.len());
        let new = self.chosen.iter().map(|near| near.node).filter(|id| !self.links.contains(id));
        for (slot, id) in slots.zip(new) {
            slot.store(id, Ordering::Relaxed);
        }
    }

    /// Adds a link from `from` to `to`; where the list is full it is pruned.
    fn link_back(&mut self, from: u32, to: Near, level: usize) {
        let links = &self.site.links;
        let Some(_lock) = links.lock(from) else { return };
        let slots = links.slots(from, level);
        self.links.clear();
        links.read(from, level, &mut self.links);
        if self.links.contains(&to.node) {
            return;
        }
        if let Some(slot) = slots.get(self.links.len()) {
            slot.store(to.node, Ordering::Relaxed);
            return;
        }
        self.prune(from, to, level);
        let kept = self.kept.iter().filter_map(|i| self.list.get(*i)).map(|near| near.node);
        for (slot, id) in slots.iter().zip(kept.chain(std::iter::repeat(NONE))) {
            slot.store(id, Ordering::Relaxed);
        }
    }

    /// Which of the links just read from a node, and one more, are kept.
    fn prune(&mut self, from: u32, to: Near, level: usize) {
        let Worker { site, node_distances, links, keys, list, kept, .. } = self;
        keys.clear();
        node_distances.keys(site.grid, site.of, from, links, keys);
        list.clear();
        list.extend(links.iter().zip(&*keys).map(|(node, key)| Near { key: *key, node: *node }));
        list.push(to);
        list.sort_unstable_by(|a, b| a.key.total_cmp(&b.key).then(a.node.cmp(&b.node)));
        turn_equals(list, from.into());
        let node = |i: usize| list.get(i).map_or(NONE, |near| near.node);
        let between = |i, j| node_distances.between(site.grid, site.of, node(i), node(j));
        let least = links_least(site.grid.metric(), site.params.m, level);
        let most = links_pruned(site.grid.metric(), links_max(site.params.m, level));
        prune(list, (most, least), between, kept);
    }
}
