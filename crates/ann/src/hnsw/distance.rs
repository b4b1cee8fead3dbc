//! What nodes are compared by: their codes, or their vectors where codes lose too much.

use super::grid::{Codes, Factors, Grid, GridQuery, finite};
use super::sparse::{SparsePoints, SparseQuery};
use crate::element::Float;
use crate::kernels::{cosine_from, dot, l1, l2_sqr, norm_sqr, prefetch_near};
use crate::metric::Metric;

/// How many vectors ahead are asked for.
const AHEAD: usize = 4;

/// From here on, the key of an inner product is its logarithm: this many octaves (powers of two) are one step of the key.
pub(super) const WIDE: f32 = (1u128 << 126) as f32;
const OCTAVES: f64 = 80.0;

/// Nodes where they lie in memory.
#[derive(Clone, Copy, Debug)]
pub enum Points<'a> {
    Codes(Codes<'a>),
    Vectors(Vectors<'a>),
    Sparse(SparsePoints<'a>),
}

/// The vectors of nodes: that of node i at `rows[i * dims..]`. One that begins with no number stands for no node.
#[derive(Clone, Copy, Debug)]
pub struct Vectors<'a> {
    /// How nearness is measured; L2 where cosine is meant and the vectors are normalised.
    pub metric: Metric,
    pub dims: usize,
    pub rows: &'a [f32],
}

impl<'a> Vectors<'a> {
    /// The vector of a node; an empty one where there is no such node.
    #[inline]
    pub fn node(&self, node: u32) -> &'a [f32] {
        let row = self.row(node);
        if row.first().is_none_or(|x| x.is_nan()) { &[] } else { row }
    }

    #[inline(always)]
    fn row(&self, node: u32) -> &'a [f32] {
        let at = node as usize * self.dims;
        self.rows.get(at..at + self.dims).unwrap_or_default()
    }
}

impl Points<'_> {
    /// Number of nodes, those that are none included.
    pub fn len(&self) -> usize {
        match self {
            Points::Codes(codes) => {
                codes.factors.len().min(codes.codes.len() / codes.stride.max(1))
            }
            Points::Vectors(vectors) => vectors.rows.len() / vectors.dims.max(1),
            Points::Sparse(points) => points.rows.len(),
        }
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Keys from a vector to others. They order as the operator's distances do, and are finite for all finite vectors.
#[derive(Clone, Debug)]
pub struct VectorQuery {
    metric: Metric,
    point: Vec<f32>,
    norm_sqr: f32,
}

impl VectorQuery {
    /// From a vector; under cosine of any length.
    pub fn new(metric: Metric, vector: &[f32]) -> Self {
        let mut query = Self { metric, point: Vec::new(), norm_sqr: 0.0 };
        query.aim(vector);
        query
    }

    /// From another vector.
    pub fn aim(&mut self, vector: &[f32]) {
        self.point.clear();
        self.point.extend_from_slice(vector);
        self.norm_sqr = if self.metric == Metric::Cosine { norm_sqr(vector) } else { 0.0 };
    }

    /// The key of a vector: smaller is nearer.
    #[inline]
    pub fn key<E: Float>(&self, row: &[E]) -> f32 {
        let key = match self.metric {
            // Bits are compared by their codes, which are exact.
            Metric::L2 | Metric::Hamming | Metric::Jaccard => l2_sqr(&self.point, row),
            Metric::L1 => l1(&self.point, row),
            Metric::InnerProduct => {
                let key = -dot(&self.point, row);
                if key.abs() < WIDE { key } else { self.wide_product(row) }
            }
            Metric::Cosine => {
                cosine_from(dot(&self.point, row), self.norm_sqr, norm_sqr(row)) as f32
            }
        };
        if key.is_finite() { key } else { finite(key) }
    }

    #[cold]
    fn wide_product<E: Float>(&self, row: &[E]) -> f32 {
        let pairs = self.point.iter().zip(row);
        wide(pairs.map(|(a, b)| f64::from(*a) * f64::from(b.to_f32())).sum())
    }

    fn key_of(&self, of: Vectors<'_>, node: u32) -> f32 {
        let row = of.node(node);
        if row.is_empty() { f32::INFINITY } else { self.key(row) }
    }

    fn keys(&self, of: Vectors<'_>, nodes: &[u32], out: &mut Vec<f32>) {
        nodes.iter().take(AHEAD).for_each(|node| prefetch_near(of.row(*node)));
        out.extend(nodes.iter().enumerate().map(|(i, node)| {
            if let Some(later) = nodes.get(i + AHEAD) {
                prefetch_near(of.row(*later));
            }
            self.key_of(of, *node)
        }));
    }
}

/// The key of an inner product beyond [`WIDE`] or beyond what a float holds. Of rows so long one would else be as near as
/// another, and the longest, which are near to all others, would not be linked to each other.
#[cold]
pub(super) fn wide(product: f64) -> f32 {
    let beyond = (product.abs().log2() - f64::from(WIDE).log2()) / OCTAVES;
    // Two octaves have room for all; and none is nearer than the last float.
    let key = f64::from(WIDE) * beyond.max(0.0).exp2();
    finite((-product.signum() * key) as f32)
}

/// What nodes are compared with, by what they are compared by.
#[derive(Clone, Debug)]
pub enum NodeQuery {
    Code(GridQuery),
    Vector(VectorQuery),
    Sparse(SparseQuery),
}

impl NodeQuery {
    /// One that is aimed at a node before it is used.
    pub fn unaimed(grid: &Grid) -> Self {
        NodeQuery::Code(grid.query_of_code(&[], Factors::NONE))
    }

    /// Makes it stand for a node.
    #[inline]
    pub fn aim(&mut self, grid: &Grid, of: Points<'_>, node: u32) {
        match (of, &mut *self) {
            (Points::Codes(codes), NodeQuery::Code(query)) => {
                let (code, factors) = codes.node(node, grid.size());
                grid.aim(query, code, factors);
            }
            (Points::Vectors(vectors), NodeQuery::Vector(query))
                if query.metric == vectors.metric =>
            {
                query.aim(vectors.node(node));
            }
            (Points::Sparse(points), NodeQuery::Sparse(query)) if query.metric == points.metric => {
                query.aim(points.rows.get(node as usize).unwrap_or_default());
            }
            (Points::Sparse(points), _) => {
                let row = points.rows.get(node as usize).unwrap_or_default();
                *self = NodeQuery::Sparse(SparseQuery::new(points.metric, row));
            }
            (Points::Codes(codes), _) => {
                let (code, factors) = codes.node(node, grid.size());
                *self = NodeQuery::Code(grid.query_of_code(code, factors));
            }
            (Points::Vectors(vectors), _) => {
                let query = VectorQuery::new(vectors.metric, vectors.node(node));
                *self = NodeQuery::Vector(query);
            }
        }
    }

    /// The key of a node of the same kind: +∞ where there is none.
    #[inline]
    pub fn key(&self, grid: &Grid, of: Points<'_>, node: u32) -> f32 {
        match (of, self) {
            (Points::Codes(codes), NodeQuery::Code(query)) => {
                let (code, factors) = codes.node(node, grid.size());
                query.key(code, factors)
            }
            (Points::Vectors(vectors), NodeQuery::Vector(query)) => query.key_of(vectors, node),
            (Points::Sparse(points), NodeQuery::Sparse(query)) => query.key_of(points, node),
            _ => f32::INFINITY,
        }
    }

    /// Appends the keys of many nodes. `sums` is scratch.
    #[inline]
    pub fn keys(&self, of: Points<'_>, nodes: &[u32], sums: &mut Vec<i32>, out: &mut Vec<f32>) {
        match (of, self) {
            (Points::Codes(codes), NodeQuery::Code(query)) => query.keys(codes, nodes, sums, out),
            (Points::Vectors(vectors), NodeQuery::Vector(query)) => query.keys(vectors, nodes, out),
            (Points::Sparse(points), NodeQuery::Sparse(query)) => query.keys(points, nodes, out),
            _ => out.extend(nodes.iter().map(|_| f32::INFINITY)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NodeQuery, Points, VectorQuery, Vectors};
    use crate::hnsw::Grid;
    use crate::metric::Metric;

    #[test]
    fn keys_of_vectors_are_finite_and_in_order() {
        let rows = [1.0, 0.0, 3e38, 3e38, f32::NAN, 0.0, -3e38, 3e38, 1e-40, 1e-44];
        for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine, Metric::L1] {
            let of = Points::Vectors(Vectors { metric, dims: 2, rows: &rows });
            let grid = Grid::train(metric, 2, &[]);
            let mut query = NodeQuery::unaimed(&grid);
            for node in [0, 1, 3, 4] {
                query.aim(&grid, of, node);
                let mut keys = Vec::new();
                query.keys(of, &[0, 1, 2, 3, 4, 5], &mut Vec::new(), &mut keys);
                for (other, key) in (0..6).zip(&keys) {
                    assert_eq!(query.key(&grid, of, other), *key);
                    assert_eq!(key.is_finite(), ![2, 5].contains(&other), "{metric:?} {keys:?}");
                }
            }
        }
        // Inner products beyond what a float holds are in order as well.
        let query = VectorQuery::new(Metric::InnerProduct, &[3e38, -3e38, 1e20]);
        let rows = (-38..=38).rev().map(|e| [10f64.powi(e) as f32, 0.0, 0.0]);
        let rows: Vec<[f32; 3]> = rows.chain([[0.0; 3], [-1e10, 1e5, 0.0]]).collect();
        let keys: Vec<f32> = rows.iter().map(|row| query.key(row)).collect();
        assert!(keys.iter().all(|key| key.is_finite()) && keys.is_sorted(), "{keys:?}");
        assert!(keys[1..].is_sorted_by(|a, b| a < b), "{keys:?}");
        let query = VectorQuery::new(Metric::L2, &[1.0, 1.0]);
        assert_eq!(query.key(&[3.0f32, 1.0]), 4.0);
        assert_eq!(query.key(&[half::f16::from_f32(2.0), half::f16::ONE]), 1.0);
    }
}
