//! What recall costs in a graph: searches of several widths for the neighbours of some rows, each without the row's own node,
//! whose links lead to just these neighbours.

use std::collections::HashSet;

use ann::exact::Ranked;
use ann::hnsw::SparseQuery;
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
use crate::am::measure::clock::{self, Clock};
use crate::am::pages::PgPages;
use crate::am::rel;
use crate::am::report::checked;
use crate::am::value::Column;

/// Rows that ask.
pub const QUERIES: usize = 100;
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

    /// Measures by the pages of `index`, which has all rows that were looked at, and puts the curve into its metapage.
    pub fn measure(self, index: pg_sys::Relation) {
        let compared = self.0.took;
        let asked: Vec<_> = self.0.finish().into_iter().map(|ranked| (ranked, None)).collect();
        measure_graph(index, &asked, compared);
    }
}

/// What a row that asks finds exactly, and the row itself where vectors are sparse.
type Question = (Ranked, Option<SparseQuery>);

/// Measures by the pages of `index`, a graph, and puts the curve into its metapage. `compared`: the CPU time that the exact
/// answers took.
pub fn measure_graph(index: pg_sys::Relation, asked: &[Question], compared: Clock) {
    // SAFETY: the index stays open as long as the build or the VACUUM runs.
    let pages = unsafe { PgPages::new(index) };
    let before = clock::of_process();
    checked(index, measure(&pages, asked));
    build_log::measured(index, compared, clock::of_process() - before);
}

fn measure(pages: &PgPages, asked: &[Question]) -> Result<(), Error> {
    let xid = rel::next_xid();
    let graph = HnswIndex::read(pages)?;
    let curve = curve(pages, &graph, asked)?;
    let rows = pages::hnsw::vacuum::stats(pages, &graph.view())?.live;
    Meta::put_curve(pages, &curve, rows, xid)
}

fn curve(pages: &PgPages, graph: &HnswIndex, asked: &[Question]) -> Result<Curve, Error> {
    let mut scan = HnswScan::new();
    let asked: Vec<(&Question, Option<u32>)> = asked
        .iter()
        .map(|question| Ok((question, own_node(pages, graph, &mut scan, question)?)))
        .collect::<Result<_, Error>>()?;
    let asked: Vec<_> =
        asked.into_iter().filter(|((ranked, _), _)| !ranked.nearest.is_empty()).collect();
    let mut tried = Vec::new();
    for width in WIDTHS {
        let mut counts = [(0, 0); ROWS.len()];
        for (question, own) in &asked {
            check_for_interrupts();
            let found = search(pages, graph, &mut scan, (question, *own), width)?;
            let (ranked, _) = question;
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
    question: &Question,
) -> Result<Option<u32>, Error> {
    let [own] = question.0.equals.as_slice() else { return Ok(None) };
    begin(scan, question, WIDTHS[3]);
    let found = scan.candidates(pages, &graph.view(), 1, false)?;
    Ok(found.iter().find(|hit| hit.id == *own).map(|hit| node_of(hit.at)))
}

/// The rows that a search of a width finds.
fn search(
    pages: &PgPages,
    graph: &HnswIndex,
    scan: &mut HnswScan,
    (question, own): (&Question, Option<u32>),
    width: u32,
) -> Result<HashSet<u64>, Error> {
    begin(scan, question, width);
    scan.leave_out(own);
    let found: &[Hit] = scan.candidates(pages, &graph.view(), width as usize, false)?;
    Ok(found.iter().map(|hit| hit.id).collect())
}

fn begin(scan: &mut HnswScan, (ranked, sparse): &Question, width: u32) {
    let params = GraphParams {
        ef: width as usize,
        ef_of_tenfold: width as usize,
        iterative: Iterative::Off,
        max_scan_tuples: u64::MAX,
        rows_wanted: None,
        memory: 0,
        is_exact: false,
    };
    scan.begin(&ranked.point, &params, 1);
    if let Some(query) = sparse {
        scan.look_for(query.clone());
    }
}
