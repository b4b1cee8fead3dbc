//! The row that a measurement leaves out of an index's answers: a row that asks for its own neighbours.
//!
//! A re-ranked search must not spend one of its candidates on that row, or its recall would be measured with fewer
//! candidates for each of the others than a query from outside has. Nor may a search of a graph pass through its node, whose
//! links lead to just those neighbours. Which node it is, only a search can tell: one that comes upon the row says so.

use std::cell::Cell;

use ann::topk::Hit;
use pages::hnsw::node_of;
use pages::tid::Tid;
use pgrx::pg_sys;

#[derive(Clone, Copy)]
struct Row {
    index: pg_sys::Oid,
    tid: Tid,
    /// Its node in a graph, once known. None, too, if other rows share the node.
    node: Option<u32>,
}

thread_local! {
    static ROW: Cell<Option<Row>> = const { Cell::new(None) };
}

/// While it lives, scans of an index leave out a row.
pub struct LeftOut(());

impl LeftOut {
    /// Leaves a row, and its node if that is known, out of the scans of `index` that begin from now on. Only re-ranked
    /// searches know it.
    pub fn new(index: pg_sys::Oid, tid: Tid, node: Option<u32>) -> Self {
        ROW.set(Some(Row { index, tid, node }));
        Self(())
    }

    /// The row's node, if a search has come upon it.
    pub fn node(&self) -> Option<u32> {
        ROW.get().and_then(|row| row.node)
    }
}

impl Drop for LeftOut {
    fn drop(&mut self) {
        ROW.set(None);
    }
}

/// The row that a scan of the open index `index` leaves out.
pub fn row_of(index: pg_sys::Relation) -> Option<Tid> {
    // SAFETY: an open relation.
    let relid = unsafe { (*index).rd_id };
    ROW.get().filter(|row| row.index == relid).map(|row| row.tid)
}

/// The node of the row that is left out.
pub fn node() -> Option<u32> {
    ROW.get().and_then(|row| row.node)
}

/// Remembers the node of the row that is left out, if it is among `candidates` and alone in its node. These must be
/// candidates of a graph.
pub fn note_node(candidates: &[Hit]) {
    let Some(row) = ROW.get().filter(|row| row.node.is_none()) else { return };
    let Some(own) = candidates.iter().find(|hit| hit.id == row.tid.to_u64()) else { return };
    let node = node_of(own.at);
    if candidates.iter().filter(|hit| node_of(hit.at) == node).count() == 1 {
        ROW.set(Some(Row { node: Some(node), ..row }));
    }
}
