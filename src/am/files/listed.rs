//! Which rows are in which list of an index. All that exports need of the pages of lists is here.

use pages::Error;
use pages::coded;
use pages::ivf::list::{ListCopy, ListPages};
use pages::store::Pages;
use pages::tid::Tid;

use crate::am::pages::PgPages;
use crate::am::relation::IvfIndex;

/// Calls `each` with the list and the tid of every row, list by list in the order of their numbers. Every row that the caller's
/// snapshot sees comes once; others may come, too. No lock is held meanwhile.
pub fn for_each_row(
    pages: &PgPages,
    ivf: &IvfIndex,
    mut each: impl FnMut(u32, Tid),
) -> Result<(), Error> {
    if ivf.meta.coded.is_some() {
        return coded::vacuum::for_each_row(pages, &ivf.meta, each);
    }
    let mut list = ListCopy::default();
    for list_no in 0..ivf.meta.nlist as u32 {
        let mut list_pages = ListPages::new(pages, &ivf.meta, list_no)?;
        while list_pages.next(&mut list)? {
            list.slots.tids().filter(|tid| !tid.is_free()).for_each(|tid| each(list_no, tid));
            pages.breathe();
        }
    }
    Ok(())
}
