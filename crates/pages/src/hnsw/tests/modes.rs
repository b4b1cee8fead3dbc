//! How far scans go, in which order, and what they visit.

use std::collections::BTreeSet;

use ann::metric::Metric;

use super::{ALL, Kind, World};
use crate::hnsw::node_of;
use crate::hnsw::scan::{GraphParams, HnswScan};
use crate::search::params::Iterative;
use crate::search::rerank::Candidates;
use crate::tid::Tid;

fn world(n_rows: usize) -> World<f32> {
    World::<f32>::new(Kind::new(Metric::L2, 12, 6, n_rows).duplicates(20), 5)
}

fn params(ef: usize, iterative: Iterative) -> GraphParams {
    GraphParams {
        ef,
        ef_of_tenfold: 5 * ef,
        iterative,
        max_scan_tuples: u64::MAX,
        rows_wanted: None,
        memory: 0,
        is_exact: false,
    }
}

#[test]
fn a_strict_scan_goes_on_in_order() {
    let mut world = world(800);
    for ef in [1, 10, 100] {
        let query = world.random_query();
        let (rows, scan) = world.search(&query, params(ef, Iterative::Strict));
        let distinct: BTreeSet<Tid> = rows.iter().map(|row| row.tid).collect();
        assert_eq!((distinct.len(), rows.len()), (800, 800));
        let (in_time, late) = rows.split_at(800 - scan.late() as usize);
        assert!(in_time.is_sorted_by(|a, b| a.distance <= b.distance));
        assert!(late.is_sorted_by(|a, b| a.distance <= b.distance));
        assert!(late.len() < 50, "{} late", late.len());
    }
}

#[test]
fn a_relaxed_scan_returns_everything_once() {
    let mut world = world(800);
    for ef in [1, 10, 100] {
        let query = world.random_query();
        let (rows, scan) = world.search(&query, params(ef, Iterative::Relaxed));
        let mut found: Vec<_> = rows.iter().map(|row| (row.tid, row.distance.to_bits())).collect();
        let mut expected = world.expected(&query);
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
        assert_eq!(scan.late(), 0);
    }
}

#[test]
fn a_scan_that_must_not_go_on_ends_after_ef_nodes() {
    let mut world = world(800);
    let query = world.random_query();
    let (rows, scan) = world.search(&query, params(30, Iterative::Off));
    assert!((30..60).contains(&rows.len()), "{}", rows.len());
    assert!(scan.visited() < 500);
}

#[test]
fn a_scan_ends_when_it_has_visited_enough() {
    let mut world = world(3000);
    let query = world.random_query();
    let (all, _) = world.search(&query, params(20, Iterative::Relaxed));
    assert_eq!(all.len(), 3000);
    for max_scan_tuples in [0, 1, 200, 1000] {
        let params = GraphParams { max_scan_tuples, ..params(20, Iterative::Relaxed) };
        let (rows, scan) = world.search(&query, params);
        assert!(rows.len() >= 20 && rows.len() < 3000);
        let first = world.search(&query, self::params(20, Iterative::Off)).1.visited();
        assert!(scan.visited() >= first + max_scan_tuples, "{max_scan_tuples}");
        assert!(scan.visited() < first + 2 * max_scan_tuples + 1500, "{}", scan.visited());
    }
}

/// A filter that rejects nearly all rows has the scan go on until it has enough.
#[test]
fn rows_far_away_are_found_by_going_on() {
    let mut world = world(3000);
    let query = world.random_query();
    let wanted = |tid: Tid| tid.to_u64().is_multiple_of(97);
    let (rows, _) = world.search(&query, params(20, Iterative::Strict));
    let n = world.model.keys().filter(|tid| wanted(**tid)).count();
    let found = rows.iter().filter(|row| wanted(row.tid)).count();
    assert!(found * 100 >= n * 80, "{found} of {n}");
}

#[test]
fn a_query_without_direction_finds_all_rows_in_order_of_tid() {
    for metric in [Metric::Cosine, Metric::InnerProduct] {
        let world = World::<f32>::new(Kind::new(metric, 12, 6, 300).duplicates(20), 5);
        for iterative in [Iterative::Strict, Iterative::Relaxed] {
            let (rows, scan) = world.search(&[0.0; 12], params(10, iterative));
            let found: BTreeSet<Tid> = rows.iter().map(|row| row.tid).collect();
            assert_eq!((found.len(), rows.len(), scan.late()), (300, 300, 0));
        }
        let (rows, _) = world.search(&[0.0; 12], ALL);
        assert!(rows.is_sorted_by_key(|row| row.tid));
    }
    // Under L2 it is a point like any other.
    let mut world = world(100);
    world.verify();
    let (rows, _) = world.search(&[0.0; 12], ALL);
    let found: Vec<_> = rows.iter().map(|row| (row.tid, row.distance.to_bits())).collect();
    assert_eq!(found, world.expected(&[0.0; 12]));
}

#[test]
fn a_search_without_a_node_finds_all_the_others() {
    let mut world = world(800);
    let query = world.random_query();
    let map = world.map();
    let candidates = |without: Option<u32>| {
        let mut scan = HnswScan::new();
        scan.begin(&query, &ALL, 1);
        scan.leave_out(without);
        let mut hits = Vec::new();
        loop {
            let tranche = scan.candidates(&world.mem, &world.view(&map), 1, true).unwrap();
            if tranche.is_empty() {
                return hits;
            }
            hits.extend(tranche.iter().map(|hit| (node_of(hit.at), hit.id)));
        }
    };
    let every = candidates(None);
    assert_eq!(every.len(), 800);
    for (node, _) in [every[0], every[1], every[400], every[799]] {
        let mut found = candidates(Some(node));
        let mut others = every.clone();
        others.retain(|(at, _)| *at != node);
        found.sort_unstable();
        others.sort_unstable();
        assert_eq!(found, others);
    }
}
