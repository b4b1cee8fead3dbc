//! A chunk of queries where the index holds vectors as they are: their distances need no re-rank, the rows only a look
//! whether they are visible.

use std::rc::Rc;

use ann::topk::Hit;
use pages::lists::flat::FlatScanner;
use pages::lists::scan::batch::first_tranches;
use pages::lists::scan::{Scan, first_hits};
use pages::search::params::Found;
use pages::tid::Tid;

use super::{Batch, Emit};
use crate::am::report::checked;
use crate::am::value::Column;

impl Batch {
    /// What a query takes until its rows are out: hits being collected, twice as many as kept, its lists, and
    /// the rows looked up.
    pub(super) fn flat_query_bytes<E: Column>(&self) -> usize {
        let hits = 2 * first_hits(self.params.rows_wanted) * size_of::<Hit>();
        let lists = self.params.nprobe.min(self.ivf.meta.nlist()) * 24;
        let rows = self.k * (4 * size_of::<Tid>() + size_of::<Hit>());
        let query = 2 * self.ivf.meta.dims() * size_of::<f32>();
        hits + lists + rows + query + size_of::<Scan<FlatScanner<E>>>()
    }

    pub(super) fn flat_chunk<E: Column>(&mut self, queries: &[Vec<f32>], emit: Emit<'_>) {
        let mut scans: Vec<Scan<FlatScanner<E>>> = Vec::with_capacity(queries.len());
        for query in queries {
            let mut scan = Scan::new();
            scan.begin(query, self.params);
            scans.push(scan);
        }
        let ivf = Rc::clone(&self.ivf);
        let view = ivf.view().trusting(self.trusts_marks);
        let mut together: Vec<_> = scans.iter_mut().collect();
        let found = first_tranches(&self.pages, &view, &mut together, self.workers);
        checked(self.index, found);
        let visible = self.first_rows(&scans);
        let mut known = visible.iter().copied();
        for (number, mut scan) in scans.into_iter().enumerate() {
            let mut n_known = scan.first_tranche().len().min(self.k);
            let mut n_left = self.k;
            while n_left > 0 {
                let next = scan.next(&self.pages, &view);
                let Some(row) = checked(self.index, next) else { break };
                let tid = if n_known > 0 {
                    n_known -= 1;
                    known.next().flatten()
                } else {
                    self.locate(row, scan.last_given())
                };
                if let Some(tid) = tid {
                    emit(number, Found { tid, ..row });
                    n_left -= 1;
                }
            }
            self.tell_end(n_left > 0 && scan.is_cut_short(), scan.visited());
            // What a query without k rows, or with its last among dead ones, did not come to.
            known.by_ref().take(n_known).for_each(drop);
        }
    }

    /// The visible versions of the first k rows of every query, query after query, looked up in the table's order.
    fn first_rows<E: Column>(&mut self, scans: &[Scan<FlatScanner<E>>]) -> Vec<Option<Tid>> {
        let first = |scan: &Scan<FlatScanner<E>>| scan.first_tranche().len().min(self.k);
        let hits: Vec<&Hit> =
            scans.iter().flat_map(|scan| scan.first_tranche().iter().take(first(scan))).collect();
        let tids: Vec<Tid> = hits.iter().map(|hit| Tid::from_u64(hit.id)).collect();
        let mut visible = vec![None; tids.len()];
        self.rows.locate(&tids, |number, tid| {
            if let Some(place) = visible.get_mut(number) {
                *place = tid;
            }
        });
        self.note_dead(|number| hits.get(number).map(|hit| hit.at));
        self.rows.rest();
        visible
    }

    /// The visible version of one row, which is stored where `hit` says.
    fn locate(&mut self, row: Found, hit: Option<Hit>) -> Option<Tid> {
        let mut visible = None;
        self.rows.locate(&[row.tid], |_, tid| visible = tid);
        self.note_dead(|_| hit.map(|hit| hit.at));
        visible
    }
}
