//! The rows of an index as its table has them, whoever sees them: what lists are built anew from.

use std::cell::RefCell;

use ann::rng::Rng;
use pages::tid::Tid;
use pages::tid_set::TidSet;
use pgrx::pg_sys;

use crate::am::filter::Encoder;
use crate::am::fit::spread;
use crate::am::opclass::n_columns;
use crate::am::refetch::HeapRows;
use crate::am::rel;
use crate::am::train::Source;
use crate::am::value::Column;

/// Fetches rows by tid, until dropped.
///
/// A row is there unless it is dead to all, here on the primary: an entry for such a one may be left out of a new build that
/// no older snapshot of a standby meets. Who uses this keeps VACUUM off the index, so that no tid is given to another row
/// meanwhile.
pub struct TableRows {
    scan: pg_sys::IndexScanDesc,
    rows: HeapRows,
    /// Sees what is committed, and what is not yet. A version that this sees is what the index has.
    dirty: Box<pg_sys::SnapshotData>,
    /// Sees what anybody may see still.
    not_vacuumable: Box<pg_sys::SnapshotData>,
    dims: usize,
    /// Whether a row was dead to all.
    lack_any: bool,
    /// None of an index of one column.
    filters: Option<Filters>,
}

/// What computes the filter columns of a row, and makes attributes of them.
struct Filters {
    info: *mut pg_sys::IndexInfo,
    estate: *mut pg_sys::EState,
    /// What expressions take for one row.
    memory: pg_sys::MemoryContext,
    encoder: Encoder,
}

impl Filters {
    /// # Safety
    /// `index` must be open.
    unsafe fn new(index: pg_sys::Relation) -> Self {
        // SAFETY: the caller's promise; all is in the executor state's memory, which `drop` of the rows frees.
        unsafe {
            let estate = pg_sys::CreateExecutorState();
            let caller = pg_sys::MemoryContextSwitchTo((*estate).es_query_cxt);
            let info = pg_sys::BuildIndexInfo(index);
            let memory = (*pg_sys::MakePerTupleExprContext(estate)).ecxt_per_tuple_memory;
            pg_sys::MemoryContextSwitchTo(caller);
            Self { info, estate, memory, encoder: Encoder::new(index) }
        }
    }

    /// The attributes of the row that `rows` looks at.
    fn attributes(&mut self, rows: &mut HeapRows) -> &[u8] {
        let (info, estate, encoder) = (self.info, self.estate, &mut self.encoder);
        // SAFETY: both were made for the index; the memory is ours, and nobody looks at the row before any more.
        unsafe {
            pg_sys::MemoryContextReset(self.memory);
            let caller = pg_sys::MemoryContextSwitchTo(self.memory);
            let made = rows.columns(info, estate, |values, nulls| encoder.encode(values, nulls));
            pg_sys::MemoryContextSwitchTo(caller);
            made
        }
    }
}

impl TableRows {
    /// # Safety
    /// Both must be open, and outlive the result; `index` must be an index of ours on `table` of vectors with `dims`
    /// components.
    pub unsafe fn new(table: pg_sys::Relation, index: pg_sys::Relation, dims: usize) -> Self {
        let mut dirty = Box::<pg_sys::SnapshotData>::default();
        dirty.snapshot_type = pg_sys::SnapshotType::SNAPSHOT_DIRTY;
        let mut not_vacuumable = Box::<pg_sys::SnapshotData>::default();
        not_vacuumable.snapshot_type = pg_sys::SnapshotType::SNAPSHOT_NON_VACUUMABLE;
        // SAFETY: the caller's promise; the snapshots live as long as the scan, in boxes that do not move.
        let (scan, rows) = unsafe {
            not_vacuumable.vistest = pg_sys::GlobalVisTestFor(table);
            #[cfg(feature = "pg18")]
            let scan =
                pg_sys::index_beginscan(table, index, &raw mut *dirty, std::ptr::null_mut(), 0, 1);
            #[cfg(not(feature = "pg18"))]
            let scan = pg_sys::index_beginscan(table, index, &raw mut *dirty, 0, 1);
            (scan, HeapRows::new(scan))
        };
        // SAFETY: the caller's promise.
        let filters = (n_columns(index) > 1).then(|| unsafe { Filters::new(index) });
        Self { scan, rows, dirty, not_vacuumable, dims, lack_any: false, filters }
    }

    /// Calls `look` with the vector and the attributes of the row at `tid`, unless it is dead to all.
    pub fn fetch<E: Column>(&mut self, tid: Tid, look: impl FnOnce(&[E], &[u8])) {
        self.look_by(Which::Dirty);
        let elements = self.elements(tid).or_else(|| {
            self.look_by(Which::NotVacuumable);
            self.elements(tid)
        });
        if let Some(elements) = elements {
            let attributes = match &mut self.filters {
                Some(filters) => filters.attributes(&mut self.rows),
                None => &[],
            };
            look(&elements, attributes);
        } else {
            self.lack_any = true;
        }
    }

    /// Whether [`TableRows::fetch`] left out a row because it is dead to all.
    pub fn lack_any(&self) -> bool {
        self.lack_any
    }

    /// The vector of the row at `tid`, as the snapshot sees it.
    fn elements<E: Column>(&mut self, tid: Tid) -> Option<Vec<E>> {
        self.rows.fetch(tid, self.dims, |elements: &[E]| elements.to_vec())
    }

    /// Calls `look` with the vector of the row at `tid`, if it is not deleted.
    pub fn fetch_live<E: Column>(&mut self, tid: Tid, look: impl FnOnce(&[E])) {
        self.look_by(Which::Dirty);
        self.rows.fetch(tid, self.dims, look);
    }

    /// Calls `look` with the indexed value of the row at `tid`, if it is not deleted.
    pub fn value_live(&mut self, tid: Tid, look: &mut dyn FnMut(pg_sys::Datum)) {
        self.look_by(Which::Dirty);
        self.rows.value(tid, |value, _memory| look(value));
    }

    /// Whether the version that was fetched last is of a transaction from `xid` on; None where nothing was.
    pub fn is_younger(&self, xid: u64) -> Option<bool> {
        self.rows.xmin().map(|xmin| {
            // SAFETY: compares two numbers.
            unsafe { pg_sys::TransactionIdFollowsOrEquals(xmin, rel::short_xid(xid)) }
        })
    }

    /// From now on looks at rows by this snapshot.
    fn look_by(&mut self, which: Which) {
        // SAFETY: the scan is open, and both snapshots live as long.
        unsafe {
            (*self.scan).xs_snapshot = match which {
                Which::Dirty => &raw mut *self.dirty,
                Which::NotVacuumable => {
                    // Brings up to date what the snapshot goes by. A row that is dead to all may have lost what it keeps
                    // out of line.
                    pg_sys::GetOldestNonRemovableTransactionId((*self.scan).heapRelation);
                    &raw mut *self.not_vacuumable
                }
            };
        }
    }
}

/// The snapshots that a row is looked at by.
#[derive(Clone, Copy)]
enum Which {
    Dirty,
    NotVacuumable,
}

impl Drop for TableRows {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.rows.end();
            // SAFETY: made in the constructor, and freed once.
            unsafe {
                pg_sys::index_endscan(self.scan);
                if let Some(filters) = &self.filters {
                    pg_sys::FreeExecutorState(filters.estate);
                }
            }
        }
    }
}

/// Some of the rows, to train on.
pub struct TrainingRows<'a> {
    pub index: pg_sys::Relation,
    pub rows: RefCell<&'a mut TableRows>,
    /// All tids, in the order of the table.
    pub tids: &'a TidSet,
    /// How many of them are looked at, drawn at random from equal parts of all.
    pub n: usize,
    pub seed: u64,
}

impl Source for TrainingRows<'_> {
    fn rows_max(&self) -> u64 {
        self.tids.len() as u64
    }

    fn each(&self, row: &mut dyn FnMut(pg_sys::Datum)) {
        let mut rng = Rng::new(self.seed);
        let mut rows = self.rows.borrow_mut();
        for i in spread(self.tids.len(), self.n, &mut rng) {
            if let Some(tid) = self.tids.get(i) {
                rows.value_live(tid, row);
            }
        }
    }

    fn subject(&self) -> String {
        format!("index \"{}\"", rel::name(self.index))
    }

    fn again(&self) -> &'static str {
        "VACUUM"
    }

    fn is_asked_for(&self) -> bool {
        false
    }
}
