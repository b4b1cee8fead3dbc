//! Check of an index of lists: that the lists tile the packed area, that every page is what it must be and is named once, that
//! no stored number is NaN or infinite, and of vectors as they are that norms and radii are theirs.

use ann::codec::LANES;
use ann::element::{Bits, Element};
use half::f16;

use crate::ahead::Ahead;
use crate::checker::{Checker, Problem};
use crate::error::Error;
use crate::lists::InvertedLists;
use crate::lists::directory;
use crate::lists::extent::{Extent, VectorPages};
use crate::lists::heads::Heads;
use crate::lists::meta::Meta;
use crate::lists::overflow::Overflow;
use crate::lists::quantizer::Quantizer;
use crate::lists::walk::Extents;
use crate::model;
use crate::page::{Blkno, INVALID_BLKNO, META_BLKNO, NO_OWNER, PageKind};
use crate::store::Pages;
use crate::tid::Tid;

mod vectors;

/// Blocks of entries that are looked at together.
const STRETCH: usize = 42;

/// Checks a whole index. Call it under a lock that keeps insert and vacuum out: what changes
/// meanwhile would look broken. Holds one share lock at a time; memory is 8 bytes a row and a bit
/// a page.
pub fn check<P: Pages>(pages: &P) -> Vec<Problem> {
    let mut checker = Checker::new(pages);
    match (Meta::read(pages), pages.n_blocks()) {
        (Ok(meta), Ok(n_blocks)) => {
            checker.start(n_blocks);
            checker.generation = Some(meta.builds.generation);
            let centroids = checker.quantizer(&meta);
            checker.lists(&meta.lists, &centroids);
            checker.end();
        }
        (Err(error), _) | (_, Err(error)) => checker.error(META_BLKNO, &error),
    }
    checker.problems
}

impl<P: Pages> Checker<'_, P> {
    /// The coarse quantizer: entry n must be the centroid of list n. Returns the centroids as far as they can be read.
    fn quantizer(&mut self, meta: &Meta) -> Vec<f32> {
        let Some(lists) = &meta.quantizer else { return Vec::new() };
        self.lists(lists, &[]);
        let named: Vec<u64> = self.tids.drain(..).collect();
        let wanted = (0..meta.nlist() as u32).map(|list_no| Tid::new(list_no, 1).to_u64());
        if !named.into_iter().eq(wanted) {
            self.damage(lists.directory_first, "coarse quantizer does not name every list once");
        }
        let quantizer = Quantizer::open(self.pages, lists, meta.nlist());
        match quantizer.and_then(|quantizer| quantizer.centroids(self.pages)) {
            Ok(centroids) => centroids,
            Err(error) => {
                self.error(lists.vectors_first, &error);
                Vec::new()
            }
        }
    }

    /// Lists and the pages they share.
    fn lists(&mut self, lists: &InvertedLists, centroids: &[f32]) {
        let n = lists.n_slots;
        let shared = [
            (PageKind::Model, lists.model_first, model::n_pages(lists.model_len())),
            (PageKind::Directory, lists.directory_first, directory::n_pages(lists.nlist)),
            (PageKind::Data, lists.vectors_first, lists.layout.packed_vector_pages(n)),
            (PageKind::Codes, lists.codes_first, lists.layout.packed_pages(n)),
        ];
        for (kind, first, n) in shared {
            for i in 0..n as Blkno {
                self.meet_page(first.wrapping_add(i), META_BLKNO, (kind, NO_OWNER));
                self.pages.check_interrupts();
            }
        }
        if let Err(error) = model::read(self.pages, lists.model_first, lists.model_len()) {
            self.error(lists.model_first, &error);
        }
        let mut end = 0;
        for list_no in 0..lists.nlist as u32 {
            if self.is_full() {
                return;
            }
            let dims = lists.params.dims;
            let centroid = centroids.chunks(dims).nth(list_no as usize).unwrap_or_default();
            if let Err(error) = self.list(lists, list_no, centroid, &mut end) {
                self.error(lists.directory_first, &error);
            }
        }
        if end != lists.n_slots {
            let what = format!("lists have {end} packed slots of {}", lists.n_slots);
            self.damage(META_BLKNO, what);
        }
    }

    /// One list; `end` is where the packed slots of the lists before it end.
    fn list(
        &mut self,
        lists: &InvertedLists,
        list_no: u32,
        centroid: &[f32],
        end: &mut u64,
    ) -> Result<(), Error> {
        let (page, _) = directory::place(lists, list_no)?;
        let entry = directory::read(self.pages, lists, list_no)?;
        if entry.n_slots > 0 {
            if entry.first != *end {
                let what = format!("list {list_no} begins at slot {}, not {end}", entry.first);
                self.damage(page, what);
            }
            *end = entry.first.saturating_add(u64::from(entry.n_slots));
        }
        let mut overflow = Overflow::default();
        let mut extents = Extents::of(self.pages, lists, list_no, &entry);
        let mut hint_is_in_chain = entry.overflow_first == INVALID_BLKNO;
        let mut by = page;
        while let Some(extent) = extents.next(&mut overflow)? {
            if let VectorPages::Overflow(_) | VectorPages::None = extent.vectors
                && let Some(first) = overflow_page(&extent)
            {
                hint_is_in_chain |= first == entry.insert_overflow;
                if !self.meet_overflow(&extent, by) {
                    return Ok(());
                }
                by = first;
            }
            self.extent(lists, &extent, centroid, entry.radius)?;
            self.pages.check_interrupts();
        }
        if !hint_is_in_chain {
            let overflow = entry.insert_overflow;
            let what =
                format!("insert overflow page {overflow} of list {list_no} is not in its chain");
            self.damage(page, what);
        }
        Ok(())
    }

    /// Takes note of the pages of an overflow extent, which `by` names; false if one of them cannot be looked at.
    fn meet_overflow(&mut self, extent: &Extent<'_>, by: Blkno) -> bool {
        let pages = extent.page_range();
        let fresh = pages.clone().filter_map(|i| extent.blkno(i)).filter(|b| self.meet(*b, by));
        if fresh.count() < pages.len() {
            return false;
        }
        if let VectorPages::Overflow(vectors) = extent.vectors {
            let by = overflow_page(extent).unwrap_or(by);
            for blkno in vectors.iter().filter(|blkno| **blkno != INVALID_BLKNO) {
                self.meet_page(*blkno, by, (PageKind::Data, extent.list_no));
            }
        }
        true
    }

    /// Takes note of a page that `by` refers to, and of what it is: it need not have a row.
    fn meet_page(&mut self, blkno: Blkno, by: Blkno, (kind, owner): (PageKind, u32)) {
        if self.meet(blkno, by) {
            let checked = self.pages.read(blkno).and_then(|page| page.check(blkno, kind, owner));
            if let Err(error) = checked {
                self.error(blkno, &error);
            }
        }
    }

    /// Takes note of the tids of an extent; what belongs to live rows must be sound.
    fn extent(
        &mut self,
        lists: &InvertedLists,
        extent: &Extent<'_>,
        centroid: &[f32],
        radius: f32,
    ) -> Result<(), Error> {
        let mut heads = Heads::default();
        for stretch in extent.stretches(STRETCH) {
            heads.read(&mut Ahead::new(self.pages), &stretch, &lists.layout, false, None)?;
            let mut rows = Vec::new();
            for slot in 0..heads.len() {
                let Some(tid) = heads.tid(slot) else { continue };
                self.tids.push(tid.to_u64());
                rows.push((tid, slot));
                if lists.layout.has_code
                    && (0..lists.layout.n_factors).any(|f| !heads.factor(slot, f).is_finite())
                {
                    let blkno = extent.blkno(stretch.page_range().start).unwrap_or(META_BLKNO);
                    self.damage(blkno, format!("a factor of tid {tid} is not finite"));
                }
            }
            let wrong = match (lists.layout.vectors.map(|g| g.element_size), lists.params.element) {
                (Some(4), _) => {
                    vectors::problems::<f32, P>(self.pages, lists, &heads, &rows, centroid, radius)
                }
                (Some(2), _) => {
                    vectors::problems::<f16, P>(self.pages, lists, &heads, &rows, centroid, radius)
                }
                (Some(1), Bits::TAG) => {
                    vectors::problems::<Bits, P>(self.pages, lists, &heads, &rows, centroid, radius)
                }
                // Any bytes are components of 8 bits.
                (Some(1), _) => vectors::are_there(self.pages, lists, &heads, &rows),
                _ => Ok(Vec::new()),
            }?;
            for (blkno, what) in wrong {
                self.damage(blkno, what);
            }
        }
        Ok(())
    }
}

/// The first page of an overflow extent; None of the packed area.
fn overflow_page(extent: &Extent<'_>) -> Option<Blkno> {
    let is_overflow = extent.identity(0).0 == PageKind::Overflow;
    extent.blkno(0).filter(|_| is_overflow)
}

const _: () = assert!(STRETCH * LANES <= 1 << 16);
