//! Codes and keys against the distances they stand for.

use super::{Codes, FOLD, Factors, Grid};
use crate::element::{Bits, Element};
use crate::kernels::{dot, l1, l2_sqr};
use crate::kernels::{hamming_distance, jaccard_distance};
use crate::metric::Metric;
use crate::rng::Rng;

const METRICS: [Metric; 4] = [Metric::L2, Metric::InnerProduct, Metric::Cosine, Metric::L1];

/// Rows around a mean that is not the origin; of norm 1 under cosine.
fn rows(metric: Metric, n: usize, dims: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    let mut rows: Vec<f32> = (0..n * dims).map(|i| rng.normal() + (i % dims % 3) as f32).collect();
    if metric == Metric::Cosine {
        crate::kmeans::normalize(&mut rows, dims);
    }
    rows
}

fn exact(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    f64::from(match metric {
        Metric::L2 | Metric::Cosine => l2_sqr(a, b),
        Metric::InnerProduct => -dot(a, b),
        Metric::L1 => l1(a, b),
        Metric::Hamming | Metric::Jaccard => unreachable!("bits have a test of their own"),
    })
}

/// A grid of 300 rows, their codes, and their factors.
fn coded(metric: Metric, dims: usize) -> (Grid, Vec<f32>, Vec<u8>, Vec<Factors>) {
    let base = rows(metric, 300, dims, 1);
    let grid = Grid::train(metric, dims, &base);
    let mut codes = vec![0; 300 * grid.size()];
    let of = base.chunks(dims).zip(codes.chunks_mut(grid.size()));
    let factors = of.map(|(x, code)| grid.encode(x, code)).collect();
    (grid, base, codes, factors)
}

#[test]
fn keys_are_distances() {
    for metric in METRICS {
        for dims in [1, 3, 16, 100, 384] {
            let (grid, base, codes, factors) = coded(metric, dims);
            let code = |i: usize| &codes[i * grid.size()..][..grid.size()];
            let queries = rows(metric, 20, dims, 2);
            for (q, x) in queries.chunks(dims).enumerate() {
                let spread = exact(metric, x, &vec![0.0; dims]).abs() + dims as f64;
                let slack = if dims == 1 { 0.5 } else { 0.03 } * spread.max(1.0);
                let query = grid.query(x);
                for i in 0..300 {
                    let wanted = exact(metric, x, &base[i * dims..][..dims]);
                    let key = f64::from(query.key(code(i), factors[i]));
                    assert!((key - wanted).abs() < slack, "{metric:?} {dims}: {key} {wanted}");
                    // Between nodes: the same from both sides.
                    let there = grid.query_of_code(code(q), factors[q]).key(code(i), factors[i]);
                    let back = grid.query_of_code(code(i), factors[i]).key(code(q), factors[q]);
                    assert!((there - back).abs() <= 1e-5 * there.abs().max(1e3), "{there} {back}");
                }
            }
        }
    }
}

#[test]
fn a_node_is_nearest_to_itself() {
    for metric in [Metric::L2, Metric::Cosine, Metric::L1] {
        let (grid, _, codes, factors) = coded(metric, 70);
        for (code, factors) in codes.chunks(grid.size()).zip(&factors) {
            let key = grid.query_of_code(code, *factors).key(code, *factors);
            assert!(key.abs() <= 1e-6 * factors.bias, "{key}");
        }
    }
}

/// By inner product a query may be much shorter than the rows: the order is that of its direction.
#[test]
fn short_queries_keep_the_order() {
    let dims = 24;
    let (grid, base, codes, factors) = coded(Metric::InnerProduct, dims);
    for q in rows(Metric::InnerProduct, 10, dims, 3).chunks(dims) {
        let first = |scale: f32| -> Vec<usize> {
            let scaled: Vec<f32> = q.iter().map(|x| x * scale).collect();
            let query = grid.query(&scaled);
            let code = |i: usize| &codes[i * grid.size()..][..grid.size()];
            let keys: Vec<f32> = (0..300).map(|i| query.key(code(i), factors[i])).collect();
            let mut order: Vec<usize> = (0..300).collect();
            order.sort_by(|a, b| keys[*a].total_cmp(&keys[*b]));
            order.truncate(30);
            order
        };
        let mut exactly: Vec<usize> = (0..300).collect();
        let key = |i: &usize| exact(Metric::InnerProduct, q, &base[i * dims..][..dims]);
        exactly.sort_by(|a, b| key(a).total_cmp(&key(b)));
        for scale in [1.0, 1e-3, 1e-12] {
            let first = first(scale);
            let found = exactly[..10].iter().filter(|i| first.contains(i)).count();
            assert!(found == 10, "{scale}: {found} of the ten nearest are among the first thirty");
        }
    }
}

#[test]
fn what_overflows_is_far() {
    for metric in [Metric::L2, Metric::L1] {
        let (grid, base, mut codes, _) = coded(metric, 70);
        let (near, far) = codes.split_at_mut(grid.size());
        let huge = grid.encode(&[1e38; 70], far);
        for row in base.chunks(70) {
            let small = grid.encode(row, near);
            for (query, code, factors) in [
                (grid.query(row), &*far, huge),
                (grid.query_of_code(near, small), &*far, huge),
                (grid.query_of_code(far, huge), &*near, small),
            ] {
                assert!(query.key(&code[..grid.size()], factors) > 1e30, "{metric:?}");
            }
        }
    }
}

#[test]
fn many_keys_are_the_keys() {
    for metric in METRICS {
        let (grid, base, codes, factors) = coded(metric, 90);
        let of = Codes { codes: &codes, stride: grid.size(), factors: &factors };
        let mut query = grid.query(&base[..90]);
        for aimed in [false, true] {
            let nodes = [4, 0, 299, 300, 17, u32::MAX, 17];
            let mut out = vec![1.0];
            query.keys(of, &nodes, &mut Vec::new(), &mut out);
            for (node, key) in nodes.into_iter().zip(&out[1..]) {
                let (code, factors) = of.node(node, grid.size());
                let wanted = if node < 300 { query.key(code, factors) } else { f32::INFINITY };
                assert_eq!(*key, wanted, "{metric:?} {aimed}");
            }
            let (code, factors) = of.node(7, grid.size());
            grid.aim(&mut query, code, factors);
        }
    }
}

#[test]
fn far_queries_keep_the_order() {
    for metric in [Metric::L2, Metric::L1] {
        let (grid, base, codes, factors) = coded(metric, 8);
        let query: Vec<f32> = base[..8].iter().map(|x| x * 50.0).collect();
        let from = grid.query(&query);
        let keys = codes.chunks(grid.size()).zip(&factors).map(|(c, b)| from.key(c, *b));
        let mut by_key: Vec<(f32, usize)> = keys.zip(0..).collect();
        let mut by_distance: Vec<(f64, usize)> =
            base.chunks(8).map(|x| exact(metric, &query, x)).zip(0..).collect();
        by_key.sort_by(|a, b| a.0.total_cmp(&b.0));
        by_distance.sort_by(|a, b| a.0.total_cmp(&b.0));
        let near = |row: usize| by_distance[..30].iter().any(|d| d.1 == row);
        assert!(by_key[..10].iter().all(|k| near(k.1)), "{metric:?}");
    }
}

#[test]
fn long_vectors_are_folded() {
    for dims in [FOLD, FOLD + 1, 16_000] {
        assert!(Grid::code_bytes(Metric::L2, dims) <= FOLD);
    }
    let dims = 9000;
    let mut rng = Rng::new(4);
    let mut base = rows(Metric::L2, 40, dims, 1);
    // The second half: near the first.
    for i in 20 * dims..40 * dims {
        base[i] = base[i - 20 * dims] + 0.1 * rng.normal();
    }
    let grid = Grid::train(Metric::L2, dims, &base);
    let mut code = vec![0; Grid::code_bytes(Metric::L2, dims)];
    for near in 0..20 {
        let query = grid.query(&base[near * dims..][..dims]);
        let key = |i: usize, code: &mut [u8]| {
            let factors = grid.encode(&base[i * dims..][..dims], code);
            f64::from(query.key(code, factors))
        };
        let wanted = exact(Metric::L2, &base[..dims], &base[dims..2 * dims]);
        let far = key((near + 1) % 20, &mut code);
        assert!((far / wanted - 1.0).abs() < 0.2, "{far} {wanted}");
        assert!(key(near + 20, &mut code) < 0.05 * far);
    }
}

#[test]
fn parameters_come_back() {
    for metric in METRICS {
        let (grid, base, codes, _) = coded(metric, 20);
        let params = grid.params();
        assert_eq!(params.len(), Grid::params_len(metric, 20));
        let again = Grid::from_params(metric, 20, params.clone()).unwrap();
        let mut code = vec![0; Grid::code_bytes(metric, 20)];
        again.encode(&base[..20], &mut code);
        assert_eq!(code, codes[..grid.size()]);
        for bad in [f32::NAN, f32::INFINITY] {
            let mut params = params.clone();
            params[19] = bad;
            assert!(Grid::from_params(metric, 20, params).is_none(), "{bad}");
        }
        assert!(Grid::from_params(metric, 21, params).is_none());
    }
}

#[test]
fn every_sample_gives_a_grid() {
    let huge = [3e38, -3e38, 1.0, 2.0, 3e38, 3e38];
    let sparse: Vec<f32> = (0..30_000).map(|i| if i == 7 { 5.0 } else { 0.0 }).collect();
    let samples: [&[f32]; 6] = [&[], &[0.0; 4], &[2.5; 40], &huge, &[1e-40, 0.0], &sparse];
    for metric in METRICS {
        for sample in samples {
            let grid = Grid::train(metric, 2, sample);
            let grid = Grid::from_params(metric, 2, grid.params()).unwrap();
            let mut codes = vec![0; 3 * grid.size()];
            let vectors = [[0.0, 0.0], [3e38, -3e38], [f32::NAN, f32::INFINITY]];
            let of = vectors.iter().zip(codes.chunks_mut(grid.size()));
            let factors: Vec<Factors> = of.map(|(x, code)| grid.encode(x, code)).collect();
            for query in vectors.map(|x| grid.query(&x)) {
                for (code, factors) in codes.chunks(grid.size()).zip(&factors) {
                    let key = query.key(code, *factors);
                    assert!(key.is_finite(), "{metric:?} {key}");
                }
            }
        }
    }
}

#[test]
fn codes_of_bits_lose_nothing() {
    let mut rng = Rng::new(9);
    for dims in [1, 8, 9, 256, 1000, 64_000] {
        let mut bits = || -> Vec<f32> { (0..dims).map(|_| rng.below(2) as f32).collect() };
        let rows = [bits(), bits(), vec![0.0; dims], bits()];
        for metric in [Metric::Hamming, Metric::Jaccard] {
            let grid = Grid::train(metric, dims, &rows.concat());
            assert_eq!((grid.params().len(), grid.size()), (1, Grid::code_bytes(metric, dims)));
            let mut codes = vec![0xAA; rows.len() * grid.size()];
            let coded = rows.iter().zip(codes.chunks_mut(grid.size()));
            let mut factors: Vec<Factors> =
                coded.map(|(row, code)| grid.encode(row, code)).collect();
            factors[3] = Factors::NONE;
            let of = Codes { codes: &codes, stride: grid.size(), factors: &factors };
            for (i, row) in rows.iter().enumerate().take(3) {
                let mut keys = Vec::new();
                grid.query(row).keys(of, &[0, 1, 2, 3], &mut Vec::new(), &mut keys);
                let (code, own) = of.node(i as u32, grid.size());
                let again = grid.query_of_code(code, own);
                for (j, other) in rows.iter().enumerate().take(3) {
                    let (a, b) = (Bits::pack(row), Bits::pack(other));
                    let exact = match metric {
                        Metric::Hamming => hamming_distance(Bits::bytes(&a), Bits::bytes(&b)),
                        _ => jaccard_distance(Bits::bytes(&a), Bits::bytes(&b)),
                    };
                    let (code, factors) = of.node(j as u32, grid.size());
                    assert_eq!(keys[j], exact as f32, "{metric:?} {dims}");
                    assert_eq!(again.key(code, factors), exact as f32);
                }
                assert_eq!(keys[3], f32::INFINITY);
            }
        }
    }
}
