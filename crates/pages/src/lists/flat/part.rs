//! Rows of a list outside of its pages, for worker threads: copied with the locks of a scan, and laid out without gaps.

use ann::element::Element;

use super::vectors::VectorBlocks;
use crate::ahead::Ahead;
use crate::error::Error;
use crate::lists::heads::Heads;
use crate::lists::overflow::Overflow;
use crate::lists::scanner::View;
use crate::lists::walk::Extents;
use crate::page::META_BLKNO;
use crate::store::Pages;
use ann::codec::LANES;

/// A stretch of a list.
pub struct Rows<E> {
    /// The tids and norms.
    pub heads: Heads,
    /// The vectors of all slots, row-major; zeros where no slot near by has a row.
    pub rows: Vec<E>,
    /// Slots with a row.
    pub live: u64,
}

impl<E> Default for Rows<E> {
    fn default() -> Self {
        Self { heads: Heads::default(), rows: Vec::new(), live: 0 }
    }
}

/// [`crate::lists::scanner::ListScanner::copy_list`] of vectors as they are.
pub fn copy_list<P: Pages, E: Element>(
    pages: &P,
    view: &View<'_>,
    list_no: u32,
    room: usize,
    part: &mut Rows<E>,
    give: &mut dyn FnMut(&mut Rows<E>),
) -> Result<(), Error> {
    let layout = &view.lists.layout;
    let Some(geometry) = layout.vectors else {
        return Err(Error::corrupted(META_BLKNO, "index stores no vectors"));
    };
    let blocks = room / (LANES * geometry.vector_size()).max(1);
    let mut overflow = Overflow::default();
    let mut extents = Extents::open(pages, view.lists, list_no)?;
    while let Some(extent) = extents.next(&mut overflow)? {
        for stretch in extent.stretches(blocks) {
            let Rows { heads, rows, live } = &mut *part;
            let ahead = &mut Ahead::new(pages);
            heads.read(ahead, &stretch, layout, view.trusts_marks, view.filter)?;
            *live = heads.live(0..heads.len());
            pages.check_interrupts();
            if *live == 0 {
                continue;
            }
            rows.clear();
            let dims = geometry.dims;
            let mut blocks = VectorBlocks::new(pages, layout, &geometry, &stretch, heads);
            while let Some(block) = blocks.next() {
                rows.resize(block.first * dims, E::zeroed());
                blocks.append(&block, rows)?;
            }
            rows.resize(heads.len() * dims, E::zeroed());
            give(part);
        }
    }
    Ok(())
}
