//! Recall is what one asks for: a build measures what recall costs on its index, and a scan goes as far as its target takes.
//!
//! `neighbours.rs` rows that ask for their neighbours while a build reads the table · `lists.rs`, `graph.rs` where the index
//! has these neighbours, and the curve that follows · this file: from the curve, the target and the rows wanted to the setting
//! of a scan. What a user sets comes before.

mod graph;
mod lists;
mod neighbours;

use ann::tuning::curve::{Size, asked};
use ann::tuning::probing::ProbeRule;
use ann::tuning::{Curve, Effort};
use pages::hnsw;
use pages::lists::Meta;
use pages::search::params::Iterative;
use pages::search::rerank::Budget;
use pgrx::pg_sys;

use super::guc;
use super::options::IvfOptions;

pub use graph::{GraphNeighbours, QUERIES as QUERIES_OF_GRAPH, measure_graph};
pub use lists::ListNeighbours;
pub use neighbours::{QUERIES_MAX, on_workers};

/// Rows that are reckoned with where nobody says how many are wanted.
pub const ROWS_UNSAID: u64 = 10;
/// `efSearch` for a target of .95 where nothing was measured: what the hardest of four real sets takes.
const EF_SEARCH_UNMEASURED: f64 = 100.0;
/// How many times what a query may miss in all its codes may seem to miss before it gets more candidates. What is expected is
/// rather more than what is missed, and a second pass over the lists costs as much as the first.
const MISSED_BY_CODES: f64 = 2.0;
/// Lists searched of `nlist` where nothing was measured, in square roots of it.
const NPROBE_UNMEASURED: f64 = 2.0;

/// What a scan of lists searches and re-ranks.
#[derive(Clone, Copy)]
pub struct ListsChoice {
    pub nprobe: u32,
    /// How many lists each query searches, if nprobe is the number of a mean query.
    pub rule: Option<ProbeRule>,
    pub budget: Budget,
}

/// What somebody has set of it; None: automatic.
#[derive(Clone, Copy)]
pub struct Wishes {
    pub nprobe: Option<u32>,
    pub k_factor: Option<u32>,
}

impl Wishes {
    /// What settings and options of an index say.
    pub fn of(options: &IvfOptions) -> Self {
        Self { nprobe: guc::nprobe_for(options), k_factor: guc::k_factor_for(options) }
    }
}

/// What a scan for `rows` rows uses of an index of lists that has about `tuples` rows by now.
pub fn of_lists(options: &IvfOptions, meta: &Meta, rows: Option<u64>, tuples: f64) -> ListsChoice {
    of_wishes(Wishes::of(options), options, meta, (rows, tuples))
}

/// As `of_lists`, where something else is wished than settings and options say.
pub fn of_wishes(
    wishes: Wishes,
    options: &IvfOptions,
    meta: &Meta,
    (rows, tuples): (Option<u64>, f64),
) -> ListsChoice {
    let nlist = meta.nlist() as u32;
    let (curve, size) = (&meta.curve, size(tuples, meta.build_rows, nlist));
    let effort = effort(options, curve, rows, size);
    let nprobe = wishes.nprobe.unwrap_or_else(|| {
        let unmeasured = (f64::from(nlist).sqrt() * NPROBE_UNMEASURED).ceil() as u32;
        let nprobe = effort.map_or(unmeasured, |effort| effort.width).clamp(1, nlist.max(1));
        // Where nobody says a number, no more than the bound for a scan that goes on.
        match guc::iterative(options.settings) {
            Iterative::Off => nprobe,
            _ => nprobe.min(u32::try_from(guc::max_probes(options.settings)).unwrap_or(u32::MAX)),
        }
    });
    let budget = match (wishes.k_factor, meta.code()) {
        (Some(k_factor), _) => Budget::fixed(k_factor as usize),
        (None, None) => Budget::fixed(1),
        (None, Some(code)) => {
            let usual = Budget::automatic(code.kind.k_factor(meta.dims()));
            let missed = (1.0 - guc::recall_target_for(options)) * MISSED_BY_CODES;
            let measured = |k_factor| Budget::measured(k_factor, missed);
            let rows = rows.unwrap_or(ROWS_UNSAID);
            let of_lists = || curve.k_factor_of_lists(rows, size).map(measured);
            match wishes.nprobe {
                None => effort.map_or(usual, |effort| measured(effort.k_factor)),
                // What the target takes goes with its own number of lists: who sets another wants what those lists hold.
                Some(_) => of_lists()
                    .filter(|enough| enough.candidates(rows) > usual.candidates(rows))
                    .unwrap_or(usual),
            }
        }
    };
    let rule = meta.probe_rule.filter(|_| wishes.nprobe.is_none());
    ListsChoice { nprobe, rule, budget }
}

/// The lists that a scan of an index that is not there yet would search.
pub fn nprobe_unmeasured(options: &IvfOptions, nlist: u32) -> u32 {
    let unmeasured = (f64::from(nlist).sqrt() * NPROBE_UNMEASURED).ceil() as u32;
    guc::nprobe_for(options).unwrap_or(unmeasured.clamp(1, nlist.max(1)))
}

/// The nodes that a scan for `rows` rows keeps in sight of a graph that has about `tuples` rows by now.
pub fn ef_search(
    options: &IvfOptions,
    meta: Option<&hnsw::Meta>,
    rows: Option<u64>,
    tuples: f64,
) -> u32 {
    guc::ef_search_for(options).unwrap_or_else(|| {
        let measured = meta.and_then(|meta| {
            effort(options, &meta.measured.curve, rows, size(tuples, meta.measured.rows, 0))
        });
        let most = guc::EF_SEARCH_RANGE.1.unsigned_abs();
        measured.map_or_else(|| ef_search_unmeasured(options), |effort| effort.width).min(most)
    })
}

/// As `ef_search`, and what a scan for ten times the rows keeps in sight.
pub fn widths(
    options: &IvfOptions,
    meta: &hnsw::Meta,
    rows: Option<u64>,
    tuples: f64,
) -> (usize, usize) {
    let of = |rows| ef_search(options, Some(meta), rows, tuples) as usize;
    let ef = of(rows);
    let tenfold = match guc::ef_search_for(options) {
        Some(_) => ef.saturating_mul(10),
        None if meta.measured.curve.is_measured() => {
            of(Some(rows.unwrap_or(ROWS_UNSAID).saturating_mul(10)))
        }
        None => ef.saturating_mul(10),
    };
    (ef, tenfold)
}

fn ef_search_unmeasured(options: &IvfOptions) -> u32 {
    let missed = 1.0 - guc::recall_target_for(options);
    (EF_SEARCH_UNMEASURED * (0.05 / missed).sqrt()).ceil() as u32
}

fn effort(options: &IvfOptions, curve: &Curve, rows: Option<u64>, size: Size) -> Option<Effort> {
    let asked = asked(guc::recall_target_for(options));
    curve.effort(asked, rows.unwrap_or(ROWS_UNSAID), size)
}

/// How large an index with about `tuples` rows is of which it was measured what recall costs when it had `rows_then`.
fn size(tuples: f64, rows_then: u64, lists: u32) -> Size {
    let then = rows_then.max(1) as f64;
    let growth = Some(tuples / then).filter(|growth| growth.is_finite()).unwrap_or(1.0);
    Size { growth, rows: growth.max(1.0) * then, lists }
}

/// About how many rows an open index has, as VACUUM or the build counted them; 0 if nobody did.
pub fn tuples_of(index: pg_sys::Relation) -> f64 {
    // SAFETY: an open relation has its pg_class row.
    f64::from(unsafe { (*(*index).rd_rel).reltuples }).max(0.0)
}
