//! Finding the cheapest search setting that reaches a recall, as FAISS's AutoTune does: measured operating points, and
//! bounds between them that spare most of the others.
//!
//! `tally.rs` a measured recall and how sure it is · `explore.rs` which settings are worth measuring · `curve.rs` what recall
//! costs on one index, as it keeps it · `reach.rs` how such a curve is measured · `pilot.rs` which code suits the rows ·
//! `probing.rs` how many lists each query probes.

pub mod curve;
mod explore;
pub mod pilot;
pub mod probing;
pub mod reach;
mod tally;

pub use curve::{Curve, Effort};
pub use explore::{Axis, explore};
pub use tally::{SIGMAS_95, Tally};

/// What a setting was measured to give.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// A value for each axis.
    pub values: Vec<u32>,
    /// The queries it was measured by.
    pub tally: Tally,
    /// Mean time of a query, in milliseconds.
    pub ms: f64,
}

impl Point {
    /// The measured recall; 0 if no query counted.
    pub fn recall(&self) -> f64 {
        self.tally.recall().unwrap_or(0.0)
    }
}

/// Which points are optimal, one flag each: no other has the same recall or a better one in less time, or a better one in
/// the same time. A point that finds nothing is none. Of points alike the first is.
pub fn optimal(points: &[Point]) -> Vec<bool> {
    let beats = |other: &Point, point: &Point, is_earlier: bool| {
        let (recall, ms) = (other.recall() - point.recall(), point.ms - other.ms);
        recall >= 0.0 && ms >= 0.0 && (recall > 0.0 || ms > 0.0 || is_earlier)
    };
    let is_optimal = |(i, point): (usize, &Point)| {
        let mut others = points.iter().enumerate().filter(|(j, _)| *j != i);
        point.recall() > 0.0 && !others.any(|(j, other)| beats(other, point, j < i))
    };
    points.iter().enumerate().map(is_optimal).collect()
}

/// The fastest point that reaches `target`. A setting that is lower in every value than another cannot be slower, whatever
/// was measured: so among those that reach it, only the lowest are compared by their times.
pub fn cheapest(points: &[Point], target: f64) -> Option<usize> {
    let reaches = |point: &&Point| point.recall() >= target;
    let is_lower = |a: &Point, b: &Point| {
        a.values != b.values && a.values.iter().zip(&b.values).all(|(a, b)| a <= b)
    };
    let is_lowest = |point: &Point| !points.iter().filter(reaches).any(|p| is_lower(p, point));
    let lowest = points.iter().enumerate().filter(|(_, point)| reaches(point) && is_lowest(point));
    lowest.min_by(|(_, a), (_, b)| a.ms.total_cmp(&b.ms)).map(|(i, _)| i)
}

#[cfg(test)]
mod tests {
    use super::{Point, Tally, cheapest, optimal};

    fn point(found: usize, ms: f64) -> Point {
        let mut tally = Tally::default();
        tally.add(found, 100);
        Point { values: Vec::new(), tally, ms }
    }

    #[test]
    fn more_recall_must_cost_more_time() {
        let points = [
            point(50, 1.0),
            point(60, 2.0),
            point(55, 3.0), // slower and worse
            point(60, 2.5), // slower, no better
            point(40, 1.0), // as fast, worse
            point(90, 9.0),
            point(90, 9.0), // the same again
            point(0, 0.1),  // finds nothing
        ];
        assert_eq!(optimal(&points), [true, true, false, false, false, true, false, false]);
        assert_eq!(cheapest(&points, 0.6), Some(1));
        assert_eq!(cheapest(&points, 0.61), Some(5));
        assert_eq!(cheapest(&points, 0.91), None);
        assert!(optimal(&[]).is_empty());
    }

    #[test]
    fn a_lower_setting_is_cheaper_however_slow_it_was() {
        let of = |values: &[u32], found, ms| Point { values: values.to_vec(), ..point(found, ms) };
        let points = [of(&[8, 4], 95, 3.0), of(&[16, 4], 97, 2.0), of(&[16, 2], 94, 2.5)];
        assert_eq!(cheapest(&points, 0.95), Some(0));
        assert_eq!(cheapest(&points, 0.94), Some(2), "neither is lower than the other");
        assert_eq!(cheapest(&points, 0.96), Some(1));
    }
}
