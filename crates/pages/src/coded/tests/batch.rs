//! Many scans of codes whose first candidates are found together give what each gives alone.

use ann::element::Element;
use ann::metric::Metric;
use half::f16;

use super::rows::point_of;
use super::{METRICS, REFINES, Shape, World, kinds};
use crate::coded::exact::ExactQuery;
use crate::coded::rerank::{CodedScan, RerankParams, first_tranches};
use crate::ivf::scan::Iterative;
use crate::ivf::scan::batch::BatchParams;

const BATCH: BatchParams = BatchParams { threads: 2, memory: 0 };

fn rows_of<E: Element>(
    world: &World<E>,
    scan: &mut CodedScan,
    query: &[f32],
) -> (Vec<(u64, u64)>, u64, u64) {
    let exact = ExactQuery::new(world.meta.metric, query);
    let mut rows = Vec::new();
    while let Some(row) = world.next(scan, &exact).unwrap() {
        rows.push((row.tid.to_u64(), row.distance.to_bits()));
    }
    (rows, scan.visited(), scan.left_out())
}

fn check<E: Element>(shape: Shape) {
    let mut world = World::<E>::new(shape, 5);
    world.vacuum(|tid| tid.offset % 7 == 0);
    for _ in 0..shape.n_rows / 5 {
        world.insert_random();
    }
    let mut queries: Vec<_> = (0..8).map(|_| world.random_query()).collect();
    queries.push(vec![0.0; shape.dims]);
    for (nprobe, iterative) in
        [(1, Iterative::Strict), (3, Iterative::Relaxed), (shape.nlist, Iterative::Off)]
    {
        let params = RerankParams { nprobe, iterative, max_scan_tuples: 300, k_factor: 3 };
        let begun = |query: &Vec<f32>| {
            let mut scan = CodedScan::new();
            scan.begin(&point_of(shape.metric, query), params);
            scan
        };
        let mut scans: Vec<CodedScan> = queries.iter().map(begun).collect();
        first_tranches(&world.mem, &world.view(), &mut scans, BATCH).unwrap();
        for (scan, query) in scans.iter_mut().zip(&queries) {
            assert!(nprobe == 1 || !scan.first_candidates().is_empty());
            let alone = rows_of(&world, &mut begun(query), query);
            assert_eq!(rows_of(&world, scan, query), alone, "{shape:?} {params:?}");
        }
    }
}

#[test]
fn together_as_alone() {
    for metric in METRICS {
        for kind in kinds(12) {
            check::<f32>(Shape::new(kind, metric, 12, 8, 600));
        }
    }
}

#[test]
fn together_as_alone_with_stored_vectors() {
    for refine in REFINES {
        for kind in kinds(7) {
            check::<f16>(Shape { refine, ..Shape::new(kind, Metric::L2, 7, 5, 300) });
        }
    }
}

#[test]
fn together_as_alone_where_blocks_are_cut() {
    for kind in kinds(400) {
        check::<f32>(Shape::new(kind, Metric::Cosine, 400, 3, 100));
    }
}
