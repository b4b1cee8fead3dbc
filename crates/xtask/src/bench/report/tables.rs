//! The tables of a report, the same for Markdown and HTML.

use super::view::{Cost, Group, System, TARGETS, thousands};
use crate::bench::record::{Insert, Record};
use gauge::frontier::Reading;

/// A heading, a line below it, and cells of text.
pub struct Table {
    pub title: String,
    pub note: &'static str,
    pub header: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// Every table that has rows.
pub fn all(records: &[Record], groups: &[Group]) -> Vec<Table> {
    let mut tables = Vec::new();
    for group in groups {
        tables.push(targets(group));
        tables.push(builds(group));
        tables.push(inserts(records, group));
        tables.push(upkeep(records, group));
        tables.push(points(group));
    }
    tables.push(absent(records));
    tables.push(kernels(records));
    tables.retain(|t| !t.rows.is_empty());
    tables
}

fn header(names: &[&str]) -> Vec<String> {
    names.iter().map(|s| (*s).to_owned()).collect()
}

fn targets(group: &Group) -> Table {
    let mut head = header(&["system"]);
    head.extend(TARGETS.iter().map(|t| format!("CPU ms at {t:.2}")));
    head.extend(TARGETS.iter().map(|t| format!("QPS at {t:.2}")));
    let row = |s: &System| {
        let cpu = TARGETS.iter().map(|&t| reading(s.at(Cost::Cpu, t), "≤ ", significant));
        let qps = TARGETS
            .iter()
            .map(|&t| reading(s.at(Cost::Wall, t), "≥ ", |ms| significant(1e3 / ms)));
        std::iter::once(s.name.to_owned()).chain(cpu).chain(qps).collect()
    };
    Table {
        title: format!("Cost at a recall — {}", group.title()),
        note: "Read off each system's own Pareto frontier between measured points; ≤ and ≥: its least measured \
            point has more recall than that. One client, warm.",
        header: head,
        rows: group.systems.iter().filter(|s| !s.points.is_empty()).map(row).collect(),
    }
}

fn reading(reading: Reading, sign: &str, show: impl Fn(f64) -> String) -> String {
    match reading {
        Reading::At(cost) => show(cost),
        Reading::AtMost(cost) => format!("{sign}{}", show(cost)),
        Reading::NotReached => "not reached".into(),
    }
}

fn builds(group: &Group) -> Table {
    let row = |s: &System| {
        let b = s.build?;
        Some(vec![
            s.name.to_owned(),
            format!("{:.1}", b.wall_s),
            format!("{:.1}", b.cpu_s),
            bytes(b.peak_rss_bytes),
            bytes(b.peak_private_bytes),
            bytes(b.bytes),
            format!("{:.0}", b.bytes as f64 / group.rows as f64),
            bytes(b.wal_bytes),
        ])
    };
    Table {
        title: format!("Build — {}", group.title()),
        note: "CPU of leader, workers and threads. Peak RSS is the leader's high-water mark and counts shared \
            buffers it touched; private is the sampled peak over leader and workers.",
        header: header(&[
            "system",
            "wall s",
            "CPU s",
            "peak RSS",
            "peak private",
            "size",
            "bytes/row",
            "WAL",
        ]),
        rows: group.systems.iter().filter_map(row).collect(),
    }
}

fn inserts(records: &[Record], group: &Group) -> Table {
    let all: Vec<&Insert> = records
        .iter()
        .filter_map(|r| match r {
            Record::Insert(i) if i.of.dataset == group.dataset && i.of.rows == group.rows => {
                Some(i)
            }
            _ => None,
        })
        .collect();
    let find = |name: &str, how: &str, clients: usize| {
        all.iter().find(|i| i.of.system == name && i.how == how && i.clients == clients)
    };
    let row = |s: &System| {
        find(s.name, "insert", 1)?;
        let mut cells = vec![s.name.to_owned()];
        for (how, clients) in [("insert", 1), ("insert", 4), ("copy", 1), ("copy", 4)] {
            let rate = find(s.name, how, clients).map(|i| thousands(i.rows_per_s as usize));
            cells.push(rate.unwrap_or_default());
        }
        let one = find(s.name, "insert", 1)?;
        cells.push(format!("{:.0}", one.cpu_us_per_row));
        cells.push(format!("{:.0}", one.wal_bytes_per_row));
        Some(cells)
    };
    Table {
        title: format!("Inserts, rows per second — {}", group.title()),
        note: "Into the indexed table; the exact scan's table has no index and shows the heap alone. Nothing \
            waits for the disk. CPU and WAL are those of the single-row inserts of one client.",
        header: header(&[
            "system",
            "INSERT ×1",
            "INSERT ×4",
            "COPY ×1",
            "COPY ×4",
            "CPU µs/row",
            "WAL bytes/row",
        ]),
        rows: group.systems.iter().filter_map(row).collect(),
    }
}

fn upkeep(records: &[Record], group: &Group) -> Table {
    let row = |s: &System| {
        let mut cells = vec![s.name.to_owned(), "".into(), "".into()];
        cells.extend(["", "", "", ""].map(String::from));
        let mut any = false;
        for record in records {
            match record {
                Record::Cold { of, first_ms, next_ms, .. }
                    if of.system == s.name
                        && of.dataset == group.dataset
                        && of.rows == group.rows =>
                {
                    cells[1] = significant(*first_ms);
                    cells[2] = significant(*next_ms);
                    any = true;
                }
                Record::Vacuum { of, wall_s, cpu_s, wal_bytes, bytes_after, .. }
                    if of.system == s.name
                        && of.dataset == group.dataset
                        && of.rows == group.rows =>
                {
                    cells[3] = format!("{wall_s:.2}");
                    cells[4] = format!("{cpu_s:.2}");
                    cells[5] = bytes(*wal_bytes);
                    cells[6] = bytes(*bytes_after);
                    any = true;
                }
                _ => {}
            }
        }
        any.then_some(cells)
    };
    Table {
        title: format!("Cold start and VACUUM — {}", group.title()),
        note: "Cold: after a restart with the data directory out of the page cache, at the middle of the knob's \
            range. VACUUM after a tenth of the rows was deleted, the table's own share included (see the exact scan).",
        header: header(&[
            "system",
            "cold first ms",
            "cold next ms",
            "VACUUM s",
            "VACUUM CPU s",
            "VACUUM WAL",
            "size after",
        ]),
        rows: group.systems.iter().filter_map(row).collect(),
    }
}

fn points(group: &Group) -> Table {
    let mut rows = Vec::new();
    for s in &group.systems {
        for p in &s.points {
            let setting =
                if p.forced { format!("{} (forced)", p.setting) } else { p.setting.clone() };
            let queries = format!("{} × {}", p.queries, p.rounds);
            let mut cells = vec![s.name.to_owned(), setting, queries, format!("{:.4}", p.recall)];
            let figures = [p.cpu_ms, p.qps, p.p50_ms, p.p95_ms, p.p99_ms];
            cells.extend(figures.map(significant));
            rows.push(cells);
        }
    }
    Table {
        title: format!("Every point — {}", group.title()),
        note: "Medians over rounds in which the systems took turns; percentiles over all queries of all rounds. \
            Forced: the planner preferred a sequential scan.",
        header: header(&[
            "system", "setting", "queries", "recall", "CPU ms", "QPS", "p50 ms", "p95 ms", "p99 ms",
        ]),
        rows,
    }
}

fn absent(records: &[Record]) -> Table {
    let mut rows: Vec<Vec<String>> = records
        .iter()
        .filter_map(|r| match r {
            Record::Absent { dataset, system, reason } => {
                Some(vec![system.clone(), dataset.clone(), reason.clone()])
            }
            _ => None,
        })
        .collect();
    let mut seen = std::collections::BTreeSet::new();
    rows.retain(|row| seen.insert(row.clone()));
    Table {
        title: "Not measured".into(),
        note: "",
        header: header(&["system", "data set", "why"]),
        rows,
    }
}

fn kernels(records: &[Record]) -> Table {
    let row = |r: &Record| match r {
        Record::Kernel(k) => Some(vec![
            k.kernel.clone(),
            k.element.clone(),
            k.dims.to_string(),
            k.place.clone(),
            significant(k.ns_per_vector),
            significant(k.plain_ns_per_vector),
            format!("{:.1}", k.plain_ns_per_vector / k.ns_per_vector),
            significant(k.gb_per_s),
        ]),
        _ => None,
    };
    Table {
        title: "Kernels".into(),
        note: "Nanoseconds per vector, in a first-level cache or streaming from memory.",
        header: header(&[
            "kernel",
            "element",
            "dims",
            "from",
            "ns",
            "plain ns",
            "times faster",
            "GB/s",
        ]),
        rows: records.iter().filter_map(row).collect(),
    }
}

/// Three significant digits.
pub fn significant(x: f64) -> String {
    match x.abs() {
        a if !a.is_finite() => "–".into(),
        a if a >= 1000.0 => thousands(x.round() as usize),
        a if a >= 100.0 => format!("{x:.0}"),
        a if a >= 10.0 => format!("{x:.1}"),
        a if a >= 1.0 => format!("{x:.2}"),
        _ => format!("{x:.3}"),
    }
}

/// Bytes in the unit that fits.
pub fn bytes(n: u64) -> String {
    let n = n as f64;
    match n {
        n if n >= 1e9 => format!("{:.2} GB", n / 1e9),
        n if n >= 1e6 => format!("{:.1} MB", n / 1e6),
        n if n >= 1e3 => format!("{:.0} kB", n / 1e3),
        n => format!("{n:.0} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown = [0.01234, 1.234, 12.34, 123.4, 12345.6, f64::NAN].map(significant);
        assert_eq!(shown, ["0.012", "1.23", "12.3", "123", "12,346", "–"]);
        assert_eq!([12, 1_200, 102_400_000].map(bytes), ["12 B", "1 kB", "102.4 MB"]);
    }

    #[test]
    fn a_target_out_of_reach_says_so() {
        assert_eq!(reading(Reading::NotReached, "≤ ", significant), "not reached");
        assert_eq!(reading(Reading::AtMost(0.5), "≤ ", significant), "≤ 0.500");
        assert_eq!(reading(Reading::At(2.0), "≥ ", |ms| significant(1e3 / ms)), "500");
    }
}
