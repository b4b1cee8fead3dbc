//! Insert one row: its neighbours are searched and selected without a lock, then it gets a lane, then its neighbours link
//! back to it, each in a record of its own. Locks and order are in `README.md`.

pub(super) mod back;
mod duplicate;
mod loss;
mod place;
mod records;

use ann::extent;
use ann::hnsw::{
    Beam, Factors, Near, NodeDistances, NodeQuery, SparseQuery, level_of, links_least, select,
    turn_equals,
};
use ann::kernels::sparse::Sparse;
use ann::metric::Metric;
use half::f16;

use crate::error::Error;
use crate::hnsw::entry::Entry;
use crate::hnsw::gather::Gathered;
use crate::hnsw::walk::{Walk, WalkBuffers, check_ids, is_begun};
use crate::hnsw::{INVALID_NODE, View, sparse};
use crate::page::META_BLKNO;
use crate::store::Pages;
use crate::tid::Tid;

/// How often an insert looks again where others have changed what it was about to use. They have got on then.
const ROUNDS_MAX: usize = 1000;
/// Searches that an insert makes at most: an entry that is no node by now is soon replaced.
const SEARCHES_MAX: usize = 3;

/// A row to insert.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Where it is in the heap.
    pub tid: Tid,
    /// The vector as the index stores it, `Geometry::vector_size` bytes; empty where it stores none.
    pub stored: &'a [u8],
    /// The vector as it is coded: normalised under cosine, else shortened where it is very long (`ann::extent`).
    pub point: &'a [f32],
    /// Its attributes, as [`Attributes::place`](crate::search::attributes::Attributes::place) takes them.
    pub attributes: &'a [u8],
}

impl Row<'_> {
    /// The stored elements, of 32 or 16 bits; none where none are stored.
    fn elements(&self, dims: usize) -> impl Iterator<Item = f32> {
        let singles = if self.stored.len() == 4 * dims { self.stored } else { &[] };
        let halves = if self.stored.len() == 2 * dims { self.stored } else { &[] };
        let singles = singles.as_chunks().0.iter().map(|x| f32::from_le_bytes(*x));
        singles.chain(halves.as_chunks().0.iter().map(|x| f16::from_le_bytes(*x).to_f32()))
    }
}

/// A row with its code.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coded<'a> {
    pub(super) row: Row<'a>,
    /// The stored elements as 32-bit floats, of length 1 under cosine but else not shortened; empty where none are stored.
    pub(super) vector: &'a [f32],
    /// The vector where the graph is of sparse ones. Its code says where it is, and is made when there is a place for it.
    pub(super) sparse: Option<Sparse<'a>>,
    pub(super) code: &'a [u8],
    pub(super) factors: Factors,
    level: u8,
}

/// Inserts rows into one index, one after the other; keeps its memory.
pub struct Inserter {
    code: Vec<u8>,
    vector: Vec<f32>,
    beam: Beam,
    walk: WalkBuffers,
    found: Vec<Near>,
    around: Gathered,
    candidates: Vec<Near>,
    kept: Vec<usize>,
    node_distances: Option<NodeDistances>,
    /// The links of the new node, level by level from 0.
    chosen: Vec<Vec<Near>>,
    back: back::Buffers,
    loss: loss::Watch,
}

impl Default for Inserter {
    fn default() -> Self {
        Self::new()
    }
}

impl Inserter {
    pub fn new() -> Self {
        Self {
            code: Vec::new(),
            vector: Vec::new(),
            beam: Beam::new(),
            walk: WalkBuffers::default(),
            found: Vec::new(),
            around: Gathered::default(),
            candidates: Vec::new(),
            kept: Vec::new(),
            node_distances: None,
            chosen: Vec::new(),
            back: back::Buffers::default(),
            loss: loss::Watch::default(),
        }
    }

    /// Adds a row. When it returns, the row is in the index; if it fails or the server dies on the way, the row is in the
    /// index or not (then VACUUM removes the tid), and no page is worse than leaked. No lock may be held.
    ///
    /// The level of a node is drawn from the seed and its tid. A row whose vector equals that of a node that the search
    /// finds becomes its duplicate.
    pub fn insert<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        row: &Row<'_>,
    ) -> Result<(), Error> {
        let (params, shape) = (&view.meta.params, &view.meta.shape);
        let stored = shape.vectors.map_or(0, |g| g.vector_size());
        if params.is_sparse()
            || row.point.len() != params.dims
            || row.stored.len() != stored
            || row.attributes.len() != shape.attributes.entry_size()
            || row.tid.is_free()
        {
            return Err(Error::corrupted(META_BLKNO, "row does not fit the index"));
        }
        let mut code = std::mem::take(&mut self.code);
        code.resize(view.grid.size(), 0);
        let factors = view.grid.encode(row.point, &mut code);
        let level = level_of(params.m, params.seed, row.tid.to_u64());
        let mut vector = std::mem::take(&mut self.vector);
        vector.clear();
        vector.extend(row.elements(params.dims));
        if params.metric == Metric::Cosine {
            extent::normalize(&mut vector);
        }
        let (row, sparse) = (*row, None);
        let coded = Coded { row, vector: &vector, sparse, code: &code, factors, level };
        let inserted = view.now(pages).and_then(|view| self.insert_coded(pages, &view, &coded));
        (self.code, self.vector) = (code, vector);
        inserted
    }

    /// As `insert`, for a graph over sparse vectors.
    pub fn insert_sparse<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        tid: Tid,
        (vector, attributes): (Sparse<'_>, &[u8]),
    ) -> Result<(), Error> {
        let params = &view.meta.params;
        let fits = vector.values.len() == vector.indices.len()
            && vector.indices.len() <= sparse::STORED_MAX
            && sparse::page::problem_of(vector, params.dims).is_none()
            && attributes.len() == params.attributes.entry_size();
        if !params.is_sparse() || !fits || tid.is_free() {
            return Err(Error::corrupted(META_BLKNO, "row does not fit the index"));
        }
        let coded = Coded {
            row: Row { tid, stored: &[], point: &[], attributes },
            vector: &[],
            sparse: Some(vector),
            code: &sparse::RowAt::NONE.to_code(),
            factors: sparse::FACTORS,
            level: level_of(params.m, params.seed, tid.to_u64()),
        };
        self.insert_coded(pages, &view.now(pages)?, &coded)
    }

    fn insert_coded<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        row: &Coded<'_>,
    ) -> Result<(), Error> {
        let entry = self.neighbours(pages, view, row)?;
        self.loss.look(pages, view, row, &self.found)?;
        if let Some(node) = duplicate::find(pages, view, row, &self.around)?
            && duplicate::attach(pages, view, row, node)?
        {
            return Ok(());
        }
        let node = place::node(pages, view, row, &self.chosen)?;
        self.link_back(pages, view, row, node)?;
        if entry.node == INVALID_NODE {
            let mine = |now: Entry| Entry { node, level: row.level, ..now };
            let if_first = |now: Entry| if now.node == INVALID_NODE { mine(now) } else { now };
            if Entry::change(pages, view.meta, if_first)?.node == node {
                return Ok(());
            }
            // Somebody else's node was first: it did not see this one, nor this one it.
            self.link_late(pages, view, row, node)?;
        }
        if entry.node == INVALID_NODE || row.level > entry.level {
            Entry::change(pages, view.meta, |now| match now.level < row.level {
                true => Entry { node, level: row.level, ..now },
                false => now,
            })?;
        }
        Ok(())
    }

    /// Links a node that has no links yet, there and back.
    fn link_late<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        row: &Coded<'_>,
        node: u32,
    ) -> Result<(), Error> {
        self.neighbours(pages, view, row)?;
        for level in 0..self.chosen.len() {
            let chosen = self.chosen.get(level).into_iter().flatten();
            let others: Vec<u32> = chosen.map(|near| near.node).filter(|id| *id != node).collect();
            back::add_links(pages, view, node, level, &others)?;
        }
        self.chosen.iter_mut().for_each(|chosen| chosen.retain(|near| near.node != node));
        self.link_back(pages, view, row, node)
    }

    fn link_back<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        row: &Coded<'_>,
        node: u32,
    ) -> Result<(), Error> {
        let Self { node_distances, chosen, back, .. } = self;
        let node_distances = node_distances.get_or_insert_with(|| NodeDistances::new(view.grid));
        let to = back::NewNode { id: node, coded: row };
        for (level, chosen) in chosen.iter().enumerate() {
            back::link(pages, view, chosen, &to, level, node_distances, back)?;
        }
        Ok(())
    }

    /// Searches for neighbours and selects the links of each level. What was found at level 0 stays in `around`. Returns the
    /// entry that the search began at.
    fn neighbours<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        row: &Coded<'_>,
    ) -> Result<Entry, Error> {
        let query = match row.sparse {
            Some(vector) => NodeQuery::Sparse(SparseQuery::new(view.meta.params.metric, vector)),
            None if view.by_vectors => view.query(row.vector),
            None => NodeQuery::Code(view.grid.query_of_code(row.code, row.factors)),
        };
        let mut entry = Entry::EMPTY;
        for _ in 0..SEARCHES_MAX {
            self.chosen.clear();
            self.around.clear();
            self.found.clear();
            entry = Entry::read(pages, view.meta)?;
            if entry.node == INVALID_NODE {
                break;
            }
            check_ids(pages, view, Some(entry.node), view.meta.entry_blkno)?;
            if !is_begun(pages, view, entry.node)? {
                continue;
            }
            let top = usize::from(row.level.min(entry.level));
            let levels = (usize::from(entry.level), top);
            let n_ids = view.map.n_nodes() as usize;
            let mut walk = Walk::new(pages, *view, &query, &mut self.walk);
            self.beam.fit(view.grid.metric());
            self.beam.descend(&mut walk, entry.node, levels, n_ids, &mut self.found)?;
            if self.found.is_empty() {
                continue;
            }
            self.chosen.resize_with(top + 1, Vec::new);
            for level in (0..=top).rev() {
                self.search(pages, view, &query, level)?;
                self.choose(view, level, row.row.tid);
            }
            break;
        }
        Ok(entry)
    }

    /// The candidates of a level, gathered with their codes: begins at what was found on the level above.
    fn search<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        query: &NodeQuery,
        level: usize,
    ) -> Result<(), Error> {
        let mut walk = Walk::new(pages, *view, query, &mut self.walk);
        self.beam.begin_at(view.map.n_nodes() as usize, &self.found);
        self.beam.once(&mut walk, level, view.meta.params.ef_construction, &mut self.found)?;
        self.around.read(pages, view, self.found.iter().map(|near| near.node))
    }

    /// Selects links among what was gathered. A ghost is not linked to: VACUUM is about to free it.
    fn choose(&mut self, view: &View<'_>, level: usize, tid: Tid) {
        let Self { found, around, candidates, kept, node_distances, chosen, .. } = self;
        let Some(chosen) = chosen.get_mut(level) else { return };
        let node_distances = node_distances.get_or_insert_with(|| NodeDistances::new(view.grid));
        node_distances.forget();
        candidates.clear();
        // As numbers among the gathered.
        let live = (0u32..).zip(&*found).filter(|(i, _)| around.is_live(*i as usize));
        candidates.extend(live.map(|(i, near)| Near { key: near.key, node: i }));
        turn_equals(candidates, tid.to_u64());
        let of = around.codes(view.grid.size());
        let number = |i: usize| candidates.get(i).map_or(INVALID_NODE, |near| near.node);
        let between = |i, j| node_distances.between(view.grid, of, number(i), number(j));
        let least = links_least(view.grid.metric(), view.meta.params.m, level);
        select(candidates, (view.meta.shape.links_max(level), least), between, kept);
        let numbers = kept.iter().filter_map(|i| candidates.get(*i));
        chosen.clear();
        chosen.extend(numbers.filter_map(|near| found.get(near.node as usize)));
    }
}
