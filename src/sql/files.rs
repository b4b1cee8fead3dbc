//! FAISS files, in and out: `faiss.import_model`, `faiss.export_model`, `faiss.export`, `faiss.read_file`. A file is a `bytea`, a large
//! object (`_lo`, where only the result can say so) or a path on the server (`_path`).

use ann::Metric;
use faissfile::{Decode, each_row};
use half::f16;
use pages::ModelName;
use pgrx::pg_sys::{self, Datum, Oid};
use pgrx::{PgSqlErrorCode, Spi};

use super::apply::require_may_alter;
use super::error::SqlError;
use super::fmgr::{Arguments, SqlResult, export};
use super::open_index::{OpenIndex, OpenTable};
use crate::am::datum::{MAX_DIMS, VarlenaBuf};
use crate::am::files::{
    self, Assembly, Fitting, Given, KeyColumn, NewFile, Opened, Shape, Wanted, raise,
};
use crate::am::graph::adopted::Guard;
use crate::am::models;
use crate::am::opclass::{ElementType, opclass_of};
use crate::am::options::{model_name, options_of};
use crate::am::progress::{self, Phase, Shown};
use crate::am::rel;
use crate::am::report::{Report, argument_is_null};

/// Why whoever sees some rows only may not export an index, and what to do instead.
const WHY_EVERY_ROW: (&str, &str) = (
    "A file of the index has the vectors and the keys of all rows.",
    "Let the table's owner, or a role that bypasses the policies, export it.",
);
/// Rows read between two reports of progress.
const REPORTED: u64 = 1000;

/// `faiss.import_model(name text, file bytea, metric text)`.
fn import_model(arguments: &Arguments) -> Result<Option<i32>, SqlError> {
    import(arguments, |n| Given::Bytes(arguments.datum(n)))
}

/// `faiss.import_model(name text, file oid, metric text)`.
fn import_model_lo(arguments: &Arguments) -> Result<Option<i32>, SqlError> {
    import(arguments, |n| Given::LargeObject(arguments.oid(n)))
}

/// `faiss.import_model_path(name text, path text, metric text)`.
fn import_model_path(arguments: &Arguments) -> Result<Option<i32>, SqlError> {
    import(arguments, |n| Given::Path(arguments.string(n)))
}

/// `faiss.read_file(file bytea, decode boolean)`.
fn read_file(arguments: &Arguments) -> Result<Option<i32>, SqlError> {
    read(arguments, Given::Bytes(arguments.datum(0)))
}

/// `faiss.read_file(file oid, decode boolean)`.
fn read_file_lo(arguments: &Arguments) -> Result<Option<i32>, SqlError> {
    read(arguments, Given::LargeObject(arguments.oid(0)))
}

/// `faiss.read_file_path(path text, decode boolean)`.
fn read_file_path(arguments: &Arguments) -> Result<Option<i32>, SqlError> {
    read(arguments, Given::Path(arguments.string(0)))
}

/// `faiss.import_graph(index regclass, key text, file bytea)`.
fn import_graph(arguments: &Arguments) -> Result<Option<i32>, SqlError> {
    adopt(arguments, &Given::Bytes(arguments.datum(2)))
}

/// `faiss.import_graph(index regclass, key text, file oid)`.
fn import_graph_lo(arguments: &Arguments) -> Result<Option<i32>, SqlError> {
    adopt(arguments, &Given::LargeObject(arguments.oid(2)))
}

/// `faiss.import_graph_path(index regclass, key text, path text)`.
fn import_graph_path(arguments: &Arguments) -> Result<Option<i32>, SqlError> {
    adopt(arguments, &Given::Path(arguments.string(2)))
}

/// `faiss.export_model(name text)`.
fn export_model(arguments: &Arguments) -> Result<Datum, SqlError> {
    Ok(models::export(&name_of(arguments)).into_bytea())
}

/// `faiss.export_model_lo(name text)`.
fn export_model_lo(arguments: &Arguments) -> Result<Oid, SqlError> {
    Ok(models::export(&name_of(arguments)).into_large_object())
}

/// `faiss.export_model_path(name text, path text)`.
fn export_model_path(arguments: &Arguments) -> Result<i64, SqlError> {
    let file = NewFile::create(&arguments.string(1));
    Ok(models::export(&name_of(arguments)).into_file(file) as i64)
}

/// `faiss.export(index regclass, key text, refine boolean)`.
fn export_index(arguments: &Arguments) -> Result<Datum, SqlError> {
    require(arguments, &["index", "key"]);
    Ok(exported(arguments, 2, Assembly::into_bytea))
}

/// `faiss.export_lo(index regclass, key text, refine boolean)`.
fn export_index_lo(arguments: &Arguments) -> Result<Oid, SqlError> {
    require(arguments, &["index", "key"]);
    Ok(exported(arguments, 2, Assembly::into_large_object))
}

/// `faiss.export_path(index regclass, key text, path text, refine boolean)`.
fn export_index_path(arguments: &Arguments) -> Result<i64, SqlError> {
    require(arguments, &["index", "key", "path"]);
    // Before the work: who may not write, or not there, is told at once.
    let new = NewFile::create(&arguments.string(2));
    Ok(exported(arguments, 3, |file| file.into_file(new) as i64))
}

export! {
    "import_model" => import_model;
    "import_model_lo" => import_model_lo;
    "import_model_path" => import_model_path;
    "import_graph" => import_graph;
    "import_graph_lo" => import_graph_lo;
    "import_graph_path" => import_graph_path;
    "read_file" => read_file;
    "read_file_lo" => read_file_lo;
    "read_file_path" => read_file_path;
    "export_model" => export_model;
    "export_model_lo" => export_model_lo;
    "export_model_path" => export_model_path;
    "export" => export_index;
    "export_lo" => export_index_lo;
    "export_path" => export_index_path;
}

fn import(
    arguments: &Arguments,
    given: impl FnOnce(usize) -> Given,
) -> Result<Option<i32>, SqlError> {
    let mut rows = arguments.rows();
    require(arguments, &["name", "file"]);
    let metric = (!arguments.is_null(2)).then(|| super::models::metric_of(&arguments.string(2)));
    let name = name_of(arguments);
    // SAFETY: the arguments of a call live as long as it.
    let made = unsafe { models::import(&name, &given(1), metric) };
    rows.put([
        made.factory.into_datum(),
        Metric::name(made.metric).to_owned().into_datum(),
        (made.ntotal as i64).into_datum(),
        (made.bytes as i64).into_datum(),
    ]);
    Ok(None)
}

fn read(arguments: &Arguments, given: Given) -> Result<Option<i32>, SqlError> {
    let mut rows = arguments.rows();
    let decode = if arguments.bool(1) { Decode::Lossy } else { Decode::Never };
    // SAFETY: the arguments of a call live as long as it.
    let mut file = unsafe { Opened::new(&given) };
    let index = faissfile::read(&mut file).unwrap_or_else(|e| raise(e));
    let dims = index.header.dims;
    if dims > MAX_DIMS {
        Report::new(
            PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            format!("FAISS file has vectors of {dims} dimensions"),
        )
        .detail(format!("A vector has at most {MAX_DIMS}."))
        .error();
    }
    let _shown = Shown::start(pg_sys::InvalidOid, pg_sys::InvalidOid);
    progress::set_phase(Phase::ReadingRows);
    progress::set_tuples_total(index.header.ntotal);
    let mut n = 0;
    let read = each_row(&mut file, &index, decode, &mut |id, vector| {
        if let Some(bad) = vector.iter().position(|x| !x.is_finite()) {
            not_finite(id, bad);
        }
        let value = VarlenaBuf::from_elements(vector.iter().copied()).into_datum();
        rows.put([id.into_datum(), Some(value)]);
        // SAFETY: made just now, and copied.
        unsafe { pg_sys::pfree(value.cast_mut_ptr()) };
        n += 1;
        if n % REPORTED == 0 {
            progress::set_tuples_done(n);
        }
        Ok(())
    });
    read.unwrap_or_else(|e| raise(e));
    Ok(None)
}

/// Takes the links of a file over, by REINDEX.
fn adopt(arguments: &Arguments, given: &Given) -> Result<Option<i32>, SqlError> {
    let mut rows = arguments.rows();
    let oid = arguments.oid(0);
    require_may_alter(oid);
    // SAFETY: the arguments of a call live as long as it.
    let mut file = unsafe { Opened::new(given) };
    let table = OpenTable::of(oid, WHY_EVERY_ROW);
    let lock = pg_sys::ShareLock as pg_sys::LOCKMODE;
    // SAFETY: an open table; what REINDEX would lock a moment later, before its rows are looked at.
    unsafe { pg_sys::LockRelationOid((*table.rel).rd_id, lock) };
    let index = OpenIndex::new(oid, pg_sys::AccessShareLock);
    let class = opclass_of(index.rel);
    let (Some(options), Some(dims)) = (options_of(index.rel).graph, rel::declared_dims(index.rel))
    else {
        no_graph(&rel::name(index.rel));
    };
    let shape = Shape { metric: class.metric, dims, m: options.m.into() };
    let fitting = Fitting::read(&mut file, &shape);
    let key = KeyColumn::of(table.rel, &arguments.string(1));
    let column = rel::key_column(index.rel);
    // SAFETY: table and snapshot as above; the operator class says what the column holds.
    let numbers = unsafe {
        match class.element {
            ElementType::F16 => fitting.rows_of::<f16>(&mut file, table.rel, key, column),
            ElementType::F32 => fitting.rows_of::<f32>(&mut file, table.rel, key, column),
            ElementType::Bit | ElementType::Sparse => no_graph(&rel::name(index.rel)),
        }
    };
    let name = rel::qualified_name(index.rel);
    // REINDEX wants an index that nobody uses.
    drop(index);
    drop(table);
    let guard = Guard::new(oid, fitting.links, numbers, fitting.n);
    if let Err(e) = Spi::run(&format!("REINDEX INDEX {name}")) {
        Report::new(
            PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
            format!("could not rebuild index {name}: {e}"),
        )
        .error();
    }
    let (adopted, all) = guard.counts();
    rows.put([(adopted as i64).into_datum(), ((all - adopted) as i64).into_datum()]);
    Ok(None)
}

fn no_graph(name: &str) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
        format!("index \"{name}\" cannot take the links of a FAISS graph"),
    )
    .hint("Indexes that can have access method faisshnsw, over vector or halfvec.")
    .error()
}

fn exported<R>(arguments: &Arguments, refine: usize, go: impl FnOnce(Assembly) -> R) -> R {
    let oid = arguments.oid(0);
    let table = OpenTable::of(oid, WHY_EVERY_ROW);
    let index = OpenIndex::new(oid, pg_sys::AccessShareLock);
    if !index.is_valid() {
        index.not_valid().error();
    }
    let wanted = Wanted {
        key: arguments.string(1),
        refine: (!arguments.is_null(refine)).then(|| arguments.bool(refine)),
    };
    // SAFETY: both are open and locked, the index is built, and a query runs with an active snapshot.
    let file = unsafe { files::export(table.rel, index.rel, &wanted) };
    go(file)
}

fn name_of(arguments: &Arguments) -> ModelName {
    model_name(&arguments.string(0)).unwrap_or_else(|refusal| Report::from(refusal).error())
}

/// Raises 22004 if one of the first arguments is NULL.
fn require(arguments: &Arguments, names: &[&str]) {
    for (n, name) in names.iter().enumerate() {
        if arguments.is_null(n) {
            argument_is_null(name);
        }
    }
}

fn not_finite(id: i64, component: usize) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_DATA_EXCEPTION,
        "FAISS file has a vector that is not finite",
    )
    .detail(format!("It is component {} of id {id}.", component + 1))
    .hint("Vectors here have finite numbers only: take it out in FAISS.")
    .error()
}
