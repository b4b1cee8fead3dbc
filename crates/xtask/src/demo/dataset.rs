//! Reads the data set that comes with the sources: `data/wordnet-30k`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::build::repository;

/// A word's or a question's line of the `.tsv` files.
pub struct Entry {
    /// `noun`, `verb`, …, or `question`.
    pub kind: String,
    /// Synonyms, separated by commas; empty for a question.
    pub words: String,
    pub text: String,
}

/// Definitions, questions, their embeddings and the exact answers.
pub struct Dictionary {
    pub entries: Vec<Entry>,
    pub embeddings: Rows,
    pub queries: Vec<Entry>,
    pub query_embeddings: Rows,
    /// Of each query the exact nearest rows, nearest first.
    nearest: Vec<Vec<u32>>,
}

impl Dictionary {
    pub fn read() -> Result<Self> {
        let dir = repository().join("data/wordnet-30k");
        let set = Self {
            entries: entries(&dir.join("base.tsv"))?,
            embeddings: Rows::read(&dir.join("base.npy"))?,
            queries: entries(&dir.join("query.tsv"))?,
            query_embeddings: Rows::read(&dir.join("query.npy"))?,
            nearest: ivecs(&dir.join("gt-cos.ivecs"))?,
        };
        ensure!(
            set.entries.len() == set.embeddings.len(),
            "base.tsv and base.npy differ in length"
        );
        let queries = set.queries.len();
        ensure!(queries == set.query_embeddings.len(), "query.tsv and query.npy differ in length");
        ensure!(queries == set.nearest.len(), "query.tsv and gt-cos.ivecs differ in length");
        Ok(set)
    }

    /// The part of the `k` nearest rows of a query that is among `found`. A row as near as the k-th,
    /// up to rounding, counts as right whichever of them was returned.
    pub fn recall(&self, query: usize, k: usize, found: &[i32]) -> f64 {
        let Some(&last) = self.nearest[query].get(k - 1) else { return 0.0 };
        let limit = self.distance(query, last as usize) * (1.0 + 1e-6);
        let is_right = |id: &&i32| {
            usize::try_from(**id)
                .is_ok_and(|i| i < self.embeddings.len() && self.distance(query, i) <= limit)
        };
        found.iter().take(k).filter(is_right).count() as f64 / k as f64
    }

    /// Cosine distance in double precision.
    fn distance(&self, query: usize, row: usize) -> f64 {
        let (a, b) = (self.query_embeddings.row(query), self.embeddings.row(row));
        let dot: f64 = a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
        1.0 - dot / (norm(a) * norm(b))
    }
}

/// A matrix of int8 rows.
pub struct Rows {
    dims: usize,
    bytes: Vec<i8>,
}

impl Rows {
    /// Reads a NumPy file (format version 1) of two-dimensional int8 data in row order.
    fn read(path: &Path) -> Result<Self> {
        let bytes = read(path)?;
        let start = bytes.get(8..10).map(|b| 10 + usize::from(u16::from_le_bytes([b[0], b[1]])));
        let header = start.and_then(|s| bytes.get(10..s)).context("not a NumPy file")?;
        let header = String::from_utf8_lossy(header).into_owned();
        if !header.contains("'|i1'") || !header.contains("'fortran_order': False") {
            bail!("{} does not hold int8 rows: {header}", path.display());
        }
        let shape: Vec<usize> = header
            .split_once('(')
            .and_then(|(_, rest)| rest.split_once(')'))
            .map(|(list, _)| list.split(',').filter_map(|n| n.trim().parse().ok()).collect())
            .unwrap_or_default();
        let [rows, dims] = shape[..] else { bail!("{} is not a matrix", path.display()) };
        let body = &bytes[start.unwrap_or(0)..];
        ensure!(dims > 0 && body.len() == rows * dims, "{} is cut short", path.display());
        Ok(Self { dims, bytes: body.iter().map(|&b| b as i8).collect() })
    }

    pub fn dims(&self) -> usize {
        self.dims
    }

    pub fn len(&self) -> usize {
        self.bytes.len() / self.dims
    }

    fn row(&self, i: usize) -> &[i8] {
        &self.bytes[i * self.dims..(i + 1) * self.dims]
    }

    /// The vector a row stands for: the row divided by its length.
    pub fn vector(&self, i: usize) -> Vec<f32> {
        let row = self.row(i);
        let length = norm(row);
        row.iter().map(|&x| (f64::from(x) / length) as f32).collect()
    }
}

fn norm(row: &[i8]) -> f64 {
    row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt()
}

fn entries(path: &Path) -> Result<Vec<Entry>> {
    let text = String::from_utf8(read(path)?)?;
    text.lines()
        .enumerate()
        .map(|(i, line)| {
            let mut fields = line.splitn(3, '\t').map(str::to_owned);
            let (Some(kind), Some(words), Some(text)) =
                (fields.next(), fields.next(), fields.next())
            else {
                bail!("{}:{}: three fields expected", path.display(), i + 1);
            };
            Ok(Entry { kind, words, text })
        })
        .collect()
}

/// Rows of little-endian integers, each after its length.
fn ivecs(path: &Path) -> Result<Vec<Vec<u32>>> {
    let bytes = read(path)?;
    let mut numbers = bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let mut rows = Vec::new();
    while let Some(length) = numbers.next() {
        let row: Vec<u32> = numbers.by_ref().take(length as usize).collect();
        ensure!(row.len() == length as usize, "{} is cut short", path.display());
        rows.push(row);
    }
    Ok(rows)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("could not read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_answer_has_recall_1() {
        let set = Dictionary::read().unwrap();
        assert_eq!((set.embeddings.len(), set.embeddings.dims()), (30_000, 384));
        for query in [0, 46, 546] {
            let exact: Vec<i32> = set.nearest[query].iter().map(|&id| id as i32).collect();
            assert_eq!(set.recall(query, 10, &exact[..10]), 1.0);
            assert_eq!(set.recall(query, 10, &exact[50..60]), 0.0);
            let distances: Vec<f64> =
                set.nearest[query].iter().map(|&id| set.distance(query, id as usize)).collect();
            assert!(distances.is_sorted());
        }
    }
}
