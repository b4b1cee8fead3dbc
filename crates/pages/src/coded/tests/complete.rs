//! Whatever is asked of a scan of codes that may go on, every row comes, each once.

use std::collections::BTreeMap;

use ann::codec::CodeKind;
use ann::factory::Refine;
use ann::metric::Metric;
use ann::topk::Hit;

use super::rows::{ModelRows, point_of};
use super::{METRICS, REFINES, Shape, World};
use crate::coded::exact::ExactQuery;
use crate::coded::rerank::{Budget, CodedScan, Exact, RerankParams};
use crate::error::Error;
use crate::ivf::scan::Iterative;
use crate::tid::Tid;

/// LIMITs that a scan is told.
const WANTED: [Option<u64>; 4] = [None, Some(30), Some(700), Some(u64::MAX)];

fn params(nprobe: usize, iterative: Iterative, rows_wanted: Option<u64>) -> RerankParams {
    let max_scan_tuples = u64::MAX;
    RerankParams {
        nprobe,
        iterative,
        max_scan_tuples,
        max_probes: usize::MAX,
        budget: Budget::fixed(3),
        rows_wanted,
        memory: 0,
        is_exact: false,
    }
}

fn check(shape: Shape) {
    let mut world = World::<f32>::new(shape, 21);
    world.vacuum(|tid| tid.offset.is_multiple_of(9));
    (0..shape.n_rows / 10).for_each(|_| {
        world.insert_random();
    });
    let query = world.random_query();
    let expected: BTreeMap<Tid, u64> = world.expected(&query).into_iter().collect();
    for iterative in [Iterative::Strict, Iterative::Relaxed] {
        for (nprobe, rows_wanted) in
            [1, 3, shape.nlist].into_iter().flat_map(|n| WANTED.map(|k| (n, k)))
        {
            let params = params(nprobe, iterative, rows_wanted);
            let (rows, scan) = world.search(&query, params);
            let found: BTreeMap<Tid, u64> =
                rows.iter().map(|row| (row.tid, row.distance.to_bits())).collect();
            assert_eq!(rows.len(), world.model.len(), "{shape:?} {params:?}");
            assert_eq!(found, expected, "{shape:?} {params:?}");
            if iterative == Iterative::Strict {
                let (in_time, late) = rows.split_at(rows.len() - scan.late() as usize);
                assert!(in_time.is_sorted_by_key(|row| (row.distance, row.tid)));
                assert!(late.is_sorted_by_key(|row| (row.distance, row.tid)));
            }
        }
    }
}

#[test]
fn every_row_comes_once() {
    for metric in METRICS {
        for refine in REFINES {
            for kind in [CodeKind::Sq8, CodeKind::PqFs { m: 4 }, CodeKind::RaBitQ { nbits: 1 }] {
                check(Shape { refine, ..Shape::new(kind, metric, 8, 12, 1200) });
            }
        }
    }
}

/// Real distances of rows that the snapshot sees: one version in six of each.
struct OneInSix<'a> {
    rows: ModelRows<'a, f32>,
    n: usize,
}

fn is_seen(tid: u64) -> bool {
    tid.is_multiple_of(6)
}

impl Exact for OneInSix<'_> {
    fn keys(&mut self, hits: &[Hit], each: &mut dyn FnMut(usize, f64)) -> Result<(), Error> {
        self.n += hits.len();
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
    let shape = Shape::new(CodeKind::Sq4, Metric::L2, 8, 12, 6000);
    let mut world = World::<f32>::new(Shape { refine: Refine::Heap, ..shape }, 25);
    for rows_wanted in [None, Some(50)] {
        let query = world.random_query();
        let exact = ExactQuery::new(Metric::L2, &query);
        let rows = ModelRows { rows: &world.model, query: &exact };
        let mut seen = OneInSix { rows, n: 0 };
        let mut scan = CodedScan::new();
        scan.begin(&point_of(Metric::L2, &query), params(12, Iterative::Strict, rows_wanted));
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

/// A list that holds fewer rows than the candidates of the rows wanted is no reason to look at others.
#[test]
fn rows_wanted_come_from_the_first_lists() {
    let shape = Shape::new(CodeKind::Sq8, Metric::L2, 8, 12, 1200);
    let mut world = World::<f32>::new(shape, 26);
    let query = world.random_query();
    let exact = ExactQuery::new(Metric::L2, &query);
    let params =
        RerankParams { budget: Budget::fixed(24), ..params(1, Iterative::Strict, Some(30)) };
    let (first, off) = world.search(&query, RerankParams { iterative: Iterative::Off, ..params });
    assert!((30..30 * 24).contains(&first.len()));
    let mut scan = CodedScan::new();
    scan.begin(&point_of(Metric::L2, &query), params);
    for row in first.iter().take(30) {
        assert_eq!(world.next(&mut scan, &exact).unwrap().map(|row| row.tid), Some(row.tid));
    }
    assert_eq!(scan.visited(), off.visited());
}
