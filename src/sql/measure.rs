//! `faiss.recall` and `faiss.tune`: how good an index answers, and how to set it.

use half::f16;
use pgrx::datum::AnyArray;
use pgrx::iter::TableIterator;
use pgrx::prelude::*;
use pgrx::{PgSqlErrorCode, name, pg_sys};

use super::apply::{apply, require_may_alter, say_missed};
use super::array::FlatArray;
use super::element::SqlElement;
use super::error::SqlError;
use super::open_index::{OpenIndex, OpenTable};
use crate::am::datum::Varlena;
use crate::am::measure::{self, Measured, QuerySource, Request, SearchSetting};
use crate::am::opclass::{ElementType, opclass_of};
use crate::am::rel;
use crate::am::report::{Report, wrong_dimensions};

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

/// A row of `faiss.recall`.
type RecallRow = (
    name!(recall, f64),
    name!(recall_low, f64),
    name!(recall_high, f64),
    name!(n_queries, i32),
    name!(ms, f64),
    name!(exact_ms, f64),
    name!(settings, String),
);

/// A row of `faiss.tune`.
type TuneRow = (
    name!(settings, String),
    name!(nprobe, Option<i32>),
    name!(k_factor, Option<i32>),
    name!(ef_search, Option<i32>),
    name!(recall, f64),
    name!(recall_low, f64),
    name!(recall_high, f64),
    name!(n_queries, i32),
    name!(ms, f64),
    name!(is_optimal, bool),
    name!(is_chosen, bool),
);
/// Defines a function that returns rows of `faiss.recall`.
macro_rules! recall_function {
    ($name:ident ($($args:tt)*) $body:block) => {
        #[pg_extern(sql = false)]
        #[allow(clippy::type_complexity, reason = "a row type must stand in the signature")]
        fn $name($($args)*) -> TableIterator<'static, (
            name!(recall, f64),
            name!(recall_low, f64),
            name!(recall_high, f64),
            name!(n_queries, i32),
            name!(ms, f64),
            name!(exact_ms, f64),
            name!(settings, String),
        )> $body
    };
}

/// Defines a function that returns rows of `faiss.tune`.
macro_rules! tune_function {
    ($name:ident ($($args:tt)*) $body:block) => {
        #[pg_extern(sql = false)]
        #[allow(clippy::type_complexity, reason = "a row type must stand in the signature")]
        fn $name($($args)*) -> TableIterator<'static, (
            name!(settings, String),
            name!(nprobe, Option<i32>),
            name!(k_factor, Option<i32>),
            name!(ef_search, Option<i32>),
            name!(recall, f64),
            name!(recall_low, f64),
            name!(recall_high, f64),
            name!(n_queries, i32),
            name!(ms, f64),
            name!(is_optimal, bool),
            name!(is_chosen, bool),
        )> $body
    };
}

recall_function! {
    recall(index: pg_sys::Oid, k: i32, queries: i32, exclude_self: bool, seed: i32) {
        measure_recall(index, k, seed, |_| sample(queries, exclude_self))
    }
}

recall_function! {
    vector_recall(index: pg_sys::Oid, queries: AnyArray, k: i32) {
        measure_recall(index, k, SEED_DEFAULT, |index| given::<f32>(index, queries))
    }
}

recall_function! {
    halfvec_recall(index: pg_sys::Oid, queries: AnyArray, k: i32) {
        measure_recall(index, k, SEED_DEFAULT, |index| given::<f16>(index, queries))
    }
}

tune_function! {
    tune(
        index: pg_sys::Oid, target_recall: f64, k: i32, apply: bool, queries: i32, exclude_self: bool, seed: i32,
    ) {
        let goal = Goal { target_recall, k, apply, seed };
        measure_tune(index, goal, |_| sample(queries, exclude_self))
    }
}

tune_function! {
    vector_tune(index: pg_sys::Oid, queries: AnyArray, target_recall: f64, k: i32, apply: bool) {
        let goal = Goal { target_recall, k, apply, seed: SEED_DEFAULT };
        measure_tune(index, goal, |index| given::<f32>(index, queries))
    }
}

tune_function! {
    halfvec_tune(index: pg_sys::Oid, queries: AnyArray, target_recall: f64, k: i32, apply: bool) {
        let goal = Goal { target_recall, k, apply, seed: SEED_DEFAULT };
        measure_tune(index, goal, |index| given::<f16>(index, queries))
    }
}

/// What `faiss.tune` is asked for.
struct Goal {
    target_recall: f64,
    k: i32,
    apply: bool,
    seed: i32,
}

fn measure_recall(
    index: pg_sys::Oid,
    k: i32,
    seed: i32,
    queries: impl FnOnce(&OpenIndex) -> QuerySource,
) -> TableIterator<'static, RecallRow> {
    let (table, open) = open(index);
    let request = request(k, seed, queries(&open));
    // SAFETY: both are open; a function runs under the snapshot of its query.
    let (found, exact_ms) = unsafe { measure::recall(table.rel, open.rel, request) };
    let (low, high) = found.interval;
    let n = found.queries as i32;
    TableIterator::once((found.recall, low, high, n, found.ms, exact_ms, found.text))
}

fn measure_tune(
    index: pg_sys::Oid,
    goal: Goal,
    queries: impl FnOnce(&OpenIndex) -> QuerySource,
) -> TableIterator<'static, TuneRow> {
    let target = goal.target_recall;
    if !(target > 0.0 && target <= 1.0) {
        out_of_range("target_recall", target, "above 0, at most 1");
    }
    let (table, open) = open(index);
    if goal.apply {
        require_may_alter(index);
    }
    let request = request(goal.k, goal.seed, queries(&open));
    // SAFETY: as above.
    let tuned = unsafe { measure::tune(table.rel, open.rel, target, request) };
    drop((open, table));
    match tuned.chosen.and_then(|chosen| tuned.points.get(chosen)) {
        Some(chosen) if goal.apply => apply(index, &chosen.values),
        Some(_) => (),
        None => say_missed(index, target, &tuned),
    }
    let chosen = tuned.chosen;
    let rows = tuned.points.into_iter().zip(tuned.is_optimal).enumerate();
    TableIterator::new(
        rows.map(move |(i, (point, is_optimal))| tune_row(point, is_optimal, chosen == Some(i))),
    )
}

fn tune_row(point: Measured, is_optimal: bool, is_chosen: bool) -> TuneRow {
    let value = |wanted| {
        let found = point.values.iter().find(|(setting, _)| *setting == wanted);
        found.map(|&(_, value)| value as i32)
    };
    let (nprobe, k_factor) = (value(SearchSetting::Nprobe), value(SearchSetting::KFactor));
    let ef_search = value(SearchSetting::EfSearch);
    let (low, high) = point.interval;
    let n = point.queries as i32;
    (
        point.text,
        nprobe,
        k_factor,
        ef_search,
        point.recall,
        low,
        high,
        n,
        point.ms,
        is_optimal,
        is_chosen,
    )
}

/// Opens table and index if the caller may measure them.
fn open(index: pg_sys::Oid) -> (OpenTable, OpenIndex) {
    let table = OpenTable::of(index, WHY_EVERY_ROW);
    let open = OpenIndex::new(index, pg_sys::AccessShareLock);
    // SAFETY: an open index has its pg_index row at hand.
    if !unsafe { (*(*open.rel).rd_index).indisvalid } {
        Report::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("index \"{}\" is not valid", rel::name(open.rel)),
        )
        .detail("A CREATE INDEX CONCURRENTLY did not finish; no query uses it.")
        .hint("REINDEX it.")
        .error();
    }
    (table, open)
}

fn request(k: i32, seed: i32, queries: QuerySource) -> Request {
    if !(1..=K_MAX).contains(&k) {
        out_of_range("k", k.into(), &format!("1 to {K_MAX}"));
    }
    Request { k: k.unsigned_abs() as usize, queries, seed: u64::from(seed.unsigned_abs()) }
}

fn sample(queries: i32, exclude_self: bool) -> QuerySource {
    if !(1..=QUERIES_MAX).contains(&queries) {
        out_of_range("queries", queries.into(), &format!("1 to {QUERIES_MAX}"));
    }
    QuerySource::Sample { n: queries.unsigned_abs() as usize, exclude_self }
}

fn out_of_range(argument: &str, given: f64, range: &str) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        format!("argument {argument} is out of range: {given}"),
    )
    .detail(format!("Valid values are {range}."))
    .error()
}

/// The vectors of an array, as the index's column would hold them. Errors: 22000 for other dimensions than the index's, 22023
/// for an empty array, 22003 for a number that the column cannot hold, 22004 for NULL.
fn given<E: SqlElement>(index: &OpenIndex, queries: AnyArray) -> QuerySource {
    // SAFETY: an argument, declared as an array of the type of E.
    let array = unsafe { FlatArray::from_datum(queries.datum()) };
    let array = array.unwrap_or_else(|e| e.report());
    let dims = rel::declared_dims(index.rel).unwrap_or(0);
    let mut points: Vec<f32> = Vec::new();
    for datum in array.datums() {
        // SAFETY: an element of the array.
        let vector = unsafe { Varlena::<E>::from_datum(datum) };
        if vector.dims() != dims {
            wrong_dimensions(dims, vector.dims());
        }
        points.extend(vector.elements().iter().map(|x| x.to_f32()));
    }
    if points.is_empty() {
        let message = "queries must not be empty";
        let hint = "Pass at least 100 vectors; without queries, rows of the table are drawn.";
        let detail = "The array has no elements.".to_owned();
        SqlError::Argument { message, detail, hint }.report();
    }
    if opclass_of(index.rel).element == ElementType::F16 {
        let mut halves = vec![f16::ZERO; points.len()];
        f16::narrow(&points, &mut halves).unwrap_or_else(|e| e.report());
        f16::widen_all(&halves, &mut points);
    }
    QuerySource::Given(points)
}
