//! Marks set in an index that may be damaged.

use ann::element::{Bits, Element};
use ann::topk::Hit;
use half::f16;

use super::coding::point_of;
use super::opened::{Graph, Opened};
use super::search::flat_params;
use super::sparse;
use super::verbs::{graph_params, params_of, query_of};
use crate::error::Error;
use crate::hnsw::scan::HnswScan;
use crate::hnsw::{self, Map};
use crate::lists::ListsIndex;
use crate::lists::coded::CodedScanner;
use crate::lists::flat::FlatScanner;
use crate::lists::marks;
use crate::lists::scan::Scan;
use crate::lists::scanner::ListScanner;
use crate::mem::MemPages;
use crate::search::params::Iterative;
use crate::search::rerank::Candidates;
use crate::tid::Tid;

/// Candidates that are looked at, at most.
const MOST: usize = 10_000;

/// Marks the rows that a scan meets for which `is_dead`; returns how many.
pub fn mark(
    index: &Opened,
    mem: &MemPages,
    mut is_dead: impl FnMut(Tid) -> bool,
) -> Result<u64, Error> {
    match index {
        Opened::Lists(index) => {
            let params = &index.meta.lists.params;
            let mut hits = match params.element {
                _ if params.code.is_some() => in_lists::<CodedScanner>(index, mem)?,
                f16::TAG => in_lists::<FlatScanner<f16>>(index, mem)?,
                Bits::TAG => in_lists::<FlatScanner<Bits>>(index, mem)?,
                _ => in_lists::<FlatScanner<f32>>(index, mem)?,
            };
            marks::mark(mem, &index.meta.lists, &mut hits, &mut is_dead)
        }
        Opened::Graph(index) => {
            let map = Map::read(mem, &index.meta)?;
            let mut hits = in_graph(index, mem, &map)?;
            hnsw::marks::mark(mem, &index.view(&map), &mut hits, &mut is_dead)
        }
    }
}

fn in_lists<L: ListScanner>(index: &ListsIndex, mem: &MemPages) -> Result<Vec<Hit>, Error> {
    let mut scan = Scan::<L>::new();
    let point =
        point_of(&index.meta.lists.params, index.code.as_ref(), &query_of(index.meta.dims()));
    scan.begin_candidates(&point, flat_params(&params_of(Iterative::Relaxed)), 100, 1);
    let mut hits = Vec::new();
    while hits.len() < MOST {
        let some = scan.candidates(mem, &index.view().trusting(true), 100, true)?;
        if some.is_empty() {
            break;
        }
        hits.extend_from_slice(some);
    }
    Ok(hits)
}

fn in_graph(index: &Graph, mem: &MemPages, map: &Map) -> Result<Vec<Hit>, Error> {
    let mut scan = HnswScan::new();
    let params = graph_params(Iterative::Relaxed);
    if index.meta.params.is_sparse() {
        let _terms = scan.begin(&[], &params, 10);
        scan.look_for(sparse::query_of(index));
    } else {
        let _terms = scan.begin(&query_of(index.meta.params.dims), &params, 10);
    }
    let mut hits = Vec::new();
    while hits.len() < MOST {
        let some = scan.candidates(mem, &index.view(map), 100, true)?;
        if some.is_empty() {
            break;
        }
        hits.extend_from_slice(some);
    }
    Ok(hits)
}
