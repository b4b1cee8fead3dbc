//! An index as a file of FAISS: what is the same for lists and graphs. All rows are those of one snapshot, the caller's, as in a query.

use ann::Metric;
use half::f16;
use pgrx::{PgSqlErrorCode, pg_sys};

use super::assembly::Assembly;
use super::rows::{KeyColumn, RowReader};
use super::{graph, lists};
use crate::am::opclass::{ElementType, opclass_of};
use crate::am::pages::PgPages;
use crate::am::progress::{Phase, Shown, set_phase};
use crate::am::rel;
use crate::am::relation::{Index, cached_index};
use crate::am::report::Report;
use crate::am::rights;
use crate::am::value::Column;

/// What is wanted of a file.
pub struct Wanted {
    /// The column whose values are the ids.
    pub key: String,
    /// Whether the vectors themselves go with lossy codes; None: if the index has them.
    pub refine: Option<bool>,
}

/// An index that is being exported.
pub struct Exporting<'a> {
    pub index: pg_sys::Relation,
    pub pages: &'a PgPages,
    pub scan: pg_sys::IndexScanDesc,
    pub key: KeyColumn,
}

impl Exporting<'_> {
    /// What reads the rows.
    pub fn rows(&self, dims: usize) -> RowReader {
        // SAFETY: the scan lives as long as the export; the key is a column of its table.
        unsafe { RowReader::new(self.scan, self.key, dims) }
    }
}

/// The index as a file.
///
/// # Safety
/// Table and index must be open and locked, the index one of ours on the table and built, and a snapshot active.
pub unsafe fn export(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    wanted: &Wanted,
) -> Assembly {
    let key = KeyColumn::of(table, &wanted.key);
    let element = opclass_of(index).element;
    match element {
        ElementType::F32 | ElementType::F16 => {}
        ElementType::Bit => no_bits(index),
        ElementType::Sparse => no_sparse(index),
    }
    let _shown = {
        // SAFETY: open relations.
        let (table, index, method) =
            unsafe { ((*table).rd_id, (*index).rd_id, (*(*index).rd_rel).relam) };
        Shown::start(table, method).about(index)
    };
    set_phase(Phase::ReadingRows);
    let work = || {
        // SAFETY: the caller's promise; the scan is ended when all is read, or by the abort.
        unsafe {
            let snapshot = pg_sys::GetActiveSnapshot();
            #[cfg(feature = "pg18")]
            let scan = pg_sys::index_beginscan(table, index, snapshot, std::ptr::null_mut(), 0, 1);
            #[cfg(not(feature = "pg18"))]
            let scan = pg_sys::index_beginscan(table, index, snapshot, 0, 1);
            let pages = PgPages::new(index);
            let exporting = Exporting { index, pages: &pages, scan, key };
            let file = match element {
                ElementType::F16 => file_of::<f16>(&exporting, wanted),
                _ => file_of::<f32>(&exporting, wanted),
            };
            pg_sys::index_endscan(scan);
            file
        }
    };
    let file = match rel::key_column(index) {
        // The index's expression runs with the rights of who wrote it.
        None => rights::as_owner(table, work),
        Some(_) => work(),
    };
    set_phase(Phase::WritingFile);
    file
}

fn file_of<E: Column>(exporting: &Exporting<'_>, wanted: &Wanted) -> Assembly {
    match cached_index(exporting.index, exporting.pages) {
        Index::Lists(ivf) => lists::file::<E>(exporting, &ivf, wanted),
        Index::Graph(graph) => graph::file::<E>(exporting, &graph),
    }
}

/// Divides vectors by their norm where the metric does. FAISS has the inner product of such vectors for the cosine distance.
pub fn as_faiss_has_them(metric: Metric, dims: usize, points: &mut [f32]) {
    if metric == Metric::Cosine {
        points.chunks_exact_mut(dims.max(1)).for_each(ann::extent::normalize);
    }
}

fn no_sparse(index: pg_sys::Relation) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        format!("index \"{}\" is over sparsevec and cannot be exported", rel::name(index)),
    )
    .detail("FAISS has no files for sparse vectors.")
    .hint("Index an expression that makes vectors of them, as (embedding::vector(384)), and export that index.")
    .error()
}

fn no_bits(index: pg_sys::Relation) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        format!("index \"{}\" is over bits and cannot be exported", rel::name(index)),
    )
    .detail("FAISS has files of another kind for its binary indexes.")
    .error()
}
