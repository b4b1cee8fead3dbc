//! When the recall curve of a graph should be measured again: pure arithmetic over the rows of the last time and of now.

use std::fmt;

use crate::hnsw::meta::Measured;

/// Fewer rows than this are not measured: a search of the usual width sees most of them.
pub const ROWS_MIN: u64 = 1000;
/// Rows per row of the last time from which on it is measured again; and its inverse.
pub const GROWTH_MAX: f64 = 2.0;
/// The share of rows that came since from which on it is measured again.
pub const YOUNG_MAX: f64 = 0.5;

/// Why the curve should be measured again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Due {
    /// It never was.
    Unmeasured,
    /// The table has grown or shrunk.
    Size {
        /// Rows now per row of the last time.
        growth: f64,
    },
    /// There are as many rows, but others.
    Replaced {
        /// The share of those that came since.
        young: f64,
    },
}

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmeasured => write!(f, "Its recall curve had not been measured."),
            Self::Size { growth } => write!(
                f,
                "It has {growth:.2} times the rows that its recall curve was measured on."
            ),
            Self::Replaced { young } => {
                write!(f, "{:.0} % of its rows are newer than its recall curve.", 100.0 * young)
            }
        }
    }
}

/// Whether a graph of `rows` rows should be measured. `young`: the share of its rows that are younger than the last
/// measurement, if that is known; it is asked for only where the number of rows does not decide.
pub fn due(measured: &Measured, rows: u64, young: impl FnOnce() -> Option<f64>) -> Option<Due> {
    if rows < ROWS_MIN {
        return None;
    }
    if !measured.curve.is_measured() || measured.rows == 0 {
        return Some(Due::Unmeasured);
    }
    let growth = rows as f64 / measured.rows as f64;
    if growth >= GROWTH_MAX || growth <= 1.0 / GROWTH_MAX {
        return Some(Due::Size { growth });
    }
    let young = young().filter(|young| *young >= YOUNG_MAX)?;
    Some(Due::Replaced { young })
}

#[cfg(test)]
mod tests {
    use ann::tuning::Curve;

    use super::{Due, due};
    use crate::hnsw::meta::Measured;

    #[test]
    fn other_rows_are_measured_again() {
        let curve = Curve { queries: 9, ..Curve::default() };
        let measured = Measured { curve, times: 1, rows: 5000, xid: 7 };
        let none = || None;
        assert_eq!(due(&measured, 5000, none), None);
        assert_eq!(due(&measured, 9999, none), None);
        assert_eq!(due(&measured, 10_000, none), Some(Due::Size { growth: 2.0 }));
        assert_eq!(due(&measured, 2500, none), Some(Due::Size { growth: 0.5 }));
        assert_eq!(due(&measured, 999, none), None, "few rows");
        assert_eq!(due(&measured, 6000, || Some(0.4)), None);
        assert_eq!(due(&measured, 6000, || Some(0.6)), Some(Due::Replaced { young: 0.6 }));
        assert_eq!(due(&Measured::default(), 1000, none), Some(Due::Unmeasured));
        assert_eq!(due(&Measured::default(), 999, none), None);
    }
}
