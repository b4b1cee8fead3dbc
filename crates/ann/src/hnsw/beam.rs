//! The best-first search of one level.

use super::walk::{Graph, MAX_NODES, Near};
use crate::metric::Metric;

/// A candidate in one word, so that candidates order by key, then by node: the key's bits (made to order as integers),
/// the node, and one bit that says whether its links were followed.
type Candidate = u64;

const FOLLOWED: Candidate = 1;

/// How many nodes of each upper level a way down follows. Where rows come topic by topic, one path ends in a wrong topic now and
/// then, and a node that is linked there is an island.
const DESCENT_WIDTH: usize = 4;

/// How many nodes of level 1 the way down of a search of width `ef` follows, and begins level 0 at: one in six of that width.
///
/// Where rows stand in groups that few links lead out of, and the query farther from all of them than they are from each other, a
/// single path ends in whichever group it came to first, and the search with it (groups of 60 rows, efSearch 40: recall@10 .75 by
/// one path, .89 so). Where rows lie in each other's way it finds as much as before, and compares one in twenty more.
pub fn descent_width(ef: usize) -> usize {
    ef.div_ceil(6).clamp(1, 32)
}

#[inline(always)]
fn candidate(near: Near) -> Candidate {
    let bits = near.key.to_bits();
    // The order of the numbers: negative ones reversed, below the positive ones.
    let ordered = bits ^ ((((bits as i32) >> 31) as u32) | 0x8000_0000);
    u64::from(ordered) << 32 | u64::from(near.node) << 1
}

#[inline(always)]
fn near(candidate: Candidate) -> Near {
    let ordered = (candidate >> 32) as u32;
    let bits = ordered ^ (((!ordered as i32 >> 31) as u32) | 0x8000_0000);
    Near { key: f32::from_bits(bits), node: node(candidate) }
}

#[inline(always)]
fn node(candidate: Candidate) -> u32 {
    (candidate as u32) >> 1
}

/// A best-first search of one level, which goes on where it stopped. One value serves any number of searches, one after
/// the other, and keeps its memory; what a search costs does not depend on how many nodes there are.
///
/// The nearest `ef` candidates stand in one sorted row, each of them followed or not: the nearest that is not followed
/// is next, and when there is none the search has what FAISS's two queues would have.
#[derive(Clone, Debug, Default)]
pub struct Beam {
    /// The candidates of this tranche, nearest first.
    row: Vec<Candidate>,
    /// Whether what is as near as the last of them is followed as well: where distances are small integers the row would
    /// else end at whichever of many equals came first.
    follows_equals: bool,
    /// Judged, not given and not in the row: for later tranches.
    rest: Vec<Candidate>,
    seen: Seen,
    links: Vec<u32>,
    keys: Vec<f32>,
}

impl Beam {
    pub fn new() -> Self {
        Self::default()
    }

    /// Fits searches to a metric, from the next one on.
    pub fn fit(&mut self, metric: Metric) {
        self.follows_equals = metric.is_of_bits();
    }

    /// Forgets the last search. `n_ids`: about how many ids there are (more may turn up).
    pub fn begin(&mut self, n_ids: usize) {
        self.row.clear();
        self.rest.clear();
        self.seen.clear();
        self.seen.reserve(n_ids);
    }

    /// A node to begin at, between `begin` and the first tranche. One with key +∞, or seen before, is passed over.
    pub fn push_entry(&mut self, entry: Near) {
        if self.seen.insert(entry.node) && entry.key < f32::INFINITY {
            self.rest.push(candidate(entry));
        }
    }

    /// Begins at the nodes of `to_level` that a way down from `entry` at `from_level` leads a new node to, nearest first in
    /// `out`; `n_ids` as for [`Beam::begin`]. Empty if the entry is stale.
    pub fn descend<G: Graph>(
        &mut self,
        graph: &mut G,
        entry: u32,
        levels: (usize, usize),
        n_ids: usize,
        out: &mut Vec<Near>,
    ) -> Result<(), G::Error> {
        self.descend_to(graph, entry, levels, (n_ids, DESCENT_WIDTH), out)
    }

    /// As `descend`, for a query: `width` nodes of the last level above `to_level` are followed, see [`descent_width`], and no more
    /// than a new node's way down follows of those above it.
    pub fn descend_to<G: Graph>(
        &mut self,
        graph: &mut G,
        entry: u32,
        (from_level, to_level): (usize, usize),
        (n_ids, width): (usize, usize),
        out: &mut Vec<Near>,
    ) -> Result<(), G::Error> {
        self.keys.clear();
        graph.keys(&[entry], &mut self.keys)?;
        let key = self.keys.first().copied().unwrap_or(f32::INFINITY);
        out.clear();
        out.extend((key < f32::INFINITY).then_some(Near { key, node: entry }));
        for level in (to_level + 1..=from_level).rev() {
            self.begin_at(n_ids, out);
            let last = level == to_level + 1;
            self.once(graph, level, if last { width } else { width.min(DESCENT_WIDTH) }, out)?;
        }
        self.begin_at(n_ids, out);
        Ok(())
    }

    /// Forgets the last search, and will begin at these nodes.
    pub fn begin_at(&mut self, n_ids: usize, entries: &[Near]) {
        self.begin(n_ids);
        entries.iter().for_each(|entry| self.push_entry(*entry));
    }

    /// Replaces `out` by the next `ef` nearest nodes not given before, nearest first; fewer when no more can be reached,
    /// none at the end. A later tranche may find nodes nearer than an earlier one gave. Nodes judged and not given, and
    /// links not followed, stay for the next tranche. After an error the search cannot go on.
    pub fn tranche<G: Graph>(
        &mut self,
        graph: &mut G,
        level: usize,
        ef: usize,
        out: &mut Vec<Near>,
    ) -> Result<(), G::Error> {
        self.search::<G, true>(graph, level, ef, out)
    }

    /// As [`Beam::tranche`] for a search that will not go on: remembers nothing for a next one.
    pub fn once<G: Graph>(
        &mut self,
        graph: &mut G,
        level: usize,
        ef: usize,
        out: &mut Vec<Near>,
    ) -> Result<(), G::Error> {
        self.search::<G, false>(graph, level, ef, out)
    }

    fn search<G: Graph, const GOES_ON: bool>(
        &mut self,
        graph: &mut G,
        level: usize,
        ef: usize,
        out: &mut Vec<Near>,
    ) -> Result<(), G::Error> {
        let ef = ef.max(1);
        self.nearest_of_rest(ef);
        // Every candidate before `next` was followed.
        let mut next = 0;
        while let Some(at) = self.row.iter().skip(next).position(|c| c & FOLLOWED == 0) {
            let at = next + at;
            let Some(chosen) = self.row.get_mut(at) else { break };
            let from = node(*chosen);
            *chosen |= FOLLOWED;
            next = at + 1;
            self.unseen_links(graph, from, level)?;
            if let Some(soon) = self.row.iter().skip(next).find(|c| **c & FOLLOWED == 0) {
                graph.hint(node(*soon), level);
            }
            self.keys.clear();
            graph.keys(&self.links, &mut self.keys)?;
            for (node, key) in self.links.iter().zip(&self.keys) {
                let is_live = *key < f32::INFINITY;
                if !is_live {
                    continue;
                }
                let found = candidate(Near { key: *key, node: *node });
                // Of equals the first stay: else thousands of them would be followed.
                let is_near = self.row.get(ef - 1).is_none_or(|last| found >> 32 < *last >> 32);
                if !is_near {
                    if GOES_ON {
                        self.rest.push(found);
                    }
                    continue;
                }
                let place = self.row.partition_point(|c| *c < found);
                self.row.insert(place, found);
                next = next.min(place);
                while let (true, Some(last)) = (self.row.len() > ef, self.row.last().copied()) {
                    let is_equal =
                        self.row.get(ef - 1).is_some_and(|kept| kept >> 32 == last >> 32);
                    if is_equal && self.follows_equals {
                        break;
                    }
                    self.row.pop();
                    if GOES_ON {
                        self.rest.push(last);
                    }
                }
            }
        }
        if GOES_ON {
            self.rest.extend(self.row.get(ef..).unwrap_or_default());
        }
        self.row.truncate(ef);
        out.clear();
        out.extend(self.row.drain(..).map(near));
        Ok(())
    }

    /// Moves the `ef` nearest of the rest into the row.
    fn nearest_of_rest(&mut self, ef: usize) {
        if self.rest.len() > ef {
            self.rest.select_nth_unstable(ef);
        }
        self.row.clear();
        self.row.extend(self.rest.drain(..ef.min(self.rest.len())));
        self.row.sort_unstable();
    }

    /// The links of a node that were not seen before, which are seen now.
    #[inline(always)]
    fn unseen_links<G: Graph>(
        &mut self,
        graph: &mut G,
        from: u32,
        level: usize,
    ) -> Result<(), G::Error> {
        self.links.clear();
        graph.links(from, level, &mut self.links)?;
        let seen = &mut self.seen;
        self.links.retain(|node| seen.insert(*node));
        Ok(())
    }

    /// How many different nodes this search came upon.
    pub fn visited(&self) -> u64 {
        self.seen.len
    }

    /// Whether this search came upon that node.
    pub fn is_visited(&self, node: u32) -> bool {
        self.seen.contains(node)
    }

    /// Counts a node as visited: the search will not come upon it any more.
    pub fn mark(&mut self, node: u32) {
        self.seen.insert(node);
    }
}

/// A set of ids, emptied at the cost of what is in it.
#[derive(Clone, Debug, Default)]
struct Seen {
    bits: Vec<u64>,
    /// The words that are not zero.
    touched: Vec<u32>,
    len: u64,
}

impl Seen {
    fn clear(&mut self) {
        for word in self.touched.drain(..) {
            if let Some(bits) = self.bits.get_mut(word as usize) {
                *bits = 0;
            }
        }
        self.len = 0;
    }

    fn reserve(&mut self, n_ids: usize) {
        let words = n_ids.min(MAX_NODES as usize).div_ceil(64);
        if words > self.bits.len() {
            self.bits.resize(words, 0);
        }
    }

    /// True when the id was not in the set. An id that is none ([`MAX_NODES`] and above) always was.
    #[inline(always)]
    fn insert(&mut self, id: u32) -> bool {
        let (word, bit) = ((id / 64) as usize, 1u64 << (id % 64));
        if word >= self.bits.len() {
            if id >= MAX_NODES {
                return false;
            }
            self.bits.resize(word + 1, 0);
        }
        let Some(bits) = self.bits.get_mut(word) else { return false };
        let was = *bits;
        if was & bit != 0 {
            return false;
        }
        *bits = was | bit;
        if was == 0 {
            self.touched.push(word as u32);
        }
        self.len += 1;
        true
    }

    fn contains(&self, id: u32) -> bool {
        self.bits.get((id / 64) as usize).is_some_and(|bits| bits & (1u64 << (id % 64)) != 0)
    }
}

#[cfg(test)]
mod tests;
