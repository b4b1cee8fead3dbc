//! `faiss.train`: a model from the rows of a relation, with the sample and the training of CREATE INDEX.

use std::time::Instant;

use ann::Metric;
use ann::assign::Assigner;
use ann::codec::{CodeKind, CodeLoss, Coding};
use ann::element::Bits;
use ann::factory::Factory;
use ann::middle::Mean;
use ann::parallel;
use half::f16;
use pages::ModelName;
use pages::lists::meta::Fit;
use pgrx::{PgSqlErrorCode, pg_sys};

use super::super::build::IndexSpec;
use super::super::fit::Errors;
use super::super::guc;
use super::super::interrupts::check_for_interrupts;
use super::super::method::{FAISSFLAT, FAISSIVF};
use super::super::opclass::ElementType;
use super::super::options::IvfOptions;
use super::super::progress::{self, Phase};
use super::super::quantizers::Trained;
use super::super::report::Report;
use super::super::train::{self, Source, Untrained};
use super::column::{Column, method_oid};
use super::rows::ColumnRows;
use super::store::{self, Provenance};
use super::{BlobError, damaged};

/// Rows compared with what was trained on them.
const MEASURED_ROWS: usize = 1024;
/// So many between two looks at the job's cancel flag.
const MEASURED_AT_ONCE: usize = 8;

/// What is to be trained.
pub struct Request {
    pub name: ModelName,
    pub relation: pg_sys::Oid,
    pub column: String,
    /// None: inverted lists by the row count, vectors as they are.
    pub factory: Option<String>,
    pub metric: Metric,
    pub seed: u64,
    /// The most rows to draw; usize::MAX: as many as CREATE INDEX draws.
    pub sample_max: usize,
}

/// What came of it.
pub struct Made {
    pub factory: String,
    /// Rows trained on.
    pub trained_rows: u64,
    /// Mean errors of some of these, as `Fit` defines them; None where there is nothing to compare with.
    pub coarse_error: Option<f64>,
    pub code_error: Option<f64>,
    /// Bytes of the parameters.
    pub bytes: usize,
}

/// Trains and stores a model of the current role. Raises 42710 if the name is taken, 42501 if the role may not read the
/// column, 42703 or 42804 for no column of vectors, 22023 for what is no trainable index, 55000 for too few rows.
pub fn train(request: &Request) -> Made {
    // SAFETY: raises 25006 where nothing can be written.
    unsafe { pg_sys::PreventCommandIfReadOnly(c"faiss.train()".as_ptr()) };
    if store::owner(&request.name).is_some() {
        store::taken(&request.name);
    }
    let column = Column::of(request.relation, &request.column);
    let spec = plan(request, column.dims);
    let method = method_oid(spec.method);
    let _shown = progress::Shown::start(request.relation, method);
    let name = &column.name;
    let rows =
        ColumnRows::new(request.name, request.relation, &column.relation, name, request.sample_max);
    let started = Instant::now();
    progress::set_phase(Phase::SamplingRows);
    let mut sample = match column.element {
        ElementType::F32 => train::sample::<f32>(&rows, &spec),
        ElementType::F16 => train::sample::<f16>(&rows, &spec),
        ElementType::Bit => train::sample::<Bits>(&rows, &spec),
        // `Column::of` has refused it.
        ElementType::Sparse => train::Sample::of(Vec::new(), spec.dims),
    };
    let total_rows = sample.rows;
    let nlist = match train::choose_nlist(&rows, &sample, &spec) {
        Ok(nlist) => nlist,
        Err(why) => untrainable(&rows, &column, why),
    };
    let some = sample.some(MEASURED_ROWS, spec.dims);
    let trained = train::learn(&rows, sample, &spec, nlist);
    let fit = measured(&spec, &trained, &some);
    let made = keep(request, &column, &spec, trained, &fit, total_rows);
    say_trained(request, &made, total_rows, started);
    made
}

/// How well `rows` fit what was trained.
fn measured(spec: &IndexSpec, trained: &Trained, rows: &[f32]) -> Fit {
    let coarse = trained.coarse(spec);
    let loss = spec
        .code
        .zip(trained.codec.as_ref())
        .and_then(|(code, codec)| CodeLoss::new(code.kind, spec.dims, codec.params()));
    let errors = parallel::run(
        guc::build_threads(),
        |_job| check_for_interrupts(),
        |job| {
            let points = trained.transform(spec).apply_batch(rows, spec.dims, job);
            let n = points.len() / spec.dims;
            let (mut list_nos, mut distances) = (vec![0; n], vec![0.0; n]);
            Assigner::new(coarse).assign(&points, &mut list_nos, &mut distances, job);
            let mut errors = Errors::against_centroids(&coarse, &points, &distances);
            let Some(mut loss) = loss else { return errors };
            let groups = points.chunks(MEASURED_AT_ONCE * spec.dims);
            for (points, list_nos) in groups.zip(list_nos.chunks(MEASURED_AT_ONCE)) {
                if job.cancelled() {
                    break;
                }
                errors.add_codes(&mut loss, &coarse, points, list_nos, 0..list_nos.len());
            }
            errors
        },
    );
    let errors = errors.unwrap_or_default();
    let known = |mean: &Mean| mean.value().unwrap_or_default() as f32;
    let (coarse_error, code_error) = (known(&errors.coarse), known(&errors.code));
    Fit { coarse_error, code_error, ..Fit::default() }
}

fn keep(
    request: &Request,
    column: &Column,
    spec: &IndexSpec,
    trained: Trained,
    fit: &Fit,
    rows: u64,
) -> Made {
    let model = trained.into_model(spec, fit);
    let known = |error: f32| (error > 0.0).then_some(f64::from(error));
    // Without lists only RaBitQ codes what a row differs from the centroid by.
    let is_rabitq = model.code.is_some_and(|code| matches!(code.kind, CodeKind::RaBitQ { .. }));
    let coarse_error = known(fit.coarse_error).filter(|_| model.has_lists || is_rabitq);
    let code_error = known(fit.code_error);
    let factory = model.factory().to_string();
    let bytes = match model.to_bytes() {
        Ok(bytes) if bytes.len() <= pages::blob::SIZE_MAX => bytes,
        Ok(bytes) => damaged(&request.name, &BlobError::TooLarge { bytes: bytes.len() }),
        Err(e) => damaged(&request.name, &e),
    };
    let about = Provenance {
        name: &request.name,
        method: spec.method.name,
        factory: &factory,
        metric: spec.metric.name(),
        dims: spec.dims as i32,
        nlist: spec.method.has_lists.then_some(model.nlist() as i32),
        source: Some(store::Source {
            relation: &column.relation,
            column: &request.column,
            element_type: match column.element {
                ElementType::F32 => "vector",
                ElementType::F16 => "halfvec",
                ElementType::Bit => "bit",
                ElementType::Sparse => "sparsevec",
            },
            rows: rows as i64,
        }),
        trained_rows: model.trained_rows as i64,
        seed: spec.seed as i64,
        coarse_error,
        code_error,
    };
    store::insert(&about, &bytes);
    Made { trained_rows: model.trained_rows, bytes: bytes.len(), factory, coarse_error, code_error }
}

/// What an index with the model will be made of.
fn plan(request: &Request, dims: usize) -> IndexSpec {
    let parsed = request.factory.as_deref().and_then(|text| Factory::parse(text).ok());
    let method = match parsed {
        Some(Factory { nlist: None, .. }) => &FAISSFLAT,
        _ => &FAISSIVF,
    };
    let options = IvfOptions::parse(&method.family(), request.factory.clone(), request.seed)
        .unwrap_or_else(|refusal| Report::from(refusal).error());
    let spec = IndexSpec::new(method, &options, request.metric, dims);
    if !spec.is_to_be_trained() {
        Report::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            "factory string \"Flat\" has nothing to train",
        )
        .hint("Put IVFn before it, or choose a code, as in IVF1024,Flat or SQ8.")
        .error();
    }
    spec
}

/// An index can wait for its rows, a model without them would be nothing.
fn untrainable(rows: &ColumnRows, column: &Column, why: Untrained) -> ! {
    let code = PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
    let subject = rows.subject();
    let report = |what: String| Report::new(code, format!("{subject} cannot be trained: {what}"));
    match why {
        Untrained::NoRows => report("there are no vectors".into()).detail(format!(
            "The query is: SELECT {} FROM {}.",
            column.name.to_string_lossy(),
            column.relation
        )),
        Untrained::TooFew(n, kind) => {
            too_few(report(format!("{n} vectors are too few for {kind}")), kind)
        }
        Untrained::OneList => report("there are too few vectors for more than one list".into())
            .hint("Load more rows, or name a number of lists in a factory string."),
    }
    .error()
}

fn too_few(report: Report, kind: CodeKind) -> Report {
    report.detail(format!("It takes at least {}.", kind.rows_min()))
}

fn say_trained(request: &Request, made: &Made, rows: u64, started: Instant) {
    let shown = |error: Option<f64>| error.map_or_else(|| "none".into(), |e| format!("{e:.6}"));
    Report::new(
        PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
        format!(
            "model \"{}\": {} trained on {} of {rows} rows in {:.3} s, {} bytes",
            request.name,
            made.factory,
            made.trained_rows,
            started.elapsed().as_secs_f64(),
            made.bytes
        ),
    )
    .detail(format!(
        "Coarse error {}, code error {}.",
        shown(made.coarse_error),
        shown(made.code_error)
    ))
    .debug();
}
