//! What `faiss.index_info` and `faiss.list_info` show of lists.

use ann::codec::LANES;

use crate::error::Error;
use crate::lists::InvertedLists;
use crate::lists::directory;
use crate::lists::lanes::pass_over;
use crate::lists::vacuum::for_each_extent;
use crate::store::Pages;
use crate::tid::Tid;

/// One inverted list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ListInfo {
    /// Its number.
    pub list_no: u32,
    /// Rows in it.
    pub ntotal: u64,
    /// Slots without a row before the last one with a row.
    pub ndead: u64,
    /// Slots of its extents, with and without a row.
    pub slots: u64,
    /// Pages with its entries and vectors. Pages that several lists share count for each of them.
    pub pages: u64,
    /// The largest coarse distance of a member: squared under L2, else a negative inner product,
    /// under cosine that of the unit vector; None in an empty list.
    pub radius: Option<f32>,
}

/// Sums over all lists.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Totals {
    /// Rows.
    pub ntotal: u64,
    /// Free slots.
    pub ndead: u64,
    /// Slots with and without a row.
    pub slots: u64,
    /// Pages, those that several lists share counted for each of them.
    pub pages: u64,
    /// FAISS's measure of how uneven the lists are: Σn² · nlist / (Σn)²; 1 is even (and empty).
    pub imbalance_factor: f64,
}

/// A row per list, read under one share lock at a time.
pub fn list_info<P: Pages>(pages: &P, lists: &InvertedLists) -> Result<Vec<ListInfo>, Error> {
    let one = |list_no| {
        pages.check_interrupts();
        one_list(pages, lists, list_no)
    };
    (0..lists.nlist as u32).map(one).collect()
}

/// One list, read under one share lock at a time.
pub fn one_list<P: Pages>(
    pages: &P,
    lists: &InvertedLists,
    list_no: u32,
) -> Result<ListInfo, Error> {
    one_list_with(pages, lists, list_no, |_| ())
}

/// The same; calls `each` with the tid of every row, with no lock held.
pub fn one_list_with<P: Pages>(
    pages: &P,
    lists: &InvertedLists,
    list_no: u32,
    mut each: impl FnMut(Tid),
) -> Result<ListInfo, Error> {
    let mut show = |tid| {
        each(tid);
        false
    };
    let radius = directory::read(pages, lists, list_no)?.radius;
    let radius = Some(radius).filter(|radius| radius.is_finite());
    let mut info = ListInfo { list_no, ntotal: 0, ndead: 0, slots: 0, pages: 0, radius };
    let vectors = lists.layout.vectors;
    for_each_extent(pages, lists, list_no, |extent| {
        // Free lanes since the last row.
        let mut free = 0;
        let mut end = extent.first;
        pass_over(pages, lists, extent, &mut show, |block| {
            if block.live > 0 {
                info.ndead += free + block.holes;
                free = 0;
                end = ((block.number + 1) * LANES as u64).min(extent.end);
            }
            info.ntotal += block.live;
            info.slots += block.live + block.free;
            free += block.free - block.holes;
        })?;
        info.pages += extent.page_range().len() as u64;
        if let Some(g) = vectors.filter(|_| end > extent.first) {
            let v = g.block_vectors as u64;
            info.pages += (end.div_ceil(v) - extent.first / v) * g.block_pages as u64;
        }
        Ok(())
    })?;
    Ok(info)
}

/// Adds up the lists.
pub fn totals(lists: &[ListInfo]) -> Totals {
    let mut sum = Totals { ntotal: 0, ndead: 0, slots: 0, pages: 0, imbalance_factor: 1.0 };
    let mut squares = 0.0;
    for list in lists {
        sum.ntotal += list.ntotal;
        sum.ndead += list.ndead;
        sum.slots += list.slots;
        sum.pages += list.pages;
        squares += (list.ntotal as f64).powi(2);
    }
    if sum.ntotal > 0 {
        sum.imbalance_factor = squares * lists.len() as f64 / (sum.ntotal as f64).powi(2);
    }
    sum
}
