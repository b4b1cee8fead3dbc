//! `faiss.index_info`, `faiss.list_info`, `faiss.check`: what an index holds, from psql.

use ann::Metric;
use ann::factory::{Factory, Refine, RotationKind};
use pages::coded;
use pages::ivf::check::{self, Problem, Severity};
use pages::ivf::info::{self, ListInfo};
use pages::meta::{FORMAT_VERSION, Meta};
use pages::store::Pages;
use pgrx::iter::TableIterator;
use pgrx::prelude::*;
use pgrx::{name, pg_sys};

use super::open_index::OpenIndex;
use crate::am::method::Method;
use crate::am::pages::PgPages;
use crate::am::relation::ivf_index;
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
        name!(nlist, i32),
        name!(imbalance_factor, Option<f64>),
        name!(model, Option<String>),
        name!(seed, i64),
        name!(format_version, i32),
    ),
> {
    let open = OpenIndex::new(index, pg_sys::AccessShareLock);
    let pages = open.pages();
    let ivf = ivf_index(open.rel, &pages);
    let meta = &ivf.meta;
    let lists = lists_of(&open, &pages, meta);
    let totals = info::totals(&lists);
    let n_blocks = checked(open.rel, pages.n_blocks());
    let bytes = i64::from(n_blocks) * i64::from(pg_sys::BLCKSZ);
    let ntotal = totals.ntotal as i64;
    let (_, element_type) = element(meta);
    TableIterator::once((
        open.method.name.to_owned(),
        factory_of(meta, open.method).to_string(),
        meta.metric.name().to_owned(),
        meta.dims as i32,
        element_type.to_owned(),
        meta.is_trained || open.has_nothing_to_train(),
        meta.trained_rows as i64,
        ntotal,
        totals.ndead as i64,
        code_size(meta) as i32,
        bytes,
        (ntotal > 0).then(|| bytes as f64 / ntotal as f64),
        meta.nlist as i32,
        (ntotal > 0).then_some(totals.imbalance_factor),
        meta.model.map(|name| name.to_string()),
        meta.seed as i64,
        i32::from(FORMAT_VERSION),
    ))
}

fn lists_of(open: &OpenIndex, pages: &PgPages, meta: &Meta) -> Vec<ListInfo> {
    let lists = match meta.coded {
        Some(_) => coded::info::list_info(pages, meta),
        None => info::list_info(pages, meta),
    };
    checked(open.rel, lists)
}

/// The canonical factory string of what was built.
fn factory_of(meta: &Meta, method: &Method) -> Factory {
    let params = meta.coded.map(|coded| coded.params);
    Factory {
        normalize: params.is_some_and(|p| p.normalize),
        rotation: params.map_or(RotationKind::None, |p| p.rotation),
        graph: None,
        nlist: method.has_lists.then_some(meta.nlist as u32),
        code: params.map(|p| p.kind),
        refine: params.map_or(Refine::Heap, |p| p.refine),
    }
}

/// Bytes of a vector's code, as FAISS counts them.
fn code_size(meta: &Meta) -> usize {
    match meta.coded {
        Some(coded) => coded.params.kind.code_size(meta.dims),
        None => meta.dims * element(meta).0,
    }
}

/// Bytes of an element and the SQL name of the type.
fn element(meta: &Meta) -> (usize, &'static str) {
    use ann::element::Element;
    if meta.element == half::f16::TAG { (2, "halfvec") } else { (4, "vector") }
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
    let ivf = ivf_index(open.rel, &pages);
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
    let lock = if standby { pg_sys::AccessShareLock } else { pg_sys::ShareLock };
    let open = OpenIndex::new(index, lock);
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
    let mut problems = check::check(pages);
    problems.retain(|p| p.severity == Severity::Damage);
    problems
}
