//! What a scan does beyond its first lists, and how real distances come into it.

use std::collections::BTreeSet;

use ann::codec::CodeKind;
use ann::metric::Metric;
use ann::topk::Hit;

use super::rows::{ModelRows, operator, point_of};
use super::{ALL, METRICS, REFINES, Shape, World, random_vector};
use crate::coded::exact::{ExactQuery, StoredRows};
use crate::coded::info::list_info;
use crate::coded::rerank::{Budget, CodedScan, Exact, RerankParams};
use crate::error::Error;
use crate::ivf::info::totals;
use crate::ivf::lists::View;
use crate::ivf::scan::Iterative;

fn params(nprobe: usize, iterative: Iterative, max_scan_tuples: u64) -> RerankParams {
    RerankParams {
        nprobe,
        iterative,
        max_scan_tuples,
        max_probes: usize::MAX,
        budget: Budget::fixed(2),
        rows_wanted: None,
        memory: 0,
        is_exact: false,
    }
}

fn world(metric: Metric, seed: u64) -> World<f32> {
    World::new(Shape::new(CodeKind::RaBitQ { nbits: 1 }, metric, 8, 40, 3000), seed)
}

#[test]
fn strict_order_returns_every_row_and_the_late_ones_at_the_end() {
    for metric in METRICS {
        let mut world = world(metric, 3);
        for nprobe in [1, 5, 39, 40, 1000] {
            let query = world.random_query();
            let (rows, scan) = world.search(&query, params(nprobe, Iterative::Strict, u64::MAX));
            let tids: BTreeSet<_> = rows.iter().map(|row| row.tid).collect();
            assert_eq!((rows.len(), tids.len(), scan.visited()), (3000, 3000, 3000));
            let (in_time, late) = rows.split_at(3000 - scan.late() as usize);
            assert!(in_time.is_sorted_by_key(|row| (row.distance, row.tid)));
            assert!(late.is_sorted_by_key(|row| (row.distance, row.tid)));
            // These codes are rough, and still most rows come in order.
            assert!(late.len() < 1500, "{} late", late.len());
        }
    }
}

#[test]
fn relaxed_order_returns_every_row_once() {
    for metric in METRICS {
        let mut world = world(metric, 4);
        for nprobe in [1, 5, 40] {
            let query = world.random_query();
            let (rows, scan) = world.search(&query, params(nprobe, Iterative::Relaxed, u64::MAX));
            let tids: BTreeSet<_> = rows.iter().map(|row| row.tid).collect();
            assert_eq!((rows.len(), tids.len()), (3000, 3000));
            assert_eq!(scan.late(), 0);
            // Each row's own distance, whatever the order.
            for row in rows {
                let distance = operator(metric, &query, &world.model[&row.tid]);
                assert_eq!(row.distance.to_bits(), distance.to_bits());
            }
        }
    }
}

#[test]
fn off_ends_with_the_probed_lists() {
    let mut world = world(Metric::L2, 5);
    let query = world.random_query();
    let near = world.coarse().assign(&query).0;
    let lists = list_info(&world.mem, &world.meta).unwrap();
    let (rows, scan) = world.search(&query, params(1, Iterative::Off, u64::MAX));
    let (in_time, _) = rows.split_at(rows.len() - scan.late() as usize);
    assert!(in_time.is_sorted_by_key(|row| (row.distance, row.tid)));
    assert_eq!(rows.len() as u64, lists[near as usize].ntotal);
    assert_eq!(scan.visited(), lists[near as usize].ntotal);
    assert_eq!(totals(&lists).ntotal, 3000);
    assert!(totals(&lists).imbalance_factor > 1.0);
}

#[test]
fn the_budget_bounds_further_lists_only() {
    let mut world = world(Metric::L2, 6);
    let query = world.random_query();
    let visited = |nprobe, budget| {
        world.search(&query, params(nprobe, Iterative::Relaxed, budget)).1.visited()
    };
    let lists = list_info(&world.mem, &world.meta).unwrap();
    let largest = lists.iter().map(|list| list.ntotal).max().unwrap();
    let first = visited(3, 0);
    assert!(first > 0);
    for budget in [1, 100, 1000] {
        let further = visited(3, budget) - first;
        assert!((budget..budget + largest).contains(&further), "{further} for {budget}");
    }
}

#[test]
fn a_query_without_direction_finds_every_row() {
    for metric in METRICS {
        for refine in REFINES {
            let shape = Shape::new(CodeKind::Sq8, metric, 6, 10, 500);
            let mut world = World::<f32>::new(Shape { refine, ..shape }, 7);
            world.insert_random();
            let mode = if metric == Metric::L2 { Iterative::Relaxed } else { Iterative::Strict };
            let (rows, _) = world.search(&[0.0; 6], params(2, mode, u64::MAX));
            let tids: BTreeSet<_> = rows.iter().map(|row| row.tid).collect();
            assert_eq!(tids.len(), 501);
        }
    }
}

/// Whoever goes on asking gets every row there is.
#[test]
fn candidates_go_on_to_the_last_row() {
    for k_factor in [1, 3, 100] {
        let mut world = world(Metric::L2, 8);
        let query = world.random_query();
        let (rows, _) =
            world.search(&query, RerankParams { budget: Budget::fixed(k_factor), ..ALL });
        let tids: BTreeSet<_> = rows.iter().map(|row| row.tid).collect();
        assert_eq!((rows.len(), tids.len()), (3000, 3000));
    }
}

/// Counts what is re-ranked, and knows nothing of some rows.
struct Counted<'a> {
    rows: ModelRows<'a, f32>,
    n: usize,
    gone: u64,
}

impl Exact for Counted<'_> {
    fn keys(&mut self, hits: &[Hit], each: &mut dyn FnMut(usize, f64)) -> Result<(), Error> {
        self.n += hits.len();
        let gone = self.gone;
        self.rows.keys(hits, &mut |i, key| {
            if hits[i].id % 4 >= gone {
                each(i, key);
            }
        })
    }
}

#[test]
fn so_many_candidates_are_re_ranked_for_a_row() {
    let mut world = world(Metric::Cosine, 9);
    let query = world.random_query();
    let exact = ExactQuery::new(Metric::Cosine, &query);
    for k_factor in [1, 4, 50] {
        let rows = ModelRows { rows: &world.model, query: &exact };
        let mut counted = Counted { rows, n: 0, gone: 0 };
        let mut scan = CodedScan::new();
        scan.begin(
            &point_of(Metric::Cosine, &query),
            RerankParams { budget: Budget::fixed(k_factor), ..ALL },
        );
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
        let rows = ModelRows { rows: &world.model, query: &exact };
        let mut counted = Counted { rows, n: 0, gone };
        let mut scan = CodedScan::new();
        scan.begin(&query, RerankParams { budget: Budget::fixed(2), ..ALL });
        let mut n = 0;
        while scan.next(&world.mem, &world.view(), None, &mut counted).unwrap().is_some() {
            n += 1;
        }
        let there = world.model.keys().filter(|tid| tid.to_u64() % 4 >= gone).count();
        assert_eq!((n, counted.n), (there, 3000));
    }
}

#[test]
fn good_codes_find_the_nearest_rows() {
    for (kind, least) in [(CodeKind::SqFp16, 98), (CodeKind::Sq8, 90), (CodeKind::Sq4, 60)] {
        for metric in METRICS {
            let shape = Shape::new(kind, metric, 16, 10, 1000);
            let mut world = World::<f32>::new(shape, 11);
            (0..500).for_each(|_| {
                world.insert_random();
            });
            let mut right = 0;
            for _ in 0..10 {
                let query = world.random_query();
                let (rows, _) =
                    world.search(&query, RerankParams { budget: Budget::fixed(1), ..ALL });
                let nearest: BTreeSet<_> =
                    world.expected(&query).iter().take(10).map(|(tid, _)| *tid).collect();
                right += rows.iter().take(10).filter(|row| nearest.contains(&row.tid)).count();
            }
            assert!(right >= least, "{kind} {metric:?}: {right} of 100");
        }
    }
}

#[test]
fn a_scan_is_reused() {
    let mut world = World::<f32>::new(Shape::new(CodeKind::Sq4, Metric::Cosine, 6, 10, 500), 9);
    let mut scan = CodedScan::new();
    let exact = ExactQuery::new(Metric::Cosine, &[0.0; 6]);
    assert_eq!(world.next(&mut scan, &exact), Ok(None));
    for n in [0, 1, 63, 64, 65, 499, 500, 501] {
        let query = world.random_query();
        let exact = ExactQuery::new(Metric::Cosine, &query);
        scan.begin(&point_of(Metric::Cosine, &query), ALL);
        let expected = world.expected(&query);
        for i in 0..n {
            let row = world.next(&mut scan, &exact).unwrap();
            let row = row.map(|row| (row.tid, row.distance.to_bits()));
            assert_eq!(row, expected.get(i).copied());
        }
    }
}

#[test]
fn a_query_of_another_shape_is_refused() {
    let mut world = World::<f32>::new(Shape::new(CodeKind::Sq8, Metric::L2, 6, 10, 50).flat(), 9);
    let exact = ExactQuery::new(Metric::L2, &random_vector::<f32>(&mut world.rng, 6));
    let mut scan = CodedScan::new();
    scan.begin(&[0.0; 5], ALL);
    assert!(world.next(&mut scan, &exact).is_err());
    let mut rows = ModelRows { rows: &world.model, query: &exact };
    for view in [View { coarse: None, ..world.view() }, View { codec: None, ..world.view() }] {
        scan.begin(&[0.0; 6], ALL);
        assert!(scan.next(&world.mem, &view, None, &mut rows).is_err());
    }
    let key = |row: &[half::f16]| exact.key(row);
    assert!(StoredRows::new(&world.mem, &world.meta, key).is_err());
}
