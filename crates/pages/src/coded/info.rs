//! What `faiss.list_info` shows of a coded index.

use ann::codec::LANES;

use crate::coded::slots::run_of;
use crate::coded::vacuum::runs_of;
use crate::error::Error;
use crate::ivf::info::ListInfo;
use crate::meta::Meta;
use crate::store::Pages;

/// A row per list, read under one share lock at a time. `ndead` counts the lanes without a row before the last one with a
/// row; pages of the packed area that several lists share count for each of them.
pub fn list_info<P: Pages>(pages: &P, meta: &Meta) -> Result<Vec<ListInfo>, Error> {
    let one = |list_no| {
        pages.breathe();
        one_list(pages, meta, list_no)
    };
    (0..meta.nlist as u32).map(one).collect()
}

/// One list of them.
pub fn one_list<P: Pages>(pages: &P, meta: &Meta, list_no: u32) -> Result<ListInfo, Error> {
    let runs = runs_of(pages, meta, list_no)?;
    let radius = Some(runs.entry.radius).filter(|radius| radius.is_finite());
    let mut info = ListInfo { list_no, ntotal: 0, ndead: 0, pages: 0, radius };
    let vectors = meta.coded.and_then(|coded| coded.layout.vectors);
    runs.each(|run, _| {
        // Free lanes since the last row.
        let mut free = 0;
        let mut slots = 0u64;
        run_of(pages, &runs.coded, run, &mut |_| false, |block| {
            if block.live > 0 {
                info.ndead += free + block.holes;
                free = 0;
                slots += LANES as u64;
            }
            info.ntotal += block.live;
            free += block.free - block.holes * u64::from(block.live > 0);
        })?;
        info.pages += run.page_range().len() as u64;
        if let Some(g) = vectors {
            info.pages += slots.div_ceil(g.block_vectors as u64) * g.block_pages as u64;
        }
        Ok(())
    })?;
    Ok(info)
}
