//! Recall against time, and the setting that reaches the target.

use std::fmt::Write;

use super::shown;
use crate::chart::{AMBER, Axis, BLUE, GREY, Series, Undrawable, curves, log_axis};
use crate::html;

/// One measured setting.
#[derive(Clone, Debug)]
pub struct Point {
    /// As FAISS writes it: `nprobe=16,k_factor=8`.
    pub settings: String,
    pub recall: f64,
    pub interval: (f64, f64),
    /// Mean CPU time of a query.
    pub ms: f64,
    pub queries: i64,
    /// Whether nothing measured finds as much in less time.
    pub is_optimal: bool,
    pub is_chosen: bool,
}

/// What `faiss.tune` measured.
#[derive(Clone, Debug, Default)]
pub struct Searches {
    pub target: f64,
    pub k: i64,
    pub points: Vec<Point>,
    /// Why there are no points.
    reason: &'static str,
}

impl Searches {
    pub fn new(target: f64, k: i64, points: Vec<Point>) -> Self {
        Self { target, k, points, reason: "There is nothing to set." }
    }

    /// Nothing was measured, and why.
    pub fn none(reason: &'static str) -> Self {
        Self { reason, ..Self::default() }
    }
}

pub(super) fn show(out: &mut String, searches: &Searches) -> Result<(), Undrawable> {
    if searches.points.is_empty() {
        let why = html::escape(searches.reason);
        let _ =
            write!(out, "<h2>Recall against time</h2><p class=\"note\">Not measured. {why}</p>");
        return Ok(());
    }
    draw(out, searches)
}

fn draw(out: &mut String, searches: &Searches) -> Result<(), Undrawable> {
    let Searches { target, k, points, .. } = searches;
    let drawn: Vec<&Point> =
        points.iter().filter(|p| p.recall.is_finite() && p.ms.is_finite() && p.ms > 0.0).collect();
    let least = drawn.iter().filter(|p| p.is_optimal).map(|p| p.recall).fold(0.9, f64::min);
    let lo = (least * 10.0).floor() / 10.0;
    let x = Axis {
        label: "recall",
        lo: lo.clamp(0.0, 0.9),
        hi: 1.0,
        log: false,
        show: |v| format!("{v:.2}"),
    };
    let y = log_axis("CPU ms a query", drawn.iter().map(|p| p.ms), shown);
    let mut optimal: Vec<(f64, f64)> =
        drawn.iter().filter(|p| p.is_optimal).map(|p| (p.recall, p.ms)).collect();
    optimal.sort_by(|a, b| a.0.total_cmp(&b.0));
    let line =
        |name: String, color, dashed, points| Series { name, color, dashed, bold: !dashed, points };
    let target_line = vec![(*target, y.lo), (*target, y.hi)];
    let mut all = vec![
        line(format!("target {target}"), GREY, true, target_line),
        line("measured".to_owned(), BLUE, false, optimal),
    ];
    let chosen = drawn.iter().find(|p| p.is_chosen);
    if let Some(chosen) = chosen {
        let name = format!("chosen: {}", chosen.settings);
        all.push(line(name, AMBER, false, vec![(chosen.recall, chosen.ms)]));
    }
    let caption = match chosen {
        Some(chosen) => format!(
            "The cheapest setting that reaches recall {target} of the {k} nearest rows is {}. Down and to the right is better.",
            chosen.settings
        ),
        None => format!("No measured setting reaches recall {target} of the {k} nearest rows."),
    };
    html::figure(out, "Recall against time", &caption, &curves(&x, &y, &all)?);
    let header = ["settings", "recall", "95 % interval", "CPU ms", "queries"];
    html::table(out, &header, points.iter().map(row));
    Ok(())
}

fn row(point: &Point) -> (&'static str, Vec<String>) {
    let (low, high) = point.interval;
    let cells = vec![
        point.settings.clone(),
        format!("{:.3}", point.recall),
        format!("{low:.3} to {high:.3}"),
        shown(point.ms),
        point.queries.to_string(),
    ];
    (if point.is_chosen { "chosen" } else { "" }, cells)
}
