//! What a scan does beyond its first lists.

use std::collections::BTreeSet;

use ann::coded_coarse::CodedCoarse;
use ann::metric::Metric;
use ann::parallel::Job;

use super::{METRICS, World, random_vector};
use crate::ivf::info::{list_info, totals};
use crate::ivf::lists::View;
use crate::ivf::probe::Probe;
use crate::ivf::scan::{Iterative, Scan, SearchParams};

fn params(nprobe: usize, iterative: Iterative, max_scan_tuples: u64) -> SearchParams {
    SearchParams {
        nprobe,
        iterative,
        max_scan_tuples,
        max_probes: usize::MAX,
        rows_wanted: None,
        memory: 0,
    }
}

/// Where only the nearest lists are looked up at first, the others still come.
#[test]
fn lists_passed_over_at_first_come_later() {
    for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
        let mut world = World::<f32>::new(metric, 6, 64, 2000, 13);
        let coded = CodedCoarse::train(&world.coarse().unwrap(), 1, &Job::default()).unwrap();
        for nprobe in [1, 4, 7, 8, 64] {
            let query = random_vector::<f32>(&mut world.rng, 6);
            let mut scan = Scan::<Probe<f32>>::new();
            scan.begin(&query, params(nprobe, Iterative::Relaxed, u64::MAX));
            let view = View { coded_coarse: Some(&coded), ..world.view() };
            let mut tids = BTreeSet::new();
            while let Some(row) = scan.next(&world.mem, &view).unwrap() {
                assert!(tids.insert(row.tid));
            }
            assert_eq!((tids.len(), scan.visited()), (2000, 2000));
        }
    }
}

#[test]
fn strict_order_returns_every_row_and_the_late_ones_at_the_end() {
    for metric in METRICS {
        let mut world = World::<f32>::new(metric, 6, 40, 3000, 3);
        for nprobe in [1, 5, 39, 40, 1000] {
            let query = random_vector::<f32>(&mut world.rng, 6);
            let (rows, scan) = world.search(&query, params(nprobe, Iterative::Strict, u64::MAX));
            let tids: BTreeSet<_> = rows.iter().map(|row| row.tid).collect();
            assert_eq!((rows.len(), tids.len(), scan.visited()), (3000, 3000, 3000));
            let (in_time, late) = rows.split_at(3000 - scan.late() as usize);
            assert!(in_time.is_sorted_by_key(|row| (row.distance, row.tid)));
            assert!(late.is_sorted_by_key(|row| (row.distance, row.tid)));
            // With one list of 75 rows the first rows reach far: that much is late.
            assert!(nprobe == 1 || scan.late() < 300, "{} late", scan.late());
            assert!(nprobe < 40 || scan.late() == 0);
        }
    }
}

#[test]
fn relaxed_order_returns_every_row_once() {
    for metric in METRICS {
        let mut world = World::<f32>::new(metric, 6, 40, 3000, 4);
        for nprobe in [1, 5, 40] {
            let query = random_vector::<f32>(&mut world.rng, 6);
            let (rows, scan) = world.search(&query, params(nprobe, Iterative::Relaxed, u64::MAX));
            let tids: BTreeSet<_> = rows.iter().map(|row| row.tid).collect();
            assert_eq!((rows.len(), tids.len()), (3000, 3000));
            assert_eq!(scan.late(), 0);
            // Each row's own distance, whatever the order.
            for row in rows {
                let distance = super::operator(metric, &query, &world.model[&row.tid]);
                assert_eq!(row.distance.to_bits(), distance.to_bits());
            }
        }
    }
}

#[test]
fn off_ends_with_the_probed_lists() {
    let mut world = World::<f32>::new(Metric::L2, 6, 40, 3000, 5);
    let query = random_vector::<f32>(&mut world.rng, 6);
    let near = world.coarse().unwrap().assign(&query).0;
    let lists = list_info(&world.mem, &world.meta).unwrap();
    let (rows, scan) = world.search(&query, params(1, Iterative::Off, u64::MAX));
    assert_eq!(rows.len() as u64, lists[near as usize].ntotal);
    assert_eq!(scan.visited(), rows.len() as u64);
    assert_eq!(totals(&lists).ntotal, 3000);
    assert!(totals(&lists).imbalance_factor > 1.0);
}

#[test]
fn the_budget_bounds_further_lists_only() {
    let mut world = World::<f32>::new(Metric::L2, 6, 40, 3000, 6);
    let query = random_vector::<f32>(&mut world.rng, 6);
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
        let mut world = World::<f32>::new(metric, 6, 10, 500, 7);
        world.insert_random();
        let iterative = if metric == Metric::L2 { Iterative::Relaxed } else { Iterative::Strict };
        let (rows, _) = world.search(&[0.0; 6], params(2, iterative, u64::MAX));
        let tids: BTreeSet<_> = rows.iter().map(|row| row.tid).collect();
        assert_eq!(tids.len(), 501);
        assert!(metric == Metric::L2 || rows.iter().all(|row| row.distance.is_nan()));
    }
}

#[test]
fn rows_without_a_distance_come_last() {
    let mut world = World::<f32>::new(Metric::InnerProduct, 2, 0, 100, 8);
    let tid = world.fresh_tid();
    world.put(tid, &[f32::MAX, f32::MAX]).unwrap();
    let query = [f32::MAX, -f32::MAX];
    let (rows, _) = World {
        model: [(tid, vec![]); 1].into_iter().chain(world.model.clone()).collect(),
        ..world
    }
    .search(&query, super::ALL);
    assert_eq!(rows.len(), 101);
    assert_eq!(rows.last().map(|row| row.tid), Some(tid));
}

#[test]
fn a_scan_is_reused() {
    let mut world = World::<f32>::new(Metric::Cosine, 6, 10, 500, 9);
    let mut scan = Scan::<Probe<f32>>::new();
    assert_eq!(scan.next(&world.mem, &world.view()), Ok(None));
    for n in [0, 1, 63, 64, 65, 499, 500, 501] {
        let query = random_vector::<f32>(&mut world.rng, 6);
        scan.begin(&query, super::ALL);
        let expected = world.expected(&query);
        for i in 0..n {
            let row = scan.next(&world.mem, &world.view()).unwrap();
            let row = row.map(|row| (row.tid, row.distance.to_bits()));
            assert_eq!(row, expected.get(i).copied());
        }
    }
}

#[test]
fn a_query_of_another_shape_is_refused() {
    let world = World::<f32>::new(Metric::L2, 6, 10, 50, 9);
    let mut scan = Scan::<Probe<f32>>::new();
    scan.begin(&[0.0; 5], super::ALL);
    assert!(scan.next(&world.mem, &world.view()).is_err());
    scan.begin(&[0.0; 6], super::ALL);
    assert!(scan.next(&world.mem, &View { coarse: None, ..world.view() }).is_err());
    let mut scan = Scan::<Probe<half::f16>>::new();
    scan.begin(&[0.0; 6], super::ALL);
    assert!(scan.next(&world.mem, &world.view()).is_err());
}
