//! What only a server can show of the store over shared buffers.

use pages::page::{INVALID_BLKNO, NO_OWNER, PageKind};
use pages::store::Pages;
use pgrx::{pg_sys, pg_test};

use super::PgPages;
use crate::am::testing::{run, with_index};

/// The free space map is not crash safe: what it offers may be in use, or no page of ours.
#[pg_test]
fn pgtest_only_reusable_pages_are_recycled() {
    run(
        "CREATE TABLE recycled (v vector(2)); CREATE INDEX recycled_v ON recycled USING faissivf (v)",
    );
    with_index("recycled_v", |index| {
        // SAFETY: the index is open while this runs.
        let pages = unsafe { PgPages::new(index) };
        let states: [fn(&mut pages::Page); 4] = [
            |page| page.init(PageKind::Free, 7),
            |page| page.init(PageKind::Overflow, 7),
            // No header, and yet not new.
            |page| page.bytes_mut()[5000] = 1,
            |page| page.init(PageKind::Free, NO_OWNER),
        ];
        let made = states.map(|state| {
            let mut page = pages.allocate().ok()?;
            let blkno = pages.blkno(&page);
            let edited = pages.edit(&mut [&mut page], |images| {
                images.iter_mut().for_each(|image| state(image));
                Ok(())
            });
            edited.ok().map(|()| blkno)
        });
        let made: Vec<_> = made.into_iter().flatten().collect();
        assert_eq!(made.len(), states.len());
        made.iter().for_each(|&blkno| pages.release(blkno));
        // SAFETY: the index is open.
        unsafe { pg_sys::IndexFreeSpaceMapVacuum(index) };
        let n_blocks = pages.n_blocks().unwrap_or(INVALID_BLKNO);
        let taken: Vec<_> =
            (0..2).filter_map(|_| pages.allocate().ok().map(|page| pages.blkno(&page))).collect();
        assert_eq!(taken, [made[3], n_blocks], "the freed page, then a new one");
    });
}
