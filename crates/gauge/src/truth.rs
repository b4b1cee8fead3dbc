//! Exact nearest rows, and recall against them. Candidates come from blocked single-precision
//! products on all cores; the answer is settled in double precision, and a query whose candidates
//! cannot be proved complete is scanned again plainly.

use crate::vectors::{Dataset, Metric, Neighbours};
use anyhow::{Result, ensure};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A returned row counts as right when its distance is within this, relatively, of the k-th.
pub const TIE: f64 = 1e-6;
/// Candidates kept beyond k, so that rounding in single precision cannot push out a true neighbour.
const MARGIN: usize = 64;
const QUERY_BLOCK: usize = 32;
const BASE_BLOCK: usize = 1024;

/// The k nearest rows of every query.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    pub k: usize,
    /// Row numbers, nearest first, `k` per query.
    pub ids: Vec<u32>,
    /// Largest distance that still counts as right, per query.
    limits: Vec<f64>,
}

impl Truth {
    /// Computes the truth with `threads` threads; k is cut to the number of rows.
    pub fn compute(set: &Dataset, k: usize, threads: usize) -> Truth {
        let k = k.clamp(1, set.base.len());
        let norms: Vec<f32> =
            set.base.rows().map(|r| r.iter().map(|x| x * x).sum::<f32>()).collect();
        let blocks: Vec<usize> = (0..set.queries.len()).step_by(QUERY_BLOCK).collect();
        let per_thread = blocks.len().div_ceil(threads.max(1)).max(1);
        let found: Vec<Vec<(f64, u32)>> = std::thread::scope(|scope| {
            let workers: Vec<_> = blocks
                .chunks(per_thread)
                .map(|mine| {
                    let norms = &norms;
                    let work = move |&b: &usize| block(set, norms, b, k);
                    scope.spawn(move || mine.iter().flat_map(work).collect::<Vec<_>>())
                })
                .collect();
            workers.into_iter().flat_map(|w| w.join().unwrap_or_default()).collect()
        });
        let limits = found.iter().map(|hits| limit(hits[k - 1].0)).collect();
        Truth { k, ids: found.iter().flatten().map(|h| h.1).collect(), limits }
    }

    /// Of the k nearest rows of query `q`, the share that is in `returned`.
    pub fn recall(&self, set: &Dataset, q: usize, returned: &[u32]) -> f64 {
        let query = set.queries.row(q);
        let mut seen: Vec<u32> = returned.iter().copied().take(self.k).collect();
        seen.sort_unstable();
        seen.dedup();
        let right = seen
            .iter()
            .filter(|&&id| (id as usize) < set.base.len())
            .filter(|&&id| set.metric.distance(query, set.base.row(id as usize)) <= self.limits[q])
            .count();
        right as f64 / self.k as f64
    }

    /// Mean recall of the given neighbours under our truth: 1 when the file agrees.
    pub fn agreement(&self, set: &Dataset, given: &Neighbours) -> Result<f64> {
        ensure!(given.k >= self.k, "the file gives {} neighbours, {} are needed", given.k, self.k);
        let n = set.queries.len();
        ensure!(
            given.ids.len() >= n * given.k,
            "the file has neighbours for fewer than {n} queries"
        );
        let rows = given.ids.chunks_exact(given.k).take(n).enumerate();
        Ok(rows.map(|(q, ids)| self.recall(set, q, &ids[..self.k])).sum::<f64>() / n as f64)
    }
}

fn limit(distance: f64) -> f64 {
    distance + TIE * distance.abs()
}

/// The hits of queries `first..first + QUERY_BLOCK`.
fn block(set: &Dataset, norms: &[f32], first: usize, k: usize) -> Vec<Vec<(f64, u32)>> {
    let (dims, base) = (set.base.dims(), &set.base);
    let m = QUERY_BLOCK.min(set.queries.len() - first);
    let queries = &set.queries.as_flat()[first * dims..(first + m) * dims];
    let mut best: Vec<Best> = (0..m).map(|_| Best::new(k + MARGIN)).collect();
    let mut products = vec![0f32; m * BASE_BLOCK];
    for start in (0..base.len()).step_by(BASE_BLOCK) {
        let n = BASE_BLOCK.min(base.len() - start);
        let rows = &base.as_flat()[start * dims..(start + n) * dims];
        dot_block(queries, rows, dims, &mut products[..m * n]);
        for (best, dots) in best.iter_mut().zip(products[..m * n].chunks_exact(n)) {
            for (i, &dot) in dots.iter().enumerate() {
                best.push(key(set.metric, dot, norms[start + i]), (start + i) as u32);
            }
        }
    }
    let longest = norms.iter().copied().fold(0f32, f32::max).sqrt();
    let settle = |(i, best): (usize, Best)| settle(set, first + i, best, longest, k);
    best.into_iter().enumerate().map(settle).collect()
}

/// `out[i][j]` = query i · row j. Plain loops that the compiler turns into vector code: the truth
/// must not rest on the kernels it is there to judge.
fn dot_block(queries: &[f32], rows: &[f32], dims: usize, out: &mut [f32]) {
    const TILE: usize = 4;
    const LANES: usize = 8;
    let n = rows.len() / dims;
    for (queries, out) in queries.chunks(TILE * dims).zip(out.chunks_mut(TILE * n)) {
        for (j, row) in rows.chunks_exact(dims).enumerate() {
            for (query, out) in queries.chunks_exact(dims).zip(out.chunks_exact_mut(n)) {
                let mut lanes = [0f32; LANES];
                let (q, r) = (query.chunks_exact(LANES), row.chunks_exact(LANES));
                let tail = q.remainder().iter().zip(r.remainder()).map(|(x, y)| x * y).sum::<f32>();
                for (q, r) in q.zip(r) {
                    for l in 0..LANES {
                        lanes[l] += q[l] * r[l];
                    }
                }
                out[j] = lanes.iter().sum::<f32>() + tail;
            }
        }
    }
}

/// Orders rows of one query as their distance does.
fn key(metric: Metric, dot: f32, norm_sqr: f32) -> f32 {
    match metric {
        Metric::L2 => norm_sqr - 2.0 * dot,
        Metric::Ip => -dot,
        Metric::Cosine if norm_sqr > 0.0 => -dot / norm_sqr.sqrt(),
        Metric::Cosine => f32::INFINITY,
    }
}

/// Re-ranks the candidates exactly; scans the whole base if a true neighbour could be missing.
fn settle(set: &Dataset, q: usize, best: Best, longest: f32, k: usize) -> Vec<(f64, u32)> {
    let query = set.queries.row(q);
    let exact = |id: u32| (set.metric.distance(query, set.base.row(id as usize)), id);
    let candidates = best.into_sorted();
    let length = query.iter().map(|x| x * x).sum::<f32>().sqrt();
    let spread = match set.metric {
        Metric::L2 => 2.0 * length * longest + longest * longest,
        Metric::Ip => length * longest,
        Metric::Cosine => length,
    };
    let error = 2.0 * f32::EPSILON * query.len() as f32 * spread;
    let complete = candidates.len() == set.base.len()
        || candidates[k - 1].0 + 2.0 * error < candidates[candidates.len() - 1].0;
    let mut hits: Vec<_> = match complete {
        true => candidates.iter().map(|c| exact(c.1)).collect(),
        false => (0..set.base.len() as u32).map(exact).collect(),
    };
    hits.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    hits.truncate(k);
    hits
}

/// A bounded max-heap of the nearest candidates.
struct Best {
    size: usize,
    heap: BinaryHeap<Candidate>,
}

#[derive(PartialEq)]
struct Candidate(f32, u32);

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

impl Best {
    fn new(size: usize) -> Best {
        Best { size, heap: BinaryHeap::with_capacity(size + 1) }
    }

    fn push(&mut self, key: f32, id: u32) {
        if self.heap.len() < self.size {
            self.heap.push(Candidate(key, id));
        } else if let Some(mut worst) = self.heap.peek_mut()
            && key < worst.0
        {
            *worst = Candidate(key, id);
        }
    }

    fn into_sorted(self) -> Vec<(f32, u32)> {
        self.heap.into_sorted_vec().into_iter().map(|c| (c.0, c.1)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{Recipe, generate};
    use crate::vectors::Vectors;

    fn plain(base: &Vectors, query: &[f32], metric: Metric, k: usize) -> Vec<u32> {
        let mut all: Vec<(f64, u32)> =
            base.rows().enumerate().map(|(i, r)| (metric.distance(query, r), i as u32)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        all.into_iter().take(k).map(|h| h.1).collect()
    }

    fn set(rows: usize, metric: Metric) -> Dataset {
        let recipe = Recipe { rows, queries: 40, dims: 20, latent: 5, clusters: 8, seed: 3 };
        generate(&recipe, metric).unwrap()
    }

    #[test]
    fn equals_a_plain_scan_for_every_metric_and_thread_count() {
        for metric in [Metric::L2, Metric::Ip, Metric::Cosine] {
            for (rows, threads) in [(1, 1), (9, 2), (2500, 3)] {
                let set = set(rows, metric);
                let truth = Truth::compute(&set, 10, threads);
                for (q, ids) in truth.ids.chunks_exact(truth.k).enumerate() {
                    let expected = plain(&set.base, set.queries.row(q), metric, truth.k);
                    assert_eq!(ids, expected, "{metric:?} {rows} rows, query {q}");
                }
            }
        }
    }

    #[test]
    fn ties_beyond_the_margin_count_as_right() {
        let mut data = vec![0f32; 2 * 500];
        data[998] = 1.0;
        let set = Dataset {
            name: "ties".into(),
            metric: Metric::L2,
            base: Vectors::new(2, data).unwrap(),
            queries: Vectors::new(2, vec![0.5, 0.5]).unwrap(),
            given: None,
        };
        let truth = Truth::compute(&set, 10, 1);
        assert_eq!(truth.ids, (0..10).collect::<Vec<_>>());
        let others: Vec<u32> = (300..310).collect();
        assert_eq!(truth.recall(&set, 0, &others), 1.0);
        assert_eq!(truth.recall(&set, 0, &[7; 10]), 0.1, "a row returned twice counts once");
        assert_eq!(truth.recall(&set, 0, &[u32::MAX]), 0.0);
        assert_eq!(truth.recall(&set, 0, &[]), 0.0);
    }

    #[test]
    fn agreement_shows_a_wrong_file() {
        let set = set(400, Metric::L2);
        let truth = Truth::compute(&set, 10, 1);
        let good = Neighbours { k: 10, ids: truth.ids.clone() };
        assert_eq!(truth.agreement(&set, &good).unwrap(), 1.0);
        let bad = Neighbours { k: 10, ids: truth.ids.iter().map(|i| (i + 200) % 400).collect() };
        assert!(truth.agreement(&set, &bad).unwrap() < 0.2);
        assert!(truth.agreement(&set, &Neighbours { k: 5, ids: vec![0; 200] }).is_err());
        assert!(truth.agreement(&set, &Neighbours { k: 10, ids: vec![0; 10] }).is_err());
    }
}
