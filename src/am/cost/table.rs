//! The table below an index, whose rows a scan looks up.

use std::ffi::c_int;

use pgrx::pg_sys;

use super::{Prices, exact_distance};

/// What looking up a row takes beside its page, in operator calls.
const OPERATORS_PER_VISIT: f64 = 40.0;
/// What fetching a vector out of line takes beside its own bytes, in pages.
const PAGES_OUT_OF_LINE: f64 = 0.5;
const PAGE_BYTES: f64 = 8192.0;

/// A table as the planner sees it.
pub struct Table<'a> {
    pub pages: f64,
    pub tuples: f64,
    /// Rows that pass the query's filters.
    pub kept: f64,
    /// Pages that fetching a vector takes if they lie out of line.
    pub out_of_line: f64,
    /// The pages that a number of visits of rows all over the table come to.
    pub fetched: &'a dyn Fn(f64) -> f64,
}

impl<'a> Table<'a> {
    /// # Safety
    /// `root` is the planner's, and `index` one of its indexes, whose column `vector` is the vector.
    pub unsafe fn of(
        root: *mut pg_sys::PlannerInfo,
        index: &pg_sys::IndexOptInfo,
        vector: usize,
        dims: f64,
        fetched: &'a dyn Fn(f64) -> f64,
    ) -> Self {
        // SAFETY: the caller's promise; an index has a key for each column, 0 for an expression.
        let (rel, width) = unsafe {
            let column = *index.indexkeys.add(vector) as pg_sys::AttrNumber;
            (&*index.rel, width_of(root, &*index.rel, column))
        };
        let (pages, tuples) = (f64::from(rel.pages).max(1.0), rel.tuples.max(1.0));
        // Two bytes an element is the least that a column of vectors takes.
        let bytes = dims * 2.0;
        let is_apart = pages * PAGE_BYTES / tuples < bytes || (width > 0.0 && width < bytes);
        let out_of_line = if is_apart { PAGES_OUT_OF_LINE + 2.0 * bytes / PAGE_BYTES } else { 0.0 };
        Self { pages, tuples, kept: rel.rows.max(1.0), out_of_line, fetched }
    }

    /// Looking up `rows` rows in the order of the table.
    pub fn visits(&self, prices: &Prices, rows: f64) -> f64 {
        if rows <= 0.0 {
            return 0.0;
        }
        let pages = (self.fetched)(rows);
        prices.read(pages, pages, self.pages)
            + rows * OPERATORS_PER_VISIT * prices.operator
            + rows * self.out_of_line * prices.random_page
    }

    /// The server charges its visits of rows evenly, from the first to the last, although the first come to a page each
    /// and the last find theirs in memory: what `rows` of `tuples` visits cost beyond that.
    pub fn first_visits(&self, prices: &Prices, rows: f64, tuples: f64) -> f64 {
        let even = (self.fetched)(tuples) * rows / tuples.max(1.0);
        ((self.fetched)(rows) - even).max(0.0) * prices.random_page
    }

    /// By what the server's price of the other plans falls short: it reckons an operator call for a distance of any
    /// length, and nothing for fetching vectors that lie out of line. An index is to be priced by the same measure.
    pub fn measure(&self, prices: &Prices, dims: f64) -> f64 {
        let priced = self.pages * prices.seq_page + self.tuples * (prices.tuple + prices.operator);
        let unpriced = self.kept
            * (self.out_of_line * prices.seq_page
                + (exact_distance(prices, dims) - prices.operator).max(0.0));
        priced / (priced + unpriced)
    }
}

/// The mean width of a column's values as ANALYZE found them, 0 if unknown. That of a value out of line is the width of
/// the pointer to it.
///
/// # Safety
/// `root` is the planner's, and `rel` one of its tables.
unsafe fn width_of(
    root: *mut pg_sys::PlannerInfo,
    rel: &pg_sys::RelOptInfo,
    column: pg_sys::AttrNumber,
) -> f64 {
    if column <= 0 {
        return 0.0;
    }
    // SAFETY: the planner has an entry for each of its tables.
    let width: c_int = unsafe {
        let entry = *(*root).simple_rte_array.add(rel.relid as usize);
        pg_sys::get_attavgwidth((*entry).relid, column)
    };
    f64::from(width.max(0))
}
