//! Keys between nodes, as the selection of links asks for them: one node against several, then the next.

use super::grid::{Codes, Grid, GridQuery};

/// The node that others are compared with, and memory for that.
#[derive(Clone, Debug)]
pub struct Judge {
    query: GridQuery,
    node: Option<u32>,
    sums: Vec<i32>,
}

impl Judge {
    /// Of codes of that grid.
    pub fn new(grid: &Grid) -> Self {
        Judge { query: grid.query_of_code(&[], 0.0), node: None, sums: Vec::new() }
    }

    /// The numbers of nodes mean other codes from now on.
    pub fn forget(&mut self) {
        self.node = None;
    }

    #[inline]
    fn aim(&mut self, grid: &Grid, of: Codes<'_>, node: u32) {
        if self.node != Some(node) {
            let (code, bias) = of.node(node, grid.size());
            grid.aim(&mut self.query, code, bias);
            self.node = Some(node);
        }
    }

    /// The key between two nodes; cheaper the second time with the same `a`.
    #[inline]
    pub fn between(&mut self, grid: &Grid, of: Codes<'_>, a: u32, b: u32) -> f32 {
        self.aim(grid, of, a);
        let (code, bias) = of.node(b, grid.size());
        self.query.key(code, bias)
    }

    /// Appends the keys between a node and each of `nodes`.
    pub fn keys(
        &mut self,
        grid: &Grid,
        of: Codes<'_>,
        node: u32,
        nodes: &[u32],
        out: &mut Vec<f32>,
    ) {
        self.aim(grid, of, node);
        self.query.keys(of, nodes, &mut self.sums, out);
    }
}
