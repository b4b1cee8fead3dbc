//! Everything that can be asked of an index. The errors are given back; rows are counted by [`count`].

use ann::codec::Stored;
use ann::element::{Bits, Element};
use ann::kernels::sparse::TAG;
use ann::metric::Metric;
use half::f16;

use super::coding::unit;
use super::marks::mark;
use super::opened::{Graph, Opened, coded};
use super::rows::{Table, attributes_of, fill, tid_no, vector_of};
use super::search::ListSearch;
use super::sparse;
use crate::error::Error;
use crate::hnsw::insert::{Inserter, Row};
use crate::hnsw::rows::{NodeBits, NodeRows};
use crate::hnsw::scan::{GraphParams, GraphScan};
use crate::hnsw::{self, Code as GraphCode, Map, View};
use crate::lists::ListsIndex;
use crate::lists::candidates::RerankParams;
use crate::lists::scan::batch::BatchParams;
use crate::lists::{info, insert as into_lists, vacuum as of_lists};
use crate::mem::MemPages;
use crate::search::exact::ExactQuery;
use crate::search::params::Iterative;
use crate::search::rerank::Budget;
use crate::tid::Tid;

/// Rows that are inserted each time, from this number on.
const INSERTED: u32 = 40;
const INSERTED_FIRST: u32 = 1 << 20;
/// More rows than any scan of a small index returns.
const ROWS_MAX: usize = 1 << 20;
const ORDERS: [Iterative; 3] = [Iterative::Strict, Iterative::Relaxed, Iterative::Off];

/// Scans, marks, inserts, vacuums and scans again. The errors that any of it ended in.
pub fn all(index: &Opened, mem: &MemPages) -> Vec<Error> {
    let mut errors = Vec::new();
    counts(index, mem, &mut errors);
    for order in ORDERS {
        errors.extend(count(index, mem, order).err());
    }
    errors.extend(together(index, mem).err());
    errors.extend(mark(index, mem, |tid| tid.to_u64().is_multiple_of(3)).err());
    errors.extend(count(index, mem, Iterative::Relaxed).err());
    errors.extend(insert(index, mem, INSERTED_FIRST, INSERTED).err());
    errors.extend(vacuum(index, mem, |tid| tid.to_u64().is_multiple_of(2)).err());
    errors.extend(insert(index, mem, INSERTED_FIRST + INSERTED, INSERTED).err());
    errors.extend(count(index, mem, Iterative::Relaxed).err());
    errors
}

/// How many rows a scan in this order returns that may look at everything.
pub fn count(index: &Opened, mem: &MemPages, order: Iterative) -> Result<usize, Error> {
    match index {
        Opened::Lists(index) if index.meta.lists.params.element == f16::TAG => {
            lists::<f16>(index, mem, order)
        }
        Opened::Lists(index) if index.meta.lists.params.element == Bits::TAG => {
            lists::<Bits>(index, mem, order)
        }
        Opened::Lists(index) => lists::<f32>(index, mem, order),
        Opened::Graph(index) if index.meta.params.element == f16::TAG => {
            graph::<f16>(index, mem, order)
        }
        Opened::Graph(index) if index.meta.params.element == Bits::TAG => {
            graph::<Bits>(index, mem, order)
        }
        Opened::Graph(index) if index.meta.params.is_sparse() => {
            sparse::count(index, mem, graph_params(order))
        }
        Opened::Graph(index) => graph::<f32>(index, mem, order),
    }
}

/// Inserts rows `first` .. `first + n`, each whatever became of the one before. The first error.
pub fn insert(index: &Opened, mem: &MemPages, first: u32, n: u32) -> Result<(), Error> {
    let tids = || (first..first + n).map(tid_no);
    match index {
        Opened::Lists(index) if index.meta.lists.params.element == f16::TAG => {
            tids().map(|tid| into_list::<f16>(index, mem, tid)).fold(Ok(()), Result::and)
        }
        Opened::Lists(index) if index.meta.lists.params.element == Bits::TAG => {
            tids().map(|tid| into_list::<Bits>(index, mem, tid)).fold(Ok(()), Result::and)
        }
        Opened::Lists(index) => {
            tids().map(|tid| into_list::<f32>(index, mem, tid)).fold(Ok(()), Result::and)
        }
        Opened::Graph(index) => {
            let map = Map::read(mem, &index.meta)?;
            let mut inserter = Inserter::new();
            let mut put = |tid| match index.meta.params.element {
                f16::TAG => into_graph::<f16>(index, mem, &map, &mut inserter, tid),
                Bits::TAG => into_graph::<Bits>(index, mem, &map, &mut inserter, tid),
                TAG => sparse::insert(index, mem, &map, &mut inserter, tid),
                _ => into_graph::<f32>(index, mem, &map, &mut inserter, tid),
            };
            tids().map(&mut put).fold(Ok(()), Result::and)
        }
    }
}

/// Removes rows.
pub fn vacuum(index: &Opened, mem: &MemPages, is_dead: impl Fn(Tid) -> bool) -> Result<(), Error> {
    match index {
        Opened::Lists(index) => of_lists::bulk_delete(mem, &index.meta.lists, is_dead).map(drop),
        Opened::Graph(index) => {
            let map = Map::read(mem, &index.meta)?;
            hnsw::vacuum::bulk_delete(mem, &index.view(&map), is_dead).map(drop)
        }
    }
}

/// What inspection counts.
fn counts(index: &Opened, mem: &MemPages, errors: &mut Vec<Error>) {
    match index {
        Opened::Lists(index) => {
            let lists = info::list_info(mem, &index.meta.lists);
            errors.extend(lists.map(|lists| info::totals(&lists)).err());
            errors.extend(of_lists::stats(mem, &index.meta.lists).err());
        }
        Opened::Graph(index) => {
            let seen = Map::read(mem, &index.meta).and_then(|map| {
                hnsw::info::totals(mem, &index.view(&map))?;
                hnsw::vacuum::stats(mem, &index.view(&map))
            });
            errors.extend(seen.err());
        }
    }
}

pub(super) fn query_of(dims: usize) -> Vec<f32> {
    let mut query = vec![0.0; dims];
    fill(u64::MAX, &mut query);
    query
}

/// Calls `next` until there is nothing more, and once again.
pub(super) fn drain<T>(mut next: impl FnMut() -> Result<Option<T>, Error>) -> Result<usize, Error> {
    let mut n = 0;
    while next()?.is_some() {
        n += 1;
        assert!(n < ROWS_MAX, "a scan does not end");
    }
    assert!(!matches!(next(), Ok(Some(_))), "a scan goes on after its end");
    Ok(n)
}

/// How lists are searched.
pub(super) fn params_of(iterative: Iterative) -> RerankParams {
    RerankParams {
        nprobe: 2,
        rule: None,
        iterative,
        max_scan_tuples: u64::MAX,
        max_probes: usize::MAX,
        budget: Budget::fixed(2),
        rows_wanted: None,
        memory: 0,
        is_exact: false,
    }
}

fn lists<E: Element>(index: &ListsIndex, mem: &MemPages, order: Iterative) -> Result<usize, Error> {
    let mut search = ListSearch::<E>::new(index);
    search.begin(index, &query_of(index.meta.dims()), &params_of(order));
    count_rows(index, mem, &mut search)
}

fn count_rows<E: Element>(
    index: &ListsIndex,
    mem: &MemPages,
    search: &mut ListSearch<E>,
) -> Result<usize, Error> {
    let (meta, view) = (&index.meta, index.view().trusting(true));
    let exact = ExactQuery::new(meta.metric(), &query_of(meta.dims()));
    let mut table = Table::<E>::new(&exact, meta.dims());
    drain(|| search.next(mem, index, &view, &exact, &mut table))
}

/// Two searches whose lists are read once, on worker threads of which there is one.
fn together(index: &Opened, mem: &MemPages) -> Result<(), Error> {
    match index {
        Opened::Lists(index) if index.meta.lists.params.element == f16::TAG => {
            lists_together::<f16>(index, mem)
        }
        Opened::Lists(index) if index.meta.lists.params.element == Bits::TAG => {
            lists_together::<Bits>(index, mem)
        }
        Opened::Lists(index) => lists_together::<f32>(index, mem),
        Opened::Graph(_) => Ok(()),
    }
}

fn lists_together<E: Element>(index: &ListsIndex, mem: &MemPages) -> Result<(), Error> {
    let params = BatchParams { threads: 1, memory: 0 };
    let begun = |_| {
        let mut search = ListSearch::<E>::new(index);
        search.begin(index, &query_of(index.meta.dims()), &params_of(Iterative::Strict));
        search
    };
    let searches = (0..2).map(begun).collect();
    let view = index.view().trusting(true);
    for search in &mut ListSearch::first(mem, &view, searches, params)? {
        count_rows(index, mem, search)?;
    }
    Ok(())
}

fn into_list<E: Element>(index: &ListsIndex, mem: &MemPages, tid: Tid) -> Result<(), Error> {
    let row = coded(index, mem, tid, &vector_of::<E>(tid, index.meta.dims()))?;
    let codec = index.code.as_ref().map(|code| &code.codec);
    into_lists::insert(mem, &index.meta.lists, codec, &row.row(tid))
}

impl Graph {
    pub(super) fn view<'a>(&'a self, map: &'a Map) -> View<'a> {
        View::new(&self.meta, &self.grid, map).trusting(true)
    }
}

/// How graphs are searched.
pub(super) fn graph_params(iterative: Iterative) -> GraphParams {
    GraphParams {
        ef: 8,
        ef_of_tenfold: 40,
        iterative,
        max_scan_tuples: u64::MAX,
        rows_wanted: None,
        memory: 0,
        is_exact: false,
    }
}

fn graph<E: Element>(index: &Graph, mem: &MemPages, order: Iterative) -> Result<usize, Error> {
    let map = Map::read(mem, &index.meta)?;
    let (view, params) = (index.view(&map), &index.meta.params);
    let query = query_of(params.dims);
    let exact = ExactQuery::new(params.metric, &query);
    let mut table = Table::<E>::new(&exact, params.dims);
    let mut scan = GraphScan::new();
    let wide = graph_params(order);
    scan.begin(&unit(params.metric == Metric::Cosine, &query, params.dims), wide);
    match params.code {
        GraphCode::Flat if params.element == Bits::TAG => {
            let elements = Bits::count(params.dims);
            let key = |row: &[Bits]| exact.key(row.get(..elements).unwrap_or_default());
            let mut rows = NodeBits::of_bits(mem, view, key)?;
            drain(|| scan.next(mem, &view, None, &mut rows))
        }
        GraphCode::Sq8 => drain(|| scan.next(mem, &view, None, &mut table)),
        GraphCode::Flat => {
            let mut rows = NodeRows::of_nodes(mem, view, |row: &[E]| exact.key(row))?;
            drain(|| scan.next(mem, &view, None, &mut rows))
        }
        GraphCode::SqFp16 => {
            let mut rows = NodeRows::of_nodes(mem, view, |row: &[f16]| exact.key(row))?;
            drain(|| scan.next(mem, &view, Some(&mut rows), &mut table))
        }
    }
}

fn into_graph<E: Element>(
    index: &Graph,
    mem: &MemPages,
    map: &Map,
    inserter: &mut Inserter,
    tid: Tid,
) -> Result<(), Error> {
    let params = &index.meta.params;
    let vector = vector_of::<E>(tid, params.dims);
    let point = unit(params.metric == Metric::Cosine, &vector, params.dims);
    let (stored, size) = match params.code {
        GraphCode::Flat if params.element == Bits::TAG => (Stored::None, 0),
        GraphCode::Flat => (Stored::Flat, size_of_val(&vector[..])),
        GraphCode::SqFp16 => (Stored::SqFp16, 2 * vector.len()),
        GraphCode::Sq8 => (Stored::None, 0),
    };
    let mut bytes = vec![0; size];
    stored.put(&vector, &mut bytes);
    let attributes = &attributes_of(tid, &params.attributes);
    let row = Row { tid, stored: &bytes, point: &point, attributes };
    inserter.insert(mem, &index.view(map), &row)
}
