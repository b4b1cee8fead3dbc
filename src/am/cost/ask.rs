//! How much of a scan the query will ask for.

mod near;

use std::ffi::c_int;

use grammar::options::Settings;
use pgrx::pg_sys;

use crate::am::guc;

/// Rows that a single list looks for at once if nobody says how many.
const ROWS_UNSAID: f64 = 64.0;

/// What the planner expects to be asked of a scan.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The part that will be asked for of the rows that pass the filters.
    pub fraction: f64,
    /// The part of the index's rows that it takes to find them.
    pub scanned: f64,
    /// The rows that will be asked for behind the filters.
    pub rows: f64,
    /// The rows that a single list looks for at once.
    pub said: f64,
    /// Rows that the user lets a scan visit at most.
    pub bound: f64,
    /// Whether a window wants the last row before the first comes out, of which the server knows nothing.
    pub last_first: bool,
}

impl Ask {
    /// # Safety
    /// `root` is the planner's, and `index` one of its indexes, which heeds `settings`; `order` are the expressions that it
    /// would give the order of.
    pub unsafe fn of(
        root: *mut pg_sys::PlannerInfo,
        index: &pg_sys::IndexOptInfo,
        order: *mut pg_sys::List,
        settings: Settings,
    ) -> Self {
        // SAFETY: the caller's promise.
        let (wanted, kept, near, last_first) = unsafe {
            let wanted = (*root).tuple_fraction;
            let near = near::rows(root, index, order);
            (wanted, (*index.rel).rows.max(1.0), near, has_window_to_the_end((*root).parse))
        };
        // Below 1 it is a part, from 1 on a number of rows; all of them is 0.
        let fraction = match wanted {
            all if all <= 0.0 || last_first => 1.0,
            part if part < 1.0 => part,
            rows => (rows / kept).min(1.0),
        };
        let rows = fraction * kept;
        let scanned = if fraction < 1.0 { (rows / near.max(kept)).min(1.0) } else { 1.0 };
        let said = if fraction < 1.0 { rows } else { ROWS_UNSAID };
        let bound = guc::max_scan_tuples(settings).0 as f64;
        Self { fraction, scanned, rows, said: said.max(ROWS_UNSAID), bound, last_first }
    }

    /// The slope to the rows asked for, given what as many rows of the index's `tuples` cost beyond the first, and no
    /// less than to the last: as the cost of all of them, which the planner divides again.
    pub fn whole(&self, tuples: f64, rest: impl Fn(f64) -> f64) -> f64 {
        let rows = (tuples * self.scanned).max(1.0);
        let (asked, all) = (rest(rows.min(self.bound)), rest(tuples.min(self.bound)));
        all.max(asked / self.fraction.max(1.0 / tuples))
    }
}

/// Whether a query has a window whose frame ends at the last row, as `count(*) OVER ()` has.
///
/// # Safety
/// `query` is one that is being planned.
unsafe fn has_window_to_the_end(query: *mut pg_sys::Query) -> bool {
    let to_the_end = pg_sys::FRAMEOPTION_END_UNBOUNDED_FOLLOWING as c_int;
    // SAFETY: the caller's promise; the list holds window clauses.
    unsafe {
        if !(*query).hasWindowFuncs {
            return false;
        }
        let windows = (*query).windowClause;
        (0..pg_sys::list_length(windows)).any(|i| {
            let window = &*pg_sys::list_nth(windows, i).cast::<pg_sys::WindowClause>();
            window.orderClause.is_null() || window.frameOptions & to_the_end != 0
        })
    }
}
