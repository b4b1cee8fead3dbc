//! Check: every invariant of the format, over whatever bytes there are. Ends in a list of broken
//! ones, never in an error, a panic or a loop.

use ann::element::{Bits, Element};
use ann::extent;
use ann::kernels::{dot, l2_sqr, norm_sqr};
use ann::metric::Metric;
use half::f16;

use crate::error::Error;
use crate::ivf::centroids::read_centroids;
use crate::ivf::directory;
use crate::ivf::list::ListCopy;
use crate::meta::{META_BLKNO, Meta};
use crate::page::{Blkno, INVALID_BLKNO, NO_OWNER, PageKind};
use crate::store::Pages;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Searches may miss rows, return wrong ones or fail: REINDEX.
    Damage,
    /// Rows of a graph that no link leads to: searches find them late.
    Unreachable,
    /// Space that nothing uses until REINDEX, as a crash may leave it. Nothing is wrong with it.
    Leak,
}

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub blkno: Blkno,
    /// How bad.
    pub severity: Severity,
    /// What.
    pub what: String,
}

/// After this many problems the check ends.
const PROBLEMS_MAX: usize = 1000;
/// Coarse distances come from a blocked product or from the canonical kernel; relative to the
/// squared norms they agree within this.
const RADIUS_SLACK: f32 = 1e-3;
/// Relative difference of squared norms computed on different CPUs.
const NORM_SLACK: f32 = 1e-5;

/// Checks a whole index. Call it under a lock that keeps insert and vacuum out: what changes
/// meanwhile would look broken. Holds one share lock at a time; memory is 8 bytes a row and a bit
/// a page.
pub fn check<P: Pages>(pages: &P) -> Vec<Problem> {
    let mut checker = Checker::new(pages);
    match (Meta::read(pages), pages.n_blocks()) {
        (Ok(meta), Ok(n_blocks)) => checker.all(&meta, n_blocks),
        (Err(error), _) | (_, Err(error)) => checker.error(META_BLKNO, &error),
    }
    checker.problems
}

/// A check on its way.
pub(crate) struct Checker<'a, P: Pages> {
    pub(crate) pages: &'a P,
    pub(crate) problems: Vec<Problem>,
    /// Whether a block was met.
    seen: Vec<bool>,
    /// The tids met so far.
    pub(crate) tids: Vec<u64>,
    centroids: Vec<f32>,
}

impl<'a, P: Pages> Checker<'a, P> {
    /// About to start.
    pub(crate) fn new(pages: &'a P) -> Self {
        Self {
            pages,
            problems: Vec::new(),
            seen: Vec::new(),
            tids: Vec::new(),
            centroids: Vec::new(),
        }
    }

    /// Starts: so many blocks there are, and META is met.
    pub(crate) fn start(&mut self, n_blocks: Blkno) {
        self.seen = vec![false; n_blocks as usize];
        self.meet(META_BLKNO, META_BLKNO);
    }

    fn all(&mut self, meta: &Meta, n_blocks: Blkno) {
        self.start(n_blocks);
        for i in 0..meta.centroid_pages() as Blkno {
            self.meet(meta.centroids_first.wrapping_add(i), META_BLKNO);
        }
        for i in 0..meta.directory_pages() as Blkno {
            self.meet(meta.directory_first.wrapping_add(i), META_BLKNO);
        }
        match read_centroids(self.pages, meta) {
            Ok(centroids) => self.centroids = centroids,
            Err(error) => self.error(meta.centroids_first, &error),
        }
        match &meta.coded {
            Some(coded) => self.coded(meta, coded),
            None => (0..meta.nlist as u32).for_each(|list_no| self.list(meta, list_no)),
        }
        self.end();
    }

    /// What can be said when everything was met.
    pub(crate) fn end(&mut self) {
        if self.is_full() {
            return;
        }
        self.tids.sort_unstable();
        if let Some([tid, _]) = self.tids.array_windows().find(|[a, b]| a == b) {
            let what = format!("tid {} is in the index twice", crate::Tid::from_u64(*tid));
            self.damage(META_BLKNO, what);
        }
        self.orphans();
    }

    /// Whether there are so many problems that the check ends.
    pub(crate) fn is_full(&self) -> bool {
        self.problems.len() >= PROBLEMS_MAX
    }

    pub(crate) fn damage(&mut self, blkno: Blkno, what: impl Into<String>) {
        self.problem(blkno, Severity::Damage, what);
    }

    pub(crate) fn problem(&mut self, blkno: Blkno, severity: Severity, what: impl Into<String>) {
        if !self.is_full() {
            self.problems.push(Problem { blkno, severity, what: what.into() });
        }
    }

    pub(crate) fn error(&mut self, blkno: Blkno, error: &Error) {
        match error {
            Error::Corrupted { blkno, what } => self.damage(*blkno, what.clone()),
            other => self.damage(blkno, other.to_string()),
        }
    }

    /// Notes that `by` refers to a block. False if the block does not exist or was met before.
    pub(crate) fn meet(&mut self, blkno: Blkno, by: Blkno) -> bool {
        match self.seen.get_mut(blkno as usize) {
            Some(seen) if !*seen => {
                *seen = true;
                true
            }
            Some(_) => {
                self.damage(by, format!("refers to block {blkno}, which something else uses"));
                false
            }
            None => {
                self.damage(by, format!("refers to block {blkno} beyond the end"));
                false
            }
        }
    }

    fn list(&mut self, meta: &Meta, list_no: u32) {
        if self.is_full() {
            return;
        }
        let entry = match directory::read(self.pages, meta, list_no) {
            Ok(entry) => entry,
            Err(error) => return self.error(meta.directory_first, &error),
        };
        let mut by = directory::place(meta, list_no).map_or(META_BLKNO, |(blkno, _)| blkno);
        let directory_page = by;
        let mut list = ListCopy::default();
        let mut blkno = entry.first;
        let mut hint_is_in_chain = entry.is_empty();
        while blkno != INVALID_BLKNO {
            // A cycle ends here: its first page was met before.
            if !self.meet(blkno, by) {
                return;
            }
            hint_is_in_chain |= blkno == entry.insert;
            if let Err(error) = list.read(self.pages, blkno, list_no, &meta.layout) {
                return self.error(blkno, &error);
            }
            self.list_page(meta, list_no, &list);
            by = blkno;
            blkno = list.header.next;
            self.pages.breathe();
        }
        if !hint_is_in_chain {
            let what =
                format!("insert page {} of list {list_no} is not in its chain", entry.insert);
            self.damage(directory_page, what);
        }
    }

    fn list_page(&mut self, meta: &Meta, list_no: u32, list: &ListCopy) {
        let free = list.slots.tids().filter(|tid| tid.is_free()).count();
        if free != list.header.n_free {
            let what = format!("LIST page counts {} free slots of {free}", list.header.n_free);
            self.damage(list.blkno, what);
        }
        self.tids.extend(list.slots.tids().filter(|tid| !tid.is_free()).map(|tid| tid.to_u64()));
        for (block, blknos) in list.blocks.chunks(meta.layout.block_pages).enumerate() {
            let fresh = blknos.iter().filter(|blkno| self.meet(**blkno, list.blkno)).count();
            if fresh < blknos.len() {
                continue;
            }
            let checked = match meta.element {
                f16::TAG => self.block::<f16>(meta, list_no, list, block, blknos),
                Bits::TAG => self.block::<Bits>(meta, list_no, list, block, blknos),
                _ => self.block::<f32>(meta, list_no, list, block, blknos),
            };
            if let Err(error) = checked {
                self.error(list.blkno, &error);
            }
            self.pages.breathe();
        }
    }

    /// The vectors of a block: their pages, and what the LIST page says about them.
    fn block<E: Element>(
        &mut self,
        meta: &Meta,
        list_no: u32,
        list: &ListCopy,
        block: usize,
        blknos: &[Blkno],
    ) -> Result<(), Error> {
        let first = block * meta.layout.block_vectors;
        let n = (list.header.n_slots - first).min(meta.layout.block_vectors);
        let elements = meta.geometry.dims;
        let mut vectors = vec![E::zeroed(); n * elements];
        for (j, blkno) in blknos.iter().enumerate() {
            let page = self.pages.read(*blkno)?;
            page.check(*blkno, PageKind::Data, list_no)?;
            let slice = meta.geometry.slice(j);
            let rows = meta.geometry.rows::<E>(&page, j, n);
            if page.used() < meta.geometry.row_start(j, n) || rows.is_none() {
                return Err(Error::corrupted(*blkno, "DATA page ends before its rows"));
            }
            let rows = rows.unwrap_or_default().chunks(slice.len());
            for (vector, row) in vectors.chunks_mut(elements).zip(rows) {
                if let Some(part) = vector.get_mut(slice.clone()) {
                    part.copy_from_slice(row);
                }
            }
        }
        let centroid = self.centroids.chunks(meta.dims).nth(list_no as usize).unwrap_or_default();
        let mut wrong = Vec::new();
        for (slot, vector) in (first..).zip(vectors.chunks(elements)) {
            if !list.slots.tid(slot).is_free() {
                wrong.extend(vector_problem(meta, list, slot, vector, centroid));
            }
        }
        for what in wrong {
            self.damage(list.blkno, what);
        }
        Ok(())
    }

    /// Pages that nothing refers to and that are not FREE.
    fn orphans(&mut self) {
        for blkno in 0..self.seen.len() as Blkno {
            if self.seen.get(blkno as usize) != Some(&false) {
                continue;
            }
            let what = match self.pages.read(blkno) {
                Ok(page) if page.is(PageKind::Free, NO_OWNER) => continue,
                Ok(page) if page.is_new() => "was never used".to_owned(),
                Ok(page) => match page.kind() {
                    Some(kind) => format!("{} page that nothing refers to", kind.name()),
                    None => "page of no kind that nothing refers to".to_owned(),
                },
                Err(error) => {
                    self.error(blkno, &error);
                    continue;
                }
            };
            if self.is_full() {
                return;
            }
            self.problems.push(Problem { blkno, severity: Severity::Leak, what });
            self.pages.breathe();
        }
    }
}

/// What is wrong with the vector in a slot, by its LIST page and its list's centroid (if any).
fn vector_problem<E: Element>(
    meta: &Meta,
    list: &ListCopy,
    slot: usize,
    vector: &[E],
    centroid: &[f32],
) -> Option<String> {
    let tid = list.slots.tid(slot);
    if !E::is_finite(vector) {
        return Some(format!("vector of tid {tid} is not finite"));
    }
    if E::TAG == Bits::TAG && E::pack(&E::widened(vector, meta.dims)) != vector {
        return Some(format!("vector of tid {tid} has bits beyond its last"));
    }
    let norm = E::norm_sqr(vector);
    // Not bit for bit: a CPU without fused multiply-add rounds differently.
    let stored = list.slots.norms.get(slot).copied().unwrap_or(f32::NAN);
    let is_same = stored == norm || (stored - norm).abs() <= NORM_SLACK * norm;
    if meta.has_norms() && !is_same {
        return Some(format!("norm of tid {tid} is not that of its vector"));
    }
    if centroid.is_empty() {
        return None;
    }
    let wide = E::widened(vector, meta.dims);
    // As the coarse quantizer takes it.
    let point = extent::shortened(&wide);
    let distance = match meta.metric {
        Metric::L2 | Metric::L1 | Metric::Hamming | Metric::Jaccard => l2_sqr(centroid, &point),
        Metric::InnerProduct => -dot(centroid, &point),
        Metric::Cosine => extent::of_unit(-dot(centroid, &point), norm),
    };
    let slack = RADIUS_SLACK * (norm_sqr(&point) + norm_sqr(centroid));
    let is_outside = slack.is_finite() && distance > list.header.radius + slack;
    is_outside.then(|| format!("tid {tid} is farther from the centroid than the radius"))
}
