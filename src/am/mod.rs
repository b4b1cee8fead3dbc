//! The access-method room: the server's callbacks over the page room.

mod assign;
pub mod build;
mod cost;
pub mod datum;
pub mod guc;
mod handler;
mod heap_scan;
mod insert;
pub mod interrupts;
pub mod opclass;
pub mod options;
pub mod pages;
pub mod progress;
mod recent;
#[allow(dead_code, reason = "the scans of lossy codes are its callers and come next")]
mod refetch;
pub mod rel;
pub mod relation;
pub mod report;
mod scan;
mod spill;
#[cfg(feature = "pg_test")]
mod testing;
mod train;
mod vacuum;
mod validate;
