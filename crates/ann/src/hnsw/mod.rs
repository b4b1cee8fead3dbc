//! The graph of `faisshnsw`: Malkov and Yashunin, *Hierarchical navigable small world graphs* (2016), with FAISS's
//! parameters, over 8-bit codes.
//!
//! `grid.rs` vectors as codes, and keys of codes · `levels.rs` how high a node stands and how many links it has ·
//! `walk.rs` what a search walks over and the way down · `beam.rs` the
//! search of one level · `select.rs`, `judge.rs` which neighbours are worth a link ·
//! `build.rs` a graph in memory, on all threads: `links.rs` its links, `worker.rs` one thread, `repair.rs` what makes
//! every node reachable · `order.rs` nodes in an order that keeps neighbours together.
//!
//! Exact vectors are not known here: whoever searches judges the nodes found by them.

mod beam;
mod build;
mod grid;
mod judge;
mod levels;
mod links;
mod order;
mod repair;
mod select;
mod walk;
mod worker;

pub use beam::Beam;
pub use build::{BuiltGraph, Cancelled, HnswParams, NO_NODE, build, build_bytes};
pub use grid::{Codes, FOLD, Grid, GridQuery};
pub use judge::Judge;
pub use levels::{MAX_LEVEL, level_of, links_max, links_pruned};
pub use order::order;
pub use select::{prune, select};
pub use walk::{Graph, MAX_NODES, Near, descend};
