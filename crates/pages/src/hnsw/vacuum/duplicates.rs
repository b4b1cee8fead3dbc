//! Dead duplicates leave the chains they are in.

use super::Bits;
use crate::chain::Chain;
use crate::error::Error;
use crate::hnsw::duplicates::read_slot;
use crate::hnsw::links::{self, Slot};
use crate::hnsw::walk::check_ids;
use crate::hnsw::{INVALID_NODE, View};
use crate::page::Blkno;
use crate::store::Pages;

/// How often a chain is begun again because inserts added to it. They have got on then.
const ROUNDS_MAX: usize = 1000;

/// Takes dead duplicates out of their chains. Their own slots stay, so that a scan that stands on one goes on.
pub(super) fn unchain<P: Pages>(pages: &P, view: &View<'_>, dead: &[u32]) -> Result<(), Error> {
    let is_dead = Bits::of(dead, view.map.n_nodes());
    let mut primaries = Vec::with_capacity(dead.len());
    for duplicate in dead {
        let (blkno, slot) = read_slot(pages, view, *duplicate)?;
        if slot.primary != INVALID_NODE {
            check_ids(pages, view, Some(slot.primary), blkno)?;
            primaries.push(slot.primary);
        }
        pages.check_interrupts();
    }
    primaries.sort_unstable();
    primaries.dedup();
    for primary in primaries {
        let mut rounds = 0..ROUNDS_MAX;
        while !walk(pages, view, primary, &is_dead)? {
            if rounds.next().is_none() {
                let what =
                    format!("the chain of duplicates of node {primary} never stays as it is");
                return Err(Error::corrupted(view.meta.entry_blkno, what));
            }
        }
    }
    Ok(())
}

/// Goes along a chain once. False if an insert was in the way.
fn walk<P: Pages>(pages: &P, view: &View<'_>, primary: u32, is_dead: &Bits) -> Result<bool, Error> {
    let (mut before, mut blkno) = (primary, view.meta.entry_blkno);
    let mut slot = next_slot(pages, view, primary, INVALID_NODE, &mut blkno)?;
    let mut steps = Chain::new(slot.duplicate);
    while slot.duplicate != INVALID_NODE {
        let first = slot.duplicate;
        let mut next = first;
        while next != INVALID_NODE && is_dead.has(next) {
            check_ids(pages, view, Some(next), blkno)?;
            next = next_slot(pages, view, next, primary, &mut blkno)?.duplicate;
            steps.advance(blkno, next)?;
            pages.check_interrupts();
        }
        if next != first && !set_next(pages, view, before, first, next)? {
            return Ok(false);
        }
        if next == INVALID_NODE {
            break;
        }
        check_ids(pages, view, Some(next), blkno)?;
        before = next;
        slot = next_slot(pages, view, next, primary, &mut blkno)?;
        if slot.duplicate != INVALID_NODE {
            steps.advance(blkno, slot.duplicate)?;
        }
        pages.check_interrupts();
    }
    Ok(true)
}

/// The slot of a member of a chain.
fn next_slot<P: Pages>(
    pages: &P,
    view: &View<'_>,
    id: u32,
    primary: u32,
    blkno: &mut Blkno,
) -> Result<Slot, Error> {
    let slot;
    (*blkno, slot) = read_slot(pages, view, id)?;
    if slot.primary != primary {
        let what = format!("slot of {id} is in the chain of duplicates of another node");
        return Err(Error::corrupted(*blkno, what));
    }
    Ok(slot)
}

/// Lets the slot of `before` name `next` instead of `first`. False if it names something else by now.
fn set_next<P: Pages>(
    pages: &P,
    view: &View<'_>,
    before: u32,
    first: u32,
    next: u32,
) -> Result<bool, Error> {
    let shape = &view.meta.shape;
    let (chunk, lane) = shape.place(before);
    let (part, at) = shape.links_place(lane);
    let blkno = view.map.existing(pages, chunk, part, view.map.place(chunk).0)?;
    let mut page = pages.lock(blkno)?;
    links::check(&page, blkno, chunk, part)?;
    if links::slot(&page, blkno, shape, at)?.duplicate != first {
        return Ok(false);
    }
    pages.edit(&mut [&mut page], |images| {
        images.iter_mut().for_each(|image| links::put_duplicate(image, shape, at, next));
        Ok(())
    })?;
    Ok(true)
}

/// The ghosts that have no duplicates: nothing keeps them. Inserts give none to a ghost.
pub(super) fn without<P: Pages>(
    pages: &P,
    view: &View<'_>,
    ghosts: &[u32],
) -> Result<Vec<u32>, Error> {
    let mut gone = Vec::with_capacity(ghosts.len());
    for ghost in ghosts {
        if read_slot(pages, view, *ghost)?.1.duplicate == INVALID_NODE {
            gone.push(*ghost);
        }
        pages.check_interrupts();
    }
    Ok(gone)
}
