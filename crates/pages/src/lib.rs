//! Pages: what an index looks like in 8 kB pages, and the verbs on it. `README.md` is the on-disk
//! contract. Reading order: [`store`] (what pages are kept in), [`page`], [`tid`], [`geometry`],
//! [`meta`], then [`ivf`]: build, insert, scan, vacuum, check; [`coded`] has the same verbs for lists of lossy codes.
//! [`size`] foretells how large an index will be.
#![forbid(unsafe_code)]

mod ahead;
pub mod blob;
mod bytes;
pub mod coded;
#[cfg(any(test, feature = "damage"))]
pub mod damage;
pub mod error;
pub mod geometry;
pub mod hnsw;
pub mod ivf;
#[cfg(any(test, feature = "damage"))]
pub mod mem;
pub mod meta;
pub mod model_name;
pub mod page;
pub mod size;
pub mod store;
pub mod tid;
#[cfg(test)]
mod trials;

pub use error::Error;
pub use geometry::Geometry;
pub use meta::{Meta, MetaParams};
pub use model_name::ModelName;
pub use page::{Blkno, INVALID_BLKNO, NO_OWNER, PAGE_SIZE, Page, PageKind};
pub use store::{BulkPages, Pages};
pub use tid::Tid;
