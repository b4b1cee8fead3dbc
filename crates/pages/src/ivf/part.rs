//! Rows of a list outside of its pages, for worker threads: copied with the locks of a scan, and laid out without gaps.

use ann::element::Element;
use ann::kernels::{append_ahead, prefetch_at};

use crate::ahead::Ahead;
use crate::error::Error;
use crate::ivf::list::{ListCopy, ListPages, Slots};
use crate::ivf::lists::View;
use crate::ivf::probe::{LOOKUPS, is_listed, no_data};
use crate::meta::Meta;
use crate::page::{Blkno, PageKind};
use crate::store::Pages;

/// Consecutive rows of a list.
pub struct Rows<E> {
    /// Their tids and norms.
    pub slots: Slots,
    /// Their vectors, row-major.
    pub rows: Vec<E>,
    /// Slots with a row.
    pub live: u64,
}

impl<E> Default for Rows<E> {
    fn default() -> Self {
        Self { slots: Slots::default(), rows: Vec::new(), live: 0 }
    }
}

impl<E> Rows<E> {
    fn clear(&mut self) {
        self.slots.clear();
        self.rows.clear();
        self.live = 0;
    }
}

/// [`crate::ivf::lists::Lists::copy_list`] of vectors as they are.
pub fn copy_list<P: Pages, E: Element>(
    pages: &P,
    view: &View<'_>,
    list_no: u32,
    room: usize,
    part: &mut Rows<E>,
    give: &mut dyn FnMut(&mut Rows<E>),
) -> Result<(), Error> {
    part.clear();
    let meta = view.meta;
    let (p, v) = (meta.layout.block_pages, meta.layout.block_vectors);
    let mut list = ListCopy::default();
    let mut list_pages = ListPages::new(pages, meta, list_no)?;
    while list_pages.next(&mut list)? {
        if view.trusts_marks {
            list.slots.leave_out_marked();
        }
        for blkno in &list.blocks {
            pages.prefetch(*blkno);
        }
        let mut blocks = BlockCopy { ahead: Ahead::new(pages), meta, list_no };
        for (block, blknos) in list.blocks.chunks_exact(p).enumerate() {
            let slots = block * v..list.header.n_slots.min((block + 1) * v);
            let after = list.blocks.get((block + 1) * p).copied();
            if list.slots.has_row(slots.clone())
                && blocks.copy(list.blkno, blknos, after, slots.len(), &mut part.rows)?
            {
                part.live +=
                    slots.clone().filter(|slot| !list.slots.tid(*slot).is_free()).count() as u64;
                part.slots.extend(&list.slots, slots);
            }
            if size_of_val(part.rows.as_slice()) >= room {
                give(part);
                part.clear();
            }
            if block % 16 == 15 {
                pages.breathe();
            }
        }
        pages.breathe();
    }
    if !part.slots.is_empty() {
        give(part);
        part.clear();
    }
    Ok(())
}

/// Copying the DATA pages of one block, each under its own share lock.
struct BlockCopy<'a, 'p, P: Pages> {
    ahead: Ahead<'p, P>,
    meta: &'a Meta,
    list_no: u32,
}

impl<P: Pages> BlockCopy<'_, '_, P> {
    /// Appends the first `n` vectors of the block in `blknos`, which LIST page `list` names. False, and nothing appended, if
    /// vacuum took the block away since that page was copied.
    fn copy<E: Element>(
        &mut self,
        list: Blkno,
        blknos: &[Blkno],
        after: Option<Blkno>,
        n: usize,
        rows: &mut Vec<E>,
    ) -> Result<bool, Error> {
        let start = rows.len();
        for _ in 0..LOOKUPS {
            if self.vectors(blknos, after, n, rows)? {
                return Ok(true);
            }
            rows.truncate(start);
            if !is_listed(self.ahead.pages, self.meta, self.list_no, list, blknos)? {
                return Ok(false);
            }
        }
        Err(no_data(list, blknos, self.list_no))
    }

    /// False if a page is not a DATA page of this list (any more).
    fn vectors<E: Element>(
        &mut self,
        blknos: &[Blkno],
        after: Option<Blkno>,
        n: usize,
        rows: &mut Vec<E>,
    ) -> Result<bool, Error> {
        let geometry = &self.meta.geometry;
        let (start, dims) = (rows.len(), geometry.dims.max(1));
        for (j, blkno) in blknos.iter().enumerate() {
            let following = blknos.get(j + 1).copied().or(after);
            let (page, next) = self.ahead.read(*blkno, following)?;
            if !page.is(PageKind::Data, self.list_no) {
                return Ok(false);
            }
            let Some(slices) = geometry.rows::<E>(&page, j, n) else {
                return Err(Error::corrupted(*blkno, "DATA page has no room for its rows"));
            };
            if let [_] = blknos {
                append_ahead(rows, slices, next);
                continue;
            }
            prefetch_at(next);
            if j == 0 {
                rows.resize(start + n * dims, E::zeroed());
            }
            let place = geometry.slice(j);
            let whole = rows.get_mut(start..).unwrap_or_default().chunks_exact_mut(dims);
            for (row, slice) in whole.zip(slices.chunks_exact(place.len().max(1))) {
                if let Some(to) = row.get_mut(place.clone()) {
                    to.copy_from_slice(slice);
                }
            }
        }
        Ok(true)
    }
}
