//! The order of an operator that computes distances by other code than ours: pgvector's.
//!
//! Both answer with the same distance but for the last bits, because they add up in another order. A query shows the
//! operator's, and rows must not come out against it. So a row waits until no row that follows can come before it: its distance
//! by the operator is computed from the table's row, and rows that are so near to each other are put in that order.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};

use ann::Metric;
use ann::element::Float;
use half::f16;
use pages::search::params::Found;
use pgrx::pg_sys;

use super::datum::Varlena;
use super::datum::sparse::SparseVarlena;
use super::interrupts::check_for_interrupts;
use super::opclass::{ElementType, OpclassInfo};
use super::refetch::HeapRows;

/// The part of a distance by which the two differ at most, whatever the dimensions.
const DIFFERENCE_MIN: f64 = 1e-5;

/// Rows that wait at most. More rows so near to each other come out in our order from here on: equal vectors, mostly, for
/// which both orders are the same.
const WAITING_MAX: usize = 4096;

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
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.distance, other.distance);
        // As the server orders float8: NaN last.
        let by_distance = a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
        by_distance.then(self.number.cmp(&other.number))
    }
}

/// The rows of a scan on their way to the executor.
pub struct OperatorOrder {
    rows: HeapRows,
    class: OpclassInfo,
    waiting: BinaryHeap<Reverse<Waiting>>,
    /// Rows that waited when one came late: they go before it.
    passed: VecDeque<Found>,
    /// The row found last, which no row that waits may pass yet.
    ahead: Option<Found>,
    /// Rows found so far, and how many will be asked for, if that is known: beyond them none is looked for.
    found: u64,
    wanted: Option<u64>,
    is_over: bool,
    /// The part of a distance, or of the scale if that is larger, by which the two differ at most.
    difference: f64,
    scale: f64,
    /// Under inner product the norm of the query.
    norm: f64,
}

impl OperatorOrder {
    /// # Safety
    /// `scan` outlives the result, has its ordering key, and is one of an index with the operator class `class`.
    pub unsafe fn new(scan: pg_sys::IndexScanDesc, class: OpclassInfo) -> Self {
        Self {
            // SAFETY: the caller's promise.
            rows: unsafe { HeapRows::new(scan) },
            class,
            waiting: BinaryHeap::new(),
            passed: VecDeque::new(),
            ahead: None,
            found: 0,
            wanted: None,
            is_over: false,
            difference: 0.0,
            scale: 0.0,
            norm: 0.0,
        }
    }

    /// Starts over, for a query of `dims` dimensions, of which as many count as there are elements. `wanted` are all the rows that will be asked for.
    ///
    /// # Safety
    /// The scan has its query, which is not NULL.
    pub unsafe fn begin(&mut self, scan: pg_sys::IndexScanDesc, dims: usize, wanted: Option<u64>) {
        self.waiting.clear();
        self.passed.clear();
        (self.ahead, self.found, self.wanted, self.is_over) = (None, 0, wanted, false);
        // What sums of this many terms lose in single precision, if each step loses all it can.
        self.difference = (dims as f64 * f64::from(f32::EPSILON)).max(DIFFERENCE_MIN);
        // SAFETY: the caller's promise; the operator takes vectors on both sides.
        self.norm = unsafe { self.norm_of((*(*scan).orderByData).sk_argument) };
        // The difference is a part of the distance; under cosine of the similarity, which may be 1; under inner product of
        // the product of the norms.
        self.scale = if self.class.metric == Metric::Cosine { 1.0 } else { 0.0 };
    }

    /// The next row, of those that `find` gives in our order.
    ///
    /// # Safety
    /// As [`Self::begin`], after it; the executor waits for a row.
    pub unsafe fn next<E>(
        &mut self,
        scan: pg_sys::IndexScanDesc,
        mut find: impl FnMut() -> Result<Option<Found>, E>,
    ) -> Result<Option<Found>, E> {
        let next = loop {
            if let Some(row) = self.settled() {
                break Some(row);
            }
            check_for_interrupts();
            let Some(row) = find()? else {
                self.is_over = true;
                break self.settled();
            };
            // SAFETY: the caller's promise.
            match unsafe { self.distance_of(scan, row) } {
                Some(distance) => self.put(row, distance),
                // No row for the snapshot. It goes out at once, as the row that was found last: so the executor, which
                // sees the same, may say of that row that it is dead (`kill_prior_tuple`).
                None => break Some(row),
            }
        };
        self.rows.rest();
        Ok(next)
    }

    fn put(&mut self, row: Found, distance: f64) {
        let is_late = |ahead: Found| row.distance + self.slack(ahead.distance) < ahead.distance;
        if self.ahead.is_some_and(is_late) {
            let before = std::iter::from_fn(|| self.waiting.pop());
            self.passed.extend(before.map(|Reverse(waiting)| waiting.row));
        }
        self.found += 1;
        self.waiting.push(Reverse(Waiting { distance, number: self.found, row }));
        self.ahead = Some(row);
    }

    /// A row that no later one can come before. At the end of what is wanted none waits.
    fn settled(&mut self) -> Option<Found> {
        if let Some(row) = self.passed.pop_front() {
            return Some(row);
        }
        let Reverse(first) = self.waiting.peek()?;
        let is_end = self.is_over
            || self.wanted == Some(self.found)
            || self.waiting.len() >= WAITING_MAX
            // Nothing comes before a row without a distance but one with a distance, and these have been found.
            || first.distance.is_nan();
        let ahead = self.ahead.map_or(f64::INFINITY, |ahead| ahead.distance);
        // Our distance may be NaN where the operator's is none: nothing is known then of what follows.
        let is_apart = ahead > first.distance + self.slack(first.distance);
        if !is_end && !is_apart {
            return None;
        }
        self.waiting.pop().map(|Reverse(waiting)| waiting.row)
    }

    /// How far apart our distance and the operator's are at most, where one of them is `distance`.
    fn slack(&self, distance: f64) -> f64 {
        self.difference * distance.abs().max(self.scale)
    }

    /// The operator's distance of the visible version of a row.
    ///
    /// # Safety
    /// As [`Self::next`].
    unsafe fn distance_of(&mut self, scan: pg_sys::IndexScanDesc, row: Found) -> Option<f64> {
        let (class, norm) = (self.class, self.norm);
        let (distance, scale) = self.rows.value(row.tid, |value, row_memory| {
            // SAFETY: the caller's promise; the operator takes the column's value and the query, and gives a double. What it
            // leaves behind goes with the row's memory.
            unsafe {
                let caller = pg_sys::MemoryContextSwitchTo(row_memory);
                let key = &mut *(*scan).orderByData;
                let (collation, query) = (key.sk_collation, key.sk_argument);
                let distance = pg_sys::FunctionCall2Coll(&mut key.sk_func, collation, value, query);
                let scale = norm * norm_of(class, value);
                pg_sys::MemoryContextSwitchTo(caller);
                (f64::from_bits(distance.value() as u64), scale)
            }
        })?;
        self.scale = self.scale.max(scale);
        Some(distance)
    }

    /// # Safety
    /// `vector` is a value of the operator class's type.
    unsafe fn norm_of(&self, vector: pg_sys::Datum) -> f64 {
        // SAFETY: the caller's promise.
        unsafe { norm_of(self.class, vector) }
    }

    /// Lets go of what must not be held while the scan waits to be started over.
    pub fn rest(&mut self) {
        self.rows.rest();
    }

    /// Frees what the server knows of.
    pub fn end(&mut self) {
        self.rows.end();
    }
}

/// The norm of a vector under inner product, where it is asked for; else 0.
///
/// # Safety
/// `vector` is a value of the type of `class`.
unsafe fn norm_of(class: OpclassInfo, vector: pg_sys::Datum) -> f64 {
    fn norm<E: Float>(vector: &Varlena<'_, E>) -> f64 {
        let squares = vector.elements().iter().map(|x| f64::from(x.to_f32()).powi(2));
        squares.sum::<f64>().sqrt()
    }
    if class.metric != Metric::InnerProduct {
        return 0.0;
    }
    // SAFETY: the caller's promise: the class says what the elements are.
    unsafe {
        match class.element {
            ElementType::F32 => norm(&Varlena::<f32>::from_datum(vector)),
            ElementType::F16 => norm(&Varlena::<f16>::from_datum(vector)),
            // Bits have no inner products.
            ElementType::Bit => 0.0,
            ElementType::Sparse => {
                let squares = |x: &f32| f64::from(*x).powi(2);
                SparseVarlena::from_datum(vector).values().iter().map(squares).sum::<f64>().sqrt()
            }
        }
    }
}

/// Whether the distances of an ordering operator's function are not ours, and are doubles. One of our library that was installed
/// under another path than usual is taken for foreign: its rows are looked at once more, and come out in the same order.
///
/// # Safety
/// To be called within a transaction.
pub unsafe fn is_foreign(function: pg_sys::Oid) -> bool {
    /// What stands in `pg_proc` for a function of ours.
    const OUR_LIBRARY: &[u8] = b"$libdir/pgfaiss";
    if function == pg_sys::InvalidOid {
        return false;
    }
    // SAFETY: looks up the catalog.
    if unsafe { pg_sys::get_func_rettype(function) } != pg_sys::FLOAT8OID {
        return false;
    }
    let cache = pg_sys::SysCacheIdentifier::PROCOID as i32;
    // SAFETY: the tuple is released below; its attribute, a plain text, is looked at before.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(cache, pg_sys::Datum::from(function));
        if tuple.is_null() {
            return false;
        }
        let mut is_null = false;
        let attribute = pg_sys::Anum_pg_proc_probin as pg_sys::AttrNumber;
        let library = pg_sys::SysCacheGetAttr(cache, tuple, attribute, &mut is_null);
        let is_ours = !is_null
            && pgrx::varlena_to_byte_slice(library.cast_mut_ptr::<pg_sys::varlena>())
                == OUR_LIBRARY;
        pg_sys::ReleaseSysCache(tuple);
        !is_ours
    }
}
