//! `ambuild` and `ambuildempty`: sample → k-means → assign → sort by list → write every page once.
//!
//! Two passes over the heap, both within maintenance_work_mem: the first draws the training sample
//! over the whole table, the second assigns every row in batches on worker threads and sorts by
//! list, spilling to temporary files.

use ann::element::Element;
use ann::metric::Metric;
use ann::rules;
use half::f16;
use pages::ivf::build::build_empty;
use pages::meta::{CodeParams, MetaParams};
use pgrx::{PgBox, PgSqlErrorCode, pg_guard, pg_sys};

use super::assign;
use super::heap_scan::Heap;
use super::opclass::{ElementType, opclass_of};
use super::options::IvfOptions;
use super::pages::PgBulk;
use super::progress::{self, Phase};
use super::rel;
use super::report::{Report, checked};
use super::train::{self, Trained};

type AmBuild = unsafe extern "C-unwind" fn(
    pg_sys::Relation,
    pg_sys::Relation,
    *mut pg_sys::IndexInfo,
) -> *mut pg_sys::IndexBuildResult;

/// What is frozen into an index when it is built.
#[derive(Clone, Copy)]
pub struct Frozen {
    pub metric: Metric,
    pub dims: usize,
    /// As the user wrote it; 0 = automatic.
    pub nlist_option: u32,
    pub seed: u64,
    /// None: vectors are stored as the column has them.
    pub code: Option<CodeParams>,
}

impl Frozen {
    fn of(index: pg_sys::Relation, metric: Metric) -> Self {
        let options = IvfOptions::of(index);
        let Some(dims) = rel::declared_dims(index) else {
            Report::new(
                PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                "column does not have dimensions",
            )
            .hint("Declare the column or the index expression with a number of dimensions, as in vector(384).")
            .error();
        };
        options.require_dims(dims);
        refuse_unbuilt(&options);
        let code = options.code.map(|kind| CodeParams {
            kind,
            refine: options.refine,
            rotation: options.rotation,
            normalize: options.normalize,
        });
        Self { metric, dims, nlist_option: options.nlist, seed: options.seed, code }
    }

    fn params<E: Element>(&self, trained: &Trained) -> MetaParams {
        MetaParams {
            element: E::TAG,
            metric: self.metric,
            dims: self.dims,
            nlist_option: self.nlist_option,
            seed: self.seed,
            trained_rows: trained.rows,
            // An index that could not be trained keeps vectors as they are.
            code: self.code.filter(|_| trained.codec.is_some()),
        }
    }
}

/// Raises 22023 for what options can say and the build cannot make.
fn refuse_unbuilt(options: &IvfOptions) {
    if options.code.is_some() || !options.normalize {
        return;
    }
    Report::new(
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        "factory part \"L2norm\" with \"Flat\" is not supported by access method \"faissivf\"",
    )
    .hint("Use an operator class for cosine distance, which divides by the norm itself.")
    .error()
}

/// # Safety
/// Called by the server: both relations open, the index without pages.
#[pg_guard]
pub unsafe extern "C-unwind" fn ambuild(
    heap: pg_sys::Relation,
    index: pg_sys::Relation,
    info: *mut pg_sys::IndexInfo,
) -> *mut pg_sys::IndexBuildResult {
    let class = opclass_of(index);
    let frozen = Frozen::of(index, class.metric);
    // SAFETY: the server's relations and IndexInfo, valid for the call.
    let heap = unsafe { Heap::new(heap, index, info) };
    let (heap_tuples, index_tuples) = match class.element {
        ElementType::F32 => build::<f32>(&heap, &frozen),
        ElementType::F16 => build::<f16>(&heap, &frozen),
    };
    // SAFETY: zeroed memory in the caller's memory context, as the server expects it.
    let mut result = unsafe { PgBox::<pg_sys::IndexBuildResult>::alloc0() };
    result.heap_tuples = heap_tuples;
    result.index_tuples = index_tuples as f64;
    result.into_pg()
}

fn build<E: Element>(heap: &Heap, frozen: &Frozen) -> (f64, u64) {
    progress::set_phase(Phase::SamplingRows);
    let sample = train::sample::<E>(heap, frozen);
    let trained = train::train(heap, sample, frozen);
    // SAFETY: the index is new, empty and locked by this command.
    let sink = unsafe { PgBulk::new(heap.index(), pg_sys::ForkNumber::MAIN_FORKNUM) };
    let params = frozen.params::<E>(&trained);
    assign::assign_and_write::<E>(heap, frozen, &params, &trained, sink)
}

/// # Safety
/// Called by the server with an unlogged index whose init fork is empty.
#[pg_guard]
pub unsafe extern "C-unwind" fn ambuildempty(index: pg_sys::Relation) {
    let class = opclass_of(index);
    let frozen = Frozen::of(index, class.metric);
    let untrained = Trained::untrained();
    let params = match class.element {
        ElementType::F32 => frozen.params::<f32>(&untrained),
        ElementType::F16 => frozen.params::<f16>(&untrained),
    };
    // SAFETY: the fork was created empty for this call.
    let sink = unsafe { PgBulk::new(index, pg_sys::ForkNumber::INIT_FORKNUM) };
    checked(index, build_empty(sink, &params));
}

/// maintenance_work_mem in bytes.
pub fn memory_bytes_max() -> usize {
    // SAFETY: a server setting in kB, at least 1 MB.
    usize::try_from(unsafe { pg_sys::maintenance_work_mem }).unwrap_or(0) << 10
}

/// The lists that `n` rows get: the option, or by rule, within what can be trained.
pub fn nlist_for(frozen: &Frozen, n: u64) -> u32 {
    match frozen.nlist_option {
        0 => rules::optimal_nlist(n),
        nlist => nlist,
    }
}

/// Whether an open index is one of ours, and not a partitioned one (which has no pages).
pub fn is_faissivf(index: pg_sys::Relation) -> bool {
    // SAFETY: an open relation; rd_indam is null or its access method's table.
    let routine = unsafe { (*index).rd_indam.as_ref() };
    let callback = routine.and_then(|r| r.ambuild);
    callback.is_some_and(|f| std::ptr::fn_addr_eq(f, ambuild as AmBuild))
}
