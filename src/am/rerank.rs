//! Searching a coded index: candidates from the lists, real distances from the table's rows or from the vectors that the
//! index stores.

use ann::codec::Stored;
use ann::element::Element;
use ann::topk::Hit;
use half::f16;
use pages::Error;
use pages::coded::exact::{ExactQuery, StoredRows};
use pages::coded::rerank::{Exact, RerankParams, CodedScan};
use pages::ivf::scan::{Found, SearchParams};
use pages::tid::Tid;
use pgrx::pg_sys;

use super::opclass::ElementType;
use super::pages::PgPages;
use super::refetch::HeapRows;
use super::relation::IvfIndex;

/// A search of codes; its memory is reused from query to query.
pub struct CodedSearch {
    scan: CodedScan,
    rows: HeapRows,
    tids: Vec<Tid>,
    query: Option<(ExactQuery, ElementType)>,
}

impl CodedSearch {
    /// A search without a query.
    ///
    /// # Safety
    /// `scan` must outlive the result.
    pub unsafe fn new(scan: pg_sys::IndexScanDesc) -> Self {
        // SAFETY: the caller's promise; the element type is the operator class's.
        let rows = unsafe { HeapRows::new(scan) };
        Self { scan: CodedScan::new(), rows, tids: Vec::new(), query: None }
    }

    /// Starts over with the elements of a query.
    pub fn begin(
        &mut self,
        ivf: &IvfIndex,
        element: ElementType,
        query: &[f32],
        params: SearchParams,
        k_factor: usize,
    ) {
        let mut point = Vec::new();
        ivf.transform().apply(query, &mut point);
        let SearchParams { nprobe, iterative, max_scan_tuples, .. } = params;
        self.scan.begin(&point, RerankParams { nprobe, iterative, max_scan_tuples, k_factor });
        self.query = Some((ExactQuery::new(ivf.meta.metric, query), element));
    }

    /// The next row.
    pub fn next(&mut self, pages: &PgPages, ivf: &IvfIndex) -> Result<Option<Found>, Error> {
        match &self.query {
            Some((_, ElementType::F32)) => self.next_of::<f32>(pages, ivf),
            Some((_, ElementType::F16)) => self.next_of::<f16>(pages, ivf),
            None => Ok(None),
        }
    }

    fn next_of<E: Element>(
        &mut self,
        pages: &PgPages,
        ivf: &IvfIndex,
    ) -> Result<Option<Found>, Error> {
        let (Some((query, _)), Some(code)) = (&self.query, &ivf.code) else { return Ok(None) };
        let (view, meta) = (ivf.view(), &ivf.meta);
        let (rows, tids, dims) = (&mut self.rows, &mut self.tids, meta.dims);
        let element = std::marker::PhantomData::<E>;
        let mut table = TableRows { rows, tids, query, dims, element };
        match &code.stored {
            Stored::None => self.scan.next(pages, &view, None, &mut table),
            Stored::Flat => {
                let mut stored = StoredRows::new(pages, meta, |row: &[E]| query.key(row))?;
                self.scan.next(pages, &view, None, &mut stored)
            }
            Stored::SqFp16 => {
                let mut stored = StoredRows::new(pages, meta, |row: &[f16]| query.key(row))?;
                self.scan.next(pages, &view, Some(&mut stored), &mut table)
            }
            Stored::Sq8(sq) => {
                let key = |row: &[u8]| query.key::<f32>(&sq.decode(row));
                let mut stored = StoredRows::new(pages, meta, key)?;
                self.scan.next(pages, &view, Some(&mut stored), &mut table)
            }
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

/// Exact keys from the rows of the table that the scan's snapshot sees.
struct TableRows<'a, E> {
    rows: &'a mut HeapRows,
    tids: &'a mut Vec<Tid>,
    query: &'a ExactQuery,
    dims: usize,
    element: std::marker::PhantomData<E>,
}

impl<E: Element> Exact for TableRows<'_, E> {
    fn keys(&mut self, candidates: &[Hit], each: &mut dyn FnMut(usize, f64)) -> Result<(), Error> {
        self.tids.clear();
        self.tids.extend(candidates.iter().map(|hit| Tid::from_u64(hit.id)));
        let query = self.query;
        self.rows.visit::<E>(self.tids, self.dims, |i, elements| each(i, query.key(elements)));
        // No pin may outlast the call of the executor.
        self.rows.rest();
        Ok(())
    }
}
