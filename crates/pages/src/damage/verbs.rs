//! Everything that can be asked of an index. The errors are given back; rows are counted by [`count`].

use ann::codec::Stored;
use ann::element::{Bits, Element};
use ann::metric::Metric;
use half::f16;

use super::marks::mark;
use super::opened::{Code, Graph, Lists, Opened, unit};
use super::rows::{Table, fill, tid_no, vector_of};
use crate::coded;
use crate::coded::exact::{ExactQuery, StoredRows};
use crate::coded::rerank::{Budget, CodedScan, RerankParams};
use crate::error::Error;
use crate::hnsw::insert::{Inserter, Row};
use crate::hnsw::rows::{NodeBits, NodeRows};
use crate::hnsw::scan::{GraphParams, GraphScan};
use crate::hnsw::{self, Code as GraphCode, Map, View};
use crate::ivf;
use crate::ivf::probe::Probe;
use crate::ivf::scan::batch::{BatchParams, first_tranches};
use crate::ivf::scan::{Iterative, Scan, SearchParams};
use crate::mem::MemPages;
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
        Opened::Lists(index) if index.meta.element == f16::TAG => lists::<f16>(index, mem, order),
        Opened::Lists(index) if index.meta.element == Bits::TAG => lists::<Bits>(index, mem, order),
        Opened::Lists(index) => lists::<f32>(index, mem, order),
        Opened::Graph(index) if index.meta.params.element == f16::TAG => {
            graph::<f16>(index, mem, order)
        }
        Opened::Graph(index) if index.meta.params.element == Bits::TAG => {
            graph::<Bits>(index, mem, order)
        }
        Opened::Graph(index) => graph::<f32>(index, mem, order),
    }
}

/// Inserts rows `first` .. `first + n`, each whatever became of the one before. The first error.
pub fn insert(index: &Opened, mem: &MemPages, first: u32, n: u32) -> Result<(), Error> {
    let tids = || (first..first + n).map(tid_no);
    match index {
        Opened::Lists(index) if index.meta.element == f16::TAG => {
            tids().map(|tid| into_list::<f16>(index, mem, tid)).fold(Ok(()), Result::and)
        }
        Opened::Lists(index) if index.meta.element == Bits::TAG => {
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
                _ => into_graph::<f32>(index, mem, &map, &mut inserter, tid),
            };
            tids().map(&mut put).fold(Ok(()), Result::and)
        }
    }
}

/// Removes rows.
pub fn vacuum(index: &Opened, mem: &MemPages, is_dead: impl Fn(Tid) -> bool) -> Result<(), Error> {
    match index {
        Opened::Lists(index) if index.code.is_some() => {
            coded::vacuum::bulk_delete(mem, &index.meta, is_dead).map(drop)
        }
        Opened::Lists(index) => ivf::vacuum::bulk_delete(mem, &index.meta, is_dead).map(drop),
        Opened::Graph(index) => {
            let map = Map::read(mem, &index.meta)?;
            hnsw::vacuum::bulk_delete(mem, &index.view(&map), is_dead).map(drop)
        }
    }
}

/// What inspection counts.
fn counts(index: &Opened, mem: &MemPages, errors: &mut Vec<Error>) {
    match index {
        Opened::Lists(index) if index.code.is_some() => {
            errors.extend(coded::info::list_info(mem, &index.meta).err());
            errors.extend(coded::vacuum::stats(mem, &index.meta).err());
        }
        Opened::Lists(index) => {
            let lists = ivf::info::list_info(mem, &index.meta);
            errors.extend(lists.map(|lists| ivf::info::totals(&lists)).err());
            errors.extend(ivf::vacuum::stats(mem, &index.meta).err());
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
fn drain<T>(mut next: impl FnMut() -> Result<Option<T>, Error>) -> Result<usize, Error> {
    let mut n = 0;
    while next()?.is_some() {
        n += 1;
        assert!(n < ROWS_MAX, "a scan does not end");
    }
    assert!(!matches!(next(), Ok(Some(_))), "a scan goes on after its end");
    Ok(n)
}

fn flat_params(iterative: Iterative) -> SearchParams {
    SearchParams {
        nprobe: 2,
        iterative,
        max_scan_tuples: u64::MAX,
        max_probes: usize::MAX,
        rows_wanted: None,
        memory: 0,
    }
}

fn coded_params(iterative: Iterative) -> RerankParams {
    RerankParams {
        nprobe: 2,
        iterative,
        max_scan_tuples: u64::MAX,
        max_probes: usize::MAX,
        budget: Budget::fixed(2),
        rows_wanted: None,
        memory: 0,
        is_exact: false,
    }
}

fn lists<E: Element>(index: &Lists, mem: &MemPages, order: Iterative) -> Result<usize, Error> {
    let (view, query) = (index.view(), query_of(index.meta.dims));
    let Some(code) = &index.code else {
        let mut scan = Scan::<Probe<E>>::new();
        scan.begin(&query, flat_params(order));
        return drain(|| scan.next(mem, &view));
    };
    let mut scan = CodedScan::new();
    scan.begin(&index.point(&query), coded_params(order));
    count_coded::<E>(index, code, mem, &mut scan, &query)
}

fn count_coded<E: Element>(
    index: &Lists,
    code: &Code,
    mem: &MemPages,
    scan: &mut CodedScan,
    query: &[f32],
) -> Result<usize, Error> {
    let (view, meta) = (index.view(), &index.meta);
    let exact = ExactQuery::new(meta.metric, query);
    let mut table = Table::<E>::new(&exact, meta.dims);
    match &code.stored {
        Stored::None => drain(|| scan.next(mem, &view, None, &mut table)),
        Stored::Flat => {
            let mut rows = StoredRows::new(mem, meta, |row: &[E]| exact.key(row))?;
            drain(|| scan.next(mem, &view, None, &mut rows))
        }
        Stored::SqFp16 => {
            let mut rows = StoredRows::new(mem, meta, |row: &[f16]| exact.key(row))?;
            drain(|| scan.next(mem, &view, Some(&mut rows), &mut table))
        }
        Stored::Sq8(sq) => {
            let key = |row: &[u8]| exact.key::<f32>(&sq.decode(row));
            let mut rows = StoredRows::new(mem, meta, key)?;
            drain(|| scan.next(mem, &view, Some(&mut rows), &mut table))
        }
    }
}

/// Two searches whose lists are read once, on worker threads of which there is one.
fn together(index: &Opened, mem: &MemPages) -> Result<(), Error> {
    match index {
        Opened::Lists(index) if index.meta.element == f16::TAG => lists_together::<f16>(index, mem),
        Opened::Lists(index) if index.meta.element == Bits::TAG => {
            lists_together::<Bits>(index, mem)
        }
        Opened::Lists(index) => lists_together::<f32>(index, mem),
        Opened::Graph(_) => Ok(()),
    }
}

fn lists_together<E: Element>(index: &Lists, mem: &MemPages) -> Result<(), Error> {
    let params = BatchParams { threads: 1, memory: 0 };
    let (view, query) = (index.view(), query_of(index.meta.dims));
    let Some(code) = &index.code else {
        let mut scans = [Scan::<Probe<E>>::new(), Scan::new()];
        scans.iter_mut().for_each(|scan| scan.begin(&query, flat_params(Iterative::Strict)));
        let found = first_tranches(mem, &view, &mut scans.iter_mut().collect::<Vec<_>>(), params);
        return found.and_then(|()| drain(|| scans[0].next(mem, &view)).map(drop));
    };
    let mut scans = [CodedScan::new(), CodedScan::new()];
    let point = index.point(&query);
    scans.iter_mut().for_each(|scan| scan.begin(&point, coded_params(Iterative::Strict)));
    coded::rerank::first_tranches(mem, &view, &mut scans, params)?;
    count_coded::<E>(index, code, mem, &mut scans[0], &query).map(drop)
}

fn into_list<E: Element>(index: &Lists, mem: &MemPages, tid: Tid) -> Result<(), Error> {
    let vector = vector_of::<E>(tid, index.meta.dims);
    let row = index.coded(&vector);
    let (list_no, coarse_distance) = (row.list_no, row.coarse_distance);
    let Some(code) = &index.code else {
        let norm = E::norm_sqr(&vector);
        return ivf::insert::insert(mem, &index.meta, list_no, tid, &vector, norm, coarse_distance);
    };
    let row = coded::insert::Row {
        list_no,
        tid,
        coarse_distance,
        code: &row.code,
        factors: &row.factors,
        vector: &row.vector,
    };
    coded::insert::insert(mem, &index.meta, &code.codec, &row)
}

impl Graph {
    pub(super) fn view<'a>(&'a self, map: &'a Map) -> View<'a> {
        View::new(&self.meta, &self.grid, map).trusting(true)
    }
}

fn graph<E: Element>(index: &Graph, mem: &MemPages, order: Iterative) -> Result<usize, Error> {
    let map = Map::read(mem, &index.meta)?;
    let (view, params) = (index.view(&map), &index.meta.params);
    let query = query_of(params.dims);
    let exact = ExactQuery::new(params.metric, &query);
    let mut table = Table::<E>::new(&exact, params.dims);
    let mut scan = GraphScan::new();
    let wide = GraphParams {
        ef: 8,
        iterative: order,
        max_scan_tuples: u64::MAX,
        rows_wanted: None,
        memory: 0,
        is_exact: false,
    };
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
    inserter.insert(mem, &index.view(map), &Row { tid, stored: &bytes, point: &point })
}
