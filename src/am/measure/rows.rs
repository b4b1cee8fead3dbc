//! The rows that belong into an index, as a snapshot sees them: a pass over the table, and single rows by tid.

use ann::Metric;
use pages::tid::Tid;
use pgrx::pg_sys;

use crate::am::insert::Placed;
use crate::am::interrupts::check_for_interrupts;
use crate::am::opclass::{OpclassInfo, vector_column};
use crate::am::rel;
use crate::am::report::wrong_dimensions;
use crate::am::value::{Column, Value};

/// The table below an index, opened for reading. An ERROR unwinds past it: then abort frees what it holds.
pub struct IndexedRows {
    pub heap: pg_sys::Relation,
    pub index: pg_sys::Relation,
    pub snapshot: pg_sys::Snapshot,
    metric: Metric,
    /// The vector's number among the index's columns, from 0.
    column: usize,
    pub dims: usize,
    slot: *mut pg_sys::TupleTableSlot,
    info: *mut pg_sys::IndexInfo,
    estate: *mut pg_sys::EState,
    row: *mut pg_sys::ExprContext,
    /// Null: every row belongs into the index.
    predicate: *mut pg_sys::ExprState,
}

impl IndexedRows {
    /// # Safety
    /// `heap` and `index` must be open, the latter one of ours on the former with `dims` dimensions, and `snapshot` an
    /// MVCC snapshot; all of them must outlive the result. The current memory context must, too.
    pub unsafe fn new(
        heap: pg_sys::Relation,
        index: pg_sys::Relation,
        snapshot: pg_sys::Snapshot,
        dims: usize,
    ) -> Self {
        let (column, OpclassInfo { metric, .. }) = vector_column(index);
        // SAFETY: the caller's promise; what is made here is freed on drop. The predicate's list lives in the
        // executor state's memory as long as its compiled form.
        unsafe {
            let estate = pg_sys::CreateExecutorState();
            let caller = pg_sys::MemoryContextSwitchTo((*estate).es_query_cxt);
            let info = pg_sys::BuildIndexInfo(index);
            let predicate = pg_sys::ExecPrepareQual((*info).ii_Predicate, estate);
            let row = pg_sys::MakePerTupleExprContext(estate);
            pg_sys::MemoryContextSwitchTo(caller);
            let slot = pg_sys::table_slot_create(heap, std::ptr::null_mut());
            (*row).ecxt_scantuple = slot;
            Self { heap, index, snapshot, metric, column, dims, slot, info, estate, row, predicate }
        }
    }

    /// Calls `each` with every row of the index: visible, within its predicate, neither NULL nor, under cosine, without
    /// direction. In the table's order; `each` sees the elements during the call only. Answers interrupts.
    ///
    /// Errors: 22000 for a vector of other dimensions; what the index's expressions raise.
    ///
    /// # Safety
    /// The operator class must be over vectors of `E`.
    pub unsafe fn scan<E: Column>(&mut self, mut each: impl FnMut(Tid, &[E])) {
        // SAFETY: the caller's promise.
        unsafe {
            self.scan_values(|rows, tid, value| {
                rows.elements(value, &mut |elements: &[E]| each(tid, elements));
            });
        }
    }

    /// Calls `each` with every row within the index's predicate and its value, which is not NULL and lives as long as the call.
    /// Otherwise as [`IndexedRows::scan`].
    ///
    /// # Safety
    /// As there, but for the operator class.
    pub unsafe fn scan_values(&mut self, mut each: impl FnMut(&Self, Tid, pg_sys::Datum)) {
        // SAFETY: open table and snapshot; no keys. Not synchronised with other scans: the order must not vary.
        let scan = unsafe {
            let no_keys = std::ptr::null_mut();
            pg_sys::table_beginscan_strat(self.heap, self.snapshot, 0, no_keys, true, false)
        };
        let forward = pg_sys::ScanDirection::ForwardScanDirection;
        // SAFETY: the slot is of this table's kind.
        while unsafe { pg_sys::table_scan_getnextslot(scan, forward, self.slot) } {
            check_for_interrupts();
            // SAFETY: the slot holds a row; the caller's promise.
            unsafe { self.look(&mut each) };
        }
        // SAFETY: begun above; the slot's pin is dropped before the scan's.
        unsafe {
            pg_sys::ExecClearTuple(self.slot);
            pg_sys::table_endscan(scan);
        }
    }

    /// Looks at the version of a row that a scan by this snapshot has found at `tid`; nothing if there is none.
    ///
    /// # Safety
    /// As [`IndexedRows::scan`].
    pub unsafe fn fetch<E: Column>(&mut self, tid: Tid, mut look: impl FnMut(&[E])) {
        // SAFETY: the caller's promise.
        unsafe { self.fetch_value(tid, |rows, value| rows.elements(value, &mut look)) };
    }

    /// As `fetch`, for a row's value.
    ///
    /// # Safety
    /// As [`IndexedRows::scan_values`].
    pub unsafe fn fetch_value(&mut self, tid: Tid, mut look: impl FnMut(&Self, pg_sys::Datum)) {
        let mut pointer = rel::pointer_of(tid);
        // SAFETY: an open table, a pointer of ours, a slot of the table's kind; the caller's promise.
        unsafe {
            let (heap, snapshot, slot) = (self.heap, self.snapshot, self.slot);
            if pg_sys::table_tuple_fetch_row_version(heap, &raw mut pointer, snapshot, slot) {
                self.look(&mut |rows, _, value| look(rows, value));
                pg_sys::ExecClearTuple(slot);
            }
        }
    }

    /// Shows the elements of a value that belongs into the index.
    ///
    /// # Safety
    /// It must be a vector of `E`.
    unsafe fn elements<E: Column>(&self, value: pg_sys::Datum, look: &mut impl FnMut(&[E])) {
        // SAFETY: the caller's promise.
        let vector = unsafe { E::read(value) };
        if vector.dims() != self.dims {
            wrong_dimensions(self.dims, vector.dims());
        }
        if let Some(placed) = Placed::new(self.metric, vector.elements()) {
            look(placed.elements);
        }
    }

    /// Passes the row in the slot on if it is within the index's predicate, and its value is not NULL.
    ///
    /// # Safety
    /// The slot must hold a row.
    unsafe fn look(&mut self, each: &mut impl FnMut(&Self, Tid, pg_sys::Datum)) {
        // SAFETY: the row's memory is reset before its next use; values and flags have room for every column that an
        // index can have.
        unsafe {
            let memory = (*self.row).ecxt_per_tuple_memory;
            pg_sys::MemoryContextReset(memory);
            if !pg_sys::ExecQual(self.predicate, self.row) {
                return;
            }
            let caller = pg_sys::MemoryContextSwitchTo(memory);
            let mut values = [pg_sys::Datum::null(); rel::COLUMNS_MAX];
            let mut nulls = [true; rel::COLUMNS_MAX];
            let (to, nulls_to) = (values.as_mut_ptr(), nulls.as_mut_ptr());
            pg_sys::FormIndexDatum(self.info, self.slot, self.estate, to, nulls_to);
            let value = values.get(self.column).zip(nulls.get(self.column));
            if let Some((value, false)) = value {
                let tid = rel::tid_of(&raw mut (*self.slot).tts_tid);
                each(self, tid, *value);
            }
            pg_sys::MemoryContextSwitchTo(caller);
        }
    }
}

impl Drop for IndexedRows {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: made in `new`; the executor state takes the row's memory and the predicate with it.
            unsafe {
                pg_sys::ExecDropSingleTupleTableSlot(self.slot);
                pg_sys::FreeExecutorState(self.estate);
            }
        }
    }
}
