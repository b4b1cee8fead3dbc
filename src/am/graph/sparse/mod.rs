//! Graphs over `sparsevec`: what the callbacks do with them.
//!
//! Nothing is trained, so that an index is a graph from its first row on, and also without any. `build.rs` CREATE INDEX,
//! `rows.rs` its rows in memory, `recall.rs` what recall costs on what it wrote.

mod build;
mod recall;
mod rows;

pub use build::{build, build_empty};
pub use recall::Neighbours;

use ann::hnsw::SparseQuery;
use ann::kernels::sparse::Sparse;
use ann::metric::Metric;
use pages::hnsw::sparse::STORED_MAX;
use pages::tid::Tid;
use pgrx::{PgSqlErrorCode, pg_sys};

use crate::am::datum::sparse::SparseVarlena;
use crate::am::method::{Method, method_of};
use crate::am::options::IvfOptions;
use crate::am::pages::PgPages;
use crate::am::relation::{Index, cached_index};
use crate::am::report::{Report, checked, wrong_dimensions};

/// Raises 22023 for what no index over sparse vectors is.
pub fn require_fit(method: &Method, options: &IvfOptions) {
    let code = options.graph.and_then(|graph| graph.code);
    let (what, hint) = match code {
        _ if !method.is_graph => {
            (format!("access method \"{}\"", method.name), "Use access method faisshnsw or hnsw.")
        }
        Some(code) => (
            format!("code \"{}\"", code.name()),
            "Use code flat: vectors are stored by their elements other than zero.",
        ),
        None => return,
    };
    Report::new(
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        format!("{what} does not support operator classes for sparsevec"),
    )
    .hint(hint)
    .error()
}

/// A value that is to be indexed; None under cosine for one without elements, which has no direction.
///
/// Errors: 22000 for other dimensions, 54000 for more elements than a graph takes.
///
/// # Safety
/// `value` must be a non-null `sparsevec` and outlive the result.
unsafe fn indexed<'a>(
    index: pg_sys::Relation,
    value: pg_sys::Datum,
    (metric, dims): (Metric, usize),
) -> Option<SparseVarlena<'a>> {
    // SAFETY: the caller's promise.
    let vector = unsafe { SparseVarlena::from_datum(value) };
    if vector.dims() != dims {
        wrong_dimensions(dims, vector.dims());
    }
    let stored = vector.indices().len();
    if stored > STORED_MAX {
        too_many_elements(index, stored);
    }
    (metric != Metric::Cosine || stored > 0).then_some(vector)
}

fn too_many_elements(index: pg_sys::Relation, stored: usize) -> ! {
    let method = method_of(index).map_or("hnsw", |method| method.name);
    Report::new(
        PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        format!("sparsevec cannot have more than {STORED_MAX} non-zero elements for {method} index"),
    )
    .detail(format!("It has {stored}."))
    .hint("Keep the largest elements only, or index those rows only that have few: CREATE INDEX ... WHERE.")
    .error()
}

/// `aminsert`: adds a row.
///
/// # Safety
/// `index` must be open, and `value` a non-null `sparsevec`.
pub unsafe fn insert(
    index: pg_sys::Relation,
    tid: Tid,
    (value, attributes): (pg_sys::Datum, &[u8]),
) {
    // SAFETY: the caller's promise.
    let mut pages = unsafe { PgPages::new(index) };
    let cached = cached_index(index, &pages);
    pages.remember(cached.recent());
    // Nothing else is built over sparse vectors.
    let Index::Graph(graph) = &cached else { return };
    // SAFETY: the caller's promise.
    let vector = unsafe { indexed(index, value, cached.metric_and_dims()) };
    if let Some(vector) = vector {
        checked(index, graph.insert_sparse(&pages, tid, (vector.elements(), attributes)));
    }
}

/// A query, of any number of elements: one of zeros for NULL.
///
/// Errors: 22000 for other dimensions, as the operator says it.
///
/// # Safety
/// `value` must be a `sparsevec`.
pub unsafe fn query_of(
    (metric, dims): (Metric, usize),
    value: Option<pg_sys::Datum>,
) -> SparseQuery {
    let Some(value) = value else { return SparseQuery::new(metric, Sparse::default()) };
    // SAFETY: the caller's promise.
    let vector = unsafe { SparseVarlena::from_datum(value) };
    if vector.dims() != dims {
        Report::new(
            PgSqlErrorCode::ERRCODE_DATA_EXCEPTION,
            format!("different sparsevec dimensions {dims} and {}", vector.dims()),
        )
        .error();
    }
    SparseQuery::new(metric, vector.elements())
}
