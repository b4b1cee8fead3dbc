//! `ambuild` and `ambuildempty`: sample → k-means → assign → sort by list → write every page once.
//!
//! Two passes over the heap, both within maintenance_work_mem: the first draws the training sample
//! over the whole table, the second assigns every row in batches on worker threads and sorts by
//! list, spilling to temporary files. With a trained model the first pass is left out.

use ann::element::Bits;
use ann::metric::Metric;
use ann::rules;
use half::f16;
use pages::ModelName;
use pages::geometry::BITS_MAX;
use pages::hnsw;
use pages::lists::{CodeParams, ListsParams, MetaParams};
use pages::search::attributes::Attributes;
use pgrx::{PgBox, PgSqlErrorCode, pg_guard, pg_sys};

use super::assign;
use super::filter::Encoder;
use super::filter::columns::require_columns;
use super::graph;
use super::heap_scan::Heap;
use super::method::{Method, require_method};
use super::models::{self, Lookup};
use super::opclass::{ElementType, opclass_of};
use super::options::{IvfOptions, options_of, require_dims};
use super::pages::PgBulk;
use super::progress::{self, Phase};
use super::quantizers::Trained;
use super::rel;
use super::report::Report;
use super::train;
use super::value::Column;

/// Vectors of fewer components are not coded unless it is asked for: they take less than the rest of their row.
pub const CODED_DIMS_MIN: usize = 65;

/// What an index is to be made of: what its options and its column say, and does not change until it is built again.
#[derive(Clone, Copy)]
pub struct IndexSpec {
    pub method: &'static Method,
    pub metric: Metric,
    pub dims: usize,
    /// As the user wrote it; 0 = automatic.
    pub nlist_option: u32,
    pub seed: u64,
    /// None: vectors are stored as the column has them.
    pub code: Option<CodeParams>,
    /// Whether the build chooses the code by the rows: until it has, `code` is what it tries first.
    pub is_code_chosen: bool,
    /// The model that all this comes from.
    pub model: Option<ModelName>,
    /// The next transaction id before the rows are read.
    pub built_xid: u64,
    /// What entries have beside their vectors.
    pub attributes: Attributes,
}

impl IndexSpec {
    pub fn of(index: pg_sys::Relation, metric: Metric) -> Self {
        let (method, options) = (require_method(index), options_of(index));
        if !rel::has_type_of_opclass(index) {
            type_not_supported(method);
        }
        let Some(dims) = rel::declared_dims(index) else {
            Report::new(
                PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                "column does not have dimensions",
            )
            .hint("Declare the column or the index expression with a number of dimensions, as in vector(384).")
            .error();
        };
        if opclass_of(index).element == ElementType::Sparse {
            graph::sparse::require_fit(method, &options);
        }
        let attributes = Encoder::new(index).attributes();
        Self { attributes, ..Self::new(method, &options, metric, dims) }
    }

    /// What these options mean for vectors of `dims` elements. Raises 22023 if there is no such index.
    pub fn new(method: &'static Method, options: &IvfOptions, metric: Metric, dims: usize) -> Self {
        require_dims(options, dims);
        refuse_unbuilt(method, options);
        refuse_unfit(method, options, metric);
        if options.is_binary && !metric.is_of_bits() {
            refuse_binary();
        }
        if metric.is_of_bits() {
            require_bits_fit(method, dims);
        }
        let gains = metric.has_codes() && dims >= CODED_DIMS_MIN;
        let kind = options.code.filter(|_| gains || !options.is_code_chosen);
        let code = kind.map(|kind| CodeParams {
            kind,
            refine: options.refine,
            rotation: options.rotation,
            normalize: options.normalize,
        });
        let (nlist_option, seed, model) = (options.nlist, options.seed, options.model);
        let (built_xid, attributes) = (rel::next_xid(), Attributes::default());
        let is_code_chosen = options.is_code_chosen && code.is_some();
        Self {
            method,
            metric,
            dims,
            nlist_option,
            seed,
            code,
            is_code_chosen,
            model,
            built_xid,
            attributes,
        }
    }

    /// With the code that the training chose.
    pub fn with_code_of(&self, trained: &Trained) -> Self {
        let is_known = self.is_code_chosen && trained.is_trained();
        Self { code: if is_known { trained.code } else { self.code }, ..*self }
    }

    /// Takes what the model says in place of the options, and what it was trained to. None without a model, untrained and
    /// without its name where a restore has not brought it yet. Raises 42704, 42501 or 22023 if there is no such model for
    /// this index.
    fn take_model(&mut self) -> Option<Trained> {
        let model = match models::load_for(self) {
            Lookup::None => return None,
            Lookup::Found(model) => model,
            Lookup::Awaited => {
                self.model = None;
                return Some(Trained::untrained());
            }
        };
        self.code = model.code;
        self.seed = model.seed;
        self.nlist_option = if model.has_lists { model.nlist() as u32 } else { 0 };
        Some(models::trained(self, model))
    }

    /// Whether the build has anything to learn from the rows.
    pub fn is_to_be_trained(&self) -> bool {
        self.method.has_lists || self.code.is_some()
    }

    pub fn params<E: Column>(&self, trained: &Trained) -> MetaParams {
        MetaParams {
            lists: ListsParams {
                element: E::TAG,
                metric: self.metric,
                dims: self.dims,
                // An index that could not be trained keeps vectors as they are.
                code: self.code.filter(|_| trained.codec.is_some()),
                attributes: self.attributes,
            },
            nlist_option: self.nlist_option,
            seed: self.seed,
            trained_rows: trained.rows,
            fit: trained.fit.unwrap_or_default(),
            model: self.model,
            built_xid: self.built_xid,
            is_code_chosen: self.is_code_chosen && trained.is_trained(),
        }
    }
}

/// Raises 22023 for what options can say and the build cannot make.
fn refuse_unbuilt(method: &Method, options: &IvfOptions) {
    if options.code.is_some() || !options.normalize {
        return;
    }
    Report::new(
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        format!(
            "factory part \"L2norm\" with \"Flat\" is not supported by access method \"{}\"",
            method.name
        ),
    )
    .hint("Use an operator class for cosine distance, which divides by the norm itself.")
    .error()
}

/// Raises 22023 for what knows other distances only: centroids and lossy codes.
fn refuse_unfit(method: &Method, options: &IvfOptions, metric: Metric) {
    let of_graph = options.graph.filter(|_| metric.is_of_bits()).and_then(|graph| graph.code);
    let asked_for = options.code.filter(|_| !options.is_code_chosen);
    let code = asked_for.map(|code| code.name()).or(of_graph.map(|code| code.name()));
    let (what, hint) = match code {
        _ if method.has_lists && !metric.has_centroids() => {
            (format!("access method \"{}\"", method.name), "Use access method faissflat.")
        }
        Some(code) if !metric.has_codes() => (
            format!("code \"{code}\""),
            "Use code flat, or an operator class for another distance.",
        ),
        _ => return,
    };
    let distance = match metric {
        Metric::Hamming => "Hamming",
        Metric::Jaccard => "Jaccard",
        _ => "taxicab",
    };
    Report::new(
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        format!("{what} does not support operator classes for {distance} distance"),
    )
    .hint(hint)
    .error()
}

/// Raises 22023 for a factory string of FAISS's binary indexes over floats.
fn refuse_binary() -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        "factories BFlat, BIVF and BHNSW are for columns of type bit",
    )
    .hint("Leave out the B.")
    .error()
}

/// Raises 54000 where a vector of `dims` bits has no room in an index.
fn require_bits_fit(method: &Method, dims: usize) {
    let most = if method.is_graph { hnsw::BITS_MAX } else { BITS_MAX };
    if dims > most {
        Report::new(
            PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            format!("column cannot have more than {most} dimensions for {} index", method.name),
        )
        .detail(format!("It has {dims} bits."))
        .error();
    }
}

/// Raises 0A000 for a column of another type than the operator class's, which values are read as: one of `bit varying`,
/// whose lengths differ.
fn type_not_supported(method: &Method) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        format!("type not supported for {} index", method.name),
    )
    .hint("Declare the column, or cast it, as the type that the operator class is for: bit(n) instead of bit varying.")
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
    require_columns(index);
    let class = opclass_of(index);
    let mut spec = IndexSpec::of(index, class.metric);
    let named = spec.model;
    let model = spec.take_model();
    if let Some(name) = named.filter(|_| spec.model.is_none()) {
        models::warn_untrained(index, &name);
    }
    // SAFETY: the server's relations and IndexInfo, valid for the call.
    let heap = unsafe { Heap::new(heap, index, info) };
    let (heap_tuples, index_tuples) = match class.element {
        ElementType::F32 => build::<f32>(&heap, &spec, model),
        ElementType::F16 => build::<f16>(&heap, &spec, model),
        ElementType::Bit => build::<Bits>(&heap, &spec, model),
        ElementType::Sparse => {
            options_of(index).graph.map_or((0.0, 0), |o| graph::sparse::build(&heap, &spec, &o))
        }
    };
    // SAFETY: zeroed memory in the caller's memory context, as the server expects it.
    let mut result = unsafe { PgBox::<pg_sys::IndexBuildResult>::alloc0() };
    result.heap_tuples = heap_tuples;
    result.index_tuples = index_tuples as f64;
    result.into_pg()
}

fn build<E: Column>(heap: &Heap, spec: &IndexSpec, model: Option<Trained>) -> (f64, u64) {
    if let Some(options) = options_of(heap.index()).graph {
        return graph::build::<E>(heap, spec, &options);
    }
    let trained = model.unwrap_or_else(|| {
        if !spec.is_to_be_trained() {
            return Trained::untrained();
        }
        progress::set_phase(Phase::SamplingRows);
        let sample = train::sample::<E>(heap, spec);
        train::train(heap, sample, spec)
    });
    let spec = &spec.with_code_of(&trained);
    // SAFETY: the index is new, empty and locked by this command.
    let sink = unsafe { PgBulk::new(heap.index(), pg_sys::ForkNumber::MAIN_FORKNUM) };
    let params = spec.params::<E>(&trained);
    assign::assign_and_write::<E>(heap, spec, &params, &trained, sink)
}

/// # Safety
/// Called by the server with an unlogged index whose init fork is empty.
#[pg_guard]
pub unsafe extern "C-unwind" fn ambuildempty(index: pg_sys::Relation) {
    let class = opclass_of(index);
    let mut spec = IndexSpec::of(index, class.metric);
    let trained = spec.take_model().unwrap_or_else(Trained::untrained);
    // SAFETY: the fork was created empty for this call.
    let sink = unsafe { PgBulk::new(index, pg_sys::ForkNumber::INIT_FORKNUM) };
    let params = match class.element {
        ElementType::F32 => spec.params::<f32>(&trained),
        ElementType::F16 => spec.params::<f16>(&trained),
        ElementType::Bit => spec.params::<Bits>(&trained),
        ElementType::Sparse => return graph::sparse::build_empty(index, &spec, sink),
    };
    assign::write_empty(index, &params, &trained, sink);
}

/// maintenance_work_mem in bytes.
pub fn memory_bytes_max() -> usize {
    // SAFETY: a server setting in kB, at least 1 MB.
    usize::try_from(unsafe { pg_sys::maintenance_work_mem }).unwrap_or(0) << 10
}

/// The lists that `n` rows get: the option, or by rule, within what can be trained. One where there are no lists.
pub fn nlist_for(spec: &IndexSpec, n: u64) -> u32 {
    match spec.nlist_option {
        _ if !spec.method.has_lists => 1,
        0 => rules::optimal_nlist(n),
        nlist => nlist,
    }
}
