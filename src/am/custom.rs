//! A plan node of ours: a scan of an index of ours that looks among the rows which other indexes find, and that ends at a bound
//! of the distance.
//!
//! The planner's hook ([`paths`]) finds the conditions that the index itself cannot check. Those that other indexes can check
//! become a bitmap of rows, as for a Bitmap Heap Scan ([`others`]); a comparison of the distance with a bound becomes the end of
//! the scan ([`distance`]). The node's first child is the Index Scan, whose filter still has all conditions, so that the bitmap
//! may be lossy; its second child makes the bitmap. When the access method is asked for the first row, it asks for what it was
//! given ([`given`]): so the bitmap is only made where the index is searched.

mod distance;
mod exec;
mod explain;
mod given;
mod others;
mod paths;
mod plan;
mod tid_bitmap;

use std::ffi::CStr;

pub use exec::index_scan;
pub use given::{Given, given};
pub use tid_bitmap::HEAP_ROWS_MAX;

/// As EXPLAIN calls the node.
const NAME: &CStr = c"Faiss Filtered Scan";

/// Sets the hook, and makes the node known to who reads stored plans. To be called once, when the library is loaded.
pub fn register() {
    plan::register();
    paths::register();
}
