//! Fast-scan codes: blocks, estimates against plain arithmetic, and the properties FAISS tests for.

use super::fastscan::PqFs;
use super::rabitq::RaBitQ;
use super::{Coding, LANES, Space, Sums, UNIT, train_codebooks};
use crate::kernels::{dot, l2_sqr};
use crate::kmeans::normalize;
use crate::metric::Metric;
use crate::parallel::Job;
use crate::rng::Rng;

pub const METRICS: [Metric; 3] = [Metric::L2, Metric::InnerProduct, Metric::Cosine];

/// A normal deviate (Box and Muller).
pub fn normal(rng: &mut Rng) -> f32 {
    let (u, v) = (rng.unit().max(1e-7), rng.unit());
    (-2.0 * u.ln()).sqrt() * (std::f32::consts::TAU * v).cos()
}

/// Rows on a curved surface of ten dimensions, as FAISS's own tests use.
fn ellipsoid(n: usize, dims: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(42);
    let matrix: Vec<f32> = (0..10 * dims).map(|_| rng.unit()).collect();
    let scale: Vec<f32> = (0..dims).map(|_| rng.unit() * 4.0 + 0.1).collect();
    let mut rng = Rng::new(seed);
    let row = |_| {
        let z: [f32; 10] = std::array::from_fn(|_| normal(&mut rng));
        let at = |j: usize| (0..10).map(|i| z[i] * matrix[i * dims + j]).sum::<f32>();
        (0..dims).map(|j| (at(j) * scale[j]).sin()).collect::<Vec<f32>>()
    };
    (0..n).flat_map(row).collect()
}

pub fn data(n: usize, space: Space, seed: u64) -> Vec<f32> {
    let mut rows = ellipsoid(n, space.dims, seed);
    if space.metric == Metric::Cosine {
        normalize(&mut rows, space.dims);
    }
    rows
}

fn trained(rows: &[f32], space: Space, m: usize) -> PqFs {
    let codebooks = train_codebooks(rows, space.dims, m, 4, 5, &Job::default()).unwrap();
    PqFs::new(m, space, codebooks).unwrap()
}

/// Whole blocks of coded rows, as an index would hold them.
pub struct Blocks {
    units: Vec<u8>,
    factors: Vec<f32>,
}

pub fn blocks<C: Coding>(codec: &C, rows: &[f32], dims: usize, centroid: &[f32]) -> Blocks {
    let n_blocks = (rows.len() / dims).div_ceil(LANES);
    let (block, width) = (codec.units() * UNIT, codec.n_factors() * LANES);
    let mut units = vec![0; n_blocks * block];
    let mut all = vec![0.0; n_blocks * width];
    let mut code = vec![0; codec.bare_size()];
    let mut factors = vec![0.0; codec.n_factors()];
    for (i, row) in rows.chunks(dims).enumerate() {
        codec.encode(row, centroid, &mut code, &mut factors);
        codec.pack(&code, i % LANES, 0, &mut units[i / LANES * block..][..block]);
        for (f, factor) in factors.iter().enumerate() {
            all[i / LANES * width + f * LANES + i % LANES] = *factor;
        }
    }
    Blocks { units, factors: all }
}

/// The estimates of all rows of a list.
pub fn scan<C: Coding>(codec: &C, query: &C::Query, blocks: &Blocks) -> Vec<f32> {
    let (block, width) = (codec.units() * UNIT, codec.n_factors() * LANES);
    let mut estimates = Vec::new();
    for (i, units) in blocks.units.chunks(block).enumerate() {
        let mut out = [0.0; LANES];
        let factors = &blocks.factors[i * width..][..width];
        codec.block(query, units, factors, f32::INFINITY, &mut out);
        estimates.extend(out);
    }
    estimates
}

pub fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f32 {
    if metric == Metric::L2 { l2_sqr(a, b) } else { -dot(a, b) }
}

/// Writes rows in any order over blocks full of other codes, cut into runs, and reads them back.
pub fn check_packing<C: Coding>(codec: &C, rows: &[f32], dims: usize, centroid: &[f32]) {
    let mut code = vec![0; codec.bare_size()];
    let mut factors = vec![0.0; codec.n_factors()];
    let mut block = vec![0xA5; codec.units() * UNIT];
    let cut = codec.units() / 3;
    let mut codes = Vec::new();
    for (lane, row) in rows.chunks(dims).take(LANES).enumerate().rev() {
        codec.encode(row, centroid, &mut code, &mut factors);
        let (first, second) = block.split_at_mut(cut * UNIT);
        codec.pack(&code, lane, cut, second);
        codec.pack(&code, lane, 0, first);
        codes.push((lane, code.clone()));
    }
    for (lane, expected) in codes {
        let mut code = vec![0; expected.len()];
        codec.unpack(0, &block[..cut * UNIT], lane, &mut code);
        let has_no_more = |(byte, expected): (&u8, &u8)| byte & !expected == 0;
        assert!(code.iter().zip(&expected).all(has_no_more));
        codec.unpack(cut, &block[cut * UNIT..], lane, &mut code);
        assert_eq!(code, expected, "lane {lane}");
    }
}

/// The same estimates from a block at once and from runs cut anywhere.
pub fn check_cuts<C: Coding>(codec: &C, query: &C::Query, blocks: &Blocks) {
    let units = &blocks.units[..codec.units() * UNIT];
    let factors = &blocks.factors[..codec.n_factors() * LANES];
    let mut expected = [0.0; LANES];
    let mask = codec.block(query, units, factors, f32::NEG_INFINITY, &mut expected);
    assert_eq!(mask, 0);
    for cut in 0..=codec.units() {
        let mut sums = Sums::ZERO;
        codec.accumulate(query, &mut sums, 0, &units[..cut * UNIT]);
        codec.accumulate(query, &mut sums, cut, &units[cut * UNIT..]);
        let mut out = [0.0; LANES];
        codec.estimates(query, &sums, factors, &mut out);
        assert_eq!(out, expected, "cut at {cut}");
    }
}

#[test]
fn fast_scan_estimates_what_its_centroids_say() {
    for (dims, m) in [(32, 16), (24, 8), (15, 5), (6, 1), (64, 64)] {
        for metric in METRICS {
            let space = Space { dims, metric };
            let (rows, queries) = (data(500, space, 1), data(3, space, 2));
            let codec = trained(&rows, space, m);
            let again = PqFs::new(m, space, codec.params().to_vec()).unwrap();
            assert_eq!((codec.units(), codec.n_factors()), (m.div_ceil(2), 0));
            check_packing(&codec, &rows, dims, &[]);
            let blocks = blocks(&codec, &rows, dims, &[]);
            let mut query = again.query();
            for q in queries.chunks(dims) {
                again.prepare(&mut query, q);
                check_cuts(&again, &query, &blocks);
                let mut spread = 0.0;
                let estimates = scan(&again, &query, &blocks);
                for (row, estimate) in rows.chunks(dims).zip(estimates) {
                    let near = decoded(&codec, row, dims, m);
                    let exact = distance(metric, q, &near);
                    spread += f64::from((estimate - exact).abs());
                    assert!(
                        (estimate - exact).abs() < 0.02 * m as f32,
                        "{metric:?} {exact} {estimate}"
                    );
                }
                assert!(spread / 500.0 < 0.01 * (m as f64).sqrt(), "{spread}");
            }
        }
    }
}

/// What the nearest centroids make of a row, by a plain search.
fn decoded(codec: &PqFs, row: &[f32], dims: usize, m: usize) -> Vec<f32> {
    let dsub = dims / m;
    let nearest = |(sub, x): (usize, &[f32])| {
        let book = &codec.params()[sub * 16 * dsub..][..16 * dsub];
        let least = |a: &&[f32], b: &&[f32]| l2_sqr(a, x).total_cmp(&l2_sqr(b, x));
        book.chunks(dsub).min_by(least).unwrap().to_vec()
    };
    row.chunks(dsub).enumerate().flat_map(nearest).collect()
}

/// Property 28 of FAISS's fast-scan: rounding the tables changes distances by less than 5e-4 on average.
#[test]
fn rounding_of_tables_is_small() {
    let space = Space { dims: 32, metric: Metric::L2 };
    let (rows, queries) = (data(5000, space, 1), data(50, space, 2));
    let codec = trained(&rows, space, 16);
    let blocks = blocks(&codec, &rows, 32, &[]);
    let near: Vec<f32> = rows.chunks(32).flat_map(|row| decoded(&codec, row, 32, 16)).collect();
    let mut query = codec.query();
    let (mut relative, mut kept) = (0.0, 0);
    for q in queries.chunks(32) {
        codec.prepare(&mut query, q);
        let estimates = scan(&codec, &query, &blocks);
        let exact: Vec<f32> = near.chunks(32).map(|row| l2_sqr(q, row)).collect();
        let errors =
            estimates.iter().zip(&exact).map(|(a, b)| f64::from((a - b).abs() / b.max(0.1)));
        relative += errors.sum::<f64>() / exact.len() as f64;
        let tenth = nearest(&exact, 10)[9];
        kept +=
            nearest(&estimates, 10).iter().filter(|&&i| exact[i] <= exact[tenth] * 1.001).count();
    }
    assert!(relative / 50.0 < 1e-3, "{relative}");
    assert!(kept >= 490, "{kept} of 500");
}

/// One component a thousand times as wide as the others, or a centroid far from all: what the tables of the others say
/// is not rounded away, however a block is cut.
#[test]
fn a_table_of_another_magnitude_does_not_hide_the_others() {
    for metric in METRICS {
        let space = Space { dims: 32, metric };
        let mut rows = data(1000, space, 1);
        rows.chunks_mut(32).for_each(|row| row[5] *= 1000.0);
        let codec = trained(&rows, space, 16);
        let blocks = blocks(&codec, &rows, 32, &[]);
        let mut query = codec.query();
        for q in rows.chunks(32).take(20) {
            codec.prepare(&mut query, q);
            check_cuts(&codec, &query, &blocks);
            for (row, estimate) in rows.chunks(32).zip(scan(&codec, &query, &blocks)) {
                let exact = distance(metric, q, &decoded(&codec, row, 32, 16));
                let slack = 1e-3 + 1e-5 * exact.abs();
                assert!((estimate - exact).abs() < slack, "{metric:?} {exact} {estimate}");
            }
        }
    }
}

/// The numbers of the k smallest.
pub fn nearest(distances: &[f32], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..distances.len()).collect();
    order.sort_by(|&a, &b| distances[a].total_cmp(&distances[b]));
    order.truncate(k);
    order
}

#[test]
fn zero_huge_and_missing_numbers_do_no_harm() {
    for (metric, nbits) in METRICS.into_iter().zip([1, 2, 8]) {
        let space = Space { dims: 10, metric };
        let rows = data(64, space, 7);
        let fast = trained(&rows, space, 5);
        let bits = RaBitQ::new(nbits, space).unwrap();
        let (fast_blocks, bit_blocks) =
            (blocks(&fast, &rows, 10, &[]), blocks(&bits, &rows, 10, &[]));
        for x in [0.0, f32::MIN_POSITIVE, 1e19, f32::MAX, f32::INFINITY, f32::NAN] {
            let (mut query, mut other) = (fast.query(), bits.query());
            fast.prepare(&mut query, &[x; 10]);
            bits.prepare(&mut other, &[x; 10]);
            let (a, b) = (scan(&fast, &query, &fast_blocks), scan(&bits, &other, &bit_blocks));
            assert_eq!((a.len(), b.len()), (64, 64));
            assert!(x.abs() > 1.0 || x.is_nan() || a.iter().chain(&b).all(|x| x.is_finite()));
        }
    }
}

#[test]
fn parameters_of_the_wrong_shape_are_refused() {
    let space = Space { dims: 8, metric: Metric::L2 };
    assert!(PqFs::new(4, space, vec![0.0; 127]).is_none());
    assert!(PqFs::new(3, space, vec![0.0; 128]).is_none());
    assert!(PqFs::new(0, space, vec![0.0; 128]).is_none());
    assert!(PqFs::new(4, space, vec![0.0; 128]).is_some());
}
