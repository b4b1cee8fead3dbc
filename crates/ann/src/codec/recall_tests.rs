//! Recall of inverted lists of codes, all of them probed, against what FAISS reaches on the same kind of data.

use super::{CodeKind, Codec, Coding, LANES, Space, UNIT, train};
use crate::assign::assign_batch;
use crate::coarse::Coarse;
use crate::kernels::{dot, l2_sqr};
use crate::kmeans::tests::ellipsoid;
use crate::kmeans::{KMeansParams, kmeans};
use crate::metric::Metric;
use crate::parallel::Job;

const DIMS: usize = 32;
const K: usize = 10;
const NLIST: usize = 64;

/// Rows in lists, and the exact answers to some queries.
struct Data {
    metric: Metric,
    base: Vec<f32>,
    queries: Vec<f32>,
    exact: Vec<Vec<usize>>,
    centroids: Vec<f32>,
    lists: Vec<u32>,
}

/// The k nearest, as (distance, row) pairs come.
fn nearest(mut all: Vec<(f32, usize)>) -> Vec<usize> {
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    all.into_iter().take(K).map(|(_, row)| row).collect()
}

fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f32 {
    if metric == Metric::L2 { l2_sqr(a, b) } else { -dot(a, b) }
}

fn data(metric: Metric) -> Data {
    // One ellipsoid for rows and queries.
    let all = ellipsoid(10_200, 7);
    let (queries, base) = all.split_at(200 * DIMS);
    let answer = |q: &[f32]| {
        let rows = base.chunks(DIMS).map(|x| distance(metric, q, x));
        nearest(rows.zip(0..).collect())
    };
    let (job, params) = (Job::default(), KMeansParams::new(NLIST, DIMS, metric != Metric::L2));
    let centroids = kmeans(&base[..5000 * DIMS], &params, &job).unwrap();
    let n = base.len() / DIMS;
    let (mut lists, mut distances) = (vec![0; n], vec![0.0; n]);
    let coarse = Coarse { metric, dims: DIMS, centroids: &centroids };
    assign_batch(&coarse, base, &mut lists, &mut distances, &job);
    let exact = queries.chunks(DIMS).map(answer).collect();
    Data { metric, base: base.to_vec(), queries: queries.to_vec(), exact, centroids, lists }
}

impl Data {
    fn centroid(&self, list: usize) -> &[f32] {
        &self.centroids[list * DIMS..][..DIMS]
    }

    /// Mean recall@10 of a code of residuals (or of the vectors, where there are no lists).
    fn recall(&self, kind: CodeKind, by_residual: bool) -> f64 {
        let lists: Vec<(&[f32], Vec<usize>)> = if by_residual {
            let rows = |list| (0..self.lists.len()).filter(move |&i| self.lists[i] == list);
            (0..NLIST).map(|list| (self.centroid(list), rows(list as u32).collect())).collect()
        } else {
            vec![(&[], (0..self.lists.len()).collect())]
        };
        let row = |i: usize| &self.base[i * DIMS..][..DIMS];
        let less = |(i, x): (usize, &f32)| match by_residual {
            true => x - self.centroid(self.lists[i / DIMS] as usize)[i % DIMS],
            false => *x,
        };
        let points: Vec<f32> = self.base.iter().enumerate().take(5000 * DIMS).map(less).collect();
        let space = Space { dims: DIMS, metric: self.metric };
        let codec = train(kind, space, &points, 1234, &Job::default()).unwrap();
        let blocks: Vec<_> = lists.iter().map(|(c, rows)| pack(&codec, c, rows, row)).collect();
        let mut query = codec.query();
        let mut found = 0;
        for (q, exact) in self.queries.chunks(DIMS).zip(&self.exact) {
            codec.prepare(&mut query, q);
            let mut all = Vec::new();
            for ((centroid, rows), blocks) in lists.iter().zip(&blocks) {
                let coarse = if by_residual { distance(self.metric, q, centroid) } else { 0.0 };
                codec.enter_list(&mut query, centroid, coarse);
                let blocks = blocks.chunks(codec.units() * UNIT);
                for (units, rows) in blocks.zip(rows.chunks(LANES)) {
                    let mut out = [0.0; LANES];
                    codec.block(&query, units, &[], f32::INFINITY, &mut out);
                    all.extend(out.into_iter().zip(rows.iter().copied()));
                }
            }
            found += nearest(all).iter().filter(|row| exact.contains(row)).count();
        }
        found as f64 / (K * self.exact.len()) as f64
    }
}

fn pack<'a>(
    codec: &Codec,
    centroid: &[f32],
    rows: &[usize],
    row: impl Fn(usize) -> &'a [f32],
) -> Vec<u8> {
    let size = codec.units() * UNIT;
    let mut blocks = vec![0; rows.len().div_ceil(LANES) * size];
    let mut code = vec![0; codec.code_size()];
    for (at, &i) in rows.iter().enumerate() {
        codec.encode(row(i), centroid, &mut code, &mut []);
        codec.pack(&code, at % LANES, 0, &mut blocks[at / LANES * size..][..size]);
    }
    blocks
}

#[test]
fn recall_is_faiss_s() {
    let pq = |m, nbits| CodeKind::Pq { m, nbits };
    let l2 = data(Metric::L2);
    for (kind, least) in [
        (CodeKind::SqFp16, 0.995),
        (CodeKind::Sq8, 0.98),
        (CodeKind::Sq4, 0.85),
        (pq(4, 8), 0.43 - 0.03),
        (pq(8, 8), 0.68 - 0.03),
        (pq(16, 8), 0.89 - 0.03),
        (pq(32, 8), 0.98 - 0.03),
        (pq(8, 4), 0.43 - 0.03),
        (pq(16, 4), 0.67 - 0.03),
        (pq(32, 4), 0.88 - 0.03),
    ] {
        let recall = l2.recall(kind, true);
        println!("{kind}: {recall:.3}");
        assert!(recall >= least, "{kind}: {recall}");
    }
    let (with, without) = (l2.recall(pq(4, 8), true), l2.recall(pq(4, 8), false));
    assert!(with >= without, "of residuals {with}, of vectors {without}");
}

#[test]
fn more_bits_find_more_by_inner_product() {
    let ip = data(Metric::InnerProduct);
    let mut last = 0.0;
    for kind in [CodeKind::Pq { m: 8, nbits: 8 }, CodeKind::Sq4, CodeKind::Sq8, CodeKind::SqFp16] {
        let recall = ip.recall(kind, true);
        println!("{kind}: {recall:.3}");
        assert!(recall >= last, "{kind}: {recall} {last}");
        last = recall;
    }
    assert!(last > 0.995);
}
