//! What takes the place of a link that led to a node that is gone: the best of what that node was linked to.

use ann::hnsw::{Judge, Near};

use super::Bits;
use crate::error::Error;
use crate::hnsw::View;
use crate::hnsw::gather::Gathered;
use crate::hnsw::walk::links_at;
use crate::store::Pages;

/// Candidates that are compared for one list.
const CANDIDATES_MAX: usize = 128;
/// Nodes that are gone whose links are looked at for one list.
const EXPANDED_MAX: usize = 48;

/// Memory for list after list.
pub(super) struct Mender {
    judge: Judge,
    around: Gathered,
    /// Nodes that are gone, in the order they were met; their links are the candidates.
    met: Vec<u32>,
    buffer: Vec<u32>,
    candidates: Vec<u32>,
    numbers: Vec<u32>,
    keys: Vec<f32>,
    /// What stays or is taken, and what is left over, nearest first; as numbers among `around`.
    kept: Vec<Near>,
    spare: Vec<Near>,
}

impl Mender {
    pub(super) fn new(view: &View<'_>) -> Self {
        Self {
            judge: Judge::new(view.grid),
            around: Gathered::default(),
            met: Vec::new(),
            buffer: Vec::new(),
            candidates: Vec::new(),
            numbers: Vec::new(),
            keys: Vec::new(),
            kept: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// The links that `node` is to have on a level instead of `links`, some of which are gone: those left, and for each of
    /// the gone one of what these were linked to; first those that the rule of the build takes, then the nearest (a list
    /// that only the rule fills gets shorter with every vacuum, and recall falls). No lock is held.
    pub(super) fn mend<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        gone: &Bits,
        (node, level): (u32, usize),
        links: &[u32],
    ) -> Result<Vec<u32>, Error> {
        let kept: Vec<u32> = links.iter().copied().filter(|id| !gone.has(*id)).collect();
        self.gather(pages, view, gone, (node, level), links, &kept)?;
        let all = [node].into_iter().chain(kept.iter().chain(&self.candidates).copied());
        self.around.read(pages, view, all)?;
        self.measure(view, kept.len());
        self.choose(view, links.len());
        let near = self.kept.iter().map(|near| near.node as usize);
        Ok(near.filter_map(|i| self.around.nodes().get(i)).copied().collect())
    }

    /// Collects candidates: links of the gone, and where these are few, links of the gone that they lead to.
    fn gather<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        gone: &Bits,
        (node, level): (u32, usize),
        links: &[u32],
        kept: &[u32],
    ) -> Result<(), Error> {
        self.candidates.clear();
        self.met.clear();
        self.met.extend(links.iter().copied().filter(|id| gone.has(*id)));
        let wanted = self.met.len();
        let mut at = 0;
        while let Some(from) = self.met.get(at).copied().filter(|_| at < EXPANDED_MAX) {
            at += 1;
            self.buffer.clear();
            links_at(pages, view, from, level, &mut self.buffer)?;
            for id in &self.buffer {
                if !gone.has(*id) {
                    if *id != node && !kept.contains(id) {
                        self.candidates.push(*id);
                    }
                } else if self.met.len() < EXPANDED_MAX && !self.met.contains(id) {
                    self.met.push(*id);
                }
            }
            if at >= wanted && self.candidates.len() >= 2 * wanted {
                break;
            }
        }
        self.candidates.sort_unstable();
        self.candidates.dedup();
        let step = self.candidates.len().div_ceil(CANDIDATES_MAX).max(1);
        if step > 1 {
            let mut i = 0;
            self.candidates.retain(|_| {
                i += 1;
                i % step == 0
            });
        }
        Ok(())
    }

    /// Keys of all to the node, which is number 0; the first `n_kept` of the others are links already.
    fn measure(&mut self, view: &View<'_>, n_kept: usize) {
        let n = self.around.nodes().len() as u32;
        self.numbers.clear();
        self.numbers.extend(1..n);
        self.keys.clear();
        self.judge.forget();
        let of = self.around.codes(view.grid.size());
        self.judge.keys(view.grid, of, 0, &self.numbers, &mut self.keys);
        let near = |(node, key): (&u32, &f32)| Near { key: *key, node: *node };
        let mut all = self.numbers.iter().zip(&self.keys).map(near);
        self.kept.clear();
        self.kept.extend(all.by_ref().take(n_kept));
        self.spare.clear();
        // A ghost that its twins keep is no candidate: it will be gone one day.
        self.spare.extend(all.filter(|near| self.around.is_live(near.node as usize)));
        let nearest_first = |a: &Near, b: &Near| a.key.total_cmp(&b.key).then(a.node.cmp(&b.node));
        self.kept.sort_unstable_by(nearest_first);
        self.spare.sort_unstable_by(nearest_first);
    }

    /// Moves spare ones to the kept until there are `wanted`: those that no nearer kept one is nearer to than the node is,
    /// then any.
    fn choose(&mut self, view: &View<'_>, wanted: usize) {
        let Self { judge, around, kept, spare, .. } = self;
        let of = around.codes(view.grid.size());
        spare.retain(|candidate| {
            if kept.len() >= wanted {
                return true;
            }
            let place = kept.partition_point(|k| k.key <= candidate.key);
            let nearer = kept.get(..place).unwrap_or_default();
            let is_hidden = nearer
                .iter()
                .any(|k| judge.between(view.grid, of, candidate.node, k.node) < candidate.key);
            if !is_hidden {
                kept.insert(place, *candidate);
            }
            is_hidden
        });
        let missing = wanted.saturating_sub(kept.len());
        kept.extend(spare.iter().take(missing));
    }
}
