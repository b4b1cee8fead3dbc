//! The same for an index over sparse vectors: its queries, their exact answers, and what the index answers.

use ann::exact::Nearest;
use ann::hnsw::{SparseQuery, SparseRows};
use ann::kernels::sparse::Sparse;
use ann::metric::Metric;
use ann::parallel;
use ann::rng::{Reservoir, Rng};
use ann::topk::{Hit, TopK};
use ann::tuning::Point;
use pages::tid::Tid;
use pgrx::pg_sys;

use super::answer::{IndexScan, Own};
use super::clock::{self, Clock};
use super::recall_meter::{measured_point, nothing_to_measure, say};
use super::rows::IndexedRows;
use super::settings::IndexSetting;
use super::truth::require_bytes;
use super::{QuerySource, Request};
use crate::am::datum::sparse::{SparseVarlena, new_sparse};
use crate::am::opclass::opclass_of;
use crate::am::progress::{self, Phase};
use crate::am::recall_target::on_workers;
use crate::am::rel;
use crate::am::report::wrong_dimensions;

/// Rows that are compared at once.
const BATCH_ROWS: usize = 4096;
/// Queries asked before the first that counts.
const WARM_UP: usize = 100;

/// A query and its exact answer in the making.
struct Asked {
    query: SparseQuery,
    own: Option<Tid>,
    nearest: TopK,
}

/// Queries with their exact answers, and the scan that is held against them.
pub struct SparseRecallMeter {
    rows: IndexedRows,
    scan: IndexScan,
    dims: usize,
    queries: Vec<SparseQuery>,
    /// One for each query, or none at all.
    own: Vec<Tid>,
    nearest: Vec<Nearest>,
    /// CPU time of an exact answer alone.
    pub ms: f64,
    k: usize,
    nodes: Vec<Option<u32>>,
    order: Vec<u32>,
}

/// Shows the vector of a value that belongs into the index: under cosine none without elements.
///
/// # Safety
/// It must be a `sparsevec`.
unsafe fn look(rows: &IndexedRows, value: pg_sys::Datum, look: impl FnOnce(Sparse<'_>)) {
    // SAFETY: the caller's promise.
    let vector = unsafe { SparseVarlena::from_datum(value) };
    if vector.dims() != rows.dims {
        wrong_dimensions(rows.dims, vector.dims());
    }
    if opclass_of(rows.index).metric != Metric::Cosine || !vector.values().is_empty() {
        look(vector.elements());
    }
}

impl SparseRecallMeter {
    /// # Safety
    /// As [`super::recall`]; the operator class must be over sparse vectors.
    pub unsafe fn new(heap: pg_sys::Relation, index: pg_sys::Relation, request: Request) -> Self {
        let dims = rel::declared_dims(index).unwrap_or(1);
        let Request { k, queries, seed } = request;
        // SAFETY: the caller's promise.
        unsafe {
            let mut rows = IndexedRows::new(heap, index, pg_sys::GetActiveSnapshot(), dims);
            let (queries, own) = match queries {
                QuerySource::Sample { n, exclude_self } => sample(&mut rows, n, exclude_self, seed),
                QuerySource::Sparse(queries) => (queries, Vec::new()),
                QuerySource::Given(_) => (Vec::new(), Vec::new()),
            };
            require_bytes(queries.len(), 2 * k * size_of::<Hit>());
            let (nearest, ms) = truth(&mut rows, &queries, &own, k);
            if nearest.iter().all(|nearest| nearest.ids.is_empty()) {
                nothing_to_measure(index);
            }
            say(format!("exact answers to {} queries: {ms:.3} ms each, alone", queries.len()));
            let order = Rng::new(seed).permutation(queries.len() as u32);
            let scan = IndexScan::new(&rows);
            let nodes = Vec::new();
            let mut meter = Self { rows, scan, dims, queries, own, nearest, ms, k, nodes, order };
            meter.find_nodes();
            let mut tids = Vec::new();
            for number in meter.order.clone().into_iter().take(WARM_UP) {
                meter.ask(number as usize, k, true, &mut tids);
            }
            meter
        }
    }

    /// Finds the nodes that the queries are: a search without them is measured.
    ///
    /// # Safety
    /// As [`SparseRecallMeter::new`].
    unsafe fn find_nodes(&mut self) {
        // SAFETY: an open index.
        let relid = unsafe { (*self.rows.index).rd_id };
        for number in 0..self.own.len() {
            let Some(tid) = self.own.get(number).copied() else { break };
            let left_out = crate::am::left_out::LeftOut::new(relid, tid, None);
            // SAFETY: the caller's promise.
            unsafe { self.ask(number, 1, false, &mut Vec::new()) };
            self.nodes.push(left_out.node());
        }
    }

    /// Measures settings, as [`super::recall_meter::RecallMeter::measure`] does.
    ///
    /// # Safety
    /// As [`SparseRecallMeter::new`].
    pub unsafe fn measure(
        &mut self,
        settings: &[IndexSetting],
        values: &[u32],
        target: Option<f64>,
    ) -> Point {
        let order = self.order.clone();
        let mut tids = Vec::new();
        measured_point(&order, settings, values, target, |number| {
            // SAFETY: the caller's promise.
            let taken = unsafe { self.ask(number, self.k, true, &mut tids) };
            // SAFETY: the caller's promise.
            let (found, wanted) = unsafe { self.count_found(number, &tids) };
            (taken, found, wanted)
        })
    }

    /// The index's answer to a query, without its own row where it has one and `without` says so.
    ///
    /// # Safety
    /// As [`SparseRecallMeter::new`].
    unsafe fn ask(&mut self, number: usize, k: usize, without: bool, tids: &mut Vec<Tid>) -> Clock {
        let Some(query) = self.queries.get(number) else { return Clock::default() };
        let node = self.nodes.get(number).copied().flatten();
        let own = self.own.get(number).filter(|_| without).map(|&tid| Own { tid, node });
        let Sparse { indices, values } = query.vector();
        let value = new_sparse(self.dims, indices, values);
        // SAFETY: a value of the indexed type, which is freed when it is no longer looked at.
        unsafe {
            let taken = self.scan.ask_value(value, k, own, tids);
            pg_sys::pfree(value.cast_mut_ptr());
            taken
        }
    }

    /// How many of the rows that a query wants are among `tids`, and how many it wants.
    ///
    /// # Safety
    /// As [`SparseRecallMeter::new`].
    unsafe fn count_found(&mut self, number: usize, tids: &[Tid]) -> (usize, usize) {
        let Self { rows, queries, nearest, .. } = self;
        let (Some(nearest), Some(query)) = (nearest.get(number), queries.get(number)) else {
            return (0, 0);
        };
        let wanted = nearest.ids.len();
        let mut found = 0;
        for &tid in tids.iter().take(wanted) {
            if nearest.has(tid.to_u64()) {
                found += 1;
                continue;
            }
            // SAFETY: the caller's promise.
            unsafe {
                rows.fetch_value(tid, |rows, value| {
                    look(rows, value, |vector| {
                        found += usize::from(query.exact(vector) <= nearest.limit);
                    });
                });
            }
        }
        (found, wanted)
    }
}

/// Draws rows at random over the whole table; and their tids, unless they count in their own answers.
///
/// # Safety
/// As [`IndexedRows::scan_values`], of an index over sparse vectors.
unsafe fn sample(
    rows: &mut IndexedRows,
    n: usize,
    exclude_self: bool,
    seed: u64,
) -> (Vec<SparseQuery>, Vec<Tid>) {
    let metric = opclass_of(rows.index).metric;
    let mut reservoir = Reservoir::new(n, seed);
    let mut drawn: Vec<(SparseQuery, Tid)> = Vec::new();
    progress::set_phase(Phase::SamplingRows);
    // SAFETY: the caller's promise.
    unsafe {
        rows.scan_values(|rows, tid, value| {
            look(rows, value, |vector| {
                let Some(slot) = reservoir.offer() else { return };
                let row = (SparseQuery::new(metric, vector), tid);
                match drawn.get_mut(slot) {
                    Some(replaced) => *replaced = row,
                    None => drawn.push(row),
                }
            });
        });
    }
    let (queries, own) = drawn.into_iter().unzip();
    (queries, if exclude_self { own } else { Vec::new() })
}

/// The `k` nearest rows of every query, without its own; and the CPU time of such an answer alone.
///
/// # Safety
/// As [`sample`].
unsafe fn truth(
    rows: &mut IndexedRows,
    queries: &[SparseQuery],
    own: &[Tid],
    k: usize,
) -> (Vec<Nearest>, f64) {
    let own = |number: usize| own.get(number).copied();
    let asked = queries.iter().enumerate().map(|(number, query)| Asked {
        query: query.clone(),
        own: own(number),
        nearest: TopK::new(k),
    });
    let mut asked: Vec<Asked> = asked.collect();
    let (mut tids, mut vectors) = (Vec::new(), SparseRows::default());
    let mut compared = Clock::default();
    progress::set_phase(Phase::ComparingRows);
    let before = clock::of_process();
    let mut compare = |tids: &mut Vec<Tid>, vectors: &mut SparseRows| {
        let before = clock::of_process();
        on_workers(|job| {
            parallel::for_each_chunk(&mut asked, 1, |_, asked| {
                if !job.cancelled() {
                    asked.iter_mut().for_each(|asked| asked.compare(tids, vectors));
                }
            });
        });
        compared += clock::of_process() - before;
        tids.clear();
        vectors.clear();
    };
    // SAFETY: the caller's promise.
    unsafe {
        rows.scan_values(|rows, tid, value| {
            look(rows, value, |vector| {
                tids.push(tid);
                vectors.push(vector);
            });
            if tids.len() == BATCH_ROWS {
                compare(&mut tids, &mut vectors);
            }
        });
    }
    compare(&mut tids, &mut vectors);
    let pass = (clock::of_process() - before).saturating_sub(compared);
    let ms = clock::ms(pass) + clock::ms(compared) / queries.len().max(1) as f64;
    (asked.into_iter().map(Asked::finish).collect(), ms)
}

impl Asked {
    fn compare(&mut self, tids: &[Tid], vectors: &SparseRows) {
        for (i, tid) in tids.iter().enumerate() {
            let Some(vector) = vectors.get(i).filter(|_| self.own != Some(*tid)) else { continue };
            let key = self.query.exact(vector);
            if !key.is_nan() {
                self.nearest.push(Hit { key, id: tid.to_u64(), at: tid.to_u64() });
            }
        }
    }

    fn finish(self) -> Nearest {
        let hits = self.nearest.into_sorted();
        let limit = hits.last().map_or(f64::NEG_INFINITY, |hit| hit.key);
        let mut ids: Vec<u64> = hits.iter().map(|hit| hit.id).collect();
        ids.sort_unstable();
        Nearest { limit, ids }
    }
}
