//! A pass over the table for a build: the server's scan (visibility, HOT chains, predicate,
//! expressions) with a Rust closure for each row.

use std::ffi::c_void;

use pages::tid::Tid;
use pgrx::{pg_guard, pg_sys};

use super::opclass::{n_columns, vector_column};
use super::rel::{self, tid_of};
use super::report::wrong_dimensions;
use super::value::{Column, Value};

/// MaxHeapTuplesPerPage: what fits an 8 kB page at 28 bytes a row.
const HEAP_TUPLES_PER_PAGE_MAX: u64 = 291;

/// The table and index of a running build.
pub struct Heap {
    heap: pg_sys::Relation,
    index: pg_sys::Relation,
    info: *mut pg_sys::IndexInfo,
}

/// The values of all columns of a row, and which are null.
pub type Columns<'a> = (&'a [pg_sys::Datum], &'a [bool]);

/// What the server carries to each call of `visit`.
struct Visitor<'a> {
    vector: usize,
    n_columns: usize,
    row: &'a mut dyn FnMut(Tid, pg_sys::Datum, Columns<'_>),
}

impl Heap {
    /// # Safety
    /// The arguments of `ambuild`, used only while it runs.
    pub unsafe fn new(
        heap: pg_sys::Relation,
        index: pg_sys::Relation,
        info: *mut pg_sys::IndexInfo,
    ) -> Self {
        Self { heap, index, info }
    }

    pub fn index(&self) -> pg_sys::Relation {
        self.index
    }

    /// The table's length.
    pub fn n_blocks(&self) -> u32 {
        rel::n_blocks(self.heap)
    }

    /// An upper bound of the rows, from the table's length.
    pub fn rows_max(&self) -> u64 {
        u64::from(self.n_blocks()) * HEAP_TUPLES_PER_PAGE_MAX
    }

    /// Calls `row` with each non-null vector that belongs into the index; returns the table's live
    /// rows as the server counts them. `row` must look at the datum during the call only.
    pub fn scan(&self, mut row: impl FnMut(Tid, pg_sys::Datum), report_progress: bool) -> f64 {
        self.scan_columns(|tid, vector, _| row(tid, vector), report_progress)
    }

    /// As `scan`, with the values of all columns.
    pub fn scan_columns(
        &self,
        mut row: impl FnMut(Tid, pg_sys::Datum, Columns<'_>),
        report_progress: bool,
    ) -> f64 {
        let (vector, _) = vector_column(self.index);
        let mut visitor = Visitor { vector, n_columns: n_columns(self.index), row: &mut row };
        // SAFETY: `visit` gets back the visitor, which outlives the scan.
        unsafe {
            pg_sys::table_index_build_scan(
                self.heap,
                self.index,
                self.info,
                true,
                report_progress,
                Some(visit),
                (&raw mut visitor).cast(),
                std::ptr::null_mut(),
            )
        }
    }

    /// The vector in `value`, whose dimension must be the index's.
    ///
    /// # Safety
    /// `value` must be a vector of element type `E`, valid for `'a`.
    pub unsafe fn vector<'a, E: Column>(value: pg_sys::Datum, dims: usize) -> E::Value<'a> {
        // SAFETY: the caller's promise.
        let vector = unsafe { E::read(value) };
        if vector.dims() != dims {
            wrong_dimensions(dims, vector.dims());
        }
        vector
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn visit(
    _index: pg_sys::Relation,
    pointer: pg_sys::ItemPointer,
    values: *mut pg_sys::Datum,
    isnull: *mut bool,
    _alive: bool,
    state: *mut c_void,
) {
    // SAFETY: the server passes one value per column, a valid tid and our visitor. Rows that are
    // dead but still visible to someone are indexed like the others.
    unsafe {
        let visitor = &mut *state.cast::<Visitor>();
        if !*isnull.add(visitor.vector) {
            let nulls = std::slice::from_raw_parts(isnull, visitor.n_columns);
            let values = std::slice::from_raw_parts(values, visitor.n_columns);
            let vector = values.get(visitor.vector).copied().unwrap_or(pg_sys::Datum::null());
            (visitor.row)(tid_of(pointer), vector, (values, nulls));
        }
    }
}
