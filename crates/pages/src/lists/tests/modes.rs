//! What a scan does beyond its first lists.

use std::collections::BTreeSet;

use ann::codec::CodeKind;
use ann::metric::Metric;

use super::rows::operator;
use super::{ALL, METRICS, REFINES, Shape, World, params};
use crate::damage::search::ListSearch;
use crate::lists::flat::FlatScanner;
use crate::lists::info::{list_info, totals};
use crate::lists::scan::Scan;
use crate::lists::scanner::View;
use crate::search::exact::{ExactQuery, StoredRows};
use crate::search::params::{Found, Iterative};
use crate::tid::Tid;

/// Vectors as they are, and rough codes of them.
pub fn shapes(metric: Metric) -> [Shape; 2] {
    [
        Shape::flat(metric, 6, 40, 3000),
        Shape::coded(CodeKind::RaBitQ { nbits: 1 }, metric, 8, 40, 3000),
    ]
}

pub fn tids(rows: &[Found]) -> BTreeSet<Tid> {
    rows.iter().map(|row| row.tid).collect()
}

#[test]
fn strict_order_returns_every_row_and_the_late_ones_at_the_end() {
    for shape in METRICS.into_iter().flat_map(shapes) {
        let mut world = World::<f32>::new(shape, 3);
        for nprobe in [1, 5, 39, 40, 1000] {
            let query = world.random_query();
            let (rows, search) = world.search(&query, params(nprobe, Iterative::Strict, u64::MAX));
            assert_eq!((rows.len(), tids(&rows).len(), search.visited()), (3000, 3000, 3000));
            let (in_time, late) = rows.split_at(3000 - search.late() as usize);
            assert!(in_time.is_sorted_by_key(|row| (row.distance, row.tid)));
            assert!(late.is_sorted_by_key(|row| (row.distance, row.tid)));
            // With one list of 75 rows the first rows reach far: that much is late. Rough codes are late, but not most of them.
            let most = match (shape.code, nprobe) {
                (Some(_), _) => 1500,
                (None, 1) => 3000,
                (None, 5..40) => 300,
                (None, _) => 1,
            };
            assert!(late.len() < most, "{shape:?} {nprobe}: {} late", late.len());
        }
    }
}

#[test]
fn relaxed_order_returns_every_row_once() {
    for shape in METRICS.into_iter().flat_map(shapes) {
        let mut world = World::<f32>::new(shape, 4);
        for nprobe in [1, 5, 40] {
            let query = world.random_query();
            let (rows, search) = world.search(&query, params(nprobe, Iterative::Relaxed, u64::MAX));
            assert_eq!((rows.len(), tids(&rows).len(), search.late()), (3000, 3000, 0));
            // Each row's own distance, whatever the order.
            for row in rows {
                let distance = operator(shape.metric, &query, &world.model[&row.tid]);
                assert_eq!(row.distance.to_bits(), distance.to_bits());
            }
        }
    }
}

#[test]
fn off_ends_with_the_probed_lists() {
    for shape in shapes(Metric::L2) {
        let mut world = World::<f32>::new(shape, 5);
        let query = world.random_query();
        let near = world.list_of(&query);
        let lists = list_info(&world.mem, world.lists()).unwrap();
        let (rows, search) = world.search(&query, params(1, Iterative::Off, u64::MAX));
        let (in_time, _) = rows.split_at(rows.len() - search.late() as usize);
        assert!(in_time.is_sorted_by_key(|row| (row.distance, row.tid)));
        assert_eq!(rows.len() as u64, lists[near as usize].ntotal);
        assert_eq!(search.visited(), rows.len() as u64);
        assert_eq!(totals(&lists).ntotal, 3000);
        assert!(totals(&lists).imbalance_factor > 1.0);
    }
}

#[test]
fn the_budget_bounds_further_lists_only() {
    for shape in shapes(Metric::L2) {
        let mut world = World::<f32>::new(shape, 6);
        let query = world.random_query();
        let visited = |nprobe, budget| {
            world.search(&query, params(nprobe, Iterative::Relaxed, budget)).1.visited()
        };
        let lists = list_info(&world.mem, world.lists()).unwrap();
        let largest = lists.iter().map(|list| list.ntotal).max().unwrap();
        let first = visited(3, 0);
        assert!(first > 0);
        for budget in [1, 100, 1000] {
            let further = visited(3, budget) - first;
            assert!((budget..budget + largest).contains(&further), "{further} for {budget}");
        }
    }
}

#[test]
fn a_query_without_direction_finds_every_row() {
    for metric in METRICS {
        let coded = Shape::coded(CodeKind::Sq8, metric, 6, 10, 500);
        let coded = REFINES.map(|refine| Shape { refine, ..coded });
        for shape in coded.into_iter().chain([Shape::flat(metric, 6, 10, 500)]) {
            let mut world = World::<f32>::new(shape, 7);
            world.insert_random(1);
            let order = if metric == Metric::L2 { Iterative::Relaxed } else { Iterative::Strict };
            let (rows, _) = world.search(&[0.0; 6], params(2, order, u64::MAX));
            assert_eq!(tids(&rows).len(), 501);
            let has_none = shape.code.is_none() && metric != Metric::L2;
            assert!(!has_none || rows.iter().all(|row| row.distance.is_nan()));
        }
    }
}

#[test]
fn rows_without_a_distance_come_last() {
    let mut world = World::<f32>::new(Shape::flat(Metric::InnerProduct, 2, 0, 100), 8);
    let tid = world.insert(vec![f32::MAX, f32::MAX]);
    let (rows, _) = world.search(&[f32::MAX, -f32::MAX], ALL);
    assert_eq!(rows.len(), 101);
    assert_eq!(rows.last().map(|row| row.tid), Some(tid));
}

#[test]
fn a_scan_is_reused() {
    for shape in [
        Shape::flat(Metric::Cosine, 6, 10, 500),
        Shape::coded(CodeKind::Sq4, Metric::Cosine, 6, 10, 500),
    ] {
        let mut world = World::<f32>::new(shape, 9);
        let mut search = ListSearch::new(&world.index);
        let exact = ExactQuery::new(Metric::Cosine, &[0.0; 6]);
        assert_eq!(world.next(&mut search, &exact), None);
        for n in [0, 1, 63, 64, 65, 499, 500, 501] {
            let query = world.random_query();
            let exact = ExactQuery::new(Metric::Cosine, &query);
            search.begin(&world.index, &query, &ALL);
            let expected = world.expected(&query);
            for i in 0..n {
                let row = world.next(&mut search, &exact);
                let row = row.map(|row| (row.tid, row.distance.to_bits()));
                assert_eq!(row, expected.get(i).copied());
            }
        }
    }
}

#[test]
fn a_query_of_another_shape_is_refused() {
    for shape in [
        Shape::flat(Metric::L2, 6, 10, 50),
        Shape::coded(CodeKind::Sq8, Metric::L2, 6, 10, 50).and_vectors(),
    ] {
        let mut world = World::<f32>::new(shape, 9);
        let query = world.random_query();
        let exact = ExactQuery::new(Metric::L2, &query);
        let mut table = super::rows::ModelRows { rows: &world.model, query: &exact };
        let mut search = ListSearch::<f32>::new(&world.index);
        let view = world.view();
        // Without a quantizer the lists cannot be found, without a code they cannot be read.
        let views =
            [(5, view), (6, View { quantizer: None, ..view }), (6, View { codec: None, ..view })];
        let n = if shape.code.is_some() { 3 } else { 2 };
        for (dims, view) in views.into_iter().take(n) {
            search.begin(&world.index, &vec![0.0; dims], &ALL);
            let refused = search.next(&world.mem, &world.index, &view, &exact, &mut table);
            assert!(refused.is_err(), "{shape:?}");
        }
        let key = |row: &[half::f16]| exact.key(row);
        assert!(StoredRows::new(&world.mem, world.lists(), key).is_err());
        let mut scan = Scan::<FlatScanner<half::f16>>::new();
        scan.begin(&[0.0; 6], crate::damage::search::flat_params(&ALL));
        assert!(scan.next(&world.mem, &world.view()).is_err());
    }
}
