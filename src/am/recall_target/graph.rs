//! What recall costs in a graph: searches of several widths for the neighbours of some rows, each without the row's own node,
//! whose links lead to just these neighbours.

use std::collections::HashSet;

use ann::exact::Ranked;
use ann::metric::Metric;
use ann::topk::Hit;
use ann::tuning::Curve;
use ann::tuning::curve::ROWS;
use ann::tuning::reach::{curve_of_graph, looked_at};
use pages::Error;
use pages::hnsw::scan::{GraphParams, HnswScan};
use pages::hnsw::{Meta, node_of};
use pages::search::params::Iterative;
use pages::search::rerank::Candidates;
use pages::tid::Tid;
use pgrx::pg_sys;

use super::neighbours::Neighbours;
use crate::am::build_log;
use crate::am::graph::HnswIndex;
use crate::am::interrupts::check_for_interrupts;
use crate::am::measure::clock;
use crate::am::pages::PgPages;
use crate::am::report::checked;
use crate::am::value::Column;

/// Rows that ask.
const QUERIES: usize = 100;
/// Widths that are tried, until a search misses hardly anything of ten rows and of a hundred.
const WIDTHS: [u32; 12] = [10, 16, 24, 40, 64, 100, 160, 250, 400, 640, 1000, 1600];
/// Of ten rows, and of a hundred, what is hardly anything.
const ENOUGH: [f64; 2] = [0.999, 0.99];

/// The neighbours of some rows, on their way through the rows of a build.
pub struct GraphNeighbours<E: Column>(Neighbours<E>);

impl<E: Column> GraphNeighbours<E> {
    /// `candidates`: rows that may ask, n × dims, as the column has them; where there are none, the first rows that come.
    pub fn new(metric: Metric, dims: usize, candidates: &[f32]) -> Self {
        Self(Neighbours::new(metric, dims, QUERIES, candidates))
    }

    /// Looks at rows.
    pub fn see(&mut self, tids: &[Tid], elements: &[E]) {
        self.0.see(tids, &[], elements);
    }

    /// Measures by the pages of `index`, which are all written, and puts the curve into its metapage.
    pub fn measure(self, index: pg_sys::Relation) {
        // SAFETY: the index stays open as long as the build runs.
        let pages = unsafe { PgPages::new(index) };
        let (compared, before) = (self.0.took, clock::of_process());
        let curve = curve(&pages, &self.0.finish());
        let put = curve.and_then(|curve| Meta::put_curve(&pages, &curve));
        checked(index, put);
        build_log::measured(index, compared, clock::of_process() - before);
    }
}

fn curve(pages: &PgPages, asked: &[Ranked]) -> Result<Curve, Error> {
    let graph = HnswIndex::read(pages)?;
    let mut scan = HnswScan::new();
    let asked: Vec<(&Ranked, Option<u32>)> = asked
        .iter()
        .map(|ranked| Ok((ranked, own_node(pages, &graph, &mut scan, ranked)?)))
        .collect::<Result<_, Error>>()?;
    let asked: Vec<_> =
        asked.into_iter().filter(|(ranked, _)| !ranked.nearest.is_empty()).collect();
    let mut tried = Vec::new();
    for width in WIDTHS {
        let mut counts = [(0, 0); ROWS.len()];
        for (ranked, own) in &asked {
            check_for_interrupts();
            let found = search(pages, &graph, &mut scan, (ranked, *own), width)?;
            for ((found_of, wanted), k) in counts.iter_mut().zip(ROWS) {
                let near = ranked.nearest.get(..looked_at(k)).unwrap_or(&ranked.nearest);
                *found_of += near.iter().filter(|hit| found.contains(&hit.id)).count();
                *wanted += near.len();
            }
        }
        let mut recalls = [None; ROWS.len()];
        for (((found, wanted), k), recall) in counts.into_iter().zip(ROWS).zip(&mut recalls) {
            *recall = (u64::from(width) >= k && wanted > 0).then(|| found as f64 / wanted as f64);
        }
        tried.push((width, recalls));
        if recalls
            .iter()
            .skip(1)
            .zip(ENOUGH)
            .all(|(recall, enough)| recall.is_some_and(|r| r >= enough))
        {
            break;
        }
    }
    Ok(curve_of_graph(asked.len() as u32, &tried))
}

/// The node of the row that asks, where it has one of its own.
fn own_node(
    pages: &PgPages,
    graph: &HnswIndex,
    scan: &mut HnswScan,
    ranked: &Ranked,
) -> Result<Option<u32>, Error> {
    let [own] = ranked.equals.as_slice() else { return Ok(None) };
    begin(scan, ranked, WIDTHS[3]);
    let found = scan.candidates(pages, &graph.view(), 1, false)?;
    Ok(found.iter().find(|hit| hit.id == *own).map(|hit| node_of(hit.at)))
}

/// The rows that a search of a width finds.
fn search(
    pages: &PgPages,
    graph: &HnswIndex,
    scan: &mut HnswScan,
    (ranked, own): (&Ranked, Option<u32>),
    width: u32,
) -> Result<HashSet<u64>, Error> {
    begin(scan, ranked, width);
    scan.leave_out(own);
    let found: &[Hit] = scan.candidates(pages, &graph.view(), width as usize, false)?;
    Ok(found.iter().map(|hit| hit.id).collect())
}

fn begin(scan: &mut HnswScan, ranked: &Ranked, width: u32) {
    let params = GraphParams {
        ef: width as usize,
        iterative: Iterative::Off,
        max_scan_tuples: u64::MAX,
        rows_wanted: None,
        memory: 0,
        is_exact: false,
    };
    scan.begin(&ranked.point, &params, 1);
}
