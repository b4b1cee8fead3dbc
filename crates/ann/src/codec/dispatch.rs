//! Any codec: training one, taking one back from its stored parameters, and the choice of what runs.

use super::fastscan::{PqFs, PqFsQuery};
use super::pq::{Pq, PqQuery};
use super::rabitq::{RaBitQ, RaBitQQuery};
use super::sq::{Sq, SqQuery};
use super::{CodeKind, Coding, LANES, Space, Sums, train_codebooks};
use crate::kmeans::{TrainError, check_finite};
use crate::metric::Metric;
use crate::middle;
use crate::parallel::Job;

/// A codec of any kind.
#[derive(Clone, Debug)]
pub enum Codec {
    /// Scalar quantizer.
    Sq(Sq),
    /// Product quantizer.
    Pq(Pq),
    /// 4-bit product quantizer for fast-scan.
    PqFs(PqFs),
    /// Signs and magnitudes of the residual's components.
    RaBitQ(RaBitQ),
}

/// The query of any kind of codec.
#[derive(Clone, Debug)]
pub enum CodecQuery {
    /// Of a scalar quantizer.
    Sq(SqQuery),
    /// Of a product quantizer.
    Pq(PqQuery),
    /// Of one for fast-scan.
    PqFs(PqFsQuery),
    /// Of signs and magnitudes.
    RaBitQ(RaBitQQuery),
}

/// Trains a codec on `points` (row-major, as they will be coded: of a codec by residual, the residuals). They are at
/// least `kind.rows_min()`; of more than `kind.training_rows()` some codecs draw a sample. Runs on the pool it is called
/// in (see `parallel::run`). The same points and seed give the same codec.
pub fn train(
    kind: CodeKind,
    space: Space,
    points: &[f32],
    seed: u64,
    job: &Job,
) -> Result<Codec, TrainError> {
    let dims = space.dims;
    let points_given = points.len().checked_div(dims).unwrap_or(0);
    let shape = TrainError::Shape { points: points_given, k: kind.rows_min(), dims };
    if !kind.fits(dims) {
        return Err(shape);
    }
    if matches!(kind, CodeKind::SqFp16 | CodeKind::RaBitQ { .. }) {
        return Codec::from_params(kind, space, Vec::new()).ok_or(shape);
    }
    check_finite(points, dims, job)?;
    // A few rows far from all others would take the steps and the centroids away from these. They are coded by what comes
    // nearest, and re-ranking finds out. But under inner product they are what is looked for, and a few centroids for
    // them cost the others little.
    let is_product = matches!(kind, CodeKind::Pq { .. } | CodeKind::PqFs { .. });
    let inliers = match space.metric {
        Metric::InnerProduct if is_product => None,
        Metric::InnerProduct => middle::without_outliers(points, dims, middle::FEW_LONGEST),
        _ => middle::without_outliers(points, dims, middle::FEW),
    };
    let inliers = inliers.filter(|rows| rows.len() >= kind.rows_min().saturating_mul(dims));
    let points = inliers.as_deref().unwrap_or(points);
    let params = match kind {
        CodeKind::Pq { m, nbits } => train_codebooks(points, dims, m.into(), nbits, seed, job)?,
        CodeKind::PqFs { m } => train_codebooks(points, dims, m.into(), 4, seed, job)?,
        _ => Sq::train(points, dims)?,
    };
    Codec::from_params(kind, space, params).ok_or(shape)
}

impl Codec {
    /// The codec with these trained parameters. `None` where they cannot be such a codec's: not finite, not as many as
    /// `kind.params_len` says, or a kind that does not fit the dimension; and under L1, which no code estimates.
    pub fn from_params(kind: CodeKind, space: Space, params: Vec<f32>) -> Option<Codec> {
        let sound = kind.fits(space.dims)
            && space.metric.has_codes()
            && params.len() == kind.params_len(space.dims)
            && params.iter().all(|x| x.is_finite());
        if !sound {
            return None;
        }
        match kind {
            CodeKind::SqFp16 | CodeKind::Sq8 | CodeKind::Sq4 => {
                Sq::new(kind, space, params).map(Codec::Sq)
            }
            CodeKind::Pq { .. } => Pq::new(kind, space, params).map(Codec::Pq),
            CodeKind::PqFs { m } => PqFs::new(m.into(), space, params).map(Codec::PqFs),
            CodeKind::RaBitQ { nbits } => RaBitQ::new(nbits, space).map(Codec::RaBitQ),
        }
    }
}

/// One expression for every kind of codec.
macro_rules! each {
    ($codec:expr, $inner:ident => $value:expr) => {
        match $codec {
            Codec::Sq($inner) => $value,
            Codec::Pq($inner) => $value,
            Codec::PqFs($inner) => $value,
            Codec::RaBitQ($inner) => $value,
        }
    };
}

/// One expression for every kind of codec with its own kind of query. A query of another codec is the caller's mistake: it is
/// left as it is, or the output is.
macro_rules! each_query {
    ($codec:expr, $query:expr, ($inner:ident, $own:ident) => $value:expr) => {
        match ($codec, $query) {
            (Codec::Sq($inner), CodecQuery::Sq($own)) => $value,
            (Codec::Pq($inner), CodecQuery::Pq($own)) => $value,
            (Codec::PqFs($inner), CodecQuery::PqFs($own)) => $value,
            (Codec::RaBitQ($inner), CodecQuery::RaBitQ($own)) => $value,
            _ => {
                debug_assert!(false, "a query of another codec");
                Default::default()
            }
        }
    };
}

impl Coding for Codec {
    type Query = CodecQuery;

    fn code_size(&self) -> usize {
        each!(self, codec => codec.code_size())
    }

    fn bare_size(&self) -> usize {
        each!(self, codec => codec.bare_size())
    }

    fn units(&self) -> usize {
        each!(self, codec => codec.units())
    }

    fn n_factors(&self) -> usize {
        each!(self, codec => codec.n_factors())
    }

    fn by_residual(&self) -> bool {
        each!(self, codec => codec.by_residual())
    }

    fn params(&self) -> &[f32] {
        each!(self, codec => codec.params())
    }

    fn encode(&self, x: &[f32], centroid: &[f32], code: &mut [u8], factors: &mut [f32]) {
        each!(self, codec => codec.encode(x, centroid, code, factors))
    }

    fn pack(&self, code: &[u8], lane: usize, first_unit: usize, units: &mut [u8]) {
        each!(self, codec => codec.pack(code, lane, first_unit, units))
    }

    fn unpack(&self, first_unit: usize, units: &[u8], lane: usize, code: &mut [u8]) {
        each!(self, codec => codec.unpack(first_unit, units, lane, code))
    }

    fn query(&self) -> CodecQuery {
        match self {
            Codec::Sq(codec) => CodecQuery::Sq(codec.query()),
            Codec::Pq(codec) => CodecQuery::Pq(codec.query()),
            Codec::PqFs(codec) => CodecQuery::PqFs(codec.query()),
            Codec::RaBitQ(codec) => CodecQuery::RaBitQ(codec.query()),
        }
    }

    fn prepare(&self, query: &mut CodecQuery, q: &[f32]) {
        each_query!(self, query, (codec, query) => codec.prepare(query, q))
    }

    fn enter_list(&self, query: &mut CodecQuery, centroid: &[f32], coarse_distance: f32) {
        each_query!(self, query, (codec, query) => {
            codec.enter_list(query, centroid, coarse_distance)
        })
    }

    fn accumulate(&self, query: &CodecQuery, sums: &mut Sums, first_unit: usize, units: &[u8]) {
        each_query!(self, query, (codec, query) => {
            codec.accumulate(query, sums, first_unit, units)
        })
    }

    fn estimates(&self, query: &CodecQuery, sums: &Sums, factors: &[f32], out: &mut [f32; LANES]) {
        each_query!(self, query, (codec, query) => codec.estimates(query, sums, factors, out))
    }

    #[inline]
    fn block(
        &self,
        query: &CodecQuery,
        units: &[u8],
        factors: &[f32],
        limit: f32,
        out: &mut [f32; LANES],
    ) -> u32 {
        each_query!(self, query, (codec, query) => codec.block(query, units, factors, limit, out))
    }
}
