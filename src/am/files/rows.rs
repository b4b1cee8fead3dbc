//! The rows of an index as a snapshot sees them, with the values of the key column: read in portions, each in the order of the
//! table and handed on in the order in which they were asked for.

use pages::tid::Tid;
use pgrx::{PgSqlErrorCode, pg_sys};

use crate::am::build::memory_bytes_max;
use crate::am::progress;
use crate::am::refetch::HeapRows;
use crate::am::report::Report;
use crate::am::value::Column;

/// Rows read together, whatever the memory.
const PORTION: (usize, usize) = (256, 1 << 20);
/// What a row takes beside its vector: tid, list, key, places in order.
const ROW_BYTES: usize = 64;
/// Its vector as it is, rotated, and its code.
const COPIES: usize = 3;

/// A column of integers.
#[derive(Clone, Copy)]
pub struct KeyColumn {
    number: pg_sys::AttrNumber,
    type_oid: pg_sys::Oid,
}

impl KeyColumn {
    /// Column `name` of a table. 42703 if there is none, 42804 if it is not of type smallint, integer or bigint.
    pub fn of(table: pg_sys::Relation, name: &str) -> Self {
        let c_name = std::ffi::CString::new(name).unwrap_or_default();
        // SAFETY: an open table; looks up catalogs only.
        let (number, type_oid) = unsafe {
            let relid = (*table).rd_id;
            let number = pg_sys::get_attnum(relid, c_name.as_ptr());
            let is_there = number != 0;
            let type_oid =
                if is_there { pg_sys::get_atttype(relid, number) } else { pg_sys::InvalidOid };
            (number, type_oid)
        };
        if number == 0 {
            Report::new(
                PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
                format!("column \"{name}\" of the index's table does not exist"),
            )
            .error();
        }
        let key = Self { number, type_oid };
        if number < 0 || key.value(pg_sys::Datum::from(0)).is_none() {
            Report::new(
                PgSqlErrorCode::ERRCODE_DATATYPE_MISMATCH,
                format!("column \"{name}\" cannot be the ids of a FAISS index"),
            )
            .hint("Ids are integers: name a column of type smallint, integer or bigint.")
            .error();
        }
        key
    }

    /// The key of the row in a slot; None for NULL.
    ///
    /// # Safety
    /// The slot must hold a row of the table.
    pub unsafe fn of_slot(self, slot: *mut pg_sys::TupleTableSlot) -> Option<i64> {
        let mut is_null = false;
        // SAFETY: the caller's promise; the table has the column.
        let datum = unsafe { pg_sys::slot_getattr(slot, self.number.into(), &mut is_null) };
        if is_null { None } else { self.value(datum) }
    }

    fn value(self, datum: pg_sys::Datum) -> Option<i64> {
        match self.type_oid {
            pg_sys::INT2OID => Some(i64::from(datum.value() as i16)),
            pg_sys::INT4OID => Some(i64::from(datum.value() as i32)),
            pg_sys::INT8OID => Some(datum.value() as i64),
            _ => None,
        }
    }
}

/// Rows in the order in which they were asked for.
#[derive(Default)]
pub struct Portion {
    /// What came with each tid.
    pub marks: Vec<u32>,
    pub keys: Vec<i64>,
    /// Their vectors, row by row.
    pub points: Vec<f32>,
}

/// Reads rows.
pub struct RowReader {
    rows: HeapRows,
    key: KeyColumn,
    dims: usize,
    marks: Vec<u32>,
    tids: Vec<Tid>,
    portion: usize,
    done: u64,
}

impl RowReader {
    /// # Safety
    /// `scan` must outlive the result, be over vectors of `dims` components and have a snapshot; the key must be a column of its
    /// table.
    pub unsafe fn new(scan: pg_sys::IndexScanDesc, key: KeyColumn, dims: usize) -> Self {
        let row = ROW_BYTES + COPIES * dims * size_of::<f32>();
        let portion = (memory_bytes_max() / 2 / row).clamp(PORTION.0, PORTION.1);
        // SAFETY: the caller's promise.
        let rows = unsafe { HeapRows::new(scan) };
        Self { rows, key, dims, marks: Vec::new(), tids: Vec::new(), portion, done: 0 }
    }

    /// Asks for one more row. True if it is time to read.
    pub fn ask(&mut self, mark: u32, tid: Tid) -> bool {
        self.marks.push(mark);
        self.tids.push(tid);
        self.tids.len() >= self.portion
    }

    /// The rows that were asked for, those that the snapshot sees. 22004 for one without a key.
    pub fn read<E: Column>(&mut self) -> Portion {
        let (n, dims, key) = (self.tids.len(), self.dims, self.key);
        let mut keys = vec![None; n];
        let mut points = vec![0.0; n * dims];
        self.rows.visit_keyed::<E>(&self.tids, dims, key.number, |i, elements, datum| {
            let value = datum.and_then(|datum| key.value(datum)).unwrap_or_else(|| no_key());
            if let (Some(to), Some(point)) = (keys.get_mut(i), points.chunks_exact_mut(dims).nth(i))
            {
                *to = Some(value);
                E::widen(elements, point);
            }
        });
        self.rows.rest();
        self.done += n as u64;
        progress::set_tuples_done(self.done);
        let mut portion = Portion::default();
        let mut kept = 0;
        for (i, (key, mark)) in keys.into_iter().zip(&self.marks).enumerate() {
            let Some(key) = key else { continue };
            portion.keys.push(key);
            portion.marks.push(*mark);
            points.copy_within(i * dims..(i + 1) * dims, kept * dims);
            kept += 1;
        }
        points.truncate(kept * dims);
        portion.points = points;
        self.tids.clear();
        self.marks.clear();
        portion
    }

    /// Lets go of the table.
    pub fn end(mut self) {
        self.rows.end();
    }
}

fn no_key() -> ! {
    Report::new(PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED, "a row of the index has no key")
        .detail("The column that is to be the ids of the FAISS index is null in it.")
        .hint("Name a column that is NOT NULL, as a primary key is.")
        .error()
}
