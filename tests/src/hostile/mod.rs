//! Tables that break assumptions: rows of odd magnitude, order, shape and number, and what every index makes of them.
//!
//! [`tables`] makes the rows of each kind from a seed. [`indexes`] lists what is built on them, with FAISS's counterpart.
//! [`trial`] takes each index through its histories and compares it with the operator's own answers and with FAISS
//! ([`faiss`]). [`report`] puts the outcomes in a table, the worst first.

pub mod faiss;
pub mod indexes;
pub mod plan;
pub mod report;
pub mod shapes;
pub mod tables;
pub mod trial;
