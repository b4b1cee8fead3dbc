//! From records to something to read: a line for the terminal, Markdown tables, and one HTML page
//! with curves.

mod figures;
mod html;
mod markdown;
mod tables;
mod view;

use super::record::Record;
use anyhow::{Context, Result};
use std::path::Path;
use view::Group;

/// Writes `.md` and `.html` beside the JSON lines at `path`.
pub fn write(records: &[Record], path: &Path) -> Result<()> {
    let groups = Group::all(records);
    let tables = tables::all(records, &groups);
    for (extension, text) in [
        ("md", markdown::page(records, &tables)),
        ("html", html::page(records, &groups, &tables).context("drawing the report")?),
    ] {
        let path = path.with_extension(extension);
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        println!("{}", path.display());
    }
    Ok(())
}

/// The first chart of CPU time against recall, of systems whose names contain one of `systems`, or of all.
pub fn picture(records: &[Record], systems: &[String]) -> Result<String> {
    let mut groups = Group::all(records);
    for group in &mut groups {
        let is_wanted = |name: &str| systems.iter().any(|wanted| name.contains(wanted));
        group.systems.retain(|system| systems.is_empty() || is_wanted(system.name));
    }
    let group = groups.first().context("the run measured nothing")?;
    let figures = figures::of_group(group, &figures::colors(&groups))?;
    let figure = figures.into_iter().find(|figure| figure.title.starts_with("CPU per query"));
    Ok(figure.context("the run measured no queries")?.svg)
}

/// What the terminal shows of a record; kernels come in hundreds and stay silent.
pub fn one_line(record: &Record) -> Option<String> {
    Some(match record {
        Record::Run { server, load, .. } => format!("{server}; load {load}"),
        Record::Dataset { dataset, rows, metric, agreement, .. } => {
            let checked = match agreement {
                Some(a) => format!("the file's ground truth agrees at {a:.5}"),
                None => "no ground truth in the file".to_owned(),
            };
            format!("{dataset}, {rows} rows, {}: {checked}", metric.name())
        }
        Record::Build(b) => format!(
            "built {} in {:.1} s, CPU {:.1} s, {}",
            b.of.system,
            b.wall_s,
            b.cpu_s,
            tables::bytes(b.bytes)
        ),
        Record::Point(p) => format!(
            "{:22} {:30} recall {:.4}  cpu {:.3} ms  {:.0} QPS{}",
            p.of.system,
            p.setting,
            p.recall,
            p.cpu_ms,
            p.qps,
            if p.forced { "  (index forced)" } else { "" }
        ),
        Record::Cold { of, first_ms, next_ms, .. } => {
            format!("{}: cold first query {first_ms:.1} ms, then {next_ms:.1} ms", of.system)
        }
        Record::Insert(i) => format!(
            "{}: {} with {} clients {:.0} rows/s, CPU {:.0} µs a row",
            i.of.system, i.how, i.clients, i.rows_per_s, i.cpu_us_per_row
        ),
        Record::Vacuum { of, deleted, wall_s, cpu_s, .. } => {
            format!("{}: VACUUM of {deleted} rows {wall_s:.2} s, CPU {cpu_s:.2} s", of.system)
        }
        Record::Absent { system, reason, .. } => format!("{system}: {reason}"),
        Record::Bandwidth { gb_per_s } => {
            format!("memory bandwidth of one core {gb_per_s:.1} GB/s")
        }
        Record::Kernel(_) => return None,
    })
}
