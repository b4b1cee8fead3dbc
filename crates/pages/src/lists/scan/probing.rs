//! Which lists a scan goes over, and when.

use ann::topk::Hit;
use ann::tuning::probing::{ProbeRule, squared};

use super::{Late, Scan};
use crate::error::Error;
use crate::lists::InvertedLists;
use crate::lists::scanner::{ListScanner, Probed, Seen, View, Window};
use crate::page::META_BLKNO;
use crate::store::Pages;

/// Further lists are visited for half as many rows more than were returned, and for some at least.
const ROWS_MIN: u64 = 16;
/// Of n times fewer rows n to this power times as many lists are visited. Of text embeddings, recall is then what it is without a
/// filter, or better, for n from 2 to 1,000: a third is too little, a half too much.
pub const SPREAD: f64 = 0.45;

impl<L: ListScanner> Scan<L> {
    /// Fits the query to the index and finds the lists that are visited first.
    pub(super) fn start<P: Pages>(&mut self, pages: &P, view: &View<'_>) -> Result<(), Error> {
        self.prepare(view)?;
        self.find_lists(pages, view, self.n_known(view.lists))?;
        self.probes.refill_nearest(&self.nearest);
        self.choose_first(view.lists);
        Ok(())
    }

    pub(super) fn prepare(&mut self, view: &View<'_>) -> Result<(), Error> {
        if self.probe.prepare(view) {
            return Ok(());
        }
        Err(Error::corrupted(META_BLKNO, "query does not fit the index"))
    }

    /// Puts the n nearest lists into `nearest`, in order.
    fn find_lists<P: Pages>(&mut self, pages: &P, view: &View<'_>, n: usize) -> Result<(), Error> {
        self.nearest.clear();
        match view.quantizer {
            None => self.nearest.push(Hit { key: 0.0, id: 0, at: 0 }),
            Some(quantizer) => {
                let query = self.centroid_query.get_or_insert_with(|| quantizer.query());
                quantizer.nearest(pages, self.probe.query(), n, query, &mut self.nearest)?;
            }
        }
        if self.nearest.len() == n {
            return Ok(());
        }
        Err(Error::corrupted(META_BLKNO, "centroids do not fit the number of lists"))
    }

    /// Finds all lists, those behind the ones known so far.
    fn find_further_lists<P: Pages>(&mut self, pages: &P, view: &View<'_>) -> Result<(), Error> {
        self.find_lists(pages, view, view.lists.nlist)?;
        let mut distances = vec![f32::INFINITY; view.lists.nlist];
        for hit in &self.nearest {
            if let Some(distance) = distances.get_mut(hit.id as usize) {
                *distance = hit.key as f32;
            }
        }
        self.nearest = Vec::new();
        self.probes.complete(&distances);
        Ok(())
    }

    /// The nearest lists that have to be known to choose those that are visited first.
    pub(super) fn n_known(&self, lists: &InvertedLists) -> usize {
        let nprobe = self.params.nprobe;
        let known = self.params.rule.map_or(nprobe, |_| ProbeRule::known(nprobe, lists.nlist));
        known.clamp(1, lists.nlist)
    }

    /// Chooses how many of the lists in `probes`, which are in order, are visited first.
    pub(super) fn choose_first(&mut self, lists: &InvertedLists) {
        let nprobe = self.params.nprobe.clamp(1, lists.nlist);
        self.n_first = match &self.params.rule {
            None => nprobe,
            Some(rule) => {
                let n = self.n_known(lists);
                let mut distances: Vec<f32> =
                    (0..n).map_while(|at| self.probes.distance(at)).collect();
                squared(lists.params.metric, self.probe.query(), &mut distances);
                rule.lists(nprobe, &distances).clamp(1, self.params.max_probes.max(1))
            }
        };
    }

    /// Visits the first lists.
    pub(super) fn first_lists<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
    ) -> Result<(), Error> {
        let end = self.n_first;
        for at in 0..end {
            let seen = self.scan_list(pages, view, at, &Window::ALL)?;
            self.visited += seen.tuples;
            self.examined += seen.examined;
        }
        self.n_probed = end;
        if view.filter.is_some() { self.lists_for_filter(pages, view) } else { Ok(()) }
    }

    /// Visits more lists, which count as first ones, until enough rows passed the filter.
    fn lists_for_filter<P: Pages>(&mut self, pages: &P, view: &View<'_>) -> Result<(), Error> {
        let first = self.examined;
        let most = view.lists.nlist.min(self.params.max_probes);
        while self.n_probed < most && !self.has_enough_passed(first) {
            if self.continued >= self.params.max_scan_tuples {
                break;
            }
            let seen = self.scan_list(pages, view, self.n_probed, &Window::ALL)?;
            self.n_probed += 1;
            self.visited += seen.tuples;
            self.continued += seen.tuples;
            self.examined += seen.examined;
        }
        Ok(())
    }

    /// Whether enough rows have passed the filter, and enough were examined for the recall. The `first` rows of nprobe
    /// lists are enough where all pass. The nearest of n times fewer rows are spread over more lists.
    fn has_enough_passed(&self, first: u64) -> bool {
        let n = self.examined as f64 / self.visited.max(1) as f64;
        self.visited >= self.n_settled && self.examined as f64 >= first as f64 * n.powf(SPREAD)
    }

    /// Visits further lists: until they hold the first hits, later until there are enough visited tuples for about half as
    /// many rows more as were returned.
    pub(super) fn further_lists<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
    ) -> Result<(), Error> {
        let after = self.last.filter(|_| self.is_strict());
        let rows = self.returned + self.returned / 2 + ROWS_MIN;
        let enough = match self.is_short() {
            true => self.n_settled,
            false => rows.saturating_mul(self.visited_per_hit),
        };
        while self.has_further(view.lists)
            && (self.visited < enough || self.top.is_empty() || self.n_probed < self.least_probes)
        {
            let at = self.n_probed;
            let seen = self.scan_list(pages, view, at, &Window { after, until: None })?;
            self.n_probed += 1;
            self.visited += seen.tuples;
            self.examined += seen.examined;
            self.continued += seen.tuples;
            self.n_late += seen.before;
            if let Some(until) = after.filter(|_| seen.before > 0) {
                self.late.push(Late { at, until });
            }
        }
        Ok(())
    }

    /// Goes over the lists visited once more for the hits that were turned away.
    pub(super) fn widen<P: Pages>(&mut self, pages: &P, view: &View<'_>) -> Result<(), Error> {
        let after = self.top.horizon();
        self.top.reopen(self.room());
        self.is_wide = true;
        if self.is_late {
            return self.late_hits(pages, view, after);
        }
        for at in 0..self.n_probed {
            self.scan_list(pages, view, at, &Window { after, until: None })?;
        }
        Ok(())
    }

    /// Collects the rows that came too late, when there is nothing else left; false if there are none.
    pub(super) fn late_rows<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
    ) -> Result<bool, Error> {
        if self.is_late || self.late.is_empty() {
            return Ok(false);
        }
        self.is_late = true;
        self.top.reset(self.room());
        self.late_hits(pages, view, None)?;
        Ok(true)
    }

    fn late_hits<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        after: Option<Hit>,
    ) -> Result<(), Error> {
        for i in 0..self.late.len() {
            let Some(late) = self.late.get(i).copied() else { break };
            let window = Window { after, until: Some(late.until) };
            self.scan_list(pages, view, late.at, &window)?;
        }
        Ok(())
    }

    fn scan_list<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
        at: usize,
        window: &Window,
    ) -> Result<Seen, Error> {
        if at >= self.probes.len() && at < view.lists.nlist {
            self.find_further_lists(pages, view)?;
        }
        match (self.probes.get(at), self.probes.distance(at)) {
            (Some(list_no), Some(distance)) => {
                let list = Probed { list_no, distance };
                self.probe.scan_list(pages, view, list, window, &mut self.top)
            }
            _ => Ok(Seen::default()),
        }
    }
}
