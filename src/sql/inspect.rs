//! `faiss.index_info`, `faiss.list_info`, `faiss.check`: what an index holds, from psql.

use ann::Metric;
use ann::codec::CodeKind;
use ann::element::Element;
use ann::factory::{Factory, Refine, RotationKind};
use pages::ivf::check::{self, Problem, Severity};
use pages::ivf::info::{self, ListInfo};
use pages::meta::{FORMAT_VERSION, META_BLKNO, Meta, element_size};
use pages::store::Pages;
use pages::{ModelName, coded, hnsw};
use pgrx::iter::TableIterator;
use pgrx::prelude::*;
use pgrx::{name, pg_sys};

use super::open_index::OpenIndex;
use crate::am::graph::HnswIndex;
use crate::am::options::options_of;
use crate::am::pages::PgPages;
use crate::am::relation::{Index, frozen_index};
use crate::am::report::checked;

/// How often a check on a standby, where replay cannot be held off, must find the same damage.
const STANDBY_ROUNDS: usize = 3;

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity, reason = "a row type must stand in the signature")]
fn index_info(
    index: pg_sys::Oid,
) -> TableIterator<
    'static,
    (
        name!(method, String),
        name!(factory, String),
        name!(metric, String),
        name!(dims, i32),
        name!(element_type, String),
        name!(is_trained, bool),
        name!(trained_rows, i64),
        name!(ntotal, i64),
        name!(ndead, i64),
        name!(code_size, i32),
        name!(bytes, i64),
        name!(bytes_per_vector, Option<f64>),
        name!(nlist, Option<i32>),
        name!(imbalance_factor, Option<f64>),
        name!(model, Option<String>),
        name!(seed, i64),
        name!(format_version, i32),
    ),
> {
    let open = OpenIndex::new(index, pg_sys::AccessShareLock);
    let pages = open.pages();
    let info = match frozen_index(open.rel, &pages) {
        Index::Lists(ivf) => Info::of_lists(&open, &pages, &ivf.meta),
        Index::Graph(graph) => Info::of_graph(&open, &pages, &graph),
    };
    let n_blocks = checked(open.rel, pages.n_blocks());
    let bytes = i64::from(n_blocks) * i64::from(pg_sys::BLCKSZ);
    TableIterator::once((
        open.method.name.to_owned(),
        info.factory.to_string(),
        info.metric.name().to_owned(),
        info.dims as i32,
        type_of(info.element).to_owned(),
        info.is_trained,
        info.trained_rows as i64,
        info.ntotal as i64,
        info.ndead as i64,
        info.code_size as i32,
        bytes,
        (info.ntotal > 0).then(|| bytes as f64 / info.ntotal as f64),
        info.nlist.map(|nlist| nlist as i32),
        info.imbalance_factor.filter(|_| info.ntotal > 0),
        info.model.map(|name| name.to_string()),
        info.seed as i64,
        i32::from(info.format_version),
    ))
}

/// What there is to say of an index.
struct Info {
    factory: Factory,
    metric: Metric,
    dims: usize,
    element: u8,
    is_trained: bool,
    trained_rows: u64,
    ntotal: u64,
    ndead: u64,
    code_size: usize,
    /// None for graphs, as the factor.
    nlist: Option<usize>,
    imbalance_factor: Option<f64>,
    model: Option<ModelName>,
    seed: u64,
    format_version: u16,
}

impl Info {
    fn of_lists(open: &OpenIndex, pages: &PgPages, meta: &Meta) -> Self {
        let lists = lists_of(open, pages, meta);
        let totals = info::totals(&lists);
        // A graph of too few rows is a list in no sense that matters to the user.
        let is_of_lists = !open.method.is_graph;
        Self {
            factory: factory_of(open, meta),
            metric: meta.metric,
            dims: meta.dims,
            element: meta.element,
            is_trained: meta.is_trained || open.has_nothing_to_train(),
            trained_rows: meta.trained_rows,
            ntotal: totals.ntotal,
            ndead: totals.ndead,
            code_size: code_size(meta),
            nlist: is_of_lists.then_some(meta.nlist),
            imbalance_factor: is_of_lists.then_some(totals.imbalance_factor),
            model: meta.model,
            seed: meta.seed,
            format_version: FORMAT_VERSION,
        }
    }

    fn of_graph(open: &OpenIndex, pages: &PgPages, graph: &HnswIndex) -> Self {
        let params = &graph.meta.params;
        let totals = checked(open.rel, hnsw::info::totals(pages, &graph.view()));
        let code = match params.code {
            hnsw::Code::Flat => None,
            hnsw::Code::SqFp16 => Some(CodeKind::SqFp16),
            hnsw::Code::Sq8 => Some(CodeKind::Sq8),
        };
        Self {
            factory: graph_factory(params.m as u16, code),
            metric: params.metric,
            dims: params.dims,
            element: params.element,
            is_trained: true,
            trained_rows: params.trained_rows,
            ntotal: totals.ntotal,
            ndead: totals.ndead,
            code_size: match code {
                Some(code) => code.code_size(params.dims),
                None => params.dims * element_size(params.element).unwrap_or_default(),
            },
            nlist: None,
            imbalance_factor: None,
            model: None,
            seed: params.seed,
            format_version: hnsw::meta::FORMAT_VERSION,
        }
    }
}

fn lists_of(open: &OpenIndex, pages: &PgPages, meta: &Meta) -> Vec<ListInfo> {
    let lists = match meta.coded {
        Some(_) => coded::info::list_info(pages, meta),
        None => info::list_info(pages, meta),
    };
    checked(open.rel, lists)
}

/// The canonical factory string of what was built; of a list that is to be a graph, of what it is to be.
fn factory_of(open: &OpenIndex, meta: &Meta) -> Factory {
    if let Some(graph) = options_of(open.rel).graph {
        return graph_factory(graph.m, graph.code);
    }
    let params = meta.coded.map(|coded| coded.params);
    Factory {
        normalize: params.is_some_and(|p| p.normalize),
        rotation: params.map_or(RotationKind::None, |p| p.rotation),
        graph: None,
        nlist: open.method.has_lists.then_some(meta.nlist as u32),
        code: params.map(|p| p.kind),
        refine: params.map_or(Refine::Heap, |p| p.refine),
    }
}

fn graph_factory(m: u16, code: Option<CodeKind>) -> Factory {
    let (normalize, rotation, refine) = (false, RotationKind::None, Refine::Heap);
    Factory { normalize, rotation, graph: Some(m), nlist: None, code, refine }
}

/// Bytes of a vector's code, as FAISS counts them.
fn code_size(meta: &Meta) -> usize {
    match meta.coded {
        Some(coded) => coded.params.kind.code_size(meta.dims),
        None => meta.dims * element_size(meta.element).unwrap_or_default(),
    }
}

/// The SQL name of the type with these elements.
fn type_of(element: u8) -> &'static str {
    if element == half::f16::TAG { "halfvec" } else { "vector" }
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity, reason = "a row type must stand in the signature")]
fn list_info(
    index: pg_sys::Oid,
) -> TableIterator<
    'static,
    (
        name!(list_no, i32),
        name!(ntotal, i64),
        name!(ndead, i64),
        name!(pages, i64),
        name!(radius, Option<f64>),
    ),
> {
    let open = OpenIndex::new(index, pg_sys::AccessShareLock);
    let pages = open.pages();
    // A graph has no lists.
    let Index::Lists(ivf) = frozen_index(open.rel, &pages) else {
        return TableIterator::empty();
    };
    let lists = lists_of(&open, &pages, &ivf.meta);
    let metric = ivf.meta.metric;
    let has_centroids = ivf.meta.is_trained && open.method.has_lists;
    TableIterator::new(lists.into_iter().map(move |l| {
        let radius = l.radius.filter(|_| has_centroids).map(|r| shown_radius(metric, r));
        (l.list_no as i32, l.ntotal as i64, l.ndead as i64, l.pages as i64, radius)
    }))
}

/// The stored bound as a distance: Euclidean under L2, else cosine distance or negative inner
/// product.
fn shown_radius(metric: Metric, radius: f32) -> f64 {
    let radius = f64::from(radius);
    match metric {
        Metric::L2 => radius.max(0.0).sqrt(),
        Metric::InnerProduct | Metric::L1 => radius,
        Metric::Cosine => 1.0 + radius,
    }
}

#[pg_extern(sql = false)]
fn check(
    index: pg_sys::Oid,
) -> TableIterator<'static, (name!(blkno, i64), name!(problem, String))> {
    // Inserts and vacuum wait meanwhile, so that the pages can be held against each other. A
    // standby cannot lock replay out: there damage counts only if it stays.
    // SAFETY: asks a flag of the server.
    let standby = unsafe { pg_sys::RecoveryInProgress() };
    let open = match standby {
        true => OpenIndex::new(index, pg_sys::AccessShareLock),
        false => OpenIndex::without_writers(index),
    };
    let pages = open.pages();
    let mut found = damage(&pages);
    for _ in 1..if standby { STANDBY_ROUNDS } else { 1 } {
        if found.is_empty() {
            break;
        }
        let again = damage(&pages);
        found.retain(|p| again.contains(p));
    }
    TableIterator::new(found.into_iter().map(|p| (i64::from(p.blkno), p.what)))
}

/// Broken invariants; pages leaked by a crash are none.
fn damage(pages: &PgPages) -> Vec<Problem> {
    let is_graph = pages.read(META_BLKNO).is_ok_and(|page| hnsw::Meta::is_graph(&page));
    let mut problems = if is_graph { hnsw::check::check(pages) } else { check::check(pages) };
    problems.retain(|p| p.severity == Severity::Damage);
    problems
}
