//! `faiss.health`: whether an index still fits its table, and what to do if not.

use ann::element::Bits;
use half::f16;
use pages::lists::meta::Meta;
use pgrx::iter::TableIterator;
use pgrx::prelude::*;
use pgrx::{name, pg_sys};

use super::verdict::{State, verdict};
use crate::am::guc;
use crate::am::opclass::{ElementType, opclass_of};
use crate::am::options::options_of;
use crate::am::pages::PgPages;
use crate::am::rebuild::{Findings, Look, TableRows, examine, with_rights};
use crate::am::rel;
use crate::am::relation::{IvfIndex, ivf_index};
use crate::am::value::Column;
use crate::sql::open_index::{NOT_VALID, NOT_VALID_REMEDY, OpenIndex, OpenTable};

/// A row of the function.
type Row = (
    bool,
    String,
    i64,
    i64,
    Option<f64>,
    f64,
    Option<f64>,
    Option<f64>,
    Option<f64>,
    Option<f64>,
    Option<f64>,
    Option<f64>,
    i64,
    Option<f64>,
);

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity, reason = "a row type must stand in the signature")]
fn health(
    index: pg_sys::Oid,
) -> TableIterator<
    'static,
    (
        name!(retrain, bool),
        name!(advice, String),
        name!(ntotal, i64),
        name!(build_rows, i64),
        name!(growth, Option<f64>),
        name!(dead_share, f64),
        name!(imbalance_factor, Option<f64>),
        name!(imbalance_at_build, Option<f64>),
        name!(coarse_error, Option<f64>),
        name!(coarse_error_at_build, Option<f64>),
        name!(code_error, Option<f64>),
        name!(code_error_at_build, Option<f64>),
        name!(sampled_rows, i64),
        name!(new_share, Option<f64>),
    ),
> {
    let Some(open) = OpenIndex::look(index, pg_sys::AccessShareLock) else {
        return TableIterator::empty();
    };
    if !open.is_valid() {
        return TableIterator::once(not_valid());
    }
    if open.method.is_graph {
        return TableIterator::once(graph(&open));
    }
    let pages = open.pages();
    let ivf = ivf_index(open.rel, &pages);
    let table = OpenTable::of_index(&open);
    let findings = with_rights(table.rel, open.rel, || match opclass_of(open.rel).element {
        ElementType::F32 => examined::<f32>(&open, &table, &pages, &ivf),
        ElementType::F16 => examined::<f16>(&open, &table, &pages, &ivf),
        ElementType::Bit => examined::<Bits>(&open, &table, &pages, &ivf),
        // Only graphs are over sparse vectors, and were answered above.
        ElementType::Sparse => examined::<f32>(&open, &table, &pages, &ivf),
    });
    let (retrain, advice) = verdict(&state(&open, &table, &ivf.meta, &findings));
    let known = |x: f32| (x > 0.0).then_some(f64::from(x));
    let (fit, census, errors) = (&ivf.meta.fit, &findings.census, &findings.errors);
    let has_lists = findings.has_lists && ivf.meta.is_trained();
    let growth = (ivf.meta.build_rows > 0).then(|| census.rows as f64 / ivf.meta.build_rows as f64);
    TableIterator::once((
        retrain,
        advice,
        census.rows as i64,
        ivf.meta.build_rows as i64,
        growth,
        census.free as f64 / (census.rows + census.free).max(1) as f64,
        (has_lists && census.rows > 0).then_some(census.imbalance_factor),
        known(fit.imbalance_factor),
        errors.coarse,
        known(fit.coarse_error).filter(|_| errors.coarse.is_some()),
        errors.code,
        known(fit.code_error),
        findings.sampled_rows as i64,
        errors.young,
    ))
}

/// Nothing is known of an index that no query uses.
fn not_valid() -> Row {
    let advice = format!("The index is not valid. {NOT_VALID} {NOT_VALID_REMEDY}");
    let no = None;
    (false, advice, 0, 0, no, 0.0, no, no, no, no, no, no, 0, no)
}

/// A graph takes every row in where it belongs; only what is dead wears it out.
fn graph(open: &OpenIndex) -> Row {
    // SAFETY: an open relation. Negative: never counted.
    let ntotal = f64::from(unsafe { (*(*open.rel).rd_rel).reltuples }.max(0.0));
    let advice = "A graph grows with its table and is not trained anew.".to_owned();
    let no = None;
    (false, advice, ntotal as i64, 0, no, 0.0, no, no, no, no, no, no, 0, no)
}

fn examined<E: Column>(
    open: &OpenIndex,
    table: &OpenTable,
    pages: &PgPages,
    ivf: &IvfIndex,
) -> Findings {
    // SAFETY: both stay open as long as the rows.
    let mut rows = unsafe { TableRows::new(table.rel, open.rel, ivf.meta.dims()) };
    let look = if table.has_policies() { Look::AtLists } else { Look::Measure };
    examine::<E>(open.rel, pages, ivf, &mut rows, look)
}

/// What the verdict goes by.
fn state(open: &OpenIndex, table: &OpenTable, meta: &Meta, findings: &Findings) -> State {
    let next_model = options_of(open.rel).model.filter(|name| meta.model != Some(*name));
    State {
        index: rel::qualified_name(open.rel),
        table: rel::qualified_name(table.rel),
        model: meta.model.map(|name| name.to_string()),
        next_model: next_model.map(|name| name.to_string()),
        is_trained: meta.is_trained(),
        has_nothing_to_train: open.has_nothing_to_train(),
        training_rows: guc::training_rows(),
        due: findings.due,
    }
}
