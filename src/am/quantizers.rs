//! What a build trains from its sample: the rotation, the centroids, the code, the ranges of stored vectors.

use std::time::{Duration, Instant};

use ann::coarse::Coarse;
use ann::codec::{self, CodeKind, Codec, Coding, Space, Stored, take_residuals};
use ann::factory::{Refine, RotationKind};
use ann::groups::BulkAssigner;
use ann::kmeans::{
    KMeansParams, LevelParams, MemoryRows, Rows, TrainError, kmeans, kmeans_by_levels, normalize,
};
use ann::metric::Metric;
use ann::middle::{FEW, FEW_LONGEST, without_outliers};
use ann::opq::train_opq;
use ann::parallel::Job;
use ann::rotation::{HadamardRotation, Rotation, RotationMatrix};
use ann::rules::is_by_levels;
use ann::tuning::pilot::{self, choose_code};
use pages::blob::TrainedModel;
use pages::lists::CodeParams;
use pages::lists::meta::Fit;
use pages::lists::trained::parts;

use super::build::IndexSpec;
use super::progress::Phase;
use super::transform::Transform;

/// Rows that OPQ is trained on at most, as in FAISS.
pub const OPQ_ROWS: usize = 65_536;
/// Rows rotated at once, which are in memory twice meanwhile.
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
    /// What the code is made of, as asked for or chosen.
    pub code: Option<CodeParams>,
    /// The code, if the index has one and could be trained.
    pub codec: Option<Codec>,
    /// How vectors are stored beside their codes.
    pub stored: Stored,
    /// What happens to vectors before they are assigned and coded.
    pub rotation: Option<Rotation>,
    /// Rows that may ask for their neighbours when recall is measured, n × dims, as the column has them; none of a model.
    pub queries: Vec<f32>,
    /// Of a model: how well the rows that it was trained on fit; none of its other numbers is known.
    pub fit: Option<Fit>,
    pub took: Took,
}

impl Trained {
    /// One list, no coarse step: exact, and right for an empty table.
    pub fn untrained() -> Self {
        let (stored, took) = (Stored::None, Took::default());
        let (code, codec, rotation, fit, queries) = (None, None, None, None, Vec::new());
        Self { rows: 0, centroids: Vec::new(), code, codec, stored, rotation, queries, fit, took }
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
            trained.code = Some(*code);
        }
        Some(trained)
    }

    /// The model that `of_model` takes back.
    pub fn into_model(self, spec: &IndexSpec, fit: &Fit) -> TrainedModel {
        TrainedModel {
            metric: spec.metric,
            dims: spec.dims,
            has_lists: spec.method.has_lists,
            seed: spec.seed,
            trained_rows: self.rows,
            coarse_error: fit.coarse_error,
            code_error: fit.code_error,
            code: spec.code.filter(|_| self.codec.is_some()),
            params: self.model(),
            centroids: self.centroids,
        }
    }

    pub fn is_trained(&self) -> bool {
        self.rows > 0
    }

    /// The MODEL pages' floats: rotation, the code's parameters, those of stored vectors.
    pub fn model(&self) -> Vec<f32> {
        let rotation = self.rotation.as_ref().map_or(&[][..], Rotation::params);
        let codec = self.codec.as_ref().map_or(&[][..], |codec| codec.params());
        [rotation, codec, self.stored.params()].concat()
    }

    /// What happens to a row before it is coded.
    pub fn transform(&self, spec: &IndexSpec) -> Transform<'_> {
        spec.code.map_or_else(Transform::default, |code| {
            Transform::new(spec.metric, &code, self.rotation.as_ref())
        })
    }

    pub fn coarse<'a>(&'a self, spec: &IndexSpec) -> Coarse<'a> {
        Coarse { metric: spec.metric, dims: spec.dims, centroids: &self.centroids }
    }
}

/// How many rows train how many lists.
#[derive(Clone, Copy)]
pub struct Plan {
    /// Rows that the centroids are trained on, the first ones.
    pub n: usize,
    /// Centroids.
    pub k: usize,
    /// Rows that memory has room for beside the sample and the centroids.
    pub room: usize,
}

/// Everything that is trained, on a worker thread: the rotation, the centroids from the first points, the code. The
/// points are rotated in place, and some of them become residuals.
pub fn quantizers(
    points: &mut [f32],
    plan: &Plan,
    spec: &IndexSpec,
    job: &Job,
) -> Result<Trained, TrainError> {
    let dims = spec.dims;
    let stored = train_stored(points, spec)?;
    if normalizes(spec) {
        normalize(points, dims);
    }
    let (mut took, mut begin) = (Took::default(), Instant::now());
    let rotation = rotation(points, spec, job)?;
    rotate(points, rotation.as_ref(), dims, job);
    took.rotation = lap(&mut begin);
    job.begin(Part::Lists as u64);
    let rows = points.get_mut(..plan.n * dims).unwrap_or_default();
    let centroids = if !spec.method.has_lists {
        only_centroid(rows, spec)
    } else if is_by_levels(plan.k) {
        lists_by_levels(&mut MemoryRows { points: rows, dims }, plan, spec, job)?
    } else {
        of_lists(kmeans(rows, &kmeans_params(plan.k, spec), job)?, spec)
    };
    took.lists = lap(&mut begin);
    let trained =
        Trained { rows: plan.n as u64, centroids, stored, rotation, ..Trained::untrained() };
    let mut trained = with_code(trained, points, spec, job)?;
    took.code = lap(&mut begin);
    trained.took = took;
    Ok(trained)
}

/// Chooses the code if it is to be chosen, and trains it on some of the rows that `centroids` were trained on.
fn with_code(
    trained: Trained,
    points: &mut [f32],
    spec: &IndexSpec,
    job: &Job,
) -> Result<Trained, TrainError> {
    let Some(asked_for) = spec.code else { return Ok(trained) };
    job.begin(Part::Code as u64);
    let kind = if spec.is_code_chosen {
        choose_code(&trained.coarse(spec), points, spec.seed, job)?
    } else {
        Some(asked_for.kind)
    };
    let Some(kind) = kind else {
        // Vectors as they are are not rotated.
        let undo = |rotation: &Rotation| rotation.undo_batch(&trained.centroids, spec.dims, job);
        let centroids = trained.rotation.as_ref().map(undo).unwrap_or(trained.centroids);
        return Ok(Trained { centroids, rotation: None, stored: Stored::None, ..trained });
    };
    let code = CodeParams { kind, ..asked_for };
    let codec = train_code(points, &trained.coarse(spec), code, spec.seed, job)?;
    Ok(Trained { code: Some(code), codec: Some(codec), ..trained })
}

/// As `quantizers`, from rows in a file, a part of them at a time.
pub fn quantizers_of_rows(
    rows: &mut dyn Rows,
    plan: &Plan,
    spec: &IndexSpec,
    job: &Job,
) -> Result<Trained, TrainError> {
    let dims = spec.dims;
    let mut points = some_rows(rows, OPQ_ROWS.min(plan.room / 2), job)?;
    let stored = train_stored(&points, spec)?;
    if normalizes(spec) {
        normalize(&mut points, dims);
    }
    let (mut took, mut begin) = (Took::default(), Instant::now());
    let rotation = rotation(&points, spec, job)?;
    if normalizes(spec) || rotation.is_some() {
        let block = (plan.room / 3).clamp(1, ROTATED_AT_ONCE);
        for first in (0..plan.n).step_by(block) {
            let range = first..plan.n.min(first + block);
            rows.read(std::slice::from_ref(&range), &mut points, job)?;
            if normalizes(spec) {
                normalize(&mut points, dims);
            }
            rotate(&mut points, rotation.as_ref(), dims, job);
            rows.write(first, &mut points, job)?;
        }
    }
    drop(points);
    took.rotation = lap(&mut begin);
    job.begin(Part::Lists as u64);
    let centroids = lists_by_levels(rows, plan, spec, job)?;
    took.lists = lap(&mut begin);
    let wanted = spec.code.map_or(0, |code| code.kind.training_rows());
    let wanted = if spec.is_code_chosen { wanted.max(pilot::ROWS_MAX) } else { wanted };
    let mut points = some_rows(rows, wanted.min(plan.room), job)?;
    let trained =
        Trained { rows: plan.n as u64, centroids, stored, rotation, ..Trained::untrained() };
    let mut trained = with_code(trained, &mut points, spec, job)?;
    took.code = lap(&mut begin);
    trained.took = took;
    Ok(trained)
}

fn normalizes(spec: &IndexSpec) -> bool {
    spec.metric == Metric::Cosine || spec.code.is_some_and(|code| code.normalize)
}

fn rotate(points: &mut [f32], rotation: Option<&Rotation>, dims: usize, job: &Job) {
    let Some(rotation) = rotation else { return };
    for block in points.chunks_mut(ROTATED_AT_ONCE * dims) {
        let copy = block.to_vec();
        rotation.apply_batch(&copy, block, job);
    }
}

fn kmeans_params(k: usize, spec: &IndexSpec) -> KMeansParams {
    let spherical = spec.metric.is_spherical();
    KMeansParams { seed: spec.seed, ..KMeansParams::new(k, spec.dims, spherical) }
}

fn lists_by_levels(
    rows: &mut dyn Rows,
    plan: &Plan,
    spec: &IndexSpec,
    job: &Job,
) -> Result<Vec<f32>, TrainError> {
    let params = LevelParams { kmeans: kmeans_params(plan.k, spec), room: plan.room };
    Ok(of_lists(kmeans_by_levels(rows, &params, job)?, spec))
}

/// As in FAISS a centroid of bits has those that most of its rows have.
fn of_lists(mut centroids: Vec<f32>, spec: &IndexSpec) -> Vec<f32> {
    if spec.metric.is_of_bits() {
        centroids.iter_mut().for_each(|x| *x = f32::from(u8::from(*x > 0.5)));
    }
    centroids
}

/// About `n` rows at equal steps.
fn some_rows(rows: &mut dyn Rows, n: usize, job: &Job) -> Result<Vec<f32>, TrainError> {
    let every = rows.n().div_ceil(n.max(1)).max(1);
    let ranges: Vec<_> = (0..rows.n()).step_by(every).map(|row| row..row + 1).collect();
    let mut points = Vec::new();
    if n > 0 {
        rows.read(&ranges, &mut points, job)?;
    }
    Ok(points)
}

/// The ranges of stored vectors. As in a code, a few outliers would take the steps away from the others.
fn train_stored(points: &[f32], spec: &IndexSpec) -> Result<Stored, TrainError> {
    let refine = spec.code.map_or(Refine::Heap, |code| code.refine);
    let has_ranges = refine == Refine::Sq8;
    let few = if spec.metric == Metric::InnerProduct { FEW_LONGEST } else { FEW };
    let inliers = has_ranges.then(|| without_outliers(points, spec.dims, few)).flatten();
    Stored::train(refine, spec.dims, inliers.as_deref().unwrap_or(points))
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
fn only_centroid(rows: &[f32], spec: &IndexSpec) -> Vec<f32> {
    let mut sums = vec![0.0f64; spec.dims];
    let is_rabitq = spec.code.is_some_and(|code| matches!(code.kind, CodeKind::RaBitQ { .. }));
    if is_rabitq {
        let inliers = without_outliers(rows, spec.dims, FEW);
        let rows = inliers.as_deref().unwrap_or(rows);
        let n = rows.len() / spec.dims;
        for row in rows.chunks_exact(spec.dims) {
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x) / n as f64);
        }
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}

fn rotation(points: &[f32], spec: &IndexSpec, job: &Job) -> Result<Option<Rotation>, TrainError> {
    let dims = spec.dims;
    let kind = spec.code.map_or(RotationKind::None, |code| code.rotation);
    if kind != RotationKind::None {
        job.begin(Part::Rotation as u64);
    }
    match kind {
        RotationKind::None => Ok(None),
        RotationKind::Random => {
            RotationMatrix::random(dims, spec.seed, job).map(|made| Some(Rotation::Matrix(made)))
        }
        RotationKind::Hadamard => {
            Ok(Some(Rotation::Hadamard(HadamardRotation::random(dims, spec.seed))))
        }
        RotationKind::Opq { m } => {
            let points = points.get(..OPQ_ROWS * dims).unwrap_or(points);
            let inliers = without_outliers(points, dims, FEW);
            let points = inliers.as_deref().unwrap_or(points);
            train_opq(points, dims, m.into(), spec.seed, job)
                .map(|learned| Some(Rotation::Matrix(learned)))
        }
    }
}

/// Trains the code on the first points, less their centroids if it codes residuals.
fn train_code(
    points: &mut [f32],
    coarse: &Coarse<'_>,
    code: CodeParams,
    seed: u64,
    job: &Job,
) -> Result<Codec, TrainError> {
    let (dims, kind) = (coarse.dims, code.kind);
    let n = (points.len() / dims).min(kind.training_rows());
    let points = points.get_mut(..n * dims).unwrap_or_default();
    if kind.by_residual() && n > 0 {
        let (mut list_nos, mut distances) = (vec![0; n], vec![0.0; n]);
        BulkAssigner::new(*coarse, job)?.assign(points, &mut list_nos, &mut distances, job);
        take_residuals(coarse, points, &list_nos);
    }
    if job.cancelled() {
        return Err(TrainError::Cancelled);
    }
    let space = Space { dims, metric: coarse.metric };
    codec::train(kind, space, points, seed, job)
}
