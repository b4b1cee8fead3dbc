//! `faiss.recall_curve`, and how `faiss.index_info` shows what a scan chooses by it.

use ann::tuning::Curve;
use ann::tuning::curve::{RECALLS, ROWS};
use pgrx::iter::TableIterator;
use pgrx::prelude::*;
use pgrx::{name, pg_sys};

use super::open_index::OpenIndex;
use crate::am::measure;
use crate::am::relation::{Index, cached_index};

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity, reason = "a row type must stand in the signature")]
fn recall_curve(
    index: pg_sys::Oid,
) -> TableIterator<
    'static,
    (
        name!(k, i32),
        name!(recall, f64),
        name!(nprobe, Option<i32>),
        name!(k_factor, Option<f32>),
        name!(efsearch, Option<i32>),
    ),
> {
    let Some(open) = OpenIndex::look(index, pg_sys::AccessShareLock) else {
        return TableIterator::empty();
    };
    if !open.is_built() {
        open.not_valid().notice();
        return TableIterator::empty();
    }
    let (curve, kind) = match cached_index(open.rel, &open.pages()) {
        Index::Lists(ivf) => (
            ivf.meta.curve,
            Kind::Lists { has_lists: open.method.has_lists, is_coded: ivf.code.is_some() },
        ),
        Index::Graph(graph) => (graph.meta.measured.curve, Kind::Graph),
    };
    TableIterator::new(points(curve, kind))
}

/// Which of the numbers of a curve mean something.
#[derive(Clone, Copy)]
enum Kind {
    Lists { has_lists: bool, is_coded: bool },
    Graph,
}

/// k, recall, nprobe, k_factor, efSearch.
type Row = (i32, f64, Option<i32>, Option<f32>, Option<i32>);

/// The recalls that were reached; none where nothing was measured.
fn points(curve: Curve, kind: Kind) -> impl Iterator<Item = Row> {
    let measured = curve.rows.into_iter().zip(ROWS).take(if curve.is_measured() { 3 } else { 0 });
    measured.flat_map(move |(efforts, k)| {
        let reached = efforts.efforts.into_iter().zip(RECALLS).take(efforts.reached.into());
        reached.map(move |(effort, recall)| {
            let (width, k_factor) = (effort.width as i32, effort.k_factor);
            let (nprobe, k_factor, ef_search) = match kind {
                Kind::Graph => (None, None, Some(width)),
                Kind::Lists { has_lists, is_coded } => {
                    (has_lists.then_some(width), is_coded.then_some(k_factor), None)
                }
            };
            (k as i32, recall, nprobe, k_factor, ef_search)
        })
    })
}

/// The settings that a scan for ten rows would use now, as `nprobe=16,k_factor=4`; None where there is nothing to set.
pub fn settings_now(open: &OpenIndex) -> Option<String> {
    let text = measure::settings_now(open.rel, ROWS_SHOWN);
    (!text.is_empty()).then_some(text)
}

/// The rows of a usual query.
const ROWS_SHOWN: usize = 10;
