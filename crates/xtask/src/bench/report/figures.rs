//! Which charts a report has, and in what colours.

use super::tables::{bytes, significant};
use super::view::{Cost, Group, System};
use crate::bench::record::{Family, Record};
use anyhow::Result;
use report::chart::{Axis, Bar, RGBColor, Series, bars, curves, log_axis};
use std::collections::{BTreeMap, BTreeSet};

/// A chart with what is said around it.
pub struct Figure {
    pub title: String,
    pub caption: &'static str,
    pub svg: String,
}

/// Blue to violet is ours, warm is a peer, muted and dashed is memory, black is exact: a family is seen before
/// a name is read.
const OURS: [RGBColor; 7] = [
    RGBColor(11, 87, 208),
    RGBColor(0, 150, 199),
    RGBColor(91, 61, 245),
    RGBColor(13, 148, 136),
    RGBColor(162, 28, 175),
    RGBColor(30, 64, 120),
    RGBColor(56, 161, 105),
];
const PEERS: [RGBColor; 4] =
    [RGBColor(217, 72, 15), RGBColor(232, 150, 12), RGBColor(194, 37, 92), RGBColor(133, 77, 14)];
const MEMORY: [RGBColor; 5] = [
    RGBColor(71, 85, 105),
    RGBColor(122, 132, 60),
    RGBColor(150, 115, 85),
    RGBColor(135, 110, 150),
    RGBColor(105, 105, 105),
];
const EXACT: [RGBColor; 2] = [RGBColor(17, 24, 39), RGBColor(70, 70, 70)];

/// A colour for every system of the run, the same in all charts.
pub fn colors(groups: &[Group]) -> BTreeMap<String, RGBColor> {
    let mut map = BTreeMap::new();
    let mut used: BTreeMap<Family, usize> = BTreeMap::new();
    for system in groups.iter().flat_map(|g| &g.systems) {
        let palette: &[RGBColor] = match system.family {
            Family::Ours => &OURS,
            Family::Peer => &PEERS,
            Family::Memory => &MEMORY,
            Family::Exact => &EXACT,
        };
        map.entry(system.name.to_owned()).or_insert_with(|| {
            let n = used.entry(system.family).or_insert(0);
            *n += 1;
            palette[(*n - 1) % palette.len()]
        });
    }
    map
}

fn series(s: &System, color: RGBColor, points: Vec<(f64, f64)>) -> Series {
    Series {
        name: s.name.to_owned(),
        color,
        dashed: s.family == Family::Memory,
        bold: s.family == Family::Ours,
        points,
    }
}

/// The charts of one data set at one size.
pub fn of_group(group: &Group, colors: &BTreeMap<String, RGBColor>) -> Result<Vec<Figure>> {
    let color = |s: &System| colors.get(s.name).copied().unwrap_or(EXACT[0]);
    let mut figures = Vec::new();
    for (cost, title, caption) in [
        (
            Cost::Wall,
            "Queries per second",
            "Up and to the right is better. One client, warm; FAISS (dashed) answers in memory, without a database.",
        ),
        (
            Cost::Cpu,
            "CPU per query",
            "Down and to the right is better. Time of the process that answers alone: what a loaded server pays.",
        ),
    ] {
        let value = |c: f64| if cost == Cost::Wall { 1e3 / c } else { c };
        let all: Vec<Series> = group
            .systems
            .iter()
            .map(|s| {
                let front = s.frontier(cost);
                series(s, color(s), front.iter().map(|p| (p.recall, value(p.cost))).collect())
            })
            .collect();
        let x = recall_axis(group);
        let shown = all.iter().flat_map(|s| &s.points).filter(|p| p.0 >= x.lo).map(|p| p.1);
        let label = if cost == Cost::Wall { "queries per second" } else { "CPU ms per query" };
        let y = log_axis(label, shown, significant);
        let title = format!("{title} against recall — {}", group.title());
        figures.push(Figure { title, caption, svg: curves(&x, &y, &all)? });
    }
    let built = || group.systems.iter().filter_map(|s| Some((s, s.build?)));
    let build = built().map(|(s, b)| Bar {
        name: s.name.to_owned(),
        color: color(s),
        value: b.cpu_s,
        text: format!("{:.1} s CPU, {:.1} s wall", b.cpu_s, b.wall_s),
    });
    let size = built().map(|(s, b)| Bar {
        name: s.name.to_owned(),
        color: color(s),
        value: b.bytes as f64,
        text: bytes(b.bytes),
    });
    for (title, caption, all) in [
        ("Build time", "CPU seconds of all processes and threads.", build.collect::<Vec<_>>()),
        (
            "Size of the index",
            "FAISS: the whole index serialised, its own copy of the vectors included.",
            size.collect(),
        ),
    ] {
        if !all.is_empty() {
            let title = format!("{title} — {}", group.title());
            figures.push(Figure { title, caption, svg: bars(&all, None)? });
        }
    }
    Ok(figures)
}

/// From the recall where curves start to matter, to 1.
fn recall_axis(group: &Group) -> Axis {
    let best = |s: &System| s.points.iter().map(|p| p.recall).fold(0.0, f64::max);
    let weakest =
        group.systems.iter().filter(|s| !s.points.is_empty()).map(best).fold(1.0, f64::min);
    let lo = if weakest < 0.75 { 0.4 } else { 0.7 };
    Axis { label: "recall@k", lo, hi: 1.0, log: false, show: |v| format!("{v:.2}") }
}

/// Cost at recall 0.95 against the number of rows, for sets that were measured at several sizes.
pub fn growth(groups: &[Group], colors: &BTreeMap<String, RGBColor>) -> Result<Vec<Figure>> {
    let names: BTreeSet<&str> = groups.iter().map(|g| g.dataset).collect();
    let mut figures = Vec::new();
    for name in names {
        let mut sizes: Vec<&Group> = groups.iter().filter(|g| g.dataset == name).collect();
        sizes.sort_by_key(|g| g.rows);
        if sizes.len() < 2 {
            continue;
        }
        let mut all: Vec<Series> = Vec::new();
        for group in &sizes {
            for s in &group.systems {
                let Some(cost) = s.at(Cost::Cpu, 0.95).cost() else { continue };
                let point = (group.rows as f64, cost);
                match all.iter_mut().find(|a| a.name == s.name) {
                    Some(known) => known.points.push(point),
                    None => {
                        let color = colors.get(s.name).copied().unwrap_or(EXACT[0]);
                        all.push(series(s, color, vec![point]));
                    }
                }
            }
        }
        let points = || all.iter().flat_map(|s| &s.points);
        let rows = |v: f64| super::view::thousands(v.round() as usize);
        let x = log_axis("rows", sizes.iter().map(|g| g.rows as f64), rows);
        let y = log_axis("CPU ms per query at recall 0.95", points().map(|p| p.1), significant);
        figures.push(Figure {
            title: format!("Growth — {name}"),
            caption: "How the cost of recall 0.95 grows with the table. A straight line of slope ½ is √N; \
                a system that does not reach 0.95 at a size has no point there.",
            svg: curves(&x, &y, &all)?,
        });
    }
    Ok(figures)
}

/// Kernel speed by dimension, in cache: vectors per nanosecond would hide the dimension, so bytes.
pub fn kernels(records: &[Record]) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (place, title, caption) in [
        (
            "cache",
            "Kernels in cache",
            "Bytes of vectors per second of one core, rows in the first-level cache.",
        ),
        (
            "memory",
            "Kernels from memory",
            "Streaming from memory; the black line is what a plain sum over memory reads.",
        ),
    ] {
        let mut all: Vec<Series> = Vec::new();
        for record in records {
            let Record::Kernel(k) = record else { continue };
            if k.place != place {
                continue;
            }
            let name = format!("{} {}", k.kernel, k.element);
            let point = (k.dims as f64, k.gb_per_s);
            match all.iter_mut().find(|s| s.name == name) {
                Some(known) => known.points.push(point),
                None => all.push(Series {
                    name,
                    color: OURS[all.len() % OURS.len()],
                    dashed: k.element == "f16",
                    bold: false,
                    points: vec![point],
                }),
            }
        }
        if all.is_empty() {
            continue;
        }
        let dims: Vec<f64> = all.iter().flat_map(|s| &s.points).map(|p| p.0).collect();
        let x = log_axis("dimensions", dims.iter().copied(), |v| format!("{v:.0}"));
        let limit = records.iter().find_map(|r| match r {
            Record::Bandwidth { gb_per_s } if place == "memory" => Some(*gb_per_s),
            _ => None,
        });
        if let Some(limit) = limit {
            let points = vec![(x.lo, limit), (x.hi, limit)];
            let name = "memory bandwidth".to_owned();
            all.push(Series { name, color: EXACT[0], dashed: false, bold: true, points });
        }
        let values = all.iter().flat_map(|s| &s.points).map(|p| p.1);
        let y = log_axis("GB/s", values, significant);
        figures.push(Figure { title: title.into(), caption, svg: curves(&x, &y, &all)? });
    }
    Ok(figures)
}
