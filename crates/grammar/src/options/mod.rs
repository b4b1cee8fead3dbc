//! What `WITH (…)` and a factory string ask for: defaults filled in, and the refusal of options that make no sense
//! together. Which options there are the server knows from `src/am/options/registry.rs`.

mod graph;
mod refusal;
mod resolve;
#[cfg(test)]
mod tests;
mod unknown;

use ann::codec::CodeKind;
use ann::factory::{Refine, RotationKind};
use pages::ModelName;

pub use graph::{EF_CONSTRUCTION_DEFAULT, EF_CONSTRUCTION_RANGE, GraphOptions};
pub use refusal::Refusal;
pub use resolve::{CODE_WORDS, GRAPH_CODE_WORDS, Given, ON_OFF_WORDS, REFINE_WORDS, model_name};
pub use unknown::unknown;

/// Most inverted lists an index can have.
pub const NLIST_MAX: i32 = ann::rules::MAX_NLIST as i32;
/// The seed when none is given, as in FAISS.
pub const SEED_DEFAULT: i32 = 1234;

/// An access method, as far as it matters which options it has.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name in SQL.
    pub name: &'static str,
    /// Whether its indexes have inverted lists.
    pub has_lists: bool,
    /// Whether its indexes are graphs.
    pub is_graph: bool,
}

/// Which settings an index's scans heed besides `faiss.*`: those of the access method whose name it goes by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Settings {
    /// None.
    #[default]
    Faiss,
    /// `hnsw.*`, where they are set.
    Hnsw,
    /// `ivfflat.*`, where they are set.
    Ivfflat,
}

/// The options of one index with the defaults filled in.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct IvfOptions {
    /// Inverted lists asked for; 0 = from the row count.
    pub nlist: u32,
    /// Whether vectors are divided by their norm before anything else.
    pub normalize: bool,
    /// The rotation before the coarse quantizer; none without a lossy code.
    pub rotation: RotationKind,
    /// The lossy code; `None` = flat, vectors as the column has them.
    pub code: Option<CodeKind>,
    /// Whether the build chooses the code by the rows: then `code` and `rotation` are what it tries first.
    pub is_code_chosen: bool,
    /// Where the real distances of a lossy code's candidates come from.
    pub refine: Refine,
    /// The trained model that decides all of this in place of the options; what they say then means nothing.
    pub model: Option<ModelName>,
    /// Seed of all randomness of the build.
    pub seed: u64,
    /// This index's own search default: the recall that a scan aims at.
    pub recall_target: Option<f64>,
    /// This index's own search default.
    pub nprobe: Option<u32>,
    /// This index's own search default: candidates re-ranked per row asked for.
    pub k_factor: Option<u32>,
    /// What a graph is made of; `None` for the other methods. All structural options above are those of its list of few rows.
    pub graph: Option<GraphOptions>,
    /// This index's own search default: nodes that a search of the graph keeps in sight.
    pub ef_search: Option<u32>,
    /// Which settings its scans heed.
    pub settings: Settings,
    /// Whether the factory string is that of a binary index: of columns of bits only.
    pub is_binary: bool,
}

impl Default for IvfOptions {
    fn default() -> Self {
        Self {
            nlist: 0,
            normalize: false,
            rotation: RotationKind::None,
            code: None,
            is_code_chosen: false,
            refine: Refine::Heap,
            model: None,
            seed: SEED_DEFAULT as u64,
            recall_target: None,
            nprobe: None,
            k_factor: None,
            graph: None,
            ef_search: None,
            settings: Settings::Faiss,
            is_binary: false,
        }
    }
}

impl IvfOptions {
    /// What a factory string (none: vectors as they are, lists by the row count) and a seed say. An error if the
    /// method has no such indexes.
    pub fn parse(family: &Family, factory: Option<String>, seed: u64) -> Result<Self, Refusal> {
        let given = Given { factory, seed: Some(seed), ..Given::default() };
        given.check(family)?;
        given.resolve()
    }

    /// An error if a vector of `dims` components cannot be cut into the sub-quantizers that the code and the rotation have.
    pub fn check_dims(&self, dims: usize) -> Result<(), Refusal> {
        if let Some(m) = self.code.and_then(CodeKind::m) {
            check_divides(m, dims)?;
        }
        match self.rotation {
            RotationKind::Opq { m } => check_divides(m, dims),
            _ => Ok(()),
        }
    }
}

/// An error if vectors of `dims` components (at least 1) do not fall into `m` equal parts.
fn check_divides(m: u16, dims: usize) -> Result<(), Refusal> {
    let m = usize::from(m);
    if dims.is_multiple_of(m) {
        return Ok(());
    }
    let divisors = || (1..=dims).filter(|&n| dims.is_multiple_of(n));
    let below = divisors().take_while(|&n| n < m).last().unwrap_or(1);
    let detail = match divisors().find(|&n| n > m) {
        Some(above) => format!("The nearest divisors of {dims} are {below} and {above}."),
        None => format!("The nearest divisor of {dims} is {below}."),
    };
    let message = format!("number of sub-quantizers {m} does not divide the dimension {dims}");
    Err(Refusal::new(message)
        .detail(detail)
        .hint("Choose a divisor as \"m\", or as the number after PQ and OPQ in a factory string."))
}
