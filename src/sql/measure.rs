//! `faiss.recall` and `faiss.tune`: how good an index answers, and how to set it.

use ann::Metric;
use ann::element::Bits;
use ann::hnsw::SparseQuery;
use half::f16;
use pgrx::pg_sys;

use super::apply::{apply, require_may_alter, say_missed};
use super::error::SqlError;
use super::fmgr::{Arguments, SqlResult, export};
use super::open_index::{OpenIndex, OpenTable};
use super::queries::queries_of;
use super::rows::RowStore;
use crate::am::datum::sparse::SparseVarlena;
use crate::am::measure::{self, Measured, QuerySource, Request, SearchSetting};
use crate::am::opclass::{ElementType, opclass_of};
use crate::am::rel;
use crate::am::report::{argument_out_of_range, wrong_dimensions};
use crate::am::value::{Column, Value};

/// The index is the first argument of every function.
const INDEX: usize = 0;
/// Rows asked for, at most.
const K_MAX: i32 = 1000;
/// Queries drawn, at most.
const QUERIES_MAX: i32 = 100_000;
/// The seed where none can be given: the order in which the caller's queries are asked.
const SEED_DEFAULT: i32 = 1234;

/// Why whoever sees some rows only may not measure, and what to do instead.
const WHY_EVERY_ROW: (&str, &str) = (
    "Recall is measured over all rows of the table.",
    "Let the table's owner, or a role that bypasses the policies, measure.",
);

/// `faiss.recall(index regclass, k int, queries int, exclude_self boolean, seed int)`.
fn recall(arguments: &Arguments) -> Result<Option<i32>, SqlError> {
    let (k, seed) = (arguments.int32(1), arguments.int32(4));
    measure_recall(arguments, k, seed, |_| Ok(sample(arguments.int32(2), arguments.bool(3))))
}

/// `faiss.recall(index regclass, queries anyarray, k int)`.
fn recall_of(arguments: &Arguments) -> Result<Option<i32>, SqlError> {
    let queries = arguments.datum(1);
    measure_recall(arguments, arguments.int32(2), SEED_DEFAULT, |index| given(index, queries))
}

/// `faiss.tune(index regclass, target_recall float8, k int, apply boolean, queries int, exclude_self boolean, seed int)`.
fn tune(arguments: &Arguments) -> Result<Option<i32>, SqlError> {
    let goal = Goal {
        target_recall: arguments.float8(1),
        k: arguments.int32(2),
        apply: arguments.bool(3),
        seed: arguments.int32(6),
    };
    measure_tune(arguments, goal, |_| Ok(sample(arguments.int32(4), arguments.bool(5))))
}

/// `faiss.tune(index regclass, queries anyarray, target_recall float8, k int, apply boolean)`.
fn tune_of(arguments: &Arguments) -> Result<Option<i32>, SqlError> {
    let queries = arguments.datum(1);
    let goal = Goal {
        target_recall: arguments.float8(2),
        k: arguments.int32(3),
        apply: arguments.bool(4),
        seed: SEED_DEFAULT,
    };
    measure_tune(arguments, goal, |index| given(index, queries))
}

export! {
    "recall" => recall;
    "recall_of" => recall_of;
    "tune" => tune;
    "tune_of" => tune_of;
}

/// What `faiss.tune` is asked for.
struct Goal {
    target_recall: f64,
    k: i32,
    apply: bool,
    seed: i32,
}

fn measure_recall(
    arguments: &Arguments,
    k: i32,
    seed: i32,
    queries: impl FnOnce(&OpenIndex) -> Result<QuerySource, SqlError>,
) -> Result<Option<i32>, SqlError> {
    let mut rows = arguments.rows();
    let (table, open) = open(arguments.oid(INDEX));
    let request = request(k, seed, queries(&open)?);
    // SAFETY: both are open; a function runs under the snapshot of its query.
    let (found, exact_ms) = unsafe { measure::recall(table.rel, open.rel, request) };
    let (low, high) = found.interval;
    rows.put([
        found.recall.into_datum(),
        low.into_datum(),
        high.into_datum(),
        (found.queries as i32).into_datum(),
        found.ms.into_datum(),
        exact_ms.into_datum(),
        found.text.into_datum(),
    ]);
    Ok(None)
}

fn measure_tune(
    arguments: &Arguments,
    goal: Goal,
    queries: impl FnOnce(&OpenIndex) -> Result<QuerySource, SqlError>,
) -> Result<Option<i32>, SqlError> {
    let mut rows = arguments.rows();
    let (index, target) = (arguments.oid(INDEX), goal.target_recall);
    if !(target > 0.0 && target <= 1.0) {
        argument_out_of_range("target_recall", target, "above 0, at most 1");
    }
    let (table, open) = open(index);
    if goal.apply {
        require_may_alter(index);
    }
    let request = request(goal.k, goal.seed, queries(&open)?);
    // SAFETY: as above.
    let tuned = unsafe { measure::tune(table.rel, open.rel, target, request) };
    let settings = open.method.settings;
    drop((open, table));
    match tuned.chosen.and_then(|chosen| tuned.points.get(chosen)) {
        Some(chosen) if goal.apply => apply(index, settings, &chosen.values),
        Some(_) => (),
        None => say_missed(index, target, &tuned),
    }
    let chosen = tuned.chosen;
    for (i, (point, is_optimal)) in tuned.points.into_iter().zip(tuned.is_optimal).enumerate() {
        put_point(&mut rows, point, is_optimal, chosen == Some(i));
    }
    Ok(None)
}

fn put_point(rows: &mut RowStore, point: Measured, is_optimal: bool, is_chosen: bool) {
    let value = |wanted| {
        let found = point.values.iter().find(|(setting, _)| *setting == wanted);
        found.map(|&(_, value)| value as i32).into_datum()
    };
    let (low, high) = point.interval;
    let [nprobe, k_factor, ef_search] =
        [SearchSetting::Nprobe, SearchSetting::KFactor, SearchSetting::EfSearch].map(value);
    rows.put([
        point.text.into_datum(),
        nprobe,
        k_factor,
        ef_search,
        point.recall.into_datum(),
        low.into_datum(),
        high.into_datum(),
        (point.queries as i32).into_datum(),
        point.ms.into_datum(),
        is_optimal.into_datum(),
        is_chosen.into_datum(),
    ]);
}

/// Opens table and index if the caller may measure them.
fn open(index: pg_sys::Oid) -> (OpenTable, OpenIndex) {
    let table = OpenTable::of(index, WHY_EVERY_ROW);
    let open = OpenIndex::new(index, pg_sys::AccessShareLock);
    if !open.is_valid() {
        open.not_valid().error();
    }
    (table, open)
}

fn request(k: i32, seed: i32, queries: QuerySource) -> Request {
    if !(1..=K_MAX).contains(&k) {
        argument_out_of_range("k", k, &format!("1 to {K_MAX}"));
    }
    Request { k: k.unsigned_abs() as usize, queries, seed: u64::from(seed.unsigned_abs()) }
}

fn sample(queries: i32, exclude_self: bool) -> QuerySource {
    if !(1..=QUERIES_MAX).contains(&queries) {
        argument_out_of_range("queries", queries, &format!("1 to {QUERIES_MAX}"));
    }
    QuerySource::Sample { n: queries.unsigned_abs() as usize, exclude_self }
}

/// The vectors of an array of the index's own type. Errors: 22000 for other dimensions than the index's, 22023 for an empty
/// array, 22004 for NULL, 42804 for another type.
fn given(index: &OpenIndex, queries: pg_sys::Datum) -> Result<QuerySource, SqlError> {
    // SAFETY: an argument, declared as an array.
    let queries = unsafe { queries_of(index, queries)? };
    let class = opclass_of(index.rel);
    if class.element == ElementType::Sparse && !queries.is_empty() {
        return Ok(QuerySource::Sparse(sparse_points(index, class.metric, &queries)));
    }
    let points = match class.element {
        ElementType::F32 => points::<f32>(index, &queries),
        ElementType::F16 => points::<f16>(index, &queries),
        ElementType::Bit => points::<Bits>(index, &queries),
        ElementType::Sparse => Vec::new(),
    };
    if points.is_empty() {
        let message = "queries must not be empty";
        let hint = "Pass at least 100 vectors; without queries, rows of the table are drawn.";
        let detail = "The array has no elements.".to_owned();
        return Err(SqlError::Argument { message, detail, hint });
    }
    Ok(QuerySource::Given(points))
}

/// The queries of an index over sparse vectors.
fn sparse_points(index: &OpenIndex, metric: Metric, queries: &[pg_sys::Datum]) -> Vec<SparseQuery> {
    let dims = rel::declared_dims(index.rel).unwrap_or(0);
    let query = |datum: &pg_sys::Datum| {
        // SAFETY: a value of the type of the index's operator class.
        let vector = unsafe { SparseVarlena::from_datum(*datum) };
        if vector.dims() != dims {
            wrong_dimensions(dims, vector.dims());
        }
        SparseQuery::new(metric, vector.elements())
    };
    queries.iter().map(query).collect()
}

/// The elements of vectors, one vector after the other.
fn points<E: Column>(index: &OpenIndex, queries: &[pg_sys::Datum]) -> Vec<f32> {
    let dims = rel::declared_dims(index.rel).unwrap_or(0);
    let mut points: Vec<f32> = Vec::new();
    for &datum in queries {
        // SAFETY: a value of the type of the index's operator class, which says that its elements are E.
        let vector = unsafe { E::read(datum) };
        if vector.dims() != dims {
            wrong_dimensions(dims, vector.dims());
        }
        points.extend(E::widened(vector.elements(), dims));
    }
    points
}
