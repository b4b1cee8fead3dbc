//! Which lists a scan goes over, and when.

use ann::topk::Hit;

use super::{Late, Scan};
use crate::error::Error;
use crate::ivf::lists::{Lists, Probed, Seen, View, Window};
use crate::meta::{META_BLKNO, Meta};
use crate::store::Pages;

/// All centroids are compared if more than one list in eight is wanted: then little can be passed over.
const PASSED_OVER_MIN: usize = 8;
/// Further lists are visited for half as many rows more than were returned, and for some at least.
const ROWS_MIN: u64 = 16;

impl<L: Lists> Scan<L> {
    /// Fits the query to the index and orders the lists by their distance to it.
    pub(super) fn start(&mut self, view: &View<'_>) -> Result<(), Error> {
        self.prepare(view)?;
        self.order_lists(view)
    }

    pub(super) fn prepare(&mut self, view: &View<'_>) -> Result<(), Error> {
        if self.probe.prepare(view) {
            return Ok(());
        }
        Err(Error::corrupted(META_BLKNO, "query does not fit the index"))
    }

    /// Whether so few of very many lists are wanted that not all are compared.
    pub(super) fn passes_over(&self, view: &View<'_>) -> bool {
        let is_few = self.params.nprobe.saturating_mul(PASSED_OVER_MIN) < view.meta.nlist;
        is_few && view.coded_coarse.is_some()
    }

    pub(super) fn order_lists(&mut self, view: &View<'_>) -> Result<(), Error> {
        let nprobe = self.params.nprobe;
        if let (Some(coded), Some(coarse)) = (view.coded_coarse, &view.coarse)
            && self.passes_over(view)
        {
            let query = self.nearest_query.get_or_insert_with(|| coded.query());
            coded.nearest(coarse, self.probe.query(), nprobe, query, &mut self.nearest);
            self.probes.refill_nearest(&self.nearest);
            return Ok(());
        }
        self.all_distances(view)?;
        self.probes.refill(&self.distances);
        self.probes.sort_first(nprobe);
        Ok(())
    }

    /// The coarse distance of every list.
    fn all_distances(&mut self, view: &View<'_>) -> Result<(), Error> {
        let meta = view.meta;
        self.distances.clear();
        match &view.coarse {
            Some(coarse) if meta.is_trained => {
                coarse.distances(self.probe.query(), &mut self.distances);
            }
            _ => self.distances.push(0.0),
        }
        if self.distances.len() != meta.nlist {
            return Err(Error::corrupted(META_BLKNO, "centroids do not fit the number of lists"));
        }
        Ok(())
    }

    /// The lists that are visited first.
    pub(super) fn n_first(&self, meta: &Meta) -> usize {
        self.params.nprobe.clamp(1, meta.nlist)
    }

    /// Visits the first lists.
    pub(super) fn first_lists<P: Pages>(
        &mut self,
        pages: &P,
        view: &View<'_>,
    ) -> Result<(), Error> {
        let end = self.n_first(view.meta);
        for at in 0..end {
            self.visited += self.scan_list(pages, view, at, &Window::ALL)?.tuples;
        }
        self.n_probed = end;
        Ok(())
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
        while self.has_further(view.meta) && (self.visited < enough || self.top.is_empty()) {
            let at = self.n_probed;
            let seen = self.scan_list(pages, view, at, &Window { after, until: None })?;
            self.n_probed += 1;
            self.visited += seen.tuples;
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
        if at >= self.probes.len() && at < view.meta.nlist {
            self.all_distances(view)?;
            self.probes.complete(&self.distances);
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
