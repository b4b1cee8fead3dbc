//! What a scan of inverted lists costs, or of one list.

use super::ask::Ask;
use super::table::Table;
use super::{CODE_SHARE, Prices, exact_distance, in_order};

/// A scan that goes on reads and selects again: its vectors count this many times.
const CONTINUATION: f64 = 2.0;
/// Rows whose candidates are re-ranked before the first one comes out.
const ROWS_FIRST: f64 = 10.0;
/// A scan goes on to further lists until it has visited so many vectors per row asked for.
const VISITED_PER_ROW: f64 = 8.0;

/// Inverted lists, or one.
pub struct Shape {
    pub tuples: f64,
    /// Pages of the inverted lists.
    pub pages: f64,
    pub nlist: f64,
    pub nprobe: f64,
    pub dims: f64,
    /// Candidates put in order by better distances, per row asked for; 0 without a lossy code.
    pub candidates: f64,
    /// Those of them that are looked up in the table.
    pub from_table: f64,
}

impl Shape {
    /// Pages read before the first row comes out.
    pub fn first_pages(&self) -> f64 {
        (self.pages * self.share()).max(1.0)
    }

    /// The part of the lists that is searched first.
    pub fn share(&self) -> f64 {
        (self.nprobe / self.nlist).min(1.0)
    }

    fn vector(&self, prices: &Prices) -> f64 {
        let exact = exact_distance(prices, self.dims);
        if self.candidates > 0.0 { exact * CODE_SHARE } else { exact }
    }
}

/// Startup and total cost. `reread` is the part of the first lists' pages that a repeated scan does not find cached.
pub fn price(
    shape: &Shape,
    prices: &Prices,
    table: &Table<'_>,
    ask: &Ask,
    reread: f64,
) -> (f64, f64) {
    let exact = exact_distance(prices, shape.dims);
    let share = shape.share();
    // Where the table keeps its vectors out of line, the server prices a sequential scan by the few
    // pages of the main table and the fetching of vectors at nothing. The first lists are priced by
    // the same measure, or no index would ever look good.
    let measure = (table.pages / shape.pages.max(1.0)).min(1.0);
    let first = shape.pages * share;
    // Few enough to be read at once, in the order of the table.
    let candidates = (ROWS_FIRST * shape.candidates).min(shape.tuples);
    let rerank = candidates * (exact + prices.index_tuple + measure * prices.seq_page);
    let startup = shape.nlist * exact
        + rerank
        + measure * reread * prices.read(first, shape.nprobe.min(shape.nlist), shape.pages)
        + shape.tuples * share * shape.vector(prices);
    let rest = ask.whole(shape.tuples, |rows| going_on(shape, prices, table, ask, rows));
    let rest = rest * table.measure(prices, shape.dims);
    (startup, startup + rest + shape.tuples * prices.index_tuple)
}

/// What it costs to find `rows` rows instead of the first few.
fn going_on(shape: &Shape, prices: &Prices, table: &Table<'_>, ask: &Ask, rows: f64) -> f64 {
    let vector = shape.vector(prices);
    let first = shape.tuples * shape.share();
    let visited =
        (rows * VISITED_PER_ROW.max(shape.candidates)).clamp(first, shape.tuples.max(first));
    let further = (visited.min(ask.bound.max(first)) - first) / shape.tuples;
    let lists = prices.read(shape.pages * further, shape.nlist * further, shape.pages)
        + shape.tuples * further * vector * CONTINUATION;
    // A single list is gone over again for more rows than it was told to look for, each time for twice as many.
    let again = if shape.nlist > 1.0 { 0.0 } else { (rows / ask.said).max(1.0).log2().ceil() };
    let again = again * (shape.pages * prices.seq_page + shape.tuples * vector);
    let later = |per_row: f64| {
        let first = (ROWS_FIRST * per_row).min(shape.tuples);
        ((rows * per_row).min(shape.tuples) - first).max(0.0)
    };
    let exact = exact_distance(prices, shape.dims) + prices.index_tuple;
    let candidates = if shape.from_table > 0.0 {
        // The rows that come out have just been looked up.
        table.visits(prices, later(shape.from_table))
    } else {
        table.first_visits(prices, rows, shape.tuples)
    };
    let stored = later(shape.candidates - shape.from_table).min(shape.pages);
    lists
        + again
        + candidates
        + later(shape.candidates) * exact
        + in_order(prices, rows)
        + prices.read(stored, stored, shape.pages)
}
