//! What `faiss.index_info` and `faiss.list_info` show of a graph.

use crate::error::Error;
use crate::hnsw::nodes::{Nodes, State};
use crate::hnsw::{Meta, View};
use crate::page::INVALID_BLKNO;
use crate::store::Pages;

/// Sums over a whole graph.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    /// Rows: of nodes and of their duplicates.
    pub ntotal: u64,
    /// Lanes that vacuum freed and no insert has taken yet, and nodes without a row.
    pub ndead: u64,
    /// Of the rows, those that are duplicates.
    pub duplicates: u64,
    /// Nodes by their level: `levels[l]` have level l or more.
    pub levels: Vec<u64>,
    /// Pages of the chunks.
    pub pages: u64,
}

/// Bytes of what is stored for each row beside links and rows' addresses: the code, and the vector if it is stored.
pub fn code_size(meta: &Meta) -> usize {
    meta.shape.code_bytes + meta.shape.vectors.map_or(0, |g| g.vector_size())
}

/// Counts, reading NODES pages under one share lock at a time.
pub fn totals<P: Pages>(pages: &P, view: &View<'_>) -> Result<Totals, Error> {
    let mut totals = Totals::default();
    let shape = &view.meta.shape;
    view.map.refresh(pages)?;
    for chunk in 0..view.map.n_chunks() {
        for part in 0..shape.pages() {
            let blkno = view.map.block(pages, chunk, part)?;
            if blkno == INVALID_BLKNO {
                continue;
            }
            totals.pages += 1;
            if part >= shape.nodes_pages {
                continue;
            }
            let page = pages.read(blkno)?;
            let nodes = Nodes::new(&page, blkno, shape, chunk, part)?;
            for place in 0..nodes.n_used {
                let lane = nodes.lane(blkno, place)?;
                let has_row = !lane.tid.is_free();
                totals.ntotal += u64::from(has_row);
                totals.ndead += u64::from(!has_row);
                totals.duplicates += u64::from(has_row && lane.state == State::Duplicate);
                if lane.state == State::Node {
                    let n = usize::from(lane.level) + 1;
                    if totals.levels.len() < n {
                        totals.levels.resize(n, 0);
                    }
                    totals.levels.iter_mut().take(n).for_each(|count| *count += 1);
                }
            }
            drop(page);
            pages.check_interrupts();
        }
    }
    Ok(totals)
}
