//! What is found out about lists: how many rows they have, and how well a sample of the rows fits what was trained.

use ann::assign::Assigner;
use ann::coarse::Coarse;
use ann::codec::{CodeKind, CodeLoss, Coding};
use ann::parallel;
use ann::rng::Reservoir;
use pages::Error;
use pages::lists::due::{self, Census, Due, Errors};
use pages::lists::info::{ListInfo, one_list_with, totals};
use pages::tid::Tid;
use pgrx::pg_sys;

use super::rows::TableRows;
use crate::am::fit;
use crate::am::guc;
use crate::am::insert::Placed;
use crate::am::interrupts::check_for_interrupts;
use crate::am::method::method_of;
use crate::am::pages::PgPages;
use crate::am::relation::IvfIndex;
use crate::am::report::checked;
use crate::am::value::Column;

/// Lists that are looked at; of more, as many evenly spread ones.
const LISTS: usize = 256;
/// Rows that are drawn, fewer where comparing one with all centroids takes long.
const ROWS: std::ops::RangeInclusive<usize> = 200..=2000;
/// Multiplications with centroids that may take, about a second.
const PRODUCTS: usize = 4_000_000_000;
/// Rows that are asked whether they are younger than the build.
pub const ROWS_ASKED: usize = 200;

/// What is known of the lists of an index.
#[derive(Default)]
pub struct Findings {
    pub census: Census,
    /// Whether the access method has more than one list.
    pub has_lists: bool,
    /// Rows that were held against what was trained.
    pub sampled_rows: usize,
    pub errors: Errors,
    /// Why the lists should be built anew, if they should.
    pub due: Option<Due>,
}

/// Which rows of the table are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// None: the caller may not see all of them.
    AtLists,
    /// As many as it takes to decide.
    Decide,
    /// A sample in any case.
    Measure,
}

/// Looks at the lists, and at rows of the table.
pub fn examine<E: Column>(
    index: pg_sys::Relation,
    pages: &PgPages,
    ivf: &IvfIndex,
    rows: &mut TableRows,
    look: Look,
) -> Findings {
    let meta = &ivf.meta;
    let has_lists = method_of(index).is_some_and(|method| method.has_lists);
    let (census, sample) = checked(index, count(pages, ivf));
    let mut due = due::by_census(meta, &census, has_lists, guc::training_rows());
    let mut findings = Findings { census, has_lists, ..Findings::default() };
    findings.due = due;
    if look == Look::AtLists {
        return findings;
    }
    let is_small = census.rows < guc::training_rows();
    if look == Look::Decide && (due.is_some() || is_small) {
        return findings;
    }
    let young = young(meta.builds.built_xid, &sample, rows);
    let cannot = young.is_some_and(|share| share < due::YOUNG_MIN);
    findings.errors.young = young;
    if meta.is_trained() && (look == Look::Measure || !cannot) {
        let points = points::<E>(ivf, sample, rows);
        findings.sampled_rows = points.len() / meta.dims();
        let errors = checked(index, errors_of::<E>(pages, ivf, &points));
        let is_rabitq = meta.code().is_some_and(|c| matches!(c.kind, CodeKind::RaBitQ { .. }));
        findings.errors.coarse = errors.coarse.value().filter(|_| has_lists || is_rabitq);
        findings.errors.code = errors.code.value();
        due = due.or_else(|| {
            due::by_sample(meta, &findings.census, &findings.errors).filter(|_| !is_small)
        });
    }
    findings.due = due;
    findings
}

/// Counts the rows of lists that speak for all, and draws some of them.
fn count(pages: &PgPages, ivf: &IvfIndex) -> Result<(Census, Vec<Tid>), Error> {
    let (meta, nlist) = (&ivf.meta, ivf.meta.nlist());
    let per_row = nlist * meta.dims();
    let n_rows = (PRODUCTS / per_row.max(1)).clamp(*ROWS.start(), *ROWS.end());
    let mut reservoir = Reservoir::new(n_rows, meta.seed);
    let mut sample = Vec::new();
    let mut draw = |tid| match reservoir.offer() {
        Some(slot) if slot == sample.len() => sample.push(tid),
        Some(slot) => sample.iter_mut().skip(slot).take(1).for_each(|place| *place = tid),
        None => {}
    };
    let n_lists = nlist.min(LISTS);
    let one = |i: usize| {
        pages::store::Pages::check_interrupts(pages);
        one_list_with(pages, &meta.lists, (i * nlist / n_lists) as u32, &mut draw)
    };
    let lists = (0..n_lists).map(one).collect::<Result<Vec<ListInfo>, Error>>()?;
    let totals = totals(&lists);
    let scaled = |n: u64| (n as f64 * nlist as f64 / n_lists as f64).round() as u64;
    let census = Census {
        rows: scaled(totals.ntotal),
        free: scaled(totals.ndead),
        slots: scaled(totals.slots),
        imbalance_factor: totals.imbalance_factor,
    };
    Ok((census, sample))
}

/// The share of rows that are younger than the transaction `built_xid`, by the first of the sample; None where that is not
/// known.
pub fn young(built_xid: u64, sample: &[Tid], rows: &mut TableRows) -> Option<f64> {
    if built_xid == 0 {
        return None;
    }
    let (mut n, mut n_young) = (0_u32, 0_u32);
    for tid in sample.iter().take(ROWS_ASKED) {
        let mut is_there = false;
        rows.value_live(*tid, &mut |_| is_there = true);
        if let Some(is_younger) = rows.is_younger(built_xid).filter(|_| is_there) {
            (n, n_young) = (n + 1, n_young + u32::from(is_younger));
        }
    }
    (n > 0).then(|| f64::from(n_young) / f64::from(n))
}

/// The vectors of the sample.
fn points<E: Column>(ivf: &IvfIndex, mut sample: Vec<Tid>, rows: &mut TableRows) -> Vec<f32> {
    let (metric, dims) = (ivf.meta.metric(), ivf.meta.dims());
    let mut points = Vec::new();
    sample.sort_unstable();
    for tid in sample {
        rows.fetch_live::<E>(tid, |elements| {
            if Placed::new(metric, elements).is_some() {
                points.extend(E::widened(elements, dims));
            }
        });
        check_for_interrupts();
    }
    points
}

/// Assigns and codes rows as the index would.
fn errors_of<E: Column>(
    pages: &PgPages,
    ivf: &IvfIndex,
    points: &[f32],
) -> Result<fit::Errors, Error> {
    let Some(quantizer) = &ivf.quantizer else { return Ok(fit::Errors::default()) };
    let (metric, dims) = (ivf.meta.metric(), ivf.meta.dims());
    let centroids = quantizer.centroids(pages)?;
    let coarse = Coarse { metric, dims, centroids: &centroids };
    let transform = ivf.transform();
    let mut loss = ivf
        .code
        .as_ref()
        .and_then(|code| CodeLoss::new(code.params.kind, dims, code.codec.params()));
    let measured = parallel::run(
        guc::build_threads(),
        |_job| check_for_interrupts(),
        |job| {
            let points = transform.apply_batch(points, dims, job);
            let n = points.len() / dims;
            let (mut list_nos, mut distances) = (vec![0; n], vec![0.0; n]);
            Assigner::new(coarse).assign(&points, &mut list_nos, &mut distances, job);
            let mut errors = fit::Errors::against_centroids(&coarse, &points, &distances);
            if let Some(loss) = &mut loss {
                errors.add_codes(loss, &coarse, &points, &list_nos, 0..n);
            }
            errors
        },
    );
    measured.map_err(|e| Error::Workers(e.to_string()))
}
