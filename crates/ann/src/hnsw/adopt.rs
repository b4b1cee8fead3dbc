//! A graph whose links come from elsewhere: nodes that have some keep them, the others are linked as in a build.

use std::sync::atomic::Ordering;

use super::build::{BuiltGraph, Cancelled, HnswParams, Ranks, Task, approach, build, finish, link};
use super::distance::Points;
use super::grid::Grid;
use super::levels::{level_of, links_max};
use super::links::Links;
use super::repair::connect;
use super::walk::MAX_NODES;
use super::worker::{Site, Worker};
use crate::parallel::Job;

/// Nodes linked between two looks at how far the graph has grown.
const AT_ONCE: usize = 1000;

/// Links that are there already.
pub trait Given: Sync {
    /// The level of a node; None for one without links.
    fn level(&self, node: u32) -> Option<u8>;
    /// Appends the links of such a node on a level, the most important first. What is no node, or is not on that level, is left out.
    fn links(&self, node: u32, level: u8, out: &mut Vec<u32>);
}

/// As [`build`], but nodes keep the links they are given, as many as there is room for. Whatever these are, every node can be
/// reached from the entry at level 0.
pub fn adopt(
    grid: &Grid,
    of: Points<'_>,
    params: &HnswParams,
    given: &dyn Given,
    job: &Job,
) -> Result<BuiltGraph, Cancelled> {
    let n = of.len().min(MAX_NODES as usize) as u32;
    let highest =
        (0..n).filter_map(|node| Some((given.level(node)?, std::cmp::Reverse(node)))).max();
    let Some((highest, std::cmp::Reverse(entry))) = highest else {
        return build(grid, of, params, job);
    };
    let level = |node: u32| {
        // No higher than the entry, which so stays where it is.
        let own = level_of(params.m, params.seed, node.into()).min(highest);
        given.level(node).unwrap_or(own)
    };
    let links = Links::new(params.m, (0..n).map(level).collect());
    fill(&links, params.m, given);
    let site = Site { grid, of, params, links };
    let (mut above, ground): (Vec<u32>, Vec<u32>) = (0..n)
        .filter(|node| given.level(*node).is_none())
        .partition(|node| site.links.level(*node) > 0);
    above.sort_by_key(|node| std::cmp::Reverse(site.links.level(*node)));
    let mut done = n as usize - above.len() - ground.len();
    for some in above.chunks(AT_ONCE) {
        let mut tasks: Vec<Task> = some.iter().map(|node| Task::new(*node, entry)).collect();
        link(&site, &mut tasks, done <= AT_ONCE, (done, job));
        done += some.len();
    }
    let ranks = Ranks::new(&site.links, entry);
    for some in ground.chunks(done.max(AT_ONCE)) {
        let mut tasks = approach(&site, some, entry, &ranks, job);
        link(&site, &mut tasks, done <= AT_ONCE, (done, job));
        done += some.len();
    }
    connect(&mut Worker::new(&site), entry, job);
    if job.cancelled() { Err(Cancelled) } else { Ok(finish(params.m, site.links, entry)) }
}

/// Writes what is given, each link once and none to the node itself.
fn fill(links: &Links, m: usize, given: &dyn Given) {
    let mut found = Vec::new();
    for node in 0..links.len() as u32 {
        let Some(highest) = given.level(node) else { continue };
        for level in 0..=highest {
            found.clear();
            given.links(node, level, &mut found);
            let mut kept: Vec<u32> = Vec::with_capacity(found.len());
            for other in &found {
                // What will be linked anew has no place above its own level, and what is no node has none at all.
                let is_there = (*other as usize) < links.len()
                    && links.level(*other) >= usize::from(level)
                    && given.level(*other).is_some();
                if is_there && *other != node && !kept.contains(other) {
                    kept.push(*other);
                }
            }
            let cap = links_max(m, usize::from(level));
            let slots = links.slots(node, usize::from(level)).iter().take(cap);
            slots.zip(kept).for_each(|(slot, other)| slot.store(other, Ordering::Relaxed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Given, adopt};
    use crate::hnsw::{BuiltGraph, Grid, HnswParams, Points, Vectors, build};
    use crate::metric::Metric;
    use crate::parallel::Job;
    use crate::rng::Rng;

    const DIMS: usize = 8;

    /// A graph, whose nodes beyond `n` are not given.
    struct Part<'a>(&'a BuiltGraph, u32);

    impl Given for Part<'_> {
        fn level(&self, node: u32) -> Option<u8> {
            (node < self.1).then(|| self.0.level(node) as u8)
        }

        fn links(&self, node: u32, level: u8, out: &mut Vec<u32>) {
            out.extend_from_slice(self.0.links(node, level.into()));
            // Twice, to itself, beyond all nodes.
            out.extend_from_slice(self.0.links(node, level.into()));
            out.extend([node, u32::MAX, 1 << 30]);
        }
    }

    fn reached(graph: &BuiltGraph) -> usize {
        let mut met = vec![false; graph.len()];
        let mut open = vec![graph.entry];
        while let Some(node) = open.pop() {
            if !std::mem::replace(&mut met[node as usize], true) {
                open.extend_from_slice(graph.links(node, 0));
            }
        }
        met.iter().filter(|met| **met).count()
    }

    #[test]
    fn what_is_given_stays_and_the_rest_is_linked() {
        let mut rng = Rng::new(3);
        let rows: Vec<f32> = (0..3000 * DIMS).map(|_| rng.normal()).collect();
        let of = Points::Vectors(Vectors { metric: Metric::L2, dims: DIMS, rows: &rows });
        let grid = Grid::train(Metric::L2, DIMS, &rows);
        let params = HnswParams { m: 8, ef_construction: 40, seed: 1 };
        let job = Job::default();
        let whole = build(&grid, of, &params, &job).unwrap();
        let same = adopt(&grid, of, &params, &Part(&whole, 3000), &job).unwrap();
        assert_eq!(same, whole);
        for n in [0, 1, 10, 1500, 2990] {
            let graph = adopt(&grid, of, &params, &Part(&whole, n), &job).unwrap();
            assert_eq!((graph.len(), reached(&graph)), (3000, 3000), "{n} given");
        }
    }
}
