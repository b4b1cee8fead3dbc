//! Makes every node reachable: pruning may take the last link to a node away.

use super::links::NONE;
use super::walk::Near;
use super::worker::Worker;
use crate::parallel::Job;
use std::sync::atomic::Ordering;

/// Nodes walked between two looks at the job's cancel flag.
const POLL: usize = 1024;

/// Gives each node that no path at level 0 leads to from the entry a link from a near node that is reached: in a free
/// slot, else in the place of its farthest link that nobody needs to be reached by. No other thread may be at work.
pub(super) fn connect(worker: &mut Worker<'_>, entry: u32, job: &Job) {
    let n = worker.site.links.len();
    let mut tree = Tree { parents: vec![NONE; n], queue: Vec::new(), links: Vec::new() };
    tree.grow(worker, entry, entry, job);
    for node in 0..n as u32 {
        if job.cancelled() {
            return;
        }
        if tree.parent(node) == NONE
            && let Some(from) = attach(worker, &tree, node, entry)
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
        }
    }
}

/// Links to an unreached node; returns from where.
fn attach(worker: &mut Worker<'_>, tree: &Tree, node: u32, entry: u32) -> Option<u32> {
    worker.aim(node);
    let near = worker.descend(entry, 0);
    let found: Vec<Near> = worker.search(near, 0).to_vec();
    let found = found.into_iter().map(|near| near.node);
    // There are more slots than nodes, so that in the end one is free or not needed.
    let mut from = found.chain(0..tree.parents.len() as u32);
    from.find(|from| tree.parent(*from) != NONE && replace(worker, tree, *from, node))
}

/// Puts a link to `node` into a free slot of `from`, else over the farthest link that is not of the tree. False where
/// all are.
fn replace(worker: &mut Worker<'_>, tree: &Tree, from: u32, node: u32) -> bool {
    let mut farthest: Option<(f32, usize)> = None;
    for (i, slot) in worker.site.links.slots(from, 0).iter().enumerate() {
        let to = slot.load(Ordering::Relaxed);
        if to == NONE {
            farthest = Some((f32::INFINITY, i));
            break;
        }
        let key = worker.between(from, to);
        if tree.parent(to) != from && farthest.is_none_or(|(most, _)| key > most) {
            farthest = Some((key, i));
        }
    }
    let Some((_, i)) = farthest else { return false };
    worker
        .site
        .links
        .slots(from, 0)
        .get(i)
        .map(|slot| slot.store(node, Ordering::Relaxed))
        .is_some()
}
