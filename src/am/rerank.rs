//! Searching a coded index: candidates from the lists, real distances from the table's rows or from the vectors that the
//! index stores.

use std::marker::PhantomData;

use ann::codec::Stored;
use ann::topk::Hit;
use half::f16;
use pages::Error;
use pages::lists;
use pages::lists::candidates::{CodedScan, RerankParams};
use pages::lists::scanner::View;
use pages::lists::trained::TrainedCode;
use pages::search::exact::{ExactQuery, StoredRows};
use pages::search::filter::Filter;
use pages::search::params::{Found, SearchParams};
use pages::search::rerank::{Budget, Exact};
use pages::tid::Tid;
use pgrx::pg_sys;

use super::last_scan::Work;
use super::opclass::ElementType;
use super::pages::PgPages;
use super::refetch::HeapRows;
use super::relation::IvfIndex;
use super::value::Column;

/// A search of codes; its memory is reused from query to query.
pub struct CodedSearch {
    scan: CodedScan,
    rows: HeapRows,
    tids: Vec<Tid>,
    /// Candidates whose rows are dead to all, until they are marked.
    dead: Vec<Hit>,
    query: Option<(ExactQuery, ElementType)>,
    left_out: Option<Tid>,
    trusts_marks: bool,
}

impl CodedSearch {
    /// A search without a query.
    ///
    /// # Safety
    /// `scan` must outlive the result.
    pub unsafe fn new(scan: pg_sys::IndexScanDesc) -> Self {
        // SAFETY: the caller's promise; the element type is the operator class's.
        let (rows, trusts_marks) = unsafe { (HeapRows::new(scan), (*scan).ignore_killed_tuples) };
        let (scan, tids, dead) = (CodedScan::new(), Vec::new(), Vec::new());
        Self { scan, rows, tids, dead, query: None, left_out: None, trusts_marks }
    }

    /// Starts over with the elements of a query.
    pub fn begin(
        &mut self,
        ivf: &IvfIndex,
        element: ElementType,
        query: &[f32],
        params: SearchParams,
        budget: Budget,
    ) {
        self.rows.remember(&ivf.recent_rows);
        let mut point = Vec::new();
        ivf.transform().apply(query, &mut point);
        let SearchParams {
            nprobe,
            rule,
            iterative,
            max_scan_tuples,
            max_probes,
            rows_wanted,
            memory,
        } = params;
        let is_exact = ivf.code.as_ref().is_some_and(|code| matches!(code.stored, Stored::Flat));
        let params = RerankParams {
            nprobe,
            rule,
            iterative,
            max_scan_tuples,
            max_probes,
            budget,
            rows_wanted,
            memory,
            is_exact,
        };
        self.scan.begin(&point, params);
        self.query = Some((ExactQuery::new(ivf.meta.metric(), query), element));
    }

    /// Treats a row as if it were gone, or again none.
    pub fn leave_out(&mut self, row: Option<Tid>) {
        self.left_out = row;
    }

    /// The next row that passes the filter, with the operator's distance.
    pub fn next(
        &mut self,
        pages: &PgPages,
        ivf: &IvfIndex,
        filter: Option<&Filter>,
    ) -> Result<Option<Found>, Error> {
        let found = match &self.query {
            Some((_, ElementType::F32)) => self.next_of::<f32>(pages, ivf, filter)?,
            Some((_, ElementType::F16)) => self.next_of::<f16>(pages, ivf, filter)?,
            // No code is of bits or of sparse vectors.
            Some((_, ElementType::Bit | ElementType::Sparse)) | None => None,
        };
        mark(pages, ivf, &mut self.rows, &mut self.dead)?;
        let Some((query, _)) = &self.query else { return Ok(None) };
        Ok(found.map(|row| Found { distance: query.distance_of(row.distance), ..row }))
    }

    /// As `next`, with its exact key for a distance.
    fn next_of<E: Column>(
        &mut self,
        pages: &PgPages,
        ivf: &IvfIndex,
        filter: Option<&Filter>,
    ) -> Result<Option<Found>, Error> {
        let (Some((query, _)), Some(code)) = (&self.query, &ivf.code) else { return Ok(None) };
        let (tids, dead) = (&mut self.tids, &mut self.dead);
        let mut table = TableRows::<E>::new(&mut self.rows, tids, dead, query, ivf.meta.dims());
        table.has_keys = matches!(code.stored, Stored::Flat);
        let view = ivf.view().trusting(self.trusts_marks).filtered(filter);
        let Some(left_out) = self.left_out else {
            return next_row::<E>(&mut self.scan, pages, &view, code, query, &mut table);
        };
        let mut others = Others { rows: &mut table, left_out };
        next_row::<E>(&mut self.scan, pages, &view, code, query, &mut others)
    }

    /// As [`Scan::search_lists`](pages::lists::scan::Scan::search_lists).
    pub fn search_lists(&mut self, n: usize) -> bool {
        self.scan.search_lists(n)
    }

    /// Ends the search: only rows that came too late follow.
    pub fn finish(&mut self) {
        self.scan.finish();
    }

    /// What it has done so far.
    pub fn work(&self) -> Work {
        Work {
            lists_probed: self.scan.lists_probed(),
            scored: self.scan.visited(),
            skipped: self.scan.skipped(),
            reranked: self.scan.reranked(),
            is_cut_short: self.scan.is_cut_short(),
        }
    }

    /// Lets go of what must not be held while the scan waits to be started over.
    pub fn rest(&mut self) {
        self.rows.rest();
    }

    /// Frees what the server knows of.
    pub fn end(&mut self) {
        self.rows.end();
    }
}

/// Marks candidates whose rows are dead to all, and forgets them. Lets go of the table's pages.
pub fn mark(
    pages: &PgPages,
    ivf: &IvfIndex,
    rows: &mut HeapRows,
    dead: &mut Vec<Hit>,
) -> Result<(), Error> {
    if dead.is_empty() {
        return Ok(());
    }
    let mut is_dead = |tid| rows.is_dead(tid);
    lists::marks::mark(pages, &ivf.meta.lists, dead, &mut is_dead)?;
    dead.clear();
    rows.rest();
    Ok(())
}

/// The next row of a scan, with its exact key for a distance. `table` has the keys of the table's rows.
pub fn next_row<E: Column>(
    scan: &mut CodedScan,
    pages: &PgPages,
    view: &View<'_>,
    code: &TrainedCode,
    query: &ExactQuery,
    table: &mut dyn Exact,
) -> Result<Option<Found>, Error> {
    let lists = view.lists;
    match &code.stored {
        Stored::None => scan.next(pages, view, None, table),
        Stored::Flat => {
            let mut stored = StoredRows::new(pages, lists, |row: &[E]| query.key(row))?;
            scan.next(pages, view, Some(&mut stored), table)
        }
        Stored::SqFp16 => {
            let mut stored = StoredRows::new(pages, lists, |row: &[f16]| query.key(row))?;
            scan.next(pages, view, Some(&mut stored), table)
        }
        Stored::Sq8(sq) => {
            let key = |row: &[u8]| query.key::<f32>(&sq.decode(row));
            let mut stored = StoredRows::new(pages, lists, key)?;
            scan.next(pages, view, Some(&mut stored), table)
        }
    }
}

/// Exact keys from the rows of the table that the scan's snapshot sees.
pub struct TableRows<'a, E> {
    rows: &'a mut HeapRows,
    tids: &'a mut Vec<Tid>,
    /// Takes the candidates whose rows are dead to all.
    dead: &'a mut Vec<Hit>,
    query: &'a ExactQuery,
    dims: usize,
    /// Whether candidates come with their real keys, so that it is only asked whether they have a row.
    pub has_keys: bool,
    element: PhantomData<E>,
}

impl<'a, E: Column> TableRows<'a, E> {
    /// Vectors of `dims` elements; `tids` is reused.
    pub fn new(
        rows: &'a mut HeapRows,
        tids: &'a mut Vec<Tid>,
        dead: &'a mut Vec<Hit>,
        query: &'a ExactQuery,
        dims: usize,
    ) -> Self {
        Self { rows, tids, dead, query, dims, has_keys: false, element: PhantomData }
    }
}

impl<E: Column> Exact for TableRows<'_, E> {
    fn keys(&mut self, candidates: &[Hit], each: &mut dyn FnMut(usize, f64)) -> Result<(), Error> {
        self.tids.clear();
        self.tids.extend(candidates.iter().map(|hit| Tid::from_u64(hit.id)));
        if self.has_keys {
            self.rows.locate(self.tids, |i, row| {
                if let Some(candidate) = candidates.get(i).filter(|_| row.is_some()) {
                    each(i, candidate.key);
                }
            });
        } else {
            let query = self.query;
            self.rows.visit::<E>(self.tids, self.dims, |i, elements| each(i, query.key(elements)));
        }
        let dead = self.rows.take_dead();
        self.dead.extend(dead.iter().filter_map(|(_, number)| candidates.get(*number as usize)));
        // No pin may outlast the call of the executor.
        self.rows.rest();
        Ok(())
    }
}

/// Exact keys of all candidates but one.
pub struct Others<'a> {
    pub rows: &'a mut dyn Exact,
    pub left_out: Tid,
}

impl Exact for Others<'_> {
    fn keys(&mut self, candidates: &[Hit], each: &mut dyn FnMut(usize, f64)) -> Result<(), Error> {
        let left_out = self.left_out.to_u64();
        self.rows.keys(candidates, &mut |i, key| {
            if candidates.get(i).is_some_and(|hit| hit.id != left_out) {
                each(i, key);
            }
        })
    }
}
