//! A measured recall, and how sure it is.

/// 95 % of a normal distribution lie within this many standard deviations.
pub const SIGMAS_95: f64 = 1.959_964;
/// Beyond this many, one query more or less changes no decision.
const SIGMAS_DECIDED: f64 = 3.3;
/// Fewer queries than this decide nothing.
const QUERIES_TO_DECIDE: u64 = 100;
/// A recall this close to the target is measured to the end: the choice is made among such.
const CLOSE: f64 = 0.01;

/// Queries counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    queries: u64,
    wanted: f64,
    found: f64,
    /// Sum of squares of each query's own recall.
    squares: f64,
    /// Sum of each query's own recall.
    recalls: f64,
}

impl Tally {
    /// Counts a query that found `found` of `wanted` rows; one that has nothing to find does not count.
    pub fn add(&mut self, found: usize, wanted: usize) {
        if wanted == 0 {
            return;
        }
        let (found, wanted) = (found.min(wanted) as f64, wanted as f64);
        self.queries += 1;
        self.found += found;
        self.wanted += wanted;
        self.recalls += found / wanted;
        self.squares += (found / wanted).powi(2);
    }

    /// How many queries counted.
    pub fn queries(&self) -> u64 {
        self.queries
    }

    /// The part of the wanted rows that was found; None before the first query.
    pub fn recall(&self) -> Option<f64> {
        (self.queries > 0).then(|| self.found / self.wanted)
    }

    /// Wilson's score interval (1927) for the recall over all queries like these, `sigmas` standard deviations wide.
    ///
    /// The rows of one query are found or missed together more often than rows of different queries, so they count
    /// as fewer: as many independent ones as have the variance that the queries show (Kish's design effect, 1965).
    pub fn interval(&self, sigmas: f64) -> Option<(f64, f64)> {
        let p = self.recall()?;
        let n = self.independent(p);
        let z2 = sigmas * sigmas / n;
        let middle = (p + z2 / 2.0) / (1.0 + z2);
        let half = sigmas / (1.0 + z2) * (p * (1.0 - p) / n + z2 / (4.0 * n)).sqrt();
        Some(((middle - half).clamp(0.0, p), (middle + half).clamp(p, 1.0)))
    }

    /// How many independent rows the counted ones are worth: at least one for each query, at most all.
    fn independent(&self, p: f64) -> f64 {
        let n = self.queries as f64;
        let per_query = self.wanted / n;
        let mean = self.recalls / n;
        let variance = (self.squares - n * mean * mean).max(0.0) / (n - 1.0).max(1.0);
        let of_independent = p * (1.0 - p) / per_query;
        let effect = if of_independent > 0.0 && self.queries > 1 {
            variance / of_independent
        } else {
            per_query
        };
        self.wanted / effect.clamp(1.0, per_query.max(1.0))
    }

    /// Whether more queries would only confirm on which side of `target` the recall lies, and that it is not close.
    pub fn is_decided(&self, target: f64) -> bool {
        self.queries >= QUERIES_TO_DECIDE
            && self
                .interval(SIGMAS_DECIDED)
                .is_some_and(|(low, high)| high < target - CLOSE || low > target + CLOSE)
    }
}

#[cfg(test)]
mod tests {
    use super::{SIGMAS_95, Tally};
    use crate::rng::Rng;

    fn tally(queries: &[(usize, usize)]) -> Tally {
        let mut tally = Tally::default();
        queries.iter().for_each(|&(found, wanted)| tally.add(found, wanted));
        tally
    }

    #[test]
    fn the_interval_is_wilsons_where_rows_are_independent() {
        // One row a query: 8 of 10 found. Wilson, 95 %: 0.4902 to 0.9433.
        let (low, high) =
            tally(&[[(1, 1); 8].as_slice(), &[(0, 1); 2]].concat()).interval(SIGMAS_95).unwrap();
        assert!((low - 0.4902).abs() < 1e-4 && (high - 0.9433).abs() < 1e-4, "{low} {high}");
    }

    #[test]
    fn rows_that_fall_together_count_as_one() {
        let together = tally(&[[(10, 10); 90].as_slice(), &[(0, 10); 10]].concat());
        let apart = tally(&[(9, 10); 100]);
        let width = |tally: Tally| tally.interval(SIGMAS_95).map(|(low, high)| high - low).unwrap();
        assert!((together.recall().unwrap() - apart.recall().unwrap()).abs() < 1e-12);
        assert!(width(together) > 2.9 * width(apart), "{} {}", width(together), width(apart));
    }

    #[test]
    fn all_or_nothing_is_not_certain() {
        let (low, high) = tally(&[(10, 10); 50]).interval(SIGMAS_95).unwrap();
        assert!(low < 0.94 && high == 1.0, "{low} {high}");
        let (low, high) = tally(&[(0, 10); 50]).interval(SIGMAS_95).unwrap();
        assert!(low == 0.0 && high > 0.06, "{low} {high}");
        assert_eq!(tally(&[(0, 0)]).interval(SIGMAS_95), None);
        assert_eq!((tally(&[]).recall(), tally(&[(0, 0)]).queries()), (None, 0));
    }

    #[test]
    fn the_interval_holds_the_truth_as_often_as_it_says() {
        let mut rng = Rng::new(11);
        let mut held = 0;
        for _ in 0..1000 {
            let mut tally = Tally::default();
            for _ in 0..200 {
                // Queries differ: each row of an easy one is found with probability 1, of a hard one with 0.8.
                let easy = rng.below(2) == 0;
                let found = (0..10).filter(|_| easy || rng.below(10) < 8).count();
                tally.add(found, 10);
            }
            let (low, high) = tally.interval(SIGMAS_95).unwrap();
            held += u32::from(low <= 0.9 && 0.9 <= high);
        }
        assert!((930..=970).contains(&held), "{held}");
    }

    #[test]
    fn what_is_far_from_the_target_is_soon_decided() {
        assert!(!tally(&[(1, 10); 99]).is_decided(0.9), "too few");
        assert!(tally(&[(1, 10); 100]).is_decided(0.9));
        assert!(!tally(&[(9, 10); 100]).is_decided(0.9), "on the target");
        assert!(!tally(&[[(10, 10); 90].as_slice(), &[(4, 10); 60]].concat()).is_decided(0.8));
    }
}
