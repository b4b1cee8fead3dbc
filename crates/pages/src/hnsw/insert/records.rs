//! Records of the levels above 0.

use super::ROUNDS_MAX;
use crate::error::Error;
use crate::hnsw::View;
use crate::hnsw::entry::Entry;
use crate::hnsw::links::UpperAt;
use crate::hnsw::upper::{self, Record, Upper};
use crate::page::{Blkno, INVALID_BLKNO};
use crate::store::Pages;

/// Writes a record for each level of a node above 0, from the highest down, and returns where that of level 1 is. The node
/// is not yet there: a crash leaks the records. `ids(level)`: its links.
pub(super) fn put_all<P: Pages>(
    pages: &P,
    view: &View<'_>,
    node: u32,
    level: u8,
    ids: impl Fn(usize) -> Vec<u32>,
) -> Result<UpperAt, Error> {
    let mut next = UpperAt::NONE;
    for level in (1..=level).rev() {
        let ids = ids(usize::from(level));
        next = put(pages, view, &Record { node, level, n: ids.len(), next }, &ids)?;
    }
    Ok(next)
}

/// Puts one record where there is room: on pages that VACUUM freed records of, on the newest page, on a new one. Locks one
/// UPPER page, or ENTRY and a new page.
fn put<P: Pages>(
    pages: &P,
    view: &View<'_>,
    record: &Record,
    ids: &[u32],
) -> Result<UpperAt, Error> {
    for _ in 0..ROUNDS_MAX {
        let entry = Entry::read(pages, view.meta)?;
        if entry.upper_room != INVALID_BLKNO {
            let (at, prev) = put_on(pages, view, entry.upper_room, record, ids)?;
            if let Some(at) = at {
                return Ok(at);
            }
            Entry::change(pages, view.meta, |now| match now.upper_room == entry.upper_room {
                true => Entry { upper_room: prev, ..now },
                false => now,
            })?;
            continue;
        }
        if entry.upper_last != INVALID_BLKNO
            && let (Some(at), _) = put_on(pages, view, entry.upper_last, record, ids)?
        {
            return Ok(at);
        }
        if let Some(at) = put_on_new(pages, view, entry.upper_last, record, ids)? {
            return Ok(at);
        }
    }
    Err(Error::corrupted(view.meta.entry_blkno, "leads to UPPER pages without room"))
}

/// None where the page is full; and the page before it.
fn put_on<P: Pages>(
    pages: &P,
    view: &View<'_>,
    blkno: Blkno,
    record: &Record,
    ids: &[u32],
) -> Result<(Option<UpperAt>, Blkno), Error> {
    let shape = &view.meta.shape;
    let mut page = pages.lock(blkno)?;
    let upper = Upper::new(&page, blkno, shape)?;
    let (slot, prev) = (upper.free_slot(), upper.prev);
    let Some(slot) = slot else { return Ok((None, prev)) };
    pages.edit(&mut [&mut page], |images| {
        images.iter_mut().for_each(|page| upper::fill(page, shape, slot, record, ids));
        Ok(())
    })?;
    Ok((Some(UpperAt { blkno, slot: slot as u16 }), prev))
}

/// None where somebody else has made a page after `last`.
fn put_on_new<P: Pages>(
    pages: &P,
    view: &View<'_>,
    last: Blkno,
    record: &Record,
    ids: &[u32],
) -> Result<Option<UpperAt>, Error> {
    let (shape, blkno) = (&view.meta.shape, view.meta.entry_blkno);
    let mut page = pages.lock(blkno)?;
    let entry = Entry::decode(&page, blkno)?;
    if entry.upper_last != last {
        return Ok(None);
    }
    let mut new = pages.allocate()?;
    let upper_last = pages.blkno(&new);
    pages.edit(&mut [&mut page, &mut new], |images| {
        if let [page, new] = images {
            upper::init(new, shape, last);
            upper::fill(new, shape, 0, record, ids);
            Entry { upper_last, ..entry }.put(page);
        }
        Ok(())
    })?;
    Ok(Some(UpperAt { blkno: upper_last, slot: 0 }))
}
