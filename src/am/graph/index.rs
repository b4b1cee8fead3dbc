//! What every callback needs of a graph: its metapage, its grid and where its pages are.

use std::cell::Cell;
use std::rc::Rc;

use ann::hnsw::Grid;
use ann::kernels::sparse::Sparse;
use pages::Error;
use pages::hnsw::insert::{Inserter, Row};
use pages::hnsw::{Map, Meta, View};
use pages::tid::Tid;

use crate::am::pages::PgPages;
use crate::am::recent::RecentBuffers;

/// What a build wrote into a graph, and its map, which only grows. Of what the build wrote only what was measured changes.
pub struct HnswIndex {
    pub meta: Meta,
    grid: Grid,
    map: Map,
    /// What inserts look by; taken while one is on its way.
    inserter: Cell<Inserter>,
    /// Where its blocks were last found in shared buffers, and those of its table.
    pub recent: Rc<RecentBuffers>,
    pub recent_rows: Rc<RecentBuffers>,
}

impl HnswIndex {
    pub fn read(pages: &PgPages) -> Result<Self, Error> {
        let meta = Meta::read(pages)?;
        let (grid, map) = (meta.read_grid(pages)?, Map::read(pages, &meta)?);
        let (inserter, recent, recent_rows) = Default::default();
        Ok(Self { meta, grid, map, inserter, recent, recent_rows })
    }

    /// What a verb of the pages works by.
    pub fn view(&self) -> View<'_> {
        View::new(&self.meta, &self.grid, &self.map)
    }

    /// Adds a row.
    pub fn insert(&self, pages: &PgPages, row: &Row<'_>) -> Result<(), Error> {
        let mut inserter = self.inserter.take();
        let inserted = inserter.insert(pages, &self.view(), row);
        self.inserter.set(inserter);
        inserted
    }

    /// Adds a row of a sparse vector and its attributes.
    pub fn insert_sparse(
        &self,
        pages: &PgPages,
        tid: Tid,
        row: (Sparse<'_>, &[u8]),
    ) -> Result<(), Error> {
        let mut inserter = self.inserter.take();
        let inserted = inserter.insert_sparse(pages, &self.view(), tid, row);
        self.inserter.set(inserter);
        inserted
    }

    /// About what it takes in memory.
    pub fn bytes(&self) -> usize {
        let map = self.map.n_chunks() as usize * self.meta.shape.pages() * size_of::<u32>();
        size_of::<Self>() + self.meta.params.grid_len() * size_of::<f32>() + map
    }
}
