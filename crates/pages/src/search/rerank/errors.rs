//! How far codes are off for one query, and how many near rows that may have cost.
//!
//! Candidates have their estimates and their real keys. A line through these (least squares) and what they scatter around it
//! say how likely a candidate with a worse estimate is among the nearest all the same. With the density of candidates at the
//! worst estimate that was looked at, that gives the number of near rows expected behind it.

/// Fewer candidates than this say nothing.
const CANDIDATES_MIN: usize = 12;

/// Estimates and real keys of the candidates of one query.
#[derive(Default)]
pub struct Errors {
    pairs: Vec<(f64, f64)>,
    keys: Vec<f64>,
}

impl Errors {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.pairs.clear();
    }

    /// A candidate with its estimate and its real key.
    pub fn push(&mut self, estimate: f64, key: f64) {
        if estimate.is_finite() && key.is_finite() {
            self.pairs.push((estimate, key));
        }
    }

    /// How many of the `rows` nearest are expected among candidates with worse estimates than those here.
    pub fn expected_misses(&mut self, rows: usize) -> f64 {
        let n = self.pairs.len();
        if n < CANDIDATES_MIN.max(rows) || rows == 0 {
            return 0.0;
        }
        self.keys.clear();
        self.keys.extend(self.pairs.iter().map(|(_, key)| *key));
        let (_, last_wanted, _) = self.keys.select_nth_unstable_by(rows - 1, f64::total_cmp);
        let last_wanted = *last_wanted;
        let Some(line) = Line::through(&self.pairs) else { return 0.0 };
        self.pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let worst = self.pairs.last().map_or(0.0, |(estimate, _)| *estimate);
        let near_worst = n - n * 3 / 4;
        let from = self.pairs.get(n * 3 / 4).map_or(worst, |(estimate, _)| *estimate);
        let density = near_worst as f64 / (worst - from).max(f64::MIN_POSITIVE);
        let z = (line.at(worst) - last_wanted) / line.scatter;
        let misses = density * line.scatter / line.slope * normal_loss(z);
        if misses.is_finite() { misses } else { 0.0 }
    }
}

/// A regression line.
struct Line {
    slope: f64,
    intercept: f64,
    /// Standard deviation of the keys around it.
    scatter: f64,
}

impl Line {
    /// None where there is no scatter, or estimates say nothing of the keys.
    fn through(pairs: &[(f64, f64)]) -> Option<Self> {
        let n = pairs.len() as f64;
        let mean = |of: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / n;
        let (x, y) = (mean(&|pair| pair.0), mean(&|pair| pair.1));
        let xx = mean(&|pair| (pair.0 - x) * (pair.0 - x));
        let xy = mean(&|pair| (pair.0 - x) * (pair.1 - y));
        let slope = xy / xx;
        let intercept = y - slope * x;
        let off = mean(&|pair| (pair.1 - intercept - slope * pair.0).powi(2));
        let scatter = (off * n / (n - 2.0)).sqrt();
        let is_usable = slope > 0.0 && scatter > 0.0 && scatter.is_finite();
        is_usable.then_some(Self { slope, intercept, scatter })
    }

    fn at(&self, estimate: f64) -> f64 {
        self.intercept + self.slope * estimate
    }
}

/// The expected amount by which a standard normal variable exceeds z, 0 if it does not.
fn normal_loss(z: f64) -> f64 {
    let density = (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt();
    (density - z * upper_tail(z)).max(0.0)
}

/// The probability that a standard normal variable exceeds z, to 1e-7 (Abramowitz and Stegun 26.2.17).
fn upper_tail(z: f64) -> f64 {
    const COEFFICIENTS: [f64; 5] =
        [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let sum = COEFFICIENTS.iter().rev().fold(0.0, |sum, c| (sum + c) * t);
    let tail = (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt() * sum;
    if z < 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use ann::rng::Rng;

    use super::{Errors, normal_loss, upper_tail};

    #[test]
    fn the_normal_distribution() {
        for (z, tail) in [(0.0, 0.5), (1.0, 0.158_655_25), (-1.0, 0.841_344_75), (3.0, 0.001_349_9)]
        {
            assert!((upper_tail(z) - tail).abs() < 1e-6, "{z}");
        }
        assert!((normal_loss(0.0) - 0.398_942_28).abs() < 1e-6);
        assert!((normal_loss(-5.0) - 5.0).abs() < 1e-4 && normal_loss(6.0) < 1e-9);
    }

    /// Rows at equal steps, estimates that scatter by `scatter` steps: the near rows beyond the n best estimates, as expected and
    /// as they are.
    fn misses(scatter: f64, n: usize, seed: u64) -> (f64, f64) {
        let mut rng = Rng::new(seed);
        let estimate = |key: f64| key + scatter * f64::from(rng.normal());
        let keys: Vec<f64> = (0..2000).map(f64::from).collect();
        let mut rows: Vec<(f64, f64)> =
            keys.into_iter().map(estimate).zip((0..2000).map(f64::from)).collect();
        rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut errors = Errors::default();
        rows.iter().take(n).for_each(|(estimate, key)| errors.push(*estimate, *key));
        let missed = rows.iter().skip(n).filter(|(_, key)| *key < 10.0).count();
        (errors.expected_misses(10), missed as f64)
    }

    #[test]
    fn many_misses_are_expected_where_there_are_many() {
        let means = |scatter, n| {
            let all: Vec<(f64, f64)> = (0..200).map(|seed| misses(scatter, n, seed)).collect();
            let mean = |of: &dyn Fn(&(f64, f64)) -> f64| all.iter().map(of).sum::<f64>() / 200.0;
            (mean(&|one| one.0), mean(&|one| one.1))
        };
        for (scatter, n) in [(1.0, 20), (4.0, 40), (10.0, 80)] {
            let (expected, missed) = means(scatter, n);
            assert!(expected < 0.5 && missed < 0.1, "{scatter} {n}: {expected}, {missed}");
        }
        for (scatter, n) in [(20.0, 20), (30.0, 15), (100.0, 40)] {
            let (expected, missed) = means(scatter, n);
            assert!(expected > 1.0 && missed > 1.0, "{scatter} {n}: {expected}, {missed}");
        }
    }

    #[test]
    fn nothing_is_expected_where_nothing_is_known() {
        let mut errors = Errors::default();
        assert_eq!(errors.expected_misses(10), 0.0);
        (0..30).for_each(|i| errors.push(f64::from(i), f64::from(i)));
        assert_eq!(errors.expected_misses(10), 0.0, "codes that are exact");
        assert_eq!(errors.expected_misses(40), 0.0, "fewer candidates than rows");
        errors.clear();
        (0..30).for_each(|_| errors.push(1.0, 2.0));
        assert_eq!(errors.expected_misses(10), 0.0, "all alike");
        errors.push(f64::NAN, 1.0);
        errors.push(1.0, f64::INFINITY);
        assert_eq!(errors.expected_misses(10), 0.0);
    }
}
