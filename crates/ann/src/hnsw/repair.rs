//! Makes every node reachable: pruning may take the last link to a node away.

use super::levels::links_spare;
use super::links::NONE;
use super::worker::Worker;
use crate::parallel::Job;
use std::sync::atomic::Ordering;

/// Nodes walked between two looks at the job's cancel flag.
const POLL: usize = 1024;

/// Gives each node that no path at level 0 leads to from the entry a link from one that is reached. No other thread may be
/// at work.
///
/// The links come from where there is room. Overwritten links would be those that searches need: under inner product the
/// nodes near to any other are the few long ones, and what these lose the whole graph loses.
pub(super) fn connect(worker: &mut Worker<'_>, entry: u32, job: &Job) {
    let n = worker.site.links.len();
    let (queue, roomy, links) = (Vec::new(), Vec::new(), Vec::new());
    let mut tree = Tree { parents: vec![NONE; n], queue, roomy, links };
    tree.grow(worker, entry, entry, job);
    for node in 0..n as u32 {
        if job.cancelled() {
            return;
        }
        if tree.parent(node) == NONE
            && let Some(from) = attach(worker, &mut tree, node, entry)
        {
            tree.grow(worker, from, node, job);
        }
    }
}

/// How each reached node is reached. A link from a parent to its child must stay.
struct Tree {
    /// The entry is its own; [`NONE`] where a node is not reached.
    parents: Vec<u32>,
    queue: Vec<u32>,
    /// Reached nodes, the latest last: all that may have a free slot.
    roomy: Vec<u32>,
    links: Vec<u32>,
}

impl Tree {
    fn parent(&self, node: u32) -> u32 {
        self.parents.get(node as usize).copied().unwrap_or(NONE)
    }

    /// Takes in a node and all that are reached from it.
    fn grow(&mut self, worker: &Worker<'_>, parent: u32, node: u32, job: &Job) {
        self.visit(parent, node);
        let mut walked = 0;
        while let Some(from) = self.queue.pop() {
            walked += 1;
            if walked % POLL == 0 && job.cancelled() {
                return;
            }
            let mut links = std::mem::take(&mut self.links);
            links.clear();
            worker.site.links.read(from, 0, &mut links);
            links.iter().for_each(|to| self.visit(from, *to));
            self.links = links;
        }
    }

    fn visit(&mut self, parent: u32, node: u32) {
        if let Some(slot) = self.parents.get_mut(node as usize).filter(|slot| **slot == NONE) {
            *slot = parent;
            self.queue.push(node);
            self.roomy.push(node);
        }
    }

    /// A reached node with a free slot, the latest: of nodes that were not reached themselves, most links are free.
    fn with_room(&mut self, worker: &Worker<'_>) -> Option<u32> {
        while let Some(node) = self.roomy.last() {
            if free_slots(worker, *node) > 0 {
                return Some(*node);
            }
            self.roomy.pop();
        }
        None
    }
}

/// Links to an unreached node; returns from where: from the nearest found that is reached and whose list is not nearly full,
/// else from any with room, and where nobody has any, in the place of a link that nobody needs to be reached by.
fn attach(worker: &mut Worker<'_>, tree: &mut Tree, node: u32, entry: u32) -> Option<u32> {
    worker.aim(node);
    let near = worker.descend(entry, 0);
    let found: Vec<u32> = worker.search(near, 0).iter().map(|near| near.node).collect();
    let spare = links_spare(worker.site.links.slots(entry, 0).len());
    let is_open = |from: &u32| tree.parent(*from) != NONE && free_slots(worker, *from) >= spare;
    let open = found.iter().copied().find(is_open).or_else(|| tree.with_room(worker));
    if let Some(from) = open {
        append(worker, from, node);
        return Some(from);
    }
    // There are more slots than nodes, so that one is not needed.
    let mut all = found.into_iter().rev().chain(0..tree.parents.len() as u32);
    all.find(|from| tree.parent(*from) != NONE && replace(worker, tree, *from, node))
}

fn free_slots(worker: &Worker<'_>, node: u32) -> usize {
    let slots = worker.site.links.slots(node, 0).iter().rev();
    slots.take_while(|slot| slot.load(Ordering::Relaxed) == NONE).count()
}

fn append(worker: &Worker<'_>, from: u32, to: u32) {
    let mut slots = worker.site.links.slots(from, 0).iter();
    if let Some(slot) = slots.find(|slot| slot.load(Ordering::Relaxed) == NONE) {
        slot.store(to, Ordering::Relaxed);
    }
}

/// Puts a link to `node` over the farthest link of `from` that is not of the tree. False where all are.
fn replace(worker: &mut Worker<'_>, tree: &Tree, from: u32, node: u32) -> bool {
    let mut farthest: Option<(f32, usize)> = None;
    for (i, slot) in worker.site.links.slots(from, 0).iter().enumerate() {
        let to = slot.load(Ordering::Relaxed);
        let key = worker.between(from, to);
        if tree.parent(to) != from && farthest.is_none_or(|(most, _)| key > most) {
            farthest = Some((key, i));
        }
    }
    let Some((_, i)) = farthest else { return false };
    let slot = worker.site.links.slots(from, 0).get(i);
    slot.map(|slot| slot.store(node, Ordering::Relaxed)).is_some()
}
