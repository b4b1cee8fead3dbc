//! `faissivf`: inverted lists. The same verbs as every family: build, insert, scan, vacuum, check.

pub mod build;
pub mod centroids;
pub mod check;
pub mod directory;
pub mod info;
pub mod insert;
pub mod list;
pub mod lists;
pub mod marks;
mod part;
pub mod probe;
pub mod rows;
pub mod scan;
pub mod sort;
pub mod vacuum;

#[cfg(test)]
mod tests;
