//! Whatever is asked of a scan that may go on, every row comes, each once.

use std::collections::BTreeMap;

use ann::codec::CodeKind;
use ann::element::{Bits, Element};
use ann::metric::Metric;
use half::f16;

use super::{METRICS, REFINES, Shape, World, params, rule};
use crate::damage::search::ListSearch;
use crate::lists::candidates::RerankParams;
use crate::search::exact::ExactQuery;
use crate::search::params::Iterative;
use crate::search::rerank::Budget;
use crate::tid::Tid;

/// LIMITs that a scan is told: none, less than a list, more than the first lists, and more than there are.
const WANTED: [Option<u64>; 5] = [None, Some(1), Some(30), Some(700), Some(u64::MAX)];
/// Room for a few hits, and for all.
const MEMORY: [usize; 2] = [0, 1 << 20];

fn check<E: Element>(shape: Shape) {
    let mut world = World::<E>::new(shape, 21);
    world.vacuum(|tid| tid.offset.is_multiple_of(9));
    world.insert_random(shape.n_rows / 10);
    let n = world.model.len();
    let query = world.random_query();
    let expected: BTreeMap<Tid, u64> = world.expected(&query).into_iter().collect();
    let orders = [Iterative::Strict, Iterative::Relaxed];
    let nprobes = [1, 3, shape.nlist.max(1)];
    let limits = WANTED.into_iter().flat_map(|k| MEMORY.map(|m| (k, m)));
    for (rows_wanted, memory) in limits {
        for (iterative, nprobe) in orders.into_iter().flat_map(|o| nprobes.map(|n| (o, n))) {
            let params = RerankParams {
                rule: (nprobe == 3).then(rule),
                budget: Budget::fixed(3),
                rows_wanted,
                memory,
                ..params(nprobe, iterative, u64::MAX)
            };
            let (rows, search) = world.search(&query, params);
            let found: BTreeMap<Tid, u64> =
                rows.iter().map(|row| (row.tid, row.distance.to_bits())).collect();
            assert_eq!(rows.len(), n, "{shape:?} {params:?}");
            assert_eq!(found, expected, "{shape:?} {params:?}");
            assert_eq!((search.visited(), search.is_cut_short()), (n as u64, false));
            if iterative == Iterative::Strict {
                let (in_time, late) = rows.split_at(n - search.late() as usize);
                assert!(in_time.is_sorted_by_key(|row| (row.distance, row.tid)));
                assert!(late.is_sorted_by_key(|row| (row.distance, row.tid)));
            }
        }
    }
}

#[test]
fn every_row_comes_once() {
    for metric in METRICS {
        check::<f32>(Shape::flat(metric, 6, 40, 2000));
        check::<f16>(Shape::flat(metric, 20, 7, 1500));
    }
    check::<f32>(Shape::flat(Metric::L1, 6, 0, 2000));
    check::<Bits>(Shape::flat(Metric::Hamming, 60, 30, 2000));
    check::<Bits>(Shape::flat(Metric::Jaccard, 60, 0, 1000));
    check::<f32>(Shape::flat(Metric::L2, 3000, 3, 100));
}

#[test]
fn every_row_of_codes_comes_once() {
    for metric in METRICS {
        for refine in REFINES {
            for kind in [CodeKind::Sq8, CodeKind::PqFs { m: 4 }, CodeKind::RaBitQ { nbits: 1 }] {
                check::<f32>(Shape { refine, ..Shape::coded(kind, metric, 8, 12, 1200) });
            }
        }
    }
}

/// The rows that are wanted come from the first lists, and nothing else is visited for them: not even where a list holds fewer
/// rows than the candidates of the rows wanted.
#[test]
fn rows_wanted_come_from_the_first_lists() {
    let flat = Shape::flat(Metric::L2, 6, 40, 4000);
    let coded = Shape::coded(CodeKind::Sq8, Metric::L2, 8, 12, 1200);
    for (shape, nprobe, k) in
        [(flat, 1, 40), (flat, 3, 200), (flat, 10, 600), (coded, 1, 30), (coded, 2, 50)]
    {
        let mut world = World::<f32>::new(shape, 22);
        let query = world.random_query();
        let of = |iterative| RerankParams {
            budget: Budget::fixed(24),
            rows_wanted: Some(k),
            ..params(nprobe, iterative, u64::MAX)
        };
        let (first, off) = world.search(&query, of(Iterative::Off));
        assert!(first.len() as u64 > k);
        assert!(shape.code.is_none() || (first.len() as u64) < 24 * k);
        let mut search = ListSearch::new(&world.index);
        search.begin(&world.index, &query, &of(Iterative::Strict));
        let exact = ExactQuery::new(Metric::L2, &query);
        for row in first.iter().take(k as usize) {
            assert_eq!(world.next(&mut search, &exact).as_ref(), Some(row));
        }
        assert_eq!(search.visited(), off.visited());
    }
}

#[test]
fn a_scan_that_ends_at_its_bound_says_so() {
    let mut world = World::<f32>::new(Shape::flat(Metric::L2, 6, 40, 3000), 23);
    let query = world.random_query();
    for (iterative, max_scan_tuples, is_cut_short) in [
        (Iterative::Strict, 500, true),
        (Iterative::Relaxed, 500, true),
        (Iterative::Relaxed, 3000, false),
        (Iterative::Off, 500, false),
    ] {
        let (rows, search) = world.search(&query, params(2, iterative, max_scan_tuples));
        assert_eq!(search.is_cut_short(), is_cut_short, "{iterative:?} {max_scan_tuples}");
        assert_eq!(rows.len() as u64, search.visited());
    }
}
