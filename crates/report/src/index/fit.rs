//! How well the index still fits its table, against what it was built on.

use super::shown;
use crate::chart::{AMBER, BLUE, Bar, Undrawable, bars};
use crate::html;

/// What `faiss.health` compares; None where there is nothing to compare.
#[derive(Clone, Debug, Default)]
pub struct Fit {
    /// Rows now for each row of the build.
    pub growth: Option<f64>,
    /// Dead entries, as a part of all.
    pub dead_share: Option<f64>,
    /// Now, and at the build.
    pub imbalance: Option<(f64, f64)>,
    pub coarse_error: Option<(f64, f64)>,
    pub code_error: Option<(f64, f64)>,
}

/// A measure, and from where on something should be done.
struct Measure {
    name: &'static str,
    ratio: f64,
    bound: f64,
    /// The numbers behind it.
    text: String,
}

pub(super) fn show(out: &mut String, fit: &Fit) -> Result<(), Undrawable> {
    let measures = measures(fit);
    if measures.is_empty() {
        return Ok(());
    }
    let drawn: Vec<Bar> = measures.iter().map(bar).collect();
    let most = drawn.iter().map(|bar| bar.value).fold(1.0, f64::max);
    let caption = "How far each measure has come to the bound where the index should be built anew. \
        A full bar is the bound.";
    html::figure(out, "Since the build", caption, &bars(&drawn, Some(most))?);
    Ok(())
}

fn measures(fit: &Fit) -> Vec<Measure> {
    let alone = |name, value: Option<f64>, bound: f64| {
        value.map(|ratio| Measure {
            name,
            ratio,
            bound,
            text: format!("{} of {bound}", shown(ratio)),
        })
    };
    let against = |name, pair: Option<(f64, f64)>, bound: f64| {
        pair.map(|(now, then)| Measure {
            name,
            ratio: now / then,
            bound,
            text: format!("{} times {}, bound {bound}", shown(now / then), shown(then)),
        })
    };
    let all = [
        alone("growth", fit.growth, 4.0),
        alone("dead entries", fit.dead_share, 0.5),
        against("imbalance of lists", fit.imbalance, 1.5),
        against("error of lists", fit.coarse_error, 1.25),
        against("error of codes", fit.code_error, 1.25),
    ];
    all.into_iter().flatten().filter(|m| m.ratio.is_finite()).collect()
}

fn bar(measure: &Measure) -> Bar {
    let value = (measure.ratio / measure.bound).max(0.0);
    Bar {
        name: measure.name.to_owned(),
        color: if value > 1.0 { AMBER } else { BLUE },
        value,
        text: measure.text.clone(),
    }
}
