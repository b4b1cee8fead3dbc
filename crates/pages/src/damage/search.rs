//! A search of an index of lists, whatever it stores: rows by the operator's distance, as the executor gets them.

use ann::codec::Stored;
use ann::element::Element;
use half::f16;

use super::coding::point_of;
use crate::error::Error;
use crate::lists::ListsIndex;
use crate::lists::candidates::{CodedScan, RerankParams, first_candidates};
use crate::lists::flat::FlatScanner;
use crate::lists::scan::Scan;
use crate::lists::scan::batch::{BatchParams, first_tranches};
use crate::lists::scanner::View;
use crate::mem::MemPages;
use crate::search::exact::{ExactQuery, StoredRows};
use crate::search::params::{Found, SearchParams};
use crate::search::rerank::Exact;

/// A scan.
pub enum ListSearch<E: Element> {
    /// Of vectors as they are.
    Flat(Box<Scan<FlatScanner<E>>>),
    /// Of codes, whose candidates are re-ranked.
    Coded(Box<CodedScan>),
}

/// How lists of vectors as they are are searched: what is said of candidates says nothing to them.
pub fn flat_params(params: &RerankParams) -> SearchParams {
    let RerankParams { nprobe, rule, iterative, max_scan_tuples, max_probes, .. } = *params;
    let RerankParams { rows_wanted, memory, .. } = *params;
    SearchParams { nprobe, rule, iterative, max_scan_tuples, max_probes, rows_wanted, memory }
}

impl<E: Element> ListSearch<E> {
    /// Without a query.
    pub fn new(index: &ListsIndex) -> Self {
        match index.code {
            None => Self::Flat(Box::default()),
            Some(_) => Self::Coded(Box::default()),
        }
    }

    /// Starts over with a query as the user has it.
    pub fn begin(&mut self, index: &ListsIndex, query: &[f32], params: &RerankParams) {
        match self {
            Self::Flat(scan) => scan.begin(query, flat_params(params)),
            // As it is, to be refused.
            Self::Coded(scan) if query.len() != index.meta.dims() => scan.begin(query, *params),
            Self::Coded(scan) => {
                let point = point_of(&index.meta.lists.params, index.code.as_ref(), query);
                scan.begin(&point, *params);
            }
        }
    }

    /// The next row. `table`: real distances of rows, for an index that does not store the vectors themselves.
    pub fn next(
        &mut self,
        mem: &MemPages,
        index: &ListsIndex,
        view: &View<'_>,
        query: &ExactQuery,
        table: &mut dyn Exact,
    ) -> Result<Option<Found>, Error> {
        let scan = match self {
            Self::Flat(scan) => return scan.next(mem, view),
            Self::Coded(scan) => scan,
        };
        let lists = &index.meta.lists;
        let found = match index.code.as_ref().map(|code| &code.stored) {
            None | Some(Stored::None) => scan.next(mem, view, None, table),
            Some(Stored::Flat) => {
                let mut rows = StoredRows::new(mem, lists, |row: &[E]| query.key(row))?;
                scan.next(mem, view, None, &mut rows)
            }
            Some(Stored::SqFp16) => {
                let mut rows = StoredRows::new(mem, lists, |row: &[f16]| query.key(row))?;
                scan.next(mem, view, Some(&mut rows), table)
            }
            Some(Stored::Sq8(sq)) => {
                let key = |row: &[u8]| query.key::<f32>(&sq.decode(row));
                let mut rows = StoredRows::new(mem, lists, key)?;
                scan.next(mem, view, Some(&mut rows), table)
            }
        };
        Ok(found?.map(|row| Found { distance: query.distance_of(row.distance), ..row }))
    }

    /// Rows that came too late for a strict order.
    pub fn late(&self) -> u64 {
        match self {
            Self::Flat(scan) => scan.late(),
            Self::Coded(scan) => scan.late(),
        }
    }

    /// Tuples visited.
    pub fn visited(&self) -> u64 {
        match self {
            Self::Flat(scan) => scan.visited(),
            Self::Coded(scan) => scan.visited(),
        }
    }

    /// Whether the scan has ended early.
    pub fn is_cut_short(&self) -> bool {
        match self {
            Self::Flat(scan) => scan.is_cut_short(),
            Self::Coded(scan) => scan.is_cut_short(),
        }
    }

    /// Finds the first rows, or candidates, of all `searches` together.
    pub fn first(
        mem: &MemPages,
        view: &View<'_>,
        searches: Vec<Self>,
        params: BatchParams,
    ) -> Result<Vec<Self>, Error> {
        let (mut flat, mut coded) = (Vec::new(), Vec::new());
        for search in searches {
            match search {
                Self::Flat(scan) => flat.push(*scan),
                Self::Coded(scan) => coded.push(*scan),
            }
        }
        first_tranches(mem, view, &mut flat.iter_mut().collect::<Vec<_>>(), params)?;
        first_candidates(mem, view, &mut coded, params)?;
        let flat = flat.into_iter().map(|scan| Self::Flat(Box::new(scan)));
        Ok(flat.chain(coded.into_iter().map(|scan| Self::Coded(Box::new(scan)))).collect())
    }
}
