//! Options in `CREATE INDEX … WITH (…)`: what an index is made of, and its own search defaults.
//!
//! `registry.rs` tells the server which options there are and reads what it parsed, `resolve.rs`
//! fills in defaults and refuses what makes no sense together. Structural options are frozen in the
//! metapage at build; changing one takes effect at REINDEX. Search defaults are read at every scan.

mod graph;
mod registry;
mod resolve;
#[cfg(feature = "pg_test")]
mod tests;

use ann::codec::CodeKind;
use ann::factory::{Refine, RotationKind};
use pages::ModelName;
use pgrx::{PgSqlErrorCode, pg_sys};

use super::method::Method;
use super::report::Report;
use resolve::Given;

pub use graph::{EF_CONSTRUCTION_DEFAULT, GraphOptions};
pub use registry::{faissflat_options, faisshnsw_options, faissivf_options, register};
pub use resolve::model_name;

/// Most inverted lists an index can have.
pub const NLIST_MAX: i32 = ann::rules::MAX_NLIST as i32;
/// The seed when none is given, as in FAISS.
pub const SEED_DEFAULT: i32 = 1234;

/// The options of one index with the defaults filled in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IvfOptions {
    /// Inverted lists asked for; 0 = from the row count.
    pub nlist: u32,
    /// Whether vectors are divided by their norm before anything else.
    pub normalize: bool,
    /// The rotation before the coarse quantizer; none without a lossy code.
    pub rotation: RotationKind,
    /// The lossy code; `None` = flat, vectors as the column has them.
    pub code: Option<CodeKind>,
    /// Where the real distances of a lossy code's candidates come from.
    pub refine: Refine,
    /// The trained model that decides all of this in place of the options; what they say then means nothing.
    pub model: Option<ModelName>,
    /// Seed of all randomness of the build.
    pub seed: u64,
    /// This index's own search default.
    pub nprobe: Option<u32>,
    /// This index's own search default: candidates re-ranked per row asked for.
    pub k_factor: Option<u32>,
    /// What a graph is made of; `None` for the other methods. All structural options above are those of its list of few rows.
    pub graph: Option<GraphOptions>,
    /// This index's own search default: nodes that a search of the graph keeps in sight.
    pub ef_search: Option<u32>,
}

impl Default for IvfOptions {
    fn default() -> Self {
        Self {
            nlist: 0,
            normalize: false,
            rotation: RotationKind::None,
            code: None,
            refine: Refine::Heap,
            model: None,
            seed: SEED_DEFAULT as u64,
            nprobe: None,
            k_factor: None,
            graph: None,
            ef_search: None,
        }
    }
}

impl IvfOptions {
    /// What a factory string (none: vectors as they are, lists by the row count) and a seed say. An error if the
    /// method has no such indexes.
    pub fn parse(method: &Method, factory: Option<String>, seed: u64) -> Result<Self, Report> {
        let given = Given { factory, seed: Some(seed), ..Given::default() };
        given.check(method)?;
        given.resolve()
    }

    /// The options of `index`, an open index of ours. Raises 22023 if they make no sense.
    pub fn of(index: pg_sys::Relation) -> Self {
        registry::given(index).resolve().unwrap_or_else(|report| report.error())
    }

    /// Raises 22023 if a vector of `dims` components cannot be cut into the sub-quantizers that the
    /// code and the rotation have.
    pub fn require_dims(&self, dims: usize) {
        if let Some(m) = self.code.and_then(CodeKind::m) {
            require_divides(m, dims);
        }
        if let RotationKind::Opq { m } = self.rotation {
            require_divides(m, dims);
        }
    }
}

/// Raises 22023 if vectors of `dims` components (at least 1) do not fall into `m` equal parts.
pub fn require_divides(m: u16, dims: usize) {
    let m = usize::from(m);
    if dims.is_multiple_of(m) {
        return;
    }
    let divisors = || (1..=dims).filter(|&n| dims.is_multiple_of(n));
    let below = divisors().take_while(|&n| n < m).last().unwrap_or(1);
    let detail = match divisors().find(|&n| n > m) {
        Some(above) => format!("The nearest divisors of {dims} are {below} and {above}."),
        None => format!("The nearest divisor of {dims} is {below}."),
    };
    Report::new(
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        format!("number of sub-quantizers {m} does not divide the dimension {dims}"),
    )
    .detail(detail)
    .hint("Choose a divisor as \"m\", or as the number after PQ and OPQ in a factory string.")
    .error()
}
