//! How many lists are how long.

use std::fmt::Write;

use super::thousands;
use crate::chart::{BLUE, Bar, Undrawable, bars};
use crate::html;

/// Bars, at most.
const BARS: u64 = 14;

pub(super) fn show(out: &mut String, lists: &[u64]) -> Result<(), Undrawable> {
    if lists.len() < 2 {
        return Ok(());
    }
    let mut sorted = lists.to_vec();
    sorted.sort_unstable();
    let (least, median, most) = (sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
    let caption = format!(
        "{} lists; the shortest has {} rows, the one in the middle {}, the longest {}.",
        thousands(lists.len() as u64),
        thousands(least),
        thousands(median),
        thousands(most)
    );
    html::figure(out, "Lists by length", &caption, &bars(&histogram(&sorted), None)?);
    let _ = write!(
        out,
        "<p class=\"note\">A query reads whole lists, so that a few long ones cost most of the time.</p>"
    );
    Ok(())
}

/// Bars of equal width over the lengths, which are sorted.
fn histogram(sorted: &[u64]) -> Vec<Bar> {
    let (least, most) = (sorted[0], sorted[sorted.len() - 1]);
    let width = round_width((most - least) / BARS + 1);
    let mut bars: Vec<Bar> = Vec::new();
    let first = least / width;
    for bin in first..=most / width {
        let (low, high) = (bin * width, bin.saturating_mul(width).saturating_add(width - 1));
        let count = sorted.partition_point(|n| *n <= high) - sorted.partition_point(|n| *n < low);
        bars.push(Bar {
            name: match width {
                1 => format!("{} rows", thousands(low)),
                _ => format!("{} to {} rows", thousands(low), thousands(high)),
            },
            color: BLUE,
            value: count as f64,
            text: thousands(count as u64),
        });
    }
    bars
}

/// The next of 1, 2, 5, 10, 20, 50 …
fn round_width(width: u64) -> u64 {
    let mut power: u64 = 1;
    loop {
        for step in [1, 2, 5] {
            if power.saturating_mul(step) >= width {
                return power.saturating_mul(step);
            }
        }
        power = power.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_is_in_one_bar() {
        let mut lengths: Vec<u64> = (0..1000).map(|i| i * 7919 % 523).collect();
        lengths.sort_unstable();
        let bars = histogram(&lengths);
        assert_eq!(bars.iter().map(|bar| bar.value).sum::<f64>(), 1000.0);
        assert!(bars.len() <= BARS as usize + 1, "{}", bars.len());
        assert_eq!(bars[0].name, "0 to 49 rows");
    }

    #[test]
    fn equal_lists_are_one_bar() {
        assert_eq!(histogram(&[8, 8, 8]).len(), 1);
        assert_eq!([1, 2, 3, 6, 38].map(round_width), [1, 2, 5, 10, 50]);
    }
}
