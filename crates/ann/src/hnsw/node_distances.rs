//! Keys between nodes, as the selection of links asks for them: one node against several, then the next.

use super::distance::{NodeQuery, Points};
use super::grid::Grid;

/// The node that others are compared with, and memory for that.
#[derive(Clone, Debug)]
pub struct NodeDistances {
    query: NodeQuery,
    node: Option<u32>,
    sums: Vec<i32>,
}

impl NodeDistances {
    /// Of nodes whose codes are of that grid.
    pub fn new(grid: &Grid) -> Self {
        NodeDistances { query: NodeQuery::unaimed(grid), node: None, sums: Vec::new() }
    }

    /// The numbers of nodes mean others from now on.
    pub fn forget(&mut self) {
        self.node = None;
    }

    #[inline]
    fn aim(&mut self, grid: &Grid, of: Points<'_>, node: u32) {
        if self.node != Some(node) {
            self.query.aim(grid, of, node);
            self.node = Some(node);
        }
    }

    /// The key between two nodes; cheaper the second time with the same `a`.
    #[inline]
    pub fn between(&mut self, grid: &Grid, of: Points<'_>, a: u32, b: u32) -> f32 {
        self.aim(grid, of, a);
        self.query.key(grid, of, b)
    }

    /// Appends the keys between a node and each of `nodes`.
    pub fn keys(
        &mut self,
        grid: &Grid,
        of: Points<'_>,
        node: u32,
        nodes: &[u32],
        out: &mut Vec<f32>,
    ) {
        self.aim(grid, of, node);
        self.query.keys(of, nodes, &mut self.sums, out);
    }
}
