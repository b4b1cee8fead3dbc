//! What recall costs on one index: the search setting that reaches each of ten recalls, for 1, 10 and 100 rows.

/// The recalls of a curve.
pub const RECALLS: [f64; 10] = [0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999];
/// The rows asked for.
pub const ROWS: [u64; 3] = [1, 10, 100];
/// The recall that a search aims at where nobody says another.
pub const TARGET_DEFAULT: f64 = 0.95;
/// Smallest and largest target.
pub const TARGET_RANGE: (f64, f64) = (0.5, 0.999);

/// Of what a search may miss, the part that a setting chosen by a curve misses on rows of the table. Rows that ask for their neighbours lie where rows are dense, and trained what they are asked by; queries do not.
/// Measured in `tests/recall/target.rs`.
const MISSED_SHARE: f64 = 0.9;
/// The recall that the lists searched are worth: who says how many are searched has the candidates that find this part of what
/// they hold, if any number does.
const OF_LISTS: f64 = 0.99;
/// How much more effort a doubling of the rows since the measurement gets.
const GROWTH: f64 = 0.15;

/// How far a search goes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Effort {
    /// Lists searched, or nodes of a graph kept in sight; at least 1.
    pub width: u32,
    /// Candidates of a lossy code re-ranked for each row; 1 where there is none.
    pub k_factor: f32,
}

/// The efforts measured for one number of rows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Efforts {
    /// For each of [`RECALLS`]; those beyond `reached` are the most that was tried.
    pub efforts: [Effort; RECALLS.len()],
    /// How many of the recalls were reached.
    pub reached: u8,
}

/// A curve, as it is kept in an index.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Curve {
    /// Queries that it was measured by; 0: none was measured.
    pub queries: u32,
    /// For each of [`ROWS`].
    pub rows: [Efforts; ROWS.len()],
}

/// How large an index has become.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size {
    /// How many times as many rows there are as when the curve was measured.
    pub growth: f64,
    /// The rows, and the lists that hold them; 0: they are not in lists.
    pub rows: f64,
    pub lists: u32,
}

impl Size {
    /// The lists of a search for `rows` rows, on the line from those for a hundred rows to all lists for all rows.
    fn width(self, of_hundred: f64, rows: u64) -> f64 {
        let decades = (self.rows / 100.0).log10();
        let at = (rows as f64 / 100.0).log10() / decades;
        if self.lists == 0 || !(decades > 0.0 && at.is_finite()) {
            return 0.0;
        }
        let lists = f64::from(self.lists).max(of_hundred);
        between((of_hundred, 1.0), (lists, 1.0), at.min(1.0)).0
    }
}

/// The recall of a curve that a search for a target asks for.
pub fn asked(target: f64) -> f64 {
    let (low, high) = TARGET_RANGE;
    1.0 - (1.0 - target.clamp(low, high)) * MISSED_SHARE
}

impl Curve {
    /// Whether there is anything measured.
    pub fn is_measured(&self) -> bool {
        self.queries > 0
    }

    /// What a search for `rows` rows needs to reach a recall, see [`asked`]. `size`: of the index now. None if nothing was
    /// measured.
    pub fn effort(&self, asked: f64, rows: u64, size: Size) -> Option<Effort> {
        if !self.is_measured() {
            return None;
        }
        let [one, ten, hundred] = self.rows.map(|efforts| efforts.at(asked));
        let decades = (rows.max(1) as f64).log10();
        let (width, k_factor) = if decades <= 1.0 {
            between(one, ten, decades)
        } else {
            // Beyond a hundred rows the line goes on, or the one that leads to the search for all rows, if that is higher.
            let (width, k_factor) = between(ten, hundred, decades - 1.0);
            let width = if decades > 2.0 { width.max(size.width(hundred.0, rows)) } else { width };
            (width, if decades > 2.0 { hundred.1 } else { k_factor })
        };
        let grown = 1.0 + GROWTH * size.growth.max(1.0).log2();
        Some(Effort {
            width: whole(width * grown).min(f64::from(u32::MAX)) as u32,
            k_factor: (k_factor * grown).max(1.0) as f32,
        })
    }

    /// The candidates for each row of a search for `rows` rows that goes over lists of a given number. None if nothing was
    /// measured.
    pub fn k_factor_of_lists(&self, rows: u64, size: Size) -> Option<f32> {
        let last = self.rows.iter().map(Efforts::worth).fold(1.0, f64::min);
        self.effort(last, rows, size).map(|effort| effort.k_factor)
    }
}

impl Efforts {
    /// The highest recall that was reached, or as much of it as is worth having.
    fn worth(&self) -> f64 {
        let last = usize::from(self.reached).checked_sub(1);
        last.and_then(|last| RECALLS.get(last)).map_or(RECALLS[0], |recall| recall.min(OF_LISTS))
    }

    /// Width and k_factor for a recall, on the line between the two measured recalls around it: of the logarithm of the width
    /// over the logarithm of what is missed.
    fn at(&self, recall: f64) -> (f64, f64) {
        let after = RECALLS.iter().position(|known| *known >= recall).unwrap_or(RECALLS.len() - 1);
        let before = after.saturating_sub(1);
        let of = |at: usize| {
            let effort = self.efforts.get(at).copied().unwrap_or_default();
            (f64::from(effort.width.max(1)), f64::from(effort.k_factor.max(1.0)))
        };
        let missed = |at: usize| -(1.0 - RECALLS.get(at).copied().unwrap_or_default()).ln();
        let span = missed(after) - missed(before);
        if span <= 0.0 {
            return of(after);
        }
        between(of(before), of(after), (-(1.0 - recall).ln() - missed(before)) / span)
    }
}

/// On the line from `a` (at 0) to `b` (at 1), of logarithms.
fn between(a: (f64, f64), b: (f64, f64), at: f64) -> (f64, f64) {
    let line = |a: f64, b: f64| (a.ln() + (b.ln() - a.ln()) * at.max(0.0)).exp();
    (line(a.0, b.0), line(a.1, b.1))
}

/// The next whole number, but for what arithmetic adds to one.
fn whole(x: f64) -> f64 {
    (x - 1e-6).ceil().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::{Curve, Effort, Efforts, RECALLS, ROWS, Size, asked};

    /// A graph as it was measured.
    const SAME: Size = Size { growth: 1.0, rows: 1e6, lists: 0 };

    /// Widths that double from recall to recall, four times as many for ten times the rows.
    fn curve() -> Curve {
        let efforts = |times: u32| Efforts {
            efforts: std::array::from_fn(|i| Effort {
                width: times << i,
                k_factor: 1.0 + i as f32,
            }),
            reached: RECALLS.len() as u8,
        };
        Curve { queries: 100, rows: [efforts(1), efforts(4), efforts(16)] }
    }

    #[test]
    fn what_was_measured_is_what_is_asked_for() {
        for (rows, times) in ROWS.into_iter().zip([1u32, 4, 16]) {
            for (i, recall) in RECALLS.into_iter().enumerate().skip(1).take(8) {
                let effort = curve().effort(recall, rows, SAME).unwrap();
                let expected = Effort { width: times << i, k_factor: 1.0 + i as f32 };
                assert_eq!(effort, expected, "{recall} {rows}");
            }
        }
    }

    #[test]
    fn more_recall_more_rows_and_growth_take_more() {
        let size = |growth| Size { growth, ..SAME };
        let at = |target, rows, growth| curve().effort(target, rows, size(growth)).unwrap().width;
        let targets = [0.5, 0.6, 0.75, 0.9, 0.93, 0.95, 0.96, 0.99, 0.999];
        assert!(targets.is_sorted_by(|a, b| at(*a, 10, 1.0) <= at(*b, 10, 1.0)));
        let rows = [0, 1, 3, 10, 30, 100, 500, 10_000];
        assert!(rows.is_sorted_by(|a, b| at(0.95, *a, 1.0) <= at(0.95, *b, 1.0)));
        assert!(at(0.95, 1000, 1.0) >= 3 * at(0.95, 100, 1.0));
        assert!(at(0.95, 10, 16.0) > at(0.95, 10, 2.0) && at(0.95, 10, 2.0) > at(0.95, 10, 1.0));
        assert_eq!(at(0.95, 10, 0.1), at(0.95, 10, 1.0), "fewer rows need no less");
        // The candidates of each row do not grow for ever.
        let k_factor = |rows| curve().effort(0.95, rows, SAME).unwrap().k_factor;
        assert_eq!(k_factor(100), k_factor(1_000_000));
    }

    #[test]
    fn a_search_for_all_rows_goes_over_all_lists() {
        let size = Size { growth: 1.0, rows: 20_000.0, lists: 5000 };
        let width = |rows| curve().effort(0.5, rows, size).unwrap().width;
        assert_eq!((width(100), width(20_000), width(1_000_000)), (16, 5000, 5000));
        assert!(width(1000) > 100, "more than the line through 4 and 16");
        assert!([100, 200, 1000, 5000, 20_000].is_sorted_by(|a, b| width(*a) < width(*b)));
        let few = Size { rows: 50.0, ..size };
        assert_eq!(curve().effort(0.5, 1000, few).unwrap().width, 64);
    }

    #[test]
    fn queries_ask_for_a_little_more_than_rows() {
        assert!((asked(0.9) - 0.91).abs() < 1e-9);
        assert_eq!((asked(0.1), asked(1.0)), (asked(0.5), asked(0.999)));
    }

    #[test]
    fn given_lists_get_the_candidates_for_nearly_all_they_hold() {
        assert_eq!(curve().k_factor_of_lists(10, SAME), Some(8.0), "that of .99");
        let mut short = curve();
        short.rows[1].reached = 4;
        assert_eq!(short.k_factor_of_lists(10, SAME), Some(4.0), "that of .9, the most there is");
    }

    #[test]
    fn without_a_measurement_nothing_is_known() {
        assert_eq!(Curve::default().effort(0.95, 10, SAME), None);
        assert_eq!(Curve::default().k_factor_of_lists(10, SAME), None);
        let broken = Curve { queries: 1, ..Curve::default() };
        assert_eq!(broken.effort(0.95, 10, SAME), Some(Effort { width: 1, k_factor: 1.0 }));
    }
}
