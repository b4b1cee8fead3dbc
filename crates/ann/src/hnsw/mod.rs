//! The graph of `faisshnsw`: Malkov and Yashunin, *Hierarchical navigable small world graphs* (2016), with FAISS's
//! parameters, over 8-bit codes, over vectors where codes lose too much, or over sparse vectors.
//!
//! `grid.rs` vectors as codes, and keys of codes · `distance.rs` keys of codes or of vectors, `sparse.rs` of sparse vectors · `loss.rs` whether codes lose
//! too much · `levels.rs` how high a node stands and how many links it has ·
//! `walk.rs` what a search walks over and the way down · `beam.rs` the
//! search of one level · `select.rs`, `node_distances.rs` which neighbours are worth a link ·
//! `build.rs` a graph in memory, on all threads: `links.rs` its links, `worker.rs` one thread, `repair.rs` what makes
//! every node reachable · `adopt.rs` a graph of links from elsewhere · `order.rs` nodes in an order that keeps neighbours together.
//!
//! Whoever searches by codes ranks the nodes found by their vectors.

mod adopt;
mod beam;
mod build;
mod distance;
mod grid;
mod levels;
mod links;
mod loss;
mod node_distances;
mod order;
mod repair;
mod select;
mod sparse;
mod walk;
mod worker;

pub use adopt::{Given, adopt};
pub use beam::{Beam, descent_width};
pub use build::{BuiltGraph, Cancelled, HnswParams, NO_NODE, build, build_bytes};
pub use distance::{NodeQuery, Points, VectorQuery, Vectors};
pub use grid::{Codes, FOLD, Factors, Grid, GridQuery};
pub use levels::{MAX_LEVEL, level_of, links_least, links_max, links_pruned, links_spare};
pub use loss::{
    COMPARED, codes_lose, halves_lose, is_misplaced, is_too_much, looked_at, metric_of_points,
    nearest_by_code,
};
pub use node_distances::NodeDistances;
pub use order::order;
pub use select::{prune, select, turn_equals};
pub use sparse::{SparsePoints, SparseQuery, SparseRows};
pub use walk::{Graph, MAX_NODES, Near, descend};
