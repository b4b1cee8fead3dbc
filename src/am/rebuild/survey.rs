//! What VACUUM finds out about lists: how many rows each has, and how well a sample of the rows fits what was trained.

use ann::assign::Assigner;
use ann::coarse::Coarse;
use ann::codec::{CodeLoss, Coding};
use ann::parallel;
use ann::rng::Reservoir;
use pages::Error;
use pages::lists::due::{Census, Errors};
use pages::lists::vacuum;
use pages::tid::Tid;

use super::rows::TableRows;
use crate::am::fit::{self, imbalance_factor};
use crate::am::guc;
use crate::am::insert::Placed;
use crate::am::interrupts::check_for_interrupts;
use crate::am::pages::PgPages;
use crate::am::relation::IvfIndex;
use crate::am::value::Column;

/// Rows that are held against centroids and codes: enough for a mean within some percent.
const ROWS: usize = 2000;
/// Rows that are asked first whether they are younger than the build.
const ROWS_ASKED: usize = 200;

/// The rows of an index, counted, and some of them.
pub struct Survey {
    pub census: Census,
    sample: Vec<Tid>,
}

impl Survey {
    /// Goes over the lists once.
    pub fn of(pages: &PgPages, ivf: &IvfIndex) -> Result<Self, Error> {
        let lists = &ivf.meta.lists;
        let mut sizes = vec![0_u64; lists.nlist];
        let mut reservoir = Reservoir::new(ROWS, ivf.meta.seed);
        let mut sample: Vec<Tid> = Vec::new();
        vacuum::for_each_tid(pages, lists, |list_no, tid| {
            if let Some(size) = sizes.get_mut(list_no as usize) {
                *size += 1;
            }
            match reservoir.offer() {
                Some(slot) if slot == sample.len() => sample.push(tid),
                Some(slot) => {
                    if let Some(place) = sample.get_mut(slot) {
                        *place = tid;
                    }
                }
                None => {}
            }
        })?;
        let stats = vacuum::stats(pages, lists)?;
        let census = Census {
            rows: stats.live,
            free: stats.free_slots,
            imbalance_factor: imbalance_factor(&sizes),
        };
        Ok(Self { census, sample })
    }

    /// Holds the sample against what was trained, if enough of it is new.
    pub fn errors<E: Column>(
        &self,
        pages: &PgPages,
        ivf: &IvfIndex,
        rows: &mut TableRows,
        has_centroids: bool,
    ) -> Result<Errors, Error> {
        let Some(quantizer) = &ivf.quantizer else { return Ok(Errors::default()) };
        let young = self.young::<E>(ivf.meta.builds.built_xid, rows);
        if young.is_some_and(|share| share < pages::lists::due::YOUNG_MIN) {
            return Ok(Errors { young, ..Errors::default() });
        }
        let (metric, dims) = (ivf.meta.metric(), ivf.meta.dims());
        let mut points = Vec::new();
        let mut tids = self.sample.clone();
        tids.sort_unstable();
        for tid in tids {
            rows.fetch::<E>(tid, |elements| {
                if Placed::new(metric, elements).is_some() {
                    points.extend(E::widened(elements, dims));
                }
            });
            check_for_interrupts();
        }
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
                let points = transform.apply_batch(&points, dims, job);
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
        // Without threads there is no answer now; a later VACUUM asks again.
        let Ok(errors) = measured else { return Ok(Errors::default()) };
        let coarse = errors.coarse.value().filter(|_| has_centroids);
        Ok(Errors { young, coarse, code: errors.code.value() })
    }

    /// The share of rows that are younger than the build, by the first of the sample.
    fn young<E: Column>(&self, built_xid: u64, rows: &mut TableRows) -> Option<f64> {
        if built_xid == 0 {
            return None;
        }
        let (mut n, mut n_young) = (0_u32, 0_u32);
        for tid in self.sample.iter().take(ROWS_ASKED) {
            let mut is_there = false;
            rows.fetch::<E>(*tid, |_| is_there = true);
            if let Some(is_younger) = rows.is_younger(built_xid).filter(|_| is_there) {
                (n, n_young) = (n + 1, n_young + u32::from(is_younger));
            }
        }
        (n > 0).then(|| f64::from(n_young) / f64::from(n))
    }
}
