//! `faiss.report`: a page about an index. What the page shows comes from the functions that anybody may call, so that it says
//! what they say and needs the privileges that they need; `crates/report` draws it.

use pgrx::datum::DatumWithOid;
use pgrx::spi::{SpiClient, SpiResult};
use pgrx::{PgSqlErrorCode, Spi, pg_sys};
use report::index::{Fit, Index, Point, Searches, thousands};

use super::error::SqlError;
use super::fmgr::{Arguments, export};
use crate::am::report::{Report, argument_out_of_range};

/// Neighbours that recall is measured by.
const K: i64 = 10;

const CATALOG: &str = "SELECT i.relname::pg_catalog.text, t.relname::pg_catalog.text,
        pg_catalog.array_to_string(i.reloptions, pg_catalog.chr(10)),
        (SELECT e.extversion FROM pg_catalog.pg_extension e WHERE e.extname OPERATOR(pg_catalog.=) 'pgfaiss'),
        pg_catalog.current_setting('server_version'),
        pg_catalog.to_char(pg_catalog.now(), 'YYYY-MM-DD HH24:MI TZ')
    FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid OPERATOR(pg_catalog.=) x.indexrelid
        JOIN pg_catalog.pg_class t ON t.oid OPERATOR(pg_catalog.=) x.indrelid
    WHERE x.indexrelid OPERATOR(pg_catalog.=) $1";
const INFO: &str = "SELECT method, factory, metric, element_type, dims::pg_catalog.text, ntotal::pg_catalog.text,
        ndead::pg_catalog.text, pg_catalog.pg_size_pretty(bytes), bytes_per_vector::pg_catalog.text,
        is_trained::pg_catalog.text, trained_rows::pg_catalog.text, nlist::pg_catalog.text,
        imbalance_factor::pg_catalog.text, code_size::pg_catalog.text, model, is_valid::pg_catalog.text
    FROM faiss.index_info($1)";
const LISTS: &str = "SELECT ntotal::pg_catalog.text FROM faiss.list_info($1)";
const HEALTH: &str =
    "SELECT retrain::pg_catalog.text, advice, growth::pg_catalog.text, dead_share::pg_catalog.text,
        imbalance_factor::pg_catalog.text, imbalance_at_build::pg_catalog.text,
        coarse_error::pg_catalog.text, coarse_error_at_build::pg_catalog.text,
        code_error::pg_catalog.text, code_error_at_build::pg_catalog.text
    FROM faiss.health($1)";
const TUNE: &str = "SELECT settings, recall::pg_catalog.text, recall_low::pg_catalog.text, recall_high::pg_catalog.text,
        ms::pg_catalog.text, n_queries::pg_catalog.text, is_optimal::pg_catalog.text, is_chosen::pg_catalog.text
    FROM faiss.tune($1, target_recall => $2, k => 10)";
const SETTINGS: &str = "SELECT name, setting, source FROM pg_catalog.pg_settings
    WHERE pg_catalog.starts_with(name, 'faiss.') ORDER BY 1";

export! {
    "report" => report;
}

/// `faiss.report(index regclass, target_recall float8, measure boolean)`. NULL and a notice where there is nothing to be seen
/// of the index.
///
/// Errors: those of `faiss.index_info`, `faiss.health`, and, to measure, of `faiss.tune`; 22023 for a target outside 0 to 1.
fn report(arguments: &Arguments) -> Result<Option<String>, SqlError> {
    let (index, target, measure) = (arguments.oid(0), arguments.float8(1), arguments.bool(2));
    if !(target > 0.0 && target <= 1.0) {
        argument_out_of_range("target_recall", target, "above 0, at most 1");
    }
    let found = Spi::connect(|client| gather(client, index, target, measure));
    let Some(page) = found.unwrap_or_else(|e| failed(&e.to_string())) else { return Ok(None) };
    Ok(Some(::report::index::page(&page).unwrap_or_else(|e| failed(&e.to_string()))))
}

/// Everything that the page shows.
fn gather(
    client: &SpiClient<'_>,
    index: pg_sys::Oid,
    target: f64,
    measure: bool,
) -> SpiResult<Option<Index>> {
    let ask = |sql| rows(client, sql, &[index.into()]);
    let Some(info) = ask(INFO)?.pop() else { return Ok(None) };
    let Some(catalog) = ask(CATALOG)?.pop() else { return Ok(None) };
    let health = ask(HEALTH)?.pop().unwrap_or_default();
    let is_valid = info.says(15);
    let lists = if is_valid { ask(LISTS)? } else { Vec::new() };
    let searches = match why_not_measured(&info, measure) {
        Some(why) => Searches::none(why),
        None => {
            let points = rows(client, TUNE, &[index.into(), target.into()])?;
            Searches::new(target, K, points.iter().map(point).collect())
        }
    };
    let mut settings = options(&catalog);
    for row in rows(client, SETTINGS, &[])? {
        settings.push((row.text(0), row.text(1), format!("session ({})", row.text(2))));
    }
    let (name, table) = (catalog.text(0), catalog.text(1));
    let made = format!(
        "Made by pgfaiss {} on PostgreSQL {} at {}.",
        catalog.text(3),
        catalog.text(4),
        catalog.text(5)
    );
    let (needs_care, advice) = (health.says(0) || !is_valid, health.text(1));
    let lists = lists.iter().filter_map(|row| row.text(0).parse().ok()).collect();
    let (facts, fit) = (facts(&info), fit(&health));
    Ok(Some(Index { name, table, facts, needs_care, advice, lists, fit, searches, settings, made }))
}

fn why_not_measured(info: &Row, measure: bool) -> Option<&'static str> {
    match () {
        () if !measure => Some("The report was asked for without."),
        () if !info.says(15) => Some("The index is not valid."),
        // A row is drawn as a query, and another is its neighbour.
        () if info.number(5).is_none_or(|rows| rows < 2.0) => {
            Some("The index holds fewer than two rows.")
        }
        () => None,
    }
}

/// What the index is; what is unknown is left out.
fn facts(info: &Row) -> Vec<(&'static str, String)> {
    let count = |i| info.number(i).map_or(String::new(), |n| thousands(n as u64));
    let bytes = info.number(8).map_or(String::new(), |b| format!(", {b:.0} bytes a vector"));
    let mut facts = vec![
        ("method", info.text(0)),
        ("factory string", info.text(1)),
        ("metric", info.text(2)),
        ("vectors", format!("{} dimensions of {}", count(4), info.text(3))),
        ("rows", count(5)),
        ("dead entries", count(6)),
        ("size", format!("{}{bytes}", info.text(7))),
        ("bytes of a code", count(13)),
    ];
    facts.push(match info.says(9) {
        true => ("trained on", format!("{} rows", count(10))),
        false => ("trained on", "nothing yet: compared as a whole".to_owned()),
    });
    facts.push(("inverted lists", count(11)));
    facts.push(("model", info.text(14)));
    facts.retain(|(_, value)| !value.is_empty());
    facts
}

fn fit(health: &Row) -> Fit {
    let pair = |i| health.number(i).zip(health.number(i + 1));
    Fit {
        growth: health.number(2),
        dead_share: health.number(3),
        imbalance: pair(4),
        coarse_error: pair(6),
        code_error: pair(8),
    }
}

fn point(row: &Row) -> Point {
    let number = |i| row.number(i).unwrap_or(f64::NAN);
    Point {
        settings: row.text(0),
        recall: number(1),
        interval: (number(2), number(3)),
        ms: number(4),
        queries: number(5) as i64,
        is_optimal: row.says(6),
        is_chosen: row.says(7),
    }
}

/// The index's own options.
fn options(catalog: &Row) -> Vec<(String, String, String)> {
    let text = catalog.text(2);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned(), "index option".to_owned()))
        .collect()
}

/// The columns of a row as text.
#[derive(Default)]
struct Row(Vec<Option<String>>);

impl Row {
    /// Empty for NULL.
    fn text(&self, i: usize) -> String {
        self.0.get(i).cloned().flatten().unwrap_or_default()
    }

    fn number(&self, i: usize) -> Option<f64> {
        self.text(i).parse().ok()
    }

    fn says(&self, i: usize) -> bool {
        self.text(i) == "true"
    }
}

/// All rows of a query whose columns are text.
fn rows(client: &SpiClient<'_>, sql: &str, arguments: &[DatumWithOid<'_>]) -> SpiResult<Vec<Row>> {
    let table = client.select(sql, None, arguments)?;
    let columns = table.columns()?;
    table
        .map(|row| (1..=columns).map(|i| row.get::<String>(i)).collect::<SpiResult<_>>().map(Row))
        .collect()
}

fn failed(what: &str) -> ! {
    Report::new(
        PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
        format!("could not make the report: {what}"),
    )
    .error()
}
