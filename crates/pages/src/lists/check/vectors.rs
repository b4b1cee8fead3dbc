//! What is wrong with the exact vectors of rows, by their heads and their list's centroid.

use ann::element::{Bits, Element};
use ann::extent;
use ann::kernels::{dot, l2_sqr, norm_sqr};
use ann::metric::Metric;

use crate::error::Error;
use crate::lists::heads::Heads;
use crate::lists::locate::ListVectors;
use crate::lists::{InvertedLists, ListsParams};
use crate::page::Blkno;
use crate::search::exact::{Locate, StoredRows};
use crate::store::Pages;
use crate::tid::Tid;

/// Coarse distances come from a blocked product or from the canonical kernel; relative to the
/// squared norms they agree within this.
const RADIUS_SLACK: f32 = 1e-3;
/// Relative difference of squared norms computed on different CPUs.
const NORM_SLACK: f32 = 1e-5;

/// A row: its tid, and its slot among the heads.
type Row = (Tid, usize);

/// What is wrong with the vectors of rows, each with the block that says so.
pub fn problems<E: Element, P: Pages>(
    pages: &P,
    lists: &InvertedLists,
    heads: &Heads,
    rows: &[Row],
    centroid: &[f32],
    radius: f32,
) -> Result<Vec<(Blkno, String)>, Error> {
    let mut found = Vec::new();
    let stored = StoredRows::at(pages, ListVectors::of(lists), ())?;
    let at = |row: &Row| heads.place(row.1);
    stored.visit(rows, at, |i, vector: &[E]| {
        let Some(row) = rows.get(i) else { return };
        found
            .extend(problem(lists, heads, *row, vector, centroid, radius).map(|what| (*row, what)));
    })?;
    let Some(places) = ListVectors::of(lists) else { return Ok(Vec::new()) };
    let located = found
        .into_iter()
        .map(|((_, slot), what)| Ok((places.locate(pages, heads.place(slot), 0)?.blkno, what)));
    located.collect()
}

/// Nothing, if every row has a vector.
pub fn are_there<P: Pages>(
    pages: &P,
    lists: &InvertedLists,
    heads: &Heads,
    rows: &[Row],
) -> Result<Vec<(Blkno, String)>, Error> {
    let stored = StoredRows::at(pages, ListVectors::of(lists), ())?;
    stored.visit(rows, |row| heads.place(row.1), |_, _: &[u8]| {})?;
    Ok(Vec::new())
}

/// What is wrong with the vector of a row.
fn problem<E: Element>(
    lists: &InvertedLists,
    heads: &Heads,
    (tid, slot): Row,
    vector: &[E],
    centroid: &[f32],
    radius: f32,
) -> Option<String> {
    if !E::is_finite(vector) {
        return Some(format!("vector of tid {tid} is not finite"));
    }
    let ListsParams { metric, dims, code, .. } = lists.params;
    if code.is_some() {
        return None;
    }
    if E::TAG == Bits::TAG && E::pack(&E::widened(vector, dims)) != vector {
        return Some(format!("vector of tid {tid} has bits beyond its last"));
    }
    let norm = E::norm_sqr(vector);
    // Not bit for bit: a CPU without fused multiply-add rounds differently.
    let stored = heads.norm(slot);
    let is_same = stored == norm || (stored - norm).abs() <= NORM_SLACK * norm;
    if metric.has_norms() && !is_same {
        return Some(format!("norm of tid {tid} is not that of its vector"));
    }
    if centroid.is_empty() {
        return None;
    }
    let wide = E::widened(vector, dims);
    // As the coarse quantizer takes it.
    let point = extent::shortened(&wide);
    let distance = match metric {
        Metric::L2 | Metric::L1 | Metric::Hamming | Metric::Jaccard => l2_sqr(centroid, &point),
        Metric::InnerProduct => -dot(centroid, &point),
        Metric::Cosine => extent::of_unit(-dot(centroid, &point), norm),
    };
    let slack = RADIUS_SLACK * (norm_sqr(&point) + norm_sqr(centroid));
    let is_outside = slack.is_finite() && distance > radius + slack;
    is_outside.then(|| format!("tid {tid} is farther from the centroid than the radius"))
}
