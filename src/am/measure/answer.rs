//! What the index answers: real scans of this index and no other, as the executor runs them.

use pages::tid::Tid;
use pgrx::pg_sys;

use super::clock::{self, Clock};
use super::rows::IndexedRows;
use crate::am::interrupts::check_for_interrupts;
use crate::am::left_out::LeftOut;
use crate::am::opclass::ORDER_STRATEGY;
use crate::am::rel;
use crate::am::scan::AskedFor;
use crate::am::value::Column;

/// The row that a query is.
#[derive(Clone, Copy)]
pub struct Own {
    pub tid: Tid,
    /// Its node in a graph, if it is known.
    pub node: Option<u32>,
}

/// A scan of the index, begun anew for each query.
pub struct IndexScan {
    scan: pg_sys::IndexScanDesc,
    slot: *mut pg_sys::TupleTableSlot,
}

impl IndexScan {
    /// # Safety
    /// Table, index, snapshot and the current memory context must outlive the result.
    pub unsafe fn new(rows: &IndexedRows) -> Self {
        let (heap, index, snapshot) = (rows.heap, rows.index, rows.snapshot);
        // SAFETY: the caller's promise.
        unsafe {
            #[cfg(not(feature = "pg18"))]
            let scan = pg_sys::index_beginscan(heap, index, snapshot, 0, 1);
            #[cfg(feature = "pg18")]
            let scan = pg_sys::index_beginscan(heap, index, snapshot, std::ptr::null_mut(), 0, 1);
            Self { scan, slot: pg_sys::table_slot_create(heap, std::ptr::null_mut()) }
        }
    }

    /// Replaces `tids` by the first `k` rows that the index returns for ORDER BY distance and LIMIT k, without row `own`; returns
    /// the time it took.
    ///
    /// # Safety
    /// The operator class must be over vectors of `E`.
    pub unsafe fn ask<E: Column>(
        &mut self,
        point: &[f32],
        k: usize,
        own: Option<Own>,
        tids: &mut Vec<Tid>,
    ) -> Clock {
        let argument = E::datum_of(point);
        // SAFETY: the caller's promise.
        let taken = unsafe { self.ask_value(argument, k, own, tids) };
        // SAFETY: allocated by datum_of.
        unsafe { pg_sys::pfree(argument.cast_mut_ptr()) };
        taken
    }

    /// As `ask`, for a query as a value, which must live as long as the call.
    ///
    /// # Safety
    /// It must be of the type that the operator takes.
    pub unsafe fn ask_value(
        &mut self,
        argument: pg_sys::Datum,
        k: usize,
        own: Option<Own>,
        tids: &mut Vec<Tid>,
    ) -> Clock {
        tids.clear();
        let mut order = pg_sys::ScanKeyData {
            sk_attno: 1,
            sk_strategy: ORDER_STRATEGY,
            sk_argument: argument,
            ..Default::default()
        };
        // SAFETY: an open index.
        let relid = unsafe { (*(*self.scan).indexRelation).rd_id };
        let _left_out = own.map(|own| LeftOut::new(relid, own.tid, own.node));
        let _asked_for = AskedFor::new(self.scan, k as u64, None);
        let before = clock::of_thread();
        // SAFETY: the key is copied; its argument outlives the scan's use of it, which ends with the next rescan
        // at the latest, and no row is asked for after this loop. The slot is of the table's kind.
        unsafe {
            pg_sys::index_rescan(self.scan, std::ptr::null_mut(), 0, &raw mut order, 1);
            let forward = pg_sys::ScanDirection::ForwardScanDirection;
            while tids.len() < k && pg_sys::index_getnext_slot(self.scan, forward, self.slot) {
                check_for_interrupts();
                let tid = rel::tid_of(&raw mut (*self.slot).tts_tid);
                // An exact search has it first; one that skips it knows an updated row by another tid.
                if own.is_none_or(|own| own.tid != tid) {
                    tids.push(tid);
                }
            }
        }
        let taken = clock::of_thread() - before;
        // SAFETY: a slot of ours.
        unsafe { pg_sys::ExecClearTuple(self.slot) };
        taken
    }
}

impl IndexScan {
    /// The node of a row in a graph: None if a search for the row itself does not come upon it, or if it has the node in
    /// common with others. One row is asked for.
    ///
    /// # Safety
    /// As [`IndexScan::ask`].
    pub unsafe fn node_of<E: Column>(&mut self, point: &[f32], tid: Tid) -> Option<u32> {
        // SAFETY: an open index.
        let relid = unsafe { (*(*self.scan).indexRelation).rd_id };
        let left_out = LeftOut::new(relid, tid, None);
        // SAFETY: the caller's promise.
        unsafe { self.ask::<E>(point, 1, None, &mut Vec::new()) };
        left_out.node()
    }
}

impl Drop for IndexScan {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: made in `new`.
            unsafe {
                pg_sys::ExecDropSingleTupleTableSlot(self.slot);
                pg_sys::index_endscan(self.scan);
            }
        }
    }
}
