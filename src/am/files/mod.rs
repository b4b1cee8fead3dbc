//! FAISS's files: where they come from and go to, and indexes as files. Which bytes they have is the business of the crate
//! `faissfile`; `models/from_file.rs` makes models of them.
//!
//! | file | question it answers |
//! |---|---|
//! | `source`, `large_object`, `server_file` | where do the bytes of a file come from? |
//! | `assembly` | how is a file put together, and where does it go? |
//! | `listed` | which rows are in which list of an index? The only file here that knows the pages of lists |
//! | `rows` | what do these rows say: vector and key? |
//! | `lists`, `graph`, `vectors` | an index as a file |
//! | `export` | what every export begins and ends with |
//! | `import_graph` | the links of a file for a graph here |
//! | `errors` | what does a user read? |

mod assembly;
mod errors;
mod export;
mod graph;
mod import_graph;
mod large_object;
mod listed;
mod lists;
mod rows;
mod server_file;
mod source;
mod vectors;

pub use assembly::Assembly;
pub use errors::raise;
pub use export::{Wanted, export};
pub use import_graph::{Fitting, Shape};
pub use rows::KeyColumn;
pub use server_file::NewFile;
pub use source::{Given, Opened};
