//! Which settings are worth measuring.
//!
//! More of any setting finds no fewer rows and takes no less time. So the first axis (how much is searched) is climbed from
//! its cheapest value by doubling until the target is reached, and the last doubling is halved until the choice is tight: the
//! dearest settings, which FAISS measures second, are measured only where nothing cheaper reaches the target. The second axis
//! (how many candidates get real distances) is moved from its usual value as long as that saves time: with more candidates
//! no more of the first axis is needed, with fewer no less, and a setting that misses the target in more time than the best
//! one takes ends its row.

use super::Point;

/// A search setting and the values to try, ascending and not empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Steps of the climb; between two of them every number may be tried on the first axis.
    pub ladder: Vec<u32>,
    /// Which step is the usual value.
    pub start: usize,
}

/// Halving ends when the value that reaches the target is so little above one that does not.
const TIGHT: f64 = 1.04;
/// It also ends when the recall is so little above the target.
const CLOSE: f64 = 0.002;
/// A doubling that closes less than this part of the gap to the target will not get there …
const STALLED: f64 = 0.15;
/// … unless it still gains so much: recall grows slowly at first, too.
const STALLED_AT: f64 = 0.02;
/// How far below the best known value of the first axis a row with more candidates is begun.
const BELOW: u32 = 4;

/// Measures settings of one or two axes until the cheapest that reaches `target` is known, or that none does. No axis: the
/// one way to search is measured. Returns what was measured, in that order.
pub fn explore(axes: &[Axis], target: f64, measure: impl FnMut(&[u32]) -> Point) -> Vec<Point> {
    let mut explorer = Explorer { target, measure, points: Vec::new() };
    match axes {
        [] => {
            explorer.at(&[]);
        }
        [main] => {
            explorer.row(Row { steps: &main.ladder, second: None, is_last: true });
        }
        [main, second, ..] => explorer.rows(main, second),
    }
    explorer.points
}

/// The settings that share a value of the second axis.
struct Row<'a> {
    /// Values of the first axis to climb by.
    steps: &'a [u32],
    second: Option<u32>,
    /// Nothing that follows could do what this row does not.
    is_last: bool,
}

/// How a row came out.
#[derive(Clone, Copy, PartialEq, Debug)]
enum End {
    /// It reaches the target, as cheaply as it can.
    Reached,
    /// It was not dear enough for the target, but too dear to beat the best row.
    Dearer,
    /// It misses the target, at this value of the first axis.
    Missed(u32),
}

struct Explorer<F> {
    target: f64,
    measure: F,
    points: Vec<Point>,
}

impl<F: FnMut(&[u32]) -> Point> Explorer<F> {
    /// The point of these values, measured once.
    fn at(&mut self, values: &[u32]) -> Point {
        if let Some(known) = self.points.iter().find(|point| point.values == values) {
            return known.clone();
        }
        let point = (self.measure)(values);
        self.points.push(point.clone());
        point
    }

    fn best(&self) -> Option<&Point> {
        super::cheapest(&self.points, self.target).and_then(|i| self.points.get(i))
    }

    /// Rows of two axes: up from the usual one until one reaches the target and while that saves time, then down.
    fn rows(&mut self, main: &Axis, second: &Axis) {
        let most = main.ladder.last().copied().unwrap_or(1);
        let mut steps = main.ladder.clone();
        let mut best_ms = f64::INFINITY;
        for (number, &value) in second.ladder.iter().enumerate().skip(second.start) {
            let is_last = number + 1 == second.ladder.len();
            let end = self.row(Row { steps: &steps, second: Some(value), is_last });
            let Some(best) = self.best() else {
                let End::Missed(at) = end else { return };
                steps = between(&main.ladder, at / BELOW, most);
                continue;
            };
            if best.ms >= best_ms {
                break;
            }
            best_ms = best.ms;
            let at = best.values.first().copied().unwrap_or(most);
            steps = between(&main.ladder, at / BELOW, at);
        }
        let reaching = self.best().and_then(|best| best.values.get(1).copied()).unwrap_or(0);
        for &value in second.ladder.iter().rev().filter(|&&value| value < reaching) {
            let reaches = |point: &Point| point.recall() >= self.target;
            if self.points.iter().any(|p| p.values.get(1) == Some(&value) && reaches(p)) {
                return;
            }
            let Some(best) = self.best() else { return };
            let (at, ms) = (best.values.first().copied().unwrap_or(most), best.ms);
            let steps = between(&main.ladder, at, most);
            self.row(Row { steps: &steps, second: Some(value), is_last: false });
            if self.best().is_some_and(|best| best.ms >= ms) {
                return;
            }
        }
    }

    /// Climbs a row until it reaches the target, then halves the last step.
    fn row(&mut self, row: Row<'_>) -> End {
        // A point that misses the target in more time than the best of the other rows ends the row.
        let limit = self.best().map_or(f64::INFINITY, |best| best.ms);
        let values = |value: u32| std::iter::once(value).chain(row.second).collect::<Vec<u32>>();
        let mut missed: Option<(u32, f64)> = None;
        let mut reached = None;
        for &value in row.steps {
            let point = self.at(&values(value));
            let gap = self.target - point.recall();
            if gap <= 0.0 {
                reached = Some((value, gap));
                break;
            }
            if point.ms >= limit {
                return End::Dearer;
            }
            if missed.is_some_and(|(_, before)| is_stalled(before - gap, gap)) && !row.is_last {
                return End::Missed(value);
            }
            missed = Some((value, gap));
        }
        let (mut low, _) = missed.unwrap_or((0, 0.0));
        let Some((mut high, mut gap)) = reached else { return End::Missed(low) };
        while -gap > CLOSE && high - low > 1 && f64::from(high) > f64::from(low) * TIGHT {
            let middle = (f64::from(low.max(1)) * f64::from(high)).sqrt() as u32;
            let middle = middle.clamp(low + 1, high - 1);
            let point = self.at(&values(middle));
            let of_middle = self.target - point.recall();
            if of_middle <= 0.0 {
                (high, gap) = (middle, of_middle);
            } else if point.ms >= limit {
                return End::Dearer;
            } else {
                low = middle;
            }
        }
        End::Reached
    }
}

/// Whether a doubling gained so little that more of them will not close the gap.
fn is_stalled(gain: f64, gap: f64) -> bool {
    gain < (gap * STALLED).min(STALLED_AT)
}

/// The steps of a ladder from `least` to `most`, both included.
fn between(ladder: &[u32], least: u32, most: u32) -> Vec<u32> {
    let first = ladder.first().copied().unwrap_or(1);
    let least = least.max(first);
    let inner = ladder.iter().copied().filter(|&step| least < step && step < most);
    let mut steps: Vec<u32> = std::iter::once(least).chain(inner).chain([most]).collect();
    steps.dedup();
    steps
}

#[cfg(test)]
mod tests;
