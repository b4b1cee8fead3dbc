//! Which hostile tables, indexes, metrics and histories a run goes through.

use super::indexes::{self, Index, METRICS, Metric};
use super::tables::{KINDS, Kind};

/// What has happened to an index when it is asked.
pub const HISTORIES: [&str; 3] = ["built", "grown", "churned"];

/// A choice of all there is, in the order of the lists.
#[derive(Clone, Debug)]
pub struct Plan {
    pub kinds: Vec<Kind>,
    pub indexes: Vec<Index>,
    pub metrics: Vec<Metric>,
    pub histories: Vec<&'static str>,
    pub seed: u64,
    /// Instead of each kind's own number.
    pub rows: Option<usize>,
    pub queries: usize,
}

impl Plan {
    /// Everything.
    pub fn all() -> Self {
        Self {
            kinds: KINDS.to_vec(),
            indexes: indexes::all(),
            metrics: METRICS.to_vec(),
            histories: HISTORIES.to_vec(),
            seed: 1,
            rows: None,
            queries: 100,
        }
    }

    /// What `text` chooses: `name=value` lines with the names `kind`, `index`, `metric` and `history`, whose values are parts
    /// of names between commas, and `seed`, `rows`, `queries` and `dims` with
    /// a number; the last leaves alone the kinds that have few or many.
    pub fn chosen(text: &str) -> Result<Self, String> {
        let mut plan = Self::all();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once('=').ok_or(format!("{line} has no value"))?;
            let number = || value.parse::<u64>().map_err(|e| format!("{line}: {e}"));
            match name {
                "kind" => plan.kinds.retain(|kind| is_among(kind.name, value)),
                "index" => plan.indexes.retain(|index| is_among(&index.name(), value)),
                "metric" => plan.metrics.retain(|metric| is_among(metric.name, value)),
                "history" => plan.histories.retain(|history| is_among(history, value)),
                "seed" => plan.seed = number()?,
                "rows" => plan.rows = Some(number()? as usize),
                "dims" => {
                    let dims = number()? as usize;
                    plan.kinds.iter_mut().for_each(|kind| kind.dims = kind.with_dims(dims));
                }
                "queries" => plan.queries = number()? as usize,
                _ => return Err(format!("nothing is called {name}")),
            }
        }
        let lengths =
            [plan.kinds.len(), plan.indexes.len(), plan.metrics.len(), plan.histories.len()];
        if lengths.contains(&0) { Err(format!("nothing is left by\n{text}")) } else { Ok(plan) }
    }

    /// What FAISS is asked about: the rows that a table begins with, given at once or one after the other, and those it ends
    /// with.
    pub fn states(&self) -> Vec<&'static str> {
        let state = |history: &&'static str| if *history == "built" { "first" } else { *history };
        self.histories.iter().map(state).collect()
    }
}

fn is_among(name: &str, parts: &str) -> bool {
    parts.split(',').any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_by_parts_of_names() {
        let plan = Plan::chosen("kind=topic,zero\nindex=hnsw\nhistory=churned\nseed=9").unwrap();
        assert_eq!((plan.kinds.len(), plan.indexes.len(), plan.seed), (1, 3, 9));
        assert_eq!(plan.states(), ["churned"]);
        assert!(Plan::chosen("metric=hamming").is_err());
        assert!(Plan::chosen("color=blue").is_err());
    }
}
