//! The rows of a build in memory: which of them are equal, and what is written of them.

use std::hash::{DefaultHasher, Hasher};

use ann::hnsw::{BuiltGraph, Factors, SparseRows};
use ann::kernels::sparse::Sparse;
use pages::Error;
use pages::hnsw::build::Source;
use pages::hnsw::sparse::{FACTORS, bytes_of};
use pages::tid::Tid;

use crate::am::graph::attributes::RowAttributes;
use crate::am::graph::rows::Nodes;

/// Rows collected for a graph, in the order of the table.
#[derive(Default)]
pub struct Rows {
    pub tids: Vec<Tid>,
    pub vectors: SparseRows,
    /// Hashes of the vectors.
    hashes: Vec<u64>,
    pub attributes: RowAttributes,
}

impl Rows {
    /// No rows yet.
    pub fn with(attributes: RowAttributes) -> Self {
        Self { attributes, ..Self::default() }
    }

    pub fn len(&self) -> usize {
        self.tids.len()
    }

    /// Bytes of memory that a row of `n` elements takes.
    pub fn row_bytes(n: usize) -> usize {
        SparseRows::row_bytes(n) + size_of::<Tid>() + size_of::<u64>() + 2 * size_of::<u32>()
    }

    pub fn add(&mut self, tid: Tid, vector: Sparse<'_>) {
        self.tids.push(tid);
        self.hashes.push(hash(vector));
        self.vectors.push(vector);
    }

    /// Tells nodes and duplicates apart. The vectors then are those of the nodes, by node; all else stays by row.
    pub fn nodes(&mut self) -> Nodes {
        let hashes = std::mem::take(&mut self.hashes);
        let mut order: Vec<u32> = (0..hashes.len() as u32).collect();
        order.sort_unstable_by_key(|&row| (hashes.get(row as usize).copied(), row));
        let same_hash = |a: &u32, b: &u32| hashes.get(*a as usize) == hashes.get(*b as usize);
        let (mut rows, mut duplicates) = (Vec::with_capacity(order.len()), Vec::new());
        for group in order.chunk_by(same_hash) {
            let first = rows.len();
            for row in group {
                let of_group = rows.get(first..).unwrap_or_default();
                match of_group.iter().find(|node| self.are_equal(**node, *row)) {
                    Some(node) => duplicates.push((*node, *row)),
                    None => rows.push(*row),
                }
            }
        }
        rows.sort_unstable();
        for (node, _) in &mut duplicates {
            *node = rows.partition_point(|row| row < node) as u32;
        }
        duplicates.sort_unstable();
        self.vectors.keep(&rows);
        Nodes { rows, duplicates }
    }

    fn are_equal(&self, a: u32, b: u32) -> bool {
        let (a, b) = (self.vectors.get(a as usize), self.vectors.get(b as usize));
        let (Some(a), Some(b)) = (a, b) else { return false };
        a.indices == b.indices && bytes(a.values) == bytes(b.values)
    }
}

fn bytes(values: &[f32]) -> &[u8] {
    bytemuck::cast_slice(values)
}

fn hash(vector: Sparse<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytemuck::cast_slice(vector.indices));
    hasher.write(bytes(vector.values));
    hasher.finish()
}

/// A graph in memory with what belongs to its nodes.
pub struct Made {
    pub rows: Rows,
    pub nodes: Nodes,
    pub graph: BuiltGraph,
    /// The bytes of the vector asked for last.
    pub stored: Vec<u8>,
}

impl Made {
    fn tid(&self, row: u32) -> Tid {
        self.rows.tids.get(row as usize).copied().unwrap_or(Tid::FREE)
    }
}

impl Source for Made {
    fn entry(&self) -> Option<u32> {
        (!self.graph.is_empty()).then_some(self.graph.entry)
    }

    fn level(&self, node: u32) -> u8 {
        self.graph.levels.get(node as usize).copied().unwrap_or_default()
    }

    fn links(&self, node: u32, level: usize, out: &mut Vec<u32>) {
        out.extend_from_slice(self.graph.links(node, level));
    }

    fn by_vectors(&self) -> bool {
        false
    }

    fn code(&self, _node: u32) -> (&[u8], Factors) {
        (&[], FACTORS)
    }

    fn attributes(&self, node: u32, i: usize) -> &[u8] {
        self.rows.attributes.of(self.nodes.row(node, i))
    }

    fn n_rows(&self, node: u32) -> usize {
        1 + self.nodes.duplicates_of(node).count()
    }

    fn tids(&self, node: u32, out: &mut Vec<Tid>) {
        let row = self.nodes.rows.get(node as usize).copied().unwrap_or_default();
        out.push(self.tid(row));
        out.extend(self.nodes.duplicates_of(node).map(|row| self.tid(row)));
    }

    fn vector(&mut self, node: u32) -> Result<&[u8], Error> {
        bytes_of(self.rows.vectors.get(node as usize).unwrap_or_default(), &mut self.stored);
        Ok(&self.stored)
    }

    fn n_stored(&self, node: u32) -> usize {
        self.rows.vectors.get(node as usize).map_or(0, |vector| vector.indices.len())
    }
}

#[cfg(feature = "pg_test")]
#[pgrx::pg_schema]
mod tests {
    use ann::kernels::sparse::Sparse;
    use pages::tid::Tid;
    use pgrx::pg_test;

    use super::Rows;

    #[pg_test]
    fn pgtest_equal_sparse_rows_share_a_node() {
        let mut rows = Rows::default();
        let vectors: [(&[i32], &[f32]); 5] = [
            (&[1, 2], &[1.0, 2.0]),
            (&[1, 3], &[1.0, 2.0]),
            (&[1, 2], &[1.0, 2.0]),
            (&[], &[]),
            (&[], &[]),
        ];
        for (i, (indices, values)) in (0..).zip(vectors) {
            rows.add(Tid::new(i, 1), Sparse { indices, values });
        }
        let nodes = rows.nodes();
        assert_eq!(
            (&nodes.rows[..], &nodes.duplicates[..]),
            (&[0, 1, 3][..], &[(0, 2), (2, 4)][..])
        );
        assert_eq!(rows.vectors.get(1).map(|vector| vector.indices.to_vec()), Some(vec![1, 3]));
        assert_eq!((rows.vectors.len(), rows.len()), (3, 5));
    }
}
