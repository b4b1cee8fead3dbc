//! Graphs: what the callbacks do with an index of `faisshnsw`.
//!
//! Over sparse vectors (`sparse/`) an index is a graph from the first row on. Else an index of few rows is a list, as an untrained one of the other methods, and its callbacks go their way. Once it holds
//! [`GRAPH_MIN`] rows the insert that notices makes a graph of it.

pub mod adopted;
mod attributes;
mod build;
mod coder;
mod convert;
mod index;
mod insert;
mod loss;
mod memory;
mod plan;
mod rows;
mod scan;
pub mod sparse;
mod vectors;
mod write;

pub use build::build;
pub use index::HnswIndex;
pub use insert::{insert, insert_into_list};
pub use memory::Memory;
pub use scan::GraphSearch;
pub use sparse::Neighbours as SparseNeighbours;

/// Rows from which on an index is a graph. A list of fewer is scanned whole as fast, and exactly.
pub const GRAPH_MIN: u64 = 1000;
