//! Graphs over sparse vectors that may be damaged.

use ann::hnsw::SparseQuery;
use ann::kernels::sparse::Sparse;

use super::opened::Graph;
use super::rows::{attributes_of, fill, vector_of};
use super::verbs::drain;
use crate::error::Error;
use crate::hnsw::Map;
use crate::hnsw::insert::Inserter;
use crate::hnsw::scan::{GraphParams, GraphScan};
use crate::hnsw::sparse::read::SparseNodes;
use crate::mem::MemPages;
use crate::tid::Tid;

/// Components of which the large ones are the elements.
const COMPONENTS: usize = 60;
/// From one position to the next.
const STEP: i32 = 16;

fn elements_of(vector: &[f32]) -> (Vec<i32>, Vec<f32>) {
    let large = vector.iter().zip(0i32..).filter(|(x, _)| x.abs() > 0.2);
    large.map(|(x, i)| (i * STEP, *x)).unzip()
}

/// What every scan looks for.
pub fn query_of(index: &Graph) -> SparseQuery {
    let mut vector = vec![0.0; COMPONENTS];
    fill(u64::MAX, &mut vector);
    let (indices, values) = elements_of(&vector);
    SparseQuery::new(index.meta.params.metric, Sparse { indices: &indices, values: &values })
}

/// How many rows a scan returns.
pub fn count(index: &Graph, mem: &MemPages, params: GraphParams) -> Result<usize, Error> {
    let map = Map::read(mem, &index.meta)?;
    let (view, query) = (index.view(&map), query_of(index));
    let mut scan = GraphScan::new();
    scan.begin(&[], params);
    scan.source().look_for(query.clone());
    let mut rows = SparseNodes::new(mem, view, &query);
    drain(|| scan.next(mem, &view, None, &mut rows))
}

/// Inserts a row.
pub fn insert(
    index: &Graph,
    mem: &MemPages,
    map: &Map,
    inserter: &mut Inserter,
    tid: Tid,
) -> Result<(), Error> {
    let (indices, values) = elements_of(&vector_of::<f32>(tid, COMPONENTS));
    let row = Sparse { indices: &indices, values: &values };
    let attributes = &attributes_of(tid, &index.meta.params.attributes);
    inserter.insert_sparse(mem, &index.view(map), tid, (row, attributes))
}
