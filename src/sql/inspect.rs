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
use pgrx::{PgSqlErrorCode, name, pg_sys};

use crate::am::method::{FAISSIVF, Method, method_of};
use crate::am::options::IvfOptions;
use crate::am::pages::PgPages;
use crate::am::rel;
use crate::am::relation::ivf_index;
use crate::am::report::{Report, checked};

/// How often a check on a standby, where replay cannot be held off, must find the same damage.
const STANDBY_ROUNDS: usize = 3;

/// An index of ours, open and locked until dropped.
struct OpenIndex {
    rel: pg_sys::Relation,
    lock: pg_sys::LOCKMODE,
    method: &'static Method,
}

impl OpenIndex {
    /// Opens `oid` if it is an index of ours whose table the caller may read. What may not be read is
    /// not locked either.
    fn new(oid: pg_sys::Oid, lock: u32) -> Self {
        require_privilege(table_of(oid));
        let lock = lock as pg_sys::LOCKMODE;
        // SAFETY: index_open raises an error for anything but an index.
        let rel = unsafe { pg_sys::index_open(oid, lock) };
        let mut index = Self { rel, lock, method: &FAISSIVF };
        index.method = index.require_ours();
        index
    }

    fn require_ours(&self) -> &'static Method {
        let name = rel::name(self.rel);
        // SAFETY: an open relation.
        let (partitioned, other_temp) = unsafe {
            let relation = &*self.rel;
            let kind = (*relation.rd_rel).relkind as u8;
            let temp = (*relation.rd_rel).relpersistence as u8 == pg_sys::RELPERSISTENCE_TEMP;
            (kind == pg_sys::RELKIND_PARTITIONED_INDEX, temp && !relation.rd_islocaltemp)
        };
        if partitioned {
            Report::new(
                PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
                format!("index \"{name}\" is partitioned and has no pages"),
            )
            .hint("Name the index of one partition.")
            .error();
        }
        let Some(method) = method_of(self.rel) else {
            Report::new(
                PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
                format!("\"{name}\" is not a FAISS index"),
            )
            .hint("FAISS indexes have access method faissivf or faissflat.")
            .error();
        };
        if other_temp {
            Report::new(
                PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
                "cannot access temporary indexes of other sessions",
            )
            .error();
        }
        method
    }

    /// As of FAISS's IndexFlat: without lists only a code is trained, if one is asked for.
    fn has_nothing_to_train(&self) -> bool {
        !self.method.has_lists && IvfOptions::of(self.rel).code.is_none()
    }

    fn pages(&self) -> PgPages {
        // SAFETY: the relation stays open as long as self.
        unsafe { PgPages::new(self.rel) }
    }
}

impl Drop for OpenIndex {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: opened by us with this lock.
            unsafe { pg_sys::index_close(self.rel, self.lock) };
        }
    }
}

/// The table of an index. Raises 42P01 if there is no such relation, 42809 if it is no index.
fn table_of(index: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: answers InvalidOid for what is no index.
    let table = unsafe { pg_sys::IndexGetRelation(index, true) };
    if table != pg_sys::InvalidOid {
        return table;
    }
    match relation_name(index) {
        Some(name) => Report::new(
            PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
            format!("\"{name}\" is not an index"),
        ),
        None => Report::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE,
            format!("relation with OID {} does not exist", index.to_u32()),
        ),
    }
    .error()
}

/// Raises 42501 if the caller may not read `table`.
fn require_privilege(table: pg_sys::Oid) {
    let mode = pg_sys::AclMode::from(pg_sys::ACL_SELECT);
    // SAFETY: looks up catalogs only.
    let result = unsafe { pg_sys::pg_class_aclcheck(table, pg_sys::GetUserId(), mode) };
    if result != pg_sys::AclResult::ACLCHECK_OK {
        let name = relation_name(table).unwrap_or_default();
        Report::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("permission denied for table {name}"),
        )
        .error();
    }
}

fn relation_name(oid: pg_sys::Oid) -> Option<String> {
    // SAFETY: get_rel_name answers with null or a NUL-terminated copy.
    unsafe {
        let name = pg_sys::get_rel_name(oid);
        (!name.is_null()).then(|| std::ffi::CStr::from_ptr(name).to_string_lossy().into_owned())
    }
}

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
        None,
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
