//! When lists should be built anew: pure arithmetic over what META says of the build and what the lists hold now.

use std::fmt;

use ann::codec::LANES;
use ann::rules::{MIN_POINTS_PER_CENTROID, optimal_nlist};

use crate::lists::meta::Meta;

/// Rows from which on, unless somebody says otherwise, an index that was made before them is trained. Lists of fewer are not
/// built anew either.
pub const TRAINING_ROWS: u64 = 4096;
/// Rows per row of the build from which on the automatic number of lists is chosen anew.
pub const GROWTH_MAX: f64 = 2.0;
/// How much more uneven than at the build lists may be.
pub const IMBALANCE_MAX: f64 = 1.2;
/// How much larger than at the build the mean error of rows may be.
pub const DRIFT_MAX: f64 = 1.06;
/// The share of rows that must be younger than the build before their errors count: what is left is chance.
pub const YOUNG_MIN: f64 = 0.1;
/// Rows per row of the build from which on it is tried again whether more lists can be trained.
pub const GROWTH_MIN: f64 = 1.5;
/// How many times the entries of a build there may be before the space of dead ones is given back.
pub const DEAD_MAX: u64 = 2;

/// Pairs of a share of young rows and a bound: from that share on, slots are too many when they are more than the bound times
/// those of a build, since scans read them all. A rebuild is paid for by the rows that came.
const SPARSE: [(f64, f64); 2] = [(0.25, 1.5), (0.5, 1.3)];

/// Why lists should be built anew.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Due {
    /// They were never trained, and there are rows enough.
    Untrained {
        /// Rows now.
        rows: u64,
    },
    /// There were too few rows to train all lists well, or to make as many as the user asked for, and there are enough now.
    TrainedOnFew {
        /// Lists there should be.
        nlist: u32,
    },
    /// The table has grown or shrunk, so that another number of lists is right.
    Size {
        /// Rows now per row of the build.
        growth: f64,
        /// The number of lists that suits the rows of now.
        nlist: u32,
    },
    /// Most entries are dead.
    Dead {
        /// Their share.
        share: f64,
    },
    /// New rows lie far apart, on pages that are not full and beside dead entries.
    Sparse {
        /// Slots for each slot of a build.
        ratio: f64,
    },
    /// Lists differ more in length than at the build.
    Uneven {
        /// Now.
        now: f64,
        /// At the build.
        then: f64,
    },
    /// Rows fit what was trained worse than those of the build.
    Drift {
        /// What they are held against: `centroid` or `code`.
        what: &'static str,
        /// The mean error per mean error at the build.
        ratio: f64,
    },
}

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrained { rows } => {
                write!(f, "It is untrained: every query compares all {rows} rows.")
            }
            Self::TrainedOnFew { nlist } => {
                write!(f, "It was trained on few rows, and {nlist} lists can be trained now.")
            }
            Self::Size { growth, nlist } => write!(
                f,
                "It has {growth:.2} times the rows of its build: {nlist} lists are right for them."
            ),
            Self::Dead { share } => write!(f, "{:.0} % of its entries are dead.", 100.0 * share),
            Self::Sparse { ratio } => {
                write!(
                    f,
                    "Its lists have {ratio:.1} times the entries of a build, most of them empty or dead."
                )
            }
            Self::Uneven { now, then } => write!(
                f,
                "The imbalance factor of its lists is {now:.2}, above {IMBALANCE_MAX} times the {then:.2} of its build."
            ),
            Self::Drift { what, ratio } => write!(
                f,
                "The mean error of its rows against their {what}s is {ratio:.2} times that of its build, above {DRIFT_MAX}."
            ),
        }
    }
}

/// What the lists hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Census {
    /// Rows.
    pub rows: u64,
    /// Entries without a row before the last one with a row.
    pub free: u64,
    /// Slots with and without a row.
    pub slots: u64,
    /// How uneven lists are, as FAISS measures it.
    pub imbalance_factor: f64,
}

/// What a sample of the rows says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Errors {
    /// The share of them that is younger than the build; None where that is not known.
    pub young: Option<f64>,
    /// Mean error against centroids, if that says anything.
    pub coarse: Option<f64>,
    /// Mean error against codes, if there are any that are trained.
    pub code: Option<f64>,
}

/// The lists that `rows` rows should have: as many as the user asked for, unless there are too few rows to train them.
pub fn nlist_wanted(nlist_option: u32, rows: u64, has_lists: bool) -> u32 {
    let enough = u64::from(nlist_option) * MIN_POINTS_PER_CENTROID as u64;
    match nlist_option {
        _ if !has_lists => 1,
        0 => optimal_nlist(rows),
        nlist if rows >= enough => nlist,
        nlist => nlist.min(optimal_nlist(rows)).max(1),
    }
}

/// What the numbers of rows and entries say. `has_lists`: whether the access method has more than one. An index is trained
/// from `training_rows` rows on.
pub fn by_census(meta: &Meta, census: &Census, has_lists: bool, training_rows: u64) -> Option<Due> {
    let Census { rows, free, imbalance_factor, .. } = *census;
    if rows < training_rows {
        return None;
    }
    if !meta.is_trained() {
        return Some(Due::Untrained { rows });
    }
    // What memory had no room for at the build must not be tried again and again: only a table of another size is.
    let growth = rows as f64 / meta.build_rows.max(1) as f64;
    let nlist = nlist_wanted(meta.nlist_option, rows, has_lists);
    let (now, is_fixed) = (meta.nlist() as u32, meta.nlist_option != 0);
    let enough = u64::from(now) * MIN_POINTS_PER_CENTROID as u64;
    let is_trained_on_few = meta.trained_rows < enough && rows >= enough;
    if has_lists && growth >= GROWTH_MIN && (is_trained_on_few || is_fixed && now < nlist) {
        return Some(Due::TrainedOnFew { nlist });
    }
    let has_other_nlist = nlist >= now.saturating_mul(2) || nlist.saturating_mul(4) <= now;
    let is_other_size = growth >= GROWTH_MAX || growth <= 1.0 / GROWTH_MAX;
    let is_size_wrong = is_other_size && has_other_nlist || growth >= 2.0 * GROWTH_MAX;
    if has_lists && !is_fixed && is_size_wrong {
        return Some(Due::Size { growth, nlist });
    }
    // A build leaves lanes of the last block of each list, too.
    let built = rows + u64::from(now) * LANES as u64;
    if rows + free > DEAD_MAX * built {
        return Some(Due::Dead { share: free as f64 / (rows + free) as f64 });
    }
    let then = f64::from(meta.fit.imbalance_factor);
    let is_uneven = has_lists && then > 0.0 && imbalance_factor > IMBALANCE_MAX * then;
    is_uneven.then_some(Due::Uneven { now: imbalance_factor, then })
}

/// Whether any number of rows would make lists due: where not, nobody has to count them.
pub fn can_grow_due(meta: &Meta, has_lists: bool, training_rows: u64) -> bool {
    let census = Census { rows: MANY_ROWS, ..Census::default() };
    by_census(meta, &census, has_lists, training_rows).is_some()
}

/// More rows than a table has.
const MANY_ROWS: u64 = 1 << 50;

/// What a sample of the rows says.
pub fn by_sample(meta: &Meta, census: &Census, errors: &Errors) -> Option<Due> {
    if errors.young.is_some_and(|share| share < YOUNG_MIN) {
        return None;
    }
    // A build leaves half a block at the end of each list of codes.
    let slack = if meta.lists.layout.has_code { LANES / 2 * meta.nlist() } else { 0 };
    let ratio = census.slots as f64 / (census.rows + slack as u64).max(1) as f64;
    let share = errors.young.unwrap_or(0.0);
    if SPARSE.iter().any(|(young, most)| share >= *young && ratio > *most) {
        return Some(Due::Sparse { ratio });
    }
    let ratio =
        |now: Option<f64>, then: f32| now.filter(|_| then > 0.0).map(|now| now / f64::from(then));
    [
        ("centroid", ratio(errors.coarse, meta.fit.coarse_error)),
        ("code", ratio(errors.code, meta.fit.code_error)),
    ]
    .into_iter()
    .find_map(|(what, ratio)| {
        ratio.filter(|ratio| *ratio > DRIFT_MAX).map(|ratio| Due::Drift { what, ratio })
    })
}

#[cfg(test)]
mod tests {
    use ann::codec::CodeKind;
    use ann::metric::Metric;

    use super::*;
    use crate::lists::tests::Shape;

    /// An index of lists built on `rows` rows.
    fn built(nlist: usize, option: u32, rows: u64) -> Meta {
        let shape = Shape::coded(CodeKind::Sq8, Metric::L2, 8, nlist, 0);
        let mut meta = Meta::new(&shape.params(0, 1), nlist).unwrap();
        (meta.nlist_option, meta.build_rows) = (option, rows);
        meta.trained_rows = rows.min(256 * nlist as u64);
        (meta.fit.imbalance_factor, meta.fit.coarse_error) = (1.2, 0.5);
        meta
    }

    fn now(meta: &Meta, census: &Census, has_lists: bool) -> Option<Due> {
        by_census(meta, census, has_lists, TRAINING_ROWS)
    }

    fn census(rows: u64) -> Census {
        Census { rows, free: 0, slots: 0, imbalance_factor: 1.2 }
    }

    #[test]
    fn an_untrained_index_waits_for_rows() {
        let meta = Meta::new(&Shape::flat(Metric::L2, 8, 0, 0).params(0, 1), 0).unwrap();
        assert_eq!(now(&meta, &census(TRAINING_ROWS - 1), true), None);
        let rows = TRAINING_ROWS;
        assert_eq!(now(&meta, &census(rows), true), Some(Due::Untrained { rows }));
    }

    #[test]
    fn lists_follow_the_size_of_the_table() {
        let meta = built(1024, 0, 100_000);
        for rows in [60_000, 100_000, 190_000] {
            assert_eq!(now(&meta, &census(rows), true), None, "{rows} rows");
        }
        let due = now(&meta, &census(200_000), true);
        assert_eq!(due, Some(Due::Size { growth: 2.0, nlist: 2048 }));
        assert!(matches!(now(&meta, &census(6_000), true), Some(Due::Size { .. })));
        // As many as the user said, however many rows come.
        let fixed = built(1024, 1024, 100_000);
        assert_eq!(now(&fixed, &census(5_000_000), true), None);
        assert!(can_grow_due(&meta, true, TRAINING_ROWS));
        assert!(!can_grow_due(&fixed, true, TRAINING_ROWS));
        // Without lists there is no number of them.
        let flat = built(1, 0, 10_000);
        assert_eq!(now(&flat, &census(5_000_000), false), None);
        assert!(!can_grow_due(&flat, false, TRAINING_ROWS));
    }

    #[test]
    fn a_number_of_lists_waits_for_rows_to_train_it() {
        assert_eq!(nlist_wanted(1000, 5000, true), 128);
        assert_eq!(nlist_wanted(1000, 39_000, true), 1000);
        assert_eq!(nlist_wanted(100, 5000, true), 100);
        assert_eq!((nlist_wanted(0, 0, true), nlist_wanted(7, 5000, false)), (1, 1));
        let early = built(256, 1000, 5000);
        assert_eq!(now(&early, &census(8_000), true), None);
        let due = now(&early, &census(39_000), true);
        assert_eq!(due, Some(Due::TrainedOnFew { nlist: 1000 }));
        // Memory had no room for more at the build either.
        assert_eq!(now(&built(500, 1000, 39_000), &census(40_000), true), None);
    }

    #[test]
    fn dead_entries_and_uneven_lists_count_against_the_build() {
        let meta = built(1024, 0, 50_000);
        let with = |free, imbalance_factor| {
            now(&meta, &Census { rows: 50_000, free, slots: 0, imbalance_factor }, true)
        };
        // 31 lanes of each list.
        assert_eq!(with(31 * 1024, 1.2), None);
        assert!(matches!(with(120_000, 1.2), Some(Due::Dead { .. })));
        assert_eq!(with(0, 1.43), None);
        assert_eq!(with(0, 1.75), Some(Due::Uneven { now: 1.75, then: f64::from(1.2_f32) }));
    }

    #[test]
    fn errors_count_if_there_are_new_rows() {
        let meta = built(1024, 0, 50_000);
        let with = |young, coarse| {
            let errors = Errors { young, coarse: Some(coarse), code: Some(9.0) };
            by_sample(&meta, &census(50_000), &errors)
        };
        assert_eq!(with(Some(0.05), 5.0), None);
        assert_eq!(with(Some(0.5), 0.52), None);
        assert_eq!(with(Some(0.5), 0.6), Some(Due::Drift { what: "centroid", ratio: 0.6 / 0.5 }));
        assert!(with(None, 0.6).is_some());
    }

    #[test]
    fn empty_slots_count_as_new_rows_come() {
        let meta = built(1024, 0, 50_000);
        let with = |young, slots| {
            let errors = Errors { young: Some(young), ..Errors::default() };
            by_sample(&meta, &Census { slots, ..census(50_000) }, &errors)
        };
        // Of the build: half a block a list.
        let built = 50_000 + 16 * 1024;
        assert_eq!((with(0.9, built), with(0.2, 5 * built)), (None, None));
        assert_eq!((with(0.3, built * 7 / 5), with(0.6, built * 5 / 4)), (None, None));
        assert!(matches!(with(0.3, built * 8 / 5), Some(Due::Sparse { .. })));
        assert!(matches!(with(0.6, built * 7 / 5), Some(Due::Sparse { .. })));
    }
}
