//! The report as Markdown.

use super::tables::Table;
use crate::bench::record::Record;
use std::fmt::Write;

pub fn page(records: &[Record], tables: &[Table]) -> String {
    let mut out = String::from("# pgfaiss bench\n\n");
    for line in preface(records) {
        let _ = writeln!(out, "- {line}");
    }
    for table in tables {
        let _ = write!(out, "\n## {}\n\n", table.title);
        if !table.note.is_empty() {
            let _ = write!(out, "{}\n\n", table.note);
        }
        line(&mut out, &table.header);
        let rule: Vec<String> = table.header.iter().map(|_| "---".to_owned()).collect();
        line(&mut out, &rule);
        table.rows.iter().for_each(|row| line(&mut out, row));
    }
    out
}

fn line(out: &mut String, cells: &[String]) {
    let cells: Vec<String> =
        cells.iter().map(|c| c.replace('|', "\\|").replace('\n', " ")).collect();
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

/// Machine, server and memory bandwidth, each said once.
pub fn preface(records: &[Record]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for record in records {
        let line = match record {
            Record::Run { machine, cores, load, server, k, .. } => {
                format!("{machine}, {cores} cores, load {load} when it began; {server}; recall@{k}")
            }
            Record::Dataset { dataset, rows, agreement: Some(a), .. } => {
                format!(
                    "{dataset}, {rows} rows: the file's ground truth agrees with ours at {a:.5}"
                )
            }
            Record::Bandwidth { gb_per_s } => {
                format!("memory bandwidth of one core: {gb_per_s:.1} GB/s")
            }
            _ => continue,
        };
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}
