//! `aminsert`: one row, coded if the index has a code, into the list of its nearest centroid, or into a graph.

use ann::codec::Coding;
use ann::element::Bits;
use ann::extent;
use ann::metric::Metric;
use half::f16;
use pages::Error;
use pages::lists::build::Payload;
use pages::lists::insert::Row;
use pages::lists::trained::TrainedCode;
use pages::tid::Tid;
use pgrx::{pg_guard, pg_sys};

use super::filter::Encoder;
use super::graph;
use super::list_lock::ListLock;
use super::method::method_of;
use super::opclass::{ElementType, n_columns, vector_column};
use super::pages::PgPages;
use super::rebuild;
use super::rel::tid_of;
use super::relation::{Index, IvfIndex, cached_index};
use super::report::{checked, wrong_dimensions};
use super::value::{Column, Value};

/// A row's vector with what the list needs to know of it. Under cosine a vector of zeros has no direction,
/// no distance, and is not indexed: None. One so short that its squared norm is 0 has what the operator says.
pub struct Placed<'a, E> {
    pub elements: &'a [E],
    pub norm_sqr: f32,
}

impl<'a, E: Column> Placed<'a, E> {
    pub fn new(metric: Metric, elements: &'a [E]) -> Option<Self> {
        if !metric.has_norms() {
            return Some(Self { elements, norm_sqr: 0.0 });
        }
        let norm_sqr = E::norm_sqr(elements);
        let has_direction = metric.has_origin() || norm_sqr > 0.0 || !E::is_zero(elements);
        has_direction.then_some(Self { elements, norm_sqr })
    }
}

/// # Safety
/// Called by the server with an open, locked index and one value per column.
#[pg_guard]
#[allow(clippy::too_many_arguments, reason = "the server's signature")]
pub unsafe extern "C-unwind" fn aminsert(
    index: pg_sys::Relation,
    values: *mut pg_sys::Datum,
    isnull: *mut bool,
    heap_tid: pg_sys::ItemPointer,
    heap: pg_sys::Relation,
    _check_unique: pg_sys::IndexUniqueCheck::Type,
    _index_unchanged: bool,
    _info: *mut pg_sys::IndexInfo,
) -> bool {
    let ((vector, class), n) = (vector_column(index), n_columns(index));
    // SAFETY: the server's contract: a value for each column, a valid tid, a relation open for the call.
    unsafe {
        if *isnull.add(vector) {
            return false;
        }
        let tid = tid_of(heap_tid);
        let (all, nulls) =
            (std::slice::from_raw_parts(values, n), std::slice::from_raw_parts(isnull, n));
        let mut encoder = (n > 1).then(|| Encoder::new(index));
        let attributes = encoder.as_mut().map_or(&[][..], |encoder| encoder.encode(all, nulls));
        let value = *values.add(vector);
        match class.element {
            ElementType::F16 => insert::<f16>(heap, index, tid, value, attributes),
            ElementType::F32 => insert::<f32>(heap, index, tid, value, attributes),
            ElementType::Bit => insert::<Bits>(heap, index, tid, value, attributes),
            ElementType::Sparse => graph::sparse::insert(index, tid, (value, attributes)),
        }
    }
    false
}

/// # Safety
/// `index` must be open, as its table `heap`, and `value` a vector of element type `E`.
unsafe fn insert<E: Column>(
    heap: pg_sys::Relation,
    index: pg_sys::Relation,
    tid: Tid,
    value: pg_sys::Datum,
    attributes: &[u8],
) {
    // SAFETY: the caller's promise.
    let (mut pages, vector) = unsafe { (PgPages::new(index), E::read(value)) };
    let is_graph = method_of(index).is_some_and(|method| method.is_graph);
    // Lists must not be replaced before the row is in them.
    let lock = (!is_graph).then(|| ListLock::shared(index));
    let cached = cached_index(index, &pages);
    pages.remember(cached.recent());
    let (metric, dims) = cached.metric_and_dims();
    if vector.dims() != dims {
        wrong_dimensions(dims, vector.dims());
    }
    let Some(row) = Placed::new(metric, vector.elements()) else { return };
    match cached {
        Index::Graph(graph) => graph::insert(index, &pages, &graph, tid, &row, attributes),
        Index::Lists(_) if is_graph => {
            graph::insert_into_list(index, &pages, tid, &row, attributes);
        }
        Index::Lists(lists) => {
            insert_into_lists(index, &pages, &lists, tid, &row, attributes);
            drop(lock);
            rebuild::train_if_due::<E>(heap, index, &pages, &lists);
        }
    }
}

/// Adds a row to the list of its nearest centroid.
pub fn insert_into_lists<E: Column>(
    index: pg_sys::Relation,
    pages: &PgPages,
    ivf: &IvfIndex,
    tid: Tid,
    row: &Placed<'_, E>,
    attributes: &[u8],
) {
    let inserted = match &ivf.code {
        Some(code) => insert_coded(pages, ivf, code, tid, (row.elements, attributes)),
        None => insert_flat(pages, ivf, tid, row, attributes),
    };
    checked(index, inserted);
}

/// A row whose vector is stored as the column has it.
fn insert_flat<E: Column>(
    pages: &PgPages,
    ivf: &IvfIndex,
    tid: Tid,
    row: &Placed<'_, E>,
    attributes: &[u8],
) -> Result<(), Error> {
    let metric = ivf.meta.metric();
    let point = E::widened(row.elements, ivf.meta.dims());
    let (list_no, distance) = ivf.assign(pages, &point)?;
    let norm = [row.norm_sqr];
    let row = Row {
        list_no,
        tid,
        coarse_distance: member_distance(metric, distance, row.norm_sqr),
        code: &[],
        factors: if metric.has_norms() { &norm } else { &[] },
        attributes,
        vector: bytemuck::cast_slice(row.elements),
    };
    pages::lists::insert::insert(pages, &ivf.meta.lists, None, &row)
}

fn insert_coded<E: Column>(
    pages: &PgPages,
    ivf: &IvfIndex,
    trained: &TrainedCode,
    tid: Tid,
    (elements, attributes): (&[E], &[u8]),
) -> Result<(), Error> {
    let TrainedCode { codec, stored, .. } = trained;
    let mut point = Vec::new();
    ivf.transform().apply(&E::widened(elements, ivf.meta.dims()), &mut point);
    let (list_no, coarse_distance) = ivf.assign(pages, &point)?;
    let mut centroid = Vec::new();
    if let Some(quantizer) = &ivf.quantizer {
        quantizer.centroid(pages, list_no, &mut centroid)?;
    }
    let payload = Payload::new(&ivf.meta.lists.layout, codec.bare_size());
    let (mut code, mut factors) = (vec![0; payload.code], vec![0.0; codec.n_factors()]);
    codec.encode(&point, &centroid, &mut code, &mut factors);
    let mut vector = vec![0; payload.vector];
    stored.put(elements, &mut vector);
    let row = Row {
        list_no,
        tid,
        coarse_distance,
        code: &code,
        factors: &factors,
        attributes,
        vector: &vector,
    };
    pages::lists::insert::insert(pages, &ivf.meta.lists, Some(codec), &row)
}

/// A row's distance to its list's centroid as the list keeps it: what the coarse quantizer gives,
/// but under cosine for the unit vector.
pub fn member_distance(metric: Metric, coarse_distance: f32, norm_sqr: f32) -> f32 {
    if metric == Metric::Cosine {
        extent::of_unit(coarse_distance, norm_sqr)
    } else {
        coarse_distance
    }
}
