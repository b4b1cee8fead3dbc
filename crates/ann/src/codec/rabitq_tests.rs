//! RaBitQ: estimates against the formula, errors that halve with every bit, and the ranks FAISS's own tests ask for.

use super::fastscan_tests::{
    METRICS, blocks, check_cuts, check_packing, data, distance, nearest, normal, scan,
};
use super::rabitq::RaBitQ;
use super::{Coding, Space};
use crate::kernels::{dot, l2_sqr, norm_sqr};
use crate::metric::Metric;
use crate::rng::Rng;

fn rabitq(nbits: u8, space: Space) -> RaBitQ {
    RaBitQ::new(nbits, space).unwrap()
}

#[test]
fn bits_are_from_one_to_eight() {
    let space = Space { dims: 20, metric: Metric::L2 };
    assert!(RaBitQ::new(0, space).is_none() && RaBitQ::new(9, space).is_none());
    // As FAISS counts: the signs' bytes and two floats; with more bits their bytes, too, and three floats more.
    for (nbits, size) in [(1, 3 + 8), (2, 3 + 3 + 20), (3, 3 + 5 + 20), (8, 3 + 18 + 20)] {
        let codec = rabitq(nbits, space);
        let sizes = (codec.code_size(), codec.units(), codec.n_factors());
        assert_eq!(sizes, (size, 3 * usize::from(nbits), 2));
    }
}

#[test]
fn estimates_are_what_the_formula_says() {
    for (dims, nbits) in
        [1, 3, 8, 13, 32, 64, 100, 129].into_iter().flat_map(|d| (1..=8).map(move |b| (d, b)))
    {
        METRICS.into_iter().for_each(|metric| follows_the_formula(nbits, Space { dims, metric }));
    }
}

fn follows_the_formula(nbits: u8, space: Space) {
    let Space { dims, metric } = space;
    let (mut rows, queries) = (data(65, space, 3), data(3, space, 4));
    let centroid = rows[..dims].to_vec();
    rows[5 * dims..6 * dims].copy_from_slice(&centroid);
    let codec = rabitq(nbits, space);
    check_packing(&codec, &rows, dims, &centroid);
    let (blocks, mut query) = (blocks(&codec, &rows, dims, &centroid), codec.query());
    for q in queries.chunks(dims) {
        codec.prepare(&mut query, q);
        codec.enter_list(&mut query, &centroid, distance(metric, q, &centroid));
        check_cuts(&codec, &query, &blocks);
        let step = 4.0 * q.iter().map(|x| x.abs()).fold(0.0, f32::max) / 255.0;
        let steps = step * dims.div_ceil(4) as f32 * f32::from(u8::MAX >> (8 - nbits));
        for (row, estimate) in rows.chunks(dims).zip(scan(&codec, &query, &blocks)) {
            let (expected, gain) = formula(&codec, metric, q, row, &centroid);
            let slack = gain * steps * 2.0 + 1e-4 * (1.0 + expected.abs());
            assert!(
                (estimate - expected).abs() <= slack,
                "{nbits} {space:?}: {expected} {estimate}"
            );
        }
    }
}

/// The estimate by what the code stands for, and the factor of its product with the query.
fn formula(codec: &RaBitQ, metric: Metric, q: &[f32], x: &[f32], c: &[f32]) -> (f32, f32) {
    let mut code = vec![0xFF; codec.bare_size()];
    codec.encode(x, c, &mut code, &mut [0.0; 2]);
    let w = codec.decode(&code);
    let r: Vec<f32> = x.iter().zip(c).map(|(x, c)| x - c).collect();
    for (w, r) in w.iter().zip(&r) {
        assert_eq!(*w > 0.0, *r > 0.0);
    }
    let from_centroid: Vec<f32> = q.iter().zip(c).map(|(q, c)| q - c).collect();
    let length = norm_sqr(&r);
    let gain = if length > 0.0 { length / dot(&w, &r) } else { 0.0 };
    let l2 = length + l2_sqr(q, c) - 2.0 * gain * dot(&from_centroid, &w);
    match metric {
        Metric::L2 => (l2.max(0.0), 2.0 * gain),
        _ => (0.5 * (l2 - norm_sqr(q) - norm_sqr(x)), gain),
    }
}

/// Lists much closer together than far from the origin: what rounding of a query's table adds to an estimate is less than
/// what the code itself loses.
#[test]
fn far_from_the_origin_estimates_are_as_good_as_near_it() {
    for (metric, nbits) in METRICS.into_iter().flat_map(|metric| [(metric, 1), (metric, 4)]) {
        let space = Space { dims: 32, metric };
        let codec = rabitq(nbits, space);
        let errors = |far: f32| {
            let (mut rows, mut queries) = (data(320, space, 3), data(10, space, 4));
            rows.iter_mut().chain(&mut queries).for_each(|x| *x += far);
            let centroid = rows[..32].to_vec();
            let (blocks, mut query) = (blocks(&codec, &rows, 32, &centroid), codec.query());
            let mut sum = 0.0;
            for q in queries.chunks(32) {
                codec.prepare(&mut query, q);
                let exact = |x: &[f32]| -> f64 {
                    let pairs = q.iter().zip(x).map(|(a, b)| (f64::from(*a), f64::from(*b)));
                    match metric {
                        Metric::L2 => pairs.map(|(a, b)| (a - b) * (a - b)).sum(),
                        _ => -pairs.map(|(a, b)| a * b).sum::<f64>(),
                    }
                };
                codec.enter_list(&mut query, &centroid, exact(&centroid) as f32);
                let estimates = scan(&codec, &query, &blocks);
                let of_rows = rows.chunks(32).zip(estimates);
                sum += of_rows.map(|(x, e)| (exact(x) - f64::from(e)).powi(2)).sum::<f64>();
            }
            sum.sqrt()
        };
        let (near, far) = (errors(0.0), errors(100.0));
        assert!(
            far < 1.5 * near,
            "{metric:?}, {nbits} bits: {far} far away, {near} near the origin"
        );
    }
}

/// Of few components one bit says little: a row far beyond the query, in its direction, is not nearer than the query's own neighbours.
#[test]
fn squared_distances_are_not_negative() {
    let space = Space { dims: 3, metric: Metric::L2 };
    let codec = rabitq(1, space);
    let rows: Vec<f32> = (0..64).flat_map(|i| [i as f32 * 0.1, 0.01, 0.01]).collect();
    let (blocks, mut query) = (blocks(&codec, &rows, 3, &[]), codec.query());
    let q = [1.0, 0.9, 0.8];
    codec.prepare(&mut query, &q);
    codec.enter_list(&mut query, &[], 0.0);
    let formula: Vec<f32> =
        rows.chunks(3).map(|x| formula(&codec, Metric::L2, &q, x, &[0.0; 3]).0).collect();
    let estimates = scan(&codec, &query, &blocks);
    assert!(estimates.iter().all(|x| *x >= 0.0) && estimates.contains(&0.0), "{estimates:?}");
    assert!(estimates.iter().zip(&formula).all(|(a, b)| (a - b).abs() < 0.2), "{estimates:?}");
}

/// FAISS's two factors of the signs give the same estimate as ours.
#[test]
fn factors_are_faiss_s() {
    for metric in METRICS {
        let space = Space { dims: 40, metric };
        let (rows, q) = (data(2, space, 3), data(1, space, 4));
        let (c, x) = rows.split_at(40);
        let codec = rabitq(1, space);
        let [f0, f1] = codec.faiss_factors(x, c);
        let sign = |j: usize| if x[j] > c[j] { 1.0 } else { -1.0 };
        let product: f32 = (0..40).map(|j| (q[j] - c[j]) * sign(j)).sum();
        let l2 = f0 + l2_sqr(&q, c) - 2.0 * f1 / 40f32.sqrt() * product;
        let theirs = if metric == Metric::L2 { l2 } else { 0.5 * (l2 - norm_sqr(&q)) };
        let ours = formula(&codec, metric, &q, x, c).0;
        assert!((theirs - ours).abs() < 1e-4, "{metric:?}: {theirs} {ours}");
    }
}

/// Without a bias, and with half the error for every bit more, until the rounding of tables is larger.
#[test]
fn errors_halve_with_every_bit() {
    let space = Space { dims: 256, metric: Metric::InnerProduct };
    let mut rng = Rng::new(9);
    let mut rows = |n: usize| -> Vec<f32> { (0..n * 256).map(|_| normal(&mut rng)).collect() };
    let (queries, rows) = (rows(30), rows(640));
    let mut last = f64::INFINITY;
    for nbits in 1..=8 {
        let codec = rabitq(nbits, space);
        let (blocks, mut query) = (blocks(&codec, &rows, 256, &[]), codec.query());
        let mut errors = Vec::new();
        for q in queries.chunks(256) {
            codec.prepare(&mut query, q);
            codec.enter_list(&mut query, &[], 0.0);
            let estimates = scan(&codec, &query, &blocks);
            let exact = rows.chunks(256).map(|x| -dot(q, x));
            errors.extend(estimates.iter().zip(exact).map(|(a, b)| f64::from(a - b)));
        }
        let n = errors.len() as f64;
        let (mean, squares) =
            (errors.iter().sum::<f64>() / n, errors.iter().map(|e| e * e).sum::<f64>() / n);
        let error = squares.sqrt();
        println!("{nbits} bits: error {error:.4}, mean {mean:+.4}");
        assert!(mean.abs() < 0.05 * error.max(1.0), "{nbits} bits: {mean} of {error}");
        let shrinks = if nbits <= 5 { 0.6 } else { 1.0 };
        assert!(error < shrinks * last, "{nbits} bits: {error}, {last} with one bit less");
        last = error;
    }
}

/// Property 25: in 256 dimensions one bit finds the ten nearest among its hundred nearest, and orders well; four bits
/// find more than nine of them among their ten.
#[test]
fn bits_rank() {
    let space = Space { dims: 256, metric: Metric::L2 };
    let (rows, queries) = (data(10_000, space, 5), data(40, space, 6));
    let column = |j: usize| rows.iter().skip(j).step_by(256).sum::<f32>() / 10_000.0;
    let mean: Vec<f32> = (0..256).map(column).collect();
    for (nbits, among, least, correlated) in [(1, 100, 392, 0.8), (4, 10, 368, 0.99)] {
        let codec = rabitq(nbits, space);
        let blocks = blocks(&codec, &rows, 256, &mean);
        let mut query = codec.query();
        let (mut found, mut correlations, mut selves) = (0, 0.0, 0);
        for q in queries.chunks(256).chain(rows.chunks(256).take(40)) {
            codec.prepare(&mut query, q);
            codec.enter_list(&mut query, &mean, l2_sqr(q, &mean));
            let mut estimates = scan(&codec, &query, &blocks);
            // Lanes without a row.
            estimates.truncate(10_000);
            let exact: Vec<f32> = rows.chunks(256).map(|row| l2_sqr(q, row)).collect();
            let truth = nearest(&exact, 100);
            let near = nearest(&estimates, among);
            if exact[truth[0]] == 0.0 {
                selves += usize::from(near[..5].contains(&truth[0]));
                continue;
            }
            found += truth[..10].iter().filter(|i| near.contains(i)).count();
            correlations += correlation(truth.iter().map(|&i| (exact[i], estimates[i])));
        }
        println!("{nbits} bits: {found} of 400 among {among}, correlation {}", correlations / 40.0);
        assert!(found >= least, "{nbits} bits: {found} of 400");
        assert!(correlations / 40.0 > correlated, "{nbits} bits: {}", correlations / 40.0);
        assert_eq!(selves, 40, "{nbits} bits");
    }
}

/// A component that is far from 0 in all vectors says nothing, and takes nothing away.
#[test]
fn a_large_constant_component_changes_nothing() {
    let space = Space { dims: 64, metric: Metric::L2 };
    for nbits in [1, 3] {
        let (codec, mut query) = (rabitq(nbits, space), rabitq(nbits, space).query());
        let mut estimates = |offset: f32| {
            let mut rows = data(256, space, 5);
            rows.chunks_mut(64).for_each(|row| row[9] = offset);
            let mut centroid = vec![0.1; 64];
            centroid[9] = offset;
            let blocks = blocks(&codec, &rows, 64, &centroid);
            codec.prepare(&mut query, &rows[..64]);
            codec.enter_list(&mut query, &centroid, l2_sqr(&rows[..64], &centroid));
            check_cuts(&codec, &query, &blocks);
            scan(&codec, &query, &blocks)
        };
        let (without, with) = (estimates(0.0), estimates(3000.0));
        let error = without.iter().zip(&with).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(error < 1.0, "{nbits} bits: {error}");
    }
}

/// Property 26: recall grows with bits.
#[test]
fn more_bits_rank_better() {
    let space = Space { dims: 32, metric: Metric::L2 };
    let (rows, queries) = (data(10_000, space, 5), data(100, space, 6));
    let column = |j: usize| rows.iter().skip(j).step_by(32).sum::<f32>() / 10_000.0;
    let mean: Vec<f32> = (0..32).map(column).collect();
    let mut last = 0;
    for (nbits, least) in [(1, 400), (2, 700), (3, 830), (4, 890), (6, 950), (8, 970)] {
        let codec = rabitq(nbits, space);
        let (blocks, mut query) = (blocks(&codec, &rows, 32, &mean), codec.query());
        let mut found = 0;
        for q in queries.chunks(32) {
            codec.prepare(&mut query, q);
            codec.enter_list(&mut query, &mean, l2_sqr(q, &mean));
            let mut estimates = scan(&codec, &query, &blocks);
            estimates.truncate(10_000);
            let near = nearest(&estimates, 10);
            let exact: Vec<f32> = rows.chunks(32).map(|row| l2_sqr(q, row)).collect();
            found += nearest(&exact, 10).iter().filter(|i| near.contains(i)).count();
        }
        println!("{nbits} bits: {found} of 1000");
        assert!(found >= least && found + 30 > last, "{nbits} bits: {found}, then {last}");
        last = found;
    }
}

fn correlation(pairs: impl Iterator<Item = (f32, f32)> + Clone) -> f64 {
    let n = pairs.clone().count() as f64;
    let mean =
        |side: fn((f32, f32)) -> f32| pairs.clone().map(|p| f64::from(side(p))).sum::<f64>() / n;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
        pairs.clone().map(|(a, b)| f(f64::from(a) - x, f64::from(b) - y)).sum()
    };
    sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
}
