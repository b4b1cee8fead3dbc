//! Vacuum: free the slots of dead rows and give wholly dead blocks back.

use crate::error::Error;
use crate::ivf::directory;
use crate::ivf::list::{Chain, ListCopy, ListHeader, ListLayout};
use crate::meta::Meta;
use crate::page::{Blkno, INVALID_BLKNO, NO_OWNER, Page, PageKind};
use crate::store::{EDIT_PAGES_MAX, Pages};
use crate::tid::Tid;

/// What vacuum saw and did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VacuumStats {
    /// Rows in the index afterwards.
    pub live: u64,
    /// Rows removed now.
    pub removed: u64,
    /// Pages given back now.
    pub pages_freed: u64,
    /// Slots without a row, to be used by inserts.
    pub free_slots: u64,
    /// Pages of the index.
    pub pages: Blkno,
}

/// Asks `is_dead` about every row, once each and with no lock held, and removes those that are.
/// Writes nothing where nothing died. Only one vacuum may run on an index at a time.
pub fn bulk_delete<P: Pages>(
    pages: &P,
    meta: &Meta,
    mut is_dead: impl FnMut(Tid) -> bool,
) -> Result<VacuumStats, Error> {
    let mut stats = VacuumStats::default();
    let mut list = ListCopy::default();
    let mut dead = Vec::new();
    for list_no in 0..meta.nlist as u32 {
        let entry = directory::read(pages, meta, list_no)?;
        let mut blkno = entry.first;
        let mut chain = Chain::new(blkno);
        let mut with_room = None;
        let mut has_changed = false;
        while blkno != INVALID_BLKNO {
            list.read(pages, blkno, list_no, &meta.layout)?;
            dead.clear();
            dead.extend(list.slots.tids().filter(|tid| !tid.is_free() && is_dead(*tid)));
            let mut header = list.header;
            if !dead.is_empty() {
                dead.sort_unstable();
                let removal = remove(pages, meta, blkno, list_no, &dead)?;
                header = removal.header;
                stats.removed += removal.removed;
                stats.pages_freed += free_pages(pages, list_no, &removal.pages)?;
                has_changed = true;
            }
            stats.live += (header.n_slots - header.n_free) as u64;
            stats.free_slots += header.n_free as u64;
            if with_room.is_none() && header.has_room(&meta.layout) {
                with_room = Some(blkno);
            }
            if list.header.next != INVALID_BLKNO {
                chain.advance(blkno, list.header.next)?;
            }
            blkno = list.header.next;
            pages.breathe();
        }
        if let Some(with_room) = with_room.filter(|_| has_changed) {
            let hint = directory::read(pages, meta, list_no)?.insert;
            directory::move_hint(pages, meta, list_no, hint, with_room)?;
        }
    }
    stats.pages = pages.n_blocks()?;
    Ok(stats)
}

/// Counts rows and pages, changing nothing: what amvacuumcleanup reports.
pub fn stats<P: Pages>(pages: &P, meta: &Meta) -> Result<VacuumStats, Error> {
    let mut stats = VacuumStats::default();
    for list_no in 0..meta.nlist as u32 {
        for_each_header(pages, meta, list_no, |_, header| {
            stats.live += (header.n_slots - header.n_free) as u64;
            stats.free_slots += header.n_free as u64;
        })?;
    }
    stats.pages = pages.n_blocks()?;
    Ok(stats)
}

/// Calls `each` with the header of every LIST page of a list, no lock held.
pub(super) fn for_each_header<P: Pages>(
    pages: &P,
    meta: &Meta,
    list_no: u32,
    mut each: impl FnMut(Blkno, ListHeader),
) -> Result<(), Error> {
    let mut blkno = directory::read(pages, meta, list_no)?.first;
    let mut chain = Chain::new(blkno);
    while blkno != INVALID_BLKNO {
        let header = {
            let page = pages.read(blkno)?;
            ListHeader::read(&page, blkno, list_no, &meta.layout)?
        };
        each(blkno, header);
        if header.next != INVALID_BLKNO {
            chain.advance(blkno, header.next)?;
        }
        blkno = header.next;
        pages.breathe();
    }
    Ok(())
}

struct Removal {
    removed: u64,
    /// The page's header afterwards.
    header: ListHeader,
    /// DATA pages that nobody refers to any more.
    pages: Vec<Blkno>,
}

/// Frees the slots of the `dead` (sorted) in one LIST page and takes wholly free blocks out of it:
/// exclusive lock, one record.
fn remove<P: Pages>(
    pages: &P,
    meta: &Meta,
    blkno: Blkno,
    list_no: u32,
    dead: &[Tid],
) -> Result<Removal, Error> {
    let layout = &meta.layout;
    let mut page = pages.lock(blkno)?;
    let header = ListHeader::read(&page, blkno, list_no, layout)?;
    let mut removal = Removal { removed: 0, header, pages: Vec::new() };
    pages.edit(&mut [&mut page], |images| {
        if let [image] = images {
            removal.removed = free_slots(image, layout, header.n_slots, dead);
            removal.pages = take_out_blocks(image, layout, &mut removal.header);
            removal.header.write(image, layout);
        }
        Ok(())
    })?;
    Ok(removal)
}

fn free_slots(image: &mut Page, layout: &ListLayout, n_slots: usize, dead: &[Tid]) -> u64 {
    let mut removed = 0;
    for slot in 0..n_slots {
        let tid = layout.tid_of(image, slot);
        if !tid.is_free() && dead.binary_search(&tid).is_ok() {
            layout.put_slot(image, slot, Tid::FREE, 0.0);
            removed += 1;
        }
    }
    removed
}

/// Takes out the blocks without a row; those behind move down. Returns their pages.
fn take_out_blocks(image: &mut Page, layout: &ListLayout, header: &mut ListHeader) -> Vec<Blkno> {
    let v = layout.block_vectors;
    let (mut kept, mut kept_slots, mut n_free) = (0, 0, 0);
    let mut freed = Vec::new();
    for block in 0..header.n_blocks {
        let slots = block * v..((block + 1) * v).min(header.n_slots);
        let n = slots.len();
        let free = slots.filter(|slot| layout.tid_of(image, *slot).is_free()).count();
        if free == n {
            freed.extend((0..layout.block_pages).map(|j| layout.page_of(image, block, j)));
            continue;
        }
        if kept < block {
            layout.move_block(image, block, kept);
        }
        kept += 1;
        kept_slots += n;
        n_free += free;
    }
    header.n_blocks = kept;
    header.n_slots = kept_slots;
    header.n_free = n_free;
    freed
}

/// Makes unlinked DATA pages FREE, then tells the free space map. A page that is none of this
/// list's DATA pages was named by a damaged LIST page: it stays what it is.
fn free_pages<P: Pages>(pages: &P, list_no: u32, freed: &[Blkno]) -> Result<u64, Error> {
    let mut n = 0;
    for group in freed.chunks(EDIT_PAGES_MAX) {
        let mut locked = Vec::with_capacity(group.len());
        let mut blknos: Vec<Blkno> = Vec::with_capacity(group.len());
        for blkno in group {
            if blknos.contains(blkno) {
                return Err(Error::corrupted(*blkno, "DATA page was named twice"));
            }
            let page = pages.lock(*blkno)?;
            page.check(*blkno, PageKind::Data, list_no)?;
            blknos.push(*blkno);
            locked.push(page);
        }
        let mut refs: Vec<_> = locked.iter_mut().collect();
        pages.edit(&mut refs, |images| {
            for image in images {
                image.init(PageKind::Free, NO_OWNER);
            }
            Ok(())
        })?;
        drop(locked);
        for blkno in blknos {
            pages.release(blkno);
            n += 1;
        }
        pages.breathe();
    }
    Ok(n)
}
