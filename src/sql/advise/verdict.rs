//! What the state of an index comes down to: train anew or not, and why.

use ann::rules::{MIN_POINTS_PER_CENTROID, optimal_nlist};
use pages::lists::meta::Fit;

use crate::am::fit::Errors;

/// Rows per row of the build from which on lists are twice as long as they should be.
const GROWTH_MAX: f64 = 4.0;
/// How much more uneven than at the build lists may be.
const IMBALANCE_MAX: f64 = 1.5;
/// How much larger than at the build the mean error of rows may be.
const DRIFT_MAX: f64 = 1.25;
/// The share of dead entries from which on space should be given back.
const DEAD_MAX: f64 = 0.5;
/// Rows from which on an untrained index should be trained.
const UNTRAINED_ROWS: u64 = 1000;

/// What was found.
pub struct Findings {
    /// The index, as a statement names it.
    pub index: String,
    /// The model that it was built from, which REINDEX takes again.
    pub model: Option<String>,
    /// The model that its options name and that it was built without: the next build takes it.
    pub next_model: Option<String>,
    pub is_trained: bool,
    /// Whether there are lists that rows are assigned to.
    pub has_lists: bool,
    pub has_nothing_to_train: bool,
    pub nlist: u64,
    pub trained_rows: u64,
    pub build_rows: u64,
    pub fit: Fit,
    /// Live and dead entries, estimated from some lists.
    pub ntotal: u64,
    pub ndead: u64,
    /// None without lists or rows.
    pub imbalance_factor: Option<f64>,
    pub sampled_rows: usize,
    /// Whether the errors are of rows younger than the index.
    pub is_young: bool,
    pub errors: Errors,
    /// Whether a row's distance to a centroid says something: to its list's, or of RaBitQ to the mean of all.
    pub has_centroids: bool,
}

impl Findings {
    /// Rows now per row of the build; None of an index built on none.
    pub fn growth(&self) -> Option<f64> {
        (self.build_rows > 0).then(|| self.ntotal as f64 / self.build_rows as f64)
    }

    pub fn dead_share(&self) -> f64 {
        self.ndead as f64 / (self.ntotal + self.ndead).max(1) as f64
    }

    /// Errors per error at the build, against centroids and codes.
    fn drifts(&self) -> [(&'static str, Option<f64>); 2] {
        let ratio = |now: Option<f64>, then: f32| {
            now.filter(|_| then > 0.0).map(|now| now / f64::from(then))
        };
        let coarse = ratio(self.errors.coarse.value(), self.fit.coarse_error);
        [
            ("centroid", coarse.filter(|_| self.has_centroids)),
            ("code", ratio(self.errors.code.value(), self.fit.code_error)),
        ]
    }
}

/// Whether to train anew, and the reasons with the numbers that decided, as sentences.
pub fn verdict(findings: &Findings) -> (bool, String) {
    if findings.has_nothing_to_train {
        return (false, with_space(findings, "Nothing is trained, so nothing can be out of date."));
    }
    if !findings.is_trained {
        return untrained(findings);
    }
    let reasons = reasons(findings);
    if reasons.is_empty() {
        return (false, with_space(findings, "It fits its table."));
    }
    let index = &findings.index;
    let reindex = format!("REINDEX INDEX CONCURRENTLY {index};");
    let remedy = match &findings.model {
        None => reindex,
        Some(model) => format!(
            "REINDEX alone takes model \"{model}\" again, so train another with faiss.train, then ALTER INDEX {index} SET (model = …); {reindex}"
        ),
    };
    (true, format!("{} Train anew: {remedy}", reasons.join(" ")))
}

fn untrained(findings: &Findings) -> (bool, String) {
    let n = findings.ntotal;
    if let Some(model) = &findings.next_model {
        let what = format!(
            "Untrained: it was built without model \"{model}\", which its options name. Once there is such a model: REINDEX INDEX CONCURRENTLY {};",
            findings.index
        );
        return (true, what);
    }
    if n < UNTRAINED_ROWS {
        let what = format!(
            "Untrained and exact; train it by REINDEX once the table holds {UNTRAINED_ROWS} rows."
        );
        return (false, what);
    }
    let what = format!(
        "Untrained: every query compares all {n} rows. Train it: REINDEX INDEX CONCURRENTLY {};",
        findings.index
    );
    (true, what)
}

/// What speaks for training anew.
fn reasons(findings: &Findings) -> Vec<String> {
    let mut reasons = Vec::new();
    let wanted = findings.nlist * MIN_POINTS_PER_CENTROID as u64;
    if findings.has_lists && findings.trained_rows < wanted && findings.ntotal >= wanted {
        reasons.push(format!(
            "It was trained on {} rows, and {} lists need {wanted}, which are there now.",
            findings.trained_rows, findings.nlist
        ));
    }
    if let Some(growth) = findings.growth().filter(|g| findings.has_lists && *g > GROWTH_MAX) {
        reasons.push(format!(
            "It has {growth:.1} times the rows of its build, above {GROWTH_MAX}: {} lists are too long, {} would be right.",
            findings.nlist,
            optimal_nlist(findings.ntotal)
        ));
    }
    let then = f64::from(findings.fit.imbalance_factor);
    if let Some(now) =
        findings.imbalance_factor.filter(|now| then > 0.0 && *now > IMBALANCE_MAX * then)
    {
        reasons.push(format!(
            "The imbalance factor of its lists is {now:.2}, above {IMBALANCE_MAX} times the {then:.2} of the build."
        ));
    }
    let whose = if findings.is_young { "rows added since the build" } else { "rows" };
    for (what, drift) in findings.drifts() {
        if let Some(drift) = drift.filter(|drift| *drift > DRIFT_MAX) {
            reasons.push(format!(
                "The mean error of {whose} against their {what}s is {drift:.2} times that of the build, above {DRIFT_MAX}."
            ));
        }
    }
    reasons
}

/// `what`, and what to do about dead entries.
fn with_space(findings: &Findings, what: &str) -> String {
    let share = findings.dead_share();
    if share <= DEAD_MAX {
        return what.to_owned();
    }
    format!(
        "{what} {:.0} % of its entries are dead: REINDEX INDEX CONCURRENTLY {} gives their space back.",
        100.0 * share,
        findings.index
    )
}
