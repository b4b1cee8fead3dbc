//! The middle of rows, and the few that lie far outside: what must not decide about the others.

use crate::kernels::l2_sqr;

/// Rows that a middle is taken of at most, from all over.
const LOOKED_AT: usize = 255;
/// A row is an outlier beyond this multiple of the distance from the middle that half of all rows are within.
const FAR: f32 = 10.0;
/// More than one row in this many are no outliers but a kind of their own.
const FEW: usize = 50;

/// The median of some numbers, None of nothing; NaN goes last.
pub fn of_numbers(numbers: &mut [f32]) -> Option<f32> {
    let half = numbers.len() / 2;
    let (_, median, _) = (half < numbers.len())
        .then(|| numbers.select_nth_unstable_by(half, |a, b| a.total_cmp(b)))?;
    Some(*median)
}

/// At most 255 rows from all over.
pub fn some(rows: &[f32], dims: usize) -> impl Iterator<Item = &[f32]> {
    let every = (rows.len() / dims.max(1)).div_ceil(LOOKED_AT).max(1);
    rows.chunks_exact(dims.max(1)).step_by(every)
}

/// The median of every component, of some rows from all over. Zeros without rows.
pub fn median(rows: &[f32], dims: usize) -> Vec<f32> {
    let mut column = Vec::with_capacity(LOOKED_AT);
    let one = |i: usize| {
        column.clear();
        column.extend(some(rows, dims).filter_map(|row| row.get(i)));
        of_numbers(&mut column).unwrap_or_default()
    };
    (0..dims).map(one).collect()
}

/// The rows without outliers; None where there are none, or so many that they are no outliers.
pub fn without_outliers(rows: &[f32], dims: usize) -> Option<Vec<f32>> {
    let dims = dims.max(1);
    let middle = median(rows, dims);
    let distances: Vec<f32> = rows.chunks_exact(dims).map(|row| l2_sqr(row, &middle)).collect();
    let limit = FAR * FAR * of_numbers(&mut distances.clone())?;
    let is_far = |distance: &f32| *distance > limit;
    let n_far = distances.iter().filter(|distance| is_far(distance)).count();
    // Where half of the rows are the same, what differs from them is what there is to tell apart.
    if n_far == 0 || n_far * FEW > distances.len() || limit == 0.0 {
        return None;
    }
    let kept = rows.chunks_exact(dims).zip(&distances).filter(|(_, distance)| !is_far(distance));
    Some(kept.flat_map(|(row, _)| row).copied().collect())
}

/// The mean of squared distances in the making, without those of outliers: they are added up by their magnitude.
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

    /// None of nothing.
    pub fn value(&self) -> Option<f64> {
        let n = self.n();
        let mut below = 0;
        let middle = self.powers.iter().position(|(n_here, _)| {
            below += n_here;
            2 * below > n
        })?;
        // A hundred times as large a square, or a little more.
        let limit = (middle + 1 + (FAR * FAR).log2().ceil() as usize).min(self.powers.len());
        let (near, far) = self.powers.split_at(limit);
        let n_far: u64 = far.iter().map(|(n, _)| n).sum();
        let of = |powers: &[(u64, f64)]| -> (f64, f64) {
            powers.iter().fold((0.0, 0.0), |all, power| (all.0 + power.0 as f64, all.1 + power.1))
        };
        // Where most are nothing, the others are what there is.
        let are_few = n_far * FEW as u64 <= n && middle > 0;
        let (n, sum) = of(if are_few { near } else { &self.powers });
        Some(sum / n)
    }
}

#[cfg(test)]
mod tests {
    use super::{Mean, median, of_numbers, without_outliers};
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
    fn a_mean_passes_over_few_that_are_far() {
        let mut mean = Mean::default();
        assert_eq!((mean.value(), mean.n()), (None, 0));
        (0..98).for_each(|_| mean.add(1.5));
        assert_eq!(mean.value(), Some(1.5));
        let mut far = Mean::default();
        (0..2).for_each(|_| far.add(f32::INFINITY));
        mean.merge(&far);
        assert_eq!((mean.value(), mean.n()), (Some(1.5), 100));
        mean.add(1e6);
        assert!(mean.value().unwrap().is_infinite());
        let mut mostly_nothing = Mean::default();
        (0..99).for_each(|_| mostly_nothing.add(0.0));
        mostly_nothing.add(1.0);
        assert_eq!(mostly_nothing.value(), Some(0.01));
    }

    #[test]
    fn few_far_rows_are_outliers_and_many_are_not() {
        let rows = cloud(1000);
        assert_eq!(without_outliers(&rows, 3), None);
        let mut with = rows.clone();
        with.extend([100.0; 3 * 20]);
        assert_eq!(without_outliers(&with, 3).unwrap(), rows);
        with.extend([100.0; 3 * 20]);
        assert_eq!(without_outliers(&with, 3), None);
        let mut equal = vec![1.0; 3 * 1000];
        equal.extend([2.0; 3]);
        assert_eq!((without_outliers(&equal, 3), without_outliers(&[], 3)), (None, None));
    }
}
