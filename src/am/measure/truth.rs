//! The queries and their exact answers: a sample of the table's rows, or what the caller gives, and one pass over the table
//! that compares every row with all of them on worker threads.

use ann::Metric;
use ann::exact::{ExactSearch, Nearest};
use ann::parallel;
use ann::rng::Reservoir;
use pages::tid::Tid;
use pgrx::PgSqlErrorCode;

use super::clock::{self, Clock};
use super::rows::IndexedRows;
use crate::am::build::memory_bytes_max;
use crate::am::guc;
use crate::am::interrupts::check_for_interrupts;
use crate::am::progress::{self, Phase};
use crate::am::report::Report;
use crate::am::value::Column;

/// Bytes of rows that are compared at once, unless memory is short.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// Queries, each a point and, if it is a row of the table, which one.
#[derive(Default)]
pub struct Queries {
    /// n × dims.
    pub points: Vec<f32>,
    /// One for each point, or none at all.
    pub own: Vec<Tid>,
}

impl Queries {
    /// Draws `n` rows at random over the whole table, or all of them where there are fewer.
    ///
    /// # Safety
    /// As [`IndexedRows::scan`].
    pub unsafe fn sample<E: Column>(rows: &mut IndexedRows, n: usize, seed: u64) -> Self {
        let dims = rows.dims;
        let mut reservoir = Reservoir::new(n, seed);
        let mut drawn: Vec<(Tid, Vec<f32>)> = Vec::new();
        let draw = |tid, elements: &[E]| {
            let Some(slot) = reservoir.offer() else { return };
            let row = (tid, E::widened(elements, dims));
            match drawn.get_mut(slot) {
                Some(replaced) => *replaced = row,
                None => drawn.push(row),
            }
        };
        progress::set_phase(Phase::SamplingRows);
        // SAFETY: the caller's promise.
        unsafe { rows.scan::<E>(draw) };
        let own = drawn.iter().map(|(tid, _)| *tid).collect();
        Self { points: drawn.into_iter().flat_map(|(_, point)| point).collect(), own }
    }
}

/// The exact answers.
pub struct Truth {
    pub queries: Queries,
    /// One for each query.
    pub nearest: Vec<Nearest>,
    /// CPU time of such an answer alone: one pass over the table, one distance for each row.
    pub ms: f64,
}

/// Raises 54000 if maintenance_work_mem has no room for `n` queries with `k` answers each.
pub fn require_room(n: usize, dims: usize, k: usize) {
    require_bytes(n, ExactSearch::<f32>::bytes_per_query(dims, k));
}

/// As `require_room`, for queries of `bytes` bytes each.
pub fn require_bytes(n: usize, bytes: usize) {
    let bytes = n.saturating_mul(bytes);
    if bytes <= memory_bytes_max() {
        return;
    }
    Report::new(
        PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        format!("maintenance_work_mem is too small for {n} queries"),
    )
    .detail(format!(
        "Their exact answers take {} MB; maintenance_work_mem is {} MB.",
        bytes.div_ceil(1 << 20),
        memory_bytes_max() >> 20
    ))
    .hint("Increase maintenance_work_mem, or measure with fewer queries.")
    .error();
}

/// Rows waiting to be compared.
struct Batch<E> {
    ids: Vec<u64>,
    elements: Vec<E>,
    /// CPU time spent on comparing.
    compared: Clock,
}

impl<E: Column> Batch<E> {
    fn compare(&mut self, search: &mut ExactSearch<E>) {
        let (ids, elements) = (&self.ids, &self.elements);
        let before = clock::of_process();
        let done = parallel::run(
            guc::build_threads(),
            |_| check_for_interrupts(),
            |job| search.add(ids, elements, job),
        );
        self.compared += clock::of_process() - before;
        self.ids.clear();
        self.elements.clear();
        if let Err(e) = done {
            Report::new(
                PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES,
                format!("could not compare rows: {e}"),
            )
            .error();
        }
    }
}

/// Finds the `k` nearest rows of every query; a query's own row does not count.
///
/// # Safety
/// As [`IndexedRows::scan`].
pub unsafe fn truth<E: Column>(
    rows: &mut IndexedRows,
    metric: Metric,
    dims: usize,
    queries: Queries,
    k: usize,
) -> Truth {
    let Queries { points, own } = queries;
    let n = points.len() / dims;
    let own_ids: Vec<u64> = own.iter().map(|tid| tid.to_u64()).collect();
    let mut search = ExactSearch::<E>::new(metric, dims, points, &own_ids, k);
    let memory = BATCH_BYTES_MAX.min(memory_bytes_max() / 4);
    let batch_rows = (memory / (E::count(dims) * size_of::<E>())).max(1);
    let mut batch =
        Batch { ids: Vec::new(), elements: Vec::<E>::new(), compared: Clock::default() };
    progress::set_phase(Phase::ComparingRows);
    let before = clock::of_process();
    let mut done = 0;
    let add = |tid: Tid, elements: &[E]| {
        batch.ids.push(tid.to_u64());
        batch.elements.extend_from_slice(elements);
        if batch.ids.len() == batch_rows {
            batch.compare(&mut search);
            done += batch_rows as u64;
            progress::set_tuples_done(done);
        }
    };
    // SAFETY: the caller's promise.
    unsafe { rows.scan::<E>(add) };
    batch.compare(&mut search);
    let pass = (clock::of_process() - before).saturating_sub(batch.compared);
    let (points, nearest) = search.finish();
    let ms = clock::ms(pass) + clock::ms(batch.compared) / n.max(1) as f64;
    Truth { queries: Queries { points, own }, nearest, ms }
}
