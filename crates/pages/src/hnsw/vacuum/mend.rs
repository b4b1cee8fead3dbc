//! What takes the place of a link that led to a node that is gone: the best of what that node was linked to.

use ann::hnsw::{Near, NodeDistances, links_pruned, turn_equals};

use super::Bits;
use super::search::Search;
use crate::error::Error;
use crate::hnsw::View;
use crate::hnsw::gather::Gathered;
use crate::hnsw::walk::links_at;
use crate::store::Pages;

/// Candidates that are compared for one list, but at least some for each link that is gone.
const CANDIDATES_MAX: usize = 128;
const CANDIDATES_MIN: usize = 8;
/// Where nothing is left of what a gone node was linked to, the links of at most this many of those nodes are looked at.
const EXPANDED_MAX: usize = 8;
/// A list that loses one in this many of its links is made anew instead: neighbours of its other links may take their place,
/// too. After five rounds in which three rows in ten were exchanged recall has lost a third less than without; for
/// lists that lose less it is not worth what it costs.
const MADE_ANEW: usize = 4;
/// A list that loses one in this many is also searched for from the entry, as for a new node: what is left around it leads to
/// too little. That search goes along lists that are not mended yet, so that the list gets as many links as pruning leaves. Few
/// lists lose as much as long as few rows die, but most do after three rows in four.
const SEARCHED_ANEW: usize = 2;
/// Such a search finds gone nodes, too, so it is wider, at most by this factor.
const WIDER_MAX: usize = 8;
/// Over bits it is wider again by this factor: many nodes are as near as others there, and keys cost little. A graph of thin
/// lists (m = 4, efConstruction = 8, 52 random bits) of which three quarters went finds .90 instead of .80 of the 20 nearest.
const WIDER_OF_BITS: usize = 4;

/// Memory for list after list.
pub(super) struct Mender {
    search: Search,
    node_distances: NodeDistances,
    around: Gathered,
    buffer: Vec<u32>,
    /// For each link that is gone what may take its place, one after the other, and where each ends.
    named: Vec<u32>,
    ends: Vec<usize>,
    /// All candidates, each once, ascending.
    candidates: Vec<u32>,
    numbers: Vec<u32>,
    keys: Vec<f32>,
    /// The links so far, nearest first, and candidates; as numbers among `around`.
    kept: Vec<Near>,
    spare: Vec<Near>,
}

impl Mender {
    pub(super) fn new(view: &View<'_>) -> Self {
        Self {
            search: Search::default(),
            node_distances: NodeDistances::new(view.grid),
            around: Gathered::default(),
            buffer: Vec::new(),
            named: Vec::new(),
            ends: Vec::new(),
            candidates: Vec::new(),
            numbers: Vec::new(),
            keys: Vec::new(),
            kept: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// The links that `node` is to have on a level instead of `links`, some of which are gone: in the place of each of
    /// these one of its own links (where many are gone, also one that another link leads to), so that what it led to is
    /// still led to: the nearest that the rule of the build takes, or else the nearest (a list that only the rule fills gets
    /// shorter with every vacuum, and recall falls). No lock is held.
    pub(super) fn mend<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        gone: &Bits,
        (node, level): (u32, usize),
        links: &[u32],
    ) -> Result<Vec<u32>, Error> {
        let kept: Vec<u32> = links.iter().copied().filter(|id| !gone.has(*id)).collect();
        let n_gone = links.len() - kept.len();
        self.gather_all(pages, view, gone, level, links)?;
        if n_gone * MADE_ANEW >= links.len() {
            for link in &kept {
                self.buffer.clear();
                links_at(pages, view, *link, level, &mut self.buffer)?;
                self.candidates.extend(self.buffer.iter().filter(|id| !gone.has(**id)));
            }
        }
        let most = view.meta.shape.links_max(level);
        let mut least = links.len();
        if n_gone * SEARCHED_ANEW >= links.len() {
            let wider = (links.len() / kept.len().max(1)).clamp(1, WIDER_MAX);
            let wider = if view.grid.metric().is_of_bits() { wider * WIDER_OF_BITS } else { wider };
            let ef = view.meta.params.ef_construction * wider;
            let near = self.search.near(pages, view, (node, level), ef)?;
            self.candidates.extend(near.iter().map(|near| near.node).filter(|id| !gone.has(*id)));
            if level == 0 {
                least = least.max(links_pruned(view.grid.metric(), most));
            }
        }
        self.candidates.sort_unstable();
        self.candidates.dedup();
        self.candidates.retain(|id| *id != node && !kept.contains(id));
        let all = [node].into_iter().chain(kept.iter().chain(&self.candidates).copied());
        self.around.read(pages, view, all)?;
        self.measure(view, kept.len());
        self.choose(view, kept.len(), most, least);
        let near = self.kept.iter().map(|near| near.node as usize);
        Ok(near.filter_map(|i| self.around.nodes().get(i)).copied().collect())
    }

    /// Candidates in the place of each of `links` that is gone.
    fn gather_all<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        gone: &Bits,
        level: usize,
        links: &[u32],
    ) -> Result<(), Error> {
        let n_gone = links.iter().filter(|id| gone.has(**id)).count();
        let most = (CANDIDATES_MAX / n_gone.max(1)).max(CANDIDATES_MIN);
        self.named.clear();
        self.ends.clear();
        for link in links.iter().filter(|id| gone.has(**id)) {
            self.gather(pages, view, gone, *link, level)?;
            let start = self.ends.last().copied().unwrap_or(0);
            self.named.truncate(start + most);
            self.ends.push(self.named.len());
        }
        self.candidates.clear();
        self.candidates.extend(&self.named);
        Ok(())
    }

    /// Adds what a node that is gone was linked to; where all that is gone, too, what these were linked to.
    fn gather<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        gone: &Bits,
        from: u32,
        level: usize,
    ) -> Result<(), Error> {
        let start = self.named.len();
        self.buffer.clear();
        links_at(pages, view, from, level, &mut self.buffer)?;
        self.named.extend(self.buffer.iter().filter(|id| !gone.has(**id)));
        if self.named.len() == start {
            let next: Vec<u32> = self.buffer.iter().take(EXPANDED_MAX).copied().collect();
            for from in next {
                self.buffer.clear();
                links_at(pages, view, from, level, &mut self.buffer)?;
                self.named.extend(self.buffer.iter().filter(|id| !gone.has(**id)));
            }
        }
        Ok(())
    }

    /// Keys of all to the node, which is number 0; the first `n_kept` of the others are links already.
    fn measure(&mut self, view: &View<'_>, n_kept: usize) {
        let n = self.around.nodes().len() as u32;
        self.numbers.clear();
        self.numbers.extend(1..n);
        self.keys.clear();
        self.node_distances.forget();
        let of = self.around.codes(view.grid.size());
        self.node_distances.keys(view.grid, of, 0, &self.numbers, &mut self.keys);
        self.kept.clear();
        let all = self.numbers.iter().zip(&self.keys).take(n_kept);
        self.kept.extend(all.map(|(node, key)| Near { key: *key, node: *node }));
        self.kept.sort_unstable_by(nearest_first);
    }

    /// Takes all candidates that no nearer link is nearer to than the node is, as far as there is room for `most`; then the
    /// nearest of the others until there are `least`.
    fn choose(&mut self, view: &View<'_>, n_kept: usize, most: usize, least: usize) {
        let Self { node_distances, around, keys, kept, spare, .. } = self;
        let of = around.codes(view.grid.size());
        spare.clear();
        let candidates = (0u32..).zip(&*keys).skip(n_kept);
        spare.extend(candidates.map(|(i, key)| Near { key: *key, node: i + 1 }));
        // A ghost that its duplicates keep will be gone one day.
        spare.retain(|near| around.is_live(near.node as usize));
        spare.sort_unstable_by(nearest_first);
        turn_equals(spare, around.nodes().first().copied().unwrap_or_default().into());
        spare.retain(|candidate| {
            let place = kept.partition_point(|k| k.key <= candidate.key);
            let mut nearer = kept.get(..place).unwrap_or_default().iter();
            let is_open = kept.len() < most
                && nearer.all(|k| {
                    node_distances.between(view.grid, of, candidate.node, k.node) >= candidate.key
                });
            if is_open {
                kept.insert(place, *candidate);
            }
            !is_open
        });
        let missing = least.saturating_sub(kept.len());
        kept.extend(spare.iter().take(missing));
    }
}

fn nearest_first(a: &Near, b: &Near) -> std::cmp::Ordering {
    a.key.total_cmp(&b.key).then(a.node.cmp(&b.node))
}
