//! The page of `faiss.report`: what an index is, what a search of it finds and costs, and whether it still fits its table.

mod fit;
mod lists;
mod searches;

use std::fmt::Write;

use crate::chart::Undrawable;
use crate::html;
pub use fit::Fit;
pub use searches::{Point, Searches};

/// All that the page shows.
#[derive(Clone, Debug, Default)]
pub struct Index {
    pub name: String,
    pub table: String,
    /// What the index is: names and values, in order.
    pub facts: Vec<(&'static str, String)>,
    /// Whether `faiss.health` wants something done, and what it says.
    pub needs_care: bool,
    pub advice: String,
    /// Live rows of each list; empty of a graph.
    pub lists: Vec<u64>,
    pub fit: Fit,
    pub searches: Searches,
    /// Names, values, and where each value is from.
    pub settings: Vec<(String, String, String)>,
    /// The version of the extension and of the server, and the time.
    pub made: String,
}

/// Draws the page.
pub fn page(index: &Index) -> Result<String, Undrawable> {
    let heading = format!("Index {} of table {}", index.name, index.table);
    let mut out = html::begin(&format!("{}: report", index.name), &heading);
    let _ = write!(out, "<p class=\"note\">{}</p>", html::escape(&index.made));
    let class = if index.needs_care { "bad" } else { "good" };
    let _ = write!(out, "<p class=\"{class}\">{}</p>", html::escape(&index.advice));
    let facts = index.facts.iter().map(|(name, value)| vec![(*name).to_owned(), value.clone()]);
    html::words(&mut out, &["the index", ""], facts);
    searches::show(&mut out, &index.searches)?;
    lists::show(&mut out, &index.lists)?;
    fit::show(&mut out, &index.fit)?;
    out.push_str("<h2>Options and settings</h2>");
    out.push_str("<p class=\"note\">What the session that made this page has set wins over the index's options.</p>");
    let settings = index.settings.iter().map(|(n, v, s)| vec![n.clone(), v.clone(), s.clone()]);
    html::words(&mut out, &["name", "value", "from"], settings);
    out.push_str(html::END);
    Ok(out)
}

/// A number as people read it: three digits that count, thousands apart.
fn shown(x: f64) -> String {
    match x.abs() {
        a if !a.is_finite() => "–".to_owned(),
        a if a >= 1000.0 => thousands(x.round() as u64),
        a if a >= 100.0 => format!("{x:.0}"),
        a if a >= 10.0 => format!("{x:.1}"),
        a if a >= 1.0 => format!("{x:.2}"),
        _ => format!("{x:.3}"),
    }
}

/// 12,345.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Index {
        let point = |settings: &str, recall, ms, is_chosen| Point {
            settings: settings.to_owned(),
            recall,
            interval: (recall - 0.01, recall + 0.01),
            ms,
            queries: 1000,
            is_optimal: true,
            is_chosen,
        };
        Index {
            name: "a<b".into(),
            table: "t".into(),
            facts: vec![("method", "faissivf".into())],
            advice: "It fits its table.".into(),
            lists: (0..500).map(|i| 40 + i % 30).collect(),
            fit: Fit { growth: Some(2.0), coarse_error: Some((0.4, 0.38)), ..Fit::default() },
            searches: Searches::new(
                0.95,
                10,
                vec![point("nprobe=4", 0.7, 0.1, false), point("nprobe=30", 0.951, 0.3, true)],
            ),
            settings: vec![("faiss.nprobe".into(), "10".into(), "default".into())],
            ..Index::default()
        }
    }

    #[test]
    fn the_page_has_every_part_and_needs_nothing() {
        let page = page(&example()).unwrap();
        for part in ["a&lt;b", "nprobe=30", "It fits its table.", "Lists by length", "growth"] {
            assert!(page.contains(part), "{part}");
        }
        assert_eq!(page.matches("<svg").count(), 3);
        for outside in ["<script", "src=", "href=", "@import", "url(", "a<b"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn a_page_of_nothing_says_so() {
        let index = Index { searches: Searches::none("It holds no rows."), ..Index::default() };
        let page = page(&index).unwrap();
        assert!(page.contains("It holds no rows.") && !page.contains("<svg"));
    }

    #[test]
    fn numbers_that_are_none_are_drawn_all_the_same() {
        let mut index = example();
        let points = &mut index.searches.points;
        points[0].ms = f64::NAN;
        points[1].ms = f64::INFINITY;
        points[1].recall = f64::NAN;
        index.fit = Fit { growth: Some(f64::INFINITY), code_error: Some((1.0, 0.0)), ..index.fit };
        index.lists = vec![u64::MAX, 0];
        assert!(page(&index).is_ok());
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
