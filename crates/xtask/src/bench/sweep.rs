//! The sweep over every system's knob. Systems take turns within every round, so that whatever the
//! machine does meanwhile happens to all of them.

use super::record::{Point, Record, Subject};
use anyhow::Result;
use gauge::frontier::{median, percentile};
use gauge::truth::Truth;
use gauge::vectors::{Dataset, Vectors};
use serde::Deserialize;

/// How long and how often to measure.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub k: usize,
    /// A pass stops after this long…
    pub seconds: f64,
    /// …but not before this many queries.
    pub least: usize,
    pub rounds: usize,
}

/// One pass over the queries.
#[derive(Clone, Debug, Deserialize)]
pub struct Pass {
    /// Rows returned, per query.
    pub ids: Vec<Vec<u32>>,
    pub latencies_ms: Vec<f64>,
    /// CPU time of the process that answers, over the whole pass.
    pub cpu_ms: f64,
}

/// Something that answers queries at different settings.
pub trait Measured {
    fn of(&self) -> &Subject;

    fn settings(&self) -> &[String];

    /// Makes a setting current. True when the planner had to be forced to use the index; it is
    /// asked with `probe` as the query.
    fn apply(&mut self, setting: &str, probe: &[f32]) -> Result<bool>;

    fn pass(&mut self, queries: &Vectors, limits: Limits) -> Result<Pass>;
}

/// Measures all subjects; each point goes to `emit` when its last round is done. A subject that
/// fails is reported and left out from then on.
pub fn run(
    subjects: &mut [&mut dyn Measured],
    set: &Dataset,
    truth: &Truth,
    limits: Limits,
    emit: &mut impl FnMut(Record) -> Result<()>,
) -> Result<()> {
    let steps = subjects.iter().map(|s| s.settings().len()).max().unwrap_or(0);
    let mut broken = vec![false; subjects.len()];
    for step in 0..steps {
        let mut taken: Vec<Option<Step>> = subjects.iter().map(|_| None).collect();
        for round in 0..=limits.rounds {
            for (i, subject) in subjects.iter_mut().enumerate() {
                let Some(setting) = subject.settings().get(step).cloned() else { continue };
                if broken[i] {
                    continue;
                }
                let slot = taken[i].get_or_insert_with(|| Step::new(setting));
                if let Err(error) = slot.round(*subject, set, limits, round == 0) {
                    broken[i] = true;
                    taken[i] = None;
                    emit(Record::Absent {
                        dataset: set.name.clone(),
                        system: subject.of().system.clone(),
                        reason: format!("failed while searching: {error:#}"),
                    })?;
                }
            }
        }
        for (subject, step) in subjects.iter().zip(taken) {
            if let Some(step) = step {
                // The set as it is called here: the same rows may be swept again for another number of neighbours.
                let of = Subject { dataset: set.name.clone(), ..subject.of().clone() };
                emit(Record::Point(step.point(of, set, truth)))?;
            }
        }
    }
    Ok(())
}

/// The rounds of one subject at one setting.
struct Step {
    setting: String,
    forced: bool,
    passes: Vec<Pass>,
}

impl Step {
    fn new(setting: String) -> Step {
        Step { setting, forced: false, passes: Vec::new() }
    }

    /// One pass; the first of a step only warms up.
    fn round(
        &mut self,
        subject: &mut dyn Measured,
        set: &Dataset,
        limits: Limits,
        warm_up: bool,
    ) -> Result<()> {
        if warm_up {
            self.forced = subject.apply(&self.setting, set.queries.row(0))?;
            let brief = Limits { seconds: limits.seconds / 2.0, ..limits };
            subject.pass(&set.queries, brief)?;
        } else {
            self.passes.push(subject.pass(&set.queries, limits)?);
        }
        Ok(())
    }

    fn point(self, of: Subject, set: &Dataset, truth: &Truth) -> Point {
        let mut all: Vec<f64> =
            self.passes.iter().flat_map(|p| p.latencies_ms.iter().copied()).collect();
        all.sort_by(f64::total_cmp);
        let per_query = |total: &dyn Fn(&Pass) -> f64| {
            median(self.passes.iter().map(|p| total(p) / p.ids.len().max(1) as f64).collect())
        };
        let wall = per_query(&|p| p.latencies_ms.iter().sum::<f64>());
        let longest = self.passes.iter().max_by_key(|p| p.ids.len());
        let recalls: Vec<f64> = longest
            .map(|p| p.ids.iter().enumerate().map(|(q, r)| truth.recall(set, q, r)).collect())
            .unwrap_or_default();
        Point {
            of,
            setting: self.setting,
            queries: self.passes.iter().map(|p| p.ids.len()).min().unwrap_or(0),
            rounds: self.passes.len(),
            recall: recalls.iter().sum::<f64>() / recalls.len().max(1) as f64,
            qps: 1e3 / wall,
            cpu_ms: per_query(&|p| p.cpu_ms),
            p50_ms: percentile(&all, 0.50),
            p95_ms: percentile(&all, 0.95),
            p99_ms: percentile(&all, 0.99),
            forced: self.forced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Family;
    use super::*;
    use gauge::synthetic::{Recipe, generate};
    use gauge::vectors::Metric;
    use std::cell::RefCell;
    use std::rc::Rc;

    type Log = Rc<RefCell<Vec<String>>>;

    /// Returns the true rows, as many of them as its setting says.
    struct Fake {
        of: Subject,
        settings: Vec<String>,
        right: usize,
        truth: Truth,
        log: Log,
    }

    impl Measured for Fake {
        fn of(&self) -> &Subject {
            &self.of
        }
        fn settings(&self) -> &[String] {
            &self.settings
        }
        fn apply(&mut self, setting: &str, _: &[f32]) -> Result<bool> {
            self.right = setting.parse()?;
            Ok(true)
        }
        fn pass(&mut self, queries: &Vectors, limits: Limits) -> Result<Pass> {
            self.log.borrow_mut().push(self.of.system.clone());
            let rows = self.truth.ids.chunks_exact(limits.k);
            let ids: Vec<_> = rows.map(|r| r[..self.right].to_vec()).collect();
            let latencies_ms = vec![2.0; queries.len()];
            Ok(Pass { ids, latencies_ms, cpu_ms: queries.len() as f64 })
        }
    }

    #[test]
    fn subjects_take_turns_and_a_broken_one_is_named() {
        let recipe = Recipe { rows: 200, queries: 6, dims: 8, latent: 3, clusters: 4, seed: 1 };
        let set = generate(&recipe, Metric::L2).unwrap();
        let truth = Truth::compute(&set, 10, 1);
        let log = Log::default();
        let fake = |name: &str, settings: &[&str]| {
            let of = Subject {
                dataset: set.name.clone(),
                rows: 200,
                system: name.into(),
                family: Family::Peer,
            };
            let settings = settings.iter().map(|s| s.to_string()).collect();
            Fake { of, settings, right: 0, truth: truth.clone(), log: log.clone() }
        };
        let (mut a, mut b, mut c) = (fake("a", &["5", "10"]), fake("b", &["5"]), fake("c", &["x"]));
        let mut subjects: Vec<&mut dyn Measured> = vec![&mut a, &mut b, &mut c];
        let limits = Limits { k: 10, seconds: 1.0, least: 1, rounds: 2 };
        let mut records = Vec::new();
        run(&mut subjects, &set, &truth, limits, &mut |r| {
            records.push(r);
            Ok(())
        })
        .unwrap();
        assert_eq!(log.borrow().join(""), "ababab".to_owned() + "aaa");
        let [Record::Absent { system, .. }, Record::Point(a), Record::Point(b), Record::Point(a2)] =
            &records[..]
        else {
            panic!("{records:?}")
        };
        assert_eq!((system.as_str(), a.recall, b.recall, a2.recall), ("c", 0.5, 0.5, 1.0));
        assert!((a.qps - 500.0).abs() < 1e-9 && a.cpu_ms == 1.0 && a.p99_ms == 2.0 && a.forced);
    }
}
