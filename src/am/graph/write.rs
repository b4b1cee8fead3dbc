//! From the rows of a build to the pages of a graph.

use ann::hnsw::{self, BuiltGraph, Factors, Grid, HnswParams};
use ann::parallel;
use pages::Error;
use pages::META_BLKNO;
use pages::hnsw::build::Source;
use pages::hnsw::{MetaParams, build};
use pages::store::BulkPages;
use pages::tid::Tid;

use super::adopted::Adopted;
use super::build::no_workers;
use super::loss;
use super::rows::{Nodes, Rows};
use crate::am::interrupts::check_for_interrupts;
use crate::am::pages::{PgAppend, PgBulk};
use crate::am::progress::{self, Phase};

/// Builds a graph and writes it into an index without pages, with links that are `given` as far as there are. `points_max`: bytes of memory there are for the vectors, should
/// the codes of all rows lose more than those of a sample.
pub fn write_new(
    params: &MetaParams,
    grid: &Grid,
    rows: Rows,
    (threads, points_max): (usize, usize),
    given: Option<&Adopted>,
    sink: PgBulk,
) -> Result<(), Error> {
    let (mut made, order) = Made::new(params, grid, rows, (threads, points_max), given)?;
    progress::set_phase(Phase::WritingPages);
    build::build(sink, params, grid, &order, &mut made)?;
    Ok(())
}

/// Builds a graph and writes it behind the pages of an index, whose metapage then becomes the graph's.
pub fn write_behind(
    params: &MetaParams,
    grid: &Grid,
    rows: Rows,
    points_max: usize,
    mut sink: PgAppend,
) -> Result<(), Error> {
    let (mut made, order) = Made::new(params, grid, rows, (1, points_max), None)?;
    let meta = build::append(&mut sink, params, grid, &order, &mut made)?;
    sink.replace(META_BLKNO, &meta.to_page())
}

/// A graph in memory with what belongs to its nodes.
struct Made {
    rows: Rows,
    nodes: Nodes,
    graph: BuiltGraph,
    by_vectors: bool,
    /// The vector asked for last.
    vector: Vec<u8>,
}

impl Made {
    /// Builds the graph on `threads` worker threads; one thread makes the same graph of the same rows. Also the order of its nodes
    /// in pages.
    fn new(
        params: &MetaParams,
        grid: &Grid,
        mut rows: Rows,
        (threads, points_max): (usize, usize),
        given: Option<&Adopted>,
    ) -> Result<(Self, Vec<u32>), Error> {
        let nodes = rows.nodes()?;
        let by_vectors =
            rows.by_vectors || loss::look(params, grid, &mut rows, &nodes, (threads, points_max))?;
        let hnsw =
            HnswParams { m: params.m, ef_construction: params.ef_construction, seed: params.seed };
        progress::set_phase(Phase::BuildingGraph);
        progress::set_tuples_total(nodes.rows.len() as u64);
        let given = given.map(|given| given.of(&rows, &nodes));
        let of = rows.of(params.metric);
        let built = parallel::run(
            threads,
            |job| {
                check_for_interrupts();
                progress::set_tuples_done(job.step());
            },
            |job| {
                let graph = match &given {
                    Some(given) => hnsw::adopt(grid, of, &hnsw, given, job).ok()?,
                    None => hnsw::build(grid, of, &hnsw, job).ok()?,
                };
                let order = hnsw::order(&graph);
                Some((graph, order))
            },
        );
        let built = built.unwrap_or_else(|e| no_workers(&e));
        // Cancelled only while an interrupt unwinds this thread.
        let (graph, order) =
            built.ok_or_else(|| Error::Internal("the build was cancelled".into()))?;
        Ok((Self { rows, nodes, graph, by_vectors, vector: Vec::new() }, order))
    }

    fn row(&self, node: u32) -> u32 {
        self.nodes.rows.get(node as usize).copied().unwrap_or_default()
    }

    fn tid(&self, row: u32) -> Tid {
        self.rows.tids.get(row as usize).copied().unwrap_or(Tid::FREE)
    }
}

impl Source for Made {
    fn entry(&self) -> Option<u32> {
        (!self.graph.is_empty()).then_some(self.graph.entry)
    }

    fn level(&self, node: u32) -> u8 {
        self.graph.levels.get(node as usize).copied().unwrap_or_default()
    }

    fn links(&self, node: u32, level: usize, out: &mut Vec<u32>) {
        out.extend_from_slice(self.graph.links(node, level));
    }

    fn by_vectors(&self) -> bool {
        self.by_vectors
    }

    fn code(&self, node: u32) -> (&[u8], Factors) {
        (self.rows.code(node), self.rows.factors(node))
    }

    fn n_rows(&self, node: u32) -> usize {
        1 + self.nodes.duplicates_of(node).count()
    }

    fn tids(&self, node: u32, out: &mut Vec<Tid>) {
        out.push(self.tid(self.row(node)));
        out.extend(self.nodes.duplicates_of(node).map(|row| self.tid(row)));
    }

    fn attributes(&self, node: u32, i: usize) -> &[u8] {
        self.rows.attributes.of(self.nodes.row(node, i))
    }

    fn vector(&mut self, node: u32) -> Result<&[u8], Error> {
        self.rows.vectors.read(self.row(node), &mut self.vector)?;
        Ok(&self.vector)
    }
}
