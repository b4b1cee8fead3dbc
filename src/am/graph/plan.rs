//! What a graph is built of, and by what it is searched: codes, or vectors where codes lose too much on a sample.

use ann::hnsw::{Grid, codes_lose, halves_lose};
use ann::parallel;
use pages::hnsw::{Code, MetaParams};
use pgrx::{PgSqlErrorCode, pg_sys};

use super::build::no_workers;
use super::coder;
use crate::am::interrupts::check_for_interrupts;
use crate::am::rel;
use crate::am::report::Report;
use crate::am::train::Sample;

/// Up to this number of dimensions vectors are no longer than padded codes, or hardly, and exact.
const EXACT_DIMS: usize = 16;

/// Up to this number of dimensions a padded code is as long as a vector.
const PADDED_DIMS: usize = 4;

/// What was decided on a sample.
pub struct Plan {
    /// With the code that the graph is to have: not always the one asked for.
    pub params: MetaParams,
    pub grid: Grid,
    /// Nodes are compared by their vectors.
    pub by_vectors: bool,
}

/// What codes, and 16-bit floats, lose on a sample.
struct Loss {
    codes: bool,
    halves: bool,
}

/// Decides by a sample of the rows. `params` has the code that was asked for.
pub fn plan(index: pg_sys::Relation, params: &MetaParams, sample: Sample) -> Plan {
    let (metric, dims) = (params.metric, params.dims);
    let stored = sample.into_points();
    let planned = parallel::run(
        1,
        |_job| check_for_interrupts(),
        |job| {
            let points = coder::transform(metric).apply_batch(&stored, dims, job);
            let grid = Grid::train(metric, dims, &points);
            let codes = codes_lose(&grid, &points);
            let halves = params.code == Code::SqFp16 && halves_lose(metric, dims, &stored);
            (grid, Loss { codes, halves })
        },
    );
    let (grid, loss) = planned.unwrap_or_else(|e| no_workers(&e));
    let why = match params.code {
        Code::Sq8 if dims <= PADDED_DIMS => {
            Some("Codes of up to 4 dimensions take no less room than vectors.")
        }
        Code::Sq8 if loss.codes => {
            Some("On a sample of the rows code sq8 did not tell near rows apart.")
        }
        Code::SqFp16 if loss.halves => {
            Some("On a sample of the rows code sqfp16 did not tell near rows apart.")
        }
        _ => None,
    };
    let code = if why.is_some() { Code::Flat } else { params.code };
    if let Some(why) = why {
        say_code(index, why);
    }
    let is_short = dims <= EXACT_DIMS && code == Code::Flat && !metric.is_of_bits();
    Plan { params: MetaParams { code, ..*params }, grid, by_vectors: loss.codes || is_short }
}

fn say_code(index: pg_sys::Relation, why: &str) {
    Report::new(
        PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
        format!("index \"{}\" stores vectors as the column has them", rel::name(index)),
    )
    .detail(why)
    .notice();
}
