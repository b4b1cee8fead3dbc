//! Vacuum: rows of dead tuples leave the graph, nodes without rows leave it too, and those who were linked to them get
//! other links. The order of the steps, and what a crash between them leaves, is in `README.md`.

mod duplicates;
mod free;
mod lists;
mod mend;
mod reach;
mod rows;
mod search;

use crate::error::Error;
use crate::hnsw::nodes::{Lane, Nodes, State};
use crate::hnsw::{INVALID_NODE, View, sparse};
use crate::page::INVALID_BLKNO;
use crate::store::Pages;
use crate::tid::Tid;
use crate::tid_set::TidSet;
use crate::vacuum::VacuumStats;

/// Asks `is_dead` about every row, once each and with no lock held, and removes those that are. Writes nothing where
/// nothing died. Only one vacuum may run on an index at a time.
pub fn bulk_delete<P: Pages>(
    pages: &P,
    view: &View<'_>,
    mut is_dead: impl FnMut(Tid) -> bool,
) -> Result<VacuumStats, Error> {
    view.map.refresh(pages)?;
    let view = &view.now(pages)?;
    let mut stats = VacuumStats::default();
    let mut found = rows::remove(pages, view, &mut is_dead, &mut stats)?;
    duplicates::unchain(pages, view, &found.duplicates)?;
    found.ghosts = duplicates::without(pages, view, &found.ghosts)?;
    let gone = Bits::of(&found.ghosts, view.map.n_nodes());
    if !found.ghosts.is_empty() {
        lists::mend_all(pages, view, &gone)?;
        free::replace_entry(pages, view, &gone)?;
        reach::connect(pages, view, &gone, &found.nodes)?;
        free::records(pages, view, &gone)?;
    }
    let has_gone = !found.ghosts.is_empty();
    let mut lanes = found.ghosts;
    lanes.append(&mut found.duplicates);
    lanes.sort_unstable();
    stats.free_slots += free::lanes(pages, view, &lanes)?;
    if has_gone && view.meta.params.is_sparse() {
        sparse::sweep::sweep(pages, view)?;
    }
    stats.pages = pages.n_blocks()?;
    Ok(stats)
}

/// Counts rows and free lanes, changing nothing.
pub fn stats<P: Pages>(pages: &P, view: &View<'_>) -> Result<VacuumStats, Error> {
    let mut stats = VacuumStats::default();
    for_each_lane(pages, view, |lane| {
        stats.live += u64::from(!lane.tid.is_free());
        stats.free_slots += u64::from(lane.state == State::Free);
    })?;
    stats.pages = pages.n_blocks()?;
    Ok(stats)
}

/// The tids of all rows, with no lock held.
pub fn tids<P: Pages>(pages: &P, view: &View<'_>) -> Result<TidSet, Error> {
    let mut tids = Vec::new();
    for_each_lane(pages, view, |lane| {
        if !lane.tid.is_free() {
            tids.push(lane.tid.to_u64());
        }
    })?;
    Ok(TidSet::new(tids))
}

/// Calls `look` with every lane that was ever used, a page under a share lock at a time.
fn for_each_lane<P: Pages>(
    pages: &P,
    view: &View<'_>,
    mut look: impl FnMut(&Lane),
) -> Result<(), Error> {
    view.map.refresh(pages)?;
    for chunk in 0..view.map.n_chunks() {
        for part in 0..view.meta.shape.nodes_pages {
            let blkno = view.map.block(pages, chunk, part)?;
            if blkno == INVALID_BLKNO {
                continue;
            }
            let page = pages.read(blkno)?;
            let nodes = Nodes::new(&page, blkno, &view.meta.shape, chunk, part)?;
            for place in 0..nodes.n_used {
                look(&nodes.lane(blkno, place)?);
            }
            drop(page);
            pages.check_interrupts();
        }
    }
    Ok(())
}

/// What a pass over all lanes found.
#[derive(Default)]
struct Found {
    /// Nodes without a row, ascending.
    ghosts: Vec<u32>,
    /// Duplicates without a row, ascending.
    duplicates: Vec<u32>,
    /// All nodes.
    nodes: Bits,
}

/// A set of ids.
#[derive(Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn of(ids: &[u32], n: u32) -> Self {
        let mut bits = Self(vec![0; (n as usize).div_ceil(64)]);
        ids.iter().for_each(|id| bits.set(*id));
        bits
    }

    fn set(&mut self, id: u32) {
        let word = (id / 64) as usize;
        if word >= self.0.len() && id != INVALID_NODE {
            self.0.resize(word + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word |= 1 << (id % 64);
        }
    }

    #[inline]
    fn has(&self, id: u32) -> bool {
        self.0.get((id / 64) as usize).is_some_and(|word| word & (1 << (id % 64)) != 0)
    }

    fn iter(&self) -> impl Iterator<Item = u32> {
        let words = (0u32..).step_by(64).zip(&self.0).filter(|(_, word)| **word != 0);
        words.flat_map(|(first, word)| {
            (0..64).filter(move |bit| word & (1 << bit) != 0).map(move |bit| first + bit)
        })
    }
}
