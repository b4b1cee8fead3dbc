//! Graphs.

use super::Reader;
use crate::error::Error;
use crate::index::{Body, Graph, Header};

impl Reader<'_> {
    pub(super) fn hnsw(&mut self, header: &Header) -> Result<Body, Error> {
        self.array(8, "the probabilities of levels")?;
        let cumulative = self.array(4, "the slots of levels")?;
        let at = self.at;
        let levels = self.array(4, "the levels")?;
        let n = header.ntotal;
        self.same(at, "the number of levels", levels.len, n)?;
        let offsets = self.exactly(n.saturating_add(1), 8, "the offsets of nodes")?;
        let neighbours = self.array(4, "the links")?;
        let entry = self.i32("the entry point")?;
        self.i32("the highest level")?;
        let ef_construction = self.i32("efConstruction")?;
        self.i32("efSearch")?;
        self.i32("a number without meaning")?;
        let at = self.at;
        let storage = self.inner(header)?;
        self.same(at, "its number of vectors", storage.header.ntotal, n)?;
        let graph = Graph { cumulative, levels, offsets, neighbours, entry, ef_construction };
        Ok(Body::Hnsw { graph, storage })
    }
}
