//! The access-method room: the server's callbacks over the page room.

pub mod datum;
pub mod interrupts;
pub mod pages;
pub mod rel;
pub mod report;
