//! `faiss.index_info`, `faiss.list_info`: what an index holds, from psql.

use ann::Metric;
use ann::codec::CodeKind;
use ann::element::{Bits, Element};
use ann::factory::{Factory, Refine, RotationKind};
use ann::kernels::sparse;
use pages::geometry::Geometry;
use pages::lists::info::{self, ListInfo};
use pages::lists::meta::{FORMAT_VERSION, Meta};
use pages::store::Pages;
use pages::{ModelName, hnsw};
use pgrx::iter::TableIterator;
use pgrx::prelude::*;
use pgrx::{name, pg_sys};

use super::curve;
use super::open_index::OpenIndex;
use crate::am::graph::HnswIndex;
use crate::am::guc;
use crate::am::opclass::opclass_of;
use crate::am::options::options_of;
use crate::am::pages::PgPages;
use crate::am::rel;
use crate::am::relation::{Index, cached_index};
use crate::am::report::checked;

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity, reason = "a row type must stand in the signature")]
fn index_info(
    index: pg_sys::Oid,
) -> TableIterator<
    'static,
    (
        name!(method, String),
        name!(factory, Option<String>),
        name!(metric, String),
        name!(dims, Option<i32>),
        name!(element_type, String),
        name!(is_trained, bool),
        name!(trained_rows, i64),
        name!(ntotal, i64),
        name!(ndead, i64),
        name!(code_size, Option<i32>),
        name!(bytes, i64),
        name!(bytes_per_vector, Option<f64>),
        name!(nlist, Option<i32>),
        name!(imbalance_factor, Option<f64>),
        name!(model, Option<String>),
        name!(seed, i64),
        name!(format_version, Option<i32>),
        name!(is_valid, bool),
        name!(recall_target, f64),
        name!(search, Option<String>),
    ),
> {
    let Some(open) = OpenIndex::look(index, pg_sys::AccessShareLock) else {
        return TableIterator::empty();
    };
    let pages = open.pages();
    let info = match open.is_built().then(|| cached_index(open.rel, &pages)) {
        Some(Index::Lists(ivf)) => Info::of_lists(&open, &pages, &ivf.meta),
        Some(Index::Graph(graph)) => Info::of_graph(&open, &pages, &graph),
        None => Info::of_options(&open),
    };
    let n_blocks = checked(open.rel, pages.n_blocks());
    let bytes = i64::from(n_blocks) * i64::from(pg_sys::BLCKSZ);
    TableIterator::once((
        open.method.name.to_owned(),
        info.factory.map(|factory| shown(&factory, info.element)),
        info.metric.name().to_owned(),
        info.dims.map(|dims| dims as i32),
        type_of(info.element).to_owned(),
        info.is_trained,
        info.trained_rows as i64,
        info.ntotal as i64,
        info.ndead as i64,
        info.code_size.map(|bytes| bytes as i32),
        bytes,
        (info.ntotal > 0).then(|| bytes as f64 / info.ntotal as f64),
        info.nlist.map(|nlist| nlist as i32),
        info.imbalance_factor.filter(|_| info.ntotal > 0),
        info.model.map(|name| name.to_string()),
        info.seed as i64,
        info.format_version.map(i32::from),
        open.is_valid(),
        guc::recall_target_for(&options_of(open.rel)),
        open.is_built().then(|| curve::settings_now(&open)).flatten(),
    ))
}

/// What there is to say of an index.
struct Info {
    /// None before there are pages, as what else only they say.
    factory: Option<Factory>,
    metric: Metric,
    dims: Option<usize>,
    element: u8,
    is_trained: bool,
    trained_rows: u64,
    ntotal: u64,
    ndead: u64,
    code_size: Option<usize>,
    /// None for graphs, as the factor.
    nlist: Option<usize>,
    imbalance_factor: Option<f64>,
    model: Option<ModelName>,
    seed: u64,
    format_version: Option<u16>,
}

impl Info {
    fn of_lists(open: &OpenIndex, pages: &PgPages, meta: &Meta) -> Self {
        let lists = lists_of(open, pages, meta);
        let totals = info::totals(&lists);
        // A graph of too few rows is a list in no sense that matters to the user.
        let is_of_lists = !open.method.is_graph;
        Self {
            factory: Some(factory_of(open, meta)),
            metric: meta.metric(),
            dims: Some(meta.dims()),
            element: meta.lists.params.element,
            is_trained: meta.is_trained() || open.has_nothing_to_train(),
            trained_rows: meta.trained_rows,
            ntotal: totals.ntotal,
            ndead: totals.ndead,
            code_size: Some(code_size(meta)),
            nlist: is_of_lists.then_some(meta.nlist()),
            imbalance_factor: is_of_lists.then_some(totals.imbalance_factor),
            model: meta.model,
            seed: meta.seed,
            format_version: Some(FORMAT_VERSION),
        }
    }

    /// What is known while the index is being built, or where its build failed.
    fn of_options(open: &OpenIndex) -> Self {
        let class = opclass_of(open.rel);
        Self {
            factory: None,
            metric: class.metric,
            dims: rel::declared_dims(open.rel),
            element: class.element.tag(),
            is_trained: false,
            trained_rows: 0,
            ntotal: 0,
            ndead: 0,
            code_size: None,
            nlist: None,
            imbalance_factor: None,
            model: None,
            seed: options_of(open.rel).seed,
            format_version: None,
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
            factory: Some(graph_factory(params.m as u16, code)),
            metric: params.metric,
            dims: Some(params.dims),
            element: params.element,
            is_trained: true,
            trained_rows: params.trained_rows,
            ntotal: totals.ntotal,
            ndead: totals.ndead,
            code_size: match code {
                Some(code) => Some(code.code_size(params.dims)),
                // Rows are of any length.
                None if params.is_sparse() => None,
                None => Some(column_bytes(params.dims, params.element)),
            },
            nlist: None,
            imbalance_factor: None,
            model: None,
            seed: params.seed,
            format_version: Some(hnsw::meta::FORMAT_VERSION),
        }
    }
}

fn lists_of(open: &OpenIndex, pages: &PgPages, meta: &Meta) -> Vec<ListInfo> {
    checked(open.rel, info::list_info(pages, &meta.lists))
}

/// The canonical factory string of what was built; of a list that is to be a graph, of what it is to be.
fn factory_of(open: &OpenIndex, meta: &Meta) -> Factory {
    if let Some(graph) = options_of(open.rel).graph {
        return graph_factory(graph.m, graph.code);
    }
    let params = meta.code();
    Factory {
        normalize: params.is_some_and(|p| p.normalize),
        rotation: params.map_or(RotationKind::None, |p| p.rotation),
        graph: None,
        nlist: open.method.has_lists.then_some(meta.nlist() as u32),
        code: params.map(|p| p.kind),
        refine: params.map_or(Refine::Heap, |p| p.refine),
    }
}

/// As FAISS writes it: an index of bits is a binary one, which has no code.
fn shown(factory: &Factory, element: u8) -> String {
    let text = factory.to_string();
    match element {
        Bits::TAG if factory.nlist.is_some() || factory.graph.is_some() => {
            format!("B{}", text.trim_end_matches(",Flat"))
        }
        Bits::TAG => format!("B{text}"),
        _ => text,
    }
}

fn graph_factory(m: u16, code: Option<CodeKind>) -> Factory {
    let (normalize, rotation, refine) = (false, RotationKind::None, Refine::Heap);
    Factory { normalize, rotation, graph: Some(m), nlist: None, code, refine }
}

/// Bytes of a vector's code, as FAISS counts them.
/// Bytes of a vector as the column has it.
fn column_bytes(dims: usize, element: u8) -> usize {
    Geometry::of_column(dims, element).map_or(0, |geometry| geometry.vector_size())
}

fn code_size(meta: &Meta) -> usize {
    match meta.code() {
        Some(code) => code.kind.code_size(meta.dims()),
        None => column_bytes(meta.dims(), meta.lists.params.element),
    }
}

/// The SQL name of the type with these elements.
fn type_of(element: u8) -> &'static str {
    match element {
        half::f16::TAG => "halfvec",
        Bits::TAG => "bit",
        sparse::TAG => "sparsevec",
        _ => "vector",
    }
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
    let Some(open) = OpenIndex::look(index, pg_sys::AccessShareLock) else {
        return TableIterator::empty();
    };
    if !open.is_built() {
        open.not_valid().notice();
        return TableIterator::empty();
    }
    let pages = open.pages();
    // A graph has no lists.
    let Index::Lists(ivf) = cached_index(open.rel, &pages) else {
        return TableIterator::empty();
    };
    let lists = lists_of(&open, &pages, &ivf.meta);
    let metric = ivf.meta.metric();
    let has_centroids = ivf.meta.is_trained() && open.method.has_lists;
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
        Metric::InnerProduct | Metric::L1 | Metric::Hamming | Metric::Jaccard => radius,
        Metric::Cosine => 1.0 + radius,
    }
}
