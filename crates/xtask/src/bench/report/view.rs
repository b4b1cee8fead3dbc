//! Records arranged for reading: one group per data set and size, one line per system.

use crate::bench::record::{self, Build, Family, Record};
use gauge::frontier::{self, Point, Reading};

/// The recalls that are read off every frontier.
pub const TARGETS: [f64; 3] = [0.90, 0.95, 0.99];

/// All that was measured on one data set at one size.
pub struct Group<'a> {
    pub dataset: &'a str,
    pub rows: usize,
    pub dims: usize,
    pub metric: &'static str,
    pub systems: Vec<System<'a>>,
}

/// One system in a group.
pub struct System<'a> {
    pub name: &'a str,
    pub family: Family,
    pub build: Option<&'a Build>,
    pub points: Vec<&'a record::Point>,
}

impl<'a> Group<'a> {
    /// The groups in the order of the run.
    pub fn all(records: &'a [Record]) -> Vec<Group<'a>> {
        let mut groups: Vec<Group<'a>> = Vec::new();
        for record in records {
            match record {
                Record::Dataset { dataset, rows, dims, metric, .. } => {
                    groups.push(Group {
                        dataset,
                        rows: *rows,
                        dims: *dims,
                        metric: metric.name(),
                        systems: Vec::new(),
                    });
                }
                Record::Build(b) => {
                    if let Some(system) = Group::system(&mut groups, &b.of) {
                        system.build = Some(b);
                    }
                }
                Record::Point(p) => {
                    if let Some(system) = Group::system(&mut groups, &p.of) {
                        system.points.push(p);
                    }
                }
                _ => {}
            }
        }
        for group in &mut groups {
            // Ours, peers and exact scans are in the order of the table; stable, so only families
            // move.
            group.systems.sort_by_key(|s| rank(s.family));
        }
        groups
    }

    fn system<'g>(
        groups: &'g mut [Group<'a>],
        of: &'a record::Subject,
    ) -> Option<&'g mut System<'a>> {
        let group =
            groups.iter_mut().rev().find(|g| g.dataset == of.dataset && g.rows == of.rows)?;
        let at = match group.systems.iter().position(|s| s.name == of.system) {
            Some(at) => at,
            None => {
                group.systems.push(System {
                    name: &of.system,
                    family: of.family,
                    build: None,
                    points: Vec::new(),
                });
                group.systems.len() - 1
            }
        };
        group.systems.get_mut(at)
    }

    pub fn title(&self) -> String {
        format!("{} · {} × {} · {}", self.dataset, thousands(self.rows), self.dims, self.metric)
    }
}

fn rank(family: Family) -> u8 {
    match family {
        Family::Ours => 0,
        Family::Peer => 1,
        Family::Memory => 2,
        Family::Exact => 3,
    }
}

/// What a curve's cost is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// CPU milliseconds per query of the process that answers.
    Cpu,
    /// Wall milliseconds per query, so 1000 / QPS.
    Wall,
}

impl System<'_> {
    pub fn frontier(&self, cost: Cost) -> Vec<Point> {
        let cost_of = |p: &record::Point| match cost {
            Cost::Cpu => p.cpu_ms,
            Cost::Wall => 1e3 / p.qps,
        };
        let points: Vec<Point> =
            self.points.iter().map(|p| Point { recall: p.recall, cost: cost_of(p) }).collect();
        frontier::pareto(&points)
    }

    pub fn at(&self, cost: Cost, target: f64) -> Reading {
        frontier::read_off(&self.frontier(cost), target)
    }
}

/// 200,000 for 200000.
pub fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}
