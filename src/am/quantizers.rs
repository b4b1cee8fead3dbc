//! What a build trains from its sample: the rotation, the centroids, the code, the ranges of stored vectors.

use std::time::{Duration, Instant};

use ann::assign::Assigner;
use ann::coarse::Coarse;
use ann::codec::{self, CodeKind, Codec, Coding, Space, Stored, take_residuals};
use ann::factory::{Refine, RotationKind};
use ann::kmeans::{KMeansParams, TrainError, kmeans, normalize};
use ann::metric::Metric;
use ann::middle::{FEW, FEW_LONGEST, without_outliers};
use ann::opq::train_opq;
use ann::parallel::Job;
use ann::rotation::Rotation;
use pages::blob::TrainedModel;
use pages::lists::meta::Fit;
use pages::lists::trained::parts;

use super::build::Frozen;
use super::progress::Phase;
use super::transform::Transform;

/// Rows that OPQ is trained on at most, as in FAISS.
pub const OPQ_ROWS: usize = 65_536;
/// Rows rotated at once: so many are held twice.
const ROTATED_AT_ONCE: usize = 4096;

/// What is trained, in this order. The numbers are what the training's `Job` tells.
#[derive(Clone, Copy)]
enum Part {
    Rotation = 1,
    Lists = 2,
    Code = 3,
}

/// The phase that a training shows by what its job tells; None before it begins.
pub fn phase_of(job: &Job) -> Option<Phase> {
    const ROTATION: u64 = Part::Rotation as u64;
    const LISTS: u64 = Part::Lists as u64;
    const CODE: u64 = Part::Code as u64;
    match job.part() {
        ROTATION => Some(Phase::TrainingRotation),
        LISTS => {
            let (iteration, n_iter) = (job.step() as u32, job.total() as u32);
            (n_iter > 0).then_some(Phase::KMeans { iteration, n_iter })
        }
        CODE => Some(Phase::TrainingCodes),
        _ => None,
    }
}

/// How long each part took.
#[derive(Clone, Copy, Default)]
pub struct Took {
    pub rotation: Duration,
    pub lists: Duration,
    pub code: Duration,
}

/// What a new index was trained to.
pub struct Trained {
    /// Rows it was trained on; 0 = untrained.
    pub rows: u64,
    /// nlist × dims.
    pub centroids: Vec<f32>,
    /// The code, if the index has one and could be trained.
    pub codec: Option<Codec>,
    /// How vectors are stored beside their codes.
    pub stored: Stored,
    /// What happens to vectors before they are assigned and coded.
    pub rotation: Option<Rotation>,
    /// Of a model: how well the rows that it was trained on fit; none of its other numbers is known.
    pub fit: Option<Fit>,
    pub took: Took,
}

impl Trained {
    /// One list, no coarse step: exact, and right for an empty table.
    pub fn untrained() -> Self {
        let (stored, took) = (Stored::None, Took::default());
        let (codec, rotation, fit) = (None, None, None);
        Self { rows: 0, centroids: Vec::new(), codec, stored, rotation, fit, took }
    }

    /// What a model was trained to; None if its parameters make no code.
    pub fn of_model(model: TrainedModel) -> Option<Self> {
        let TrainedModel { metric, dims, trained_rows, coarse_error, code_error, .. } = model;
        let TrainedModel { centroids, params, .. } = model;
        let fit = Some(Fit { coarse_error, code_error, ..Fit::default() });
        let mut trained = Self { rows: trained_rows, centroids, fit, ..Self::untrained() };
        if let Some(code) = &model.code {
            let (rotation, codec, stored) = parts(Space { dims, metric }, code, params)?;
            (trained.rotation, trained.codec, trained.stored) = (rotation, Some(codec), stored);
        }
        Some(trained)
    }

    /// The model that `of_model` takes back.
    pub fn into_model(self, frozen: &Frozen, fit: &Fit) -> TrainedModel {
        TrainedModel {
            metric: frozen.metric,
            dims: frozen.dims,
            has_lists: frozen.method.has_lists,
            seed: frozen.seed,
            trained_rows: self.rows,
            coarse_error: fit.coarse_error,
            code_error: fit.code_error,
            code: frozen.code.filter(|_| self.codec.is_some()),
            params: self.model(),
            centroids: self.centroids,
        }
    }

    pub fn is_trained(&self) -> bool {
        self.rows > 0
    }

    /// The MODEL pages' floats: rotation, the code's parameters, those of stored vectors.
    pub fn model(&self) -> Vec<f32> {
        let rotation = self.rotation.as_ref().map_or(&[][..], |r| r.matrix());
        let codec = self.codec.as_ref().map_or(&[][..], |codec| codec.params());
        [rotation, codec, self.stored.params()].concat()
    }

    /// What happens to a row before it is coded.
    pub fn transform(&self, frozen: &Frozen) -> Transform<'_> {
        frozen.code.map_or_else(Transform::default, |code| {
            Transform::new(frozen.metric, &code, self.rotation.as_ref())
        })
    }

    pub fn coarse<'a>(&'a self, frozen: &Frozen) -> Coarse<'a> {
        Coarse { metric: frozen.metric, dims: frozen.dims, centroids: &self.centroids }
    }
}

/// Everything that is trained, on a worker thread: the rotation, the centroids from the first `n` points, the code. The
/// points are rotated in place, and some of them become residuals.
pub fn quantizers(
    points: &mut [f32],
    n: usize,
    k: usize,
    frozen: &Frozen,
    job: &Job,
) -> Result<Trained, TrainError> {
    let dims = frozen.dims;
    let refine = frozen.code.map_or(Refine::Heap, |code| code.refine);
    let stored = train_stored(refine, points, frozen)?;
    if frozen.metric == Metric::Cosine || frozen.code.is_some_and(|code| code.normalize) {
        normalize(points, dims);
    }
    let mut took = Took::default();
    let mut begin = Instant::now();
    if frozen.code.is_some_and(|code| code.rotation != RotationKind::None) {
        job.begin(Part::Rotation as u64);
    }
    let rotation = rotation(points, frozen, job)?;
    if let Some(rotation) = &rotation {
        for block in points.chunks_mut(ROTATED_AT_ONCE * dims) {
            let copy = block.to_vec();
            rotation.apply_batch(&copy, block, job);
        }
    }
    took.rotation = lap(&mut begin);
    job.begin(Part::Lists as u64);
    let rows = points.get(..n * dims).unwrap_or_default();
    let centroids = if frozen.method.has_lists {
        let spherical = frozen.metric.is_spherical();
        let params = KMeansParams { seed: frozen.seed, ..KMeansParams::new(k, dims, spherical) };
        let mut centroids = kmeans(rows, &params, job)?;
        if frozen.metric.is_of_bits() {
            // As in FAISS a centroid of bits has those that most of its rows have.
            centroids.iter_mut().for_each(|x| *x = f32::from(u8::from(*x > 0.5)));
        }
        centroids
    } else {
        only_centroid(rows, frozen)
    };
    took.lists = lap(&mut begin);
    let coarse = Coarse { metric: frozen.metric, dims, centroids: &centroids };
    let codec = match frozen.code {
        Some(code) => {
            job.begin(Part::Code as u64);
            Some(train_code(points, &coarse, code.kind, frozen.seed, job)?)
        }
        None => None,
    };
    took.code = lap(&mut begin);
    Ok(Trained { rows: n as u64, centroids, codec, stored, rotation, fit: None, took })
}

/// The ranges of stored vectors. As in a code, a few outliers would take the steps away from the others.
fn train_stored(refine: Refine, points: &[f32], frozen: &Frozen) -> Result<Stored, TrainError> {
    let has_ranges = refine == Refine::Sq8;
    let few = if frozen.metric == Metric::InnerProduct { FEW_LONGEST } else { FEW };
    let inliers = has_ranges.then(|| without_outliers(points, frozen.dims, few)).flatten();
    Stored::train(refine, frozen.dims, inliers.as_deref().unwrap_or(points))
}

/// The time since `begin`, which becomes now.
fn lap(begin: &mut Instant) -> Duration {
    let took = begin.elapsed();
    *begin += took;
    took
}

/// What all rows are coded against where there are no lists: as in FAISS their mean if the code is RaBitQ, whose signs
/// would say little of rows that all lie on one side; else zeros, so that a residual is the row itself. Outliers have no
/// part in the mean.
fn only_centroid(rows: &[f32], frozen: &Frozen) -> Vec<f32> {
    let mut sums = vec![0.0f64; frozen.dims];
    let is_rabitq = frozen.code.is_some_and(|code| matches!(code.kind, CodeKind::RaBitQ { .. }));
    if is_rabitq {
        let inliers = without_outliers(rows, frozen.dims, FEW);
        let rows = inliers.as_deref().unwrap_or(rows);
        let n = rows.len() / frozen.dims;
        for row in rows.chunks_exact(frozen.dims) {
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x) / n as f64);
        }
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}

fn rotation(points: &[f32], frozen: &Frozen, job: &Job) -> Result<Option<Rotation>, TrainError> {
    let dims = frozen.dims;
    match frozen.code.map_or(RotationKind::None, |code| code.rotation) {
        RotationKind::None => Ok(None),
        RotationKind::Random => Rotation::random(dims, frozen.seed, job).map(Some),
        RotationKind::Opq { m } => {
            let points = points.get(..OPQ_ROWS * dims).unwrap_or(points);
            let inliers = without_outliers(points, dims, FEW);
            let points = inliers.as_deref().unwrap_or(points);
            train_opq(points, dims, m.into(), frozen.seed, job).map(Some)
        }
    }
}

/// Trains the code on the first points, less their centroids if it codes residuals.
fn train_code(
    points: &mut [f32],
    coarse: &Coarse<'_>,
    kind: CodeKind,
    seed: u64,
    job: &Job,
) -> Result<Codec, TrainError> {
    let dims = coarse.dims;
    let n = (points.len() / dims).min(kind.training_rows());
    let points = points.get_mut(..n * dims).unwrap_or_default();
    if kind.by_residual() && n > 0 {
        let (mut list_nos, mut distances) = (vec![0; n], vec![0.0; n]);
        Assigner::new(*coarse).assign(points, &mut list_nos, &mut distances, job);
        take_residuals(coarse, points, &list_nos);
    }
    if job.cancelled() {
        return Err(TrainError::Cancelled);
    }
    codec::train(kind, Space { dims, metric: coarse.metric }, points, seed, job)
}
