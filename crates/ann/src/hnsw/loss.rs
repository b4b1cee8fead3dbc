//! Whether codes tell near rows apart as well as the vectors do.
//!
//! A search by codes finds what is near by codes, and the vectors then say which of these are the nearest. So what codes
//! must not do is to put one of the nearest behind many others: behind those it is not among what the search finds.

use half::f16;

use super::distance::VectorQuery;
use super::grid::{Codes, Factors, Grid};
use super::walk::Near;
use crate::metric::Metric;
use crate::rng::spread;

/// Nodes nearest by their codes whose vectors are looked at: what an insert finds with the default efConstruction.
pub const COMPARED: usize = 64;
/// How many of the nearest must be well placed.
const NEAREST: usize = 10;
/// How many times as many come first by their codes.
const SPREAD: usize = 2;
/// Of the nearest nodes, as many as this may be placed farther behind.
const ALLOWED: usize = 1;
/// Rows of a set that are looked at, at most.
const LOOKED_AT: u32 = 128;
/// One in this many of these may be misplaced.
const MISPLACED: usize = 50;

/// Whether codes misplace what is nearest to a row. `keys`: those by the vectors, of nodes in the order of their codes, at
/// most [`COMPARED`]. Of equal ones none is nearer.
pub fn is_misplaced(keys: &[f32]) -> bool {
    let keys = keys.get(..COMPARED).unwrap_or(keys);
    let nearest = NEAREST.min(keys.len() / (2 * SPREAD));
    let Some(last) = nearest.checked_sub(1) else { return false };
    let mut sorted = keys.to_vec();
    let (_, farthest, _) = sorted.select_nth_unstable_by(last, f32::total_cmp);
    let first = keys.iter().take(SPREAD * nearest);
    first.filter(|key| **key <= *farthest).count() + ALLOWED < nearest
}

/// Which of `n` nodes are looked at to see what codes lose.
pub fn looked_at(n: u32) -> impl Iterator<Item = u32> {
    spread(n, LOOKED_AT)
}

/// Whether codes lose too much where this number of the nodes looked at is misplaced.
pub fn is_too_much(misplaced: usize, looked_at: usize) -> bool {
    misplaced * MISPLACED > looked_at
}

/// Whether codes of a grid lose too much on a sample (row by row; normalised under cosine). Those of bits lose nothing.
pub fn codes_lose(grid: &Grid, sample: &[f32]) -> bool {
    if grid.metric().is_of_bits() {
        return false;
    }
    let rows = sample.chunks_exact(grid.dims().max(1));
    let mut codes = vec![0; rows.len() * grid.size()];
    let coded = rows.zip(codes.chunks_exact_mut(grid.size()));
    let factors: Vec<Factors> = coded.map(|(row, code)| grid.encode(row, code)).collect();
    let of = Codes { codes: &codes, stride: grid.size(), factors: &factors };
    lose(metric_of_points(grid.metric()), grid.dims(), sample, |node| {
        nearest_by_code(grid, of, node)
    })
}

/// Whether 16-bit floats do, of rows that are neither normalised nor shortened: as they are stored.
pub fn halves_lose(metric: Metric, dims: usize, sample: &[f32]) -> bool {
    let largest = f16::MAX.to_f32();
    let halves: Vec<f16> =
        sample.iter().map(|x| f16::from_f32(x.clamp(-largest, largest))).collect();
    let widened = |node: u32| -> Vec<f32> {
        let row = halves.chunks_exact(dims.max(1)).nth(node as usize).unwrap_or_default();
        row.iter().map(|x| x.to_f32()).collect()
    };
    lose(metric, dims, sample, |node| {
        let query = VectorQuery::new(metric, &widened(node));
        nearest(halves.chunks_exact(dims.max(1)).map(|row| query.key(row)), node)
    })
}

/// Vectors that were normalised are compared by their squared distance.
pub fn metric_of_points(metric: Metric) -> Metric {
    if metric == Metric::Cosine { Metric::L2 } else { metric }
}

fn lose(metric: Metric, dims: usize, sample: &[f32], near: impl Fn(u32) -> Vec<Near>) -> bool {
    let row = |node: u32| sample.chunks_exact(dims.max(1)).nth(node as usize).unwrap_or_default();
    let n = sample.len() / dims.max(1);
    let (mut looked, mut misplaced) = (0, 0);
    for node in looked_at(n as u32) {
        let query = VectorQuery::new(metric, row(node));
        let keys: Vec<f32> = near(node).iter().map(|near| query.key(row(near.node))).collect();
        looked += 1;
        misplaced += usize::from(is_misplaced(&keys));
    }
    is_too_much(misplaced, looked)
}

/// The nodes nearest to `node` by their codes, nearest first, without itself: at most [`COMPARED`].
pub fn nearest_by_code(grid: &Grid, of: Codes<'_>, node: u32) -> Vec<Near> {
    let (code, factors) = of.node(node, grid.size());
    let query = grid.query_of_code(code, factors);
    let all: Vec<u32> = (0..of.factors.len() as u32).collect();
    let (mut sums, mut keys) = (Vec::new(), Vec::with_capacity(all.len()));
    query.keys(of, &all, &mut sums, &mut keys);
    nearest(keys.into_iter(), node)
}

fn nearest(keys: impl Iterator<Item = f32>, without: u32) -> Vec<Near> {
    let near = keys.zip(0..).map(|(key, node)| Near { key, node });
    let mut near: Vec<Near> = near.filter(|near| near.node != without).collect();
    let order = |a: &Near, b: &Near| a.key.total_cmp(&b.key).then(a.node.cmp(&b.node));
    if near.len() > COMPARED {
        near.select_nth_unstable_by(COMPARED, order);
        near.truncate(COMPARED);
    }
    near.sort_unstable_by(order);
    near
}

#[cfg(test)]
mod tests {
    use super::{COMPARED, codes_lose, halves_lose, is_misplaced};
    use crate::hnsw::Grid;
    use crate::kmeans::tests::ellipsoid;
    use crate::metric::Metric;
    use crate::rng::Rng;

    #[test]
    fn the_nearest_must_come_early() {
        let sorted: Vec<f32> = (0..64).map(|i| i as f32).collect();
        assert!(!is_misplaced(&sorted));
        let mut swapped = sorted.clone();
        swapped.swap(3, 60);
        assert!(!is_misplaced(&swapped));
        swapped.swap(4, 61);
        assert!(is_misplaced(&swapped));
        let reversed: Vec<f32> = sorted.iter().rev().copied().collect();
        assert!(is_misplaced(&reversed) && is_misplaced(&reversed[..8]));
        assert!(!is_misplaced(&[]) && !is_misplaced(&[2.0, 1.0, 0.0]));
        assert!(!is_misplaced(&[7.0; 64]));
        // What comes after the compared does not count.
        let longer: Vec<f32> = sorted.iter().copied().chain([-1.0; 30]).collect();
        assert_eq!(longer.len(), COMPARED + 30);
        assert!(!is_misplaced(&longer));
    }

    /// Every tenth row is so small that 16 bits have nothing of it, and the sample takes every eighth row to look at.
    #[test]
    fn a_kind_of_rows_that_comes_again_and_again_is_seen() {
        let mut rows = ellipsoid(1000, 7);
        let small = rows.chunks_mut(32).skip(7).step_by(10).flatten();
        small.for_each(|x| *x *= 1e-12);
        assert!(halves_lose(Metric::InnerProduct, 32, &rows));
    }

    #[test]
    fn codes_lose_where_8_bits_do() {
        let dims = 32;
        let lose = |rows: &[f32]| {
            [Metric::L2, Metric::L1].map(|metric| {
                let grid = Grid::train(metric, dims, rows);
                (codes_lose(&grid, rows), halves_lose(metric, dims, rows))
            })
        };
        let fine = ellipsoid(2000, 7);
        assert_eq!(lose(&fine), [(false, false); 2]);
        // Too large for 16 bits, and too small.
        for scale in [1e16, 1e-15] {
            let rows: Vec<f32> = fine.iter().map(|x| x * scale).collect();
            assert_eq!(lose(&rows), [(false, true); 2], "{scale}");
        }
        // Close together and far from the centre.
        let mut rng = Rng::new(8);
        let topics: Vec<f32> = (0..2000 * dims)
            .map(|i| (i / dims / 200 * 7 % 11) as f32 + 1e-3 * rng.unit())
            .collect();
        assert_eq!(lose(&topics), [(true, true); 2]);
        // One dimension in another unit.
        let mut wide = fine.clone();
        wide.iter_mut().step_by(dims).for_each(|x| *x *= 3000.0);
        assert_eq!(lose(&wide), [(true, false); 2]);
        // Two rows of another magnitude make no other row coarser.
        let mut far = fine;
        far[..2 * dims].iter_mut().for_each(|x| *x *= 1e6);
        assert_eq!(lose(&far).map(|codes| codes.0), [false; 2]);
        assert_eq!(lose(&[]), [(false, false); 2]);
    }
}
