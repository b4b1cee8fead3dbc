//! All lists that name nodes that are gone, page by page.

use super::Bits;
use super::mend::Mender;
use crate::chain::Chain;
use crate::error::Error;
use crate::hnsw::entry::Entry;
use crate::hnsw::upper::{self, Upper};
use crate::hnsw::{View, links};
use crate::page::{Blkno, INVALID_BLKNO, Page, PageKind};
use crate::store::Pages;

/// How often the lists of a page are mended because inserts change them meanwhile. What is left then are links that lead
/// nowhere.
const ROUNDS_MAX: usize = 10;

/// A list of links as it was read.
struct List {
    slot: usize,
    node: u32,
    level: usize,
    links: Vec<u32>,
}

/// Mends every list of every node that stays.
pub(super) fn mend_all<P: Pages>(pages: &P, view: &View<'_>, gone: &Bits) -> Result<(), Error> {
    let shape = &view.meta.shape;
    let mut mender = Mender::new(view);
    view.map.refresh(pages)?;
    for chunk in 0..view.map.n_chunks() {
        for part in shape.nodes_pages..shape.nodes_pages + shape.links_pages {
            let blkno = view.map.block(pages, chunk, part)?;
            if blkno == INVALID_BLKNO {
                continue;
            }
            let read = |page: &Page| {
                links::check(page, blkno, chunk, part)?;
                let mut lists = Vec::new();
                for (slot, lane) in shape.lanes_of(part).enumerate() {
                    let n = links::slot(page, blkno, shape, slot)?.n;
                    let links = links::links(page, shape, slot, n);
                    let node = shape.node(chunk, lane);
                    push(&mut lists, gone, List { slot, node, level: 0, links: links.to_vec() });
                }
                Ok(lists)
            };
            let put = |page: &mut Page, slot: usize, ids: &[u32]| {
                links::put_links(page, shape, slot, ids);
            };
            mend_page(pages, view, gone, &mut mender, blkno, read, put)?;
        }
    }
    for blkno in upper_pages(pages, view)? {
        let read = |page: &Page| {
            let upper = Upper::new(page, blkno, shape)?;
            let mut lists = Vec::new();
            for slot in 0..upper.n_used {
                let record = upper.record(slot)?;
                let links = upper.links(slot, record.n).to_vec();
                let level = usize::from(record.level);
                if !record.is_free() {
                    push(&mut lists, gone, List { slot, node: record.node, level, links });
                }
            }
            Ok(lists)
        };
        let put = |page: &mut Page, slot: usize, ids: &[u32]| {
            upper::put_links(page, shape, slot, ids);
        };
        mend_page(pages, view, gone, &mut mender, blkno, read, put)?;
    }
    Ok(())
}

/// Takes a list if it is that of a node that stays and names one that is gone.
fn push(lists: &mut Vec<List>, gone: &Bits, list: List) {
    if !gone.has(list.node) && list.links.iter().any(|id| gone.has(*id)) {
        lists.push(list);
    }
}

/// Mends the lists of one page: read under a share lock, computed without, written in one record where they are still
/// what was read.
fn mend_page<P: Pages>(
    pages: &P,
    view: &View<'_>,
    gone: &Bits,
    mender: &mut Mender,
    blkno: Blkno,
    read: impl Fn(&Page) -> Result<Vec<List>, Error>,
    put: impl Fn(&mut Page, usize, &[u32]),
) -> Result<(), Error> {
    for _ in 0..ROUNDS_MAX {
        let lists = read(&*pages.read(blkno)?)?;
        let mut mended = Vec::with_capacity(lists.len());
        for list in &lists {
            let place = (list.node, list.level);
            mended.push(mender.mend(pages, view, gone, place, &list.links)?);
            pages.check_interrupts();
        }
        if lists.is_empty() {
            break;
        }
        let mut page = pages.lock(blkno)?;
        let now = read(&page)?;
        let is_same = |list: &List| {
            now.iter().any(|other| other.slot == list.slot && other.links == list.links)
        };
        pages.edit(&mut [&mut page], |images| {
            for image in images {
                if image.kind() == Some(PageKind::Links) {
                    links::settle_hints(image, &view.meta.shape);
                }
                for (list, ids) in lists.iter().zip(&mended).filter(|(list, _)| is_same(list)) {
                    put(image, list.slot, ids);
                }
            }
            Ok(())
        })?;
        if now.iter().all(|list| lists.iter().any(|l| l.slot == list.slot && is_same(l))) {
            break;
        }
    }
    pages.check_interrupts();
    Ok(())
}

/// All UPPER pages, the newest first.
pub(super) fn upper_pages<P: Pages>(pages: &P, view: &View<'_>) -> Result<Vec<Blkno>, Error> {
    let mut blkno = Entry::read(pages, view.meta)?.upper_last;
    let (mut found, mut chain) = (Vec::new(), Chain::new(blkno));
    while blkno != INVALID_BLKNO {
        found.push(blkno);
        let prev = Upper::new(&*pages.read(blkno)?, blkno, &view.meta.shape)?.prev;
        if prev != INVALID_BLKNO {
            chain.advance(blkno, prev)?;
        }
        blkno = prev;
        pages.check_interrupts();
    }
    Ok(found)
}
