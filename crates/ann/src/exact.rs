//! The exact nearest rows of many queries in one pass over the rows: what recall is measured against.
//!
//! Rows come in batches; each worker takes some of the queries and goes through the batch in blocks that stay in
//! its cache. Distances are the canonical ones, so a row that an index returns at the k-th distance has it bit for bit.

use crate::element::{Element, Query};
use crate::kernels::jaccard_from;
use crate::kernels::{self, RowKernel};
use crate::metric::Metric;
use crate::parallel::{Job, for_each_chunk};
use crate::topk::{Hit, TopK};

/// Bytes of a block of rows: with the distances to it, within a core's second-level cache.
const BLOCK_BYTES: usize = 256 << 10;
/// Queries that a worker takes at a time.
const QUERIES_PER_CHUNK: usize = 16;

/// Keys of rows against a query: ordered as the metric's distances are, and equal where these are equal.
#[derive(Clone, Copy)]
pub struct RowKeys<E: Element> {
    metric: Metric,
    kernel: RowKernel<E>,
}

impl<E: Element> RowKeys<E> {
    /// For one metric.
    pub fn new(metric: Metric) -> Self {
        Self { metric, kernel: E::kernel(metric) }
    }

    /// The key of one row; the query was prepared for this metric. NaN under cosine if either has no direction.
    pub fn key(&self, query: &Query, row: &[E]) -> f64 {
        let norms = match self.metric.has_norms() {
            true => (query.norm_sqr(), E::norm_sqr(row)),
            false => (0.0, 0.0),
        };
        self.of_raw(E::sum(self.metric, query, row), norms)
    }

    #[inline]
    fn of_raw(&self, raw: f32, norms_sqr: (f32, f32)) -> f64 {
        match self.metric {
            Metric::L2 | Metric::L1 | Metric::Hamming => f64::from(raw),
            Metric::InnerProduct => -f64::from(raw),
            Metric::Cosine => kernels::cosine_from(raw, norms_sqr.0, norms_sqr.1),
            Metric::Jaccard => jaccard_from(raw, norms_sqr.0, norms_sqr.1),
        }
    }
}

/// One query on its way through the rows.
struct Asked {
    number: usize,
    norm_sqr: f32,
    /// The row that is the query itself, not to be counted.
    own: Option<u64>,
    /// What the kernel says of rows that equal the query, and their norm, if they do not count.
    equal: Option<(f32, f32)>,
    /// Those that were met, the first few.
    equals: Vec<u64>,
    nearest: TopK,
}

/// Rows equal to a query that are remembered.
const EQUALS_MAX: usize = 256;

/// The nearest rows of a query, in their order, and the rows that equal it.
#[derive(Debug, Default)]
pub struct Ranked {
    /// The query.
    pub point: Vec<f32>,
    /// Nearest first; `at` is what came with the row.
    pub nearest: Vec<Hit>,
    /// Rows that equal the query, the first few, and rows that nearly do; they are not among the nearest.
    pub equals: Vec<u64>,
}

/// A row is a copy of the query if its distance is less than this part of that of the last of the nearest rows.
const COPY: f64 = 1.0 / 8.0;

impl Ranked {
    /// Takes copies of the query from its nearest rows: of texts that stand in a table twenty times with small changes. Whoever
    /// has one has found the others, and they say nothing of what else there is near a query.
    fn leave_out_copies(&mut self, metric: Metric) {
        // Keys as distances, of which some are squared. A copy's inner product is the query's with itself.
        let (part, own) = match metric {
            Metric::L2 | Metric::Cosine => (COPY * COPY, 0.0),
            Metric::L1 | Metric::Hamming | Metric::Jaccard => (COPY, 0.0),
            Metric::InnerProduct => (COPY * COPY, f64::from(kernels::norm_sqr(&self.point))),
        };
        let limit = self.nearest.last().map_or(0.0, |last| (last.key + own) * part);
        let is_copy = |hit: &mut Hit| (hit.key + own).abs() < limit;
        self.equals.extend(self.nearest.extract_if(.., is_copy).map(|hit| hit.id));
    }
}

/// What the exact answer to a query is judged by.
#[derive(Clone, Debug, PartialEq)]
pub struct Nearest {
    /// The key of the last of the nearest rows: what is not beyond it is as good as one of them. −∞ if there is no row.
    pub limit: f64,
    /// The nearest rows in the order of their numbers: k, or fewer where fewer rows have a distance.
    pub ids: Vec<u64>,
}

impl Nearest {
    /// Whether the row is one of the nearest. One that is not may still be as near.
    pub fn has(&self, id: u64) -> bool {
        self.ids.binary_search(&id).is_ok()
    }
}

/// A pass of `rows` under way.
pub struct ExactSearch<E: Element> {
    keys: RowKeys<E>,
    dims: usize,
    /// Of n queries, one after the other.
    operands: Vec<E::Operand>,
    queries: Vec<Asked>,
}

impl<E: Element> ExactSearch<E> {
    /// For the queries in `points` (n × dims, dims > 0), each of which is the row `own` says (empty: no query is a
    /// row), and their `k` nearest rows.
    pub fn new(metric: Metric, dims: usize, points: Vec<f32>, own: &[u64], k: usize) -> Self {
        let dims = dims.max(1);
        let query = |(number, point): (usize, &[f32])| Asked {
            number,
            norm_sqr: kernels::norm_sqr(point),
            own: own.get(number).copied(),
            equal: None,
            equals: Vec::new(),
            nearest: TopK::new(k),
        };
        let queries = points.chunks_exact(dims).enumerate().map(query).collect();
        Self { keys: RowKeys::new(metric), dims, operands: E::operands(points, dims), queries }
    }

    /// For queries that are rows, nobody knows which: rows equal to a query do not count.
    pub fn of_rows(metric: Metric, dims: usize, points: Vec<f32>, k: usize) -> Self {
        let rows: Vec<E> = points.chunks_exact(dims.max(1)).flat_map(E::pack).collect();
        let mut search = Self::new(metric, dims, points, &[], k);
        let (n, keys) = (E::count(search.dims), search.keys);
        for (query, row) in search.queries.iter_mut().zip(rows.chunks_exact(n)) {
            let at = query.number * n;
            let operand = search.operands.get(at..at + n).unwrap_or_default();
            let mut raw = [0.0];
            keys.kernel.distances(operand, row, &mut raw);
            query.equal = Some((raw[0], E::norm_sqr(row)));
        }
        search
    }

    /// Bytes that the answers to come will take for each query.
    pub fn bytes_per_query(dims: usize, k: usize) -> usize {
        size_of::<Asked>() + dims * size_of::<f32>() + 2 * k * size_of::<Hit>()
    }

    /// Looks at rows: `ids` names them, `rows` has their elements, row-major. Runs on the pool it is called in.
    pub fn add(&mut self, ids: &[u64], rows: &[E], job: &Job) {
        self.add_at(ids, &[], rows, job);
    }

    /// As `add`, with a number beside each row, which its hit says again.
    pub fn add_at(&mut self, ids: &[u64], ats: &[u32], rows: &[E], job: &Job) {
        let (n, keys, operands) = (E::count(self.dims), self.keys, &self.operands);
        let norms: Vec<f32> = match keys.metric.has_norms() {
            true => rows.chunks_exact(n).map(E::norm_sqr).collect(),
            false => Vec::new(),
        };
        let block = (BLOCK_BYTES / (n * size_of::<E>())).max(1);
        for_each_chunk(&mut self.queries, QUERIES_PER_CHUNK, |_, queries| {
            let mut raw = vec![0.0; block];
            let blocks = ids.chunks(block).zip(rows.chunks(block * n)).enumerate();
            for (number, (ids, rows)) in blocks {
                if job.cancelled() {
                    return;
                }
                let norms = norms.get(number * block..).unwrap_or_default();
                let ats = ats.get(number * block..).unwrap_or_default();
                for query in &mut *queries {
                    let at = query.number * n;
                    let operand = operands.get(at..at + n).unwrap_or_default();
                    let Some(raw) = raw.get_mut(..ids.len()) else { continue };
                    keys.kernel.distances(operand, rows, raw);
                    query.offer(&keys, ids, ats, (raw, norms));
                }
            }
        });
    }

    /// The queries again, and what each is judged by.
    pub fn finish(self) -> (Vec<f32>, Vec<Nearest>) {
        let nearest = |query: Asked| {
            let hits = query.nearest.into_sorted();
            let limit = hits.last().map_or(f64::NEG_INFINITY, |hit| hit.key);
            let mut ids: Vec<u64> = hits.iter().map(|hit| hit.id).collect();
            ids.sort_unstable();
            Nearest { limit, ids }
        };
        (E::points(self.operands, self.dims), self.queries.into_iter().map(nearest).collect())
    }

    /// The queries again, each with its nearest rows in order.
    pub fn finish_ranked(self) -> Vec<Ranked> {
        let points = E::points(self.operands, self.dims);
        let metric = self.keys.metric;
        let ranked = |(query, point): (Asked, &[f32])| {
            let (nearest, equals) = (query.nearest.into_sorted(), query.equals);
            let mut ranked = Ranked { point: point.to_vec(), nearest, equals };
            ranked.leave_out_copies(metric);
            ranked
        };
        self.queries.into_iter().zip(points.chunks_exact(self.dims)).map(ranked).collect()
    }
}

impl Asked {
    fn offer<E: Element>(
        &mut self,
        keys: &RowKeys<E>,
        ids: &[u64],
        ats: &[u32],
        (raw, norms): (&[f32], &[f32]),
    ) {
        let (mut norms, mut ats) = (norms.iter(), ats.iter());
        for (&id, &raw) in ids.iter().zip(raw) {
            let norm = norms.next().copied().unwrap_or_default();
            let at = ats.next().map_or(id, |at| u64::from(*at));
            let key = keys.of_raw(raw, (self.norm_sqr, norm));
            // Without direction, or beyond what a float holds: nothing that can be found.
            if key > self.nearest.threshold() || key.is_nan() || self.own == Some(id) {
                continue;
            }
            let is_equal = |(equal, of_norm): (f32, f32)| {
                equal.to_bits() == raw.to_bits() && (norms_are_unknown(keys) || of_norm == norm)
            };
            if self.equal.is_some_and(is_equal) {
                if self.equals.len() < EQUALS_MAX {
                    self.equals.push(id);
                }
                continue;
            }
            self.nearest.push(Hit { key, id, at });
        }
    }
}

/// Whether rows come without their norms: then what the kernel says of a pair tells enough.
fn norms_are_unknown<E: Element>(keys: &RowKeys<E>) -> bool {
    !keys.metric.has_norms()
}

#[cfg(test)]
mod tests {
    use super::{ExactSearch, Nearest, RowKeys};
    use crate::element::{Bits, Element, Query};
    use crate::kernels;
    use crate::kernels::{hamming_distance, jaccard_distance};
    use crate::metric::Metric;
    use crate::parallel;
    use crate::rng::Rng;

    const METRICS: [Metric; 4] = [Metric::L2, Metric::InnerProduct, Metric::Cosine, Metric::L1];

    fn points(n: usize, seed: u64) -> Vec<f32> {
        let mut rng = Rng::new(seed);
        // Few distinct values, so that ties are common.
        (0..n).map(|_| rng.below(7) as f32 - 2.5).collect()
    }

    fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
        match metric {
            Metric::L2 => f64::from(kernels::l2_sqr(a, b)),
            Metric::InnerProduct => kernels::negative_inner_product(a, b),
            Metric::Cosine => kernels::cosine_distance(a, b),
            Metric::L1 => f64::from(kernels::l1(a, b)),
            Metric::Hamming => {
                hamming_distance(Bits::bytes(&Bits::pack(a)), Bits::bytes(&Bits::pack(b)))
            }
            Metric::Jaccard => {
                jaccard_distance(Bits::bytes(&Bits::pack(a)), Bits::bytes(&Bits::pack(b)))
            }
        }
    }

    #[test]
    fn equals_a_plain_scan_in_batches_of_any_size() {
        const DIMS: usize = 19;
        let (rows, queries) = (points(500 * DIMS, 1), points(40 * DIMS, 2));
        for (metric, batch, k) in METRICS.into_iter().zip([500, 7, 100, 1]).map(|(m, b)| (m, b, 10))
        {
            let mut search = ExactSearch::<f32>::new(metric, DIMS, queries.clone(), &[], k);
            parallel::run(
                2,
                |_| (),
                |job| {
                    let ids: Vec<u64> = (0..500).collect();
                    for (ids, rows) in ids.chunks(batch).zip(rows.chunks(batch * DIMS)) {
                        search.add(ids, rows, job);
                    }
                },
            )
            .unwrap();
            let (_, found) = search.finish();
            for (query, found) in queries.chunks(DIMS).zip(found) {
                let mut all: Vec<f64> =
                    rows.chunks(DIMS).map(|row| distance(metric, query, row)).collect();
                all.sort_by(f64::total_cmp);
                assert_eq!((found.limit, found.ids.len()), (all[k - 1], k), "{metric:?}");
                let is_near = |&id: &u64| {
                    let row = id as usize * DIMS;
                    found.has(id) && distance(metric, query, &rows[row..row + DIMS]) <= found.limit
                };
                assert!(found.ids.iter().all(is_near), "{metric:?}");
            }
        }
    }

    #[test]
    fn the_row_itself_does_not_count_and_the_key_of_a_pair_is_that_of_a_batch() {
        const DIMS: usize = 5;
        let rows = points(60 * DIMS, 3);
        for metric in METRICS {
            let queries = rows[10 * DIMS..13 * DIMS].to_vec();
            let mut search =
                ExactSearch::<f32>::new(metric, DIMS, queries.clone(), &[10, 11, 12], 100);
            let ids: Vec<u64> = (0..60).collect();
            search.add(&ids, &rows, &parallel::Job::default());
            let (_, found) = search.finish();
            let keys = RowKeys::<f32>::new(metric);
            for (number, (query, found)) in queries.chunks(DIMS).zip(found).enumerate() {
                let mut prepared = Query::default();
                prepared.set(query);
                let others = rows.chunks(DIMS).enumerate().filter(|(i, _)| *i != number + 10);
                let farthest =
                    others.map(|(_, row)| keys.key(&prepared, row)).fold(f64::MIN, f64::max);
                assert_eq!((found.limit, found.ids.len()), (farthest, 59), "{metric:?}");
                assert!(!found.has(number as u64 + 10));
            }
        }
    }

    #[test]
    fn rows_equal_to_a_query_are_named_apart() {
        const DIMS: usize = 6;
        let mut rows = points(50 * DIMS, 9);
        let duplicate = rows[4 * DIMS..5 * DIMS].to_vec();
        rows[30 * DIMS..31 * DIMS].copy_from_slice(&duplicate);
        for metric in METRICS {
            let mut search =
                ExactSearch::<f32>::of_rows(metric, DIMS, rows[4 * DIMS..6 * DIMS].to_vec(), 100);
            let (ids, ats): (Vec<u64>, Vec<u32>) = (0..50).map(|i| (i, 7 * i as u32)).unzip();
            search.add_at(&ids, &ats, &rows, &parallel::Job::default());
            let ranked = search.finish_ranked();
            assert_eq!((ranked.len(), &ranked[0].point), (2, &duplicate), "{metric:?}");
            assert_eq!((&ranked[0].equals[..], &ranked[1].equals[..]), (&[4, 30][..], &[5][..]));
            assert_eq!((ranked[0].nearest.len(), ranked[1].nearest.len()), (48, 49));
            let near = &ranked[0].nearest;
            assert!(near.is_sorted_by(|a, b| a.key <= b.key));
            assert!(near.iter().all(|hit| hit.at == 7 * hit.id && ![4, 30].contains(&hit.id)));
        }
    }

    #[test]
    fn copies_of_a_query_are_not_its_neighbours() {
        const DIMS: usize = 16;
        let rows = points(50 * DIMS, 4);
        let copy = rows[..DIMS].iter().map(|x| x + 1e-4).collect::<Vec<f32>>();
        let rows = [rows, copy].concat();
        for metric in [Metric::L2, Metric::Cosine, Metric::L1, Metric::InnerProduct] {
            let mut search = ExactSearch::<f32>::of_rows(metric, DIMS, rows[..DIMS].to_vec(), 100);
            let ids: Vec<u64> = (0..51).collect();
            search.add_at(&ids, &[], &rows, &parallel::Job::default());
            let ranked = search.finish_ranked().remove(0);
            assert!(ranked.nearest.len() <= 49, "{metric:?}");
            assert!(ranked.equals.contains(&50), "{metric:?}");
        }
    }

    #[test]
    fn bits_are_found_as_a_plain_scan_finds_them() {
        for dims in [1, 9, 64, 100] {
            let bits = |n: usize, seed| -> Vec<f32> {
                points(n * dims, seed).iter().map(|x| f32::from(u8::from(*x > 0.0))).collect()
            };
            let (rows, queries) = (bits(300, 1), bits(20, 2));
            let packed = Bits::operands(rows.clone(), dims);
            for metric in [Metric::Hamming, Metric::Jaccard] {
                let mut search = ExactSearch::<Bits>::new(metric, dims, queries.clone(), &[], 10);
                let ids: Vec<u64> = (0..300).collect();
                search.add(&ids, &packed, &parallel::Job::default());
                let (again, found) = search.finish();
                assert_eq!(again, queries);
                let keys = RowKeys::<Bits>::new(metric);
                for (query, found) in queries.chunks(dims).zip(found) {
                    let mut prepared = Query::default();
                    prepared.set(query);
                    prepared.prepare(metric);
                    let of_row = |row: &[f32]| {
                        let exact = distance(metric, query, row);
                        assert_eq!(keys.key(&prepared, &Bits::pack(row)), exact);
                        exact
                    };
                    let mut all: Vec<f64> = rows.chunks(dims).map(of_row).collect();
                    all.sort_by(f64::total_cmp);
                    assert_eq!((found.limit, found.ids.len()), (all[9], 10), "{metric:?} {dims}");
                }
            }
        }
    }

    #[test]
    fn without_rows_there_is_nothing_to_find() {
        let search = ExactSearch::<f32>::new(Metric::L2, 2, vec![1.0, 2.0], &[], 3);
        assert_eq!(search.finish().1, [Nearest { limit: f64::NEG_INFINITY, ids: vec![] }]);
    }
}
