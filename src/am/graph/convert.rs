//! A list that has grown becomes a graph: in memory, then behind the pages of the list, and last with one change of the
//! metapage.

use std::rc::Rc;

use pages::Error;
use pages::lists;
use pgrx::{PgSqlErrorCode, pg_sys};

use super::GRAPH_MIN;
use super::build::graph_params;
use super::coder::Coder;
use super::memory::Memory;
use super::plan::{Plan, plan};
use super::rows::Rows;
use super::vectors::Vectors;
use super::write::write_behind;
use crate::am::build::IndexSpec;
use crate::am::list_lock::ListLock;
use crate::am::opclass::opclass_of;
use crate::am::options::options_of;
use crate::am::pages::{PgAppend, PgPages};
use crate::am::rel;
use crate::am::relation::{Index, IvfIndex, cached_index};
use crate::am::report::{Report, checked};
use crate::am::train::Sample;
use crate::am::value::Column;

/// Makes a graph of a list of enough rows, unless somebody is at work on the list: then a later insert will.
pub fn make_graph<E: Column>(index: pg_sys::Relation, pages: &PgPages, list: &Rc<IvfIndex>) {
    let stats = checked(index, lists::vacuum::stats(pages, &list.meta.lists));
    if stats.live < GRAPH_MIN {
        return;
    }
    let Some(lock) = ListLock::alone(index) else { return };
    // Somebody may have been faster.
    if let Index::Lists(list) = cached_index(index, pages) {
        checked(index, convert::<E>(index, pages, &list, stats.live));
        Report::new(
            PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
            format!("index \"{}\" has become a graph of {} rows", rel::name(index), stats.live),
        )
        .debug();
    }
    drop(lock);
}

fn convert<E: Column>(
    index: pg_sys::Relation,
    pages: &PgPages,
    list: &IvfIndex,
    n: u64,
) -> Result<(), Error> {
    let Some(options) = options_of(index).graph else { return Ok(()) };
    let spec = IndexSpec::of(index, opclass_of(index).metric);
    let sample = sample::<E>(pages, list, n)?;
    let params = graph_params::<E>(&spec, &options, sample.n());
    let Plan { params, grid, by_vectors } = plan(index, &params, sample);
    let coder = Coder::new(&params, &grid);
    let code_bytes = grid.size();
    let memory = Memory::new(&params, by_vectors, size_of::<E>());
    let vectors = Vectors::new(coder.stored_size::<E>(), memory.vectors(n));
    let mut rows = Rows::new(code_bytes, params.dims, by_vectors, vectors).with(&params.attributes);
    let mut stored = Vec::new();
    lists::rows::for_each_row(pages, &list.meta, |row| {
        let elements = elements_of::<E>(row.vector);
        coder.store(&elements, &mut stored);
        rows.attributes.add(row.attributes);
        rows.add(&[row.tid], &coder.code(&elements), &stored, n as usize)
    })?;
    // SAFETY: the index is open, and the lock on its metapage keeps everybody off who could add pages.
    let sink = unsafe { PgAppend::new(index) };
    write_behind(&params, &grid, rows, memory.points(n), sink)
}

/// Rows of the list, spread over it evenly, as far as memory has room.
fn sample<E: Column>(pages: &PgPages, list: &IvfIndex, n: u64) -> Result<Sample, Error> {
    let dims = list.meta.dims();
    let wanted = Sample::rows_max_of_graph(dims) as u64;
    let every = n.div_ceil(wanted).max(1);
    let mut points = Vec::new();
    let mut i = 0;
    lists::rows::for_each_row(pages, &list.meta, |row| {
        if i % every == 0 {
            let elements = elements_of::<E>(row.vector);
            points.extend(E::widened(&elements, dims));
        }
        i += 1;
        Ok(())
    })?;
    Ok(Sample::of(points, dims))
}

/// Elements as a page has them, where they need not be aligned.
fn elements_of<E: Column>(bytes: &[u8]) -> Vec<E> {
    bytes.chunks_exact(size_of::<E>()).map(bytemuck::pod_read_unaligned).collect()
}
