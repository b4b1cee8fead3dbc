//! The report as one HTML page that needs nothing else: curves inline, no script, no network.

use super::figures::{self, Figure};
use super::markdown::preface;
use super::tables::Table;
use super::view::Group;
use crate::bench::record::Record;
use anyhow::Result;
use std::fmt::Write;

const STYLE: &str = "
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, 'DejaVu Sans', sans-serif; color: #1f2937; background: #fff;
  max-width: 1040px; margin: 2.5rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.9rem; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .2rem; }
p.note, ul.run { color: #4b5563; font-size: .92rem; margin: .1rem 0 .7rem; }
ul.run { padding-left: 1.1rem; }
figure { margin: 0; }
svg { display: block; max-width: 100%; height: auto; }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .22rem .7rem; text-align: right; border-bottom: 1px solid #e5e7eb; white-space: nowrap; }
th { color: #4b5563; font-weight: 600; border-bottom: 2px solid #d1d5db; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
td.no { color: #9ca3af; }
details summary { cursor: pointer; font-size: 1.2rem; font-weight: 700; margin: 2.4rem 0 .2rem; }
";

pub fn page(records: &[Record], groups: &[Group], tables: &[Table]) -> Result<String> {
    let colors = figures::colors(groups);
    let mut out = String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    let _ = write!(out, "<title>pgfaiss bench</title><style>{STYLE}</style></head><body>");
    out.push_str("<h1>Vector search in PostgreSQL, measured</h1><ul class=\"run\">");
    for line in preface(records) {
        let _ = write!(out, "<li>{}</li>", escape(&line));
    }
    out.push_str("</ul>");
    for figure in figures::growth(groups, &colors)? {
        show(&mut out, &figure);
    }
    for group in groups {
        for figure in figures::of_group(group, &colors)? {
            show(&mut out, &figure);
        }
        let title = group.title();
        tables.iter().filter(|t| t.title.ends_with(&title)).for_each(|t| table(&mut out, t));
    }
    for figure in figures::kernels(records)? {
        show(&mut out, &figure);
    }
    let general = |t: &&Table| !groups.iter().any(|g| t.title.ends_with(&g.title()));
    tables.iter().filter(general).for_each(|t| table(&mut out, t));
    out.push_str("</body></html>\n");
    Ok(out)
}

fn show(out: &mut String, figure: &Figure) {
    let (title, caption) = (escape(&figure.title), escape(figure.caption));
    let _ = write!(out, "<h2>{title}</h2><p class=\"note\">{caption}</p>");
    let _ = write!(out, "<figure>{}</figure>", figure.svg);
}

/// Long tables are folded.
fn table(out: &mut String, t: &Table) {
    let long = t.rows.len() > 25;
    let _ = match long {
        true => write!(out, "<details><summary>{}</summary>", escape(&t.title)),
        false => write!(out, "<h2>{}</h2>", escape(&t.title)),
    };
    let _ = write!(out, "<p class=\"note\">{}</p><div class=\"wide\"><table><tr>", escape(t.note));
    for cell in &t.header {
        let _ = write!(out, "<th>{}</th>", escape(cell));
    }
    for row in &t.rows {
        out.push_str("</tr><tr>");
        for cell in row {
            let class = if cell == "not reached" { " class=\"no\"" } else { "" };
            let _ = write!(out, "<td{class}>{}</td>", escape(cell));
        }
    }
    out.push_str("</tr></table></div>");
    if long {
        out.push_str("</details>");
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::tables;
    use super::*;
    use crate::bench::record::{Family, Point, Subject};
    use gauge::vectors::Metric;

    fn records() -> Vec<Record> {
        let mut records = Vec::new();
        for rows in [1000, 10_000] {
            records.push(Record::Dataset {
                dataset: "a<b".into(),
                rows,
                dims: 8,
                queries: 10,
                metric: Metric::L2,
                agreement: None,
            });
            for (recall, cpu_ms) in [(0.8, 1.0), (0.97, 2.0)] {
                let (dataset, system) = ("a<b".to_owned(), "hnsw".to_owned());
                let of = Subject { dataset, rows, system, family: Family::Peer };
                records.push(Record::Point(Point {
                    of,
                    setting: "ef = 1".into(),
                    queries: 10,
                    rounds: 1,
                    recall,
                    qps: 900.0 / cpu_ms,
                    cpu_ms,
                    p50_ms: 1.0,
                    p95_ms: 1.0,
                    p99_ms: 1.0,
                    forced: false,
                }));
            }
        }
        records
    }

    #[test]
    fn the_page_stands_alone_and_says_what_was_not_reached() {
        let records = records();
        let groups = Group::all(&records);
        let tables = tables::all(&records, &groups);
        let page = page(&records, &groups, &tables).unwrap();
        assert!(page.contains("not reached") && page.contains("Growth"));
        assert!(page.contains("a&lt;b") && !page.contains("a<b"));
        for outside in ["<script", "src=", "href=", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
