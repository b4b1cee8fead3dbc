//! What the checks of all families share: which blocks and tids were met, and the problems found. A check ends in a list of
//! broken invariants, whatever the bytes, never in an error, a panic or a loop.

use crate::error::Error;
use crate::page::{Blkno, META_BLKNO, NO_OWNER, PageKind};
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
/// A check on its way.
pub(crate) struct Checker<'a, P: Pages> {
    pub(crate) pages: &'a P,
    pub(crate) problems: Vec<Problem>,
    /// Whether a block was met.
    seen: Vec<bool>,
    /// The tids met so far.
    pub(crate) tids: Vec<u64>,
    /// The build whose pages are checked, where there may be pages of others, which VACUUM frees.
    pub(crate) generation: Option<u32>,
}

impl<'a, P: Pages> Checker<'a, P> {
    /// About to start.
    pub(crate) fn new(pages: &'a P) -> Self {
        Self { pages, problems: Vec::new(), seen: Vec::new(), tids: Vec::new(), generation: None }
    }

    /// Starts with the number of blocks there are; META counts as met.
    pub(crate) fn start(&mut self, n_blocks: Blkno) {
        self.seen = vec![false; n_blocks as usize];
        self.meet(META_BLKNO, META_BLKNO);
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

    /// Whether enough problems were found for the check to end.
    pub(crate) fn is_full(&self) -> bool {
        self.problems.len() >= PROBLEMS_MAX
    }

    pub(crate) fn damage(&mut self, blkno: Blkno, what: impl Into<String>) {
        self.problem(blkno, Severity::Damage, what);
    }

    pub(crate) fn problem(&mut self, blkno: Blkno, severity: Severity, what: impl Into<String>) {
        let problem = Problem { blkno, severity, what: what.into() };
        // A page that cannot be read is met more than once.
        if !self.is_full() && !self.problems.contains(&problem) {
            self.problems.push(problem);
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

    /// Pages that nothing refers to and that are not FREE.
    fn orphans(&mut self) {
        for blkno in 0..self.seen.len() as Blkno {
            if self.seen.get(blkno as usize) != Some(&false) {
                continue;
            }
            let what = match self.pages.read(blkno) {
                Ok(page) if page.is(PageKind::Free, NO_OWNER) => continue,
                Ok(page) if page.is_new() => "was never used".to_owned(),
                Ok(page) if self.generation.is_some_and(|now| page.generation() != now) => continue,
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
            self.pages.check_interrupts();
        }
    }
}
