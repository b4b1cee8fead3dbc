//! Filter columns: which columns of an index are conditions' and not the vector, how their values become attributes of entries,
//! and how the conditions of a scan become a filter of the lists.

#[cfg(not(any(feature = "pg17", feature = "pg18")))]
pub mod clauses;
pub mod columns;
mod encode;
mod keys;
pub mod kind;
mod memory;

pub use encode::Encoder;
pub use keys::Conditions;
