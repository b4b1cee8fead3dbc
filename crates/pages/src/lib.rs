//! Pages: what an index looks like in 8 kB pages, and the verbs on it. `README.md` is the on-disk
//! contract.
//!
//! Reading order: [`store`] (what pages are kept in), [`page`], [`tid`], [`geometry`]; then [`search`], what the searches of
//! all families share; then the families, which know nothing of each other: [`lists`] and [`hnsw`].
#![forbid(unsafe_code)]

mod ahead;
pub mod blob;
mod bytes;
mod chain;
pub mod checker;
#[cfg(any(test, feature = "damage"))]
pub mod damage;
pub mod error;
pub mod geometry;
pub mod hnsw;
pub mod lists;
#[cfg(any(test, feature = "damage"))]
pub mod mem;
pub mod model;
pub mod model_name;
pub mod page;
pub mod probe_rule;
pub mod recall_curve;
pub mod search;
pub mod store;
pub mod tid;
pub mod tid_set;
#[cfg(test)]
mod trials;
pub mod vacuum;

pub use error::Error;
pub use geometry::Geometry;
pub use model_name::ModelName;
pub use page::{Blkno, INVALID_BLKNO, META_BLKNO, NO_OWNER, PAGE_SIZE, Page, PageKind};
pub use store::{BulkPages, Pages};
pub use tid::Tid;
