//! Marks entries that are dead to all; see the section on marks in `README.md`.

use ann::topk::Hit;

use crate::error::Error;
use crate::ivf::list::{ListHeader, slot_of};
use crate::meta::Meta;
use crate::page::PageKind;
use crate::store::Pages;
use crate::tid::Tid;

/// Entries that are looked at under one lock at most: an insert may wait for it.
const AT_ONCE: usize = 64;

/// Marks those of `hits`, rows that a scan of this index has met, that are still where they were and whose rows are dead to
/// all. `is_dead` is asked with a share lock held. Returns how many were marked.
pub fn mark<P: Pages>(
    pages: &P,
    meta: &Meta,
    hits: &mut [Hit],
    is_dead: &mut dyn FnMut(Tid) -> bool,
) -> Result<u64, Error> {
    let layout = &meta.layout;
    hits.sort_unstable_by_key(|hit| hit.at);
    let mut marked = 0;
    let mut places = Vec::new();
    let on_one_page = hits.chunk_by(|a, b| slot_of(a.at).0 == slot_of(b.at).0);
    for group in on_one_page.flat_map(|group| group.chunks(AT_ONCE)) {
        let Some((blkno, _)) = group.first().map(|hit| slot_of(hit.at)) else { continue };
        let page = pages.read(blkno)?;
        // A list that has become a graph has given its pages away.
        if page.kind() != Some(PageKind::List) {
            continue;
        }
        let header = ListHeader::read(&page, blkno, page.owner(), layout)?;
        places.clear();
        for hit in group {
            let (slot, tid) = (slot_of(hit.at).1, Tid::from_u64(hit.id));
            let stored = layout.stored_tid(&page, slot);
            let is_there = slot < header.n_slots && Tid::from_bytes(stored) == tid;
            if is_there && !Tid::is_marked(stored) && is_dead(tid) {
                places.push(layout.mark_at(slot));
            }
        }
        if !places.is_empty() {
            pages.hint(&page, &places);
        }
        marked += places.len() as u64;
        drop(page);
        pages.breathe();
    }
    Ok(marked)
}
