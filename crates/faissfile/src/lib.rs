//! Files that FAISS's `write_index` makes and its `read_index` reads.
//!
//! A file is taken apart without reading what is large in it: [`read`] gives the tree of indexes, in which every array is a
//! [`Span`], a place and a number of elements that has been held against the length of the file. So nothing is allocated before
//! its bytes are known to be there, whatever the file claims. What is wanted of a span is read later, a piece at a time.
//!
//! | file | question it answers |
//! |---|---|
//! | `source` | where do bytes come from? |
//! | `index` | what can be in a file? |
//! | `read/` | which bytes are what? |
//! | `rows/` | which vectors does an index hold, and under which numbers? |
//! | `import` | what was it trained to? |
//! | `chain` | what happens to a vector before it is coded? |
//! | `write` | how is it written? |
//! | `export` | a trained model as an empty index |
//! | `graph` | the links of a graph |
//! | `code` | a vector's code with the factors that FAISS keeps in it |

mod chain;
mod code;
mod error;
mod export;
mod graph;
mod import;
pub mod index;
mod read;
mod rows;
mod source;
pub mod write;

#[cfg(test)]
mod tests;

pub use chain::Chain;
pub use code::Coder;
pub use error::{Error, FourCc};
pub use export::{Plan, model_file};
pub use graph::{FileGraph, Links};
pub use import::{Imported, import};
pub use read::read;
pub use rows::{Decode, EachRow, each_row};
pub use source::{Source, Span, Window};
