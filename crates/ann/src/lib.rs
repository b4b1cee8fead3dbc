//! The algorithms of inverted-file and graph indexes: plain slices in, plain values out. Knows nothing of pages or of
//! PostgreSQL. README.md beside this folder says what is here, in reading order.

pub mod assign;
pub mod coarse;
pub mod codec;
pub mod element;
pub mod exact;
pub mod extent;
#[cfg(test)]
mod extremes;
pub mod factory;
pub mod groups;
pub mod hnsw;
pub mod kernels;
pub mod kmeans;
pub mod metric;
pub mod middle;
pub mod opq;
pub mod parallel;
mod polar;
mod product;
pub mod radix;
pub mod rng;
pub mod rotation;
pub mod rules;
pub mod topk;
pub mod tuning;
pub mod work_queue;

pub use assign::{Assigner, assign_batch};
pub use coarse::{Coarse, Probes};
pub use element::{Element, Float};
pub use factory::{Factory, FactoryError, Refine, RotationKind};
pub use kernels::{Lanes, RowKernel};
pub use kmeans::{KMeansParams, TrainError, kmeans};
pub use metric::Metric;
pub use opq::train_opq;
pub use parallel::{Job, WorkerError};
pub use rng::{Reservoir, Rng};
pub use rotation::Rotation;
pub use rules::optimal_nlist;
pub use topk::{Hit, TopK};
pub use work_queue::run_pipeline;
