//! Grammar: what users write and clients send, taken apart. Text and binary forms of vectors, type modifiers, and the
//! options of an index; bytes in, a value or the reason for refusing it out. The server's part of the same things is in
//! `src/sql` and `src/am/options`. Pure, so that fuzz targets reach it.
#![forbid(unsafe_code)]

pub mod binary;
pub mod error;
pub mod number;
pub mod options;
pub mod sparse;
pub mod text;
pub mod typmod;

pub use error::ValueError;
pub use number::{DIMS_MAX, Number};
pub use options::Refusal;
