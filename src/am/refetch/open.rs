//! The table open for fetches by tid: the server's own fetch, its slot, and where the indexed value of a row comes from.

use std::rc::Rc;

use pages::tid::Tid;
use pgrx::{PgSqlErrorCode, pg_sys};

use super::ROWS_AHEAD;
use crate::am::opclass::vector_column;
use crate::am::pages::ahead::PageHint;
use crate::am::pages::heap_pins::HeapPins;
use crate::am::recent::RecentBuffers;
use crate::am::rel;
use crate::am::report::Report;

/// What reading rows takes. All of it is allocated in the scan's memory context.
pub(super) struct Open {
    heap: pg_sys::Relation,
    /// The pin of the page read last.
    fetch: *mut pg_sys::IndexFetchTableData,
    pins: HeapPins,
    /// Holds the row read last, with a pin of its own.
    slot: *mut pg_sys::TupleTableSlot,
    source: Source,
    /// For what one row needs: detoasted values, results of expressions.
    pub(super) row_memory: pg_sys::MemoryContext,
}

/// What a snapshot sees of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// The version that is here.
    Seen(Tid),
    /// None; others may see one, or will.
    Unseen,
    /// None, and nobody else sees one, now or later.
    Dead,
}

/// Where the indexed value of a row comes from.
enum Source {
    Column(pg_sys::AttrNumber),
    /// Column `number` of the index, from 0.
    Expression {
        info: *mut pg_sys::IndexInfo,
        estate: *mut pg_sys::EState,
        number: usize,
    },
}

impl Open {
    /// # Safety
    /// The promise of [`HeapRows::new`].
    pub(super) unsafe fn new(
        scan: pg_sys::IndexScanDesc,
        recent: Option<Rc<RecentBuffers>>,
    ) -> Self {
        // SAFETY: a scan descriptor is palloc'd, and its fields are filled in by index_beginscan.
        unsafe {
            let (heap, index) = ((*scan).heapRelation, (*scan).indexRelation);
            if heap.is_null() || (*scan).xs_snapshot.is_null() {
                no_table(index);
            }
            let memory = pg_sys::GetMemoryChunkContext(scan.cast());
            let caller = pg_sys::MemoryContextSwitchTo(memory);
            let (source, row_memory) = match rel::key_column(index) {
                Some(column) => (Source::Column(column), new_row_memory(memory)),
                None => Source::expression(index),
            };
            let open = Self {
                heap,
                fetch: pg_sys::table_index_fetch_begin(heap),
                pins: HeapPins::new(heap, recent),
                slot: pg_sys::table_slot_create(heap, std::ptr::null_mut()),
                source,
                row_memory,
            };
            pg_sys::MemoryContextSwitchTo(caller);
            open
        }
    }

    /// Asks disk and memory for rows that are read next.
    pub(super) fn read_ahead(&self, rows: &[&[(u64, u32)]; ROWS_AHEAD]) {
        let mut hints = [(PageHint::NONE, 0); ROWS_AHEAD];
        let mut last = None;
        for ((hint, offset), same) in hints.iter_mut().zip(rows) {
            let Some(tid) = same.first().map(|(tid, _)| Tid::from_u64(*tid)) else { continue };
            *offset = tid.offset;
            if tid.blkno == pg_sys::InvalidBlockNumber {
                continue;
            }
            // The rows come in the table's order: several of a page follow each other.
            if let Some((_, page)) = last.filter(|(blkno, _)| *blkno == tid.blkno) {
                *hint = page;
                continue;
            }
            // SAFETY: the table is open.
            *hint = unsafe { self.pins.hint(self.heap, tid) };
            last = Some((tid.blkno, *hint));
        }
        for (hint, offset) in hints {
            hint.row(offset);
        }
    }

    /// Puts the visible version of the row at `tid` into the slot, if there is one, and says where it is.
    ///
    /// An MVCC snapshot sees at most one version of a HOT chain, so there is nothing to call again
    /// for.
    ///
    /// # Safety
    /// `snapshot` must be the scan's.
    pub(super) unsafe fn find(&self, tid: Tid, snapshot: pg_sys::Snapshot) -> Version {
        // Only a damaged index has it, and to the server it means a new page at the table's end.
        if tid.blkno == pg_sys::InvalidBlockNumber {
            return Version::Unseen;
        }
        let mut pointer = rel::pointer_of(tid);
        let (mut call_again, mut all_dead) = (false, false);
        // SAFETY: fetch and slot belong to the same open table; the pointer is ours to overwrite
        // (it becomes the tid of the version found).
        unsafe {
            let found = self.pins.fetch(self.heap, self.fetch, tid.blkno, || {
                pg_sys::table_index_fetch_tuple(
                    self.fetch,
                    &mut pointer,
                    snapshot,
                    self.slot,
                    &mut call_again,
                    &mut all_dead,
                )
            });
            match found {
                true => Version::Seen(rel::tid_of(&mut pointer)),
                false if all_dead => Version::Dead,
                false => Version::Unseen,
            }
        }
    }

    /// The indexed value of the row in the slot; None for NULL.
    ///
    /// # Safety
    /// The slot must hold a row.
    pub(super) unsafe fn value(&self) -> Option<pg_sys::Datum> {
        let mut value = pg_sys::Datum::null();
        let mut isnull = false;
        match self.source {
            // SAFETY: the catalog says that the table has this column.
            Source::Column(column) => unsafe {
                value = pg_sys::slot_getattr(self.slot, column.into(), &mut isnull);
            },
            // SAFETY: both were made for the index; the expression computes in `row_memory`, which is reset before its
            // next use.
            Source::Expression { info, estate, number } => unsafe {
                let (values, nulls) = self.columns(info, estate);
                value = values.get(number).copied().unwrap_or(value);
                isnull = nulls.get(number).copied().unwrap_or(true);
            },
        }
        (!isnull).then_some(value)
    }

    /// The values of all columns of the index, of the row in the slot, and which are null.
    ///
    /// # Safety
    /// The slot must hold a row, and `info` and `estate` be made for the index.
    pub(super) unsafe fn columns(
        &self,
        info: *mut pg_sys::IndexInfo,
        estate: *mut pg_sys::EState,
    ) -> ([pg_sys::Datum; rel::COLUMNS_MAX], [bool; rel::COLUMNS_MAX]) {
        let mut values = [pg_sys::Datum::null(); rel::COLUMNS_MAX];
        let mut nulls = [true; rel::COLUMNS_MAX];
        // SAFETY: the caller's promise; there is room for the values of as many columns as an index can have.
        unsafe {
            (*(*estate).es_per_tuple_exprcontext).ecxt_scantuple = self.slot;
            let (to, nulls_to) = (values.as_mut_ptr(), nulls.as_mut_ptr());
            pg_sys::FormIndexDatum(info, self.slot, estate, to, nulls_to);
        }
        (values, nulls)
    }

    /// A column of the row in the slot; None for NULL.
    ///
    /// # Safety
    /// The slot must hold a row, and the table have the column.
    pub(super) unsafe fn attribute(&self, column: pg_sys::AttrNumber) -> Option<pg_sys::Datum> {
        let mut isnull = false;
        // SAFETY: the caller's promise.
        let value = unsafe { pg_sys::slot_getattr(self.slot, column.into(), &mut isnull) };
        (!isnull).then_some(value)
    }

    /// The transaction that made the row in the slot; None if there is none.
    ///
    /// # Safety
    /// The slot must not have been freed.
    pub(super) unsafe fn xmin(&self) -> Option<pg_sys::TransactionId> {
        // SAFETY: the table's own slot, which knows the row's header while it holds one.
        unsafe {
            if (*self.slot).tts_flags & pg_sys::TTS_FLAG_EMPTY as u16 != 0 {
                return None;
            }
            let mut is_null = false;
            let number = pg_sys::MinTransactionIdAttributeNumber;
            let get = (*(*self.slot).tts_ops).getsysattr?;
            let xmin = get(self.slot, number, &mut is_null);
            (!is_null).then(|| pg_sys::TransactionId::from_inner(xmin.value() as u32))
        }
    }

    /// Frees what the last row took.
    ///
    /// # Safety
    /// Nothing in the row's memory may be in use.
    pub(super) unsafe fn forget_row(&self) {
        // SAFETY: the caller's promise; the context is ours. Most rows are stored plain and leave
        // nothing to free.
        unsafe {
            let memory = self.row_memory;
            if !(*memory).isReset || !(*memory).firstchild.is_null() {
                pg_sys::MemoryContextReset(memory);
            }
        }
    }

    /// Lets go of the pins.
    ///
    /// # Safety
    /// As [`Open::forget_row`], and nobody may look at the row.
    pub(super) unsafe fn rest(&self) {
        // SAFETY: the caller's promise; both were made in `new` and are not ended yet.
        unsafe {
            self.forget_row();
            pg_sys::ExecClearTuple(self.slot);
            pg_sys::table_index_fetch_reset(self.fetch);
        }
        self.pins.forget();
    }

    /// # Safety
    /// No transaction may be aborting: then this is done already.
    pub(super) unsafe fn end(self) {
        // SAFETY: each was made in `new` and is freed once; FreeExecutorState takes the row's
        // memory and `info` with it.
        unsafe {
            pg_sys::ExecDropSingleTupleTableSlot(self.slot);
            pg_sys::table_index_fetch_end(self.fetch);
            match self.source {
                Source::Column(_) => pg_sys::MemoryContextDelete(self.row_memory),
                Source::Expression { estate, .. } => pg_sys::FreeExecutorState(estate),
            }
        }
    }
}

impl Source {
    /// The index's expression, ready to be evaluated, and the memory it computes in.
    ///
    /// # Safety
    /// `index` must be an open index whose vector is an expression.
    unsafe fn expression(index: pg_sys::Relation) -> (Self, pg_sys::MemoryContext) {
        // SAFETY: the executor state lives in the current memory context, and in its own memory
        // everything else.
        unsafe {
            let estate = pg_sys::CreateExecutorState();
            let caller = pg_sys::MemoryContextSwitchTo((*estate).es_query_cxt);
            let info = pg_sys::BuildIndexInfo(index);
            let row = pg_sys::MakePerTupleExprContext(estate);
            pg_sys::MemoryContextSwitchTo(caller);
            let (number, _) = vector_column(index);
            (Self::Expression { info, estate, number }, (*row).ecxt_per_tuple_memory)
        }
    }
}

/// # Safety
/// `parent` must be a memory context.
unsafe fn new_row_memory(parent: pg_sys::MemoryContext) -> pg_sys::MemoryContext {
    // SAFETY: the caller's promise; the name is a constant.
    unsafe {
        pg_sys::AllocSetContextCreateInternal(
            parent,
            c"pgfaiss row".as_ptr(),
            pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
        )
    }
}

fn no_table(index: pg_sys::Relation) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        format!("index \"{}\" cannot be scanned without its table", rel::name(index)),
    )
    .detail("Its distances are computed from the table's rows.")
    .error()
}
