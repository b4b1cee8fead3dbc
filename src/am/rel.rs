//! What the callbacks ask of a relation: the few macros of `rel.h` and `pgstat.h` that have no
//! function behind them.

use std::ffi::CStr;

use pages::tid::{OFFSET_MAX, Tid};
use pgrx::itemptr::{item_pointer_get_both, item_pointer_set_all};
use pgrx::{PgSqlErrorCode, pg_sys};

use super::opclass::vector_column;
use super::report::Report;

/// InvalidSubTransactionId, a macro without a binding.
pub const INVALID_SUBXID: pg_sys::SubTransactionId = 0;

/// INDEX_MAX_KEYS: the most columns of an index.
pub const COLUMNS_MAX: usize = pg_sys::INDEX_MAX_KEYS as usize;

/// The relation's name, for messages.
pub fn name(rel: pg_sys::Relation) -> String {
    // SAFETY: an open relation has a valid rd_rel whose relname is NUL-terminated.
    unsafe { CStr::from_ptr((*(*rel).rd_rel).relname.data.as_ptr()) }.to_string_lossy().into_owned()
}

/// Schema and name, quoted, for a statement.
pub fn qualified_name(rel: pg_sys::Relation) -> String {
    // SAFETY: an open relation; the names are NUL-terminated copies.
    unsafe {
        let schema = pg_sys::get_namespace_name((*(*rel).rd_rel).relnamespace);
        let name = (*(*rel).rd_rel).relname.data.as_ptr();
        let quoted = pg_sys::quote_qualified_identifier(schema, name);
        CStr::from_ptr(quoted).to_string_lossy().into_owned()
    }
}

#[cfg(any(feature = "pg14", feature = "pg15"))]
type Locator = pg_sys::RelFileNode;
#[cfg(not(any(feature = "pg14", feature = "pg15")))]
type Locator = pg_sys::RelFileLocator;

/// Where the relation's storage lies: changes with REINDEX and TRUNCATE.
pub fn locator(rel: pg_sys::Relation) -> Locator {
    // SAFETY: an open relation has its physical address filled in.
    unsafe {
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        let locator = (*rel).rd_node;
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        let locator = (*rel).rd_locator;
        locator
    }
}

/// The number of the relation's file in its tablespace.
pub fn file_number(rel: pg_sys::Relation) -> u32 {
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    let number = locator(rel).relNode;
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    let number = locator(rel).relNumber;
    u32::from(number)
}

/// The blocks of a relation's main fork.
pub fn n_blocks(rel: pg_sys::Relation) -> u32 {
    // SAFETY: an open relation with storage.
    unsafe { pg_sys::RelationGetNumberOfBlocksInFork(rel, pg_sys::ForkNumber::MAIN_FORKNUM) }
}

/// The typmod of the index's vector column, or of the type below a domain: its number of dimensions, or None.
pub fn declared_dims(index: pg_sys::Relation) -> Option<usize> {
    let (column, _) = vector_column(index);
    // SAFETY: an open index has a tuple descriptor with an attribute for each column; pg_attribute's
    // typmod is copied there also for expressions.
    let typmod = unsafe {
        let desc = pgrx::PgTupleDesc::from_pg_unchecked((*index).rd_att);
        let (kind, mut typmod) =
            desc.get(column).map_or((pg_sys::InvalidOid, -1), |a| (a.atttypid, a.atttypmod));
        // A column of a domain has no typmod of its own.
        if typmod < 0 && kind != pg_sys::InvalidOid {
            pg_sys::getBaseTypeAndTypmod(kind, &mut typmod);
        }
        typmod
    };
    usize::try_from(typmod).ok().filter(|&n| n > 0)
}

/// Whether the index's vector column has the type that its operator class is for, and not another that can be read as such.
pub fn has_type_of_opclass(index: pg_sys::Relation) -> bool {
    let (column, _) = vector_column(index);
    // SAFETY: an open index has a tuple descriptor, and the input type of its operator class at hand.
    unsafe {
        let desc = pgrx::PgTupleDesc::from_pg_unchecked((*index).rd_att);
        let class = *(*index).rd_opcintype.add(column);
        desc.get(column).is_some_and(|a| pg_sys::getBaseType(a.atttypid) == class)
    }
}

/// The table's column that is the index's vector column, or None for an expression.
pub fn key_column(index: pg_sys::Relation) -> Option<pg_sys::AttrNumber> {
    let (number, _) = vector_column(index);
    // SAFETY: an open index has its pg_index row at hand, with a key for each column.
    let column = unsafe { *(*(*index).rd_index).indkey.values.as_ptr().add(number) };
    (column != 0).then_some(column)
}

/// Whether any column of the index is an expression.
pub fn has_expressions(index: pg_sys::Relation) -> bool {
    // SAFETY: an open index; the list of its expressions is a copy, empty where there is none.
    !unsafe { pg_sys::RelationGetIndexExpressions(index) }.is_null()
}

/// Whether another backend could read or extend the relation: false for temporary relations and for
/// those made in this transaction.
pub fn is_shared(rel: pg_sys::Relation) -> bool {
    // SAFETY: a plain field of an open relation.
    !is_new(rel) && unsafe { !(*rel).rd_islocaltemp }
}

/// Whether the relation was made in this transaction.
pub fn is_new(rel: pg_sys::Relation) -> bool {
    // SAFETY: a plain field of an open relation.
    unsafe { (*rel).rd_createSubid != INVALID_SUBXID }
}

/// Counts one index scan in the cumulative statistics.
pub fn count_scan(index: pg_sys::Relation) {
    // SAFETY: pgstat_info is null or points to this backend's counters of the relation.
    unsafe {
        let info = (*index).pgstat_info;
        if info.is_null() {
            return;
        }
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        {
            (*info).t_counts.t_numscans += 1;
        }
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        {
            (*info).counts.numscans += 1;
        }
    }
}

/// The transaction id that is given out next, with its epoch.
pub fn next_xid() -> u64 {
    // SAFETY: reads a counter in shared memory.
    unsafe { pg_sys::ReadNextFullTransactionId() }.value
}

/// A transaction id without its epoch.
pub fn short_xid(xid: u64) -> pg_sys::TransactionId {
    pg_sys::TransactionId::from_inner(xid as u32)
}

/// The table of an index, open until dropped.
pub struct Table(pg_sys::Relation);

impl Table {
    /// The table of an open index, on which the caller has a lock.
    pub fn of(index: pg_sys::Relation) -> Self {
        let lock = pg_sys::NoLock as pg_sys::LOCKMODE;
        // SAFETY: an open index has its pg_index row at hand, and its table exists as long as it does.
        Self(unsafe { pg_sys::table_open((*(*index).rd_index).indrelid, lock) })
    }

    pub fn rel(&self) -> pg_sys::Relation {
        self.0
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: opened by the constructor.
            unsafe { pg_sys::table_close(self.0, pg_sys::NoLock as pg_sys::LOCKMODE) };
        }
    }
}

/// The tid of a heap pointer.
///
/// # Safety
/// `pointer` must be valid.
pub unsafe fn tid_of(pointer: pg_sys::ItemPointer) -> Tid {
    // SAFETY: the caller's promise.
    let (blkno, offset) = item_pointer_get_both(unsafe { *pointer });
    let tid = Tid { blkno, offset };
    if !tid.is_storable() {
        not_storable(tid);
    }
    tid
}

/// Only another table access method than heap could have such rows.
#[cold]
fn not_storable(tid: Tid) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        format!("row {tid} cannot be indexed"),
    )
    .detail(format!("The number of a row in its block must be {OFFSET_MAX} or less."))
    .error()
}

/// The heap pointer of a tid.
pub fn pointer_of(tid: Tid) -> pg_sys::ItemPointerData {
    let mut pointer = pg_sys::ItemPointerData::default();
    item_pointer_set_all(&mut pointer, tid.blkno, tid.offset);
    pointer
}
