//! Whatever is asked of a scan that may go on, every row comes, each once.

use std::collections::BTreeMap;

use ann::element::{Bits, Element};
use ann::metric::Metric;
use half::f16;

use super::{World, random_query, random_vector};
use crate::ivf::scan::{Iterative, SearchParams};
use crate::tid::Tid;

/// LIMITs that a scan is told: none, less than a list, more than the first lists, and more than there are.
const WANTED: [Option<u64>; 5] = [None, Some(1), Some(30), Some(700), Some(u64::MAX)];
/// Room for a few hits, and for all.
const MEMORY: [usize; 2] = [0, 1 << 20];

fn check<E: Element>(metric: Metric, dims: usize, nlist: usize, n_rows: usize) {
    let mut world = World::<E>::new(metric, dims, nlist, n_rows, 21);
    world.vacuum(|tid| tid.offset.is_multiple_of(9));
    (0..n_rows / 10).for_each(|_| {
        world.insert_random();
    });
    let n = world.model.len();
    let query = random_query::<E>(&mut world.rng, dims);
    let expected: BTreeMap<Tid, u64> = world.expected(&query).into_iter().collect();
    for iterative in [Iterative::Strict, Iterative::Relaxed] {
        for nprobe in [1, 3, nlist.max(1)] {
            for (rows_wanted, memory) in WANTED.into_iter().flat_map(|k| MEMORY.map(|m| (k, m))) {
                let max_scan_tuples = u64::MAX;
                let params = SearchParams {
                    nprobe,
                    iterative,
                    max_scan_tuples,
                    max_probes: usize::MAX,
                    rows_wanted,
                    memory,
                };
                let (rows, scan) = world.search(&query, params);
                let found: BTreeMap<Tid, u64> =
                    rows.iter().map(|row| (row.tid, row.distance.to_bits())).collect();
                assert_eq!(rows.len(), n, "{params:?}");
                assert_eq!(found, expected, "{params:?}");
                assert_eq!((scan.visited(), scan.is_cut_short()), (n as u64, false));
                if iterative == Iterative::Strict {
                    let (in_time, late) = rows.split_at(n - scan.late() as usize);
                    assert!(in_time.is_sorted_by_key(|row| (row.distance, row.tid)));
                    assert!(late.is_sorted_by_key(|row| (row.distance, row.tid)));
                }
            }
        }
    }
}

#[test]
fn every_row_comes_once() {
    for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
        check::<f32>(metric, 6, 40, 2000);
        check::<f16>(metric, 20, 7, 1500);
    }
    check::<f32>(Metric::L1, 6, 0, 2000);
    check::<Bits>(Metric::Hamming, 60, 30, 2000);
    check::<Bits>(Metric::Jaccard, 60, 0, 1000);
    check::<f32>(Metric::L2, 3000, 3, 100);
}

/// The rows that are wanted come from the first lists, and nothing else is visited for them.
#[test]
fn rows_wanted_come_from_the_first_lists() {
    let mut world = World::<f32>::new(Metric::L2, 6, 40, 4000, 22);
    for (nprobe, k) in [(1, 40), (3, 200), (10, 600)] {
        let query = random_vector::<f32>(&mut world.rng, 6);
        let of = |iterative| SearchParams {
            nprobe,
            iterative,
            max_scan_tuples: u64::MAX,
            max_probes: usize::MAX,
            rows_wanted: Some(k),
            memory: 0,
        };
        let (first, off) = world.search(&query, of(Iterative::Off));
        assert!(first.len() as u64 > k);
        let mut scan = crate::ivf::scan::Scan::<crate::ivf::probe::Probe<f32>>::new();
        scan.begin(&query, of(Iterative::Strict));
        for row in first.iter().take(k as usize) {
            assert_eq!(scan.next(&world.mem, &world.view()).unwrap().as_ref(), Some(row));
        }
        assert_eq!(scan.visited(), off.visited());
    }
}

#[test]
fn a_scan_that_ends_at_its_bound_says_so() {
    let mut world = World::<f32>::new(Metric::L2, 6, 40, 3000, 23);
    let query = random_vector::<f32>(&mut world.rng, 6);
    for (iterative, max_scan_tuples, is_cut_short) in [
        (Iterative::Strict, 500, true),
        (Iterative::Relaxed, 500, true),
        (Iterative::Relaxed, 3000, false),
        (Iterative::Off, 500, false),
    ] {
        let params = SearchParams {
            nprobe: 2,
            iterative,
            max_scan_tuples,
            max_probes: usize::MAX,
            rows_wanted: None,
            memory: 0,
        };
        let (rows, scan) = world.search(&query, params);
        assert_eq!(scan.is_cut_short(), is_cut_short, "{params:?}");
        assert_eq!(rows.len() as u64, scan.visited());
    }
}
