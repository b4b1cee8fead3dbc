//! A chunk of queries where the index holds lossy codes. The better distances of all queries' candidates are found together:
//! each vector that the index stores is looked at once, and so is each row of the table, in the order in which they lie.

use std::rc::Rc;

use ann::codec::Stored;
use ann::topk::Hit;
use ann::tuning::probing::ProbeRule;
use bytemuck::Pod;
use half::f16;
use pages::lists::candidates::{CodedScan, RerankParams, first_candidates};
use pages::lists::trained::TrainedCode;
use pages::search::exact::{ExactQuery, StoredRows};
use pages::search::params::{Found, SearchParams};
use pages::tid::Tid;

use super::reranker::{Candidates, PART, Reranker, Same};
use super::{Batch, Emit};
use crate::am::report::checked;
use crate::am::rerank::{TableRows, next_row};
use crate::am::value::Column;

/// Rows of a query that candidates are for, at least: as a scan.
const ROWS_MIN: usize = 10;

impl Batch {
    /// What a query takes until its rows are out: its lists and tables, its candidates, and what is known of each once they
    /// are collected.
    pub(super) fn coded_query_bytes(&self) -> usize {
        let meta = &self.ivf.meta;
        let candidates = self.budget.candidates(self.k.max(ROWS_MIN) as u64) as usize;
        let sorted = 2 * size_of::<(u64, u32)>() + size_of::<Same<'_>>();
        let known = size_of::<Option<f64>>() + sorted + size_of::<u32>() + size_of::<u64>();
        let each = size_of::<Hit>() + known.max(size_of::<Hit>());
        let nprobe = self.params.nprobe;
        let known = self.params.rule.map_or(nprobe, |_| ProbeRule::known(nprobe, meta.nlist()));
        let lists = known.min(meta.nlist()) * 24;
        let code = self.ivf.code.as_ref();
        let tables = code.map_or(0, |code| code.params.kind.query_bytes(meta.dims()));
        let query = 3 * meta.dims() * size_of::<f32>();
        candidates * each + lists + tables + query + size_of::<CodedScan>()
    }

    pub(super) fn coded_chunk<E: Column>(&mut self, queries: &[Vec<f32>], emit: Emit<'_>) {
        let ivf = Rc::clone(&self.ivf);
        let Some(code) = &ivf.code else { return };
        let exact: Vec<ExactQuery> =
            queries.iter().map(|query| ExactQuery::new(ivf.meta.metric(), query)).collect();
        let mut scans: Vec<CodedScan> = queries.iter().map(|query| self.begin(query)).collect();
        let view = ivf.view().trusting(self.trusts_marks);
        let found = first_candidates(&self.pages, &view, &mut scans, self.workers);
        checked(self.index, found);
        self.rows.keep_moved();
        self.rerank::<E>(&mut scans, &exact, code);
        for (number, (mut scan, query)) in scans.into_iter().zip(&exact).enumerate() {
            let mut n_left = self.k;
            while n_left > 0 {
                let Some(row) = self.next::<E>(&mut scan, query, code) else { break };
                // The table had the last word: only rows that it shows come back.
                let tid = self.rows.version_of(row.tid);
                emit(number, Found { tid, distance: query.distance_of(row.distance) });
                n_left -= 1;
            }
            self.tell_end(n_left > 0 && scan.is_cut_short(), scan.visited());
        }
    }

    fn begin(&self, query: &[f32]) -> CodedScan {
        let SearchParams {
            nprobe,
            rule,
            iterative,
            max_scan_tuples,
            max_probes,
            rows_wanted,
            memory,
        } = self.params;
        let params = RerankParams {
            nprobe,
            rule,
            iterative,
            max_scan_tuples,
            max_probes,
            budget: self.budget,
            rows_wanted,
            memory,
            is_exact: self
                .ivf
                .code
                .as_ref()
                .is_some_and(|code| matches!(code.stored, Stored::Flat)),
        };
        let mut point = Vec::new();
        self.ivf.transform().apply(query, &mut point);
        let mut scan = CodedScan::new();
        scan.begin(&point, params);
        scan
    }

    /// Judges the first candidates by the vectors that the index stores, if it does, and by the rows of the table if these
    /// are not exact.
    fn rerank<E: Column>(
        &mut self,
        scans: &mut [CodedScan],
        queries: &[ExactQuery],
        code: &TrainedCode,
    ) {
        let (exact, narrow) = (CodedScan::take_first, CodedScan::narrow_first);
        match &code.stored {
            Stored::None => {
                let candidates = scans.iter().map(CodedScan::first_candidates);
                let candidates = Candidates::new(candidates, |hit| hit.id);
                self.by_table::<E>(&candidates, scans, queries, exact);
                return;
            }
            Stored::Flat => {
                self.by_stored(scans, queries, Reranker { measure: direct::<E>, take: narrow });
                self.keep_seen(scans);
                return;
            }
            Stored::SqFp16 => {
                self.by_stored(scans, queries, Reranker { measure: direct::<f16>, take: narrow });
            }
            Stored::Sq8(sq) => {
                let decoded = |row: &[u8], asking: &[&ExactQuery], each: &mut dyn FnMut(f64)| {
                    direct::<f32>(&sq.decode(row), asking, each);
                };
                self.by_stored(scans, queries, Reranker { measure: decoded, take: narrow });
            }
        }
        let candidates = Candidates::new(scans.iter().map(CodedScan::narrowed), |hit| hit.id);
        self.by_table::<E>(&candidates, scans, queries, CodedScan::take_narrowed);
    }

    fn by_table<E: Column>(
        &mut self,
        candidates: &Candidates,
        scans: &mut [CodedScan],
        queries: &[ExactQuery],
        take: impl Fn(&mut CodedScan, &[Option<f64>]) + Sync,
    ) {
        let (rows, dims) = (&mut self.rows, self.ivf.meta.dims());
        let reranker = Reranker { measure: direct::<E>, take };
        let reranked = reranker.run(candidates, scans, queries, self.workers.threads, |sender| {
            rows.visit_sorted(candidates.in_order(), dims, |same, elements| {
                sender.push(same, elements);
                sender.send();
            });
            Ok(())
        });
        self.note_dead(|number| candidates.at(number));
        self.rows.rest();
        checked(self.index, reranked);
    }

    fn by_stored<S: Pod + Send + Sync, M>(
        &self,
        scans: &mut [CodedScan],
        queries: &[ExactQuery],
        reranker: Reranker<M, impl Fn(&mut CodedScan, &[Option<f64>]) + Sync>,
    ) where
        M: Fn(&[S], &[&ExactQuery], &mut dyn FnMut(f64)) + Sync,
    {
        let meta = &self.ivf.meta;
        let candidates = scans.iter().map(CodedScan::first_candidates);
        let candidates = &Candidates::new(candidates, |hit| hit.at);
        let together = (PART / (meta.dims() * size_of::<S>()).max(1)).max(1);
        let reranked = reranker.run(candidates, scans, queries, self.workers.threads, |sender| {
            let stored = StoredRows::<_, S, _, _>::unmeasured(&self.pages, &meta.lists)?;
            let rows = candidates.in_order().chunk_by(|a, b| a.0 == b.0);
            let rows: Vec<Same<'_>> = rows.collect();
            for some in rows.chunks(together) {
                let at = |same: &Same<'_>| same.first().map_or(0, |(at, _)| *at);
                stored.visit(some, at, |i, row| {
                    if let Some(same) = some.get(i) {
                        sender.push(same, row);
                    }
                })?;
                sender.send();
            }
            Ok(())
        });
        checked(self.index, reranked);
    }

    /// Gives every scan those of its narrowed candidates that have a row, all looked up in the table's order.
    fn keep_seen(&mut self, scans: &mut [CodedScan]) {
        let narrowed: Vec<&Hit> = scans.iter().flat_map(CodedScan::narrowed).collect();
        let tids: Vec<Tid> = narrowed.iter().map(|hit| Tid::from_u64(hit.id)).collect();
        let mut is_seen = vec![false; tids.len()];
        self.rows.locate(&tids, |number, tid| {
            if let Some(place) = is_seen.get_mut(number) {
                *place = tid.is_some();
            }
        });
        self.note_dead(|number| narrowed.get(number).map(|hit| hit.at));
        self.rows.rest();
        let mut is_seen = is_seen.into_iter();
        for scan in scans {
            let narrowed = scan.narrowed().iter().zip(is_seen.by_ref());
            let keys: Vec<Option<f64>> =
                narrowed.map(|(hit, is_seen)| is_seen.then_some(hit.key)).collect();
            scan.take_narrowed(&keys);
        }
    }

    /// The next row of a query, with its key for a distance.
    fn next<E: Column>(
        &mut self,
        scan: &mut CodedScan,
        query: &ExactQuery,
        code: &TrainedCode,
    ) -> Option<Found> {
        let view = self.ivf.view().trusting(self.trusts_marks);
        let (rows, dead, mut tids) = (&mut self.rows, &mut self.dead, Vec::new());
        let mut table = TableRows::<E>::new(rows, &mut tids, dead, query, view.lists.params.dims);
        table.has_keys = matches!(code.stored, Stored::Flat);
        let next = next_row::<E>(scan, &self.pages, &view, code, query, &mut table);
        checked(self.index, next)
    }
}

/// The keys that queries give to elements as they are stored.
fn direct<T: Column>(row: &[T], asking: &[&ExactQuery], each: &mut dyn FnMut(f64)) {
    asking.iter().for_each(|query| each(query.key(row)));
}
