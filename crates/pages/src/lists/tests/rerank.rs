//! How candidates of codes are re-ranked: how many, and those of whom.

use std::collections::BTreeSet;

use ann::codec::CodeKind;
use ann::metric::Metric;
use ann::topk::Hit;

use super::modes::{shapes, tids};
use super::rows::ModelRows;
use super::{ALL, METRICS, Shape, World, params};
use crate::damage::coding::point_of;
use crate::error::Error;
use crate::lists::candidates::{CodedScan, RerankParams};
use crate::search::exact::ExactQuery;
use crate::search::params::Iterative;
use crate::search::rerank::{Budget, Exact};

fn world(metric: Metric, seed: u64) -> World<f32> {
    World::new(shapes(metric)[1], seed)
}

fn all_of(per_row: usize) -> RerankParams {
    RerankParams { budget: Budget::fixed(per_row), ..ALL }
}

/// A scan about to begin.
fn begun(world: &World<f32>, query: &[f32], params: RerankParams) -> CodedScan {
    let mut scan = CodedScan::new();
    scan.begin(&point_of(&world.lists().params, None, query), params);
    scan
}

/// Real distances of those rows that are seen; counts the candidates looked for.
struct Seen<'a> {
    rows: ModelRows<'a, f32>,
    n: usize,
    is_seen: &'a dyn Fn(u64) -> bool,
}

impl<'a> Seen<'a> {
    fn new(world: &'a World<f32>, query: &'a ExactQuery, is_seen: &'a dyn Fn(u64) -> bool) -> Self {
        Self { rows: ModelRows { rows: &world.model, query }, n: 0, is_seen }
    }
}

impl Exact for Seen<'_> {
    fn keys(&mut self, hits: &[Hit], each: &mut dyn FnMut(usize, f64)) -> Result<(), Error> {
        self.n += hits.len();
        let is_seen = self.is_seen;
        self.rows.keys(hits, &mut |i, key| {
            if is_seen(hits[i].id) {
                each(i, key);
            }
        })
    }
}

/// Versions that nobody sees take no candidate away from the rows that are seen.
#[test]
fn invisible_candidates_do_not_count() {
    let shape = Shape::coded(CodeKind::Sq4, Metric::L2, 8, 12, 6000);
    let mut world = World::<f32>::new(shape, 25);
    let is_seen = |tid: u64| tid.is_multiple_of(6);
    for rows_wanted in [None, Some(50)] {
        let query = world.random_query();
        let exact = ExactQuery::new(Metric::L2, &query);
        let mut seen = Seen::new(&world, &exact, &is_seen);
        let params = RerankParams {
            budget: Budget::fixed(3),
            rows_wanted,
            ..params(12, Iterative::Strict, u64::MAX)
        };
        let mut scan = begun(&world, &query, params);
        let k = rows_wanted.unwrap_or(10) as usize;
        for _ in 0..k {
            let row = scan.next(&world.mem, &world.view(), None, &mut seen).unwrap();
            assert!(row.is_some_and(|row| is_seen(row.tid.to_u64())));
        }
        // Three seen candidates for each row, but for one in eight, and not twice as many as that takes.
        let seen_share = 6;
        let least = k * 3 * seen_share * 3 / 4;
        assert!((least..2 * k * 3 * seen_share).contains(&seen.n), "{} for {k}", seen.n);
    }
}

/// Whoever goes on asking gets every row there is.
#[test]
fn candidates_go_on_to_the_last_row() {
    for k_factor in [1, 3, 100] {
        let mut world = world(Metric::L2, 8);
        let query = world.random_query();
        let (rows, _) = world.search(&query, all_of(k_factor));
        assert_eq!((rows.len(), tids(&rows).len()), (3000, 3000));
    }
}

#[test]
fn so_many_candidates_are_re_ranked_for_a_row() {
    let mut world = world(Metric::Cosine, 9);
    let query = world.random_query();
    let exact = ExactQuery::new(Metric::Cosine, &query);
    for k_factor in [1, 4, 50] {
        let mut counted = Seen::new(&world, &exact, &|_| true);
        let mut scan = begun(&world, &query, all_of(k_factor));
        for row in 1..=200 {
            assert!(scan.next(&world.mem, &world.view(), None, &mut counted).unwrap().is_some());
            let enough = (row * k_factor).min(3000);
            assert!(counted.n >= enough && counted.n <= 3 * enough.max(10 * k_factor));
        }
    }
}

#[test]
fn candidates_without_a_row_are_passed_over() {
    let mut world = world(Metric::L2, 10);
    let query = world.random_query();
    let exact = ExactQuery::new(Metric::L2, &query);
    for gone in 1..=4 {
        let is_seen = move |tid: u64| tid % 4 >= gone;
        let mut counted = Seen::new(&world, &exact, &is_seen);
        let mut scan = begun(&world, &query, all_of(2));
        let mut n = 0;
        while scan.next(&world.mem, &world.view(), None, &mut counted).unwrap().is_some() {
            n += 1;
        }
        let there = world.model.keys().filter(|tid| is_seen(tid.to_u64())).count();
        assert_eq!((n, counted.n), (there, 3000));
    }
}

#[test]
fn good_codes_find_the_nearest_rows() {
    for (kind, least) in [(CodeKind::SqFp16, 98), (CodeKind::Sq8, 90), (CodeKind::Sq4, 60)] {
        for metric in METRICS {
            let mut world = World::<f32>::new(Shape::coded(kind, metric, 16, 10, 1000), 11);
            world.insert_random(500);
            let mut right = 0;
            for _ in 0..10 {
                let query = world.random_query();
                let (rows, _) = world.search(&query, all_of(1));
                let nearest: BTreeSet<_> =
                    world.expected(&query).iter().take(10).map(|(tid, _)| *tid).collect();
                right += rows.iter().take(10).filter(|row| nearest.contains(&row.tid)).count();
            }
            assert!(right >= least, "{kind} {metric:?}: {right} of 100");
        }
    }
}
