//! The Pareto frontier of a system's measured points, and what it says about a recall that was not
//! measured itself.

/// One measured operating point; a smaller cost is better (milliseconds, whether of CPU or of wall
/// time).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub recall: f64,
    pub cost: f64,
}

/// The cost of reaching a recall.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    /// Between two measured points, or on one.
    At(f64),
    /// Every measured point has more recall than asked: the cheapest one's cost is an upper bound.
    AtMost(f64),
    /// No measured point has that recall. Nothing is extrapolated.
    NotReached,
}

impl Reading {
    pub fn cost(self) -> Option<f64> {
        match self {
            Reading::At(cost) | Reading::AtMost(cost) => Some(cost),
            Reading::NotReached => None,
        }
    }
}

/// The points no other point beats in both recall and cost, in order of recall (and so of cost).
pub fn pareto(points: &[Point]) -> Vec<Point> {
    let mut sorted: Vec<Point> =
        points.iter().copied().filter(|p| p.recall.is_finite() && p.cost > 0.0).collect();
    sorted.sort_by(|a, b| b.recall.total_cmp(&a.recall).then(a.cost.total_cmp(&b.cost)));
    let mut front: Vec<Point> = Vec::new();
    for p in sorted {
        if front.last().is_none_or(|last| p.cost < last.cost) {
            front.push(p);
        }
    }
    front.reverse();
    front
}

/// Reads the cost at `target` recall off a frontier: the logarithm of the cost is taken as linear
/// between neighbouring points.
pub fn read_off(front: &[Point], target: f64) -> Reading {
    let above = front.partition_point(|p| p.recall < target);
    let Some(right) = front.get(above) else { return Reading::NotReached };
    let Some(left) = above.checked_sub(1).and_then(|i| front.get(i)) else {
        return if right.recall == target {
            Reading::At(right.cost)
        } else {
            Reading::AtMost(right.cost)
        };
    };
    let share = (target - left.recall) / (right.recall - left.recall);
    Reading::At((left.cost.ln() + share * (right.cost.ln() - left.cost.ln())).exp())
}

/// The value below which a share `q` of the sorted values lies (nearest rank).
pub fn percentile(sorted: &[f64], q: f64) -> f64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
}

/// The median (mean of the middle two for an even count).
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(recall: f64, cost: f64) -> Point {
        Point { recall, cost }
    }

    #[test]
    fn dominated_points_leave_the_frontier() {
        let front = pareto(&[
            p(0.9, 2.0),
            p(0.8, 1.0),
            p(0.85, 3.0),
            p(0.9, 2.5),
            p(0.99, 8.0),
            p(0.7, 1.0),
        ]);
        assert_eq!(front, [p(0.8, 1.0), p(0.9, 2.0), p(0.99, 8.0)]);
        assert!(pareto(&[]).is_empty());
        assert!(pareto(&[p(f64::NAN, 1.0), p(0.5, 0.0)]).is_empty(), "unusable points");
    }

    #[test]
    fn reads_between_points_and_never_beyond() {
        let front = [p(0.8, 1.0), p(0.9, 4.0)];
        let Reading::At(cost) = read_off(&front, 0.85) else { panic!("must be between") };
        assert!((cost - 2.0).abs() < 1e-9, "geometric mean in the middle, got {cost}");
        assert_eq!(read_off(&front, 0.9), Reading::At(4.0));
        assert_eq!(read_off(&front, 0.8), Reading::At(1.0));
        assert_eq!(read_off(&front, 0.901), Reading::NotReached);
        assert_eq!(read_off(&front, 0.5), Reading::AtMost(1.0));
        assert_eq!(read_off(&[], 0.5), Reading::NotReached);
    }

    #[test]
    fn percentiles_are_nearest_rank() {
        let v: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(
            (percentile(&v, 0.5), percentile(&v, 0.95), percentile(&v, 1.0)),
            (50.0, 95.0, 100.0)
        );
        assert_eq!(percentile(&[3.0], 0.01), 3.0);
        assert!(percentile(&[], 0.5).is_nan());
        assert_eq!((median(vec![3.0, 1.0, 2.0]), median(vec![4.0, 1.0])), (2.0, 2.5));
        assert!(median(vec![]).is_nan());
    }
}
