//! The access-method room: thin callbacks between the server and `pages`.
pub mod datum;
