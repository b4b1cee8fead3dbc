//! The access-method room: the server's callbacks over the page room.

mod cost;
pub mod datum;
pub mod guc;
pub mod interrupts;
pub mod opclass;
pub mod options;
pub mod pages;
pub mod progress;
pub mod rel;
pub mod report;
#[cfg(feature = "pg_test")]
mod testing;
mod validate;
