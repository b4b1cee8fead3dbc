//! A graph in memory, built from codes or vectors on all threads of the pool.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::distance::Points;
use super::grid::{Factors, Grid};
use super::levels::{level_of, links_max};
use super::links::{Links, NONE};
use super::repair::connect;
use super::walk::{MAX_NODES, Near};
use super::worker::{Site, Worker};
use crate::parallel::{Job, for_each_chunk};
use crate::rng::Rng;

/// Nodes that one thread links before others join: in a graph of few nodes threads would not see each other's.
const ALONE: usize = 1000;
/// Nodes that a thread takes at a time. Threads work far from each other, then: their nodes follow in an order that keeps
/// neighbours together.
const SHARE: usize = 256;

/// What a graph is built by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HnswParams {
    /// Links of a node: 2m at level 0, m above. 2..=100.
    pub m: usize,
    /// Candidates that a node's neighbours are selected from. 4..=2000.
    pub ef_construction: usize,
    /// Decides the levels and the order of insertion.
    pub seed: u64,
}

/// The build was no longer wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

/// A graph that no longer changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BuiltGraph {
    /// The node where every search begins; [`NO_NODE`] in an empty graph.
    pub entry: u32,
    /// The level of each node.
    pub levels: Vec<u8>,
    m: usize,
    ground: Vec<u32>,
    upper: Vec<u32>,
    upper_at: Vec<u32>,
}

/// No node.
pub const NO_NODE: u32 = NONE;

impl BuiltGraph {
    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.levels.len()
    }

    /// True without any node.
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// The level of a node.
    pub fn level(&self, node: u32) -> usize {
        self.levels.get(node as usize).map_or(0, |level| usize::from(*level))
    }

    /// The links of a node on a level, none of them twice and none to itself, at most [`links_max`]; none above the
    /// node's own level.
    pub fn links(&self, node: u32, level: usize) -> &[u32] {
        let cap = links_max(self.m, level);
        let (slots, at) = match level {
            0 => (&self.ground, node as usize * cap),
            _ if level > self.level(node) => return &[],
            _ => {
                let above = self.upper_at.get(node as usize).map_or(0, |at| *at as usize);
                (&self.upper, (above + level - 1) * cap)
            }
        };
        let slots = slots.get(at..at + cap).unwrap_or_default();
        slots.split(|id| *id == NONE).next().unwrap_or_default()
    }
}

/// Bytes that [`build`] needs at most beside what one search needs, with the codes and factors it is given, or vectors of so
/// many bytes.
pub fn build_bytes(n: usize, code_bytes: usize, m: usize) -> usize {
    let links = size_of::<u32>() * links_max(m, 0);
    // Levels above 0 are 1 / (m - 1) of the nodes; levels, order, places and locks take 10 bytes.
    let upper = (size_of::<u32>() * m).div_ceil(m.saturating_sub(1).max(1));
    n.saturating_mul(code_bytes + size_of::<Factors>() + links + upper + 10)
}

/// Links nodes by their codes, which are of that grid, or by their vectors, on the pool it is called in, else on the calling
/// thread. With one thread the same arguments give the same graph; with more, one as good. Every node can be reached
/// from the entry at level 0. Fewer than [`MAX_NODES`] nodes; those beyond are left out.
///
/// Equal vectors belong into one node: each further one costs links and leads nowhere.
pub fn build(
    grid: &Grid,
    of: Points<'_>,
    params: &HnswParams,
    job: &Job,
) -> Result<BuiltGraph, Cancelled> {
    let n = of.len().min(MAX_NODES as usize);
    let levels = (0..n as u64).map(|i| level_of(params.m, params.seed, i)).collect();
    let site = Site { grid, of, params, links: Links::new(params.m, levels) };
    let order = insertion_order(&site.links, params.seed);
    let Some(&entry) = order.first() else { return Ok(finish(params.m, site.links, NO_NODE)) };
    let Some((first, rest)) = order.get(1..).and_then(|order| order.split_at_checked(above(&site)))
    else {
        return Ok(finish(params.m, site.links, entry));
    };
    let mut done = 1;
    for some in first.chunks(ALONE) {
        let mut tasks: Vec<Task> = some.iter().map(|node| Task::new(*node, entry)).collect();
        link(&site, &mut tasks, done <= ALONE, (done, job));
        done += some.len();
    }
    let ranks = Ranks::new(&site.links, entry);
    let mut rest = rest;
    // Each round doubles the graph: within a round neighbours follow each other, and the rounds are random samples, so that
    // links are as those of a random order (Amenta, Choi and Rote 2003).
    while !rest.is_empty() {
        let (some, left) = rest.split_at(done.max(ALONE).min(rest.len()));
        let mut tasks = approach(&site, some, entry, &ranks, job);
        link(&site, &mut tasks, done <= ALONE, (done, job));
        (done, rest) = (done + some.len(), left);
    }
    connect(&mut Worker::new(&site), entry, job);
    if job.cancelled() { Err(Cancelled) } else { Ok(finish(params.m, site.links, entry)) }
}

pub(super) fn finish(m: usize, links: Links, entry: u32) -> BuiltGraph {
    let (levels, ground, upper, upper_at) = links.finish();
    BuiltGraph { entry, levels, m, ground, upper, upper_at }
}

/// The highest level first, so that the entry never changes; shuffled within a level.
fn insertion_order(links: &Links, seed: u64) -> Vec<u32> {
    let mut order = Rng::new(seed).permutation(links.len() as u32);
    order.sort_by_key(|node| std::cmp::Reverse(links.level(*node)));
    order
}

/// How many nodes but the entry are above level 0.
fn above(site: &Site<'_>) -> usize {
    let n = site.links.len() as u32;
    (0..n).filter(|node| site.links.level(*node) > 0).count().saturating_sub(1)
}

/// A node to link, and where the search for its neighbours begins.
pub(super) struct Task {
    node: u32,
    from: Near,
    rank: u32,
}

impl Task {
    /// One whose way down is still to be found.
    pub(super) fn new(node: u32, entry: u32) -> Task {
        Task { node, from: Near { key: f32::INFINITY, node: entry }, rank: 0 }
    }
}

/// An order of the nodes above level 0 that keeps neighbours together.
pub(super) struct Ranks(Vec<u32>);

impl Ranks {
    /// Along the links of level 1, to the first that was not passed yet.
    pub(super) fn new(links: &Links, entry: u32) -> Ranks {
        let mut ranks = vec![NONE; links.len()];
        let (mut open, mut next, mut near) = (vec![entry], 0, Vec::new());
        while let Some(node) = open.pop() {
            let Some(rank) = ranks.get_mut(node as usize).filter(|rank| **rank == NONE) else {
                continue;
            };
            *rank = next;
            next += 1;
            near.clear();
            if links.level(node) > 0 {
                links.read(node, 1, &mut near);
            }
            open.extend(near.iter().rev());
        }
        Ranks(ranks)
    }

    fn of(&self, node: u32) -> u32 {
        self.0.get(node as usize).copied().unwrap_or(NONE)
    }
}

/// Goes down to level 0 for each node, and puts them in the order of where they came to.
pub(super) fn approach(
    site: &Site<'_>,
    nodes: &[u32],
    entry: u32,
    ranks: &Ranks,
    job: &Job,
) -> Vec<Task> {
    let mut tasks: Vec<Task> = nodes.iter().map(|node| Task::new(*node, entry)).collect();
    for_each_chunk(&mut tasks, SHARE, |_, tasks| {
        let mut worker = Worker::new(site);
        for task in tasks {
            if job.cancelled() {
                return;
            }
            worker.aim(task.node);
            task.from = worker.descend(entry, 0);
            task.rank = ranks.of(task.from.node);
        }
    });
    tasks.sort_by_key(|task| task.rank);
    tasks
}

/// Links nodes on the pool it is called in; `alone`: one after the other. `done`: how many were linked before.
pub(super) fn link(site: &Site<'_>, tasks: &mut [Task], alone: bool, (done, job): (usize, &Job)) {
    let all = AtomicUsize::new(done);
    let some = |_: usize, tasks: &mut [Task]| {
        let mut worker = Worker::new(site);
        for task in tasks.iter() {
            if job.cancelled() {
                return;
            }
            worker.insert(task.node, task.from);
        }
        let done = all.fetch_add(tasks.len(), Ordering::Relaxed);
        job.progress((done + tasks.len()) as u64, site.links.len() as u64);
    };
    if alone {
        tasks.chunks_mut(SHARE).for_each(|tasks| some(0, tasks));
    } else {
        for_each_chunk(tasks, SHARE, some);
    }
}

#[cfg(test)]
mod tests;
