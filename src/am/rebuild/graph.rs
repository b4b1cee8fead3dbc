//! The recall curve of a graph is measured again once the graph has other rows than those that it was measured on: rows of the
//! table ask for their neighbours among all rows, as at a build.

use ann::element::Bits;
use ann::rng::Rng;
use half::f16;
use pages::hnsw::due::due;
use pages::hnsw::vacuum::{stats, tids};
use pages::tid::Tid;
use pages::tid_set::TidSet;
use pgrx::pg_sys;

use super::rows::TableRows;
use super::survey::{ROWS_ASKED, young};
use super::{Maintained, with_rights};
use crate::am::fit::spread;
use crate::am::graph::{HnswIndex, SparseNeighbours};
use crate::am::insert::Placed;
use crate::am::interrupts::check_for_interrupts;
use crate::am::opclass::{ElementType, opclass_of};
use crate::am::pages::PgPages;
use crate::am::recall_target::{GraphNeighbours, QUERIES_OF_GRAPH};
use crate::am::report::checked;
use crate::am::value::Column;

/// Rows that are compared with those that ask at once, on worker threads; fewer of large ones.
const ROWS_TOGETHER: usize = 4096;
const BYTES_TOGETHER: usize = 4 << 20;

/// Measures a graph if that is due, beside scans and inserts. The caller keeps VACUUM and others who would do the same off the
/// table.
pub fn measure_if_due(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    pages: &PgPages,
    graph: &HnswIndex,
) -> Option<Maintained> {
    let n = checked(index, stats(pages, &graph.view())).live;
    with_rights(table, index, || {
        // SAFETY: the caller holds both open.
        let rows = unsafe { TableRows::new(table, index, graph.meta.params.dims) };
        let mut of = Rows { index, pages, graph, rows, tids: None };
        let due = due(&graph.meta.measured, n, || of.young())?;
        match opclass_of(index).element {
            ElementType::F32 => of.measure::<f32>(),
            ElementType::F16 => of.measure::<f16>(),
            ElementType::Bit => of.measure::<Bits>(),
            ElementType::Sparse => of.measure_sparse(),
        }
        Some(Maintained::Measured { due, rows: n })
    })
}

/// The rows of a graph.
struct Rows<'a> {
    index: pg_sys::Relation,
    pages: &'a PgPages,
    graph: &'a HnswIndex,
    rows: TableRows,
    /// None until somebody asks for them.
    tids: Option<TidSet>,
}

impl Rows<'_> {
    fn tids(&mut self) -> &TidSet {
        let (index, pages, graph) = (self.index, self.pages, self.graph);
        self.tids.get_or_insert_with(|| checked(index, tids(pages, &graph.view())))
    }

    /// Some rows, spread over all.
    fn some(&mut self, n: usize) -> Vec<Tid> {
        let mut rng = Rng::new(self.graph.meta.params.seed);
        let tids = self.tids();
        spread(tids.len(), n, &mut rng).filter_map(|i| tids.get(i)).collect()
    }

    /// The share of rows that came since the last measurement; None where that is not known.
    fn young(&mut self) -> Option<f64> {
        let sample = self.some(ROWS_ASKED);
        young(self.graph.meta.measured.xid, &sample, &mut self.rows)
    }

    fn measure<E: Column>(&mut self) {
        let params = &self.graph.meta.params;
        let (metric, dims) = (params.metric, params.dims);
        let mut asking = Vec::new();
        for tid in self.some(QUERIES_OF_GRAPH) {
            self.rows.fetch_live::<E>(tid, |elements| {
                if Placed::new(metric, elements).is_some() {
                    asking.extend(E::widened(elements, dims));
                }
            });
        }
        let mut neighbours = GraphNeighbours::<E>::new(metric, dims, &asking);
        let row_bytes = (E::count(dims) * size_of::<E>()).max(1);
        let together = (BYTES_TOGETHER / row_bytes).clamp(1, ROWS_TOGETHER);
        let all = self.tids.take().unwrap_or_default();
        let (mut tids, mut elements) = (Vec::new(), Vec::new());
        for tid in all.iter() {
            check_for_interrupts();
            self.rows.fetch_live::<E>(tid, |row| {
                if Placed::new(metric, row).is_some() {
                    tids.push(tid);
                    elements.extend_from_slice(row);
                }
            });
            if tids.len() == together {
                neighbours.see(&tids, &elements);
                tids.clear();
                elements.clear();
            }
        }
        neighbours.see(&tids, &elements);
        neighbours.measure(self.index);
    }

    fn measure_sparse(&mut self) {
        let params = &self.graph.meta.params;
        let (index, of) = (self.index, (params.metric, params.dims));
        let mut neighbours = SparseNeighbours::new(params.metric);
        for tid in self.some(QUERIES_OF_GRAPH) {
            // SAFETY: the operator class says that the column holds sparse vectors.
            self.rows.value_live(tid, &mut |value| unsafe { neighbours.ask(index, value, of) });
        }
        let all = self.tids.take().unwrap_or_default();
        for tid in all.iter() {
            check_for_interrupts();
            // SAFETY: as above.
            self.rows.value_live(tid, &mut |value| unsafe {
                neighbours.see_value(index, tid, value, of)
            });
        }
        neighbours.measure(index);
    }
}
