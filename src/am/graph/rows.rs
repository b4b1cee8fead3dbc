//! The rows of a build: their codes in memory, and their vectors there or beside it, and which of them are equal.

use std::hash::{DefaultHasher, Hasher};

use ann::hnsw::{Codes, Factors, Points, Vectors as Vecs, metric_of_points};
use ann::metric::Metric;
use pages::Error;
use pages::search::attributes::Attributes;
use pages::tid::Tid;

use super::attributes::RowAttributes;
use super::coder::CodedBatch;
use super::vectors::Vectors;

/// Bytes of memory a row takes here beside its code and what is built of.
pub const ROW_BYTES: usize = size_of::<Tid>() + size_of::<u64>() + size_of::<u32>();

/// Rows collected for a graph, in the order of the table.
pub struct Rows {
    code_bytes: usize,
    /// n × code_bytes.
    pub codes: Vec<u8>,
    pub factors: Vec<Factors>,
    /// n × dims where the graph is built of vectors, of length 1 under cosine; else empty.
    points: Vec<f32>,
    dims: usize,
    pub by_vectors: bool,
    pub tids: Vec<Tid>,
    /// Hashes of what is stored of the rows.
    hashes: Vec<u64>,
    pub vectors: Vectors,
    pub attributes: RowAttributes,
}

/// Which rows are nodes of the graph, and which are the duplicates of one: rows of which the same is stored. Where no vectors are
/// stored that is the code and its factors: rows in one direction have one code, however long they are.
pub struct Nodes {
    /// The row of each node, ascending.
    pub rows: Vec<u32>,
    /// Node and row of each duplicate, by node.
    pub duplicates: Vec<(u32, u32)>,
}

impl Nodes {
    /// The `i`-th row of a node: its own, then those of its duplicates.
    pub fn row(&self, node: u32, i: usize) -> u32 {
        let own = self.rows.get(node as usize).copied().into_iter();
        own.chain(self.duplicates_of(node)).nth(i).unwrap_or_default()
    }

    /// The rows that are duplicates of a node.
    pub fn duplicates_of(&self, node: u32) -> impl Iterator<Item = u32> {
        let first = self.duplicates.partition_point(|&(of, _)| of < node);
        let duplicates = self.duplicates.get(first..).unwrap_or_default();
        duplicates.iter().take_while(move |&&(of, _)| of == node).map(|&(_, row)| row)
    }
}

impl Rows {
    /// No rows yet. `by_vectors`: the graph will be built of vectors of `dims` elements.
    pub fn new(code_bytes: usize, dims: usize, by_vectors: bool, vectors: Vectors) -> Self {
        Self {
            code_bytes,
            codes: Vec::new(),
            factors: Vec::new(),
            points: Vec::new(),
            dims,
            by_vectors,
            tids: Vec::new(),
            hashes: Vec::new(),
            vectors,
            attributes: RowAttributes::default(),
        }
    }

    /// The same of rows with attributes, each of which is added before its row.
    pub fn with(self, attributes: &Attributes) -> Self {
        Self { attributes: RowAttributes::new(attributes), ..self }
    }

    pub fn len(&self) -> usize {
        self.tids.len()
    }

    /// Adds rows: their tids, and one after the other what they were coded to and the stored vectors (nothing where none are
    /// stored).
    /// `reserve` is how many rows there will be at most, so that memory does not grow beyond.
    pub fn add(
        &mut self,
        tids: &[Tid],
        coded: &CodedBatch,
        vectors: &[u8],
        reserve: usize,
    ) -> Result<(), Error> {
        if self.tids.capacity() < self.len() + tids.len() {
            let target = (2 * self.len()).max(self.len() + tids.len()).min(reserve);
            let more = target.saturating_sub(self.len());
            self.tids.reserve_exact(more);
            self.hashes.reserve_exact(more);
            self.factors.reserve_exact(more);
            self.points.reserve_exact(if self.by_vectors { more * self.dims } else { 0 });
            self.codes.reserve_exact(more * self.code_bytes);
        }
        self.tids.extend_from_slice(tids);
        self.codes.extend_from_slice(&coded.codes);
        self.factors.extend_from_slice(&coded.factors);
        if self.by_vectors {
            self.points.extend_from_slice(&coded.points);
        }
        let size = vectors.len() / tids.len().max(1);
        let stored = if size > 0 { (vectors, size) } else { (&coded.codes[..], self.code_bytes) };
        let hashed = stored.0.chunks_exact(stored.1.max(1)).zip(&coded.factors);
        self.hashes.extend(hashed.map(|(stored, factors)| hash(stored, *factors)));
        self.vectors.push(vectors)
    }

    /// The code of a row.
    pub fn code(&self, row: u32) -> &[u8] {
        let at = row as usize * self.code_bytes;
        self.codes.get(at..at + self.code_bytes).unwrap_or_default()
    }

    /// The factors of the code of a row.
    pub fn factors(&self, row: u32) -> Factors {
        self.factors.get(row as usize).copied().unwrap_or(Factors::NONE)
    }

    /// The codes.
    pub fn coded(&self) -> Codes<'_> {
        Codes { codes: &self.codes, stride: self.code_bytes, factors: &self.factors }
    }

    /// What the graph is built of.
    pub fn of(&self, metric: Metric) -> Points<'_> {
        if !self.by_vectors {
            return Points::Codes(self.coded());
        }
        let metric = metric_of_points(metric);
        Points::Vectors(Vecs { metric, dims: self.dims, rows: &self.points })
    }

    /// Adds the vectors of the nodes, one after the other, of which the graph is built then.
    pub fn build_by_vectors(&mut self, points: Vec<f32>) {
        (self.points, self.by_vectors) = (points, true);
    }

    /// Tells nodes and duplicates apart. Then codes and what is built of are those of the nodes, by node; all else stays by row.
    pub fn nodes(&mut self) -> Result<Nodes, Error> {
        let hashes = std::mem::take(&mut self.hashes);
        let mut order: Vec<u32> = (0..hashes.len() as u32).collect();
        order.sort_unstable_by_key(|&row| (hashes.get(row as usize).copied(), row));
        let mut pairs = Vec::new();
        let (mut first, mut other) = (Vec::new(), Vec::new());
        let same_hash = |a: &u32, b: &u32| hashes.get(*a as usize) == hashes.get(*b as usize);
        for group in order.chunk_by(same_hash).filter(|group| group.len() > 1) {
            let Some((&node, duplicates)) = group.split_first() else { continue };
            self.vectors.read(node, &mut first)?;
            for &row in duplicates {
                self.vectors.read(row, &mut other)?;
                // Two vectors with one hash would be two nodes.
                let is_same_code = self.code(node) == self.code(row);
                if first == other && is_same_code && self.factors(node) == self.factors(row) {
                    pairs.push((node, row));
                }
            }
        }
        drop((order, hashes));
        Ok(self.keep_nodes(pairs))
    }

    /// Makes codes and what is built of those of the rows that are no duplicates. `duplicates`: node, as a row, and row.
    fn keep_nodes(&mut self, mut duplicates: Vec<(u32, u32)>) -> Nodes {
        let mut is_duplicate = vec![false; self.len()];
        for &(_, row) in &duplicates {
            if let Some(flag) = is_duplicate.get_mut(row as usize) {
                *flag = true;
            }
        }
        let flagged = (0..).zip(is_duplicate);
        let rows: Vec<u32> =
            flagged.filter_map(|(row, duplicate)| (!duplicate).then_some(row)).collect();
        for (node, &row) in rows.iter().enumerate() {
            let from = row as usize * self.code_bytes;
            self.codes.copy_within(from..from + self.code_bytes, node * self.code_bytes);
            let factors = self.factors(row);
            if let Some(to) = self.factors.get_mut(node) {
                *to = factors;
            }
            if self.by_vectors {
                let from = row as usize * self.dims;
                self.points.copy_within(from..from + self.dims, node * self.dims);
            }
        }
        self.codes.truncate(rows.len() * self.code_bytes);
        self.factors.truncate(rows.len());
        self.points.truncate(rows.len() * self.dims);
        for (node, _) in &mut duplicates {
            *node = rows.partition_point(|row| row < node) as u32;
        }
        duplicates.sort_unstable();
        Nodes { rows, duplicates }
    }
}

fn hash(stored: &[u8], factors: Factors) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(stored);
    hasher.write(bytemuck::bytes_of(&factors));
    hasher.finish()
}

#[cfg(feature = "pg_test")]
#[pgrx::pg_schema]
mod tests {
    use pages::tid::Tid;
    use pgrx::pg_test;

    use ann::hnsw::Factors;

    use super::{Nodes, Rows};
    use crate::am::graph::coder::CodedBatch;
    use crate::am::graph::vectors::Vectors;

    /// Rows with one byte of code and four of vector, of which two fit in memory.
    fn rows(of: &[(u8, [u8; 4])]) -> (Rows, Nodes) {
        let mut rows = Rows::new(1, 2, true, Vectors::new(4, 8));
        for (i, (code, vector)) in of.iter().enumerate() {
            let tid = Tid::new(i as u32, 1);
            let bias = f32::from(*code);
            let factors = vec![Factors { bias, step: 1.0 }];
            let coded = CodedBatch { codes: vec![*code], factors, points: vec![bias, 0.5] };
            assert!(rows.add(&[tid], &coded, vector, of.len()).is_ok());
        }
        let nodes =
            rows.nodes().unwrap_or_else(|_| Nodes { rows: Vec::new(), duplicates: Vec::new() });
        (rows, nodes)
    }

    #[pg_test]
    fn pgtest_equal_rows_share_a_node() {
        let (a, b, c) = ([1; 4], [2; 4], [3; 4]);
        let (rows, nodes) = rows(&[(1, a), (2, b), (1, a), (1, c), (2, b), (1, a)]);
        assert_eq!(nodes.rows, [0, 1, 3]);
        assert_eq!(nodes.duplicates, [(0, 2), (0, 5), (1, 4)]);
        let biases: Vec<f32> = rows.factors.iter().map(|factors| factors.bias).collect();
        assert_eq!((&rows.codes[..], &biases[..]), (&[1, 2, 1][..], &[1.0, 2.0, 1.0][..]));
        assert_eq!(rows.points, [1.0, 0.5, 2.0, 0.5, 1.0, 0.5]);
        assert_eq!(nodes.duplicates_of(0).collect::<Vec<_>>(), [2, 5]);
        assert_eq!(nodes.duplicates_of(2).count(), 0);
    }

    #[pg_test]
    fn pgtest_rows_of_one_code_and_another_step_are_two_nodes() {
        let mut rows = Rows::new(1, 2, false, Vectors::new(0, 0));
        for (i, step) in [1.0, 2.0, 1.0].into_iter().enumerate() {
            let factors = vec![Factors { bias: 1.0, step }];
            let coded = CodedBatch { codes: vec![7], factors, points: vec![step; 2] };
            assert!(rows.add(&[Tid::new(i as u32, 1)], &coded, &[], 3).is_ok());
        }
        let nodes =
            rows.nodes().unwrap_or_else(|_| Nodes { rows: Vec::new(), duplicates: Vec::new() });
        assert_eq!((nodes.rows, nodes.duplicates), (vec![0, 1], vec![(0, 2)]));
    }

    #[pg_test]
    fn pgtest_vectors_come_back_in_any_order() {
        let (mut rows, nodes) = rows(&[(0, [7; 4]), (1, [8; 4]), (2, [9; 4]), (3, [10; 4])]);
        let mut vector = Vec::new();
        for row in [3, 0, 2, 1, 3] {
            assert!(rows.vectors.read(row, &mut vector).is_ok());
            assert_eq!(vector, [row as u8 + 7; 4]);
        }
        assert!(nodes.duplicates.is_empty() && rows.vectors.read(4, &mut vector).is_err());
    }
}
