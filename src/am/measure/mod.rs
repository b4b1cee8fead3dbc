//! Measuring an index: how many of the true nearest rows it finds, in what time, and with which search settings it finds
//! enough of them.
//!
//! `rows.rs` the rows that belong into the index · `truth.rs` the exact answers · `answer.rs` the index's answers ·
//! `recall_meter.rs` the one against the other, `sparse.rs` for sparse vectors · `settings.rs` what can be set · `clock.rs` CPU time.
//!
//! A row that the index returns is right if its distance is not beyond that of the k-th nearest row: of rows equally far
//! any will do. A sampled row that asks for its neighbours is not among them, neither in the exact answer nor in the index's.

mod answer;
pub mod clock;
mod recall_meter;
mod rows;
mod settings;
mod sparse;
mod truth;

use ann::element::Bits;
use ann::hnsw::SparseQuery;
use ann::tuning::{self, Axis, Point, SIGMAS_95};
use half::f16;
use pgrx::pg_sys;

use super::opclass::{ElementType, opclass_of};
use super::progress::Shown;
use super::rights;
use recall_meter::RecallMeter;
use settings::{IndexSetting, settings_of};
use sparse::SparseRecallMeter;

pub use settings::SearchSetting;

/// What to measure by.
pub struct Request {
    /// Rows asked for, at least 1.
    pub k: usize,
    pub queries: QuerySource,
    /// Seed of the sample, and of the order of queries.
    pub seed: u64,
}

/// Where the queries come from.
pub enum QuerySource {
    /// Rows of the table: how many, and whether each is left out of its own answer.
    Sample { n: usize, exclude_self: bool },
    /// The caller's own: n × dims, of values that the column's type can hold.
    Given(Vec<f32>),
    /// The caller's own for an index over sparse vectors.
    Sparse(Vec<SparseQuery>),
}

/// A measured setting.
pub struct Measured {
    /// As `nprobe=16,k_factor=4`; empty if there is nothing to set.
    pub text: String,
    /// Each setting with its value.
    pub values: Vec<(SearchSetting, u32)>,
    pub recall: f64,
    /// 95 % confidence.
    pub interval: (f64, f64),
    /// Queries that counted.
    pub queries: u64,
    /// Mean CPU time of a query.
    pub ms: f64,
}

/// What [`tune`] measured.
pub struct Tuned {
    pub points: Vec<Measured>,
    /// Whether nothing finds more in the same time, for each point.
    pub is_optimal: Vec<bool>,
    /// The fastest that reaches the target.
    pub chosen: Option<usize>,
}

/// The recall of `index` with the settings that a scan would use now, and the mean CPU time of an exact answer.
///
/// Errors: 55000 if there is nothing to measure by, 54000 if memory has no room for the queries, and whatever
/// the index's expressions raise. Answers interrupts.
///
/// # Safety
/// `heap` and `index` must be open, the latter one of ours on the former; there must be an active snapshot.
pub unsafe fn recall(
    heap: pg_sys::Relation,
    index: pg_sys::Relation,
    request: Request,
) -> (Measured, f64) {
    let settings = settings_of(index, request.k);
    let text = settings_now(index, request.k);
    let of_all = |measure: &mut dyn FnMut(&[u32], Option<f64>) -> Point, exact_ms: f64| {
        // Nothing is set: each query may search as many lists as suit it.
        (Measured { text, ..measured(&[], &measure(&[], None)) }, exact_ms)
    };
    // SAFETY: the caller's promise.
    unsafe { with_measure(heap, index, &settings, request, of_all) }
}

/// Searches the cheapest settings of `index` that reach recall `target`, by measuring.
///
/// Errors and safety: as [`recall`].
///
/// # Safety
/// As [`recall`].
pub unsafe fn tune(
    heap: pg_sys::Relation,
    index: pg_sys::Relation,
    target: f64,
    request: Request,
) -> Tuned {
    let settings = settings_of(index, request.k);
    let axes: Vec<Axis> = settings.iter().map(|setting| setting.axis.clone()).collect();
    let search = |measure: &mut dyn FnMut(&[u32], Option<f64>) -> Point, _exact_ms: f64| {
        let mut points = tuning::explore(&axes, target, |values| measure(values, Some(target)));
        points.sort_by(|a, b| a.ms.total_cmp(&b.ms));
        Tuned {
            is_optimal: tuning::optimal(&points),
            chosen: tuning::cheapest(&points, target),
            points: points.iter().map(|point| measured(&settings, point)).collect(),
        }
    };
    // SAFETY: the caller's promise.
    unsafe { with_measure(heap, index, &settings, request, search) }
}

/// The settings that a scan of `index` for `k` rows would use now, as `nprobe=16,k_factor=4`; empty if there is nothing to set.
pub fn settings_now(index: pg_sys::Relation, k: usize) -> String {
    let settings = settings_of(index, k);
    settings::text(settings.iter().map(|setting| (setting, setting.now)))
}

fn measured(settings: &[IndexSetting], point: &Point) -> Measured {
    let values = || settings.iter().zip(point.values.iter().copied());
    Measured {
        text: settings::text(values().map(|(index, value)| (index, value.into()))),
        values: values().map(|(index, value)| (index.setting, value)).collect(),
        recall: point.recall(),
        interval: point.tally.interval(SIGMAS_95).unwrap_or((0.0, 1.0)),
        queries: point.tally.queries(),
        ms: point.ms,
    }
}

/// Finds the exact answers, then lets `work` measure settings: values and, if the measurement may end as soon as it is
/// clear that they are on one side of it, the target. It also gets the time of an exact answer.
///
/// # Safety
/// As [`recall`].
unsafe fn with_measure<R>(
    heap: pg_sys::Relation,
    index: pg_sys::Relation,
    settings: &[IndexSetting],
    request: Request,
    work: impl FnOnce(&mut dyn FnMut(&[u32], Option<f64>) -> Point, f64) -> R,
) -> R {
    // SAFETY: two open relations.
    let (table, relid, method) =
        unsafe { ((*heap).rd_id, (*index).rd_id, (*(*index).rd_rel).relam) };
    let _shown = Shown::start(table, method).about(relid);
    rights::as_owner(heap, || {
        // SAFETY: the caller's promise; the element type is the operator class's.
        unsafe {
            match opclass_of(index).element {
                ElementType::F32 => {
                    let mut meter = RecallMeter::<f32>::new(heap, index, request);
                    let ms = meter.truth.ms;
                    work(&mut |values, target| meter.measure(settings, values, target), ms)
                }
                ElementType::Bit => {
                    let mut meter = RecallMeter::<Bits>::new(heap, index, request);
                    let ms = meter.truth.ms;
                    work(&mut |values, target| meter.measure(settings, values, target), ms)
                }
                ElementType::Sparse => {
                    let mut meter = SparseRecallMeter::new(heap, index, request);
                    let ms = meter.ms;
                    work(&mut |values, target| meter.measure(settings, values, target), ms)
                }
                ElementType::F16 => {
                    let mut meter = RecallMeter::<f16>::new(heap, index, request);
                    let ms = meter.truth.ms;
                    work(&mut |values, target| meter.measure(settings, values, target), ms)
                }
            }
        }
    })
}
