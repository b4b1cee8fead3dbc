//! Marks set in an index that may be damaged.

use ann::element::{Bits, Element};
use ann::topk::Hit;
use half::f16;

use super::opened::{Graph, Lists, Opened};
use super::verbs::query_of;
use crate::coded::probe::CodedProbe;
use crate::coded::rerank::Candidates;
use crate::error::Error;
use crate::hnsw::scan::{GraphParams, HnswScan};
use crate::hnsw::{self, Map};
use crate::ivf::lists;
use crate::ivf::probe::Probe;
use crate::ivf::scan::{Iterative, Scan, SearchParams};
use crate::mem::MemPages;
use crate::tid::Tid;
use crate::{coded, ivf};

/// Candidates that are looked at, at most.
const MOST: usize = 10_000;

/// Marks the rows that a scan meets for which `is_dead`; returns how many.
pub fn mark(
    index: &Opened,
    mem: &MemPages,
    mut is_dead: impl FnMut(Tid) -> bool,
) -> Result<u64, Error> {
    match index {
        Opened::Lists(index) if index.code.is_some() => {
            let mut hits = in_lists::<CodedProbe>(index, mem)?;
            coded::marks::mark(mem, &index.meta, &mut hits, &mut is_dead)
        }
        Opened::Lists(index) => {
            let mut hits = match index.meta.element {
                f16::TAG => in_lists::<Probe<f16>>(index, mem)?,
                Bits::TAG => in_lists::<Probe<Bits>>(index, mem)?,
                _ => in_lists::<Probe<f32>>(index, mem)?,
            };
            ivf::marks::mark(mem, &index.meta, &mut hits, &mut is_dead)
        }
        Opened::Graph(index) => {
            let map = Map::read(mem, &index.meta)?;
            let mut hits = in_graph(index, mem, &map)?;
            hnsw::marks::mark(mem, &index.view(&map), &mut hits, &mut is_dead)
        }
    }
}

fn in_lists<L: lists::Lists>(index: &Lists, mem: &MemPages) -> Result<Vec<Hit>, Error> {
    let mut scan = Scan::<L>::new();
    let params = SearchParams {
        nprobe: 2,
        iterative: Iterative::Relaxed,
        max_scan_tuples: u64::MAX,
        max_probes: usize::MAX,
        rows_wanted: None,
        memory: 0,
    };
    scan.begin_candidates(&index.point(&query_of(index.meta.dims)), params, 100, 1);
    let mut hits = Vec::new();
    while hits.len() < MOST {
        let some = scan.candidates(mem, &index.view(), 100, true)?;
        if some.is_empty() {
            break;
        }
        hits.extend_from_slice(some);
    }
    Ok(hits)
}

fn in_graph(index: &Graph, mem: &MemPages, map: &Map) -> Result<Vec<Hit>, Error> {
    let mut scan = HnswScan::new();
    let params = GraphParams {
        ef: 8,
        iterative: Iterative::Relaxed,
        max_scan_tuples: u64::MAX,
        rows_wanted: None,
        memory: 0,
        is_exact: false,
    };
    let _terms = scan.begin(&query_of(index.meta.params.dims), &params, 10);
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
