//! `faiss.health`: whether an index still fits its table, and what to do if not.

use ann::assign::Assigner;
use ann::coarse::Coarse;
use ann::codec::{CodeKind, CodeLoss, Coding};
use ann::element::Bits;
use ann::parallel;
use half::f16;
use pages::lists::info::{self, ListInfo};
use pages::lists::meta::Meta;
use pgrx::iter::TableIterator;
use pgrx::prelude::*;
use pgrx::{PgSqlErrorCode, name, pg_sys};

use super::sample::{Sample, sample};
use super::verdict::{Findings, verdict};
use crate::am::fit::Errors;
use crate::am::guc;
use crate::am::interrupts::check_for_interrupts;
use crate::am::opclass::{ElementType, opclass_of};
use crate::am::options::options_of;
use crate::am::pages::PgPages;
use crate::am::rel;
use crate::am::relation::{IvfIndex, ivf_index};
use crate::am::report::{Report, checked};
use crate::sql::open_index::{NOT_VALID, NOT_VALID_REMEDY, OpenIndex};

/// Lists that are looked at; of more, as many evenly spread ones.
const LISTS: usize = 256;
/// Rows that are drawn, fewer where comparing one with all centroids takes long.
const ROWS: std::ops::RangeInclusive<usize> = 200..=2000;
/// Multiplications with centroids that a call may take, about a second.
const PRODUCTS: usize = 4_000_000_000;

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
    bool,
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
        name!(sampled_new_rows, bool),
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
    let findings = examine(&open, &pages, &ivf);
    let (retrain, advice) = verdict(&findings);
    let known = |x: f32| (x > 0.0).then_some(f64::from(x));
    let fit = &ivf.meta.fit;
    TableIterator::once((
        retrain,
        advice,
        findings.ntotal as i64,
        ivf.meta.build_rows as i64,
        findings.growth(),
        findings.dead_share(),
        findings.imbalance_factor,
        known(fit.imbalance_factor),
        findings.errors.coarse.value().filter(|_| findings.has_centroids),
        known(fit.coarse_error).filter(|_| findings.has_centroids),
        findings.errors.code.value(),
        known(fit.code_error),
        findings.sampled_rows as i64,
        findings.is_young,
    ))
}

/// Nothing is known of an index that no query uses.
fn not_valid() -> Row {
    let advice = format!("The index is not valid. {NOT_VALID} {NOT_VALID_REMEDY}");
    let no = None;
    (false, advice, 0, 0, no, 0.0, no, no, no, no, no, no, 0, false)
}

/// A graph takes every row in where it belongs; only what is dead wears it out.
fn graph(open: &OpenIndex) -> Row {
    // SAFETY: an open relation. Negative: never counted.
    let ntotal = f64::from(unsafe { (*(*open.rel).rd_rel).reltuples }.max(0.0));
    let advice = "A graph grows with its table and is not trained anew.".to_owned();
    let no = None;
    (false, advice, ntotal as i64, 0, no, 0.0, no, no, no, no, no, no, 0, false)
}

fn examine(open: &OpenIndex, pages: &PgPages, ivf: &IvfIndex) -> Findings {
    let meta = &ivf.meta;
    let lists = some_lists(open, pages, meta);
    let totals = info::totals(&lists);
    let scale = meta.nlist() as f64 / lists.len().max(1) as f64;
    let drawn = draw(open, meta);
    let is_rabitq = meta.code().is_some_and(|code| matches!(code.kind, CodeKind::RaBitQ { .. }));
    let dims = meta.dims();
    let has_lists = meta.is_trained() && open.method.has_lists;
    Findings {
        index: rel::qualified_name(open.rel),
        model: meta.model.map(|name| name.to_string()),
        next_model: options_of(open.rel)
            .model
            .filter(|name| meta.model != Some(*name))
            .map(|name| name.to_string()),
        is_trained: meta.is_trained(),
        has_lists,
        has_nothing_to_train: open.has_nothing_to_train(),
        nlist: meta.nlist() as u64,
        trained_rows: meta.trained_rows,
        build_rows: meta.build_rows,
        fit: meta.fit,
        ntotal: (totals.ntotal as f64 * scale).round() as u64,
        ndead: (totals.ndead as f64 * scale).round() as u64,
        imbalance_factor: (has_lists && totals.ntotal > 0).then_some(totals.imbalance_factor),
        sampled_rows: drawn.as_ref().map_or(0, |s| s.points.len() / dims),
        is_young: drawn.as_ref().is_some_and(|s| s.is_young),
        errors: drawn
            .map_or_else(Errors::default, |sample| errors_of(open, pages, ivf, sample.points)),
        has_centroids: has_lists || is_rabitq,
    }
}

/// The lists that speak for all.
fn some_lists(open: &OpenIndex, pages: &PgPages, meta: &Meta) -> Vec<ListInfo> {
    let n = meta.nlist().min(LISTS);
    let one = |i: usize| {
        let list_no = (i * meta.nlist() / n) as u32;
        checked(open.rel, info::one_list(pages, &meta.lists, list_no))
    };
    (0..n).map(one).collect()
}

/// None of an untrained index: there is nothing to hold rows against.
fn draw(open: &OpenIndex, meta: &Meta) -> Option<Sample> {
    if !meta.is_trained() {
        return None;
    }
    let per_row = meta.nlist() * meta.dims();
    let n = (PRODUCTS / per_row.max(1)).clamp(*ROWS.start(), *ROWS.end());
    let (of, blocks) = ((meta.metric(), meta.dims()), meta.fit.table_blocks);
    Some(match opclass_of(open.rel).element {
        ElementType::F32 => sample::<f32>(open.rel, of, blocks, n),
        ElementType::F16 => sample::<f16>(open.rel, of, blocks, n),
        ElementType::Bit => sample::<Bits>(open.rel, of, blocks, n),
    })
}

/// Assigns and codes the rows as the index would.
fn errors_of(open: &OpenIndex, pages: &PgPages, ivf: &IvfIndex, points: Vec<f32>) -> Errors {
    let Some(quantizer) = &ivf.quantizer else { return Errors::default() };
    let centroids = checked(open.rel, quantizer.centroids(pages));
    let (metric, dims) = (ivf.meta.metric(), ivf.meta.dims());
    let coarse = Coarse { metric, dims, centroids: &centroids };
    let transform = ivf.transform();
    let mut loss = ivf
        .code
        .as_ref()
        .and_then(|code| CodeLoss::new(code.params.kind, dims, code.codec.params()));
    let done = parallel::run(
        guc::build_threads(),
        |_job| check_for_interrupts(),
        |job| {
            let points = transform.apply_batch(&points, dims, job);
            let n = points.len() / dims;
            let (mut list_nos, mut distances) = (vec![0; n], vec![0.0; n]);
            Assigner::new(coarse).assign(&points, &mut list_nos, &mut distances, job);
            let mut errors = Errors::against_centroids(&coarse, &points, &distances);
            if let Some(loss) = &mut loss {
                errors.add_codes(loss, &coarse, &points, &list_nos, 0..n);
            }
            errors
        },
    );
    done.unwrap_or_else(|e| {
        Report::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES,
            format!("could not compare rows with the index: {e}"),
        )
        .error()
    })
}
