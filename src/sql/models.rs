//! `faiss.train` and `faiss.drop_model`: trained models, from psql. `faiss.models` shows them.

use ann::Metric;
use pages::ModelName;
use pgrx::iter::TableIterator;
use pgrx::prelude::*;
use pgrx::{PgSqlErrorCode, name, pg_sys};

use crate::am::models::{self, Request};
use crate::am::options::{SEED_DEFAULT, model_name};
use crate::am::report::{Report, argument_is_null, argument_out_of_range};

/// The metrics that centroids and codes can be trained for.
const METRICS: [Metric; 3] = [Metric::L2, Metric::InnerProduct, Metric::Cosine];

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity, reason = "a row type must stand in the signature")]
fn train(
    name: Option<String>,
    relation: Option<pg_sys::Oid>,
    column: Option<String>,
    factory: Option<String>,
    metric: Option<String>,
    seed: Option<i32>,
    sample_rows: Option<i64>,
) -> TableIterator<
    'static,
    (
        name!(trained_as, String),
        name!(trained_rows, i64),
        name!(coarse_error, Option<f64>),
        name!(code_error, Option<f64>),
        name!(bytes, i64),
    ),
> {
    let seed = seed.unwrap_or(SEED_DEFAULT);
    let made = models::train(&Request {
        name: name_of(name),
        relation: relation.unwrap_or_else(|| argument_is_null("relation")),
        column: column.unwrap_or_else(|| argument_is_null("column")),
        factory,
        metric: metric.map_or(Metric::L2, |word| metric_of(&word)),
        seed: u64::try_from(seed)
            .unwrap_or_else(|_| argument_out_of_range("seed", seed, "0 or more")),
        sample_max: sample_rows.map_or(usize::MAX, |n| match usize::try_from(n) {
            Ok(n) if n > 0 => n,
            _ => argument_out_of_range("sample_rows", n, "1 or more"),
        }),
    });
    let (trained_rows, bytes) = (made.trained_rows as i64, made.bytes as i64);
    let (coarse, code) = (made.coarse_error, made.code_error);
    TableIterator::once((made.factory, trained_rows, coarse, code, bytes))
}

#[pg_extern(sql = false)]
fn drop_model(name: Option<String>) {
    models::drop(&name_of(name));
}

fn name_of(name: Option<String>) -> ModelName {
    let name = name.unwrap_or_else(|| argument_is_null("name"));
    model_name(&name).unwrap_or_else(|refusal| Report::from(refusal).error())
}

pub fn metric_of(word: &str) -> Metric {
    METRICS.into_iter().find(|metric| metric.name() == word).unwrap_or_else(|| {
        Report::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("cannot train for metric \"{word}\""),
        )
        .hint("Metrics with centroids and codes are l2, inner_product and cosine.")
        .error()
    })
}
