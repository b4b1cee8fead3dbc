//! Nodes of vectors that name only their elements other than zero, as such: no code stands for them.

use super::distance::wide;
use super::grid::finite;
use crate::kernels::sparse::{Lookup, Sparse, l1, l2_sqr, norm_sqr};
use crate::kernels::{cosine_from, prefetch_near};
use crate::metric::Metric;

/// How many vectors ahead are asked for.
const AHEAD: usize = 2;

/// Where a vector is; with a length of [`NONE`] there is none.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    n: u32,
}

const NONE: Span = Span { start: 0, n: u32::MAX };

/// Vectors of nodes one after the other in memory, in any order.
#[derive(Clone, Debug, Default)]
pub struct SparseRows {
    spans: Vec<Span>,
    indices: Vec<i32>,
    values: Vec<f32>,
}

impl SparseRows {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.spans.clear();
        self.indices.clear();
        self.values.clear();
    }

    /// Number of nodes, those without a vector included.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Makes it `n` nodes: those that are new are without a vector.
    pub fn resize(&mut self, n: usize) {
        self.spans.resize(n, NONE);
    }

    /// Gives a node that has none its vector.
    pub fn set(&mut self, node: usize, row: Sparse<'_>) {
        let span = self.append(row);
        if let Some(to) = self.spans.get_mut(node) {
            *to = span;
        }
    }

    /// Adds one more node.
    pub fn push(&mut self, row: Sparse<'_>) {
        let span = self.append(row);
        self.spans.push(span);
    }

    fn append(&mut self, row: Sparse<'_>) -> Span {
        let n = row.indices.len().min(row.values.len());
        let start = self.indices.len();
        self.indices.extend(row.indices.iter().take(n));
        self.values.extend(row.values.iter().take(n));
        Span { start, n: n as u32 }
    }

    /// The vector of a node; None where it has none.
    #[inline]
    pub fn get(&self, node: usize) -> Option<Sparse<'_>> {
        let Span { start, n } = *self.spans.get(node)?;
        let end = start.checked_add(n as usize)?;
        Some(Sparse {
            indices: self.indices.get(start..end)?,
            values: self.values.get(start..end)?,
        })
    }

    /// Makes the nodes those of these numbers, in their order; what is left out keeps its memory.
    pub fn keep(&mut self, nodes: &[u32]) {
        let span = |node: &u32| self.spans.get(*node as usize).copied().unwrap_or(NONE);
        self.spans = nodes.iter().map(span).collect();
    }

    /// Bytes that a vector of `n` elements takes here.
    pub const fn row_bytes(n: usize) -> usize {
        size_of::<Span>() + n * (size_of::<i32>() + size_of::<f32>())
    }
}

/// Vectors of nodes, and how they are compared.
#[derive(Clone, Copy, Debug)]
pub struct SparsePoints<'a> {
    pub metric: Metric,
    pub rows: &'a SparseRows,
}

/// Keys from one vector to others. They order as the operator's distances do, and are finite for all finite vectors.
#[derive(Clone, Debug)]
pub struct SparseQuery {
    pub(super) metric: Metric,
    vector: Lookup,
    norm_sqr: f32,
}

impl SparseQuery {
    /// From a vector.
    pub fn new(metric: Metric, vector: Sparse<'_>) -> Self {
        let mut query = Self { metric, vector: Lookup::default(), norm_sqr: 0.0 };
        query.aim(vector);
        query
    }

    /// From another vector.
    pub fn aim(&mut self, vector: Sparse<'_>) {
        self.vector.set(vector);
        self.norm_sqr = norm_sqr(vector);
    }

    /// The vector.
    pub fn vector(&self) -> Sparse<'_> {
        self.vector.vector()
    }

    /// Whether some vectors are nearer to it than others.
    pub fn has_direction(&self) -> bool {
        self.metric.has_origin() || !self.vector().values.is_empty()
    }

    /// The exact key: it orders as the operator's distance, bit for bit.
    #[inline]
    pub fn exact(&self, row: Sparse<'_>) -> f64 {
        match self.metric {
            Metric::L1 => f64::from(l1(self.vector(), row)),
            Metric::InnerProduct => -f64::from(self.vector.dot(row)),
            Metric::Cosine => cosine_from(self.vector.dot(row), self.norm_sqr, norm_sqr(row)),
            // Of bits there are no sparse vectors.
            Metric::L2 | Metric::Hamming | Metric::Jaccard => f64::from(l2_sqr(self.vector(), row)),
        }
    }

    /// The operator's distance of an exact key.
    pub fn distance_of(&self, key: f64) -> f64 {
        if self.metric == Metric::L2 { key.sqrt() } else { key }
    }

    /// The key that searches go by: smaller is nearer.
    #[inline]
    pub fn key(&self, row: Sparse<'_>) -> f32 {
        let key = self.exact(row) as f32;
        if self.metric == Metric::InnerProduct && key.abs() >= super::distance::WIDE {
            return wide(self.product(row));
        }
        if key.is_finite() { key } else { finite(key) }
    }

    /// The inner product in double precision.
    #[cold]
    fn product(&self, row: Sparse<'_>) -> f64 {
        let mut others = row.indices.iter().zip(row.values).peekable();
        let mut sum = 0.0;
        for (index, value) in self.vector().indices.iter().zip(self.vector().values) {
            while others.next_if(|(other, _)| *other < index).is_some() {}
            if let Some((_, other)) = others.next_if(|(other, _)| *other == index) {
                sum += f64::from(*value) * f64::from(*other);
            }
        }
        sum
    }

    /// The key of a node; +∞ where it has no vector.
    #[inline]
    pub(super) fn key_of(&self, of: SparsePoints<'_>, node: u32) -> f32 {
        of.rows.get(node as usize).map_or(f32::INFINITY, |row| self.key(row))
    }

    pub(super) fn keys(&self, of: SparsePoints<'_>, nodes: &[u32], out: &mut Vec<f32>) {
        out.extend(nodes.iter().enumerate().map(|(i, node)| {
            let later = nodes.get(i + AHEAD).and_then(|later| of.rows.get(*later as usize));
            if let Some(later) = later {
                prefetch_near(later.indices);
                prefetch_near(later.values);
            }
            self.key_of(of, *node)
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hnsw::{Grid, NodeQuery, Points};
    use crate::kernels::sparse::{cosine_distance, l2_distance};

    fn of<'a>(indices: &'a [i32], values: &'a [f32]) -> Sparse<'a> {
        Sparse { indices, values }
    }

    #[test]
    fn rows_are_set_in_any_order_and_kept_by_number() {
        let mut rows = SparseRows::default();
        rows.resize(3);
        rows.set(2, of(&[1, 5], &[1.0, 2.0]));
        rows.set(0, of(&[], &[]));
        rows.push(of(&[7], &[3.0]));
        assert_eq!(rows.get(2).unwrap().indices, [1, 5]);
        assert_eq!(rows.get(0).unwrap().values, [0.0; 0]);
        assert!(rows.get(1).is_none() && rows.get(4).is_none());
        rows.keep(&[3, 1, 2]);
        assert_eq!((rows.len(), rows.get(0).unwrap().values), (3, &[3.0][..]));
        assert!(rows.get(1).is_none());
    }

    #[test]
    fn keys_are_finite_and_order_as_the_operators() {
        let a = of(&[0, 3, 9], &[1.0, -2.0, 3e38]);
        let b = of(&[3, 9], &[0.5, 3e38]);
        let c = of(&[1], &[2.0]);
        let mut rows = SparseRows::default();
        [a, b, c].into_iter().for_each(|row| rows.push(row));
        rows.resize(4);
        for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine, Metric::L1] {
            let points = SparsePoints { metric, rows: &rows };
            let grid = Grid::train(metric, 1, &[]);
            let mut query = NodeQuery::unaimed(&grid);
            for node in 0..4 {
                query.aim(&grid, Points::Sparse(points), node);
                let mut keys = Vec::new();
                query.keys(Points::Sparse(points), &[0, 1, 2, 3], &mut Vec::new(), &mut keys);
                assert!(keys.iter().take(3).all(|key| key.is_finite()), "{metric:?} {keys:?}");
                assert_eq!(keys.get(3), Some(&f32::INFINITY));
            }
        }
        let query = SparseQuery::new(Metric::L2, c);
        assert_eq!(query.distance_of(query.exact(b)), l2_distance(c, b));
        let query = SparseQuery::new(Metric::Cosine, c);
        assert_eq!(query.exact(c), cosine_distance(c, c));
        // Inner products beyond what a float holds are in order as well.
        let query = SparseQuery::new(Metric::InnerProduct, of(&[2, 9], &[1.0, 3e38]));
        let values: Vec<[f32; 1]> = (-38..=38).rev().map(|e| [10f64.powi(e) as f32]).collect();
        let keys: Vec<f32> = values.iter().map(|value| query.key(of(&[9], value))).collect();
        assert!(keys.iter().all(|key| key.is_finite()) && keys.is_sorted(), "{keys:?}");
    }

    #[test]
    fn a_vector_of_zeros_has_no_direction() {
        let has = |metric, values| SparseQuery::new(metric, of(&[4], values)).has_direction();
        assert!(SparseQuery::new(Metric::L2, Sparse::default()).has_direction());
        assert!(!SparseQuery::new(Metric::Cosine, Sparse::default()).has_direction());
        assert!(has(Metric::InnerProduct, &[0.5]));
    }
}
