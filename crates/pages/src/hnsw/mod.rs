//! A graph (HNSW) in pages: nodes are judged by 8-bit codes that lie densely on pages of their own, apart from links and
//! from exact vectors. Reading order: [`shape`], [`meta`], [`map`], [`nodes`], [`links`], [`upper`], [`entry`]; then the
//! verbs [`build`], [`insert`], [`scan`], [`vacuum`], [`check`], [`info`]; [`size`] foretells how large a graph will be.

pub mod build;
pub mod check;
pub mod entry;
mod gather;
pub mod info;
pub mod insert;
pub mod links;
pub mod map;
pub mod meta;
pub mod nodes;
pub mod rows;
pub mod scan;
pub mod shape;
pub mod size;
mod twins;
pub mod upper;
pub mod vacuum;
pub mod walk;

#[cfg(test)]
mod tests;

use ann::hnsw::Grid;

pub use map::Map;
pub use meta::{Code, Meta, MetaParams};
pub use shape::Shape;

/// No node.
pub const INVALID_NODE: u32 = u32::MAX;

/// What every verb has to know of its graph.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The metapage.
    pub meta: &'a Meta,
    /// What turns vectors into codes.
    pub grid: &'a Grid,
    /// Where the pages of each chunk are.
    pub map: &'a Map,
}
