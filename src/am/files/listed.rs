//! Which rows are in which list of an index. All that exports need of the pages of lists is here.

use pages::Error;
use pages::lists;
use pages::tid::Tid;

use crate::am::pages::PgPages;
use crate::am::relation::IvfIndex;

/// Calls `each` with the list and the tid of every row, list by list in the order of their numbers. Every row that the caller's
/// snapshot sees comes once; others may come, too. No lock is held meanwhile.
pub fn for_each_row(
    pages: &PgPages,
    ivf: &IvfIndex,
    each: impl FnMut(u32, Tid),
) -> Result<(), Error> {
    lists::vacuum::for_each_tid(pages, &ivf.meta.lists, each)
}

/// The centroids, one after the other; none when untrained.
pub fn centroids(pages: &PgPages, ivf: &IvfIndex) -> Result<Vec<f32>, Error> {
    ivf.quantizer.as_ref().map_or(Ok(Vec::new()), |quantizer| quantizer.centroids(pages))
}
