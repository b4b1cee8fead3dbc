//! Every variant of every kernel against the plain loop, bit for bit.

use super::body::{Dot, L1, L2Sqr, Op};
use super::isa::{self, Isa};
use super::rows::{Lanes, RowKernel};
use crate::element::Float;
use half::f16;

/// The definition, written as a loop: `fused` as the set under test rounds.
fn reference(term: fn(f32, f32, f32, bool) -> f32, a: &[f32], b: &[f32], fused: bool) -> f32 {
    let mut lanes = [0.0f32; 16];
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        lanes[i % 16] = term(lanes[i % 16], *x, *y, fused);
    }
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
    }
    lanes[0]
}

pub fn fma(acc: f32, a: f32, b: f32, fused: bool) -> f32 {
    if fused { a.mul_add(b, acc) } else { a * b + acc }
}

fn l2_term(acc: f32, a: f32, b: f32, fused: bool) -> f32 {
    fma(acc, a - b, a - b, fused)
}

fn l1_term(acc: f32, a: f32, b: f32, _: bool) -> f32 {
    acc + (a - b).abs()
}

pub fn is_fused(isa: Isa) -> bool {
    isa != Isa::Plain || cfg!(any(target_arch = "aarch64", target_feature = "fma"))
}

/// Numbers with long mantissas, some negative, some tiny, a few zero.
pub fn sample(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    (0..n)
        .map(|_| {
            let unit = next() as f32 / u32::MAX as f32 - 0.4;
            match next() % 16 {
                0 => 0.0,
                1 => unit * 1e-20,
                _ => unit * 7.0,
            }
        })
        .collect()
}

fn elements<E: Float>(values: &[f32]) -> Vec<E> {
    values.iter().map(|&x| E::from_f32(x)).collect()
}

fn widened<E: Float>(values: &[E]) -> Vec<f32> {
    values.iter().map(|x| x.to_f32()).collect()
}

/// Sizes to test with: under Miri, which is thousands of times slower, fewer.
pub fn few<T: Copy>(all: &[T], under_miri: &[T]) -> Vec<T> {
    if cfg!(miri) { under_miri.to_vec() } else { all.to_vec() }
}

fn sizes() -> impl Iterator<Item = usize> {
    let all: Vec<usize> = (1..=130).chain([384, 768, 1000, 1536, 16_000]).collect();
    few(&all, &[1, 7, 15, 16, 17, 33, 70]).into_iter()
}

fn check_pair<A: Float, B: Float>() {
    for d in sizes() {
        let a: Vec<A> = elements(&sample(d, 1 + d as u32));
        let b: Vec<B> = elements(&sample(d, 9000 + d as u32));
        let (wa, wb) = (widened(&a), widened(&b));
        for set in Isa::available() {
            check_op::<L2Sqr, A, B>(set, &a, &b, reference(l2_term, &wa, &wb, is_fused(set)));
            check_op::<Dot, A, B>(set, &a, &b, reference(fma, &wa, &wb, is_fused(set)));
            check_op::<L1, A, B>(set, &a, &b, reference(l1_term, &wa, &wb, is_fused(set)));
        }
    }
}

fn check_op<O: Op, A: Float, B: Float>(set: Isa, a: &[A], b: &[B], expected: f32) {
    // SAFETY: the set is available.
    let got = unsafe { isa::pair::pick::<O, A, B>(set)(a, b) };
    assert_eq!(got.to_bits(), expected.to_bits(), "{set:?} d={}: {got} {expected}", a.len());
}

#[test]
fn pairs_equal_the_plain_loop() {
    check_pair::<f32, f32>();
    check_pair::<f32, f16>();
    check_pair::<f16, f32>();
    check_pair::<f16, f16>();
}

fn check_rows<O: Op, E: Float>() {
    for (n, d) in sizes().map(|d| (d % 11 + 1, d)) {
        let query = sample(d, 77 + d as u32);
        let rows: Vec<E> = elements(&sample(n * d, 31 + d as u32));
        for set in Isa::available() {
            let mut out = vec![f32::NAN; n];
            // SAFETY: the set is available.
            unsafe { isa::distances::pick::<O, E>(set)(&query, &rows, &mut out) };
            for (r, got) in out.iter().enumerate() {
                // SAFETY: the set is available.
                let pair =
                    unsafe { isa::pair::pick::<O, f32, E>(set)(&query, &rows[r * d..(r + 1) * d]) };
                assert_eq!(got.to_bits(), pair.to_bits(), "{set:?} d={d} row {r}");
            }
            check_sliced::<O, E>(set, &query, &rows, &out);
            check_four::<O, E>(set, &query, &rows, n);
        }
    }
}

/// Four queries at once have what each has alone.
fn check_four<O: Op, E: Float>(set: Isa, query: &[f32], rows: &[E], n: usize) {
    let queries = [1.0, -1.0, 0.5, 3.0].map(|by| query.iter().map(|x| x * by).collect::<Vec<_>>());
    let mut four = [0; 4].map(|_| vec![f32::NAN; n]);
    let mut out = four.each_mut().map(Vec::as_mut_slice);
    // SAFETY: the set is available.
    unsafe {
        let kernel = isa::distances_of_four::pick::<O, E>(set);
        kernel(queries.each_ref().map(Vec::as_slice), rows, out.each_mut().map(|out| &mut **out));
    }
    for (query, got) in queries.iter().zip(four) {
        let mut alone = vec![f32::NAN; n];
        // SAFETY: the set is available.
        unsafe { isa::distances::pick::<O, E>(set)(query, rows, &mut alone) };
        let bits = |sums: &[f32]| sums.iter().map(|sum| sum.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&got), bits(&alone), "{set:?} d={}", query.len());
    }
}

/// Cuts every row after a multiple of sixteen elements and carries the sums over.
fn check_sliced<O: Op, E: Float>(set: Isa, query: &[f32], rows: &[E], whole: &[f32]) {
    let (d, n) = (query.len(), whole.len());
    let slice = (d / 3).next_multiple_of(16).max(16);
    let mut acc = vec![Lanes::default(); n];
    for lo in (0..d).step_by(slice) {
        let hi = (lo + slice).min(d);
        let part: Vec<E> = rows.chunks(d).flat_map(|row| row[lo..hi].iter().copied()).collect();
        // SAFETY: the set is available.
        unsafe { isa::accumulate::pick::<O, E>(set)(&query[lo..hi], &part, &mut acc) };
    }
    let mut out = vec![f32::NAN; n];
    // SAFETY: the set is available.
    unsafe { isa::reduce::pick(set)(&acc, &mut out) };
    for (got, expected) in out.iter().zip(whole) {
        assert_eq!(got.to_bits(), expected.to_bits(), "{set:?} d={d}");
    }
}

#[test]
fn rows_equal_pairs_and_slices_equal_the_whole() {
    check_rows::<L2Sqr, f32>();
    check_rows::<Dot, f32>();
    check_rows::<L2Sqr, f16>();
    check_rows::<Dot, f16>();
    check_rows::<L1, f32>();
    check_rows::<L1, f16>();
}

#[test]
fn a_tail_leaves_the_other_lanes_alone() {
    // Each product underflows to −0; an untouched lane keeps it, an added zero would turn it to +0.
    let a = vec![1e-30f32; 16];
    let b = vec![-1e-30f32; 16];
    let (tail_a, tail_b) = ([a.as_slice(), &[1e-30]].concat(), [b.as_slice(), &[-1e-30]].concat());
    for set in Isa::available() {
        let expected = reference(fma, &tail_a, &tail_b, is_fused(set));
        check_op::<Dot, f32, f32>(set, &tail_a, &tail_b, expected);
        check_op::<Dot, f32, f32>(set, &a, &b, reference(fma, &a, &b, is_fused(set)));
    }
}

#[test]
fn the_public_functions_agree_with_the_row_kernel() {
    let (query, row) = (sample(100, 5), elements::<f16>(&sample(100, 6)));
    let mut out = [0.0];
    RowKernel::l2_sqr().distances(&query, &row, &mut out);
    assert_eq!(out[0].to_bits(), super::l2_sqr(&query, &row).to_bits());
    RowKernel::dot().distances(&query, &row, &mut out);
    assert_eq!(out[0].to_bits(), super::dot(&query, &row).to_bits());
    assert_eq!(super::norm_sqr(&row).to_bits(), super::dot(&row, &row).to_bits());
}

#[test]
fn operator_distances() {
    let (a, b) = ([3.0f32, 4.0], [0.0f32, 0.0]);
    assert_eq!(super::l2_distance(&a, &b), 5.0);
    assert_eq!(super::negative_inner_product(&a, &a), -25.0);
    assert_eq!(super::cosine_distance(&a, &[6.0f32, 8.0]), 0.0);
    assert_eq!(super::cosine_distance(&a, &[-3.0f32, -4.0]), 2.0);
    assert!(super::cosine_distance(&a, &b).is_nan());
    assert_eq!(super::l1(&a, &b), 7.0);
}

#[test]
fn looking_ahead_changes_nothing() {
    let (query, rows) = (sample(100, 5), elements::<f16>(&sample(1100, 6)));
    let kernel = RowKernel::l2_sqr();
    let mut expected = [0.0; 11];
    kernel.distances(&query, &rows, &mut expected);
    for n in [0, 1, 100, 2200, 5000] {
        let (mut out, mut acc) = ([0.0; 11], [Lanes::default(); 11]);
        kernel.distances_ahead(&query, &rows, &mut out, vec![0; n].as_ptr_range());
        assert_eq!(out, expected);
        kernel.accumulate_ahead(&query, &rows, &mut acc, vec![0; n].as_ptr_range());
        RowKernel::<f16>::reduce(&acc, &mut out);
        assert_eq!(out, expected);
    }
}

#[test]
fn prefetch_takes_any_slice() {
    super::prefetch(&[]);
    super::prefetch(&[0; 130]);
}

#[test]
fn tiles_agree_on_every_set() {
    use super::tile::{Best, PANEL, Tile};
    for dims in few(&[1, 5, 33], &[1, 5]) {
        let (n_points, n_panels) = (12, 8);
        let panels = sample(n_panels * PANEL * dims, 4);
        let points = sample(n_points * dims, 5);
        let mut bias = [[0.5; PANEL]; 8];
        bias[7] = [f32::INFINITY; PANEL];
        for set in Isa::available() {
            let tile = Tile::on(set);
            let mut best = [Best::NONE; 12];
            tile.pass(&points, dims, &panels, &bias, 3, &mut best);
            for (p, best) in best.iter().enumerate() {
                let (group, lane) = (p / tile.points * tile.points, p % tile.points);
                let x = |i: usize| points[group * dims + i * tile.points + lane];
                let score = |c: usize| {
                    let element = |i: usize| panels[(c / PANEL * dims + i) * PANEL + c % PANEL];
                    0.5 - (0..dims).fold(0.0, |acc, i| fma(acc, x(i), element(i), is_fused(set)))
                };
                let scores: Vec<f32> = (0..7 * PANEL).map(score).collect();
                let least = scores.iter().copied().fold(f32::INFINITY, f32::min);
                let at = scores.iter().position(|&score| score == least).unwrap();
                assert_eq!(best.centroid() as usize, at + 3 * PANEL, "{set:?} dims={dims}");
            }
        }
    }
}
