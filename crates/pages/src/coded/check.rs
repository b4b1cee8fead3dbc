//! What check looks at in a coded index: that the lists tile the packed area, that every page is what it must be and is
//! named once, that no stored number is NaN or infinite.

use ann::codec::{LANES, UNIT};
use ann::element::Element;
use half::f16;

use crate::ahead::Ahead;
use crate::coded::directory;
use crate::coded::layout::{Run, TID_UNITS};
use crate::coded::model;
use crate::coded::probe::{copy_units, tid_of};
use crate::coded::shelf::Shelf;
use crate::coded::walk::{Shelves, packed_run, pieces};
use crate::error::Error;
use crate::ivf::check::Checker;
use crate::meta::{Coded, META_BLKNO, Meta};
use crate::page::{Blkno, INVALID_BLKNO, NO_OWNER, PageKind};
use crate::store::Pages;

impl<P: Pages> Checker<'_, P> {
    /// The lists of a coded index and the pages they share.
    pub(crate) fn coded(&mut self, meta: &Meta, coded: &Coded) {
        let n = u64::from(coded.n_code_blocks);
        let model_len = coded.model_len(meta.dims);
        let shared = [
            (coded.model_first, model::n_pages(model_len)),
            (coded.vectors_first, coded.layout.packed_vector_pages(n)),
            (coded.codes_first, coded.layout.packed_pages(n)),
        ];
        for (first, n) in shared {
            for i in 0..n as Blkno {
                self.meet(first.wrapping_add(i), META_BLKNO);
            }
        }
        if let Err(error) = model::read(self.pages, coded.model_first, model_len) {
            self.error(coded.model_first, &error);
        }
        let vectors = coded.layout.packed_vector_pages(n) as Blkno;
        for i in 0..vectors {
            self.vector_page(
                coded,
                meta,
                coded.vectors_first.wrapping_add(i),
                i as usize,
                NO_OWNER,
            );
        }
        let mut end = 0;
        for list_no in 0..meta.nlist as u32 {
            if self.is_full() {
                return;
            }
            if let Err(error) = self.coded_list(meta, coded, list_no, &mut end) {
                self.error(meta.directory_first, &error);
            }
        }
        if end != coded.n_code_blocks {
            let what = format!("lists have {end} packed blocks of {}", coded.n_code_blocks);
            self.damage(META_BLKNO, what);
        }
    }

    /// One list; `end` is where the packed blocks of the lists before it end.
    fn coded_list(
        &mut self,
        meta: &Meta,
        coded: &Coded,
        list_no: u32,
        end: &mut u32,
    ) -> Result<(), Error> {
        let (page, _) = directory::place(meta, list_no)?;
        let entry = directory::read(self.pages, meta, list_no)?;
        if entry.n_blocks > 0 {
            if entry.start != *end {
                let what = format!("list {list_no} begins at block {}, not {end}", entry.start);
                self.damage(page, what);
            }
            *end = entry.start.saturating_add(entry.n_blocks);
            let run = packed_run(&entry, list_no, &coded.layout, coded.codes_first);
            self.coded_run(coded, &run)?;
        }
        let layout = &coded.layout;
        let mut shelf = Shelf::default();
        let mut shelves = Shelves::new(self.pages, layout, list_no, entry.shelf_first);
        let mut hint_is_in_chain = entry.shelf_first == INVALID_BLKNO;
        let mut by = page;
        while let Some(blkno) = shelves.next(&mut shelf)? {
            hint_is_in_chain |= blkno == entry.insert_shelf;
            let fresh = shelf.pages.iter().filter(|b| self.meet(**b, by)).count();
            if fresh < shelf.pages.len() {
                return Ok(());
            }
            self.coded_run(coded, &shelf.run(list_no, layout))?;
            for (i, vectors) in shelf.vectors.iter().enumerate() {
                if *vectors != INVALID_BLKNO && self.meet(*vectors, blkno) {
                    self.vector_page(coded, meta, *vectors, i, list_no);
                }
            }
            by = blkno;
            self.pages.breathe();
        }
        if !hint_is_in_chain {
            let shelf = entry.insert_shelf;
            let what = format!("insert shelf {shelf} of list {list_no} is not in its chain");
            self.damage(page, what);
        }
        Ok(())
    }

    /// Takes note of the tids of a run; the factors of live rows must be finite.
    fn coded_run(&mut self, coded: &Coded, run: &Run<'_>) -> Result<(), Error> {
        let mut tids = [0u8; TID_UNITS * UNIT];
        let mut factors = vec![0.0f32; coded.layout.n_factors * LANES];
        let mut wrong = Vec::new();
        let found = &mut self.tids;
        pieces(&mut Ahead::new(self.pages), run, |piece| {
            copy_units(&mut tids, 0, &piece);
            copy_units(bytemuck::cast_slice_mut(&mut factors), TID_UNITS, &piece);
            if piece.part.first_unit + piece.part.len == coded.layout.block_units {
                for lane in 0..LANES {
                    let tid = tid_of(&tids, lane);
                    if tid.is_free() {
                        continue;
                    }
                    found.push(tid.to_u64());
                    if factors.iter().skip(lane).step_by(LANES).any(|f| !f.is_finite()) {
                        wrong.push((run.blkno(piece.part.page), tid));
                    }
                }
            }
            true
        })?;
        for (blkno, tid) in wrong {
            let blkno = blkno.unwrap_or(META_BLKNO);
            self.damage(blkno, format!("a factor of tid {tid} is not finite"));
        }
        Ok(())
    }

    /// The `i`-th DATA page of the packed area or of a shelf.
    fn vector_page(&mut self, coded: &Coded, meta: &Meta, blkno: Blkno, i: usize, owner: u32) {
        let checked = self.pages.read(blkno).and_then(|page| {
            page.check(blkno, PageKind::Data, owner)?;
            let Some(g) = coded.layout.vectors else { return Ok(true) };
            let j = i % g.block_pages;
            let n = page.used().saturating_sub(g.row_start(j, 0)) / g.row_size(j).max(1);
            let n = n.min(g.block_vectors);
            Ok(match (g.element_size, meta.element) {
                (4, _) => is_finite::<f32>(g.rows(&page, j, n)),
                (2, _) => is_finite::<f16>(g.rows(&page, j, n)),
                _ => true,
            })
        });
        match checked {
            Ok(true) => {}
            Ok(false) => self.damage(blkno, "a stored vector is not finite"),
            Err(error) => self.error(blkno, &error),
        }
        self.pages.breathe();
    }
}

fn is_finite<E: Element>(rows: Option<&[E]>) -> bool {
    rows.is_some_and(E::is_finite)
}
