//! Whether codes still tell near rows apart. They are made around the first rows, and with 8 bits: what comes later may lie
//! far from those, or closer together. Where codes misplace what is near to new rows, the graph goes over to comparing
//! vectors, for good: rows that come later are as well placed as the first.

use ann::hnsw::{COMPARED, Near, VectorQuery, is_misplaced};

use super::Coded;
use crate::error::Error;
use crate::hnsw::View;
use crate::hnsw::entry::Entry;
use crate::hnsw::rows::visit;
use crate::store::Pages;

/// One row in this many is looked at: its neighbours' vectors are read for that.
const LOOKED_AT: u64 = 4;
/// This many misplaced rows are too many.
const MOST: u16 = 8;
/// One misplaced row in this many is not: after as many well placed rows, one misplaced row is forgotten.
const FORGOTTEN_AFTER: u32 = 50;

/// What an inserter has seen.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Rows looked at since the last misplaced one.
    well_placed: u32,
    nodes: Vec<u32>,
    keys: Vec<f32>,
    order: Vec<u64>,
}

impl Watch {
    /// Looks at a row and what a search by codes `found` near it, nearest first. Writes only where it is misplaced.
    pub(super) fn look<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        row: &Coded<'_>,
        found: &[Near],
    ) -> Result<(), Error> {
        let draw = row.row.tid.to_u64().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        if view.by_vectors || view.meta.shape.vectors.is_none() || !draw.is_multiple_of(LOOKED_AT) {
            return Ok(());
        }
        self.well_placed = self.well_placed.saturating_add(1);
        let query = VectorQuery::new(view.meta.params.metric, row.vector);
        let Self { nodes, keys, order, .. } = self;
        nodes.clear();
        nodes.extend(found.iter().take(COMPARED).map(|near| near.node));
        keys.clear();
        keys.resize(nodes.len(), f32::MAX);
        visit(pages, view, nodes, order, |i, row| {
            if let Some(key) = keys.get_mut(i) {
                *key = row.key(&query);
            }
        })?;
        if is_misplaced(keys) { self.count(pages, view) } else { Ok(()) }
    }

    fn count<P: Pages>(&mut self, pages: &P, view: &View<'_>) -> Result<(), Error> {
        let well_placed = std::mem::take(&mut self.well_placed);
        let n = view.map.n_nodes();
        Entry::change(pages, view.meta, |now| {
            // Others have looked at rows, too: the graph has grown by more than this inserter's.
            let grown = n.saturating_sub(now.counted_from) / LOOKED_AT as u32;
            let forgotten = well_placed.max(grown) / FORGOTTEN_AFTER;
            let misplaced = u32::from(now.misplaced).saturating_sub(forgotten) + 1;
            let misplaced = u16::try_from(misplaced).unwrap_or(MOST);
            let by_vectors = now.by_vectors || misplaced >= MOST;
            Entry { by_vectors, misplaced: misplaced.min(MOST), counted_from: n, ..now }
        })?;
        Ok(())
    }
}
