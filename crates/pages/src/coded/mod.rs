//! Inverted lists of lossy codes: blocks of 32 vectors in columns. A build packs the blocks of all lists one after the
//! other over the pages of one area; inserts fill the lanes left there, then go to shelves, pages of the list's own.

pub mod build;
pub mod check;
pub mod directory;
pub mod exact;
pub mod info;
pub mod insert;
pub mod layout;
pub mod marks;
pub mod model;
mod part;
pub(crate) mod probe;
pub mod rerank;
mod shelf;
mod slots;
pub mod vacuum;
mod walk;

#[cfg(test)]
mod tests;
