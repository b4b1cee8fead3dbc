//! `faiss.recommend`: which index to build on a column, how large it will be, and why.

use ann::Metric;
use ann::codec::CodeKind;
use ann::tuning::curve::{TARGET_DEFAULT, TARGET_RANGE};
use pgrx::iter::TableIterator;
use pgrx::prelude::*;
use pgrx::{PgSqlErrorCode, name, pg_sys};

use super::choice::{Choice, FLAT_ROWS, Merit, PARTITION_ROWS, Wish, choose, graph_params};
use super::column::{Column, c_name, element_bytes};
use super::create_index::create_index;
use crate::am::graph::Memory;
use crate::am::method::FAISSFLAT;
use crate::am::opclass::ElementType;
use crate::am::report::{Report, argument_out_of_range};
use crate::am::train;

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity, reason = "a row type must stand in the signature")]
fn recommend(
    relation: Option<pg_sys::Oid>,
    column: Option<String>,
    target_recall: Option<f64>,
    memory_mb: Option<i32>,
    metric: Option<String>,
    rows: Option<i64>,
) -> TableIterator<
    'static,
    (name!(factory, String), name!(create_index, String), name!(bytes, i64), name!(why, String)),
> {
    let (Some(relation), Some(column)) = (relation, column) else {
        return TableIterator::new(std::iter::empty());
    };
    let target_recall = target_recall.unwrap_or(TARGET_DEFAULT);
    check_range(
        "target_recall",
        target_recall,
        target_recall > 0.0 && target_recall <= 1.0,
        "above 0, at most 1",
    );
    let memory_mb = memory_mb.map(|mb| {
        check_range("memory_mb", mb, mb > 0, "1 or more");
        u64::from(mb.unsigned_abs())
    });
    let rows = rows.map(|n| {
        check_range("rows", n, n >= 0, "0 or more");
        n.unsigned_abs()
    });
    let metric = metric.map(|name| metric_of(&name));
    let Some(name) = c_name(&column) else { return TableIterator::new(std::iter::empty()) };
    let column = Column::new(relation, &name, rows);
    TableIterator::once(advise(&column, target_recall, memory_mb, metric))
}

/// Raises 22023 for an argument outside its range.
fn check_range(name: &str, value: impl std::fmt::Display, is_valid: bool, valid: &str) {
    if !is_valid {
        argument_out_of_range(name, value, valid);
    }
}

/// The metric with this name.
fn metric_of(name: &str) -> Metric {
    const METRICS: [Metric; 4] = [Metric::L2, Metric::InnerProduct, Metric::Cosine, Metric::L1];
    METRICS.into_iter().find(|metric| metric.name() == name).unwrap_or_else(|| {
        Report::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("metric \"{name}\" does not exist"),
        )
        .hint("There are l2 (for operator <->), inner_product (<#>), cosine (<=>) and l1 (<+>).")
        .error()
    })
}

fn advise(
    column: &Column,
    target_recall: f64,
    memory_mb: Option<u64>,
    metric: Option<Metric>,
) -> (String, String, i64, String) {
    let metric = metric.unwrap_or_else(|| column.metric());
    let per_partition = column.rows / column.partitions;
    let (nlist, can_rotate) = train::affordable(column.dims, per_partition);
    // SAFETY: a plain variable of the server, fixed at its start.
    let shared = u64::from(unsafe { pg_sys::NBuffers }.unsigned_abs()) * u64::from(pg_sys::BLCKSZ);
    let memory = memory_mb.map_or(shared, |mb| mb << 20);
    let mut wish = Wish {
        rows: per_partition,
        // Where every partition is on a server of its own, the index of one has that server's memory.
        partitions: if is_all_elsewhere(column) { 1 } else { column.partitions },
        dims: column.dims,
        element: ElementType::F32,
        metric,
        out_of_line: column.out_of_line,
        target_recall,
        memory,
        nlist,
        can_rotate,
    };
    let Some((_, info)) = column.opclass(&FAISSFLAT, metric) else { no_opclass(metric) };
    wish.element = info.element;
    let choice = choose(&wish);
    let method = choice.candidate.method;
    let Some((opclass, _)) = column.opclass(method, metric) else { no_opclass(metric) };
    let target = own_target(&choice, target_recall);
    let statement = create_index(column, &opclass, &choice.candidate, target);
    let why = why(column, &wish, &choice, memory_mb.is_some());
    let bytes = i64::try_from(choice.bytes).unwrap_or(i64::MAX);
    (choice.candidate.factory.to_string(), statement, bytes, why)
}

fn no_opclass(metric: Metric) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
        format!(
            "the type of the column has no FAISS operator class for metric \"{}\"",
            metric.name()
        ),
    )
    .error()
}

/// Whether recall depends on how an index made of this is searched.
fn is_searched_in_part(choice: &Choice) -> bool {
    let candidate = &choice.candidate;
    candidate.method.has_lists || candidate.method.is_graph || candidate.factory.code.is_some()
}

/// The index's own target, where it differs from the default.
fn own_target(choice: &Choice, target_recall: f64) -> Option<f64> {
    let (least, most) = TARGET_RANGE;
    let target = target_recall.clamp(least, most);
    (is_searched_in_part(choice) && target != TARGET_DEFAULT).then_some(target)
}

/// The reasons, as sentences.
fn why(column: &Column, wish: &Wish, choice: &Choice, is_given: bool) -> String {
    let mut why = elsewhere(column);
    why.extend([rule(column, wish, choice), merit(wish, choice)]);
    why.push(memory(wish, choice, is_given));
    if let Some((smaller, bytes)) = &choice.smaller {
        why.push(format!("With less memory: {}, {}.", smaller.factory, size(*bytes)));
    }
    if is_searched_in_part(choice) {
        let (least, most) = TARGET_RANGE;
        why.push(format!(
            "The build measures which search settings reach a recall of {} on these data.",
            wish.target_recall.clamp(least, most)
        ));
    }
    if let Some(params) = graph_params(wish).filter(|_| choice.candidate.method.is_graph) {
        why.push(format!(
            "Build it with a maintenance_work_mem of {} MB or more: rows for which there is no room are inserted one by one, several times slower.",
            graph_megabytes(&params, wish)
        ));
    }
    if choice.candidate.method.has_lists && wish.nlist < ann::optimal_nlist(wish.rows) {
        why.push(format!(
            "maintenance_work_mem has room to train {} lists; {} would be better.",
            wish.nlist,
            ann::optimal_nlist(wish.rows)
        ));
    }
    if wish.rows > PARTITION_ROWS {
        why.push(
            "Partition the table, with some 50 million rows in each partition: the index of each is built, vacuumed and rebuilt on its own."
                .to_owned(),
        );
    }
    if column.is_cast {
        why.push(format!(
            "The column declares no dimensions, so the index is on {}, and queries must write the same; better declare them with ALTER TABLE.",
            column.key
        ));
    }
    why.join(" ")
}

/// Whether every partition is a foreign table.
fn is_all_elsewhere(column: &Column) -> bool {
    column.foreign > 0 && column.foreign == column.partitions
}

/// What to do about rows that are on other servers.
fn elsewhere(column: &Column) -> Vec<String> {
    let mut said = Vec::new();
    let (name, foreign) = (&column.relation, column.foreign);
    if is_all_elsewhere(column) && foreign == 1 {
        said.push(format!("The rows of {name} are on another server: build the index there, not here, under the name that the table has there."));
    } else if foreign > 0 {
        let place = if is_all_elsewhere(column) { "there, not here" } else { "there, too" };
        said.push(format!("The rows of {foreign} of {} partitions of {name} are on other servers: build the index {place}, on each under the name that the table has there.", column.partitions));
    }
    if column.is_distributed {
        said.push("Citus has distributed the table: CREATE INDEX builds an index of every shard, each of a part of the rows.".to_owned());
    }
    if column.unknown > 0 {
        said.push(format!(
            "Rows of foreign tables are counted by ANALYZE only: run ANALYZE {name}."
        ));
    }
    said
}

/// maintenance_work_mem that the graph of a partition is built in.
fn graph_megabytes(params: &pages::hnsw::MetaParams, wish: &Wish) -> u64 {
    Memory::new(params, false, element_bytes(wish.element)).megabytes_for(wish.rows)
}

/// What the number of rows says.
fn rule(column: &Column, wish: &Wish, choice: &Choice) -> String {
    let rows = match column.partitions {
        1 => format!("{} rows", wish.rows),
        n => format!("{n} partitions of about {} rows", wish.rows),
    };
    let (dims, each) = (wish.dims, if column.partitions > 1 { " each" } else { "" });
    match wish.rows {
        0 if column.unknown > 0 => "Without ANALYZE, pass rows => the number expected.".to_owned(),
        0 => "There are no rows yet: load the table first, or pass rows => the number expected."
            .to_owned(),
        n if n < FLAT_ROWS && choice.candidate.merit == Merit::Exact => {
            format!(
                "{rows} of {dims} dimensions are few enough to compare a query with all of them."
            )
        }
        _ if choice.candidate.method.is_graph => {
            format!("{rows} of {dims} dimensions become the nodes of a graph{each}.")
        }
        _ if wish.metric == Metric::L1 => {
            format!(
                "{rows} of {dims} dimensions; taxicab distance has no centroids and no codes, so without a graph every row is compared."
            )
        }
        _ if wish.target_recall >= 1.0 => {
            format!(
                "{rows} of {dims} dimensions; a recall of 1 is promised only where every row is compared."
            )
        }
        _ => format!("{rows} of {dims} dimensions go into {} inverted lists{each}.", wish.nlist),
    }
}

/// What the candidate is good for, and what it costs.
fn merit(wish: &Wish, choice: &Choice) -> String {
    let factory = &choice.candidate.factory;
    let visits = 10 * factory.code.map_or(0, |code: CodeKind| code.k_factor(wish.dims));
    let dear =
        if wish.out_of_line { ", each dear because its vector lies out of line" } else { "" };
    let rows =
        format!("Real distances come from the table, in some {visits} row visits a query{dear}.");
    let what = match choice.candidate.merit {
        Merit::Exact => {
            "Flat is exact, with nothing to train or to set; every query reads all of it."
        }
        Merit::Graph => {
            "A walk over a graph sees a few thousand rows however many there are: a fast search also where recall is high or rows are many. It takes longer to build and to insert into than lists, and should fit in memory."
        }
        Merit::Plain => "Vectors stay as they are: recall depends on nprobe alone.",
        Merit::Codes => {
            return format!("The index holds codes only, a fraction of the vectors. {rows}");
        }
        Merit::Bytes => {
            return format!(
                "One byte a component answers as vectors do, in a quarter of their space. {rows}"
            );
        }
        Merit::Bits => {
            return format!(
                "About one bit a component. {rows} Raise k_factor where recall no longer grows with nprobe."
            );
        }
        Merit::Smallest => {
            return format!("The smallest code, long to train. {rows} Expect to raise k_factor.");
        }
    };
    what.to_owned()
}

fn memory(wish: &Wish, choice: &Choice, is_given: bool) -> String {
    let name = if is_given { "the memory given" } else { "shared_buffers" };
    let (needed, room) = (size(choice.bytes), size(wish.memory));
    if choice.fits {
        format!("It takes {needed} and fits in {name}, {room}.")
    } else {
        format!(
            "It takes {needed}, more than {name}, {room}: queries will read from disk or from the system's cache."
        )
    }
}

fn size(bytes: u64) -> String {
    let kb = bytes as f64 / 1024.0;
    match kb {
        0.0..1024.0 => format!("{kb:.0} kB"),
        1024.0..10_240.0 => format!("{:.1} MB", kb / 1024.0),
        10_240.0..10_485_760.0 => format!("{:.0} MB", kb / 1024.0),
        _ => format!("{:.0} GB", kb / 1_048_576.0),
    }
}
