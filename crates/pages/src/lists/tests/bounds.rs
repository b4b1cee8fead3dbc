//! A scan that is ended from outside, or told to search some lists at least: what a bound of the distance does.

use std::collections::BTreeSet;

use ann::codec::CodeKind;
use ann::metric::Metric;

use super::rows::ModelRows;
use super::{Shape, World, params};
use crate::damage::search::flat_params;
use crate::lists::candidates::CodedScan;
use crate::lists::flat::FlatScanner;
use crate::lists::scan::Scan;
use crate::search::exact::ExactQuery;
use crate::search::params::{Found, Iterative};

type Flat = Scan<FlatScanner<f32>>;

fn begin(world: &mut World<f32>, iterative: Iterative) -> Flat {
    let mut scan = Flat::new();
    let query = world.random_query();
    scan.begin(&query, flat_params(&params(1, iterative, u64::MAX)));
    scan
}

fn take(world: &World<f32>, scan: &mut Flat, n: usize) -> Vec<Found> {
    let next = |_| scan.next(&world.mem, &world.view()).unwrap();
    (0..n).map_while(next).collect()
}

#[test]
fn a_finished_scan_gives_its_late_rows_and_no_others() {
    let mut world = World::<f32>::new(Shape::flat(Metric::L2, 6, 40, 3000), 3);
    let mut late = 0;
    for n in [0, 1, 64, 65, 300, 2999, 3000] {
        let mut scan = begin(&mut world, Iterative::Strict);
        let rows = take(&world, &mut scan, n);
        late += scan.late();
        let n_late = scan.late();
        scan.finish();
        let rest = take(&world, &mut scan, usize::MAX);
        // Of the late rows themselves some may have come.
        assert_eq!(rest.len() as u64, n_late.min(3000 - n as u64), "after {n}");
        assert!(rest.is_sorted_by_key(|row| (row.distance, row.tid)));
        let all: BTreeSet<_> = rows.iter().chain(&rest).map(|row| row.tid).collect();
        assert_eq!(all.len(), rows.len() + rest.len(), "each row once");
        assert!(!scan.is_cut_short());
        let mut relaxed = begin(&mut world, Iterative::Relaxed);
        take(&world, &mut relaxed, n);
        relaxed.finish();
        assert!(take(&world, &mut relaxed, 1).is_empty());
    }
    assert!(late > 0, "nothing was late");
}

#[test]
fn lists_that_must_be_searched_are() {
    let mut world = World::<f32>::new(Shape::flat(Metric::L2, 6, 40, 3000), 4);
    for iterative in [Iterative::Strict, Iterative::Relaxed, Iterative::Off] {
        let mut scan = begin(&mut world, iterative);
        let mut rows = take(&world, &mut scan, 1);
        let before = scan.lists_probed();
        let goes_on = iterative != Iterative::Off;
        assert_eq!(scan.search_lists(30), goes_on, "{iterative:?}");
        while goes_on && scan.lists_probed() == before {
            rows.extend(take(&world, &mut scan, 1));
            assert!(rows.len() < 200, "what was ready may come first, no more");
        }
        if goes_on {
            assert!(scan.lists_probed() >= 30);
            assert!(!scan.search_lists(30) && !scan.search_lists(3));
            assert!(scan.search_lists(1000), "as many as there are");
        }
        rows.extend(take(&world, &mut scan, usize::MAX));
        let all: BTreeSet<_> = rows.iter().map(|row| row.tid).collect();
        assert_eq!(all.len(), rows.len());
        assert_eq!(rows.len() == 3000, goes_on);
    }
}

#[test]
fn a_finished_search_of_codes_gives_its_late_rows_and_no_others() {
    let shape = Shape::coded(CodeKind::RaBitQ { nbits: 1 }, Metric::L2, 8, 40, 3000);
    let mut world = World::<f32>::new(shape, 3);
    let mut late = 0;
    for n in [1, 64, 300, 2000, 2999, 3000] {
        let query = world.random_query();
        let exact = ExactQuery::new(Metric::L2, &query);
        let mut table = ModelRows { rows: &world.model, query: &exact };
        let mut scan = CodedScan::new();
        scan.begin(&query, params(1, Iterative::Strict, u64::MAX));
        let view = world.view();
        let mut take = |scan: &mut CodedScan, n: usize| -> Vec<Found> {
            let next = |_| scan.next(&world.mem, &view, None, &mut table).unwrap();
            (0..n).map_while(next).collect()
        };
        let rows = take(&mut scan, n);
        let n_late = scan.late();
        late += n_late;
        scan.finish();
        let rest = take(&mut scan, usize::MAX);
        assert_eq!(rest.len() as u64, n_late.min(3000 - n as u64), "after {n}");
        let all: BTreeSet<_> = rows.iter().chain(&rest).map(|row| row.tid).collect();
        assert_eq!(all.len(), rows.len() + rest.len(), "each row once");
    }
    assert!(late > 0, "nothing was late");
}
