//! What `faiss.index_info` and `faiss.list_info` show.

use crate::error::Error;
use crate::ivf::vacuum::for_each_header;
use crate::meta::Meta;
use crate::store::Pages;

/// One inverted list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ListInfo {
    /// Its number.
    pub list_no: u32,
    /// Rows in it.
    pub ntotal: u64,
    /// Slots whose row was vacuumed away and that no insert has taken yet.
    pub ndead: u64,
    /// LIST and DATA pages.
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
    /// LIST and DATA pages.
    pub pages: u64,
    /// FAISS's measure of how uneven the lists are: Σn² · nlist / (Σn)²; 1 is even (and empty).
    pub imbalance_factor: f64,
}

/// A row per list, read under one share lock at a time.
pub fn list_info<P: Pages>(pages: &P, meta: &Meta) -> Result<Vec<ListInfo>, Error> {
    (0..meta.nlist as u32).map(|list_no| one_list(pages, meta, list_no)).collect()
}

/// One list, read under one share lock at a time.
pub fn one_list<P: Pages>(pages: &P, meta: &Meta, list_no: u32) -> Result<ListInfo, Error> {
    let mut info = ListInfo { list_no, ntotal: 0, ndead: 0, pages: 0, radius: None };
    for_each_header(pages, meta, list_no, |_, header| {
        info.ntotal += (header.n_slots - header.n_free) as u64;
        info.ndead += header.n_free as u64;
        info.pages += 1 + (header.n_blocks * meta.layout.block_pages) as u64;
        if header.n_slots > 0 {
            info.radius = Some(info.radius.map_or(header.radius, |r| r.max(header.radius)));
        }
    })?;
    Ok(info)
}

/// Adds up the lists.
pub fn totals(lists: &[ListInfo]) -> Totals {
    let mut sum = Totals { ntotal: 0, ndead: 0, pages: 0, imbalance_factor: 1.0 };
    let mut squares = 0.0;
    for list in lists {
        sum.ntotal += list.ntotal;
        sum.ndead += list.ndead;
        sum.pages += list.pages;
        squares += (list.ntotal as f64).powi(2);
    }
    if sum.ntotal > 0 {
        sum.imbalance_factor = squares * lists.len() as f64 / (sum.ntotal as f64).powi(2);
    }
    sum
}
