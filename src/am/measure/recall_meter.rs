//! The index's answers held against the exact ones, setting by setting.

use ann::element::Query;
use ann::exact::RowKeys;
use ann::metric::Metric;
use ann::rng::Rng;
use ann::tuning::{Point, Tally};
use pages::tid::Tid;
use pgrx::{PgSqlErrorCode, pg_sys};

use super::answer::{IndexScan, Own};
use super::clock::Clock;
use super::rows::IndexedRows;
use super::settings::{self, IndexSetting};
use super::truth::{self, Queries, Truth};
use super::{QuerySource, Request, clock};
use crate::am::method::method_of;
use crate::am::opclass::opclass_of;
use crate::am::progress::{self, Phase};
use crate::am::rel;
use crate::am::report::Report;
use crate::am::value::Column;

/// Queries asked before the first that counts.
const WARM_UP: usize = 100;

/// Queries with their exact answers, and the scan that is held against them.
pub struct RecallMeter<E: Column> {
    rows: IndexedRows,
    scan: IndexScan,
    metric: Metric,
    keys: RowKeys<E>,
    dims: usize,
    pub truth: Truth,
    /// Rows asked for.
    k: usize,
    /// The nodes of a graph that the queries are, where known; empty if the index is none.
    nodes: Vec<Option<u32>>,
    /// Queries in the order in which they are asked: a part of them is a sample, too.
    order: Vec<u32>,
}

impl<E: Column> RecallMeter<E> {
    /// # Safety
    /// As [`super::recall`]; the operator class must be over vectors of `E`.
    pub unsafe fn new(heap: pg_sys::Relation, index: pg_sys::Relation, request: Request) -> Self {
        let metric = opclass_of(index).metric;
        let dims = rel::declared_dims(index).unwrap_or(1);
        let Request { k, queries, seed } = request;
        // SAFETY: the caller's promise.
        unsafe {
            let mut rows = IndexedRows::new(heap, index, pg_sys::GetActiveSnapshot(), dims);
            let queries = match queries {
                QuerySource::Given(points) => Queries { points, own: Vec::new() },
                // Of an index over sparse vectors.
                QuerySource::Sparse(_) => Queries::default(),
                QuerySource::Sample { n, exclude_self } => {
                    truth::require_room(n, dims, k);
                    let mut sample = Queries::sample::<E>(&mut rows, n, seed);
                    if !exclude_self {
                        sample.own = Vec::new();
                    }
                    sample
                }
            };
            let n = queries.points.len() / dims;
            truth::require_room(n, dims, k);
            let truth = truth::truth::<E>(&mut rows, metric, dims, queries, k);
            if truth.nearest.iter().all(|nearest| nearest.ids.is_empty()) {
                nothing_to_measure(index);
            }
            say(format!("exact answers to {n} queries: {:.3} ms each, alone", truth.ms));
            let order = Rng::new(seed).permutation(n as u32);
            let scan = IndexScan::new(&rows);
            let (keys, nodes) = (RowKeys::new(metric), Vec::new());
            let mut meter = Self { rows, scan, metric, keys, dims, truth, k, nodes, order };
            if method_of(index).is_some_and(|method| method.is_graph) {
                meter.find_nodes();
            }
            meter.warm_up();
            meter
        }
    }

    /// Measures settings: all queries, or with a target until it is clear on which side of it they are.
    ///
    /// # Safety
    /// As [`RecallMeter::new`].
    pub unsafe fn measure(
        &mut self,
        settings: &[IndexSetting],
        values: &[u32],
        target: Option<f64>,
    ) -> Point {
        let order = std::mem::take(&mut self.order);
        let mut tids = Vec::new();
        let point = measured_point(&order, settings, values, target, |number| {
            // SAFETY: the caller's promise.
            let taken = unsafe { self.ask(number, &mut tids) };
            // SAFETY: the caller's promise.
            let (found, wanted) = unsafe { self.count_found(number, &tids) };
            (taken, found, wanted)
        });
        self.order = order;
        point
    }

    /// Finds the nodes that the queries are: a search without them is measured. Their links would lead to what is asked for.
    ///
    /// # Safety
    /// As [`RecallMeter::new`].
    unsafe fn find_nodes(&mut self) {
        for (number, &tid) in self.truth.queries.own.iter().enumerate() {
            let point = point(&self.truth.queries.points, number, self.dims);
            // SAFETY: the caller's promise.
            self.nodes.push(unsafe { self.scan.node_of::<E>(point, tid) });
        }
    }

    /// Asks some queries whose time does not count: the first of a session read the trained parameters.
    ///
    /// # Safety
    /// As [`RecallMeter::new`].
    unsafe fn warm_up(&mut self) {
        let mut tids = Vec::new();
        for i in 0..self.order.len().min(WARM_UP) {
            // SAFETY: the caller's promise.
            unsafe { self.ask(self.order[i] as usize, &mut tids) };
        }
    }

    /// The index's answer to a query, and the time it took.
    ///
    /// # Safety
    /// As [`RecallMeter::new`].
    unsafe fn ask(&mut self, number: usize, tids: &mut Vec<Tid>) -> Clock {
        let node = self.nodes.get(number).copied().flatten();
        let own = self.truth.queries.own.get(number).map(|&tid| Own { tid, node });
        let point = point(&self.truth.queries.points, number, self.dims);
        // SAFETY: the caller's promise.
        unsafe { self.scan.ask::<E>(point, self.k, own, tids) }
    }

    /// How many of the rows that a query wants are among `tids`, and how many it wants.
    ///
    /// # Safety
    /// As [`RecallMeter::new`].
    unsafe fn count_found(&mut self, number: usize, tids: &[Tid]) -> (usize, usize) {
        let Some(nearest) = self.truth.nearest.get(number) else { return (0, 0) };
        let point = point(&self.truth.queries.points, number, self.dims);
        let (keys, wanted) = (self.keys, nearest.ids.len());
        let mut query = Query::default();
        query.set(point);
        query.prepare(self.metric);
        let mut found = 0;
        for &tid in tids.iter().take(wanted) {
            if nearest.has(tid.to_u64()) {
                found += 1;
                continue;
            }
            let count =
                |elements: &[E]| found += usize::from(keys.key(&query, elements) <= nearest.limit);
            // SAFETY: the caller's promise.
            unsafe { self.rows.fetch(tid, count) };
        }
        (found, wanted)
    }
}

/// Measures settings by queries in this order. `ask` asks one of them by its number, and says how long that took, how many of
/// the rows that it wants were found, and how many it wants.
pub fn measured_point(
    order: &[u32],
    settings: &[IndexSetting],
    values: &[u32],
    target: Option<f64>,
    mut ask: impl FnMut(usize) -> (Clock, usize, usize),
) -> Point {
    for (index, &value) in settings.iter().zip(values) {
        index.setting.set(value);
    }
    progress::set_phase(Phase::MeasuringSettings);
    progress::set_tuples_total(order.len() as u64);
    let mut tally = Tally::default();
    let (mut asked, mut ms) = (0u32, 0.0);
    for number in order {
        let (taken, found, wanted) = ask(*number as usize);
        ms += clock::ms(taken);
        asked += 1;
        progress::set_tuples_done(asked.into());
        tally.add(found, wanted);
        if target.is_some_and(|target| tally.is_decided(target)) {
            break;
        }
    }
    let point = Point { values: values.to_vec(), tally, ms: ms / f64::from(asked.max(1)) };
    let values_set = settings.iter().zip(values).map(|(index, value)| (index, (*value).into()));
    let text = settings::text(values_set);
    say(format!(
        "{text}: recall {:.4} by {} queries, {:.3} ms",
        point.recall(),
        tally.queries(),
        point.ms
    ));
    point
}

/// One of n points of `dims` components.
fn point(points: &[f32], number: usize, dims: usize) -> &[f32] {
    points.get(number * dims..(number + 1) * dims).unwrap_or_default()
}

pub fn say(what: String) {
    Report::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, what).debug();
}

pub fn nothing_to_measure(index: pg_sys::Relation) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("index \"{}\" has no rows to measure recall by", rel::name(index)),
    )
    .detail("It takes at least two rows, or one and a query, that have a distance to each other.")
    .error()
}
