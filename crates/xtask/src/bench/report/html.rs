//! The report as one HTML page that needs nothing else: curves inline, no script, no network.

use super::figures::{self, Figure};
use super::markdown::preface;
use super::tables::Table;
use super::view::Group;
use crate::bench::record::Record;
use anyhow::Result;
use report::html::{END, begin, escape, figure, list};
use std::fmt::Write;

pub fn page(records: &[Record], groups: &[Group], tables: &[Table]) -> Result<String> {
    let colors = figures::colors(groups);
    let mut out = begin("pgfaiss bench", "Vector search in PostgreSQL, measured");
    list(&mut out, &preface(records));
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
    out.push_str(END);
    Ok(out)
}

fn show(out: &mut String, drawn: &Figure) {
    figure(out, &drawn.title, drawn.caption, &drawn.svg);
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
