//! When a scan ends whose query wants no row beyond a distance.
//!
//! Rows come in the order of distance, but a row that the scan has not reached yet may be nearer than one that came: recall is
//! what the user asked for, not all. So a scan does not end at the first row beyond the bound, but once as many have come from
//! beyond as from within, and some at least; and once it has searched as many lists as it would have for so many rows.

/// Rows from beyond the bound that a scan sees at least.
const BEYOND_MIN: u64 = 10;

/// A bound, and the rows that came so far.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// The largest distance that is wanted; None if there is none.
    most: Option<f64>,
    /// Whether nothing is beyond.
    is_any: bool,
    within: u64,
    beyond: u64,
}

impl Bound {
    /// The bound as a query says it.
    pub fn new(most: Option<f64>) -> Self {
        // To the server NaN is more than any number.
        let is_any = most.is_some_and(f64::is_nan);
        Self { most, is_any, within: 0, beyond: 0 }
    }

    /// Whether no row can be within.
    pub fn is_never(&self) -> bool {
        self.most.is_none()
    }

    /// Rows within the bound so far.
    pub fn within(&self) -> u64 {
        self.within
    }

    /// The scan looks further: what came from beyond does not count.
    pub fn look_further(&mut self) {
        self.beyond = 0;
    }

    /// Counts the next row; whether the scan has seen enough, so that this row and those behind it need not come.
    pub fn is_passed(&mut self, distance: f64) -> bool {
        if self.most.is_some_and(|most| distance <= most) {
            self.within += 1;
            return false;
        }
        self.beyond += 1;
        !self.is_any && self.beyond > self.within.max(BEYOND_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of some rows come before the bound is passed.
    fn rows(most: f64, distances: impl Iterator<Item = f64>) -> usize {
        let mut bound = Bound::new(Some(most));
        distances.take_while(|distance| !bound.is_passed(*distance)).count()
    }

    #[test]
    fn a_scan_sees_as_many_rows_beyond_as_within() {
        let distances = || (0..1000).map(f64::from);
        assert_eq!(rows(-1.0, distances()), 10);
        assert_eq!(rows(4.0, distances()), 5 + 10);
        assert_eq!(rows(99.0, distances()), 100 + 100);
        assert_eq!(rows(f64::INFINITY, distances()), 1000);
    }

    #[test]
    fn what_is_no_number_is_beyond_any() {
        let nothing = || std::iter::repeat_n(f64::NAN, 100);
        assert_eq!(rows(1.0, nothing()), 10);
        assert_eq!(rows(f64::NAN, nothing()), 100);
        assert!(Bound::new(None).is_never() && !Bound::new(Some(0.0)).is_never());
    }
}
