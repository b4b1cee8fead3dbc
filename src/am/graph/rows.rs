//! The rows of a build: their codes in memory, their vectors beside it, and which of them are equal.

use std::hash::{DefaultHasher, Hasher};

use pages::Error;
use pages::tid::Tid;

use super::vectors::Vectors;

/// Bytes of memory a row takes here beside its code and bias.
pub const ROW_BYTES: usize = size_of::<Tid>() + size_of::<u64>() + size_of::<u32>();

/// Rows collected for a graph, in the order of the table.
pub struct Rows {
    code_bytes: usize,
    /// n × code_bytes.
    pub codes: Vec<u8>,
    pub biases: Vec<f32>,
    pub tids: Vec<Tid>,
    /// Hashes of what is stored of the rows.
    hashes: Vec<u64>,
    pub vectors: Vectors,
}

/// Which rows are nodes of the graph, and which are the twins of one: rows of which the same is stored.
pub struct Nodes {
    /// The row of each node, ascending.
    pub rows: Vec<u32>,
    /// Node and row of each twin, by node.
    pub twins: Vec<(u32, u32)>,
}

impl Nodes {
    /// The rows that are twins of a node.
    pub fn twins_of(&self, node: u32) -> impl Iterator<Item = u32> {
        let first = self.twins.partition_point(|&(of, _)| of < node);
        let twins = self.twins.get(first..).unwrap_or_default();
        twins.iter().take_while(move |&&(of, _)| of == node).map(|&(_, row)| row)
    }
}

impl Rows {
    /// No rows yet.
    pub fn new(code_bytes: usize, vectors: Vectors) -> Self {
        let (codes, biases, tids, hashes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { code_bytes, codes, biases, tids, hashes, vectors }
    }

    pub fn len(&self) -> usize {
        self.tids.len()
    }

    /// Adds rows: their tids, and one after the other their codes, biases and stored vectors (nothing where none are stored).
    /// `reserve` is how many rows there will be at most, so that memory does not grow beyond.
    pub fn add(
        &mut self,
        tids: &[Tid],
        (codes, biases): (&[u8], &[f32]),
        vectors: &[u8],
        reserve: usize,
    ) -> Result<(), Error> {
        if self.tids.capacity() < self.len() + tids.len() {
            let target = (2 * self.len()).max(self.len() + tids.len()).min(reserve);
            let more = target.saturating_sub(self.len());
            self.tids.reserve_exact(more);
            self.hashes.reserve_exact(more);
            self.biases.reserve_exact(more);
            self.codes.reserve_exact(more * self.code_bytes);
        }
        self.tids.extend_from_slice(tids);
        self.codes.extend_from_slice(codes);
        self.biases.extend_from_slice(biases);
        let size = vectors.len() / tids.len().max(1);
        let stored = if size > 0 { (vectors, size) } else { (codes, self.code_bytes) };
        self.hashes.extend(stored.0.chunks_exact(stored.1.max(1)).map(hash));
        self.vectors.push(vectors)
    }

    /// The code of a row.
    pub fn code(&self, row: u32) -> &[u8] {
        let at = row as usize * self.code_bytes;
        self.codes.get(at..at + self.code_bytes).unwrap_or_default()
    }

    /// The bias of a row.
    pub fn bias(&self, row: u32) -> f32 {
        self.biases.get(row as usize).copied().unwrap_or_default()
    }

    /// Tells nodes and twins apart. Then codes and biases are those of the nodes, by node; all else stays by row.
    pub fn nodes(&mut self) -> Result<Nodes, Error> {
        let hashes = std::mem::take(&mut self.hashes);
        let mut order: Vec<u32> = (0..hashes.len() as u32).collect();
        order.sort_unstable_by_key(|&row| (hashes.get(row as usize).copied(), row));
        let mut pairs = Vec::new();
        let (mut first, mut other) = (Vec::new(), Vec::new());
        let same_hash = |a: &u32, b: &u32| hashes.get(*a as usize) == hashes.get(*b as usize);
        for group in order.chunk_by(same_hash).filter(|group| group.len() > 1) {
            let Some((&node, twins)) = group.split_first() else { continue };
            self.vectors.read(node, &mut first)?;
            for &row in twins {
                self.vectors.read(row, &mut other)?;
                // Two vectors with one hash would be two nodes.
                if first == other && self.code(node) == self.code(row) {
                    pairs.push((node, row));
                }
            }
        }
        drop((order, hashes));
        Ok(self.keep_nodes(pairs))
    }

    /// Makes codes and biases those of the rows that are no twins. `twins`: node, as a row, and row.
    fn keep_nodes(&mut self, mut twins: Vec<(u32, u32)>) -> Nodes {
        let mut is_twin = vec![false; self.len()];
        for &(_, row) in &twins {
            if let Some(flag) = is_twin.get_mut(row as usize) {
                *flag = true;
            }
        }
        let flagged = (0..).zip(is_twin);
        let rows: Vec<u32> = flagged.filter_map(|(row, twin)| (!twin).then_some(row)).collect();
        for (node, &row) in rows.iter().enumerate() {
            let from = row as usize * self.code_bytes;
            self.codes.copy_within(from..from + self.code_bytes, node * self.code_bytes);
            let bias = self.bias(row);
            if let Some(to) = self.biases.get_mut(node) {
                *to = bias;
            }
        }
        self.codes.truncate(rows.len() * self.code_bytes);
        self.biases.truncate(rows.len());
        for (node, _) in &mut twins {
            *node = rows.partition_point(|row| row < node) as u32;
        }
        twins.sort_unstable();
        Nodes { rows, twins }
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(feature = "pg_test")]
#[pgrx::pg_schema]
mod tests {
    use pages::tid::Tid;
    use pgrx::pg_test;

    use super::{Nodes, Rows};
    use crate::am::graph::vectors::Vectors;

    /// Rows with one byte of code and four of vector, of which two fit in memory.
    fn rows(of: &[(u8, [u8; 4])]) -> (Rows, Nodes) {
        let mut rows = Rows::new(1, Vectors::new(4, 8));
        for (i, (code, vector)) in of.iter().enumerate() {
            let tid = Tid::new(i as u32, 1);
            assert!(rows.add(&[tid], (&[*code], &[f32::from(*code)]), vector, of.len()).is_ok());
        }
        let nodes = rows.nodes().unwrap_or_else(|_| Nodes { rows: Vec::new(), twins: Vec::new() });
        (rows, nodes)
    }

    #[pg_test]
    fn pgtest_equal_rows_share_a_node() {
        let (a, b, c) = ([1; 4], [2; 4], [3; 4]);
        let (rows, nodes) = rows(&[(1, a), (2, b), (1, a), (1, c), (2, b), (1, a)]);
        assert_eq!(nodes.rows, [0, 1, 3]);
        assert_eq!(nodes.twins, [(0, 2), (0, 5), (1, 4)]);
        assert_eq!((&rows.codes[..], &rows.biases[..]), (&[1, 2, 1][..], &[1.0, 2.0, 1.0][..]));
        assert_eq!(nodes.twins_of(0).collect::<Vec<_>>(), [2, 5]);
        assert_eq!(nodes.twins_of(2).count(), 0);
    }

    #[pg_test]
    fn pgtest_vectors_come_back_in_any_order() {
        let (mut rows, nodes) = rows(&[(0, [7; 4]), (1, [8; 4]), (2, [9; 4]), (3, [10; 4])]);
        let mut vector = Vec::new();
        for row in [3, 0, 2, 1, 3] {
            assert!(rows.vectors.read(row, &mut vector).is_ok());
            assert_eq!(vector, [row as u8 + 7; 4]);
        }
        assert!(nodes.twins.is_empty() && rows.vectors.read(4, &mut vector).is_err());
    }
}
