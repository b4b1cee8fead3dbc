//! Tests of everything that is trained and coded on data that no arithmetic in single precision likes: one row ruins
//! nothing for the others, and nothing is ever infinite.

use crate::assign::assign_batch;
use crate::coarse::Coarse;
use crate::codec::{self, CodeKind, Codec, Coding, LANES, Space, UNIT, take_residuals};
use crate::extent::{normalize, shorten};
use crate::kernels::l2_sqr;
use crate::kmeans::{KMeansParams, kmeans};
use crate::metric::Metric;
use crate::parallel::Job;
use crate::rng::Rng;

const DIMS: usize = 16;
const N: usize = 1500;
const NLIST: usize = 12;

const KINDS: [&str; 14] = [
    "ordinary",
    "one far",
    "three at 1e20",
    "opposite",
    "100 times",
    "one wide",
    "1e-30",
    "1e-20",
    "1e18",
    "1e37",
    "lognormal",
    "equal",
    "equal but one",
    "far topics",
];

fn rows(kind: &str) -> Vec<f32> {
    let mut rng = Rng::new(7);
    let centers: Vec<f32> = (0..20 * DIMS).map(|_| 2.0 * rng.normal()).collect();
    let one = |i: usize| -> Vec<f32> {
        let center = &centers[i % 20 * DIMS..][..DIMS];
        let mut row: Vec<f32> = center.iter().map(|c| c + rng.normal()).collect();
        let length = rng.normal().exp();
        let all = |row: &mut [f32], by: f32| row.iter_mut().for_each(|x| *x *= by);
        match (kind, i) {
            ("one far", 7) => row.fill(2e5),
            ("three at 1e20", 3..6) => row.fill(1e20 * (i as f32 - 4.5)),
            ("opposite", 9 | 10) => row.fill(2e38 * (i as f32 * 2.0 - 19.0)),
            ("100 times", 20..28) => all(&mut row, 100.0),
            ("one wide", _) => row[3] *= 1000.0,
            ("lognormal", _) => all(&mut row, length),
            ("equal" | "equal but one", _) => {
                row.fill(if kind == "equal" || i > 0 { 0.5 } else { 3.0 })
            }
            ("far topics", _) => {
                row.iter_mut().for_each(|x| *x += if i.is_multiple_of(3) { 1e5 } else { 0.0 })
            }
            (scale, _) => all(&mut row, scale.parse().unwrap_or(1.0)),
        }
        row
    };
    (0..N).flat_map(one).collect()
}

fn fitted(kind: &str, metric: Metric) -> Vec<f32> {
    let mut points = rows(kind);
    let fit = if metric == Metric::Cosine { normalize } else { shorten };
    points.chunks_mut(DIMS).for_each(fit);
    points
}

#[test]
fn every_row_comes_to_its_nearest_centroid() {
    for (kind, metric) in
        KINDS.iter().flat_map(|kind| [(kind, Metric::L2), (kind, Metric::InnerProduct)])
    {
        let points = fitted(kind, metric);
        let params = KMeansParams::new(NLIST, DIMS, metric.is_spherical());
        let centroids = kmeans(&points, &params, &Job::default()).unwrap();
        assert!(centroids.iter().all(|x| x.is_finite()), "{kind}");
        let coarse = Coarse { metric, dims: DIMS, centroids: &centroids };
        // As the column has them, too; of an inner product the list is the same, and the number is another.
        let given = if metric == Metric::L2 { rows(kind) } else { points.clone() };
        for points in [&points, &given] {
            let (mut list_nos, mut distances) = (vec![0; N], vec![0.0; N]);
            assign_batch(&coarse, points, &mut list_nos, &mut distances, &Job::default());
            assert!(distances.iter().all(|x| x.is_finite()), "{kind} {metric:?}");
            let single = |(point, found): (&[f32], &f32)| {
                let (_, nearest) = coarse.assign(point);
                *found <= nearest + 0.1 * nearest.abs()
            };
            assert!(points.chunks(DIMS).zip(&distances).all(single), "{kind} {metric:?}");
        }
    }
}

/// The places of what lies among the `k` nearest.
fn nearest(distances: &[f32], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..distances.len()).collect();
    order.sort_by(|&a, &b| distances[a].total_cmp(&distances[b]));
    order.truncate(k);
    order
}

/// Units and factors of a block, and its rows.
type Block = (Vec<u8>, Vec<f32>, usize);

/// The codes of all rows, as one list.
fn coded(codec: &Codec, points: &[f32], centroid: &[f32]) -> Vec<Block> {
    let mut code = vec![0; codec.bare_size()];
    let mut factors = vec![0.0; codec.n_factors()];
    let block = |rows: &[f32]| {
        let (mut units, mut all) =
            (vec![0; codec.units() * UNIT], vec![0.0; factors.len() * LANES]);
        for (lane, row) in rows.chunks(DIMS).enumerate() {
            codec.encode(row, centroid, &mut code, &mut factors);
            assert!(factors.iter().all(|x| x.is_finite()));
            codec.pack(&code, lane, 0, &mut units);
            factors.iter().enumerate().for_each(|(f, factor)| all[f * LANES + lane] = *factor);
        }
        (units, all, rows.len() / DIMS)
    };
    points.chunks(LANES * DIMS).map(block).collect()
}

/// What the codes estimate of a query.
fn estimates(codec: &Codec, blocks: &[Block], centroid: &[f32], q: &[f32]) -> Vec<f32> {
    let mut query = codec.query();
    codec.prepare(&mut query, q);
    codec.enter_list(&mut query, centroid, l2_sqr(q, centroid));
    let mut all = Vec::new();
    for (units, factors, n) in blocks {
        let mut out = [0.0; LANES];
        codec.block(&query, units, factors, f32::INFINITY, &mut out);
        all.extend(&out[..*n]);
    }
    all
}

#[test]
fn no_row_blinds_a_code_to_the_others() {
    let codes = [
        (CodeKind::Sq8, 0.97),
        (CodeKind::Sq4, 0.95),
        (CodeKind::Pq { m: 8, nbits: 4 }, 0.9),
        (CodeKind::Pq { m: 8, nbits: 8 }, 0.97),
        (CodeKind::PqFs { m: 8 }, 0.9),
        (CodeKind::RaBitQ { nbits: 1 }, 0.3),
        (CodeKind::RaBitQ { nbits: 4 }, 0.9),
    ];
    let mut failed = Vec::new();
    for kind in KINDS {
        let points = fitted(kind, Metric::L2);
        let middle = crate::middle::median(&points, DIMS);
        let space = Space { dims: DIMS, metric: Metric::L2 };
        for (code, least) in codes {
            let centroid = if code.by_residual() { middle.clone() } else { vec![0.0; DIMS] };
            let mut training = points.clone();
            let coarse = Coarse { metric: Metric::L2, dims: DIMS, centroids: &centroid };
            take_residuals(&coarse, &mut training, &[0; N]);
            let codec = codec::train(code, space, &training, 1, &Job::default()).unwrap();
            assert!(codec.params().iter().all(|x| x.is_finite()), "{kind} {code}");
            let blocks = coded(&codec, &points, &centroid);
            let mut found = 0;
            // Every row is its own nearest: 100 ordinary ones here, where the odd ones come first.
            for q in points.chunks(DIMS).skip(100).take(100) {
                let exact: Vec<f32> = points.chunks(DIMS).map(|row| l2_sqr(q, row)).collect();
                let limit = exact[nearest(&exact, 5)[4]];
                let estimates = estimates(&codec, &blocks, &centroid, q);
                let near = nearest(&estimates, 60);
                // Rows as near as the fifth: any of them will do.
                found += near.iter().filter(|i| exact[**i] <= limit).count().min(5);
            }
            let recall = found as f32 / 500.0;
            println!("{kind} {code}: {recall}");
            let least = match (kind, code) {
                // One component that is nearly all of a distance leaves few bits for the others, and so do two places far apart.
                ("one wide", _) if code != CodeKind::Sq8 => 0.0,
                ("far topics", _) => 0.0,
                // All rows are of any length, none is the odd one, and 4 bits go from the shortest to the longest: sixteen
                // steps from least to most, as FAISS takes them, find 0.79 to 0.84 of such rows.
                ("lognormal", CodeKind::Sq4 | CodeKind::PqFs { .. }) => 0.87,
                _ => least,
            };
            if recall < least {
                failed.push(format!("{kind} {code}: {recall}"));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}
