//! What a scan of inverted lists costs, or of one list.

use pages::lists::scan::SPREAD;

use super::ask::Ask;
use super::table::Table;
use super::{CODE_SHARE, Prices, exact_distance, in_order};

/// A scan that goes on reads and selects again: its vectors count this many times.
const CONTINUATION: f64 = 2.0;
/// Rows whose candidates are re-ranked before the first one comes out.
const ROWS_FIRST: f64 = 10.0;
/// A scan goes on to further lists until it has visited this many vectors for each row asked for.
const VISITED_PER_ROW: f64 = 8.0;
/// Comparing an attribute of an entry, in operator calls.
pub const OPERATORS_PER_ATTRIBUTE: f64 = 0.01;
/// Looking an entry's row up in a set of rows takes as long as this many comparisons of attributes.
const CONDITIONS_PER_LOOKUP: f64 = 15.0;
/// What an entry of the first lists costs beside that where rows of a set are looked for, in operator calls. In memory it is less;
/// but as much less cost the rows of the other ways, which the server prices as if they were on a disk.
const OPERATORS_PER_LOOKUP: f64 = 13.0;
/// Entries of a block, and bytes of its tids for each.
const BLOCK: f64 = 32.0;
const TID_BYTES: f64 = 6.0;
const PAGE_BYTES: f64 = 8192.0;

/// What the conditions on an index's filter columns let pass.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    /// The part of the entries.
    pub passing: f64,
    /// How many conditions there are.
    pub conditions: f64,
    /// Bytes of the attributes of an entry.
    pub bytes: f64,
    /// Whether they are among the rows of a set.
    pub is_among: bool,
}

impl Filter {
    /// Of the entries that pass, those that are among a part of all rows.
    pub fn among(self, part: Option<f64>) -> Self {
        let Some(part) = part else { return self };
        let conditions = self.conditions + CONDITIONS_PER_LOOKUP;
        Self { passing: self.passing * part, conditions, is_among: true, ..self }
    }

    /// Without conditions.
    #[cfg(feature = "pg_test")]
    pub const NONE: Self = Self { passing: 1.0, conditions: 0.0, bytes: 0.0, is_among: false };
}

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
    pub filter: Filter,
}

impl Shape {
    /// Pages read before the first row comes out.
    pub fn first_pages(&self) -> f64 {
        (self.read() * self.share()).max(1.0)
    }

    /// The part of the lists that is searched first: under a filter, until there are enough entries that pass.
    pub fn share(&self) -> f64 {
        let share = (self.nprobe / self.nlist).min(1.0);
        if self.filter.passing >= 1.0 {
            return share;
        }
        let wanted = ROWS_FIRST * self.candidates.max(1.0);
        (share / self.filter.passing.powf(SPREAD)).max(wanted / self.passing()).min(1.0)
    }

    /// The entries that pass the filter.
    pub fn passing(&self) -> f64 {
        (self.tuples * self.filter.passing).max(1.0)
    }

    /// What an entry costs where the rows of a set are looked for.
    fn lookup(&self, prices: &Prices) -> f64 {
        if self.filter.is_among { OPERATORS_PER_LOOKUP * prices.operator } else { 0.0 }
    }

    /// Looking at one of the entries, passing or not, of which those that pass are compared, and what lies with them.
    fn entry(&self, prices: &Prices) -> f64 {
        let exact = exact_distance(prices, self.dims);
        let compared = if self.candidates > 0.0 { exact * CODE_SHARE } else { exact };
        let attributes = self.filter.conditions * OPERATORS_PER_ATTRIBUTE * prices.operator;
        attributes + self.touched() * compared
    }

    /// The part of the blocks of codes, or of the pages of vectors, in which an entry passes.
    fn touched(&self) -> f64 {
        let together = match self.candidates > 0.0 {
            true => BLOCK,
            false => (PAGE_BYTES / (4.0 * self.dims)).max(1.0),
        };
        1.0 - (1.0 - self.filter.passing.min(1.0)).powf(together)
    }

    /// Pages that are read where all entries are looked at: attributes lie with the codes, but apart from vectors.
    fn read(&self) -> f64 {
        if self.candidates > 0.0 || self.filter.passing >= 1.0 {
            return self.pages;
        }
        let heads = self.tuples * (TID_BYTES + self.filter.bytes) / PAGE_BYTES;
        (heads + self.pages * self.touched()).min(self.pages)
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
    let first = shape.read() * share;
    // Few enough to be read at once, in the order of the table.
    let candidates = (ROWS_FIRST * shape.candidates).min(shape.passing());
    let rerank = candidates * (exact + prices.index_tuple + measure * prices.seq_page);
    let startup = shape.nlist * exact
        + rerank
        + measure * reread * prices.read(first, shape.nlist * share, shape.pages)
        + shape.tuples * share * (shape.entry(prices) + shape.lookup(prices));
    let rest = ask.whole(shape.passing(), |rows| going_on(shape, prices, table, ask, rows));
    let rest = rest * table.measure(prices, shape.dims);
    (startup, startup + rest + shape.passing() * prices.index_tuple)
}

/// What it costs to find `rows` rows instead of the first few.
fn going_on(shape: &Shape, prices: &Prices, table: &Table<'_>, ask: &Ask, rows: f64) -> f64 {
    let vector = shape.entry(prices);
    let first = shape.tuples * shape.share();
    let visited = rows * VISITED_PER_ROW.max(shape.candidates) / shape.filter.passing;
    let visited = visited.clamp(first, shape.tuples.max(first));
    let further = (visited.min(ask.bound.max(first)) - first) / shape.tuples;
    let lists = prices.read(shape.read() * further, shape.nlist * further, shape.pages)
        + shape.tuples * further * vector * CONTINUATION;
    // A single list is gone over again for more rows than it was told to look for, each time for twice as many.
    let again = if shape.nlist > 1.0 { 0.0 } else { (rows / ask.said).max(1.0).log2().ceil() };
    let again = again * (shape.read() * prices.seq_page + shape.tuples * vector);
    let later = |per_row: f64| {
        let first = (ROWS_FIRST * per_row).min(shape.passing());
        ((rows * per_row).min(shape.passing()) - first).max(0.0)
    };
    let exact = exact_distance(prices, shape.dims) + prices.index_tuple;
    let candidates = if shape.from_table > 0.0 {
        // The rows that come out have just been looked up.
        table.visits(prices, later(shape.from_table))
    } else {
        table.first_visits(prices, rows, shape.passing())
    };
    let stored = later(shape.candidates - shape.from_table).min(shape.pages);
    lists
        + again
        + candidates
        + later(shape.candidates) * exact
        + in_order(prices, rows)
        + prices.read(stored, stored, shape.pages)
}
