//! The table's own rows for the candidates of a lossy index: what `refine = heap` re-ranks by.
//!
//! The server follows the HOT chain of a tid and tests visibility against the scan's snapshot, as
//! it will do again for the rows that the scan returns. No content lock is held while a row is
//! looked at, only the pin of its page, and that until [`HeapRows::rest`].
//!
//! An ERROR in here unwinds as a panic. Nothing of this file calls the server on drop: pins and the
//! reference to the row type belong to the resource owner, memory to the scan's memory context, and
//! both are cleared by whoever aborts the (sub)transaction.

mod open;

use std::collections::HashMap;
use std::rc::Rc;

use ann::radix::sort_places;
use pages::tid::Tid;
use pgrx::pg_sys;

use super::interrupts::check_for_interrupts;
use super::recent::RecentBuffers;
use super::report::wrong_dimensions;
use super::table_end::TableEnd;
use super::value::{Column, Value};
use open::{Open, Version};

/// Rows that are asked for together before the first of them is read.
const ROWS_AHEAD: usize = 16;

/// The rows of the table below an index scan.
pub struct HeapRows {
    scan: pg_sys::IndexScanDesc,
    /// None until the first row is asked for.
    open: Option<Open>,
    /// Where the table's blocks were last found in shared buffers, if that is kept.
    recent: Option<Rc<RecentBuffers>>,
    /// Candidates by place in the table, as [`Tid::to_u64`], each with its number; kept for its allocation.
    order: Vec<(u64, u32)>,
    /// The visible versions found elsewhere in their HOT chains than the candidate's tid, if these are kept.
    moved: Option<HashMap<Tid, Tid>>,
    /// Whether the row looked at last is dead to all, and such candidates of the last visit: tid and number.
    is_dead: bool,
    dead: Vec<(u64, u32)>,
    end: TableEnd,
}

impl HeapRows {
    /// Opens nothing yet; the scan may still lack its table and snapshot.
    ///
    /// # Safety
    /// `scan` must outlive the result or its last use; its index and table stay open as long. Its
    /// operator class must be over vectors of the `E` of later calls.
    pub unsafe fn new(scan: pg_sys::IndexScanDesc) -> Self {
        let (order, end) = (Vec::new(), TableEnd::default());
        let (is_dead, dead) = (false, Vec::new());
        Self { scan, open: None, recent: None, order, moved: None, is_dead, dead, end }
    }

    /// Looks for the table's blocks where they were last, from the next opening on.
    pub fn remember(&mut self, recent: &Rc<RecentBuffers>) {
        self.recent.get_or_insert_with(|| Rc::clone(recent));
    }

    /// Calls `each` with the number and the vector of every candidate that is a row for the scan's
    /// snapshot, in the order of the table, not of `candidates`. The others are left out, as
    /// [`HeapRows::fetch`] says. `each` sees the elements during the call only.
    ///
    /// Errors: as [`HeapRows::fetch`], and XX002 for a candidate beyond the table's end. Answers interrupts between rows.
    pub fn visit<E: Column>(
        &mut self,
        candidates: &[Tid],
        dims: usize,
        mut each: impl FnMut(usize, &[E]),
    ) {
        self.in_order(candidates, |rows, order| {
            rows.visit_sorted(order, dims, |same, elements| {
                same.iter().for_each(|(_, number)| each(*number as usize, elements));
            });
        });
    }

    /// As `visit`, for candidates that are in the table's order, by [`Tid::to_u64`]: `each` gets all that name a row at once,
    /// which is looked at once. Queries that are near to each other share candidates.
    pub fn visit_sorted<'a, E: Column>(
        &mut self,
        candidates: &'a [(u64, u32)],
        dims: usize,
        mut each: impl FnMut(&'a [(u64, u32)], &[E]),
    ) {
        self.each_row(candidates, |rows, tid, same| {
            rows.fetch(tid, dims, |elements| each(same, elements));
        });
    }

    /// Calls `each` with the number of every candidate and the tid of its visible version, None if it is no row for the
    /// scan's snapshot. Otherwise as [`HeapRows::visit`].
    pub fn locate(&mut self, candidates: &[Tid], mut each: impl FnMut(usize, Option<Tid>)) {
        self.in_order(candidates, |rows, order| {
            rows.each_row(order, |rows, tid, same| {
                let visible = rows.visible(tid);
                same.iter().for_each(|(_, number)| each(*number as usize, visible));
            });
        });
    }

    /// Neighbours in the table share a page and its pin, and a cold disk likes the order.
    fn in_order(&mut self, candidates: &[Tid], look: impl FnOnce(&mut Self, &[(u64, u32)])) {
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend(candidates.iter().map(|tid| tid.to_u64()).zip(0..));
        sort_places(&mut order);
        look(self, &order);
        self.order = order;
    }

    fn each_row<'a>(
        &mut self,
        order: &'a [(u64, u32)],
        mut each: impl FnMut(&mut Self, Tid, &'a [(u64, u32)]),
    ) {
        self.dead.clear();
        if let Some((last, _)) = order.last() {
            // SAFETY: the promise of `new`.
            unsafe { self.end.require(self.scan, Tid::from_u64(*last)) };
        }
        let mut rows = order.chunk_by(|a, b| a.0 == b.0).peekable();
        while rows.peek().is_some() {
            let mut near: [&[(u64, u32)]; ROWS_AHEAD] = [&[]; ROWS_AHEAD];
            near.iter_mut().zip(rows.by_ref()).for_each(|(near, same)| *near = same);
            self.open().read_ahead(&near);
            for same in near {
                let Some((tid, _)) = same.first() else { break };
                check_for_interrupts();
                each(self, Tid::from_u64(*tid), same);
                if self.is_dead {
                    self.dead.extend_from_slice(same);
                }
            }
        }
    }

    /// From now on keeps where visible versions were found, and forgets what was kept before.
    pub fn keep_moved(&mut self) {
        self.moved = Some(HashMap::new());
    }

    /// The visible version of a row that was found since [`HeapRows::keep_moved`].
    pub fn version_of(&self, tid: Tid) -> Tid {
        self.moved.as_ref().and_then(|moved| moved.get(&tid)).copied().unwrap_or(tid)
    }

    /// Takes the candidates of the last [`HeapRows::visit`] or its like whose rows turned out to be dead to all: tid, as
    /// [`Tid::to_u64`], and number. None where nobody may say so: in a transaction that began on a standby.
    pub fn take_dead(&mut self) -> Vec<(u64, u32)> {
        std::mem::take(&mut self.dead)
    }

    /// Whether the row that was looked at last is dead to all.
    pub fn was_dead(&self) -> bool {
        self.is_dead
    }

    /// Whether the row at `tid` is dead to all, as the table says now. A page of the index may be share-locked.
    pub fn is_dead(&mut self, tid: Tid) -> bool {
        self.visible(tid).is_none() && self.is_dead
    }

    /// The visible version of the row at `tid`, which the slot then holds.
    fn visible(&mut self, tid: Tid) -> Option<Tid> {
        let scan = self.scan;
        self.is_dead = false;
        let open = self.open();
        // SAFETY: the row before is no longer looked at. The scan is set up (Open::new made sure).
        let (version, may_mark) = unsafe {
            open.forget_row();
            (open.find(tid, (*scan).xs_snapshot), !(*scan).xactStartedInRecovery)
        };
        let found = match version {
            Version::Seen(found) => found,
            Version::Unseen => return None,
            Version::Dead => {
                self.is_dead = may_mark;
                return None;
            }
        };
        if let Some(moved) = self.moved.as_mut().filter(|_| found != tid) {
            moved.insert(tid, found);
        }
        Some(found)
    }

    /// Looks at the vector of the row at `tid`: of that version in its HOT chain which the scan's
    /// snapshot sees. `look` sees the elements during the call only.
    ///
    /// None, and the candidate is no row of this query, if
    /// - no version is visible: deleted, updated elsewhere, not committed, or vacuumed and its place
    ///   taken by a newer row;
    /// - the value is NULL, which no entry of an index without NULLs can have been made for: an
    ///   expression that was declared immutable and has changed. A REINDEX would leave the row out
    ///   too.
    ///
    /// Errors: 22000 if the vector has not `dims` dimensions, which takes such a change as well. Not
    /// None, because the operator would refuse the row, and a row must not vanish from the result.
    /// Whatever the index expression raises. 0A000 for a scan that has no table.
    pub fn fetch<E: Column, R>(
        &mut self,
        tid: Tid,
        dims: usize,
        look: impl FnOnce(&[E]) -> R,
    ) -> Option<R> {
        // SAFETY: a value of the indexed type, alive during the call.
        self.value(tid, |value, memory| unsafe { look_at(value, memory, dims, look) })
    }

    /// Calls `each` with the number, the vector and the value of column `key` (None for NULL) of every candidate that is a row for
    /// the scan's snapshot, in the order of the table. Otherwise as [`HeapRows::visit`].
    pub fn visit_keyed<E: Column>(
        &mut self,
        candidates: &[Tid],
        dims: usize,
        key: pg_sys::AttrNumber,
        mut each: impl FnMut(usize, &[E], Option<pg_sys::Datum>),
    ) {
        self.in_order(candidates, |rows, order| {
            rows.each_row(order, |rows, tid, same| {
                if rows.visible(tid).is_none() {
                    return;
                }
                let open = rows.open();
                // SAFETY: the slot holds the row found just now; the table has the column, and what is indexed is alive during
                // the call.
                unsafe {
                    let (Some(value), key) = (open.value(), open.attribute(key)) else { return };
                    look_at(value, open.row_memory, dims, |elements: &[E]| {
                        same.iter().for_each(|(_, number)| each(*number as usize, elements, key));
                    });
                }
            });
        });
    }

    /// Looks at the indexed value of the row at `tid`, which is alive during the call only, with the memory that is emptied
    /// before the next row. None, and errors, as for [`HeapRows::fetch`]; XX002 for a row beyond the table's end.
    pub fn value<R>(
        &mut self,
        tid: Tid,
        look: impl FnOnce(pg_sys::Datum, pg_sys::MemoryContext) -> R,
    ) -> Option<R> {
        // SAFETY: the promise of `new`.
        unsafe { self.end.require(self.scan, tid) };
        self.visible(tid)?;
        let open = self.open();
        // SAFETY: the slot holds the row found just now.
        let value = unsafe { open.value() }?;
        Some(look(value, open.row_memory))
    }

    /// The transaction that made the version looked at last; None if none was.
    pub fn xmin(&self) -> Option<pg_sys::TransactionId> {
        // SAFETY: the slot is ours.
        self.open.as_ref().and_then(|open| unsafe { open.xmin() })
    }

    /// Computes the values of all columns of the index from the row looked at last, which must still be looked at, and shows
    /// them with which are null.
    ///
    /// # Safety
    /// `info` and `estate` must be made for the index, and `estate` have a per-tuple context.
    pub unsafe fn columns<R>(
        &mut self,
        info: *mut pg_sys::IndexInfo,
        estate: *mut pg_sys::EState,
        show: impl FnOnce(&[pg_sys::Datum], &[bool]) -> R,
    ) -> R {
        // SAFETY: the caller's promise.
        let (values, nulls) = unsafe { self.open().columns(info, estate) };
        show(&values, &nulls)
    }

    fn open(&mut self) -> &Open {
        // SAFETY: the promise of `new`.
        self.open.get_or_insert_with(|| unsafe { Open::new(self.scan, self.recent.clone()) })
    }

    /// Lets go of what must not be held between two calls of the executor: the pins. To be called
    /// at the end of each callback that read rows.
    pub fn rest(&mut self) {
        let Some(open) = &self.open else { return };
        // SAFETY: made in Open::new and not yet ended; nobody looks at a row any more.
        unsafe {
            open.rest();
        }
    }

    /// Frees everything, for `amendscan`. A rescan needs no more than [`HeapRows::rest`], but may
    /// call this: the next row opens anew.
    pub fn end(&mut self) {
        (self.order, self.dead) = (Vec::new(), Vec::new());
        if let Some(open) = self.open.take() {
            // SAFETY: made in Open::new and taken out, so that nobody uses it again.
            unsafe { open.end() };
        }
    }
}

/// Shows the elements of an indexed value. What has to be expanded for that goes to the row's memory.
///
/// # Safety
/// `value` must be of the type with these elements and alive.
unsafe fn look_at<E: Column, R>(
    value: pg_sys::Datum,
    memory: pg_sys::MemoryContext,
    dims: usize,
    look: impl FnOnce(&[E]) -> R,
) -> R {
    // SAFETY: the caller's promise.
    let vector = unsafe {
        let caller = pg_sys::MemoryContextSwitchTo(memory);
        let vector = E::read(value);
        pg_sys::MemoryContextSwitchTo(caller);
        vector
    };
    if vector.dims() != dims {
        wrong_dimensions(dims, vector.dims());
    }
    look(vector.elements())
}

#[cfg(feature = "pg_test")]
mod tests;
