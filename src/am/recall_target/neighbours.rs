//! Rows of the table that ask for their neighbours while a build reads the table once more: exact answers to measure by.

use ann::Metric;
use ann::exact::{ExactSearch, Ranked};
use ann::parallel::{self, Job};
use pages::tid::Tid;
use pgrx::PgSqlErrorCode;

use crate::am::build::memory_bytes_max;
use crate::am::guc;
use crate::am::interrupts::check_for_interrupts;
use crate::am::measure::clock::{self, Clock};
use crate::am::report::Report;
use crate::am::value::Column;

/// Rows that ask at most.
pub const QUERIES_MAX: usize = 200;
/// Neighbours of each.
const NEIGHBOURS: usize = 100;
/// Of the memory of a build, the part that questions and answers may take.
const MEMORY_SHARE: usize = 16;

/// Fewer rows than this are not worth waking a worker for.
const ALONE: usize = 64;

/// Questions on their way through the rows.
pub struct Neighbours<E: Column> {
    metric: Metric,
    dims: usize,
    n: usize,
    /// None until there are rows to choose from.
    search: Option<ExactSearch<E>>,
    /// CPU time that comparing has taken.
    pub took: Clock,
}

impl<E: Column> Neighbours<E> {
    /// `n` rows of `candidates` will ask (n × dims, as the column has them); where there are none, of the first rows that come.
    pub fn new(metric: Metric, dims: usize, n: usize, candidates: &[f32]) -> Self {
        let bytes = ExactSearch::<E>::bytes_per_query(dims, NEIGHBOURS).max(1);
        let n = n.min(QUERIES_MAX).min(memory_bytes_max() / MEMORY_SHARE / bytes).max(1);
        let mut neighbours = Self { metric, dims, n, search: None, took: Clock::default() };
        if !candidates.is_empty() {
            neighbours.choose(candidates.chunks_exact(dims), <[f32]>::to_vec);
        }
        neighbours
    }

    /// Takes `n` of the rows at equal steps.
    fn choose<T: ?Sized>(
        &mut self,
        rows: impl ExactSizeIterator<Item = impl std::ops::Deref<Target = T>>,
        widen: impl Fn(&T) -> Vec<f32>,
    ) {
        let every = rows.len().div_ceil(self.n).max(1);
        let points: Vec<f32> = rows.step_by(every).flat_map(|row| widen(&row)).collect();
        self.search = Some(ExactSearch::of_rows(self.metric, self.dims, points, NEIGHBOURS));
    }

    /// Looks at rows, on worker threads; `ats`: a number beside each, which its hit says again.
    pub fn see(&mut self, tids: &[Tid], ats: &[u32], elements: &[E]) {
        if tids.is_empty() {
            return;
        }
        if self.search.is_none() {
            let dims = self.dims;
            self.choose(elements.chunks_exact(E::count(dims)), |row| E::widened(row, dims));
        }
        let Some(search) = &mut self.search else { return };
        let ids: Vec<u64> = tids.iter().map(|tid| tid.to_u64()).collect();
        if ids.len() < ALONE {
            return search.add_at(&ids, ats, elements, &Job::default());
        }
        let before = clock::of_process();
        on_workers(|job| search.add_at(&ids, ats, elements, job));
        self.took += clock::of_process() - before;
    }

    /// The questions and their answers.
    pub fn finish(self) -> Vec<Ranked> {
        self.search.map(ExactSearch::finish_ranked).unwrap_or_default()
    }
}

/// Runs `work` on the worker threads of the build. Raises 53000 if the system has none.
pub fn on_workers<T: Send>(work: impl FnOnce(&Job) -> T + Send) -> T {
    let done = parallel::run(guc::build_threads(), |_job| check_for_interrupts(), work);
    done.unwrap_or_else(|error| {
        Report::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES,
            format!("could not measure recall: {error}"),
        )
        .error()
    })
}
