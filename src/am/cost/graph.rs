//! What a scan of a graph costs: a walk whose length depends on `efSearch` and hardly on the number of rows; or under a filter, if
//! that is less, a look at the attributes of all rows and at the nodes of those that pass.

use pages::hnsw::{Code, Meta};

use super::ask::Ask;
use super::lists::{Filter, OPERATORS_PER_ATTRIBUTE};
use super::table::Table;
use super::{CODE_SHARE, DIMS_UNKNOWN, NARROWING, Prices, exact_distance, floats_of, in_order};

/// Of the neighbours of a node, the part that a walk has not met before.
const NEW_NEIGHBOURS: f64 = 0.3;
/// Pages that a step of the walk reads: its links, and where its neighbours' codes lie.
const PAGES_PER_STEP: f64 = 3.0;
/// The first steps go where other searches have gone. A later one comes to pages of its own: those of its new neighbours.
const PAGES_PER_LATER_STEP: f64 = 10.0;
/// What a step takes beside that, in operator calls: locks, and keeping the nodes in sight in order.
const OPERATORS_PER_STEP: f64 = 20.0;
/// What a node takes that passes where all nodes are looked at, beside its distance, in operator calls.
const OPERATORS_PER_NODE: f64 = 1.0;
/// Nodes of a chunk, which has a page of attributes.
const CHUNK: f64 = 256.0;
/// Links of an imagined graph.
const LINKS_UNKNOWN: f64 = 32.0;

/// What a graph looks like to the planner.
pub struct Shape {
    pub tuples: f64,
    pub pages: f64,
    pub dims: f64,
    /// Links of a node above the lowest level.
    pub m: f64,
    /// Nodes that a search keeps in sight: as many steps it takes, and as many exact distances.
    pub ef: f64,
    /// Of the candidates, the part that is looked up in the table.
    pub from_table: f64,
    /// What the scan looks for: other nodes cost their step, and nothing in the table.
    pub filter: Filter,
}

impl Shape {
    pub fn of(meta: &Meta, ef: u32, tuples: f64, pages: f64, filter: Filter) -> Self {
        let dims = floats_of(meta.params.dims, meta.params.element);
        let m = meta.params.m as f64;
        let from_table = match meta.params.code {
            Code::Flat => 0.0,
            Code::SqFp16 => 1.0 / NARROWING,
            Code::Sq8 => 1.0,
        };
        Self { tuples, pages, dims, m, ef: ef.into(), from_table, filter }
    }

    /// For an index that an advisor only imagines.
    pub fn guess(ef: u32, tuples: f64, pages: f64, filter: Filter) -> Self {
        let (m, ef) = (LINKS_UNKNOWN, ef.into());
        Self { tuples, pages, dims: DIMS_UNKNOWN, m, ef, from_table: 0.0, filter }
    }

    /// The nodes whose rows pass.
    fn passing(&self) -> f64 {
        (self.tuples * self.filter.passing).max(1.0)
    }

    /// The nodes that a walk goes to until so many rows have passed.
    fn steps(&self, rows: f64) -> f64 {
        (rows / self.filter.passing).min(self.tuples)
    }

    /// To look at the attributes of all rows, and at the nodes of those that pass; `measure`: of pages. Infinite without a filter.
    fn sweep(&self, prices: &Prices, measure: f64) -> f64 {
        if self.filter.passing >= 1.0 {
            return f64::INFINITY;
        }
        let exact = exact_distance(prices, self.dims);
        let apart = (self.tuples / CHUNK).min(self.pages);
        let pages = (apart + self.passing()).min(self.pages);
        let attributes = self.filter.conditions * OPERATORS_PER_ATTRIBUTE * prices.operator;
        self.tuples * attributes
            + self.passing() * (exact * CODE_SHARE + OPERATORS_PER_NODE * prices.operator)
            + measure * prices.read(pages, pages, self.pages)
    }

    /// Pages read before the first row comes out.
    pub fn first_pages(&self) -> f64 {
        let steps = self.steps(self.ef);
        (steps * (PAGES_PER_STEP + 1.0)).min(self.pages).max(1.0)
    }

    /// Nodes judged before the first row comes out: on the way down, and by the steps of the search.
    fn judged(&self) -> f64 {
        let levels = (self.tuples.max(1.0).ln() / self.m.max(2.0).ln()).ceil();
        let steps = self.steps(self.ef);
        (self.m * levels + steps * 2.0 * self.m * NEW_NEIGHBOURS).min(self.tuples)
    }
}

/// Startup and total cost. `reread` is the part of the first pages that a repeated scan does not find cached.
pub fn price(
    shape: &Shape,
    prices: &Prices,
    table: &Table<'_>,
    ask: &Ask,
    reread: f64,
) -> (f64, f64) {
    let exact = exact_distance(prices, shape.dims);
    let first = shape.first_pages();
    // As of lists: what the server prices at nothing in the table must not count in full here.
    let measure = (table.pages / shape.pages.max(1.0)).min(1.0);
    let candidates = shape.ef.min(shape.passing());
    let walk = shape.judged() * exact * CODE_SHARE
        + shape.steps(candidates) * OPERATORS_PER_STEP * prices.operator
        + measure * reread * prices.read(first, first, shape.pages);
    let sweep = shape.sweep(prices, measure * reread);
    let startup = candidates * (exact + prices.index_tuple) + walk.min(sweep);
    let rest = ask.whole(shape.passing(), |rows| {
        going_on(shape, prices, rows).min(sweep) + handing_out(shape, prices, table, rows)
    });
    let rest = rest * table.measure(prices, shape.dims);
    (startup, startup + rest + shape.passing() * prices.index_tuple)
}

/// What it costs to come upon `rows` rows instead of the first few: as many more steps.
fn going_on(shape: &Shape, prices: &Prices, rows: f64) -> f64 {
    let exact = exact_distance(prices, shape.dims);
    let steps = shape.steps((rows - shape.ef).max(0.0));
    let judged = steps * 2.0 * shape.m * NEW_NEIGHBOURS;
    // Some of them have been read by the steps before.
    let visits = steps * (PAGES_PER_LATER_STEP + 1.0);
    let pages = shape.pages * (1.0 - (-visits / shape.pages).exp());
    prices.read(pages, pages, shape.pages)
        + judged * exact * CODE_SHARE
        + steps * OPERATORS_PER_STEP * prices.operator
}

/// What it costs to put `rows` rows in order: as many more candidates.
fn handing_out(shape: &Shape, prices: &Prices, table: &Table<'_>, rows: f64) -> f64 {
    let exact = exact_distance(prices, shape.dims);
    let more = (rows - shape.ef).max(0.0);
    let candidates = if shape.from_table > 0.0 {
        table.visits(prices, more * shape.from_table)
    } else {
        table.first_visits(prices, rows, shape.passing())
    };
    more * (exact + prices.index_tuple) + candidates + in_order(prices, rows)
}
