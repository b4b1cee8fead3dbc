//! Options in `CREATE INDEX … WITH (…)`: what an index is made of, and its own search defaults.
//!
//! `registry.rs` tells the server which options there are and reads what it parsed; `grammar::options`
//! fills in defaults and refuses what makes no sense together. Structural options are fixed in the
//! metapage at build; changing one takes effect at REINDEX. Search defaults are read at every scan.

mod registry;
#[cfg(feature = "pg_test")]
mod tests;

use grammar::Refusal;
use grammar::options::Family;
use pgrx::{PgSqlErrorCode, pg_sys};

use super::method::Method;
use super::report::Report;

pub use grammar::options::{
    EF_CONSTRUCTION_DEFAULT, GraphOptions, IvfOptions, SEED_DEFAULT, model_name,
};
pub use registry::{
    faissflat_options, faisshnsw_options, faissivf_options, hnsw_options, ivfflat_options, register,
};

impl Method {
    /// What decides which options it has.
    pub fn family(&self) -> Family {
        Family { name: self.name, has_lists: self.has_lists, is_graph: self.is_graph }
    }
}

impl From<Refusal> for Report {
    fn from(refusal: Refusal) -> Self {
        let Refusal { message, detail, hint } = refusal;
        let report = Report::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message);
        let report = match detail {
            Some(detail) => report.detail(detail),
            None => report,
        };
        match hint {
            Some(hint) => report.hint(hint),
            None => report,
        }
    }
}

/// The options of `index`, an open index of ours. Raises 22023 if they make no sense.
pub fn options_of(index: pg_sys::Relation) -> IvfOptions {
    registry::given(index).resolve().unwrap_or_else(|refusal| Report::from(refusal).error())
}

/// Raises 22023 if a vector of `dims` components cannot be cut into the sub-quantizers that the
/// code and the rotation have.
pub fn require_dims(options: &IvfOptions, dims: usize) {
    options.check_dims(dims).unwrap_or_else(|refusal| Report::from(refusal).error());
}
