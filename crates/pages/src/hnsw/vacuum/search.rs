//! What lies near a node, searched for from the entry as an insert would.

use ann::hnsw::{Beam, Near};

use crate::error::Error;
use crate::hnsw::entry::Entry;
use crate::hnsw::gather::Gathered;
use crate::hnsw::walk::{Walk, WalkBuffers};
use crate::hnsw::{INVALID_NODE, View};
use crate::store::Pages;

/// Memory for search after search.
#[derive(Default)]
pub(super) struct Search {
    beam: Beam,
    buffers: WalkBuffers,
    around: Gathered,
    found: Vec<Near>,
}

impl Search {
    /// The `ef` nodes nearest to one on a level, nearest first, gone ones among them: they still lead on. Itself is left out.
    /// Empty if it is no node any more, or nothing is there to begin at. No lock is held.
    pub(super) fn near<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        (node, level): (u32, usize),
        ef: usize,
    ) -> Result<&[Near], Error> {
        self.found.clear();
        self.around.read(pages, view, [node].into_iter())?;
        let Some(query) = self.around.query(view, 0) else { return Ok(&self.found) };
        let entry = Entry::read(pages, view.meta)?;
        if entry.node == INVALID_NODE {
            return Ok(&self.found);
        }
        let mut walk = Walk::new(pages, *view, &query, &mut self.buffers);
        let (levels, n_ids) = ((usize::from(entry.level), level), view.map.n_nodes() as usize);
        self.beam.fit(view.grid.metric());
        self.beam.descend(&mut walk, entry.node, levels, n_ids, &mut self.found)?;
        self.beam.once(&mut walk, level, ef, &mut self.found)?;
        self.found.retain(|near| near.node != node);
        Ok(&self.found)
    }
}
