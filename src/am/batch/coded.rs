//! A chunk of queries where the index holds lossy codes. Where the table has the real distances, the first candidates of all
//! queries are looked up together, in the table's order.

use std::rc::Rc;

use ann::codec::Stored;
use ann::element::Element;
use ann::topk::Hit;
use pages::Error;
use pages::coded::exact::ExactQuery;
use pages::coded::rerank::{CodedScan, Exact, RerankParams, first_tranches};
use pages::ivf::scan::{Found, SearchParams};
use pages::tid::Tid;

use super::{Batch, Emit};
use crate::am::report::checked;
use crate::am::rerank::{TableRows, next_row};

/// Rows of a query that candidates are for, at least: as a scan.
const ROWS_MIN: usize = 10;

impl Batch {
    /// What a query takes until its rows are out: its lists and tables, its candidates, and what is known of each once they
    /// are collected.
    pub(super) fn coded_query_bytes(&self) -> usize {
        let meta = &self.ivf.meta;
        let candidates = self.k.max(ROWS_MIN) * self.k_factor;
        let known = size_of::<Option<f64>>() + 3 * size_of::<Tid>() + size_of::<u32>();
        let each = size_of::<Hit>() + known.max(size_of::<Hit>());
        let lists = self.params.nprobe.min(meta.nlist) * 24;
        let code = self.ivf.code.as_ref();
        let tables = code.map_or(0, |code| code.coded.params.kind.query_bytes(meta.dims));
        let query = 3 * meta.dims * size_of::<f32>();
        candidates * each + lists + tables + query + size_of::<CodedScan>()
    }

    pub(super) fn coded_chunk<E: Element>(&mut self, queries: &[Vec<f32>], emit: Emit<'_>) {
        let ivf = Rc::clone(&self.ivf);
        let Some(code) = &ivf.code else { return };
        let exact: Vec<ExactQuery> =
            queries.iter().map(|query| ExactQuery::new(ivf.meta.metric, query)).collect();
        let mut scans: Vec<CodedScan> = queries.iter().map(|query| self.begin(query)).collect();
        let found = first_tranches(&self.pages, &ivf.view(), &mut scans, self.workers);
        checked(self.index, found);
        self.rows.keep_moved();
        let from_table = matches!(code.stored, Stored::None);
        let keys = if from_table { self.first_keys::<E>(&scans, &exact) } else { Vec::new() };
        let mut keys = keys.as_slice();
        let mut tids = Vec::new();
        for (number, (mut scan, query)) in scans.into_iter().zip(&exact).enumerate() {
            let first;
            (first, keys) = keys.split_at(scan.first_candidates().len().min(keys.len()));
            let mut first = Some(first).filter(|first| !first.is_empty());
            let mut n_left = self.k;
            while n_left > 0 {
                let table = TableRows::<E>::new(&mut self.rows, &mut tids, query, ivf.meta.dims);
                let mut table = Judged { first: &mut first, table };
                let next = next_row::<E>(&mut scan, &self.pages, &ivf, code, query, &mut table);
                let Some(row) = checked(self.index, next) else { break };
                // Where the table had the last word, only rows that it shows come back.
                let is_seen = !matches!(code.stored, Stored::Flat);
                let tid =
                    if is_seen { Some(self.rows.version_of(row.tid)) } else { self.locate(row) };
                if let Some(tid) = tid {
                    emit(number, Found { tid, distance: query.distance_of(row.distance) });
                    n_left -= 1;
                }
            }
        }
    }

    fn begin(&self, query: &[f32]) -> CodedScan {
        let SearchParams { nprobe, iterative, max_scan_tuples, .. } = self.params;
        let params = RerankParams { nprobe, iterative, max_scan_tuples, k_factor: self.k_factor };
        let mut point = Vec::new();
        self.ivf.transform().apply(query, &mut point);
        let mut scan = CodedScan::new();
        scan.begin_for(&point, params, self.k);
        scan
    }

    /// The keys of the first candidates of every query, query after query; None for what is no visible row.
    fn first_keys<E: Element>(
        &mut self,
        scans: &[CodedScan],
        exact: &[ExactQuery],
    ) -> Vec<Option<f64>> {
        let (mut tids, mut owners) = (Vec::new(), Vec::new());
        for (scan, query) in scans.iter().zip(exact) {
            for hit in scan.first_candidates() {
                tids.push(Tid::from_u64(hit.id));
                owners.push(query);
            }
        }
        let mut keys = vec![None; tids.len()];
        self.rows.visit::<E>(&tids, self.ivf.meta.dims, |number, elements| {
            if let (Some(key), Some(query)) = (keys.get_mut(number), owners.get(number)) {
                *key = Some(query.key(elements));
            }
        });
        self.rows.rest();
        keys
    }
}

/// The table's rows, those of the first candidates looked up before.
struct Judged<'a, 'k, E> {
    /// The keys of the first call's candidates, until then.
    first: &'a mut Option<&'k [Option<f64>]>,
    table: TableRows<'a, E>,
}

impl<E: Element> Exact for Judged<'_, '_, E> {
    fn keys(&mut self, candidates: &[Hit], each: &mut dyn FnMut(usize, f64)) -> Result<(), Error> {
        let Some(first) = self.first.take() else { return self.table.keys(candidates, each) };
        debug_assert_eq!(first.len(), candidates.len());
        for (number, key) in first.iter().enumerate() {
            if let Some(key) = key {
                each(number, *key);
            }
        }
        Ok(())
    }
}
