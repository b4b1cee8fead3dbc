//! The order of an operator that computes distances by other code than ours: pgvector's.
//!
//! Both answer with the same distance but for the last bits, because they add up in another order. A query shows the
//! operator's, and rows must not come out against it. So a row waits until no row that follows can come before it: its distance
//! by the operator is computed from the table's row, and rows that are so near to each other are put in that order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ffi::CStr;

use ann::Metric;
use pages::ivf::scan::Found;
use pgrx::pg_sys;

use super::refetch::HeapRows;

/// How much the two differ at most, as part of the distance, and of 1 under cosine, where what is lost is lost of the similarity:
/// far more than single precision loses in thousands of components.
const DIFFERENCE: f64 = 1e-5;

/// What stands in `pg_proc` for a function of ours.
const OUR_LIBRARY: &[u8] = b"$libdir/pgfaiss";

/// A row that waits, the nearest by the operator first, of equal ones the one that was found first.
struct Waiting {
    distance: f64,
    number: u64,
    row: Found,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.distance.total_cmp(&other.distance).then(self.number.cmp(&other.number))
    }
}

/// The rows of a scan on their way to the executor.
pub struct OperatorOrder {
    rows: HeapRows,
    waiting: BinaryHeap<Reverse<Waiting>>,
    /// Rows that waited when one came late: they go before it.
    passed: VecDeque<Found>,
    /// The row found last, which no row that waits may pass yet.
    ahead: Option<Found>,
    /// Rows found so far, and how many are wanted, if that is known: beyond them none is looked for before it is asked for.
    found: u64,
    wanted: Option<u64>,
    is_over: bool,
    /// The smallest distance that the difference is a part of.
    scale: f64,
}

impl OperatorOrder {
    /// For a scan whose operator is not ours; None where it is.
    ///
    /// # Safety
    /// `scan` outlives the result, and has its ordering key.
    pub unsafe fn of(
        scan: pg_sys::IndexScanDesc,
        metric: Metric,
        wanted: Option<u64>,
    ) -> Option<Self> {
        // SAFETY: the caller's promise.
        let key = unsafe { &*(*scan).orderByData };
        let is_null = key.sk_flags & pg_sys::SK_ISNULL as i32 != 0;
        // SAFETY: looks up the catalog.
        if is_null || unsafe { is_ours(key.sk_func.fn_oid) } {
            return None;
        }
        Some(Self {
            // SAFETY: the caller's promise.
            rows: unsafe { HeapRows::new(scan) },
            waiting: BinaryHeap::new(),
            passed: VecDeque::new(),
            ahead: None,
            found: 0,
            wanted,
            is_over: false,
            scale: if metric == Metric::Cosine { 1.0 } else { 0.0 },
        })
    }

    /// The next row, of those that `find` gives in our order.
    ///
    /// # Safety
    /// As [`Self::of`]; the executor waits for a row.
    pub unsafe fn next<E>(
        &mut self,
        scan: pg_sys::IndexScanDesc,
        mut find: impl FnMut() -> Result<Option<Found>, E>,
    ) -> Result<Option<Found>, E> {
        let next = loop {
            if let Some(row) = self.settled() {
                break Some(row);
            }
            let Some(row) = find()? else {
                self.is_over = true;
                break self.settled();
            };
            // SAFETY: the caller's promise.
            match unsafe { self.distance_of(scan, row) } {
                Some(distance) => self.put(row, distance),
                // Not visible: the executor, which will find the same, keeps account of it.
                None => break Some(row),
            }
        };
        self.rows.rest();
        Ok(next)
    }

    fn put(&mut self, row: Found, distance: f64) {
        if self
            .ahead
            .is_some_and(|ahead| row.distance + self.slack(ahead.distance) < ahead.distance)
        {
            let before = std::iter::from_fn(|| self.waiting.pop());
            self.passed.extend(before.map(|Reverse(waiting)| waiting.row));
        }
        self.found += 1;
        self.waiting.push(Reverse(Waiting { distance, number: self.found, row }));
        self.ahead = Some(row);
    }

    /// A row that no later one can come before. At the end of what is wanted none waits: what follows is found only when it
    /// is asked for.
    fn settled(&mut self) -> Option<Found> {
        if let Some(row) = self.passed.pop_front() {
            return Some(row);
        }
        let Reverse(first) = self.waiting.peek()?;
        let is_end = self.is_over || self.wanted == Some(self.found);
        let ahead = self.ahead.map_or(f64::INFINITY, |ahead| ahead.distance);
        // False for NaN, which is the distance of all rows then.
        let is_near = ahead <= first.distance + self.slack(first.distance);
        if is_near && !is_end {
            return None;
        }
        self.waiting.pop().map(|Reverse(waiting)| waiting.row)
    }

    /// How far apart our distance and the operator's are at most, where one of them is `distance`.
    fn slack(&self, distance: f64) -> f64 {
        DIFFERENCE * distance.abs().max(self.scale)
    }

    /// The operator's distance of the visible version of a row.
    ///
    /// # Safety
    /// As [`Self::next`].
    unsafe fn distance_of(&mut self, scan: pg_sys::IndexScanDesc, row: Found) -> Option<f64> {
        self.rows.value(row.tid, |value, row_memory| {
            // SAFETY: the caller's promise; the operator takes the column's value and the query, and gives a double. What it
            // leaves behind goes with the row's memory.
            unsafe {
                let caller = pg_sys::MemoryContextSwitchTo(row_memory);
                let key = &mut *(*scan).orderByData;
                let (collation, query) = (key.sk_collation, key.sk_argument);
                let distance = pg_sys::FunctionCall2Coll(&mut key.sk_func, collation, value, query);
                pg_sys::MemoryContextSwitchTo(caller);
                f64::from_bits(distance.value() as u64)
            }
        })
    }

    /// Frees what the server knows of.
    pub fn end(&mut self) {
        self.rows.end();
    }
}

/// Whether a function is one of our library; without a function there is nothing that could differ.
///
/// # Safety
/// To be called within a transaction.
unsafe fn is_ours(function: pg_sys::Oid) -> bool {
    if function == pg_sys::InvalidOid {
        return true;
    }
    let cache = pg_sys::SysCacheIdentifier::PROCOID as i32;
    // SAFETY: the tuple is released below; its attribute is copied before.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(cache, pg_sys::Datum::from(function));
        if tuple.is_null() {
            return true;
        }
        let mut is_null = false;
        let attribute = pg_sys::Anum_pg_proc_probin as pg_sys::AttrNumber;
        let library = pg_sys::SysCacheGetAttr(cache, tuple, attribute, &mut is_null);
        let is_ours = !is_null && {
            let text = pg_sys::text_to_cstring(library.cast_mut_ptr());
            CStr::from_ptr(text).to_bytes() == OUR_LIBRARY
        };
        pg_sys::ReleaseSysCache(tuple);
        is_ours
    }
}
