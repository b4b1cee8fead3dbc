//! The algorithms of an inverted-file index: plain slices in, plain values out. Knows nothing of pages or of
//! PostgreSQL. README.md beside this folder says what is here, in reading order.

pub mod coarse;
pub mod element;
pub mod kernels;
pub mod metric;
pub mod rng;
pub mod topk;

pub use coarse::{Coarse, Probes};
pub use element::Element;
pub use kernels::{Lanes, RowKernel};
pub use metric::Metric;
pub use rng::{Reservoir, Rng};
pub use topk::{Hit, TopK};
