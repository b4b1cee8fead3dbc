//! The middle of rows, and the few that lie far outside: what must not decide about the others.

use crate::kernels::l2_sqr;
use crate::rng::spread;

/// Rows that a middle is taken of at most, from all over.
const LOOKED_AT: u32 = 255;
/// A row is an outlier beyond this multiple of the distance from the middle that half of all rows are within.
const FAR: f32 = 10.0;
/// What a squared distance counts at most in a mean of them, in medians: with heavy tails the means of two samples of a table
/// would else be far apart.
const BOUND: f64 = 16.0;
/// More than one row in this many are no outliers but a kind of their own.
pub const FEW: usize = 50;
/// More than one in this many are not to be left out where they are what is looked for: under inner product the longest.
pub const FEW_LONGEST: usize = 1000;

/// The median of some numbers, None of nothing; NaN goes last.
pub fn of_numbers(numbers: &mut [f32]) -> Option<f32> {
    let half = numbers.len() / 2;
    let (_, median, _) = (half < numbers.len())
        .then(|| numbers.select_nth_unstable_by(half, |a, b| a.total_cmp(b)))?;
    Some(*median)
}

/// At most 255 rows from all over.
pub fn some(rows: &[f32], dims: usize) -> impl Iterator<Item = &[f32]> {
    let dims = dims.max(1);
    let n = u32::try_from(rows.len() / dims).unwrap_or(u32::MAX);
    spread(n, LOOKED_AT)
        .filter_map(move |row| rows.get(row as usize * dims..(row as usize + 1) * dims))
}

/// The median of every component, of some rows from all over. Zeros without rows.
pub fn median(rows: &[f32], dims: usize) -> Vec<f32> {
    let mut column = Vec::with_capacity(LOOKED_AT as usize);
    let one = |i: usize| {
        column.clear();
        column.extend(some(rows, dims).filter_map(|row| row.get(i)));
        of_numbers(&mut column).unwrap_or_default()
    };
    (0..dims).map(one).collect()
}

/// The rows without outliers; None where there are none, or where more than one row in `few` lies far: a kind of its own.
pub fn without_outliers(rows: &[f32], dims: usize, few: usize) -> Option<Vec<f32>> {
    let dims = dims.max(1);
    let middle = median(rows, dims);
    let distances: Vec<f32> = rows.chunks_exact(dims).map(|row| l2_sqr(row, &middle)).collect();
    let limit = FAR * FAR * of_numbers(&mut distances.clone())?;
    let is_far = |distance: &f32| *distance > limit;
    let n_far = distances.iter().filter(|distance| is_far(distance)).count();
    // Where half of the rows are the same, what differs from them is what there is to tell apart.
    if n_far == 0 || n_far * few > distances.len() || limit == 0.0 {
        return None;
    }
    let kept = rows.chunks_exact(dims).zip(&distances).filter(|(_, distance)| !is_far(distance));
    Some(kept.flat_map(|(row, _)| row).copied().collect())
}

/// The mean of squared distances in the making, to which outliers add no more than others that are far: they are added up by
/// their magnitude.
#[derive(Clone, Debug, Default)]
pub struct Mean {
    /// How many and how much for each power of two, from the least; empty before the first.
    powers: Vec<(u64, f64)>,
}

impl Mean {
    /// Takes in a squared distance; what is none counts as 0.
    pub fn add(&mut self, squared: f32) {
        const POWERS: usize = 256;
        self.powers.resize(POWERS, (0, 0.0));
        let squared = if squared > 0.0 { squared } else { 0.0 };
        if let Some((n, sum)) = self.powers.get_mut(squared.to_bits() as usize >> 23) {
            *n += 1;
            *sum += f64::from(squared);
        }
    }

    /// Takes in what another took in.
    pub fn merge(&mut self, other: &Self) {
        self.powers.resize(self.powers.len().max(other.powers.len()), (0, 0.0));
        for (own, other) in self.powers.iter_mut().zip(&other.powers) {
            *own = (own.0 + other.0, own.1 + other.1);
        }
    }

    /// How many were taken in.
    pub fn n(&self) -> u64 {
        self.powers.iter().map(|(n, _)| n).sum()
    }

    /// None of nothing. None counts as more than [`BOUND`] medians; where most are nothing there is no such measure, and
    /// all count as they are.
    pub fn value(&self) -> Option<f64> {
        let n = self.n();
        let mut below = 0;
        let (power, here) = self.powers.iter().enumerate().find_map(|(power, (here, _))| {
            below += here;
            (2 * below > n).then_some((power, *here))
        })?;
        let rank = n as f64 / 2.0 - (below - here) as f64;
        let median = f64::from(f32::from_bits((power as u32) << 23)) * (1.0 + rank / here as f64);
        let most = if power == 0 { f64::INFINITY } else { BOUND * median };
        let sums = self.powers.iter().filter(|(n, _)| *n > 0);
        Some(sums.map(|(n, sum)| sum.min(*n as f64 * most)).sum::<f64>() / n as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::{FEW, Mean, median, of_numbers, without_outliers};
    use crate::rng::Rng;

    fn cloud(n: usize) -> Vec<f32> {
        let mut rng = Rng::new(1);
        (0..3 * n).map(|i| rng.normal() + (i % 3) as f32).collect()
    }

    #[test]
    fn a_far_row_does_not_move_the_median() {
        let mut rows = cloud(2000);
        let before = median(&rows, 3);
        assert!(before.iter().zip([0.0, 1.0, 2.0]).all(|(x, y)| (x - y).abs() < 0.5));
        rows[..3].fill(1e30);
        let after = median(&rows, 3);
        assert!(after.iter().zip(before).all(|(x, y)| (x - y).abs() < 0.1));
        assert_eq!((median(&[], 2), of_numbers(&mut [])), (vec![0.0; 2], None));
        assert_eq!(of_numbers(&mut [3.0, f32::NAN, 1.0, f32::INFINITY]), Some(f32::INFINITY));
    }

    #[test]
    fn a_mean_bounds_what_is_far() {
        let mut mean = Mean::default();
        assert_eq!((mean.value(), mean.n()), (None, 0));
        (0..98).for_each(|_| mean.add(1.5));
        assert_eq!(mean.value(), Some(1.5));
        let mut far = Mean::default();
        (0..2).for_each(|_| far.add(f32::INFINITY));
        mean.merge(&far);
        let with_far = mean.value().unwrap();
        assert!((1.5..3.0).contains(&with_far) && mean.n() == 100, "{with_far}");
        let mut mostly_nothing = Mean::default();
        (0..99).for_each(|_| mostly_nothing.add(0.0));
        mostly_nothing.add(1.0);
        assert_eq!(mostly_nothing.value(), Some(0.01));
    }

    #[test]
    fn means_of_heavy_tails_agree() {
        let mut rng = Rng::new(3);
        let mut mean = |n: usize| {
            let mut mean = Mean::default();
            (0..n).for_each(|_| mean.add((1.0 / (1.0 - rng.unit() * 0.999_999)).powi(2)));
            mean.value().unwrap()
        };
        let whole = mean(100_000);
        for n in [1000, 2000] {
            let ratios = (0..50).map(|_| mean(n) / whole);
            let ratios: Vec<f64> = ratios.collect();
            assert!(ratios.iter().all(|ratio| (0.75..1.25).contains(ratio)), "{ratios:?}");
        }
    }

    #[test]
    fn few_far_rows_are_outliers_and_many_are_not() {
        let rows = cloud(1000);
        assert_eq!(without_outliers(&rows, 3, FEW), None);
        let mut with = rows.clone();
        with.extend([100.0; 3 * 20]);
        assert_eq!(without_outliers(&with, 3, FEW).unwrap(), rows);
        with.extend([100.0; 3 * 20]);
        assert_eq!(without_outliers(&with, 3, FEW), None);
        let mut equal = vec![1.0; 3 * 1000];
        equal.extend([2.0; 3]);
        assert_eq!((without_outliers(&equal, 3, FEW), without_outliers(&[], 3, FEW)), (None, None));
    }
}
