//! The access-method room: the server's callbacks over the page room.

mod assign;
pub mod batch;
pub mod build;
mod build_log;
mod cost;
pub mod datum;
pub mod fit;
pub mod graph;
pub mod guc;
mod handler;
mod heap_scan;
mod insert;
pub mod interrupts;
mod left_out;
pub mod measure;
pub mod method;
pub mod models;
pub mod opclass;
pub mod options;
pub mod pages;
pub mod progress;
mod quantizers;
mod recent;
mod refetch;
pub mod rel;
pub mod relation;
pub mod report;
mod rerank;
mod scan;
mod spill;
mod table_end;
#[cfg(feature = "pg_test")]
mod testing;
pub mod train;
mod transform;
mod vacuum;
mod validate;
