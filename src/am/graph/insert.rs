//! `aminsert` of a graph, and of a list that is to become one.

use pages::hnsw::insert::Row;
use pages::tid::Tid;
use pgrx::pg_sys;

use super::coder::Coder;
use super::convert::make_graph;
use super::index::HnswIndex;
use crate::am::insert::{Placed, insert_into_lists};
use crate::am::list_lock::ListLock;
use crate::am::pages::PgPages;
use crate::am::relation::{Index, cached_index};
use crate::am::report::checked;
use crate::am::value::Column;

/// Adds a row to a graph.
pub fn insert<E: Column>(
    index: pg_sys::Relation,
    pages: &PgPages,
    graph: &HnswIndex,
    tid: Tid,
    row: &Placed<'_, E>,
    attributes: &[u8],
) {
    let coder = Coder::new(&graph.meta.params, graph.view().grid);
    let (point, mut stored) = (coder.point(row.elements), Vec::new());
    coder.store(row.elements, &mut stored);
    let row = Row { tid, point: &point, stored: &stored, attributes };
    checked(index, graph.insert(pages, &row));
}

/// Adds a row to a list, unless it has become a graph meanwhile, and makes a graph of the list if it is long enough.
pub fn insert_into_list<E: Column>(
    index: pg_sys::Relation,
    pages: &PgPages,
    tid: Tid,
    row: &Placed<'_, E>,
    attributes: &[u8],
) {
    let lock = ListLock::shared(index);
    match cached_index(index, pages) {
        Index::Graph(graph) => {
            drop(lock);
            insert(index, pages, &graph, tid, row, attributes);
        }
        Index::Lists(list) => {
            insert_into_lists(index, pages, &list, tid, row, attributes);
            drop(lock);
            make_graph::<E>(index, pages, &list);
        }
    }
}
